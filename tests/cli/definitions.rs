//! `headcount definitions`.

use serde_json::{Value, json};

use crate::bench::{Bench, ISSUE_CREATED};

#[test]
fn definitions_are_checked_with_every_problem() {
    let bench = Bench::new();
    bench.write("good/a.yml", ISSUE_CREATED);
    let ran = bench.run(&["definitions", "check", "good", "--strict"]);
    assert_eq!(
        (ran.code, ran.out.as_str(), ran.err.as_str()),
        (0, "1 event and 0 metrics: 0 errors, 0 warnings\n", "")
    );

    let ran = bench.run(&["definitions", "check", "config"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.contains("config/metrics/counts.long.yml:1:1: warning: "), "{}", ran.out);
    let ran = bench.run(&["definitions", "check", "config", "--strict", "--json"]);
    assert_eq!((ran.code, ran.error().0.as_str()), (3, "definitions"));

    bench.write("bad/a.yml", "acton: push\n");
    bench.write("bad/b.yml", "action: ok\ninternal_events: true\nidentifers: [user]\n");
    let ran = bench.run(&["definitions", "check", "bad"]);
    assert_eq!(ran.code, 3);
    let errors: Vec<&str> = ran.out.lines().filter(|line| line.contains(": error: ")).collect();
    assert_eq!(errors.len(), 2, "{}", ran.out);
    assert!(errors[0].starts_with("bad/a.yml:1:1: ") && errors[0].contains("did you mean `action`?"));
    assert!(errors[1].starts_with("bad/b.yml:3:1: ") && errors[1].contains("did you mean `identifiers`?"));
    assert!(ran.err.starts_with("error: bad: 2 errors, "), "{}", ran.err);

    let ran = bench.run(&["definitions", "check", "bad", "--json"]);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&document["errors"], &document["events"]), (&json!(2), &Value::Null));
    let problem = &document["problems"][0];
    assert_eq!(
        (&problem["severity"], &problem["file"], &problem["line"], &problem["column"]),
        (&json!("error"), &json!("bad/a.yml"), &json!(1), &json!(1))
    );
    assert_eq!(bench.run(&["definitions", "check", "nowhere"]).code, 3);
}
