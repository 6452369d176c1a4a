//! `headcount ping preview`.

use serde_json::json;

use crate::bench::Bench;

#[test]
fn metrics_nest_by_their_key_paths_and_the_others_have_reasons() {
    let bench = Bench::with_events();
    let extra = "key_path: settings.colour\ndescription: x\ndata_source: system\ntime_frame: none\n";
    bench.write("config/metrics/colour.yml", extra);
    // Needs an object where `counts.issues` has its number.
    let below = "key_path: counts.issues.open\ndescription: x\ndata_source: internal_events\n\
                 time_frame: all\nevents: [{name: epic_created}]\n";
    bench.write("config/metrics/below.yml", below);
    let document =
        bench.json(&["ping", "preview", "--definitions", "config", "--as-of", "2024-03-12T09:00:00Z"]);
    assert_eq!(document["as_of"], "2024-03-12T09:00:00Z");
    let counts = &document["metrics"]["counts"];
    assert_eq!((&counts["issues"], &counts["minutes"]), (&json!(3), &json!(7.5)));
    assert_eq!(counts["by_label"], json!({"label": {"api": 1, "web": 2}}));
    assert_eq!(counts["openers_weekly"], json!(2));
    let missing = document["without_value"].as_array().unwrap();
    let of = |key_path: &str| missing.iter().find(|missing| missing["key_path"] == key_path).unwrap();
    assert_eq!(of("counts.issues.open")["reason"], "definitions");
    assert_eq!(of("settings.colour")["reason"], "no_source");
    assert!(document["metrics"].get("settings").is_none());
    let ran = bench.run(&["ping", "preview"]);
    assert_eq!(ran.code, 0);
    assert!(serde_json::from_str::<serde_json::Value>(&ran.out).unwrap()["counts"].is_object());
}
