//! The ping: its document, its sources, its weeks, and many processes at once.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of tests may fail as tests do, and say what they skip"
)]

#[path = "../common/mod.rs"]
mod common;
mod document;
#[cfg(feature = "yaml")]
mod gitlab;
mod hostile;
mod processes;
mod sources;
#[cfg(feature = "yaml")]
mod sums;
mod weeks;

use headcount::{
    DataCategory, DataSource, Definitions, Event, EventDefinition, ManualClock, MetricDefinition,
    MetricReport, Mode, PingReport, Rule, Store, TimeFrame, Timestamp, ValueType,
};
use serde_json::Value as Json;

use common::child;

/// Does nothing, unless another test of this program has started it as a process of its own.
#[test]
fn a_child() {
    match child::role().as_deref() {
        None => {}
        Some(processes::WEEKS) => processes::child(),
        Some(processes::KILLED) => processes::killed(),
        Some(other) => panic!("{other}"),
    }
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// Two metrics of events, one of the host's settings, one that says who the installation is.
fn definitions() -> Definitions {
    let metric = MetricDefinition::new;
    Definitions::new()
        .event(EventDefinition::new("issue_created").identifier("user").value())
        .unwrap()
        .metric(metric("counts.issues", TimeFrame::All).rule(Rule::count("issue_created")))
        .unwrap()
        .metric(
            metric("users.creating_weekly", TimeFrame::SevenDays).rule(Rule::unique("issue_created", "user")),
        )
        .unwrap()
        .metric(
            metric("settings.theme", TimeFrame::None)
                .source(DataSource::System)
                .value(ValueType::String)
                .category(DataCategory::Operational),
        )
        .unwrap()
        .metric(metric("counts.gone", TimeFrame::All).rule(Rule::count("issue_created")).removed())
        .unwrap()
}

fn store(definitions: Definitions, clock: &ManualClock) -> Store {
    Store::builder_in_memory()
        .definitions(definitions)
        .clock(clock.clone())
        .mode(Mode::Inline)
        .open()
        .unwrap()
}

/// A store with three events of two users in the week before the clock's.
fn counted(clock: &ManualClock) -> Store {
    let now = clock.now();
    clock.set(now.plus_seconds(-7 * 86_400));
    let store = store(definitions(), clock);
    for user in [1, 2, 2] {
        store.tracker().track(Event::new("issue_created").user(user));
    }
    store.flush().unwrap();
    clock.set(now);
    store
}

fn json(report: &PingReport) -> Json {
    serde_json::from_str(&report.document).unwrap()
}

/// The value at a key path, if there is one.
fn value<'a>(document: &'a Json, key_path: &str) -> Option<&'a Json> {
    key_path.split('.').try_fold(document, |json, key| json.get(key))
}

#[track_caller]
fn report_of<'a>(report: &'a PingReport, key_path: &str) -> &'a MetricReport {
    report.metrics.iter().find(|metric| metric.key_path == key_path).unwrap()
}
