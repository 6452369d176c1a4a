//! The store: hands out trackers, imports, answers, and closes in order.

pub(crate) mod builder;

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

#[cfg(feature = "redis")]
use crate::definition::rule::Rule;
use crate::error::Error;
use crate::ingest::health::Health;
use crate::ingest::import::{self, SourceName, report::ImportReport};
use crate::ingest::pipeline::Pipeline;
use crate::ingest::source;
use crate::ingest::stats::Stats;
use crate::ingest::tracker::Tracker;
use crate::ping::{Ping, PingKeeper};
use crate::report::metric::{Evaluate, MetricValue};
use crate::report::query::{Answer, Query};
use crate::report::reader::Reader;
use crate::storage::Commit;
#[cfg(feature = "redis")]
use crate::storage::arrival::Arrival;
#[cfg(feature = "redis")]
use crate::storage::batch::SeriesId;
use crate::storage::batch::{Batch, Continued, Marking, ProducerId};
use crate::storage::mark::Mark;
use crate::storage::ping::PingStep;
use crate::storage::sqlite;
use crate::store::builder::{Builder, Place};
use crate::time::range::Unit;
use crate::time::timestamp::Timestamp;

/// A log that has a new name is recognized as one of so many; a source that was read longer ago goes by its name only.
const MAX_FOLLOWED_SOURCES: usize = 10_000;
const DEFAULT_CLOSE_LIMIT: Duration = Duration::from_secs(30);

/// A store of events, open for tracking and for answers. Cheap to clone, and usable from every thread.
///
/// Several processes may have one file open at once. What was tracked before [`Store::flush`] returned is durable; everything
/// else follows within the flush interval.
///
/// The last clone that is dropped closes the store, as [`Store::close`] does, and blocks for it up to 5 seconds; what could not be
/// stored then is lost and only logged. Where `Drop` does not run, as after [`std::process::exit`], in a signal or for a store in a
/// `static`, what was tracked since the last commit is lost: call [`Store::close`] before the process ends.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// use headcount::{Definitions, Event, EventDefinition, Query, Store};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("usage.db");
/// let definitions = Definitions::new().event(EventDefinition::new("issue_created").identifier("user"))?;
/// let store = Store::builder(&path).definitions(definitions).open()?;
/// store.tracker().track(Event::new("issue_created").user(42));
/// store.flush()?;
/// assert_eq!(store.value(&Query::total("issue_created"))?.count(), Some(1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pipeline: Pipeline,
    reader: Reader,
}

impl Inner {
    /// Commits what is no event.
    fn commit(&self, fill: impl FnOnce(&mut Batch)) -> Result<Commit, Error> {
        let now = self.pipeline.shared().settings.clock.now();
        let mut batch = Batch::empty(ProducerId(sqlite::random()?), 1, now);
        fill(&mut batch);
        self.pipeline.commit(&Arc::new(batch))
    }
}

impl PingKeeper for Inner {
    fn commit(&self, step: PingStep) -> Result<Commit, Error> {
        Self::commit(self, |batch| batch.ping = Some(step))
    }
}

impl Store {
    /// Begins to open the store at `path`, which is created if there is none.
    pub fn builder(path: impl AsRef<Path>) -> Builder {
        Builder::new(Place::File(path.as_ref().to_owned()))
    }

    /// Begins to open a store that lives in memory and ends with the process.
    pub fn builder_in_memory() -> Builder {
        Builder::new(Place::Memory)
    }

    /// A tracker of this store.
    #[must_use]
    pub fn tracker(&self) -> Tracker {
        Tracker::new(Arc::clone(self.0.pipeline.shared()))
    }

    /// Blocks until every event that was tracked before this call, on any thread, is durably in the file: for a sync of the disk,
    /// and for another process that writes up to 10 seconds a try. Flushes of several threads share a commit. In
    /// [`Mode::Inline`](crate::Mode::Inline) the commit is made by this call.
    ///
    /// # Errors
    ///
    /// The reason of the commit that failed, such as [`ErrorKind::StoreFull`](crate::ErrorKind::StoreFull) or [`ErrorKind::StoreBusy`](crate::ErrorKind::StoreBusy); the events stay in
    /// memory and are tried again. [`ErrorKind::Closed`](crate::ErrorKind::Closed) and [`ErrorKind::Forked`](crate::ErrorKind::Forked).
    pub fn flush(&self) -> Result<(), Error> {
        self.0.pipeline.flush()
    }

    /// Takes no more events, commits all that were taken, ends the threads, and reports what became of the events. Blocks until
    /// that is done, at most 30 seconds. Answers go on. Closing again reports the same.
    ///
    /// # Errors
    ///
    /// The reason of the commit that failed, and how many events are lost with it.
    pub fn close(&self) -> Result<Stats, Error> {
        self.close_within(DEFAULT_CLOSE_LIMIT)
    }

    /// As [`Store::close`], with another limit. In [`Mode::Inline`](crate::Mode::Inline) there is no limit but that of waiting for another process that
    /// writes, 10 seconds a try: the commit is made by this call.
    ///
    /// # Errors
    ///
    /// As [`Store::close`].
    pub fn close_within(&self, limit: Duration) -> Result<Stats, Error> {
        self.0.pipeline.close(limit)
    }

    /// Whether the store does its work, and why not; and how long the oldest event that is not durable has waited. Does no I/O.
    ///
    /// For a status page or a probe of a service. A failure in the background shows here, is logged once a minute, and ends by itself when
    /// its cause has gone.
    #[must_use]
    pub fn health(&self) -> Health {
        self.0.pipeline.shared().health()
    }

    /// What became of the events that were tracked through this opened store. Does no I/O.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.pipeline.shared().stats()
    }

    /// Imports lines of JSON, one event each, from 1970 on. `name` names the source: of the same source only what is new
    /// counts, also after an import that was interrupted. `input` always begins with the first byte of the source.
    ///
    /// Bad lines are counted by reason and the rest goes on. Each 65,536 lines are committed together with the offset
    /// behind them. Lines are parsed on a thread that ends with the call. Costs about 1 µs a line. Blocks until the input has ended and
    /// all of it is committed; tracking goes on meanwhile.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::SourceChanged`](crate::ErrorKind::SourceChanged) when the part that was read before is no longer the same; [`ErrorKind::Io`](crate::ErrorKind::Io) when the input
    /// cannot be read; the reason of a commit that failed. What was committed stays, and the import can be repeated.
    pub fn import(&self, name: &str, input: impl Read) -> Result<ImportReport, Error> {
        self.import_until(name, input, &AtomicBool::new(false))
    }

    /// As [`Store::import`], and ends early once `stop` is set: whole lines that were read until then are counted, and
    /// [`ImportReport::stopped`] says that there may be more. The same import, repeated, continues.
    ///
    /// `stop` is looked at between lines. An `input` that waits should return an error when `stop` is set; none is reported then.
    ///
    /// # Errors
    ///
    /// As [`Store::import`].
    pub fn import_until(
        &self,
        name: &str,
        input: impl Read,
        stop: &AtomicBool,
    ) -> Result<ImportReport, Error> {
        self.import_source(SourceName::Kept(name), input, stop)
    }

    /// As [`Store::import_until`], of a source that cannot come again: the store remembers nothing of it, and all its lines count.
    #[cfg(feature = "cli")]
    pub(crate) fn import_fresh(
        &self,
        name: &str,
        input: impl Read,
        stop: &AtomicBool,
    ) -> Result<ImportReport, Error> {
        self.import_source(SourceName::Fresh(name), input, stop)
    }

    fn import_source(
        &self,
        source: SourceName<'_>,
        input: impl Read,
        stop: &AtomicBool,
    ) -> Result<ImportReport, Error> {
        let mut target = self.0.pipeline.shared().target.clone();
        target.producer = ProducerId(sqlite::random()?);
        let known = |name: &str| self.0.reader.read(|snapshot| snapshot.source(name));
        import::import(&self.0.pipeline, target, known, source, input, stop)
    }

    /// The known source whose bytes `input` begins with, the one that was read furthest: a log that was rotated or copied has
    /// another name. `None` when nothing matches. Looks at the 10,000 sources that were read last, and reads `input` up to the
    /// furthest of their offsets.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) when the input cannot be read, and the errors of reading the store.
    pub fn find_source(&self, input: impl Read) -> Result<Option<String>, Error> {
        source::find(self.0.reader.read(|snapshot| snapshot.sources(MAX_FOLLOWED_SOURCES))?, input)
    }

    /// Whether a source of this name was imported before.
    ///
    /// # Errors
    ///
    /// The errors of reading the store.
    pub fn knows_source(&self, name: &str) -> Result<bool, Error> {
        self.0.reader.read(|snapshot| Ok(snapshot.source(name)?.is_some()))
    }

    /// Gives a source another name, under which it is continued; the old name is then free for a new source. For a log that
    /// was rotated.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::SourceChanged`](crate::ErrorKind::SourceChanged) when there is no such source or the new name is taken; the reason of a failed commit.
    pub fn rename_source(&self, old: &str, new: &str) -> Result<(), Error> {
        self.continue_source(old, new, false)
    }

    /// Makes what is known of a source known under another name too, under which it is continued. For a log that was copied.
    ///
    /// # Errors
    ///
    /// As [`Store::rename_source`].
    pub fn copy_source(&self, old: &str, new: &str) -> Result<(), Error> {
        self.continue_source(old, new, true)
    }

    fn continue_source(&self, old: &str, new: &str, is_kept: bool) -> Result<(), Error> {
        let continued = Continued { from: old.to_owned(), to: new.to_owned(), is_kept };
        import::continue_source(&self.0.pipeline, ProducerId(sqlite::random()?), continued)
    }

    /// Gives this moment a name, such as that of a release which the program begins to run, to compare the time before and after it. A
    /// name that there is keeps its moment: the first call counts, whichever process makes it. Returns the mark as it stands.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for a name that is empty, longer than 128 bytes, `previous`, or has control characters; the reason of a
    /// failed commit.
    pub fn mark(&self, name: &str) -> Result<Mark, Error> {
        let mark = Mark::new(name, self.0.pipeline.shared().settings.clock.now())?;
        match self.commit_marking(Marking::Make(mark.clone()))? {
            Commit::Applied | Commit::Repeated => Ok(mark),
            Commit::Overtaken => self.0.reader.find_mark(name),
        }
    }

    /// Gives an instant a name, or moves the name there.
    ///
    /// # Errors
    ///
    /// As [`Store::mark`].
    pub fn mark_at(&self, name: &str, at: Timestamp) -> Result<Mark, Error> {
        let mark = Mark::new(name, at)?;
        self.commit_marking(Marking::Put(mark.clone()))?;
        Ok(mark)
    }

    fn commit_marking(&self, marking: Marking) -> Result<Commit, Error> {
        self.0.commit(|batch| batch.marking = Some(marking))
    }

    /// The rules that this store keeps series for, and their series.
    #[cfg(feature = "redis")]
    pub(crate) fn rules(&self) -> (&[Rule], &[SeriesId]) {
        let target = &self.0.pipeline.shared().target;
        (target.plan.rules(), &target.series)
    }

    /// The time by the store's clock.
    #[cfg(feature = "redis")]
    pub(crate) fn now(&self) -> Timestamp {
        self.0.pipeline.shared().settings.clock.now()
    }

    /// Takes what arrives from another store, all of it or nothing.
    #[cfg(feature = "redis")]
    pub(crate) fn arrive(&self, arrival: Arrival) -> Result<(), Error> {
        self.0.commit(|batch| batch.arrival = Some(arrival)).map(drop)
    }

    /// The ping of this store: every metric in one document. It keeps the store open.
    #[must_use]
    pub fn ping(&self) -> Ping {
        Ping::kept_by(&self.0.reader, Arc::clone(&self.0) as Arc<dyn PingKeeper>)
    }

    /// Reads the store; the same as the answers below, for handing on.
    #[must_use]
    pub fn reader(&self) -> &Reader {
        &self.0.reader
    }

    /// Answers a query. Events that are not flushed are not in the answer. Blocks, as [`Reader`] says.
    ///
    /// # Errors
    ///
    /// As [`Reader::value`].
    pub fn value(&self, query: &Query) -> Result<Answer, Error> {
        self.0.reader.value(query)
    }

    /// Answers a query for each step of its range. Blocks, as [`Reader`] says.
    ///
    /// # Errors
    ///
    /// As [`Reader::series`].
    pub fn series(&self, query: &Query, unit: Unit) -> Result<Vec<Answer>, Error> {
        self.0.reader.series(query, unit)
    }

    /// Answers many queries as of one moment. Blocks, as [`Reader`] says.
    ///
    /// # Errors
    ///
    /// As [`Reader::values`].
    pub fn values(&self, queries: &[Query]) -> Result<Vec<Result<Answer, Error>>, Error> {
        self.0.reader.values(queries)
    }

    /// Evaluates every metric that is not removed, as of one moment. Blocks, as [`Reader`] says.
    ///
    /// # Errors
    ///
    /// As [`Reader::metrics`].
    pub fn metrics(&self, how: Evaluate) -> Result<Vec<MetricValue>, Error> {
        self.0.reader.metrics(how)
    }

    /// Evaluates a metric with GitLab's complete weeks, now. Blocks, as [`Reader`] says.
    ///
    /// # Errors
    ///
    /// As [`Reader::metric`].
    pub fn metric(&self, key_path: &str) -> Result<MetricValue, Error> {
        self.0.reader.metric(key_path)
    }

    /// Evaluates a metric with another window, or at another instant. Blocks, as [`Reader`] says.
    ///
    /// # Errors
    ///
    /// As [`Reader::metric`].
    pub fn metric_with(&self, key_path: &str, how: Evaluate) -> Result<MetricValue, Error> {
        self.0.reader.metric_with(key_path, how)
    }
}
