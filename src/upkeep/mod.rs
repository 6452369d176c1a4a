//! Upkeep: what is written to a store besides events, without tracking any.

pub(crate) mod restore;
pub(crate) mod salvage;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::definition::Definitions;
use crate::error::{Error, ErrorKind};
use crate::ping::{Ping, PingKeeper};
use crate::report::reader::Reader;
use crate::storage::batch::{Batch, Marking, ProducerId};
use crate::storage::mark::Mark;
use crate::storage::ping::PingStep;
use crate::storage::retention::Retention;
use crate::storage::sqlite::{self, SqliteWriter};
use crate::storage::{Commit, Writer};
use crate::time::clock::Clock;
use crate::time::timestamp::Timestamp;

/// Writes what is no event to an existing store, while other processes track: for operators and their tools. It needs no
/// definitions, and says nothing about what is recorded.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// # use headcount::{Definitions, EventDefinition, Store};
/// use headcount::{Timestamp, Upkeep};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("usage.db");
/// # let definitions = Definitions::new().event(EventDefinition::new("page_viewed"))?;
/// # Store::builder(&path).definitions(definitions).open()?.close()?;
/// let mut upkeep = Upkeep::open(&path)?;
/// upkeep.mark_at("v1.4.0", Timestamp::parse("2026-11-10T14:00:00Z")?)?;
/// assert_eq!(upkeep.reader().marks()?.len(), 1);
/// # Ok(())
/// # }
/// ```
pub struct Upkeep {
    writer: Arc<Mutex<SqliteWriter>>,
    reader: Reader,
    clock: Clock,
}

/// What a call of [`Upkeep::retain`] removed.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// # use headcount::{Definitions, EventDefinition, Store};
/// use headcount::{Retention, Upkeep};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("usage.db");
/// # let definitions = Definitions::new().event(EventDefinition::new("page_viewed"))?;
/// # Store::builder(&path).definitions(definitions).open()?.close()?;
/// let mut upkeep = Upkeep::open(&path)?;
/// upkeep.set_retention(Retention::everything().hours_for_days(100))?;
/// assert_eq!(upkeep.retain()?.rows, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Removed {
    /// Rows of hours and days.
    pub rows: u64,
    /// By how much the file and its log are smaller.
    pub bytes: u64,
}

impl std::fmt::Debug for Upkeep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upkeep").field("reader", &self.reader).finish_non_exhaustive()
    }
}

impl Upkeep {
    /// Opens an existing store; it is never created.
    ///
    /// # Errors
    ///
    /// As [`Reader::open`], and [`ErrorKind::ReadOnly`] where the store cannot be written.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let (path, clock) = (path.as_ref(), Clock::system());
        // Opening for writing would create it.
        Reader::open(path)?;
        let (writer, storage) = sqlite::open(path, clock.now())?;
        let reader = Reader::new(Arc::new(storage), clock.clone(), None);
        Ok(Self { writer: Arc::new(Mutex::new(writer)), reader, clock })
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self.reader = self.reader.with_clock(self.clock.clone());
        self
    }

    /// Reads the store.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// As [`Store::mark`](crate::Store::mark): names this moment, unless the name has one.
    ///
    /// # Errors
    ///
    /// As [`Store::mark`](crate::Store::mark).
    pub fn mark(&mut self, name: &str) -> Result<Mark, Error> {
        let mark = Mark::new(name, self.clock.now())?;
        match self.commit(Marking::Make(mark.clone()))? {
            Commit::Applied | Commit::Repeated => Ok(mark),
            Commit::Overtaken => self.reader.find_mark(name),
        }
    }

    /// As [`Store::mark_at`](crate::Store::mark_at): names an instant, or moves the name there.
    ///
    /// # Errors
    ///
    /// As [`Store::mark`](crate::Store::mark).
    pub fn mark_at(&mut self, name: &str, at: Timestamp) -> Result<Mark, Error> {
        let mark = Mark::new(name, at)?;
        self.commit(Marking::Put(mark.clone()))?;
        Ok(mark)
    }

    /// Forgets a name; returns what it stood for.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownMark`] when there is none; the reason of a failed commit.
    pub fn remove_mark(&mut self, name: &str) -> Result<Mark, Error> {
        let mark = self.reader.find_mark(name)?;
        match self.commit(Marking::Remove { name: name.to_owned() })? {
            Commit::Applied | Commit::Repeated => Ok(mark),
            Commit::Overtaken => {
                Err(Error::new(ErrorKind::UnknownMark, format!("the mark `{name}` was removed just now")))
            }
        }
    }

    /// Sets how long buckets are kept, for every process that writes the store; each heeds it within a minute.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for a time or a size below its floor; the reason of a failed commit.
    pub fn set_retention(&mut self, retention: Retention) -> Result<(), Error> {
        retention.check()?;
        self.writer.lock().set_retention(retention, self.clock.now())
    }

    /// Removes all that is kept no longer, now, in pieces between which other processes write, and gives the space back to the file
    /// system. Writes a store that an older version made anew, for which it needs its size once more.
    ///
    /// # Errors
    ///
    /// The reason of a failed commit; what was removed before stays removed.
    pub fn retain(&mut self) -> Result<Removed, Error> {
        self.retain_until(&AtomicBool::new(false))
    }

    /// As [`Upkeep::retain`], and ends early when `stop` is set.
    pub(crate) fn retain_until(&mut self, stop: &AtomicBool) -> Result<Removed, Error> {
        let size = |reader: &Reader| reader.contents().map(|contents| contents.bytes + contents.log_bytes);
        let (before, mut rows) = (size(&self.reader)?, 0);
        while !stop.load(Ordering::Relaxed) {
            let pass = self.writer.lock().retain(self.clock.now())?;
            rows += pass.removed_rows as u64;
            if pass.is_done {
                self.writer.lock().shorten(self.clock.now())?;
                break;
            }
        }
        Ok(Removed { rows, bytes: before.saturating_sub(size(&self.reader)?) })
    }

    /// The ping of this store, by the definitions that it keeps.
    #[must_use]
    pub fn ping(&self) -> Ping {
        self.ping_of(&self.reader)
    }

    /// The ping of this store by other definitions than it keeps.
    #[must_use]
    pub fn ping_by(&self, definitions: Definitions) -> Ping {
        self.ping_of(&self.reader.clone().with_definitions(definitions))
    }

    fn ping_of(&self, reader: &Reader) -> Ping {
        let keeper = Keeper { writer: Arc::clone(&self.writer), clock: self.clock.clone() };
        Ping::kept_by(reader, Arc::new(keeper))
    }

    fn commit(&mut self, marking: Marking) -> Result<Commit, Error> {
        let mut batch = Batch::empty(ProducerId(sqlite::random()?), 1, self.clock.now());
        batch.marking = Some(marking);
        self.writer.lock().commit(&batch)
    }
}

struct Keeper {
    writer: Arc<Mutex<SqliteWriter>>,
    clock: Clock,
}

impl PingKeeper for Keeper {
    fn commit(&self, step: PingStep) -> Result<Commit, Error> {
        let mut batch = Batch::empty(ProducerId(sqlite::random()?), 1, self.clock.now());
        batch.ping = Some(step);
        self.writer.lock().commit(&batch)
    }
}
