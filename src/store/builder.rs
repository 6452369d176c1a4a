//! Opening a store: the options, and the parts in order.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::definition::Definitions;
use crate::definition::rule::{Rule, RuleKind};
use crate::definition::stored;
use crate::error::{Error, ErrorKind};
use crate::ingest::aggregate::Target;
use crate::ingest::intern::ValueNames;
use crate::ingest::pipeline::Pipeline;
use crate::ingest::queue::QUEUE_BUFFERS;
use crate::ingest::settings::{Mistake, Mode, Overflow, Settings};
use crate::plan::{Plan, RuleIndex};
use crate::report::reader::{Reader, stored_definitions};
use crate::storage::batch::{ProducerId, SeriesId};
use crate::storage::disabled::Disabled;
use crate::storage::retention::Retention;
use crate::storage::sqlite;
use crate::storage::{Recording, Writer};
use crate::store::{Inner, Store};
use crate::time::clock::Clock;

const DEFAULT_FLUSH_EVERY: Duration = Duration::from_secs(1);
const SHORTEST_FLUSH_EVERY: Duration = Duration::from_millis(1);
const DEFAULT_SKETCH_BYTES: usize = 64 * 1024 * 1024;
const SMALLEST_SKETCH_BYTES: usize = 1024 * 1024;

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
    retention: Option<Retention>,
    settings: Settings,
}

#[derive(Debug, Clone)]
pub(super) enum Place {
    File(PathBuf),
    Memory,
}

impl Builder {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            definitions: None,
            recorded: Vec::new(),
            recording: Recording::default(),
            retention: None,
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

    /// How long buckets are kept, and how large the file may get. The store keeps this, for every process that writes it, in place of
    /// what it had. Default: what the store has, [`Retention::everything`] for a new one.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = Some(retention);
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

    /// Opens the store, or one that takes no events where the file does not let it, so that what counts never keeps from starting what is
    /// counted. A disabled store refuses every event as [`TrackError::Disabled`](crate::TrackError::Disabled) and counts it, answers
    /// with the reason that [`Store::health`] tells, and logs it once. It stays so until the program opens the store again.
    ///
    /// # Errors
    ///
    /// Only what is wrong whatever the file is: [`ErrorKind::Definitions`] and [`ErrorKind::Usage`].
    ///
    /// ```
    /// # fn main() -> Result<(), headcount::Error> {
    /// use headcount::{Definitions, Event, EventDefinition, Status, Store};
    ///
    /// let definitions = Definitions::new().event(EventDefinition::new("issue_created"))?;
    /// let store = Store::builder("no/such/folder/usage.db").definitions(definitions).open_or_disabled()?;
    /// store.tracker().track(Event::new("issue_created"));
    /// assert_eq!(store.health().status, Status::Disabled);
    /// assert_eq!(store.stats().refused.values().sum::<u64>(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn open_or_disabled(self) -> Result<Store, Error> {
        let spare = self.clone();
        match self.open() {
            Err(error) if !matches!(error.kind(), ErrorKind::Definitions | ErrorKind::Usage) => {
                tracing::error!(error = %error, "the store could not be opened; events are refused");
                spare.disabled(error)
            }
            opened => opened,
        }
    }

    /// Without the file it may be unknown which events there are; then each name is taken for one.
    fn disabled(self, reason: Error) -> Result<Store, Error> {
        let definitions = self.definitions.unwrap_or_default();
        let plan = Plan::compile(&definitions, &self.recorded)?;
        let target = Target {
            series: vec![SeriesId(0); plan.rules().len()].into(),
            plan: Arc::new(plan),
            names: Arc::default(),
            producer: ProducerId([0; 16]),
        };
        let clock = self.settings.clock.clone();
        let pipeline = Pipeline::disabled(target, self.settings, &reason);
        let reader = Reader::new(Arc::new(Disabled::new(reason)), clock, None);
        Ok(Store(Arc::new(Inner { pipeline, reader: reader.with_definitions(definitions) })))
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
        // What is wrong by itself must not leave an empty store behind.
        if let Some(definitions) = &self.definitions {
            Plan::compile(definitions, &self.recorded)?;
        }
        if let Some(retention) = self.retention {
            retention.check()?;
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
        writer.keep_definitions(&definitions.to_json()?, &stored::rules_to_json(recorded)?, now)?;
        if let Some(retention) = self.retention {
            writer.set_retention(retention, now)?;
        }
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
