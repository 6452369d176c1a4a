//! Our own side: a store in a folder of its own, through the public API alone.

use std::path::{Path, PathBuf};
use std::time::Duration;

use headcount::{
    Clock, Definitions, EventDefinition, EventTracker, ManualClock, Overflow, Query, Rule, Stats, Store,
    Timestamp, Tracker,
};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::clock::Until;
use crate::workload::{Happening, Workload};
use crate::{Done, check};

/// A producer that finds the queue full waits, as rivals wait for their answers: nothing is refused.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Events between two looks at the clock.
pub(crate) const CHUNK: usize = 1_000;
/// 2026-11-23, 10:00 UTC: a Monday, so that the four complete weeks are the 28 days before.
pub(crate) const NOW_UNIX_SECONDS: i64 = 1_795_428_000;

/// An open store, and a tracker for each event.
pub(crate) struct Ours {
    pub(crate) store: Store,
    pub(crate) tracker: Tracker,
    pub(crate) handles: Vec<EventTracker>,
    pub(crate) path: PathBuf,
    _folder: TempDir,
}

impl Ours {
    /// For the events of a workload, with users and projects as uniques.
    pub(crate) fn open(workload: &Workload, clock: impl Into<Clock>) -> Done<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("usage.db");
        let store = open(&path, &workload.names, clock)?;
        let tracker = store.tracker();
        let handles = handles(&tracker, workload)?;
        Ok(Self { store, tracker, handles, path, _folder: folder })
    }

    /// The handles of a tracker that is nobody else's.
    pub(crate) fn fresh_handles(&self, workload: &Workload) -> Done<Vec<EventTracker>> {
        handles(&self.store.tracker(), workload)
    }

    #[inline]
    pub(crate) fn track(&self, event: Happening) {
        self.handles[usize::from(event.kind)].user(event.user).project(event.project).track();
    }

    /// Tracks a workload's events from `position` on until time is up; says how many.
    pub(crate) fn track_until(&self, workload: &Workload, position: u64, until: Until) -> u64 {
        let mut tracked = 0;
        while !until.is_over() {
            let events = workload.chunk(position + tracked, CHUNK);
            events.iter().for_each(|event| self.track(*event));
            tracked += events.len() as u64;
        }
        tracked
    }

    /// Closes, and compares what is in the file with what was tracked of each event.
    pub(crate) fn close_and_check(&self, workload: &Workload, tracked: &[u64]) -> Done {
        let stats = self.store.close()?;
        self.check(workload, tracked, &stats)
    }

    pub(crate) fn check(&self, workload: &Workload, tracked: &[u64], stats: &Stats) -> Done {
        check::same("headcount's ledger", tracked.iter().sum(), stats.stored)?;
        for (name, tracked) in workload.names.iter().zip(tracked) {
            let stored = self.store.value(&Query::total(name))?.count();
            check::same(&format!("headcount's total of {name}"), Some(*tracked), stored)?;
        }
        Ok(())
    }

    /// Compares the estimate of the first event's users, all of which must have been tracked.
    pub(crate) fn check_users(&self, workload: &Workload) -> Done {
        let users = self.store.value(&Query::unique(&workload.names[0], "user"))?;
        check::near("headcount's users", workload.users(0), users.value.number().unwrap_or(f64::NAN))
    }
}

fn handles(tracker: &Tracker, workload: &Workload) -> Done<Vec<EventTracker>> {
    Ok(workload.names.iter().map(|name| tracker.event(name)).collect::<Result<_, _>>()?)
}

/// A store at `path` whose every event has users and projects.
pub(crate) fn open(path: &Path, names: &[String], clock: impl Into<Clock>) -> Done<Store> {
    let mut definitions = Definitions::new();
    for name in names {
        definitions =
            definitions.event(EventDefinition::new(name).identifier("user").identifier("project"))?;
    }
    let mut builder =
        Store::builder(path).definitions(definitions).clock(clock).on_overflow(Overflow::Wait(LONGEST_WAIT));
    for name in names {
        builder = builder.record(Rule::unique(name, "user")).record(Rule::unique(name, "project"));
    }
    Ok(builder.open()?)
}

/// A clock that stands, for stores whose days are moved by hand.
pub(crate) fn standing_clock() -> ManualClock {
    ManualClock::new(Timestamp::from_unix_seconds(NOW_UNIX_SECONDS))
}

/// Bytes of a store's file once its log is empty, as it is when nobody has it open.
pub(crate) fn file_bytes(path: &Path) -> Done<f64> {
    let beside = Connection::open(path)?;
    let busy: i64 = beside.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    check::same("what keeps the log from being emptied", 0, busy)?;
    Ok(std::fs::metadata(path)?.len() as f64)
}
