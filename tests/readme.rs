//! What the front page shows holds.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

use headcount::{Definitions, MAX_EXTRAS, MAX_LINE_BYTES, MAX_TEXT_BYTES};

const README: &str = include_str!("../README.md");

/// The blocks of a language, in their order.
fn blocks(language: &str) -> Vec<&'static str> {
    let begin = format!("```{language}\n");
    README.split(&begin).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_definitions_of_the_front_page_load_as_they_stand() {
    let yaml = blocks("yaml");
    let [event, metric] = yaml[..] else { panic!("{} blocks", yaml.len()) };
    let definitions = Definitions::embedded(&[("event.yml", event), ("metric.yml", metric)]).unwrap();
    let key_paths: Vec<_> = definitions.metrics().map(headcount::MetricDefinition::key_path).collect();
    assert_eq!(key_paths, ["counts.urgent_issues_monthly", "counts.urgent_issues_weekly"]);
}

#[test]
fn the_program_of_the_front_page_is_the_example_that_the_tests_run() {
    let example = include_str!("../examples/first_count.rs");
    assert!(example.ends_with(blocks("rust,no_run")[0]));
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
