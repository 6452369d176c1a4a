//! Whether a store works, and why not.

use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::time::timestamp::Timestamp;

/// Whether an opened store does its work.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// use headcount::{Definitions, EventDefinition, Status, Store};
///
/// let definitions = Definitions::new().event(EventDefinition::new("page_viewed"))?;
/// let store = Store::builder_in_memory().definitions(definitions).open()?;
/// let health = store.health();
/// assert_eq!((health.status, health.trouble), (Status::Working, None));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// How it stands.
    pub status: Status,
    /// What is wrong, unless it is working.
    pub trouble: Option<Trouble>,
    /// For how long the oldest event that is not durable yet has waited, at the most; `None` when there is none. More than the flush
    /// interval and the time of a commit means that commits fail, or that the disk does not keep up.
    pub oldest_unflushed: Option<Duration>,
}

/// How a store stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// The last commit succeeded, or there was none yet.
    Working,
    /// Work in the background fails. It is tried again, and this ends by itself when the cause has gone. Events wait in memory until the
    /// queue is full.
    Failing,
    /// The store could not be opened, and events are refused: see [`Builder::open_or_disabled`](crate::Builder::open_or_disabled).
    Disabled,
}

/// What is wrong with a store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trouble {
    /// For programs.
    pub kind: ErrorKind,
    /// For people: the file, what is wrong, and the remedy.
    pub message: String,
    /// Since when, by the store's clock.
    pub since: Timestamp,
}

impl Trouble {
    pub(crate) fn new(error: &Error, since: Timestamp) -> Self {
        Self { kind: error.kind(), message: error.to_string(), since }
    }

    /// The same trouble goes on since when it began.
    pub(crate) fn after(mut self, before: Option<&Self>) -> Self {
        if let Some(before) = before {
            self.since = before.since;
        }
        self
    }

    pub(crate) fn error(&self) -> Error {
        Error::new(self.kind, self.message.clone())
    }
}
