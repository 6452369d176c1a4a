//! How a pipeline behaves: the options of the builder.

use std::time::Duration;

use crate::time::clock::Clock;

/// How the pipeline behaves; each field is an option of the builder.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) clock: Clock,
    pub(crate) mode: Mode,
    pub(crate) overflow: Overflow,
    pub(crate) mistake: Mistake,
    pub(crate) flush_every: Duration,
    pub(crate) max_sketch_bytes: usize,
    pub(crate) queue_buffers: usize,
}

/// Where events are added up and committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Mode {
    /// On two threads of the store's own; callers never wait for the disk.
    #[default]
    Background,
    /// In the calls themselves, committed by `flush` and `close`, and by the call that finds memory full: no threads, but
    /// for the one of an import of more than 1,024 lines or 256 KiB; the same rows from run to run but for the random ids of
    /// the store and its producers. For tests and benchmarks: `track` may wait for the disk, and nothing is committed by itself.
    Inline,
}

/// What happens to an event when the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// It is refused and counted; the caller goes on at once.
    #[default]
    Refuse,
    /// The caller sleeps until there is room, at most so long; then the event is refused and counted. Not for the workers of
    /// an async runtime.
    Wait(Duration),
}

/// What [`Tracker::track`](crate::Tracker::track) does when the call itself is wrong, as with a misspelt event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Mistake {
    /// Counts it, and goes on: analytics never break a product.
    #[default]
    Count,
    /// Panics with the reason: for tests, where a mistake should be seen.
    Panic,
}

/// Longer waits than this are as good as none at all, and could not be added to an instant.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(86_400);
