//! What arrives from another store as whole weeks and as all time, instead of event by event.

use crate::storage::batch::SeriesId;
use crate::time::timestamp::Timestamp;
use crate::time::week::IsoWeek;

/// What another store has counted. It takes the place of what arrived of the same series and times before; sketches unite with it.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    /// The other store counted all until then, a full hour: what this store counted before it is the same events, and is taken off.
    /// Without it this store must have counted nothing of what arrives.
    pub(crate) until: Option<Timestamp>,
    pub(crate) cells: Vec<ArrivedCell>,
    /// What the other store counted, too: where nothing arrives of it, there was nothing.
    pub(crate) recorded: Vec<SeriesId>,
}

/// What arrives of one series and time.
#[derive(Debug, Clone)]
pub(crate) struct ArrivedCell {
    pub(crate) series: SeriesId,
    pub(crate) frame: Frame,
    pub(crate) amount: Arrived,
}

/// The times of which something can arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Frame {
    AllTime,
    Week(IsoWeek),
}

/// That something arrived, and of which weeks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Arrivals {
    /// The first and the last.
    pub(crate) weeks: Option<(IsoWeek, IsoWeek)>,
}

/// How much arrives.
#[derive(Debug, Clone)]
#[cfg_attr(not(feature = "redis"), allow(dead_code, reason = "nothing else arrives"))]
pub(crate) enum Arrived {
    Count(u64),
    Sum(f64),
    /// A HyperLogLog string of Redis: a fraction of a sketch in memory where there are few.
    Unique(Vec<u8>),
    /// By value, each once.
    PerValue(Vec<(String, u64)>),
}

/// How much a row of what arrived holds: a value's count has the value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Amount<'a> {
    Count(u64),
    Sum(f64),
    /// An encoded sketch.
    Unique(&'a [u8]),
    PerValue(&'a str, u64),
}
