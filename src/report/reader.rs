//! Reading a store: from the process that tracks, or from any other.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
#[cfg(feature = "cli")]
use std::sync::{
    atomic::{AtomicBool, Ordering},
    mpsc::{RecvTimeoutError, channel},
};
#[cfg(feature = "cli")]
use std::time::Duration;

use parking_lot::Mutex;

use crate::definition::Definitions;
use crate::definition::event::EventDefinition;
use crate::definition::metric::MetricDefinition;
use crate::definition::nearest::hint;
use crate::definition::rule::Rule;
use crate::definition::stored;
use crate::definition::words::MetricStatus;
use crate::error::{Error, ErrorKind};
use crate::report::evaluate::Evaluation;
use crate::report::known::Known;
use crate::report::many;
use crate::report::metric::{self, Evaluate, MetricValue};
use crate::report::query::{Answer, Query};
use crate::storage::mark::Mark;
use crate::storage::retention::Retained;
use crate::storage::{self, Sizes, Snapshot, sqlite};
use crate::time::clock::Clock;
use crate::time::range::Unit;
use crate::time::timestamp::Timestamp;

#[cfg(feature = "cli")]
const STOP_SEEN_EVERY: Duration = Duration::from_millis(20);

/// Answers from a store file, while other processes write it. It needs no definitions and no aggregator.
///
/// Opening and every answer read the file and so block: for microseconds when the system has it in memory, for the disk when not.
/// They do not wait for writers. Calls through one reader and its clones take turns; those of a store in memory also with its
/// commits.
///
/// ```no_run
/// use headcount::{Query, Reader};
///
/// let reader = Reader::open("usage.db")?;
/// let openers = reader.value(&Query::unique("issue_created", "user").last_days(28))?;
/// println!("{:?} people, give or take {}", openers.count(), openers.standard_error);
/// # Ok::<(), headcount::Error>(())
/// ```
#[derive(Clone)]
pub struct Reader {
    storage: Arc<dyn storage::Reader>,
    clock: Clock,
    /// The process that opened the connection: SQLite forbids to use one in a fork.
    process: u32,
    /// Those given by the host; else those in the file are read, once.
    definitions: Arc<Mutex<Option<Arc<Definitions>>>>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// What the file says became of all events, from every process and import.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// # use headcount::{Definitions, Event, EventDefinition, Store};
/// # let definitions = Definitions::new().event(EventDefinition::new("page_viewed"))?;
/// # let store = Store::builder_in_memory().definitions(definitions).open()?;
/// store.tracker().track(Event::new("page_viewed"));
/// store.flush()?;
/// assert_eq!(store.reader().ledger()?.stored, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Ledger {
    /// Events whose counts are in the file.
    pub stored: u64,
    /// Events that were not taken, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Events that were taken and could not be stored, by reason.
    pub lost: BTreeMap<String, u64>,
    /// Parts of events that were dropped or skipped while the events counted, by reason.
    pub noted: BTreeMap<String, u64>,
}

/// How large a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Contents {
    /// The size of the file, without its write-ahead log.
    pub bytes: u64,
    /// The size of the write-ahead log beside it, which holds the newest commits.
    pub log_bytes: u64,
    /// Series.
    pub series: u64,
    /// Stored sketches.
    pub sketches: u64,
}

impl Reader {
    /// Opens an existing store for reading. It is never created, and never written.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::StoreMissing`], [`ErrorKind::StoreNewer`], [`ErrorKind::StoreDamaged`] for a file that is no store, and
    /// [`ErrorKind::Io`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let storage = sqlite::open_reader(path.as_ref())?;
        Ok(Self::new(Arc::new(storage), Clock::system(), None))
    }

    pub(crate) fn new(
        storage: Arc<dyn storage::Reader>,
        clock: Clock,
        definitions: Option<Arc<Definitions>>,
    ) -> Self {
        Self { storage, clock, process: std::process::id(), definitions: Arc::new(Mutex::new(definitions)) }
    }

    /// How long the store keeps its buckets, and what retention has removed.
    ///
    /// # Errors
    ///
    /// The errors of reading the store.
    pub fn retention(&self) -> Result<Retained, Error> {
        self.read(|snapshot| snapshot.retained())
    }

    /// Evaluates metrics by these definitions instead of those in the store.
    #[must_use]
    pub fn with_definitions(mut self, definitions: Definitions) -> Self {
        self.definitions = Arc::new(Mutex::new(Some(Arc::new(definitions))));
        self
    }

    /// Takes the time from this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Answers a query, as of one moment of the store. Costs about 10 µs, and 1 to 2 µs for each hour or day of the range. Each day of
    /// uniques costs 5 to 8 ns a user more while it has up to 3,072, and 4 to 6 µs above.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotRecorded`] and [`ErrorKind::UnknownEvent`] for what the store has no series for, never 0;
    /// [`ErrorKind::NotKept`]; [`ErrorKind::Usage`] for edges that do not fit the buckets; [`ErrorKind::StoreDamaged`].
    pub fn value(&self, query: &Query) -> Result<Answer, Error> {
        self.read_query(query, |evaluation, _| evaluation.value(query.span))
    }

    /// Answers many queries, in their order, all as of one moment of the store.
    ///
    /// Each has the answer, or the error, that [`Reader::value`] gives. From four on they are read together, which is the cheaper, the
    /// more of them are about the same days.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] and the like when the store cannot be read at all.
    pub fn values(&self, queries: &[Query]) -> Result<Vec<Result<Answer, Error>>, Error> {
        let answers = self.read(|snapshot| Ok(many::answers(snapshot, queries, self.clock.now())))?;
        let answers = answers.into_iter().zip(queries);
        Ok(answers
            .map(|(answer, query)| answer.map_err(|error| self.with_nearest_event(error, query)))
            .collect())
    }

    /// Answers a query for each step of its range; a query without a range is cut from the first day with data to the last.
    ///
    /// # Errors
    ///
    /// As [`Reader::value`], and [`ErrorKind::Usage`] for uniques by the hour.
    pub fn series(&self, query: &Query, unit: Unit) -> Result<Vec<Answer>, Error> {
        self.read_query(query, |evaluation, _| evaluation.steps(query.span, unit))
    }

    /// Evaluates a metric with GitLab's complete weeks, now.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownMetric`] when no definition has the key path. What keeps a known metric from having a value is in
    /// [`MetricValue::outcome`].
    pub fn metric(&self, key_path: &str) -> Result<MetricValue, Error> {
        self.metric_with(key_path, Evaluate::default())
    }

    /// Evaluates a metric with another window, or at another instant.
    ///
    /// # Errors
    ///
    /// As [`Reader::metric`].
    pub fn metric_with(&self, key_path: &str, how: Evaluate) -> Result<MetricValue, Error> {
        let definitions = self.definitions()?;
        let metric =
            definitions.find_metric(key_path).ok_or_else(|| unknown_metric(key_path, &definitions))?;
        let mut values =
            self.read(|snapshot| Ok(metric::evaluate(snapshot, [metric], how, self.clock.now())))?;
        values.pop().ok_or_else(|| Error::new(ErrorKind::Internal, "a metric was not evaluated"))
    }

    /// Evaluates the metrics of these key paths, in their order, all as of one moment of the store.
    ///
    /// Many metrics cost much less than one after another, as [`Reader::metrics`] says. A key path that no definition has stands in
    /// its place with [`ErrorKind::UnknownMetric`], and holds up no other.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Definitions`] when there are none; [`ErrorKind::Io`] and the like when the store cannot be read at all.
    pub fn metrics_of(
        &self,
        key_paths: impl IntoIterator<Item = impl AsRef<str>>,
        how: Evaluate,
    ) -> Result<Vec<MetricValue>, Error> {
        let definitions = self.definitions()?;
        let find = |key_path: &str| {
            definitions.find_metric(key_path).ok_or_else(|| MetricValue {
                key_path: key_path.to_owned(),
                outcome: Err(unknown_metric(key_path, &definitions)),
            })
        };
        let asked: Vec<_> = key_paths.into_iter().map(|key_path| find(key_path.as_ref())).collect();
        let known = asked.iter().filter_map(|found| found.as_ref().ok().copied());
        let values =
            self.read(|snapshot| Ok(metric::evaluate(snapshot, known.clone(), how, self.clock.now())))?;
        let mut values = values.into_iter();
        Ok(asked.into_iter().filter_map(|found| found.map_or_else(Some, |_| values.next())).collect())
    }

    /// Evaluates every metric that is not removed, all as of one moment of the store, sorted by key path.
    ///
    /// Each has the answer, or the error, that [`Reader::metric_with`] gives: one without a value holds up no other. All together are
    /// read in a scan a day instead of a search for each metric and day, and what several metrics count is read once.
    ///
    /// ```
    /// # fn main() -> Result<(), headcount::Error> {
    /// # use headcount::{Definitions, EventDefinition, Evaluate, MetricDefinition, Rule, Store, TimeFrame};
    /// # let definitions = Definitions::new()
    /// #     .event(EventDefinition::new("issue_created").identifier("user"))?
    /// #     .metric(MetricDefinition::new("counts.issues", TimeFrame::All).rule(Rule::count("issue_created")))?
    /// #     .metric(MetricDefinition::new("users", TimeFrame::SevenDays).rule(Rule::unique("issue_created", "user")))?;
    /// # let store = Store::builder_in_memory().definitions(definitions).open()?;
    /// for metric in store.metrics(Evaluate::default())? {
    ///     match metric.outcome {
    ///         Ok(answer) => println!("{}: {answer}", metric.key_path),
    ///         Err(error) => println!("{} has no value: {error}", metric.key_path),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Definitions`] when there are none; [`ErrorKind::Io`] and the like when the store cannot be read at all.
    pub fn metrics(&self, how: Evaluate) -> Result<Vec<MetricValue>, Error> {
        let definitions = self.definitions()?;
        self.read(|snapshot| {
            let active = definitions.metrics().filter(|metric| metric.status() != MetricStatus::Removed);
            Ok(metric::evaluate(snapshot, active, how, self.clock.now()))
        })
    }

    /// The definitions: those given, else those kept in the store.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Definitions`] when the store has none, or has some that cannot be read.
    pub fn definitions(&self) -> Result<Arc<Definitions>, Error> {
        let mut cached = self.definitions.lock();
        if let Some(definitions) = &*cached {
            return Ok(Arc::clone(definitions));
        }
        let kept = self.read(stored_definitions)?.ok_or_else(|| {
            Error::new(ErrorKind::Definitions, "the store has no definitions; name a folder that has some")
        })?;
        let definitions = Arc::new(kept.0);
        *cached = Some(Arc::clone(&definitions));
        Ok(definitions)
    }

    /// What became of all events.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] and [`ErrorKind::StoreDamaged`] when the store cannot be read.
    pub fn ledger(&self) -> Result<Ledger, Error> {
        let mut ledger = Ledger::default();
        for (entry, reason, count) in self.read(|snapshot| snapshot.ledger())? {
            match entry.as_str() {
                "stored" => ledger.stored = count,
                "refused" => drop(ledger.refused.insert(reason, count)),
                "lost" => drop(ledger.lost.insert(reason, count)),
                _ => drop(ledger.noted.insert(reason, count)),
            }
        }
        Ok(ledger)
    }

    /// How large the store is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] and [`ErrorKind::StoreDamaged`] when the store cannot be read.
    pub fn contents(&self) -> Result<Contents, Error> {
        let sizes = self.read(|snapshot| snapshot.sizes())?;
        let Sizes { bytes, log_bytes, series, sketches } = sizes;
        Ok(Contents { bytes, log_bytes, series, sketches })
    }

    /// Every mark, the earliest first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] and [`ErrorKind::StoreDamaged`] when the store cannot be read.
    pub fn marks(&self) -> Result<Vec<Mark>, Error> {
        self.read(|snapshot| snapshot.marks())
    }

    /// The mark of this name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownMark`] when there is none, with the nearest name; otherwise as [`Reader::marks`].
    pub fn find_mark(&self, name: &str) -> Result<Mark, Error> {
        let marks = self.marks()?;
        let found = marks.iter().find(|mark| mark.name == name).cloned();
        found.ok_or_else(|| {
            let hint = hint(name, marks.iter().map(|mark| mark.name.as_str()));
            let message = format!("the store has no mark `{name}`; make it, or correct the name{hint}");
            Error::new(ErrorKind::UnknownMark, message)
        })
    }

    /// Names the defined event that a misspelt one may mean.
    #[cold]
    fn with_nearest_event(&self, error: Error, query: &Query) -> Error {
        if error.kind() != ErrorKind::UnknownEvent {
            return error;
        }
        // A store without definitions has no names to offer.
        let Ok(definitions) = self.definitions() else { return error };
        let is_unknown = |event: &&str| definitions.find_event(event).is_none();
        let Some(unknown) = query.rules().iter().map(Rule::event).find(is_unknown) else { return error };
        let hint = hint(unknown, definitions.events().map(EventDefinition::action));
        Error::new(error.kind(), format!("{error}{hint}"))
    }

    /// Evaluates the rules of a query on one moment, at the instant that it asks for.
    pub(crate) fn read_query<T>(
        &self,
        query: &Query,
        evaluate: impl Fn(&Evaluation<'_>, Timestamp) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.read(|snapshot| {
            let now = self.clock.now();
            evaluate(&Evaluation::of(&Known::for_few(snapshot)?, query, now)?, query.as_of.unwrap_or(now))
        })
        .map_err(|error| self.with_nearest_event(error, query))
    }

    pub(crate) fn clock_now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn copy_to(&self, path: &Path) -> Result<(), Error> {
        self.refuse_fork()?;
        self.storage.copy_to(path)
    }

    /// Does some work with this reader, which fails soon after `stop` is set.
    #[cfg(feature = "cli")]
    pub(crate) fn until<T>(&self, stop: &AtomicBool, work: impl FnOnce() -> T) -> T {
        let (break_off, (working, ended)) = (self.storage.breaker(), channel::<()>());
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // More than once: there may be nothing to break off between two statements.
                while ended.recv_timeout(STOP_SEEN_EVERY) == Err(RecvTimeoutError::Timeout) {
                    if stop.load(Ordering::Relaxed) {
                        break_off();
                    }
                }
            });
            let done = work();
            drop(working);
            done
        })
    }

    fn refuse_fork(&self) -> Result<(), Error> {
        if self.process == std::process::id() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Forked,
            "this process is a fork of the one that opened the store; fork first, and open readers afterwards, in the parent too",
        ))
    }

    pub(crate) fn read<T>(
        &self,
        mut read: impl FnMut(&dyn Snapshot) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.refuse_fork()?;
        let mut answer = None;
        self.storage.snapshot(&mut |snapshot| {
            answer = Some(read(snapshot)?);
            Ok(())
        })?;
        answer.ok_or_else(|| Error::new(ErrorKind::Internal, "the storage gave no moment to read"))
    }
}

/// The definitions that the store keeps, with the rules recorded besides.
pub(crate) fn stored_definitions(snapshot: &dyn Snapshot) -> Result<Option<(Definitions, Vec<Rule>)>, Error> {
    let Some((definitions, recorded)) = snapshot.definitions()? else { return Ok(None) };
    Ok(Some((Definitions::from_json(&definitions)?, stored::rules_from_json(&recorded)?)))
}

#[cold]
fn unknown_metric(key_path: &str, definitions: &Definitions) -> Error {
    // With several time frames a metric becomes several, whose key paths say which.
    let begins = format!("{key_path}_");
    let its: Vec<String> = definitions
        .metrics()
        .map(MetricDefinition::key_path)
        .filter(|known| {
            known.strip_prefix(&begins).is_some_and(|frame| ["weekly", "monthly"].contains(&frame))
        })
        .map(|known| format!("`{known}`"))
        .collect();
    let hint = match its.is_empty() {
        true => hint(key_path, definitions.metrics().map(MetricDefinition::key_path)),
        false => format!("; with its time frame it is {}", its.join(" or ")),
    };
    Error::new(
        ErrorKind::UnknownMetric,
        format!("no metric has the key path `{key_path}`; correct it, or add the metric's definition{hint}"),
    )
}
