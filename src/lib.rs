//! An embedded event store with in-process aggregation.

mod definition;
mod error;
mod event;
mod hash;
mod ingest;
mod plan;
mod report;
mod sketch;
mod storage;
mod store;
mod time;

#[cfg(feature = "yaml")]
pub use definition::load::Checked;
pub use definition::{
    Definitions,
    event::EventDefinition,
    filter::FilterValue,
    metric::MetricDefinition,
    rule::{Rule, RuleKind},
    words::{DataCategory, DataSource, MetricStatus, ValueType},
};
pub use error::{Error, ErrorKind, Problem, Severity, TrackError};
pub use event::id::{Id, PropertyValue};
pub use event::{Event, MAX_EXTRAS, MAX_TEXT_BYTES};
pub use ingest::import::{BadLine, ImportReport};
pub use ingest::pipeline::{Mistake, Mode, Overflow};
pub use ingest::source::MAX_LINE_BYTES;
pub use ingest::stats::Stats;
pub use ingest::tracker::{EventDraft, EventTracker, MAX_AGE_SECONDS, MAX_AHEAD_SECONDS, Tracker};
pub use report::metric::{Evaluate, MetricValue};
pub use report::query::{Answer, Query, Value};
pub use report::reader::{Contents, Ledger, Reader};
pub use sketch::{Sketch, SketchKind, estimate::Estimate};
pub use store::{Builder, Store};
pub use time::clock::{Clock, ManualClock};
pub use time::frame::{TimeFrame, UnknownTimeFrame};
pub use time::range::{TimeRange, Unit, Window};
pub use time::timestamp::Timestamp;
pub use time::week::IsoWeek;
