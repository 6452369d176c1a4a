//! `headcount metric show`.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::bench::{Bench, Ran};

#[test]
fn a_metric_is_shown_with_its_series_values_and_weeks() {
    let bench = Bench::with_events();
    let document =
        bench.json(&["metric", "show", "counts.openers_weekly", "--as-of", "2024-03-13T00:00:00Z"]);
    assert_eq!(document["key_path"], "counts.openers_weekly");
    assert_eq!(
        document["series"][0],
        json!({"key": "issue_created-user", "kind": "unique", "recorded": false, "since": "2024-03-04T10:00:00Z",
            "until": "2024-03-13T08:00:00Z", "last": "2024-03-05"})
    );
    let values = ["complete", "rolling", "current"].map(|window| document[window]["value"].clone());
    assert_eq!(values, [json!(2), json!(1), json!(1)]);
    let weeks = document["weeks"].as_array().unwrap();
    assert_eq!((weeks.len(), &weeks[11]["value"]), (12, &json!(2)));
    let ran = bench.run(&["metric", "show", "counts.issues"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.starts_with("counts.issues\n  About counts.issues\n"), "{}", ran.out);
    assert!(ran.out.contains("issue_created  recorded Mon 4 - Wed 13 Mar 2024"), "{}", ran.out);
    let ran = bench.run(&["metric", "show", "counts.isues", "--json"]);
    assert_eq!((ran.code, ran.error().0.as_str()), (1, "unknown_metric"));
    assert!(ran.error().1.ends_with("did you mean `counts.issues`?"), "{}", ran.err);
}

#[test]
fn a_metric_of_a_database_is_asked_for_as_a_ping_asks_for_it() {
    let bench = Bench::with_events();
    bench.write(
        "config/metrics/people.yml",
        "key_path: counts.people_monthly\ndescription: People\ndata_source: database\ntime_frame: 28d\nvalue_type: number\n\
         instrumentation_class: CountPeopleMetric\n\
         options: {relation: people, operation: distinct_count, column: name, timestamp_column: made_at}\n",
    );
    let database = Connection::open(bench.path("app.db")).unwrap();
    database
        .execute_batch(
            "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, made_at TEXT);
             INSERT INTO people (name, made_at) VALUES ('a', '2026-10-23'), ('b', '2026-10-24'), ('c', '2026-11-20'),
                 ('c', '2026-11-20'), ('d', '2026-11-21')",
        )
        .unwrap();
    bench.write(
        "answers.json",
        r#"{"day": "2026-11-23", "answers": [{"key_path": "counts.people_monthly", "value": 7000, "standard_error": 56.9}]}"#,
    );
    let show = |more: &[&str]| {
        let args = [&["metric", "show", "counts.people_monthly", "--definitions", "config"], more].concat();
        let ran =
            Ran::of(bench.command(&args).env("HEADCOUNT_NOW", "2026-11-23T12:00:00Z").output().unwrap());
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.out
    };
    let source = "  source  database, class CountPeopleMetric\n";
    let asked = show(&["--sqlite", "app.db"]);
    for part in ["\n  value   2  in a ping now\n  window  Sat 24 Oct - Fri 20 Nov\n", source, "\n  took    "]
    {
        assert!(asked.contains(part), "{asked}");
    }
    let answered = show(&["--answers", "answers.json"]);
    for part in [
        "\n  value   7,000 ±57  in a ping now\n  window  Sat 24 Oct - Fri 20 Nov\n",
        source,
        "± is one standard error",
    ] {
        assert!(answered.contains(part), "{answered}");
    }
    let missing = show(&[]);
    let why = "\n\n  no value: no database is connected to ask about `people`; name one by `--sqlite FILE`";
    for part in [why, "\n  window  Sat 24 Oct - Fri 20 Nov\n", source] {
        assert!(missing.contains(part), "{missing}");
    }
    let document: Value = serde_json::from_str(&show(&["--sqlite", "app.db", "--json"])).unwrap();
    let ping = &document["ping"];
    assert_eq!(
        [
            &ping["value"],
            &ping["outcome"],
            &ping["instrumentation_class"],
            &ping["standard_error"],
            &ping["window"]["from"]
        ],
        [
            &json!(2),
            &json!("value"),
            &json!("CountPeopleMetric"),
            &json!(0.0),
            &json!("2026-10-24T00:00:00Z")
        ]
    );
    assert!(ping["duration_ms"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_metric_of_events_says_why_no_ping_has_it() {
    let bench = Bench::with_events();
    assert_eq!(bench.run(&["ping", "consent", "--without", "optional"]).code, 0);
    let shown = bench.run(&["metric", "show", "counts.issues"]).out;
    assert!(
        shown.contains("\n  value  3  ")
            && shown.contains("\n  not in a ping: metrics of the category `optional`"),
        "{shown}"
    );
}
