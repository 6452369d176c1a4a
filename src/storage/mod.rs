//! Where buckets are kept: the traits that every storage meets, and the batch that it commits.

pub(crate) mod arrival;
pub(crate) mod batch;
pub(crate) mod disabled;
pub(crate) mod mark;
pub(crate) mod ping;
pub(crate) mod retention;
pub(crate) mod salvaged;
#[cfg(not(headcount_schedules))]
pub(crate) mod sqlite;
pub(crate) mod sum;
pub(crate) mod survey;

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::path::Path;

use crate::definition::rule::{Rule, RuleKind};
use crate::error::Error;
use crate::storage::arrival::{Amount, Arrivals, Frame};
use crate::storage::batch::{Batch, SeriesId, SourceState};
use crate::storage::mark::Mark;
use crate::storage::ping::{Agreement, Consent, Identity, KeptPing, KeptWeek};
use crate::storage::retention::{Retained, Retention};
use crate::storage::sum::Sum;
use crate::storage::survey::Survey;
use crate::time::bucket::{Bucket, Day};
use crate::time::timestamp::Timestamp;
use crate::time::week::IsoWeek;

/// A per-value series keeps this many values for the store's life; what comes later counts as one reserved overflow value.
pub(crate) const MAX_VALUES_PER_SERIES: usize = 1_000;

/// What is done with the encoded sketch of a series and a day.
pub(crate) type ShowDay<'a> = dyn FnMut(SeriesId, Day, &[u8]) -> Result<(), Error> + 'a;

/// What is done with the encoded sketch of a series.
pub(crate) type ShowSketch<'a> = dyn FnMut(SeriesId, &[u8]) -> Result<(), Error> + 'a;

/// What is done with a row of what arrived of a series.
pub(crate) type ShowArrived<'a> = dyn FnMut(Frame, Amount<'_>) -> Result<(), Error> + 'a;

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commit {
    /// It is in the store with this call.
    Applied,
    /// It was in the store already: an earlier attempt reported an error after it had been applied.
    Repeated,
    /// Its source has moved on by another import; nothing was applied.
    Overtaken,
}

/// What one pass of retention did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pass {
    pub(crate) removed_rows: usize,
    /// Whether nothing is left to do for now.
    pub(crate) is_done: bool,
}

impl Pass {
    pub(crate) const DONE: Self = Self { removed_rows: 0, is_done: true };
}

/// What a writer says of the time from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Recording {
    /// Every event that happens is tracked.
    #[default]
    FromNow,
    /// Nothing: imports say themselves which time they are about.
    ByImports,
}

/// The writing side: one owner, one connection.
pub(crate) trait Writer: Send {
    /// Gives each rule its series, in order. Where it goes on with [`Recording::FromNow`] they are recorded from `now` on, and other
    /// series of the same events are not.
    fn register(
        &mut self,
        rules: &[Rule],
        recording: Recording,
        now: Timestamp,
    ) -> Result<Vec<SeriesId>, Error>;

    /// The values that a per-value series already has.
    fn value_names(&mut self, series: SeriesId) -> Result<Vec<String>, Error>;

    /// Keeps the definitions and the rules that are recorded besides, so that readers need no files.
    fn keep_definitions(&mut self, definitions: &str, recorded: &str, now: Timestamp) -> Result<(), Error>;

    /// Puts a batch into the store, all of it or nothing, durably.
    fn commit(&mut self, batch: &Batch) -> Result<Commit, Error>;

    /// Sets how long buckets are kept.
    fn set_retention(&mut self, retention: Retention, now: Timestamp) -> Result<(), Error>;

    /// Removes a piece of what is to go, as of `now`.
    fn retain(&mut self, now: Timestamp) -> Result<Pass, Error>;
}

/// A series as the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Series {
    pub(crate) id: SeriesId,
    /// When it was recorded, in the order of time; spans neither overlap nor touch.
    pub(crate) recorded: Vec<Span>,
    /// The buckets whose sketches were found damaged and set aside.
    pub(crate) damaged: Vec<Damage>,
}

/// A sketch that was found damaged: what is in its row now is what came later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) bucket: i64,
    /// Whether the sketch of all time has what the damaged one stood for.
    pub(crate) is_united: bool,
}

/// A time during which every event that a series is about was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) since: Timestamp,
    /// The first instant after it; `None` while it goes on.
    pub(crate) until: Option<Timestamp>,
}

/// The reading side. Everything read within one [`Reader::snapshot`] is of one moment.
pub(crate) trait Reader: Send + Sync {
    /// Runs `read` on one consistent state of the store.
    fn snapshot(&self, read: &mut dyn FnMut(&dyn Snapshot) -> Result<(), Error>) -> Result<(), Error>;

    /// Writes one moment of the store to a new file, durably, while others write the store.
    fn copy_to(&self, path: &Path) -> Result<(), Error>;

    /// Makes what is being read or copied fail, when it is called from another thread; else it does nothing.
    #[cfg(feature = "cli")]
    fn breaker(&self) -> Box<dyn Fn() + Send>;
}

/// One moment of the store.
pub(crate) trait Snapshot: Survey {
    fn series(&self, key: &str, kind: RuleKind) -> Result<Option<Series>, Error>;

    /// Shows every series by its key, of kinds that this version knows.
    fn every_series(&self, show: &mut dyn FnMut(String, RuleKind, Series)) -> Result<(), Error>;

    fn count(&self, series: SeriesId, bucket: Bucket) -> Result<u64, Error>;

    fn sum(&self, series: SeriesId, bucket: Bucket) -> Result<Sum, Error>;

    /// The counts of one bucket by value; the overflow value under [`OVERFLOW_VALUE`].
    fn per_value(
        &self,
        series: SeriesId,
        bucket: Bucket,
        into: &mut BTreeMap<String, u64>,
    ) -> Result<(), Error>;

    /// Shows the sketches that these series have in these days, by day and then by series. The series between the first and the
    /// last are read too: each costs as much as one that is wanted.
    fn day_sketches(
        &self,
        series: RangeInclusive<SeriesId>,
        days: Range<u32>,
        show: &mut ShowDay<'_>,
    ) -> Result<(), Error>;

    /// Shows sketches of these series; those of one series unite to its sketch of all time.
    fn all_time_sketches(
        &self,
        series: RangeInclusive<SeriesId>,
        show: &mut ShowSketch<'_>,
    ) -> Result<(), Error>;

    /// Shows what arrived of a series: all time first, then by week, values in their order.
    fn arrived(&self, series: SeriesId, show: &mut ShowArrived<'_>) -> Result<(), Error>;

    /// How far the store reaches.
    fn extent(&self) -> Result<Extent, Error>;

    /// The definitions and the rules recorded besides, as [`Writer::keep_definitions`] was given them.
    fn definitions(&self) -> Result<Option<(String, String)>, Error>;

    fn source(&self, name: &str) -> Result<Option<SourceState>, Error>;

    /// So many of the known sources, those first that were read last.
    fn sources(&self, limit: usize) -> Result<Vec<(String, SourceState)>, Error>;

    /// The ledger: what was stored, refused and lost, by reason.
    fn ledger(&self) -> Result<Vec<(String, String, u64)>, Error>;

    /// Every mark, by time.
    fn marks(&self) -> Result<Vec<Mark>, Error>;

    /// How long buckets are kept, and what was removed.
    fn retained(&self) -> Result<Retained, Error>;

    /// Who the store is.
    fn identity(&self) -> Result<Identity, Error>;

    /// What the operator has chosen about pings.
    fn consent(&self) -> Result<Consent, Error>;

    /// What is agreed to: pings that were made under it may be sent by themselves.
    fn agreement(&self) -> Result<Agreement, Error>;

    /// How each week's ping stands, by week, without its document.
    fn ping_weeks(&self) -> Result<Vec<KeptWeek>, Error>;

    /// The pings that are kept of these weeks, by week.
    fn pings(&self, first: IsoWeek, last: IsoWeek) -> Result<Vec<KeptPing>, Error>;

    /// How many rows and bytes the store has.
    fn sizes(&self) -> Result<Sizes, Error>;
}

/// How far a store reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Extent {
    /// The first and the last day with events: each event has its total, so that no other table reaches further.
    pub(crate) days: Option<(u32, u32)>,
    /// What arrived as whole weeks or as all time, if anything did.
    pub(crate) arrived: Option<Arrivals>,
    /// The first hour and the first day whose buckets retention has kept; 0 when all are.
    pub(crate) kept_from: (u32, u32),
    /// When the newest batch was cut.
    pub(crate) committed_at: Option<Timestamp>,
}

impl Extent {
    /// The first and the last day of which there is anything; weeks that arrived are whole.
    pub(crate) fn all_days(&self) -> Option<(u32, u32)> {
        let weeks = self
            .arrived
            .and_then(|arrived| arrived.weeks)
            .map(|(first, last)| (first.days().start.index(), last.days().end.index().saturating_sub(1)));
        match (self.days, weeks) {
            (Some(days), Some(weeks)) => Some((days.0.min(weeks.0), days.1.max(weeks.1))),
            (days, weeks) => days.or(weeks),
        }
    }
}

/// The name that the overflow value of a per-value series has in answers; no value of an event is ever this text.
pub(crate) const OVERFLOW_VALUE: &str = "(other)";

/// How large a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sizes {
    pub(crate) bytes: u64,
    /// The write-ahead log beside the file.
    pub(crate) log_bytes: u64,
    pub(crate) series: u64,
    pub(crate) sketches: u64,
}
