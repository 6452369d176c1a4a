//! `headcount retention`.

use serde_json::{Value, json};

use crate::bench::Bench;

#[test]
fn a_new_store_keeps_everything_and_says_so() {
    let bench = Bench::with_events();
    let shown = bench.json(&["retention"]);
    for key in ["hours_days", "days_days", "max_bytes", "hours_from", "days_from", "clock_leap"] {
        assert_eq!(shown[key], Value::Null, "{key}");
    }
    assert!(shown["bytes"].as_u64() > Some(0));
    assert!(bench.run(&["retention"]).out.contains("kept for ever"));
}

#[test]
fn what_is_set_stays_until_it_is_taken_away_and_is_heeded_at_once_when_asked() {
    let bench = Bench::with_events();
    let set = bench.json(&["retention", "--hours", "9d", "--days", "35d", "--size", "20MiB", "--now"]);
    assert_eq!((&set["hours_days"], &set["days_days"]), (&json!(9), &json!(35)));
    assert_eq!(set["max_bytes"], 20 << 20);
    assert_eq!(set["days_from"], "2026-10-18T00:00:00Z");
    assert!(set["removed"]["rows"].as_u64() > Some(10), "{set}");
    assert_eq!(bench.json(&["query", "issue_created"])["value"], 3, "all time stays");
    let of_then =
        bench.run(&["query", "issue_created", "--from", "2024-03-01", "--to", "2024-04-01", "--json"]);
    assert_eq!((of_then.code, of_then.error().0.as_str()), (1, "not_kept"));
    assert_eq!(bench.run(&["check", "--deep"]).code, 0);

    let rest = bench.json(&["retention", "--days", "forever"]);
    assert_eq!((&rest["hours_days"], &rest["days_days"]), (&json!(9), &Value::Null));
    assert_eq!(rest["removed"], Value::Null);
    assert_eq!(bench.json(&["retention", "--size", "none"])["max_bytes"], Value::Null);
}

#[test]
fn values_that_make_no_sense_are_usage_and_change_nothing() {
    let bench = Bench::with_events();
    for (option, value) in
        [("--hours", "8d"), ("--days", "34d"), ("--days", "35"), ("--size", "1MB"), ("--size", "much")]
    {
        let ran = bench.run(&["retention", option, value, "--json"]);
        assert_eq!((ran.code, ran.error().0.as_str()), (2, "usage"), "{option} {value}");
    }
    assert_eq!(bench.json(&["retention"])["hours_days"], Value::Null);
    assert_eq!(bench.run(&["retention", "--hours", "9d", "--store", "no.db"]).code, 1);
    assert!(!bench.path("no.db").exists());
}
