//! How fast is a log imported, from a file into a store on disk?
//!
//! Two logs: lines as most programs write them, and the history of the Redis project that the binary carries, repeated. What the
//! store answers is held against what was written.
#![allow(
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops where it is wrong"
)]

mod rounds;

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use headcount::{
    Definitions, EventDefinition, MetricDefinition, Mode, Query, Rule, Store, TimeFrame, Timestamp, Value,
};

use rounds::{SplitMix, Table, nanoseconds, scale};

const ROUNDS: usize = 7;
const LINES: u64 = 2_000_000;
const REPEATS: usize = 40;
const LABELS: [&str; 4] = ["web", "api", "cli", "mobile"];
const USERS: u64 = 100_000;
const PROJECTS: u64 = 2_000;
const FROM: i64 = 1_700_000_000;
const LINES_PER_SECOND: u64 = 2;
const REDIS_HISTORY: &[u8] = include_bytes!("../src/cli/sample/redis-history.ndjson.gz");

fn main() {
    let (lines, repeats) = scale((LINES, REPEATS), (20_000, 1));
    let folder = tempfile::tempdir().unwrap();
    let typical = folder.path().join("typical.ndjson");
    let labels = write_typical(&typical, lines);
    let mut once = String::new();
    GzDecoder::new(REDIS_HISTORY).read_to_string(&mut once).unwrap();
    let redis = folder.path().join("redis.ndjson");
    std::fs::write(&redis, once.repeat(repeats)).unwrap();

    let mut table = Table::new("lines/s", &["median"]);
    table.row("event, time, user, project, label").case(|| import_typical(&typical, lines, labels));
    table.row("the history of Redis").case(|| import_redis(&redis, &once, repeats as u64));
    table.run(ROUNDS);
}

fn import_typical(log: &Path, lines: u64, written: [u64; LABELS.len()]) -> f64 {
    let definitions = Definitions::new()
        .event(EventDefinition::new("page_viewed").identifier("user").identifier("project").label())
        .and_then(|all| all.metric(metric("users", Rule::unique("page_viewed", "user"))))
        .and_then(|all| all.metric(metric("labels", Rule::per_value("page_viewed", "label"))))
        .unwrap();
    let (store, rate, _folder) = import(log, definitions, lines);
    let Value::PerValue(labels) = store.value(&Query::per_value("page_viewed", "label")).unwrap().value
    else {
        unreachable!("labels are counted per value")
    };
    for (label, written) in LABELS.into_iter().zip(written) {
        assert_eq!(labels["label"][label], written, "{label}");
    }
    rate
}

fn import_redis(log: &Path, once: &str, repeats: u64) -> f64 {
    let definitions = Definitions::new()
        .event(EventDefinition::new("commit_authored").identifier("user").value())
        .and_then(|all| all.event(EventDefinition::new("file_touched").identifier("user").label().value()))
        .and_then(|all| all.metric(metric("authors", Rule::unique("commit_authored", "user"))))
        .and_then(|all| all.metric(metric("lines", Rule::sum("file_touched"))))
        .unwrap();
    let (store, rate, _folder) = import(log, definitions, once.lines().count() as u64 * repeats);
    let written: f64 = once
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|line| line["event"] == "file_touched")
        .map(|line| line["value"].as_f64().unwrap())
        .sum();
    let stored = store.value(&Query::sum("file_touched")).unwrap().value;
    assert_eq!(stored, Value::Sum { sum: written * repeats as f64, saturated: false });
    rate
}

/// Imports a log into a new store, whose folder must outlive its answers; lines a second until all are durable.
fn import(log: &Path, definitions: Definitions, lines: u64) -> (Store, f64, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::builder(folder.path().join("usage.db"))
        .definitions(definitions)
        .mode(Mode::Inline)
        .open()
        .unwrap();
    let mut report = None;
    let took = nanoseconds(|| report = Some(store.import("log", File::open(log).unwrap()).unwrap()));
    let report = report.unwrap();
    assert_eq!((report.lines, report.accepted), (lines, lines));
    assert_eq!(store.reader().ledger().unwrap().stored, lines);
    (store, lines as f64 / took * 1e9, folder)
}

fn metric(key_path: &str, rule: Rule) -> MetricDefinition {
    MetricDefinition::new(key_path, TimeFrame::All).rule(rule)
}

/// Writes the log; how many lines have each label.
fn write_typical(path: &Path, lines: u64) -> [u64; LABELS.len()] {
    let mut random = SplitMix::new(1);
    let (mut log, mut written) = (String::new(), [0; LABELS.len()]);
    for line in 0..lines {
        let time = Timestamp::from_unix_seconds(FROM).plus_seconds((line / LINES_PER_SECOND).cast_signed());
        let label = usize::try_from(random.below(LABELS.len() as u64)).unwrap();
        written[label] += 1;
        writeln!(
            log,
            "{{\"event\":\"page_viewed\",\"time\":\"{time}\",\"user\":{},\"project\":{},\"label\":\"{}\"}}",
            100_000 + random.below(USERS),
            1 + random.below(PROJECTS),
            LABELS[label],
        )
        .unwrap();
    }
    std::fs::write(path, log).unwrap();
    written
}
