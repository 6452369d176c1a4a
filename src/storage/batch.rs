//! What one flush commits, all or nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::sketch::Sketch;
use crate::storage::arrival::Arrival;
use crate::storage::mark::Mark;
use crate::storage::ping::PingStep;
use crate::storage::sum::Sum;
use crate::time::bucket::{Day, Hour};
use crate::time::timestamp::Timestamp;

/// The file's number for a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SeriesId(pub(crate) i64);

/// One opened store: its batches are numbered, so that a batch that is committed twice counts once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProducerId(pub(crate) [u8; 16]);

/// The changes of one flush. Sketches are whole or partial states that are united with what is stored; all else is added.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) producer: ProducerId,
    /// Numbers from 1, one more with each batch of the producer.
    pub(crate) sequence: u64,
    /// The time by the store's clock when the batch was cut.
    pub(crate) cut_at: Timestamp,
    pub(crate) counts: Vec<(SeriesId, Hour, u64)>,
    pub(crate) sums: Vec<(SeriesId, Hour, Sum)>,
    pub(crate) sketches: Vec<(SeriesId, Day, Arc<Sketch>)>,
    pub(crate) per_value: Vec<(SeriesId, Day, ValueName, u64)>,
    /// Refusals, losses and what was stored.
    pub(crate) ledger: BTreeMap<LedgerEntry, u64>,
    /// For imports: the time from which to which the source says all about a series.
    pub(crate) recorded: Vec<(SeriesId, Timestamp, Timestamp)>,
    /// For imports: how far the source is read with this batch.
    pub(crate) source: Option<SourceAdvance>,
    /// A source that is continued under another name.
    pub(crate) continued: Option<Continued>,
    pub(crate) marking: Option<Marking>,
    pub(crate) ping: Option<PingStep>,
    pub(crate) arrival: Option<Arrival>,
}

impl Batch {
    pub(crate) fn empty(producer: ProducerId, sequence: u64, cut_at: Timestamp) -> Self {
        Self {
            producer,
            sequence,
            cut_at,
            counts: Vec::new(),
            sums: Vec::new(),
            sketches: Vec::new(),
            per_value: Vec::new(),
            ledger: BTreeMap::new(),
            recorded: Vec::new(),
            source: None,
            continued: None,
            marking: None,
            ping: None,
            arrival: None,
        }
    }

    /// Whether committing it would change nothing but the producer's number.
    pub(crate) fn is_empty(&self) -> bool {
        self.counts.is_empty()
            && self.sums.is_empty()
            && self.sketches.is_empty()
            && self.per_value.is_empty()
            && self.ledger.is_empty()
            && self.recorded.is_empty()
            && self.source.is_none()
            && self.continued.is_none()
            && self.marking.is_none()
            && self.ping.is_none()
            && self.arrival.is_none()
    }
}

/// A value of a per-value series.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ValueName {
    Text(Arc<str>),
    /// Every value beyond the limit of a series.
    Overflow,
}

/// A line of the store's ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum LedgerEntry {
    /// Events whose counts are in the file.
    Stored,
    /// Events that were not taken.
    Refused(&'static str),
    /// Events that were taken and could not be stored.
    Lost(&'static str),
    /// Parts of events that were dropped or skipped, while the events counted.
    Noted(&'static str),
}

impl LedgerEntry {
    /// The entry and its reason as the file has them.
    pub(crate) fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::Stored => ("stored", ""),
            Self::Refused(reason) => ("refused", reason),
            Self::Lost(reason) => ("lost", reason),
            Self::Noted(reason) => ("noted", reason),
        }
    }
}

/// The state of an import source: how far it is read, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SourceState {
    /// Decompressed bytes that are read.
    pub(crate) offset: u64,
    /// SHA-256 of these bytes.
    pub(crate) digest: [u8; 32],
    pub(crate) lines: u64,
    pub(crate) accepted: u64,
    /// The latest time of its events.
    pub(crate) latest: Option<Timestamp>,
}

/// A step of an import: it applies only where the stored offset is still the expected one.
#[derive(Debug, Clone)]
pub(crate) struct SourceAdvance {
    pub(crate) name: String,
    pub(crate) expected_offset: u64,
    pub(crate) state: SourceState,
    /// Whether the store remembers the source. Of one that cannot come again it need not, and the batch's number alone keeps
    /// it from counting twice.
    pub(crate) is_kept: bool,
}

/// A source that is continued under another name, since its file has one.
#[derive(Debug, Clone)]
pub(crate) struct Continued {
    pub(crate) from: String,
    pub(crate) to: String,
    /// Whether the old name keeps what is known of it; else it is free for a new source.
    pub(crate) is_kept: bool,
}

/// What happens to a mark.
#[derive(Debug, Clone)]
pub(crate) enum Marking {
    /// It is made, unless there is one of this name.
    Make(Mark),
    /// It is made, or moved.
    Put(Mark),
    /// It is removed, if there is one.
    Remove { name: String },
}
