//! How long does a ping take? 1,000 metrics of 250 events over 28 days: of each event its total of 28 days and of all time, its users of a
//! week and of 28 days. From `Ping::build` to the document and what stands beside it; medians, the file in the system's cache.
#![allow(
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops where it is wrong"
)]

#[path = "rounds/month.rs"]
mod month;
mod rounds;

use std::hint::black_box;

use headcount::{MetricOutcome, Store};

use month::{METRICS_AN_EVENT, month};
use rounds::{are_measured, median, nanoseconds, scale};

const MOST_USERS: u64 = 20_000;
/// From about 3,100 users on a day's sketch has registers.
const LARGE_USERS: u64 = 4_000;

fn main() {
    let events = scale(250, 3);
    let rounds = scale(11, 1);
    println!("{:<52}{:>8}{:>8}{:>16}", "ms a ping", "median", "most", "a metric, µs");
    case("users skewed, 20,000 of the first event a day", events, rounds, |event| MOST_USERS / (event + 1));
    case("4,000 users of every event a day", events, rounds, |_| scale(LARGE_USERS, 10));
}

fn case(what: &str, events: u64, rounds: usize, users: impl Fn(u64) -> u64) {
    let folder = tempfile::tempdir().unwrap();
    let store = month(Store::builder(folder.path().join("usage.db")), events, users);
    let ping = store.ping();
    let report = ping.build().unwrap();
    let metrics = report.metrics.iter().filter(|metric| metric.outcome == MetricOutcome::Value).count();
    assert_eq!(metrics as u64, METRICS_AN_EVENT * events);
    let figures: Vec<f64> =
        (0..rounds).map(|_| nanoseconds(|| drop(black_box(ping.build().unwrap()))) / 1e6).collect();
    let most = figures.iter().copied().fold(0.0, f64::max);
    let middle = median(figures);
    if are_measured() {
        println!("{what:<52}{middle:>8.1}{most:>8.1}{:>16.1}", middle * 1e3 / metrics as f64);
    }
}
