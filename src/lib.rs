//! An embedded event store with in-process aggregation.
//!
//! A program tracks product events; a background thread keeps hourly counts and sums and daily sketches of unique users in one
//! SQLite file; totals, uniques over any window, and metrics are answered from that file.
//!
//! # The way through the crate
//!
//! 1. [`Definitions`] say which events there are and which metrics are made of them: from YAML, GitLab's files included, from
//!    texts embedded in the program, or from code.
//! 2. [`Store::builder`] opens a file; the [`Builder`] has the options. Of one file there may be any number of open stores, in
//!    any number of processes.
//! 3. A [`Tracker`] takes each [`Event`], validates it, and leaves a small record in a buffer of the calling thread. It does no I/O.
//! 4. [`Store::flush`] returns when all that was tracked before is durable; without it a flush happens each second.
//! 5. A [`Query`] asks for totals, sums, uniques or counts per value over any range; the [`Answer`] has the value with its standard
//!    error. [`Store::metric`] evaluates a metric as GitLab does, or over rolling and running windows. A [`Reader`] does the same
//!    from another process.
//!
//! ```
//! # fn main() -> Result<(), headcount::Error> {
//! use headcount::{Definitions, Event, EventDefinition, Query, Rule, Store};
//!
//! let definitions = Definitions::new().event(EventDefinition::new("issue_created").identifier("user"))?;
//! let store = Store::builder_in_memory()
//!     .definitions(definitions)
//!     .record(Rule::unique("issue_created", "user"))
//!     .open()?;
//! store.tracker().track(Event::new("issue_created").user(42));
//! store.flush()?;
//! assert_eq!(store.value(&Query::unique("issue_created", "user").last_days(28))?.count(), Some(1));
//! # Ok(())
//! # }
//! ```
//!
//! # What blocks
//!
//! | call | waits |
//! |---|---|
//! | [`Tracker::track`], [`Tracker::try_track`] | for nothing but short locks; with [`Overflow::Wait`] for room in a full queue, up to its limit; in [`Mode::Inline`] for flushes and, when memory is full, the disk |
//! | [`Tracker::event`], [`Store::tracker`], [`Store::stats`], [`Store::health`] | for nothing but short locks |
//! | [`Store::flush`] | for the disk |
//! | [`Store::close`], dropping the last [`Store`] | for the disk, up to 30 and up to 5 seconds |
//! | [`Builder::open`], [`Builder::open_or_disabled`], [`Store::import`], [`Upkeep`] | for the disk and the input |
//! | answers: [`Store::value`], [`Store::series`], [`Store::metric`], all of [`Reader`] | for other answers of the same reader, and for the disk when the system has not cached the file |
//!
//! What waits for the disk also waits for another process that writes the file, 10 seconds a transaction; then it fails with
//! [`ErrorKind::StoreBusy`].
//!
//! # In an async program
//!
//! Track in the handlers as it stands, with the default [`Mode`] and [`Overflow`]. Leave everything else to threads that may block,
//! in tokio with `spawn_blocking(move || store.metric(..))`. At the end let the requests finish, then close with
//! `spawn_blocking(move || store.close())`; left to `Drop`, closing would hold up a worker. `examples/axum` in the repository is
//! such a service.
//!
//! # How a process ends
//!
//! - [`Store::close`] commits everything and says what became of it. It is the end to choose.
//! - A return from `main` drops the last [`Store`], unless it is in a `static` or a thread still has a clone: everything is
//!   committed, within 5 seconds, and errors are only logged.
//! - [`std::process::exit`], an abort and a signal that ends the process run no `Drop`. What was tracked since the last commit is
//!   lost: ordinarily the flush interval, 1 second by default, and the time of a commit; in [`Mode::Inline`] all since the last
//!   flush. The file stays whole. No signal handler is installed: on SIGTERM and SIGINT call [`Store::close`] yourself, from a
//!   thread and not in the handler.
//! - After a fork the child's calls are refused as [`TrackError::Forked`] and [`ErrorKind::Forked`], though up to 1,024 events of a
//!   thread may be taken first, and are lost. What the parent tracks is not concerned. A child opens no store either, unless the
//!   parent had none open: SQLite does not survive a fork. A program that makes itself a daemon, or forks its workers, opens its
//!   stores after that.
//!
//! # What it is not
//!
//! Not a log of events: it keeps counts and sketches, not rows. Not a time-series database: its finest bucket is an hour.

#[cfg(feature = "cli")]
pub mod cli;
mod definition;
mod error;
mod event;
mod hash;
mod ingest;
mod ping;
mod plan;
#[cfg(feature = "redis")]
mod redis;
mod report;
mod sketch;
mod storage;
mod store;
mod sync;
mod time;
mod upkeep;

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
pub use ingest::health::{Health, Status, Trouble};
pub use ingest::import::report::{BadLine, ImportReport};
pub use ingest::settings::{Mistake, Mode, Overflow};
pub use ingest::source::MAX_LINE_BYTES;
pub use ingest::stats::Stats;
pub use ingest::tracker::{EventDraft, EventTracker, MAX_AGE_SECONDS, MAX_AHEAD_SECONDS, Tracker};
pub use ping::beside::{MetricOutcome, MetricReport};
pub use ping::build::{Failures, PingLimits};
pub use ping::bundle::{Bundle, BundledPing, MAX_BUNDLE_BYTES, PingWeeks};
pub use ping::difference::{PingChange, ping_difference};
pub use ping::environment::sending_forbidden_by;
pub use ping::schedule::PingSchedule;
pub use ping::source::{Asked, MetricSource, SourceError, SourceFault, Sources};
pub use ping::sources::database::{ColumnIs, Condition, DatabaseMetric, DatabaseOperation};
#[cfg(feature = "postgres")]
pub use ping::sources::postgres::PostgresSource;
pub use ping::sources::question::{Answers, Question};
pub use ping::sources::sqlite::SqliteSource;
pub use ping::thread::PingThread;
#[cfg(feature = "upload")]
pub use ping::upload::{
    Acceptance, PingSending, SendFailure, SendFault, SendingStopped, UploadLimits, Uploader, WeekSending,
};
pub use ping::value::PingValue;
pub use ping::weekly::PingRun;
pub use ping::{Ping, PingReport};
#[cfg(feature = "redis")]
pub use redis::{
    export::{RedisExport, RedisExported},
    import::{RedisImport, RedisImported},
    mirror::{RedisMirror, RedisMirrorStep},
    names::RedisNames,
    verify::{RedisDifference, RedisVerified, RedisVerify},
};
pub use report::activity::{SeriesActivity, Space};
pub use report::backup::Backup;
pub use report::check::{Check, Depth, Finding, Law};
pub use report::compare::{Against, Change, Comparison, Verdict};
pub use report::metric::{Evaluate, MetricValue};
pub use report::query::{Answer, Query, Value};
pub use report::reader::{Contents, Ledger, Reader};
pub use sketch::{Sketch, SketchKind, estimate::Estimate};
pub use storage::mark::Mark;
pub use storage::ping::{
    Consent, Delivery, DeliveryOutcome, KeptPing, KeptWeek, PingDigest, RestoredSending,
};
pub use storage::retention::{Retained, Retention};
pub use store::{Store, builder::Builder};
pub use time::clock::{Clock, ManualClock};
pub use time::frame::{TimeFrame, UnknownTimeFrame};
pub use time::range::{TimeRange, Unit, Window};
pub use time::timestamp::Timestamp;
pub use time::week::IsoWeek;
pub use upkeep::{
    Removed, Upkeep,
    restore::{Existing, Restored},
    salvage::{Loss, Salvaged, SalvagedTable},
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
