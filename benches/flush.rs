//! The cost of a flush as the history grows: milliseconds, and bytes of write-ahead log.
//!
//! A flush of a busy second: 600 counters, 300 small sketches and 100 large ones have changed. Medians of the rounds, in which
//! the two stores take turns.
#![allow(
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops where it is wrong"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use headcount::{
    Definitions, EventDefinition, ManualClock, MetricDefinition, Overflow, Rule, Store, TimeFrame, Timestamp,
    Tracker,
};
use rusqlite::{Connection, params};

const EVENTS: usize = 600;
const SMALL_SKETCHES: usize = 300;
const LARGE_SKETCHES: usize = 100;
/// The users of a day.
const SMALL_USERS: u64 = 100;
const LARGE_USERS: u64 = 20_000;
/// So many new users change a large sketch almost certainly.
const NEW_USERS: u64 = 10;
/// 2026-11-22, 10:00 UTC.
const NOW_UNIX_SECONDS: i64 = 1_795_341_600;
const HOURS_PER_DAY: i64 = 24;

fn main() {
    // `cargo test` runs benches too; there one small round shows that they work.
    let (rounds, histories) =
        if std::env::args().any(|argument| argument == "--bench") { (21, [28, 400]) } else { (1, [1, 2]) };
    let folder = tempfile::tempdir().unwrap();
    let mut stores = histories
        .map(|days| (days, Flushes::new(&folder.path().join(format!("{days}.db")), days), vec![], vec![]));
    for _ in 0..rounds {
        for (_, flushes, milliseconds, bytes) in &mut stores {
            let (took, wrote) = flushes.one();
            milliseconds.push(took);
            bytes.push(wrote);
        }
    }
    for (days, flushes, milliseconds, bytes) in stores {
        let file = std::fs::metadata(&flushes.path).unwrap().len() as f64;
        let what = |what| format!("{what} with {days} stored days");
        report(&what("flush"), &format!("{:.1}", median(milliseconds)), "ms");
        report(&what("write-ahead log of a flush"), &format!("{:.0}", median(bytes) / 1024.0), "KiB");
        report(&what("file"), &format!("{:.0}", file / 1_048_576.0), "MiB");
    }
}

/// A store with a history, and flushes that change the same number of rows each time.
struct Flushes {
    path: PathBuf,
    store: Store,
    tracker: Tracker,
    /// For emptying the log between two flushes.
    beside: Connection,
    next_user: u64,
}

impl Flushes {
    fn new(path: &Path, days: i64) -> Self {
        let store = open(path);
        let mut flushes = Self {
            path: path.to_owned(),
            tracker: store.tracker(),
            store,
            beside: Connection::open(path).unwrap(),
            next_user: 0,
        };
        flushes.track(SMALL_USERS, LARGE_USERS);
        flushes.store.close().unwrap();
        repeat_the_day(&mut flushes.beside, days);
        flushes.store = open(path);
        flushes.tracker = flushes.store.tracker();
        // The first flush fills the page cache.
        flushes.one();
        flushes
    }

    /// Milliseconds, and the bytes of the log.
    fn one(&mut self) -> (f64, f64) {
        self.track(1, NEW_USERS);
        self.empty_log();
        let start = Instant::now();
        self.store.flush().unwrap();
        let took = start.elapsed().as_secs_f64() * 1e3;
        let log = self.path.with_extension("db-wal");
        (took, std::fs::metadata(log).unwrap().len() as f64)
    }

    fn track(&mut self, small: u64, large: u64) {
        for event in 0..EVENTS {
            let event_tracker = self.tracker.event(&name(event)).unwrap();
            let users = match event {
                0..SMALL_SKETCHES => small,
                _ if event < SMALL_SKETCHES + LARGE_SKETCHES => large,
                _ => 1,
            };
            for user in 0..users {
                event_tracker.user(self.next_user + user).track();
            }
        }
        self.next_user += large;
    }

    fn empty_log(&self) {
        let busy: i64 =
            self.beside.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
        assert_eq!(busy, 0, "the log was not emptied");
    }
}

fn open(path: &Path) -> Store {
    Store::builder(path)
        .definitions(definitions())
        .clock(ManualClock::new(Timestamp::from_unix_seconds(NOW_UNIX_SECONDS)))
        .flush_every(Duration::from_secs(3_600))
        .on_overflow(Overflow::Wait(Duration::from_secs(60)))
        .open()
        .unwrap()
}

fn definitions() -> Definitions {
    (0..EVENTS).fold(Definitions::new(), |all, number| {
        let all = all.event(EventDefinition::new(name(number)).identifier("user")).unwrap();
        if number >= SMALL_SKETCHES + LARGE_SKETCHES {
            return all;
        }
        let metric = MetricDefinition::new(format!("unique.{}", name(number)), TimeFrame::All);
        all.metric(metric.rule(Rule::unique(name(number), "user"))).unwrap()
    })
}

fn name(event: usize) -> String {
    format!("event_{event:03}")
}

/// Copies the one stored day to each of the days before it, as if they had been united into the sketches of all time.
fn repeat_the_day(connection: &mut Connection, days: i64) {
    let transaction = connection.transaction().unwrap();
    let (day, hour): (i64, i64) = transaction
        .query_row(
            "SELECT (SELECT max(bucket) FROM sketches), (SELECT min(bucket) FROM counts WHERE bucket > 0)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    for back in 1..days {
        for (table, column, bucket, step) in [
            ("sketches", "blob", day, back),
            ("counts", "count", day, back),
            ("counts", "count", hour, back * HOURS_PER_DAY),
        ] {
            transaction
                .execute(
                    &format!("INSERT INTO {table} SELECT bucket - ?1, series, {column} FROM {table} WHERE bucket = ?2"),
                    params![step, bucket],
                )
                .unwrap();
        }
    }
    transaction
        .execute("UPDATE store SET united_bucket = ?1, united_series = ?2", params![day - 1, i64::MAX])
        .unwrap();
    transaction
        .execute("INSERT INTO sketches SELECT 0, series, blob FROM sketches WHERE bucket = ?1", [day])
        .unwrap();
    transaction.commit().unwrap();
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn report(what: &str, figure: &str, unit: &str) {
    println!("{what:<48}{figure:>10} {unit}");
}
