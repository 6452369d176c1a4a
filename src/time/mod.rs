//! Time: instants, buckets, ISO weeks, ranges, the time frames of metrics, and the clock. UTC only; chrono's door.

pub(crate) mod bucket;
pub(crate) mod clock;
pub(crate) mod frame;
pub(crate) mod range;
pub(crate) mod timestamp;
pub(crate) mod week;
