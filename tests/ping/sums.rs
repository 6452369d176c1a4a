//! Metrics that add up others: in any order, and never more than a ping says of their terms.

use headcount::{
    Consent, DataCategory, DataSource, Definitions, Event, EventDefinition, ManualClock, MetricDefinition,
    MetricOutcome, Ping, Rule, SourceError, Sources, TimeFrame,
};
use serde_json::json;

use super::{at, json, report_of, store, value};

/// These sums, by key path and the list of what they add.
fn sums(sums: &[(&str, &str)]) -> Definitions {
    let file = |(key_path, values): &(&str, &str)| {
        let text = format!(
            "key_path: {key_path}\ndescription: d\nproduct_group: g\nvalue_type: number\nstatus: active\ntime_frame: none\n\
             data_source: system\ndata_category: optional\ninstrumentation_class: NumbersMetric\noptions:\n  operation: add\n  \
             values: {values}\nmilestone: '17.0'\nintroduced_by_url: https://example.com\ntiers: [free]\n"
        );
        (format!("{key_path}.yml"), text)
    };
    let files: Vec<(String, String)> = sums.iter().map(file).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    Definitions::embedded(&files).unwrap()
}

fn asked(key_path: &str) -> MetricDefinition {
    MetricDefinition::new(key_path, TimeFrame::None).source(DataSource::Database)
}

/// The clock's instant does not matter here.
fn ping(definitions: Definitions, sources: Sources) -> Ping {
    store(definitions, &ManualClock::new(at("2026-11-25T09:00:00Z"))).ping().sources(sources)
}

#[test]
fn numbers_add_other_metrics_and_fail_with_any_of_them() {
    let sums = sums(&[
        ("sums.both", "[counts.a, counts.b]"),
        ("sums.with_a_failing_one", "[counts.a, counts.failing]"),
        ("sums.of_nothing_known", "[counts.a, counts.typo]"),
        ("sums.of_a_removed_one", "[counts.a, counts.gone]"),
        ("sums.of_nothing", "[]"),
    ]);
    let metrics =
        [asked("counts.a"), asked("counts.b"), asked("counts.failing"), asked("counts.gone").removed()];
    let definitions = metrics.into_iter().fold(sums, |all, metric| all.metric(metric).unwrap());
    let sources = Sources::new()
        .key_path("counts.a", |_| Ok(40.into()))
        .key_path("counts.b", |_| Ok(2.into()))
        .key_path("counts.failing", |_| Err(SourceError::failed("for a test")))
        .key_path("counts.gone", |_| Ok(1.into()));
    let report = ping(definitions, sources).build().unwrap();
    assert_eq!(value(&json(&report), "sums.both"), Some(&json!(42)));
    for (key_path, words) in [
        ("sums.with_a_failing_one", "counts.failing"),
        ("sums.of_nothing_known", "counts.typo"),
        ("sums.of_a_removed_one", "counts.gone"),
        ("sums.of_nothing", "options.values"),
    ] {
        let metric = report_of(&report, key_path);
        assert_eq!(metric.outcome, MetricOutcome::Failed);
        assert!(metric.message.contains(words), "{}", metric.message);
    }
}

#[test]
fn a_source_of_a_whole_data_source_takes_no_sum_and_one_of_its_class_does() {
    let sums = || {
        let sums = sums(&[("sums.both", "[counts.a, counts.a]")]);
        sums.metric(asked("counts.a")).unwrap()
    };
    let database = || {
        let asked_both = |asked: &headcount::Asked| match asked.metric().key_path() {
            "counts.a" => Ok(21.into()),
            other => Err(SourceError::failed(format!("asked for {other}"))),
        };
        Sources::new()
            .data_source(DataSource::Database, asked_both)
            .data_source(DataSource::System, asked_both)
    };
    let report = ping(sums(), database()).build().unwrap();
    assert_eq!(value(&json(&report), "sums.both"), Some(&json!(42)));
    let named = [
        database().class("NumbersMetric", |_| Ok(7.into())),
        database().key_path("sums.both", |_| Ok(7.into())),
    ];
    for sources in named {
        let report = ping(sums(), sources).build().unwrap();
        assert_eq!(value(&json(&report), "sums.both"), Some(&json!(7)));
    }
}

#[test]
fn sums_of_sums_add_up_whatever_the_order_of_their_key_paths() {
    // Each adds the next one, and one of its own; the other way round too.
    const LENGTH: usize = 300;
    let name = |chain: &str, at: usize| format!("{chain}.s{at:03}");
    let mut chains = Vec::new();
    for at in 0..LENGTH {
        chains.push((name("down", at), format!("[{}, counts.a]", name("down", at + 1))));
        chains.push((name("up", at + 1), format!("[{}, counts.a]", name("up", at))));
    }
    let chains: Vec<(&str, &str)> =
        chains.iter().map(|(name, terms)| (name.as_str(), terms.as_str())).collect();
    let ends = [name("down", LENGTH), name("up", 0), "counts.a".to_owned()];
    let definitions = ends.iter().fold(sums(&chains), |all, end| all.metric(asked(end)).unwrap());
    let sources = Sources::new().data_source(DataSource::Database, |asked| {
        asked.estimated(0.5);
        Ok(1.into())
    });
    let report = ping(definitions, sources).build().unwrap();
    for at in 0..LENGTH {
        for (key_path, terms) in [(name("down", at), LENGTH - at + 1), (name("up", at + 1), at + 2)] {
            assert_eq!(value(&json(&report), &key_path), Some(&json!(terms)), "{key_path}");
            let error = f64::from(u32::try_from(terms).unwrap()) / 2.0;
            assert_eq!(report_of(&report, &key_path).standard_error, error, "{key_path}");
        }
    }
}

#[test]
fn sums_that_add_themselves_fail_by_their_names_and_no_other_does() {
    let definitions = sums(&[
        ("sums.a", "[counts.a, sums.b]"),
        ("sums.b", "[sums.c, counts.a]"),
        ("sums.c", "[counts.a, sums.a]"),
        ("sums.itself", "[sums.itself]"),
        ("sums.behind", "[counts.a, sums.c]"),
        ("sums.before", "[counts.a, counts.a]"),
    ]);
    let sources = Sources::new().data_source(DataSource::Database, |_| Ok(1.into()));
    let ping = ping(definitions.metric(asked("counts.a")).unwrap(), sources);
    let report = ping.build().unwrap();
    for (key_path, circle) in [
        ("sums.a", "it adds itself: `sums.a`, `sums.b`, `sums.c`, `sums.a`"),
        ("sums.b", "it adds itself: `sums.a`, `sums.b`, `sums.c`, `sums.a`"),
        ("sums.c", "it adds itself: `sums.a`, `sums.b`, `sums.c`, `sums.a`"),
        ("sums.itself", "it adds itself: `sums.itself`, `sums.itself`"),
        ("sums.behind", "`sums.c`, which it adds, has no value: it adds itself"),
    ] {
        let metric = report_of(&report, key_path);
        assert_eq!(
            (metric.outcome, metric.reason.as_str()),
            (MetricOutcome::Failed, "invalid"),
            "{key_path}"
        );
        assert!(metric.message.starts_with(circle), "{key_path}: {}", metric.message);
    }
    assert_eq!(value(&json(&report), "sums.before"), Some(&json!(2)));
    assert_eq!(ping.metric("sums.c").unwrap().1.outcome, MetricOutcome::Failed);
}

/// A difference of two values would tell what one of them keeps back.
#[test]
fn a_sum_is_kept_back_as_its_terms_are_and_alone_it_is_what_the_ping_says() {
    let clock = ManualClock::new(at("2026-11-18T09:00:00Z"));
    let metric = MetricDefinition::new;
    let definitions = sums(&[
        ("sums.few", "[counts.issues, users.few]"),
        ("sums.of_that", "[sums.few, counts.issues]"),
        ("sums.standard", "[counts.issues, counts.standard]"),
        ("sums.unavailable", "[counts.issues, counts.elsewhere]"),
        ("sums.removed", "[counts.issues, counts.gone]"),
        ("sums.whole", "[counts.issues, counts.issues]"),
    ]);
    let store = store(
        [
            metric("counts.issues", TimeFrame::All).rule(Rule::count("issue_created")),
            metric("users.few", TimeFrame::All).rule(Rule::unique("issue_created", "user")),
            metric("counts.standard", TimeFrame::All)
                .rule(Rule::count("issue_created"))
                .category(DataCategory::Standard),
            asked("counts.elsewhere"),
            metric("counts.gone", TimeFrame::All).rule(Rule::count("issue_created")).removed(),
        ]
        .into_iter()
        .fold(
            definitions.event(EventDefinition::new("issue_created").identifier("user")).unwrap(),
            |all, metric| all.metric(metric).unwrap(),
        ),
        &clock,
    );
    for user in [1, 2, 2, 2, 2, 2, 2] {
        store.tracker().track(Event::new("issue_created").user(user));
    }
    store.flush().unwrap();
    let ping = store.ping();
    ping.set_consent(&Consent::default().suppress_below(5).without(DataCategory::Standard)).unwrap();
    let report = ping.build().unwrap();
    for (key_path, outcome, reason) in [
        ("users.few", MetricOutcome::Suppressed, "few_users"),
        ("sums.few", MetricOutcome::Suppressed, "few_users"),
        ("sums.of_that", MetricOutcome::Suppressed, "few_users"),
        ("sums.standard", MetricOutcome::Withheld, "standard"),
        ("sums.unavailable", MetricOutcome::Unavailable, "unavailable"),
        ("sums.removed", MetricOutcome::Failed, "invalid"),
        ("sums.whole", MetricOutcome::Value, ""),
    ] {
        let metric = report_of(&report, key_path);
        assert_eq!((metric.outcome, metric.reason.as_str()), (outcome, reason), "{key_path}");
        let has_value = matches!(outcome, MetricOutcome::Value | MetricOutcome::Failed);
        assert_eq!(value(&json(&report), key_path).is_some(), has_value, "{key_path}");
    }
    assert_eq!(value(&json(&report), "sums.whole"), Some(&json!(14)));
    assert_eq!(report_of(&report, "sums.whole").since, report_of(&report, "counts.issues").since);
    for expected in report.metrics.iter().cloned() {
        let (alone, mut metric) = ping.metric(&expected.key_path).unwrap();
        metric.duration = expected.duration;
        let in_ping = value(&json(&report), &expected.key_path).cloned();
        let is_there = expected.outcome == MetricOutcome::Value;
        assert_eq!(
            alone.map(|value| json!(value.number())),
            in_ping.filter(|_| is_there).map(|value| json!(value.as_f64()))
        );
        assert_eq!(metric, expected);
    }
}
