//! How fast a log is imported: in lines a second, from a file into a store on disk.
//!
//! Two logs: lines as most programs write them, and the history of the Redis project that the binary carries, repeated. Medians
//! of the rounds, in which both take turns. What the store answers is held against what was written.
#![allow(
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops where it is wrong"
)]

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use flate2::read::GzDecoder;
use headcount::{
    Definitions, EventDefinition, MetricDefinition, Mode, Query, Rule, Store, TimeFrame, Timestamp, Value,
};

const LABELS: [&str; 4] = ["web", "api", "cli", "mobile"];
const USERS: u64 = 100_000;
const PROJECTS: u64 = 2_000;
const FROM: i64 = 1_700_000_000;
const SECONDS_PER_LINE: u64 = 2;
const REDIS_HISTORY: &[u8] = include_bytes!("../src/cli/sample/redis-history.ndjson.gz");

struct Scale {
    rounds: usize,
    lines: u64,
    repeats: usize,
}

fn main() {
    // `cargo test` runs benches too; there one small round shows that they work.
    let scale = if std::env::args().any(|argument| argument == "--bench") {
        Scale { rounds: 7, lines: 2_000_000, repeats: 40 }
    } else {
        Scale { rounds: 1, lines: 20_000, repeats: 1 }
    };
    let folder = tempfile::tempdir().unwrap();
    let typical = folder.path().join("typical.ndjson");
    std::fs::write(&typical, typical_lines(scale.lines)).unwrap();
    let mut once = String::new();
    GzDecoder::new(REDIS_HISTORY).read_to_string(&mut once).unwrap();
    let redis = folder.path().join("redis.ndjson");
    std::fs::write(&redis, once.repeat(scale.repeats)).unwrap();

    let (mut typical_rates, mut redis_rates) = (Vec::new(), Vec::new());
    for _ in 0..scale.rounds {
        typical_rates.push(import_typical(&typical, scale.lines));
        redis_rates.push(import_redis(&redis, &once, scale.repeats as u64));
    }
    report("event, time, user, project, label", typical_rates);
    report("the history of Redis", redis_rates);
}

fn import_typical(log: &Path, lines: u64) -> f64 {
    let definitions = Definitions::new()
        .event(EventDefinition::new("page_viewed").identifier("user").identifier("project").label())
        .and_then(|all| all.metric(metric("users", Rule::unique("page_viewed", "user"))))
        .and_then(|all| all.metric(metric("labels", Rule::per_value("page_viewed", "label"))))
        .unwrap();
    let (store, rate) = import(log, definitions, lines);
    let Value::PerValue(labels) = store.value(&Query::per_value("page_viewed", "label")).unwrap().value
    else {
        unreachable!("labels are counted per value")
    };
    for (position, label) in (0..).zip(LABELS) {
        let written = (0..lines).filter(|line| label_of(*line) == position).count() as u64;
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
    let (store, rate) = import(log, definitions, once.lines().count() as u64 * repeats);
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

/// Imports a log into a new store; lines a second until all are durable.
fn import(log: &Path, definitions: Definitions, lines: u64) -> (Store, f64) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::builder(folder.path().join("usage.db"))
        .definitions(definitions)
        .mode(Mode::Inline)
        .open()
        .unwrap();
    let start = Instant::now();
    let report = store.import("log", File::open(log).unwrap()).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!((report.lines, report.accepted), (lines, lines));
    assert_eq!(store.reader().ledger().unwrap().stored, lines);
    (store, lines as f64 / seconds)
}

fn metric(key_path: &str, rule: Rule) -> MetricDefinition {
    MetricDefinition::new(key_path, TimeFrame::All).rule(rule)
}

fn typical_lines(lines: u64) -> String {
    let mut log = String::new();
    for line in 0..lines {
        let random = mixed(line);
        let time = Timestamp::from_unix_seconds(FROM).plus_seconds((line / SECONDS_PER_LINE).cast_signed());
        writeln!(
            log,
            "{{\"event\":\"page_viewed\",\"time\":\"{time}\",\"user\":{},\"project\":{},\"label\":\"{}\"}}",
            100_000 + random % USERS,
            1 + (random >> 32) % PROJECTS,
            LABELS[label_of(line)],
        )
        .unwrap();
    }
    log
}

fn label_of(line: u64) -> usize {
    usize::try_from(mixed(line) >> 20 & 3).unwrap()
}

/// SplitMix64's finalizer: a number that looks random, the same in each run.
fn mixed(line: u64) -> u64 {
    let z = line.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn report(what: &str, mut rates: Vec<f64>) {
    rates.sort_by(f64::total_cmp);
    println!("{what:<44}{:>12.0} lines/s", rates[rates.len() / 2]);
}
