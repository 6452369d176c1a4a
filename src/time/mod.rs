//! Time: instants, buckets, ISO weeks, ranges, the time frames of metrics, and the clock. UTC only; chrono's door.

pub(crate) mod frame;

pub use frame::TimeFrame;
