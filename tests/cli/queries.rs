//! `headcount query`.

use serde_json::{Value, json};

use crate::bench::{Bench, without_freshness};

#[test]
fn queries_answer_in_text() {
    let bench = Bench::with_events();
    let text = |args: &[&str]| {
        let ran = bench.run(&[&["query"], args].concat());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}");
        ran.out.replacen("; last written Sun 22 Nov 10:00", "", 1)
    };
    assert_eq!(text(&["issue_created"]), "3  issue_created\nall time, since Mon 4 Mar 2024\n");
    assert_eq!(
        text(&["issue_created", "--sum", "--from", "2024-03-05", "--to", "2024-03-06"]),
        "2.5  sum of value of issue_created\nTue 5 Mar 2024, complete\n"
    );
    assert_eq!(
        text(&[
            "issue_created",
            "--filter",
            "label=web",
            "--from",
            "2024-03-01",
            "--to",
            "2024-03-05T10:00:00Z"
        ]),
        "1  issue_created where label = web\nFri 1 Mar 2024 - Tue 5 Mar 2024 10:00, partial: recorded since Mon 4 Mar 2024\n"
    );
    assert_eq!(
        text(&["issue_created", "--per-value", "label"]),
        "3  issue_created by label\nall time, since Mon 4 Mar 2024\n\n  web  2  ██████████████████████████████\n  api  1  ███████████████\n"
    );
    assert_eq!(
        text(&[
            "issue_created",
            "epic_created",
            "--unique",
            "user",
            "--from",
            "2024-03-04",
            "--to",
            "2024-03-18",
            "--by",
            "week"
        ]),
        "3  distinct user of issue_created + epic_created
Mon 4 - Sun 17 Mar 2024, partial: recorded since Mon 4 Mar 2024 10:00

  2024-W10  2024-03-04  2  ██████████████████████████████  partial: recorded since Mon 4 Mar 2024 10:00
  2024-W11  2024-03-11  1  ███████████████                 partial: not recorded to its end
"
    );
    assert_eq!(
        text(&[
            "issue_created",
            "--from",
            "2024-03-05T10:00:00Z",
            "--to",
            "2024-03-05T13:00:00Z",
            "--by",
            "hour"
        ]),
        "2  issue_created
Tue 5 Mar 2024 10:00 - Tue 5 Mar 2024 13:00, complete

  2024-03-05 10:00  1  ██████████████████████████████
  2024-03-05 11:00  1  ██████████████████████████████
  2024-03-05 12:00  0
"
    );
}

#[test]
fn queries_answer_in_json() {
    let bench = Bench::with_events();
    let ask = |args: &[&str]| without_freshness(bench.json(&[&["query"], args].concat()));
    let from = "2024-03-05T00:00:00Z";
    let to = "2024-03-06T00:00:00Z";
    let range = ["--from", "2024-03-05", "--to", "2024-03-06"];
    let with_range = |args: &[&str]| ask(&[args, &range].concat());
    let since = "2024-03-04T10:00:00Z";
    assert_eq!(
        with_range(&["issue_created"]),
        json!({"events": ["issue_created"], "kind": "count", "from": from, "to": to, "partial": false,
            "since": since, "value": 2, "standard_error": 0.0})
    );
    assert_eq!(
        with_range(&["issue_created", "--sum", "--by", "day"]),
        json!({"events": ["issue_created"], "kind": "sum", "from": from, "to": to, "partial": false,
            "since": since, "value": 2.5, "standard_error": 0.0,
            "series": [{"from": from, "to": to, "value": 2.5, "standard_error": 0.0, "partial": false}]})
    );
    let mut unique = with_range(&["issue_created", "--unique", "user"]);
    let estimate = unique.as_object_mut().unwrap().remove("estimate").unwrap().as_f64().unwrap();
    assert!((estimate - 1.0).abs() < 0.01);
    assert_eq!(
        unique,
        json!({"events": ["issue_created"], "kind": "unique", "from": from, "to": to, "partial": false,
            "since": since, "value": 1, "standard_error": 0.0})
    );
    assert_eq!(
        with_range(&["issue_created", "--per-value", "label"]),
        json!({"events": ["issue_created"], "kind": "per_value", "from": from, "to": to, "partial": false,
            "since": since, "value": {"web": 1, "api": 1}, "standard_error": 0.0})
    );
    let running = ask(&["issue_created", "--last", "28d"]);
    assert_eq!((&running["partial"], &running["value"]), (&json!(true), &json!(0)));
    let open_end = ask(&["issue_created", "--from", "2024-03-05"]);
    assert_eq!((&open_end["partial"], &open_end["value"]), (&json!(true), &json!(2)));
}

#[test]
fn filters_take_numbers_and_texts_as_the_property_needs() {
    let bench = Bench::with_events();
    for (filter, value) in [
        ("label=web", 2),
        ("retries=2", 1),
        ("retries=2.0", 1),
        ("retries:=2", 1),
        ("value=5", 1),
        ("value=5.0", 1),
    ] {
        assert_eq!(bench.json(&["query", "issue_created", "--filter", filter])["value"], value, "{filter}");
    }
    for filter in ["label", "=x", ":=x", "value=many", "value=NaN"] {
        let ran = bench.run(&["query", "issue_created", "--filter", filter, "--json"]);
        assert_eq!((ran.code, ran.error().0.as_str()), (2, "usage"), "{filter}");
    }
    // The label is text even where it reads as a number, so that no such rule is recorded; none is ever 0.
    let ran = bench.run(&["query", "issue_created", "--filter", "label=5", "--json"]);
    assert_eq!((ran.code, ran.error().0.as_str()), (1, "not_recorded"));
    assert!(ran.error().1.contains("label: \"5\""), "{}", ran.err);
}

#[test]
fn an_unknown_event_fails_with_the_nearest_name_and_the_others_are_answered() {
    let bench = Bench::with_events();
    let ran = bench.run(&["query", "isue_created", "epic_created", "--json"]);
    assert_eq!(ran.code, 1);
    let (kind, message) = ran.error();
    assert_eq!(kind, "unknown_event");
    assert!(message.ends_with("did you mean `issue_created`?"), "{message}");
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&document["events"], &document["value"]), (&json!(["epic_created"]), &json!(1)));
    let ran = bench.run(&["query", "isue_created"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(
        ran.err.starts_with("error: the store has never recorded an event `isue_created`"),
        "{}",
        ran.err
    );
}

#[test]
fn queries_compare_with_the_time_before_and_around_a_mark() {
    let bench = Bench::new();
    let hour = |day: u32, hour: u32| {
        format!(
            "{{\"event\":\"issue_created\",\"time\":\"2024-03-{day:02}T{hour:02}:00:00Z\",\"user\":{hour},\"label\":\"web\"}}\n"
        )
    };
    let log: String =
        (1..=30).map(|day| hour(day, day % 24).repeat(if day < 20 { 40 } else { 90 })).collect();
    bench.write("log.ndjson", log);
    assert_eq!(bench.run(&["import", "log.ndjson", "--definitions", "config"]).code, 0);
    let ask = |args: &[&str]| bench.json(&[&["query", "issue_created"], args].concat())["compare"].clone();
    let previous =
        ask(&["--from", "2024-03-20", "--to", "2024-03-25", "--compare", "previous", "--by", "day"]);
    let (before, after) = (&previous["before"], &previous["after"]);
    assert_eq!(
        (&previous["with"], &before["value"], &after["value"]),
        (&json!("previous"), &json!(200), &json!(450))
    );
    assert_eq!(
        (&before["from"], &after["to"]),
        (&json!("2024-03-15T00:00:00Z"), &json!("2024-03-25T00:00:00Z"))
    );
    assert_eq!(
        (&previous["difference"], &previous["percent"], &previous["verdict"]),
        (&json!(250.0), &json!(125.0), &json!("rise"))
    );
    assert_eq!((before["series"].as_array().unwrap().len(), &after["series"][0]["value"]), (5, &json!(90)));
    bench.json(&["mark", "v1", "--at", "2024-03-20"]);
    let around = ask(&["--last", "5d", "--compare", "v1"]);
    assert_eq!(
        (&around["with"], &around["mark"]),
        (&json!("mark"), &json!({"name": "v1", "at": "2024-03-20T00:00:00Z"}))
    );
    assert_eq!((&around["before"]["value"], &around["after"]["value"]), (&json!(200), &json!(450)));
    let values = ask(&["--per-value", "label", "--last", "5d", "--compare", "v1"]);
    assert_eq!(values["values"]["web"]["difference"], json!(250.0));
    for (args, code, kind) in [
        (&["--last", "5d", "--compare", "v2"][..], 1, "unknown_mark"),
        (&["--compare", "previous"], 2, "usage"),
        (&["--from", "2024-03-20", "--to", "2024-03-25", "--compare", "v1"], 2, "usage"),
    ] {
        let ran = bench.run(&[&["query", "issue_created", "--json"], args].concat());
        assert_eq!((ran.code, ran.error().0.as_str()), (code, kind), "{args:?}");
    }
}
