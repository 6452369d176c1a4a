//! `headcount metric`.

use std::fs;

use serde_json::{Value, json};

use crate::bench::Bench;

#[test]
fn metrics_are_listed_with_or_without_a_store() {
    let bench = Bench::with_events();
    let kept = bench.json(&["metric", "list"]);
    fs::remove_file(bench.path("headcount.db")).unwrap();
    assert_eq!(bench.json(&["metric", "list", "--definitions", "config"]), kept);
    assert_eq!(kept["metrics"].as_array().unwrap().len(), 9);
    assert_eq!(
        kept["metrics"][6],
        json!({"key_path": "counts.openers_weekly", "kind": "unique", "time_frame": "7d", "data_source": "internal_events",
            "status": "active", "data_category": "optional", "value_type": "number", "description": "About counts.openers",
            "rules": ["issue_created-user", "epic_created-user"]})
    );
    bench.write(
        "host/a.yml",
        "key_path: host.version\ndata_source: system\ntime_frame: none\nstatus: removed\n",
    );
    let ran = bench.run(&["metric", "list", "--definitions", "host"]);
    assert_eq!(
        ran.out,
        "KEY PATH      KIND    TIME  STATUS   DESCRIPTION\nhost.version  system  none  removed\n"
    );
}

#[test]
fn metrics_are_evaluated_as_of_an_instant() {
    let bench = Bench::with_events();
    let get = |args: &[&str]| bench.run(&[&["metric", "get"], args].concat());
    let ran = get(&["counts.issues", "counts.openers_weekly", "counts.by_label", "--as-of", "2024-03-20"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(
        ran.out,
        "counts.issues          3  all time, since Mon 4 Mar 2024
counts.openers_weekly  1  Mon 11 - Sun 17 Mar 2024, partial: not recorded to its end
counts.by_label        3  all time, since Mon 4 Mar 2024

counts.by_label by label
  web  2  ██████████████████████████████
  api  1  ███████████████
"
    );
    for (window, from, to, value) in [
        ("complete", "2024-03-04", "2024-03-11", 2),
        ("rolling", "2024-03-07", "2024-03-14", 1),
        ("current", "2024-03-11", "2024-03-18", 1),
    ] {
        let document = bench.json(&[
            "metric",
            "get",
            "counts.openers_weekly",
            "--as-of",
            "2024-03-13",
            "--window",
            window,
        ]);
        let metric = &document["metrics"][0];
        assert_eq!(
            metric["window"],
            json!({"from": format!("{from}T00:00:00Z"), "to": format!("{to}T00:00:00Z")})
        );
        assert_eq!((&metric["value"], &metric["partial"]), (&json!(value), &json!(true)), "{window}");
    }
    let document = bench.json(&["metric", "get", "counts.minutes", "--as-of", "2024-03-20"]);
    assert_eq!(
        document,
        json!({"metrics": [{"key_path": "counts.minutes", "value": 7.5, "reason": null, "standard_error": 0.0,
            "window": {"from": "2024-03-04T10:00:00Z", "to": "2024-03-20T00:00:00Z"}, "partial": false}]})
    );
}

#[test]
fn a_metric_without_a_value_says_why_and_an_unknown_one_fails() {
    let bench = Bench::with_events();
    bench.write("config/new.yml", "key_path: new\ndata_source: internal_events\ntime_frame: 7d\nevents: [{name: issue_created, unique: project.id}]\n");
    bench.write("config/host.yml", "key_path: host\ndata_source: database\ntime_frame: all\n");
    let ran =
        bench.run(&["metric", "get", "new", "counts.isues", "host", "--definitions", "config", "--json"]);
    assert_eq!(ran.code, 1);
    let (kind, message) = ran.error();
    assert_eq!(kind, "unknown_metric");
    assert!(message.ends_with("did you mean `counts.issues`?"), "{message}");
    let none = |key_path: &str, reason: &str| json!({"key_path": key_path, "value": null, "reason": reason, "standard_error": null, "window": null, "partial": false});
    assert_eq!(
        serde_json::from_str::<Value>(&ran.out).unwrap(),
        json!({"metrics": [none("new", "not_recorded"), none("host", "no_source")]})
    );
    let ran = bench.run(&["metric", "get", "new", "--definitions", "config"]);
    assert_eq!(ran.code, 0);
    assert!(ran.out.starts_with("new  -  the store does not record `issue_created-project`"), "{}", ran.out);
}
