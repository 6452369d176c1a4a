//! An embedded event store with in-process aggregation.

mod error;
mod hash;
mod time;

pub use error::{Error, ErrorKind, Problem, Severity, TrackError};
pub use time::{TimeFrame, frame::UnknownTimeFrame};
