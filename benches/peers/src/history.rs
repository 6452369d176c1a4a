//! Sketches of many metrics and days, made once and given to each contestant in its own form.

use std::path::{Path, PathBuf};

use headcount::{
    Definitions, Event, EventDefinition, ManualClock, MetricDefinition, Rule, Sketch, Store, TimeFrame,
};
use rusqlite::{Connection, params};

use crate::Done;
use crate::ours::standing_clock;
use crate::rivals::hyperloglog;
use crate::workload::SplitMix;

/// The users of a sketch that has all its registers.
pub(crate) const DENSE_USERS: u64 = 20_000;
/// A history goes so far back at the most.
const LONGEST_DAYS: i64 = 400;

/// One set of users, as each contestant keeps it.
pub(crate) struct Cell {
    pub(crate) ours: Vec<u8>,
    pub(crate) redis: Vec<u8>,
    pub(crate) hyperloglog: Vec<u8>,
}

/// The distinct user ids of a set; half of them are in the next set of this size too.
pub(crate) fn users(size: u64, set: u64) -> impl Iterator<Item = u64> {
    let first = 100_000 + set * size / 2;
    first..first + size
}

impl Cell {
    /// The set of so many users with this number.
    pub(crate) fn new(size: u64, set: u64) -> Done<Self> {
        let mut sketch = Sketch::new();
        users(size, set).for_each(|user| {
            sketch.add(user.to_string().as_bytes());
        });
        Ok(Self {
            ours: sketch.encode(),
            redis: sketch.to_redis_sparse().unwrap_or_else(|| sketch.to_redis()),
            hyperloglog: hyperloglog::blob(users(size, set).map(|user| SplitMix(user).next()))?,
        })
    }
}

/// A store file with a unique metric for each event, one user each on the standing clock's day, and room for a history.
pub(crate) struct History {
    pub(crate) path: PathBuf,
    connection: Connection,
    series: Vec<i64>,
    /// The bucket of the standing clock's day.
    today: i64,
}

impl History {
    pub(crate) fn create(folder: &Path, metrics: usize) -> Done<Self> {
        let path = folder.join("usage.db");
        let clock = standing_clock();
        // Recorded since then, and with a count of then: answers do not look before the first.
        clock.set(clock.now().plus_seconds(-LONGEST_DAYS * 86_400));
        let beginning = open(&path, metrics, clock)?;
        beginning.tracker().track(Event::new(&event(0)).user(1));
        beginning.close()?;
        let store = open(&path, metrics, standing_clock())?;
        let tracker = store.tracker();
        (0..metrics).for_each(|metric| tracker.track(Event::new(&event(metric)).user(1)));
        store.close()?;
        let connection = Connection::open(&path)?;
        let today = connection.query_row("SELECT max(bucket) FROM sketches", [], |row| row.get(0))?;
        let mut series = Vec::new();
        for metric in 0..metrics {
            let key = Rule::unique(event(metric), "user").key();
            series
                .push(connection.query_row("SELECT id FROM series WHERE key = ?1", [key], |row| row.get(0))?);
        }
        connection.execute_batch("BEGIN")?;
        Ok(Self { path, connection, series, today })
    }

    /// Puts a sketch so many days before the standing clock's.
    pub(crate) fn put(&self, metric: usize, days_back: usize, blob: &[u8]) -> Done {
        self.put_at(self.today - i64::try_from(days_back)?, metric, blob)
    }

    /// Puts what the days before the standing clock's unite to.
    pub(crate) fn put_all_time(&self, metric: usize, blob: &[u8]) -> Done {
        self.put_at(0, metric, blob)
    }

    fn put_at(&self, bucket: i64, metric: usize, blob: &[u8]) -> Done {
        let mut insert =
            self.connection.prepare_cached("INSERT OR REPLACE INTO sketches VALUES (?1, ?2, ?3)")?;
        insert.execute(params![bucket, self.series[metric], blob])?;
        Ok(())
    }

    /// Says that all days before the standing clock's are in the sketches of all time, and opens the store.
    pub(crate) fn finish(self) -> Done<Store> {
        self.connection.execute(
            "UPDATE store SET united_bucket = ?1, united_series = ?2",
            params![self.today - 1, i64::MAX],
        )?;
        self.connection.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")?;
        open(&self.path, self.series.len(), standing_clock())
    }
}

pub(crate) fn event(metric: usize) -> String {
    format!("event_{metric:04}")
}

fn open(path: &Path, metrics: usize, clock: ManualClock) -> Done<Store> {
    let mut all = Definitions::new();
    for metric in 0..metrics {
        let unique = MetricDefinition::new(format!("unique.{}", event(metric)), TimeFrame::TwentyEightDays);
        all = all.event(EventDefinition::new(event(metric)).identifier("user"))?;
        all = all.metric(unique.rule(Rule::unique(event(metric), "user")))?;
    }
    Ok(Store::builder(path).definitions(all).clock(clock).open()?)
}
