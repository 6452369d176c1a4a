//! How long does a ping take? 1,000 metrics of 250 events over 28 days: of each event its total of 28 days and of all time, its users of a
//! week and of 28 days. From `Ping::build` to the document and what stands beside it; medians, the file in the system's cache.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops where it is wrong"
)]

mod rounds;

use std::hint::black_box;

use headcount::{
    Definitions, EventDefinition, ManualClock, MetricDefinition, MetricOutcome, Mode, Rule, Store, TimeFrame,
    Timestamp,
};
use rounds::{are_measured, median, nanoseconds, scale};

const DAY_SECONDS: i64 = 86_400;
const DAYS: i64 = 28;
/// A Monday: 28 whole days are four complete weeks.
const TODAY: &str = "2026-11-23";
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
    let today = Timestamp::parse(TODAY).unwrap();
    let clock = ManualClock::new(today.plus_seconds(-DAYS * DAY_SECONDS));
    let definitions = (0..events).fold(Definitions::new(), |all, event| {
        let name = format!("event_{event}");
        let metric = |what: &str, frame: TimeFrame, rule| {
            MetricDefinition::new(format!("{what}.{name}{}", frame.suffix()), frame).rule(rule)
        };
        all.event(EventDefinition::new(&name).identifier("user"))
            .unwrap()
            .metric(metric("counts", TimeFrame::TwentyEightDays, Rule::count(&name)))
            .unwrap()
            .metric(metric("counts", TimeFrame::All, Rule::count(&name)))
            .unwrap()
            .metric(metric("users", TimeFrame::SevenDays, Rule::unique(&name, "user")))
            .unwrap()
            .metric(metric("users", TimeFrame::TwentyEightDays, Rule::unique(&name, "user")))
            .unwrap()
    });
    let builder = Store::builder(folder.path().join("usage.db")).definitions(definitions);
    let store = builder.clock(clock.clone()).mode(Mode::Inline).open().unwrap();
    let trackers: Vec<_> =
        (0..events).map(|event| store.tracker().event(&format!("event_{event}")).unwrap()).collect();
    for day in 0..DAYS as u64 {
        for (event, tracker) in trackers.iter().enumerate() {
            // Half of them come every day.
            let all = users(event as u64);
            (0..all).for_each(|user| {
                tracker.user(user + if user % 2 == 0 { 0 } else { day * MOST_USERS }).track();
            });
        }
        store.flush().unwrap();
        clock.set(clock.now().plus_seconds(DAY_SECONDS));
    }
    let ping = store.ping();
    let report = ping.build().unwrap();
    let metrics = report.metrics.iter().filter(|metric| metric.outcome == MetricOutcome::Value).count();
    assert_eq!(metrics as u64, 4 * events);
    let figures: Vec<f64> =
        (0..rounds).map(|_| nanoseconds(|| drop(black_box(ping.build().unwrap()))) / 1e6).collect();
    let most = figures.iter().copied().fold(0.0, f64::max);
    let middle = median(figures);
    if are_measured() {
        println!("{what:<52}{middle:>8.1}{most:>8.1}{:>16.1}", middle * 1e3 / metrics as f64);
    }
}
