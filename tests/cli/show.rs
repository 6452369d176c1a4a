//! `headcount metric show`.

use serde_json::json;

use crate::bench::Bench;

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
