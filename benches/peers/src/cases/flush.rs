//! What does the flush of a typical second cost, and does it cost more with a longer history?

use std::path::{Path, PathBuf};
use std::time::Duration;

use headcount::{
    Definitions, EventDefinition, ManualClock, MetricDefinition, Overflow, Query, Rule, Store, TimeFrame,
    Timestamp, Tracker,
};
use rusqlite::{Connection, params};
use tempfile::TempDir;

use crate::clock::timed;
use crate::figure::{Better, Report};
use crate::ours::{NOW_UNIX_SECONDS, file_bytes};
use crate::{Done, Scale, check};

const EVENTS: usize = 600;
const SMALL_SKETCHES: usize = 300;
const LARGE_SKETCHES: usize = 100;
/// The users of a day.
const SMALL_USERS: u64 = 100;
const LARGE_USERS: u64 = 20_000;
/// So many new users change a large sketch almost certainly.
const NEW_USERS: u64 = 10;
const HOURS_PER_DAY: i64 = 24;
const TIME: &str = "flush";

pub(crate) fn run(scale: Scale) -> Done<Report> {
    let histories = scale.pick([28, 400], [1, 2]);
    let folder = tempfile::tempdir()?;
    let mut stores = Vec::new();
    for days in histories {
        stores.push((format!("{days} days stored"), Flushes::new(folder.path(), days)?));
    }
    let mut report = Report::default();
    for _ in 0..scale.rounds * scale.pick(5, 1) {
        for (case, flushes) in &mut stores {
            let cost = flushes.one()?;
            report.add(case, TIME, "ms", Better::Less, cost.seconds * 1e3);
            report.add(case, "log", "bytes", Better::Less, cost.log_bytes);
        }
    }
    for (case, flushes) in &stores {
        report.add(case, "file", "bytes", Better::Less, file_bytes(&flushes.path)?);
        flushes.check()?;
    }
    let cases: Vec<_> = stores.iter().map(|(case, _)| case.clone()).collect();
    report.compare(TIME, &cases[1], &cases[0]);
    report.note(format!("A second in which {EVENTS} counters, {SMALL_SKETCHES} small and {LARGE_SKETCHES} dense sketches change."));
    Ok(report)
}

/// What one flush cost.
pub(crate) struct Cost {
    pub(crate) seconds: f64,
    pub(crate) log_bytes: f64,
}

/// A store with a history, and flushes that change the same number of rows each time.
pub(crate) struct Flushes {
    pub(crate) path: PathBuf,
    store: Store,
    tracker: Tracker,
    /// For emptying the log between two flushes.
    beside: Connection,
    next_user: u64,
    /// Of the first event.
    tracked: u64,
}

impl Flushes {
    pub(crate) fn new(folder: &Path, days: i64) -> Done<Self> {
        let path = TempDir::new_in(folder)?.keep().join("usage.db");
        let store = open(&path)?;
        let mut flushes = Self {
            tracker: store.tracker(),
            store,
            beside: Connection::open(&path)?,
            path,
            next_user: 0,
            tracked: 0,
        };
        flushes.track(SMALL_USERS, LARGE_USERS)?;
        flushes.store.close()?;
        repeat_the_day(&mut flushes.beside, days)?;
        flushes.store = open(&flushes.path)?;
        flushes.tracker = flushes.store.tracker();
        // The first flush fills the page cache.
        flushes.one()?;
        Ok(flushes)
    }

    pub(crate) fn one(&mut self) -> Done<Cost> {
        self.track(1, NEW_USERS)?;
        self.empty_log()?;
        let (seconds, flushed) = timed(|| self.store.flush());
        flushed?;
        let log = self.path.with_extension("db-wal");
        Ok(Cost { seconds, log_bytes: std::fs::metadata(log)?.len() as f64 })
    }

    /// The history was copied from the day's rows, but the row of all time was not: it has what was tracked.
    pub(crate) fn check(&self) -> Done {
        let stored = self.store.value(&Query::total(name(0)))?.count();
        check::same("headcount's total of the first event", Some(self.tracked), stored)
    }

    fn track(&mut self, small: u64, large: u64) -> Done {
        for event in 0..EVENTS {
            let event_tracker = self.tracker.event(&name(event))?;
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
        self.tracked += small;
        Ok(())
    }

    fn empty_log(&self) -> Done {
        let busy: i64 = self.beside.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        check::same("what keeps the log from being emptied", 0, busy)
    }
}

fn open(path: &Path) -> Done<Store> {
    let store = Store::builder(path)
        .definitions(definitions()?)
        .clock(ManualClock::new(Timestamp::from_unix_seconds(NOW_UNIX_SECONDS)))
        .flush_every(Duration::from_secs(3_600))
        .on_overflow(Overflow::Wait(Duration::from_secs(60)))
        .open()?;
    Ok(store)
}

fn definitions() -> Done<Definitions> {
    let mut all = Definitions::new();
    for number in 0..EVENTS {
        all = all.event(EventDefinition::new(name(number)).identifier("user"))?;
        if number < SMALL_SKETCHES + LARGE_SKETCHES {
            let metric = MetricDefinition::new(format!("unique.{}", name(number)), TimeFrame::All);
            all = all.metric(metric.rule(Rule::unique(name(number), "user")))?;
        }
    }
    Ok(all)
}

fn name(event: usize) -> String {
    format!("event_{event:03}")
}

/// Copies the one stored day to each of the days before it, as if they had been united into the sketches of all time.
fn repeat_the_day(connection: &mut Connection, days: i64) -> Done {
    let transaction = connection.transaction()?;
    let (day, hour): (i64, i64) = transaction.query_row(
        "SELECT (SELECT max(bucket) FROM sketches), (SELECT min(bucket) FROM counts WHERE bucket > 0)",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    for back in 1..days {
        for (table, column, bucket, step) in [
            ("sketches", "blob", day, back),
            ("counts", "count", day, back),
            ("counts", "count", hour, back * HOURS_PER_DAY),
        ] {
            let sql = format!(
                "INSERT INTO {table} SELECT bucket - ?1, series, {column} FROM {table} WHERE bucket = ?2"
            );
            transaction.execute(&sql, params![step, bucket])?;
        }
    }
    transaction
        .execute("UPDATE store SET united_bucket = ?1, united_series = ?2", params![day - 1, i64::MAX])?;
    transaction
        .execute("INSERT INTO sketches SELECT 0, series, blob FROM sketches WHERE bucket = ?1", [day])?;
    transaction.commit()?;
    Ok(())
}
