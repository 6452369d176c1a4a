//! A program that asks its database itself: what is to be asked, and what becomes of the answers.

use headcount::{
    Answers, ColumnIs, Consent, DataCategory, DataSource, DatabaseMetric, DatabaseOperation, ErrorKind,
    PingValue, SourceError, SourceFault, Sources, Timestamp,
};
use serde_json::{Value, json};

use crate::report::{Metric, NOW, build, store};

const METRICS: [Metric<'_>; 6] = [
    ("counts.all", "all", "{relation: issues}"),
    (
        "counts.authors",
        "7d",
        "{relation: issues, operation: distinct_count, column: author_id, timestamp_column: created_at,
          where: {state: [opened, closed], weight: {gte: 2}, deleted_at: null}}",
    ),
    ("counts.broken", "all", "{relation: issues, operation: summ}"),
    ("counts.timeless", "28d", "{relation: issues}"),
    ("counts.other", "all", "{}"),
    ("settings.size", "none", ""),
];

#[test]
fn questions_say_all_that_a_program_needs() {
    let store = store(&METRICS);
    let questions = store.ping().questions().unwrap();
    assert_eq!(questions.len(), 2);
    let question = questions.iter().find(|question| question.key_path == "counts.authors").unwrap();
    assert_eq!(question.metric.operation(), DatabaseOperation::DistinctCount);
    assert_eq!(question.range.unwrap().to_string(), "2026-11-14..2026-11-21");
    let conditions = question.metric.conditions();
    assert!(
        conditions.iter().any(|condition| condition.column == "deleted_at" && condition.is == ColumnIs::Null)
    );
    let mut written: Value = serde_json::from_str(&question.to_json()).unwrap();
    let order = |condition: &Value| condition["column"].as_str().unwrap().to_owned();
    written["where"].as_array_mut().unwrap().sort_by_key(order);
    assert_eq!(
        written,
        json!({
            "key_path": "counts.authors", "relation": "issues", "operation": "distinct_count", "column": "author_id",
            "where": [
                {"column": "deleted_at", "is": "is null"},
                {"column": "state", "is": "in", "values": ["opened", "closed"]},
                {"column": "weight", "is": ">=", "value": 2},
            ],
            "timestamp_column": "created_at", "from": "2026-11-14T00:00:00Z", "to": "2026-11-21T00:00:00Z",
        })
    );
    let all = questions.iter().find(|question| question.key_path == "counts.all").unwrap();
    assert_eq!(all.metric, DatabaseMetric::count("issues"));
    assert_eq!(
        all.to_json(),
        r#"{"key_path":"counts.all","relation":"issues","operation":"count","where":[]}"#
    );
    let answered = Sources::new().data_source(DataSource::Database, |_| Ok(1.into()));
    assert_eq!(store.ping().sources(answered).questions().unwrap(), []);
    let consent = store.ping().consent().unwrap().without(DataCategory::Optional);
    store.ping().set_consent(&consent).unwrap();
    assert_eq!(store.ping().questions().unwrap(), []);
}

#[test]
fn answers_stand_in_the_document_and_beside_it() {
    let store = store(&METRICS);
    let gone = SourceError::new(SourceFault::Missing, "there is no table");
    let answers = Answers::new()
        .estimate("counts.authors", 17, 1.5)
        .failed("counts.all", gone)
        .value("settings.size", 2.5);
    let report = build(&store.ping().answers(answers).unwrap());
    assert_eq!([report.number("counts.authors"), report.number("settings.size")], [17.0, 2.5]);
    assert_eq!(report.failure("counts.all"), ("missing", "there is no table"));
    let beside = &report.metrics["counts.authors"];
    assert_eq!(
        (beside.standard_error, beside.window.unwrap().to_string()),
        (1.5, "2026-11-14..2026-11-21".to_owned())
    );
    assert_eq!(report.failure("counts.broken").0, "invalid");
    assert!(report.failure("counts.broken").1.contains("did you mean `sum`?"));
    let unknown = Answers::new().value("counts.auhtors", 1);
    let error = store.ping().answers(unknown).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownMetric);
    assert!(error.to_string().contains("did you mean `counts.authors`?"), "{error}");
}

#[test]
fn answers_of_few_distinct_ones_are_suppressed_as_those_of_a_database_are() {
    let store = store(&METRICS);
    store.ping().set_consent(&Consent::default().suppress_below(5)).unwrap();
    let answers = Answers::new().value("counts.authors", 4).value("counts.all", 4);
    let report = build(&store.ping().answers(answers).unwrap());
    assert_eq!((report.failure("counts.authors").0, report.number("counts.all")), ("few_users", 4.0));
}

#[test]
fn answers_of_another_day_are_refused() {
    let store = store(&METRICS);
    let take = |json: &str| store.ping().answers(Answers::from_json(json).unwrap()).map(|ping| build(&ping));
    let of_days = r#"{"day": "2026-11-23", "answers": [{"key_path": "counts.authors", "value": 17}]}"#;
    assert_eq!(take(of_days).unwrap().number("counts.authors"), 17.0);
    let without = r#"{"answers": [{"key_path": "counts.all", "value": 3}]}"#;
    assert_eq!(take(without).unwrap().number("counts.all"), 3.0);
    for (json, told) in [
        (of_days.replace("-23", "-22"), "the answers are of 2026-11-22, and today is 2026-11-23"),
        (of_days.replace("-23", "-24"), "the answers are of 2026-11-24, and today is 2026-11-23"),
        (of_days.replace(r#""day": "2026-11-23", "#, ""), "give the `day`"),
    ] {
        let error = take(&json).map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains(told), "{json}: {error}");
    }
}

#[test]
fn answers_that_wait_for_a_ping_of_another_day_are_about_other_days() {
    let store = store(&METRICS);
    let answers = Answers::new().value("counts.authors", 17).value("counts.all", 3);
    let ping = store.ping().answers(answers).unwrap();
    let earlier = ping.build_as_of(Timestamp::parse("2026-11-22").unwrap(), &mut |_, _, _| ()).unwrap();
    let report = |key_path: &str| earlier.metrics.iter().find(|metric| metric.key_path == key_path).unwrap();
    assert_eq!(report("counts.authors").reason, "invalid");
    assert!(report("counts.authors").message.contains("is about 2026-11-14..2026-11-21"));
    assert_eq!(report("counts.all").reason, "");
}

#[test]
fn answers_read_from_json() {
    let read = Answers::from_json(
        r#"{"day": "2026-11-23", "answers": [{"key_path": "a", "value": 42, "standard_error": 0.5}, {"key_path": "b", "value": null},
            {"key_path": "c", "error": "slow", "fault": "timeout"}, {"key_path": "d", "error": "odd"}]}"#,
    );
    let meant = Answers::new()
        .estimate("a", 42, 0.5)
        .value("b", PingValue::Null)
        .failed("c", SourceError::new(SourceFault::Timeout, "slow"))
        .failed("d", SourceError::failed("odd"))
        .asked_at(Timestamp::parse(NOW).unwrap());
    assert_eq!(read.unwrap(), meant);
    for (json, told) in [
        ("", "no JSON"),
        ("[]", "a list of `answers`"),
        (r#"{"answers": {}}"#, "a list of `answers`"),
        (r#"{"answers": [], "more": 1}"#, "nothing else"),
        (r#"{"answers": [], "day": 20780}"#, "`day`"),
        (r#"{"answers": [], "day": "2026-11-23T10:00:00Z"}"#, "`day`"),
        (r#"{"answers": [], "day": "2026-11-31"}"#, "`day`"),
        (r#"{"answers": [7]}"#, "`answers[0]` is no object"),
        (r#"{"answers": [{"value": 7}]}"#, "no `key_path`"),
        (r#"{"answers": [{"key_path": "a"}]}"#, "either a `value` or an `error`"),
        (r#"{"answers": [{"key_path": "a", "value": 1, "error": "b"}]}"#, "either a `value` or an `error`"),
        (
            r#"{"answers": [{"key_path": "a", "value": 1, "fault": "timeout"}]}"#,
            "either a `value` or an `error`",
        ),
        (r#"{"answers": [{"key_path": "a", "error": "b", "fault": "timout"}]}"#, "did you mean `timeout`?"),
        (r#"{"answers": [{"key_path": "a", "vlaue": 1}]}"#, "did you mean `value`?"),
        (r#"{"answers": [{"key_path": "a", "value": 1, "standard_error": -1}]}"#, "`standard_error`"),
        (r#"{"answers": [{"key_path": "a", "value": 1}, {"key_path": "a", "value": 1}]}"#, "again"),
    ] {
        let error = Answers::from_json(json).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains(told), "{json}: {error}");
    }
}
