//! The store: opens the parts, hands out trackers, closes in order.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::definition::Definitions;
use crate::definition::rule::{Rule, RuleKind};
use crate::definition::stored;
use crate::error::{Error, ErrorKind};
use crate::ingest::aggregate::Target;
use crate::ingest::import::{self, report::ImportReport};
use crate::ingest::intern::ValueNames;
use crate::ingest::pipeline::{Mistake, Mode, Overflow, Pipeline, Settings};
use crate::ingest::queue::QUEUE_BUFFERS;
use crate::ingest::source;
use crate::ingest::stats::Stats;
use crate::ingest::tracker::Tracker;
use crate::plan::{Plan, RuleIndex};
use crate::report::metric::{Evaluate, MetricValue};
use crate::report::query::{Answer, Query};
use crate::report::reader::{Reader, stored_definitions};
use crate::storage::batch::{Batch, Continued, Marking, ProducerId};
use crate::storage::mark::Mark;
use crate::storage::sqlite;
use crate::storage::{Commit, Recording, Writer};
use crate::time::clock::Clock;
use crate::time::range::Unit;
use crate::time::timestamp::Timestamp;

const DEFAULT_FLUSH_EVERY: Duration = Duration::from_secs(1);
const SHORTEST_FLUSH_EVERY: Duration = Duration::from_millis(1);
const DEFAULT_SKETCH_BYTES: usize = 64 * 1024 * 1024;
const SMALLEST_SKETCH_BYTES: usize = 1024 * 1024;
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

/// How to open a store.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// use headcount::{Definitions, EventDefinition, Mistake, Mode, Store};
///
/// let store = Store::builder_in_memory()
///     .definitions(Definitions::new().event(EventDefinition::new("issue_created"))?)
///     .mode(Mode::Inline)
///     .on_mistake(Mistake::Panic)
///     .open()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is opened"]
pub struct Builder {
    place: Place,
    definitions: Option<Definitions>,
    recorded: Vec<Rule>,
    recording: Recording,
    settings: Settings,
}

#[derive(Debug, Clone)]
enum Place {
    File(PathBuf),
    Memory,
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
    /// [`Mode::Inline`] the commit is made by this call.
    ///
    /// # Errors
    ///
    /// The reason of the commit that failed, such as [`ErrorKind::StoreFull`] or [`ErrorKind::StoreBusy`]; the events stay in
    /// memory and are tried again. [`ErrorKind::Closed`] and [`ErrorKind::Forked`].
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

    /// As [`Store::close`], with another limit. In [`Mode::Inline`] there is no limit but that of waiting for another process that
    /// writes, 10 seconds a try: the commit is made by this call.
    ///
    /// # Errors
    ///
    /// As [`Store::close`].
    pub fn close_within(&self, limit: Duration) -> Result<Stats, Error> {
        self.0.pipeline.close(limit)
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
    /// behind them. Lines are parsed on a thread that ends with the call. Costs 1 to 2 µs a line. Blocks until the input has ended and
    /// all of it is committed; tracking goes on meanwhile.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::SourceChanged`] when the part that was read before is no longer the same; [`ErrorKind::Io`] when the input
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
        let mut target = self.0.pipeline.shared().target.clone();
        target.producer = ProducerId(sqlite::random()?);
        let known = |name: &str| self.0.reader.read(|snapshot| snapshot.source(name));
        import::import(&self.0.pipeline, target, known, name, input, stop)
    }

    /// The known source whose bytes `input` begins with, the one that was read furthest: a log that was rotated or copied has
    /// another name. `None` when nothing matches. Reads `input` up to the furthest known offset.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] when the input cannot be read, and the errors of reading the store.
    pub fn find_source(&self, input: impl Read) -> Result<Option<String>, Error> {
        source::find(self.0.reader.read(|snapshot| snapshot.sources())?, input)
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
    /// [`ErrorKind::SourceChanged`] when there is no such source or the new name is taken; the reason of a failed commit.
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
    /// [`ErrorKind::Usage`] for a name that is empty, longer than 128 bytes, `previous`, or has control characters; the reason of a
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
        let pipeline = &self.0.pipeline;
        let mut batch =
            Batch::empty(ProducerId(sqlite::random()?), 1, pipeline.shared().settings.clock.now());
        batch.marking = Some(marking);
        pipeline.commit(&Arc::new(batch))
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

impl Builder {
    fn new(place: Place) -> Self {
        Self {
            place,
            definitions: None,
            recorded: Vec::new(),
            recording: Recording::default(),
            settings: Settings {
                clock: Clock::system(),
                mode: Mode::default(),
                overflow: Overflow::default(),
                mistake: Mistake::default(),
                flush_every: DEFAULT_FLUSH_EVERY,
                max_sketch_bytes: DEFAULT_SKETCH_BYTES,
                queue_buffers: QUEUE_BUFFERS,
            },
        }
    }

    /// The events and metrics. The store keeps them, in place of those it had, for readers and for later opens. Default: those
    /// that it keeps from when it was last opened with some.
    pub fn definitions(mut self, definitions: Definitions) -> Self {
        self.definitions = Some(definitions);
        self
    }

    /// Records this rule too, besides those that metrics name. May be called several times. Default: none.
    pub fn record(mut self, rule: Rule) -> Self {
        self.recorded.push(rule);
        self
    }

    /// Opens the store for imports. Opening otherwise says that every event is tracked from then on, so that answers over later time
    /// are complete; a program that only imports says nothing of the kind, and leaves what others record as it is. What is tracked
    /// all the same counts.
    pub fn for_imports(mut self) -> Self {
        self.recording = Recording::ByImports;
        self
    }

    /// Where the time comes from. Default: the system.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.settings.clock = clock.into();
        self
    }

    /// Where events are added up and committed. Default: [`Mode::Background`].
    pub fn mode(mut self, mode: Mode) -> Self {
        self.settings.mode = mode;
        self
    }

    /// What happens when the queue is full. Default: [`Overflow::Refuse`].
    pub fn on_overflow(mut self, overflow: Overflow) -> Self {
        self.settings.overflow = overflow;
        self
    }

    /// What `track` does when the call itself is wrong. Default: [`Mistake::Count`].
    pub fn on_mistake(mut self, mistake: Mistake) -> Self {
        self.settings.mistake = mistake;
        self
    }

    /// How long events may stay in memory, at the least 1 ms. Default: 1 second. In [`Mode::Inline`] they stay until the next
    /// flush.
    pub fn flush_every(mut self, interval: Duration) -> Self {
        self.settings.flush_every = interval.max(SHORTEST_FLUSH_EVERY);
        self
    }

    /// How much memory live sketches may take before the coldest are committed and dropped, at the least 1 MiB. Default: 64 MiB.
    pub fn sketch_memory(mut self, bytes: usize) -> Self {
        self.settings.max_sketch_bytes = bytes.max(SMALLEST_SKETCH_BYTES);
        self
    }

    /// Opens the store, and starts its threads in [`Mode::Background`]. Blocks for the disk, and for another process that writes
    /// up to 10 seconds a transaction.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Definitions`] when there are none, or a rule needs what its event does not declare;
    /// [`ErrorKind::StoreNewer`], [`ErrorKind::StoreDamaged`], [`ErrorKind::StoreBusy`], [`ErrorKind::ReadOnly`] and
    /// [`ErrorKind::Io`] when the file cannot be opened. [`ErrorKind::Internal`] when the linked SQLite is older than 3.51.3; the
    /// bundled one is not.
    pub fn open(self) -> Result<Store, Error> {
        let now = self.settings.clock.now();
        if let (Place::File(path), None) = (&self.place, &self.definitions)
            && !path.exists()
        {
            return Err(no_definitions().context(path.display()));
        }
        // What cannot be compiled must not leave an empty store behind.
        if let Some(definitions) = &self.definitions {
            Plan::compile(definitions, &self.recorded)?;
        }
        let (mut writer, storage) = match &self.place {
            Place::File(path) => sqlite::open(path, now)?,
            Place::Memory => sqlite::in_memory(now)?,
        };
        let reader = Reader::new(Arc::new(storage), self.settings.clock.clone(), None);
        let (definitions, mut recorded) = match self.definitions {
            Some(definitions) => (definitions, Vec::new()),
            None => reader.read(stored_definitions)?.ok_or_else(no_definitions)?,
        };
        for rule in self.recorded {
            if !recorded.contains(&rule) {
                recorded.push(rule);
            }
        }
        let plan = Plan::compile(&definitions, &recorded)?;
        let series = writer.register(plan.rules(), self.recording, now)?;
        writer.keep_definitions(&definitions.to_json()?, &stored::rules_to_json(recorded)?)?;
        let mut names = ValueNames::default();
        for (rule, id) in plan
            .rules()
            .iter()
            .zip(&series)
            .enumerate()
            .filter_map(|(index, (rule, id))| (rule.kind() == RuleKind::PerValue).then_some((index, id)))
        {
            names.add_rule(RuleIndex(u32::try_from(rule).unwrap_or(u32::MAX)), writer.value_names(*id)?);
        }
        let target = Target {
            plan: Arc::new(plan),
            series: series.into(),
            names: Arc::new(names),
            producer: ProducerId(sqlite::random()?),
        };
        let pipeline = Pipeline::start(target, self.settings, Box::new(writer))?;
        Ok(Store(Arc::new(Inner { pipeline, reader: reader.with_definitions(definitions) })))
    }
}

#[cold]
fn no_definitions() -> Error {
    Error::new(
        ErrorKind::Definitions,
        "there are no definitions yet, so no event could be tracked; give some when the store is first opened",
    )
}
