//! Upkeep: what is written to a store besides events, without tracking any.

use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::report::reader::Reader;
use crate::storage::batch::{Batch, Marking, ProducerId};
use crate::storage::mark::Mark;
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
    writer: SqliteWriter,
    reader: Reader,
    clock: Clock,
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
        Ok(Self { writer, reader, clock })
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

    fn commit(&mut self, marking: Marking) -> Result<Commit, Error> {
        let mut batch = Batch::empty(ProducerId(sqlite::random()?), 1, self.clock.now());
        batch.marking = Some(marking);
        self.writer.commit(&batch)
    }
}
