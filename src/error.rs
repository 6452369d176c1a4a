//! The errors of the crate: one opaque type with a kind, a small `Copy` type for the tracking path, and problems with a place.

use std::fmt;

/// Why an operation failed.
///
/// The message names the object (file, line, key, week) and says what to do. [`Error::kind`] is what programs should branch
/// on; the text may change between releases.
///
/// No type of a dependency is part of this type: the cause, where there is one, is reachable as `dyn Error` only.
///
/// ```
/// use headcount::{ErrorKind, Reader};
///
/// let error = Reader::open("no-such-folder/usage.db").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::StoreMissing);
/// assert!(error.to_string().contains("no-such-folder/usage.db"));
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    problems: Vec<Problem>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What went wrong, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The call itself makes no sense: a date that is none, a unique answer by the hour, an empty query.
    Usage,
    /// An event that no definition declares, or that was removed.
    UnknownEvent,
    /// A key path that no metric has.
    UnknownMetric,
    /// No mark has this name.
    UnknownMark,
    /// A rule that this store does not record; the message has the YAML to add.
    NotRecorded,
    /// A metric whose value comes from a source that nothing here provides, as a database.
    NoSource,
    /// A range whose buckets retention has removed.
    NotKept,
    /// Definitions that are missing or cannot mean anything; [`Error::problems`] lists each with its place.
    Definitions,
    /// There is no store at this path.
    StoreMissing,
    /// Another process holds the store longer than the deadline.
    StoreBusy,
    /// The file is not a store, or bytes in it are damaged.
    StoreDamaged,
    /// The store was written by a newer version of this crate.
    StoreNewer,
    /// The store's file was removed, or another is in its place, while it was open.
    StoreReplaced,
    /// The store or its folder cannot be written.
    ReadOnly,
    /// The disk is full.
    StoreFull,
    /// Bytes that are no sketch, or a sketch of another hash.
    Sketch,
    /// A file that is no bundle of pings, or one that was damaged.
    Bundle,
    /// The other side of a connection does not want what it was sent, or does not let it in.
    Refused,
    /// The other side of a connection could not be reached, or is out of order.
    Unreachable,
    /// A Redis, or a dump of one, holds something else than its keys say, or than may be imported or overwritten.
    Redis,
    /// An import source that changed before the point already read.
    SourceChanged,
    /// The store was closed.
    Closed,
    /// The call came from a fork of the process that opened the store. Fork first, and open stores afterwards, in the parent too.
    Forked,
    /// A limit in time passed before the operation finished.
    Deadline,
    /// A file could not be read or written.
    Io,
    /// A thread or an allocation of the crate itself failed.
    Internal,
}

impl Error {
    #[cold]
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), problems: Vec::new(), source: None }))
    }

    #[cold]
    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    #[cold]
    pub(crate) fn with_problems(mut self, problems: Vec<Problem>) -> Self {
        self.0.problems = problems;
        self
    }

    /// The same error, for another caller; without its source.
    #[cold]
    pub(crate) fn again(&self) -> Self {
        Self::new(self.0.kind, self.0.message.clone()).with_problems(self.0.problems.clone())
    }

    /// Puts what the caller knows (a path, a series, a week) in front of the message.
    #[cold]
    pub(crate) fn context(mut self, context: impl fmt::Display) -> Self {
        self.0.message = format!("{context}: {}", self.0.message);
        self
    }

    /// What went wrong, for programs.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The problems of the definitions, each with its place; empty for every other kind.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }
}

/// What the system says about a file, without its number.
#[cold]
pub(crate) fn plain(error: &std::io::Error) -> String {
    let words = error.to_string();
    words.split(" (os error ").next().unwrap_or_default().to_lowercase()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for problem in &self.0.problems {
            write!(f, "\n{problem}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("problems", &self.0.problems)
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

/// Why one event was not taken.
///
/// `Copy` and without allocation, so that a refusal costs as little as an event. Each reason is also counted in the store.
///
/// ```
/// # use headcount::{Definitions, Event, EventDefinition, Store, TrackError};
/// # fn main() -> Result<(), headcount::Error> {
/// let definitions = Definitions::new().event(EventDefinition::new("issue_created"))?;
/// let store = Store::builder_in_memory().definitions(definitions).open()?;
/// let refused = store.tracker().try_track(Event::new("issue_craeted"));
/// assert_eq!(refused, Err(TrackError::UnknownEvent));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TrackError {
    /// No definition declares this event.
    UnknownEvent,
    /// The definition says that the event was removed.
    RemovedEvent,
    /// The event does not declare this identifier.
    UndeclaredIdentifier,
    /// The event does not declare this custom property.
    UndeclaredProperty,
    /// A property has the wrong type, as a text for `value`.
    WrongType,
    /// An identifier or a text is longer than its limit.
    TooLong,
    /// More identifiers or custom properties than one event may carry.
    TooMany,
    /// A number that is infinite or not a number.
    NotFinite,
    /// The event's time lies further back than live tracking takes.
    TooLate,
    /// The event's time lies further ahead than clocks may differ.
    TooFuture,
    /// The queue is full: the aggregator or the disk does not keep up.
    QueueFull,
    /// The store was closed.
    Closed,
    /// The call came from a fork of the process that opened the store. Noticed when a buffer is full: of a child's first 1,024
    /// events some are taken, and lost with the child.
    Forked,
    /// The store could not be opened: see [`Builder::open_or_disabled`](crate::Builder::open_or_disabled).
    Disabled,
}

impl TrackError {
    /// Every reason, in the order of their codes.
    pub const ALL: &'static [Self] = &[
        Self::UnknownEvent,
        Self::RemovedEvent,
        Self::UndeclaredIdentifier,
        Self::UndeclaredProperty,
        Self::WrongType,
        Self::TooLong,
        Self::TooMany,
        Self::NotFinite,
        Self::TooLate,
        Self::TooFuture,
        Self::QueueFull,
        Self::Closed,
        Self::Forked,
        Self::Disabled,
    ];

    /// The place of the reason in [`TrackError::ALL`].
    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// The reason as one word, as it stands in the store and in JSON.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::UnknownEvent => "unknown_event",
            Self::RemovedEvent => "removed_event",
            Self::UndeclaredIdentifier => "undeclared_identifier",
            Self::UndeclaredProperty => "undeclared_property",
            Self::WrongType => "wrong_type",
            Self::TooLong => "too_long",
            Self::TooMany => "too_many",
            Self::NotFinite => "not_finite",
            Self::TooLate => "too_late",
            Self::TooFuture => "too_future",
            Self::QueueFull => "queue_full",
            Self::Closed => "closed",
            Self::Forked => "forked",
            Self::Disabled => "disabled",
        }
    }

    /// Whether the call itself was wrong, so that a test should fail on it; the others are circumstances.
    #[must_use]
    pub fn is_mistake(self) -> bool {
        !matches!(
            self,
            Self::TooLate | Self::TooFuture | Self::QueueFull | Self::Closed | Self::Forked | Self::Disabled
        )
    }
}

impl fmt::Display for TrackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownEvent => "no definition declares this event; add its YAML or correct the name",
            Self::RemovedEvent => "the event's definition says `status: removed`; track its successor",
            Self::UndeclaredIdentifier => "the event's definition does not list this identifier",
            Self::UndeclaredProperty => "the event's definition does not declare this custom property",
            Self::WrongType => {
                "a property has the wrong type: `value` takes a number, `label` and `property` text, another one either"
            }
            Self::TooLong => "an identifier or a text is longer than 256 bytes; shorten it",
            Self::TooMany => "the event carries more identifiers or custom properties than one event may",
            Self::NotFinite => "a number is infinite or not a number",
            Self::TooLate => "the event's time is more than 8 days ago; use an import for older events",
            Self::TooFuture => "the event's time is more than 5 minutes ahead; check the clocks",
            Self::QueueFull => "the queue is full; the event was not taken",
            Self::Closed => "the store is closed; the event was not taken",
            Self::Forked => "this process is a fork of the one that opened the store; fork first, and open stores afterwards",
            Self::Disabled => "the store could not be opened, as its health says; the event was not taken",
        })
    }
}

impl std::error::Error for TrackError {}

/// How much a problem matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The definition works, but differs from what the current schema asks for.
    Warning,
    /// The definition cannot mean anything.
    Error,
}

/// One thing that is wrong with a definition, and where.
///
/// Displays as `config/events/a.yml:3:7: error: unknown key ...`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// How much it matters.
    pub severity: Severity,
    /// The file, as given; the name `<code>` for definitions built in code.
    pub file: String,
    /// The line, from 1; 0 when the problem belongs to the whole file.
    pub line: u32,
    /// The column in characters, from 1; 0 when the problem belongs to the whole file.
    pub column: u32,
    /// The column behind the last character that the problem is about, on the same line; 0 when the problem belongs to the whole file.
    pub end_column: u32,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        match (self.line, self.column) {
            (0, _) => write!(f, "{}: {severity}: {}", self.file, self.message),
            (line, column) => write!(f, "{}:{line}:{column}: {severity}: {}", self.file, self.message),
        }
    }
}
