//! A store with a history, and flushes of a typical second: 600 counters, 300 small sketches and 100 large ones have changed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use headcount::{Definitions, EventDefinition, ManualClock, Overflow, Rule, Store, Timestamp, Tracker};
use rusqlite::{Connection, params};

const EVENTS: usize = 600;
const SMALL_SKETCHES: usize = 300;
const LARGE_SKETCHES: usize = 100;
/// The users of a day.
const SMALL_USERS: u64 = 100;
const LARGE_USERS: u64 = 20_000;
/// So many new users change a large sketch almost certainly.
const NEW_USERS: u64 = 10;
const FIRST_USER_OF_NEXT: u64 = 1_000_000;
/// 2026-11-22, 10:00 UTC.
const NOW_UNIX_SECONDS: i64 = 1_795_341_600;
const HOURS_PER_DAY: i64 = 24;
/// Flushes that change the same number of rows each time.
pub(crate) struct TypicalSeconds {
    path: PathBuf,
    store: Store,
    tracker: Tracker,
    /// For emptying the log between two flushes.
    beside: Connection,
    next_user: u64,
}

/// What a flush took.
#[allow(dead_code, reason = "a bench asks for the time, a test for the bytes alone")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flush {
    pub(crate) milliseconds: f64,
    /// The write-ahead log, which was empty before.
    pub(crate) log_bytes: u64,
}

impl TypicalSeconds {
    /// Each day before today has all of today's sketches, or so many bytes of them as are given here: a flush reads none of them.
    pub(crate) fn new(path: &Path, days: i64, sketch_bytes: i64) -> Self {
        let store = open(path);
        let mut seconds = Self {
            path: path.to_owned(),
            tracker: store.tracker(),
            store,
            beside: Connection::open(path).unwrap(),
            next_user: 0,
        };
        seconds.track(SMALL_USERS, LARGE_USERS);
        seconds.store.close().unwrap();
        repeat_the_day(&mut seconds.beside, days, sketch_bytes);
        seconds.store = open(path);
        seconds.tracker = seconds.store.tracker();
        // The first flush fills the page cache.
        seconds.flush();
        seconds
    }

    pub(crate) fn flush(&mut self) -> Flush {
        self.track(1, NEW_USERS);
        self.empty_log();
        let start = Instant::now();
        self.store.flush().unwrap();
        let milliseconds = start.elapsed().as_secs_f64() * 1e3;
        let log_bytes = std::fs::metadata(self.path.with_extension("db-wal")).unwrap().len();
        Flush { milliseconds, log_bytes }
    }

    fn track(&mut self, small: u64, large: u64) {
        for event in 0..EVENTS {
            let event_tracker = self.tracker.event(&name(event)).unwrap();
            let users = match event {
                0..SMALL_SKETCHES => small,
                _ if event < SMALL_SKETCHES + LARGE_SKETCHES => large,
                _ => 1,
            };
            // Each sketch has users of its own.
            let first = FIRST_USER_OF_NEXT * event as u64 + self.next_user;
            for user in first..first + users {
                event_tracker.user(user).track();
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
    let builder = Store::builder(path)
        .definitions(definitions())
        .clock(ManualClock::new(Timestamp::from_unix_seconds(NOW_UNIX_SECONDS)))
        // No flush but those that are asked for.
        .flush_every(Duration::from_secs(3_600))
        .on_overflow(Overflow::Wait(Duration::from_secs(60)));
    let uniques = (0..SMALL_SKETCHES + LARGE_SKETCHES).map(|event| Rule::unique(name(event), "user"));
    uniques.fold(builder, |builder, rule| builder.record(rule)).open().unwrap()
}

fn definitions() -> Definitions {
    (0..EVENTS).fold(Definitions::new(), |all, event| {
        all.event(EventDefinition::new(name(event)).identifier("user")).unwrap()
    })
}

fn name(event: usize) -> String {
    format!("event_{event:03}")
}

/// Copies the one stored day to each of the days before it, as if they had been united into the sketches of all time.
fn repeat_the_day(connection: &mut Connection, days: i64, sketch_bytes: i64) {
    let transaction = connection.transaction().unwrap();
    let (day, hour): (i64, i64) = transaction
        .query_row(
            "SELECT (SELECT max(bucket) FROM sketches), (SELECT min(bucket) FROM counts WHERE bucket > 0)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    let blob = format!("substr(blob, 1, {sketch_bytes})");
    for back in 1..days {
        for (table, column, bucket, step) in [
            ("sketches", blob.as_str(), day, back),
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
