//! What the front page shows holds.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

use headcount::{Definitions, MAX_EXTRAS, MAX_LINE_BYTES, MAX_TEXT_BYTES};

const README: &str = include_str!("../README.md");

fn block(language: &str) -> &'static str {
    let (_, rest) = README.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

#[test]
fn the_metric_of_the_front_page_loads_as_it_stands() {
    let event = "action: issue_created\ninternal_events: true\ndescription: An issue was created\nidentifiers: [user]\n\
                 additional_properties:\n  label:\n    description: Where\nproduct_group: none\nmilestone: '1.0'\n\
                 introduced_by_url: https://example.com/1\ntiers: [free]\n";
    let definitions = Definitions::embedded(&[("event.yml", event), ("metric.yml", block("yaml"))]).unwrap();
    let key_paths: Vec<_> = definitions.metrics().map(headcount::MetricDefinition::key_path).collect();
    assert_eq!(
        key_paths,
        [
            "redis_hll_counters.count_distinct_user_id_from_issue_created_monthly",
            "redis_hll_counters.count_distinct_user_id_from_issue_created_weekly"
        ]
    );
    assert_eq!(definitions.warnings(), []);
}

#[test]
fn the_limits_of_the_front_page_are_those_of_the_crate() {
    for limit in [
        format!("| {MAX_TEXT_BYTES} bytes |"),
        format!("| {MAX_EXTRAS} |"),
        format!("1 MiB; {} KiB |", MAX_LINE_BYTES / 1024),
    ] {
        assert!(README.contains(&limit), "{limit}");
    }
}
