//! What becomes of events when the storage fails, hangs or panics, and when the aggregator does.

mod closing;
mod commits;
mod full;
mod retaining;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::definition::Definitions;
use crate::definition::event::EventDefinition;
use crate::definition::rule::{Rule, RuleKind};
use crate::error::{Error, ErrorKind, TrackError};
use crate::event::Event;
use crate::ingest::aggregate::Target;
use crate::ingest::engine::Engine;
use crate::ingest::intern::ValueNames;
use crate::ingest::pipeline::Pipeline;
use crate::ingest::queue::QUEUE_BUFFERS;
use crate::ingest::settings::{Mistake, Mode, Overflow, Settings};
use crate::ingest::tracker::Tracker;
use crate::plan::Plan;
use crate::storage::batch::{Batch, ProducerId, SeriesId};
use crate::storage::retention::Retention;
use crate::storage::sqlite::{self, SqliteReader, SqliteWriter};
use crate::storage::{Commit, Pass, Reader, Recording, Writer};
use crate::time::bucket::Bucket;
use crate::time::clock::{Clock, ManualClock};
use crate::time::timestamp::Timestamp;

/// Nothing here takes longer, unless it hangs.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
pub(super) const MODES: [Mode; 2] = [Mode::Background, Mode::Inline];

/// What the next commits do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Fault {
    #[default]
    None,
    Fail,
    ApplyThenFail,
    Panic,
    ApplyThenPanic,
    /// The commit does not return before another fault is set.
    Hang,
    /// Commits succeed, and removing old buckets does not.
    FailToRetain,
    PanicInRetaining,
}

/// The test's hand on the writer.
#[derive(Default)]
pub(super) struct Lever {
    pub(super) fault: Mutex<Fault>,
    pub(super) changed: Condvar,
    pub(super) entered: AtomicU64,
}

impl Lever {
    pub(super) fn set(&self, fault: Fault) {
        *self.fault.lock() = fault;
        self.changed.notify_all();
    }

    /// Returns when a commit has begun after `before` of them had.
    pub(super) fn wait_for_commit_after(&self, before: u64) {
        wait_until("a commit", || self.entered.load(Ordering::SeqCst) > before);
    }
}

struct FaultyWriter {
    sound: SqliteWriter,
    pub(super) lever: Arc<Lever>,
}

impl Writer for FaultyWriter {
    fn register(
        &mut self,
        rules: &[Rule],
        recording: Recording,
        now: Timestamp,
    ) -> Result<Vec<SeriesId>, Error> {
        self.sound.register(rules, recording, now)
    }

    fn value_names(&mut self, series: SeriesId) -> Result<Vec<String>, Error> {
        self.sound.value_names(series)
    }

    fn keep_definitions(&mut self, definitions: &str, recorded: &str, now: Timestamp) -> Result<(), Error> {
        self.sound.keep_definitions(definitions, recorded, now)
    }

    fn set_retention(&mut self, retention: Retention, now: Timestamp) -> Result<(), Error> {
        self.sound.set_retention(retention, now)
    }

    fn retain(&mut self, now: Timestamp) -> Result<Pass, Error> {
        match *self.lever.fault.lock() {
            Fault::FailToRetain => Err(no_room()),
            Fault::PanicInRetaining => panic!("a panic put in by a test"),
            _ => self.sound.retain(now),
        }
    }

    fn commit(&mut self, batch: &Batch) -> Result<Commit, Error> {
        self.lever.entered.fetch_add(1, Ordering::SeqCst);
        let mut fault = self.lever.fault.lock();
        while *fault == Fault::Hang {
            self.lever.changed.wait(&mut fault);
        }
        let fault = *fault;
        match fault {
            Fault::None | Fault::Hang | Fault::FailToRetain | Fault::PanicInRetaining => {
                self.sound.commit(batch)
            }
            Fault::Fail => Err(no_room()),
            Fault::ApplyThenFail => self.sound.commit(batch).and(Err(no_room())),
            Fault::Panic => panic!("a panic put in by a test"),
            Fault::ApplyThenPanic => panic!("a panic put in by a test: {:?}", self.sound.commit(batch)),
        }
    }
}

pub(super) fn no_room() -> Error {
    Error::new(ErrorKind::StoreFull, "the disk of the test is full")
}

pub(super) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::yield_now();
    }
}

/// A pipeline that ends in a writer under the test's control.
pub(super) struct Bench {
    pub(super) pipeline: Pipeline,
    pub(super) lever: Arc<Lever>,
    pub(super) reader: SqliteReader,
    pub(super) series: BTreeMap<RuleKind, SeriesId>,
}

/// The settings of a test: nothing happens that nobody asks for.
pub(super) fn settings(mode: Mode) -> Settings {
    Settings {
        clock: Clock::from(ManualClock::new(Timestamp::from_unix_seconds(1_800_000_000))),
        mode,
        overflow: Overflow::Refuse,
        mistake: Mistake::Count,
        flush_every: Duration::from_secs(3_600),
        max_sketch_bytes: 64 * 1024 * 1024,
        queue_buffers: QUEUE_BUFFERS,
    }
}

impl Bench {
    pub(super) fn new(settings: Settings) -> Self {
        Self::panicking_at(settings, None)
    }

    pub(super) fn panicking_at(settings: Settings, value: Option<f64>) -> Self {
        let now = settings.clock.now();
        let event = EventDefinition::new("build_finished").identifier("user").value();
        let definitions = Definitions::new().event(event).unwrap();
        let recorded = [Rule::unique("build_finished", "user"), Rule::sum("build_finished")];
        let plan = Plan::compile(&definitions, &recorded).unwrap();
        let (mut sound, reader) = sqlite::in_memory(now).unwrap();
        let ids = sound.register(plan.rules(), Recording::FromNow, now).unwrap();
        let series = plan.rules().iter().map(Rule::kind).zip(ids.iter().copied()).collect();
        let target = Target {
            plan: Arc::new(plan),
            series: ids.into(),
            names: Arc::new(ValueNames::default()),
            producer: ProducerId(sqlite::random().unwrap()),
        };
        let lever = Arc::new(Lever::default());
        let writer = FaultyWriter { sound, lever: Arc::clone(&lever) };
        let mut engine = Engine::new(target.clone(), settings.max_sketch_bytes);
        engine.aggregator.panic_at_value = value;
        let pipeline = Pipeline::start_engine(engine, target, settings, Box::new(writer)).unwrap();
        Self { pipeline, lever, reader, series }
    }

    pub(super) fn tracker(&self) -> Tracker {
        Tracker::new(Arc::clone(self.pipeline.shared()))
    }

    /// Tracks events of the users `from..to`, each of value 1; all must be taken.
    pub(super) fn track(&self, users: std::ops::Range<u32>) {
        let tracker = self.tracker();
        users.for_each(|user| tracker.try_track(one(user)).unwrap());
    }

    pub(super) fn stored(&self) -> Stored {
        let mut stored = Stored::default();
        self.reader
            .snapshot(&mut |moment| {
                stored.events = moment.count(self.series[&RuleKind::Count], Bucket::ALL_TIME)?;
                stored.sum = moment.sum(self.series[&RuleKind::Sum], Bucket::ALL_TIME)?.value();
                let mut union = crate::sketch::union::Union::new();
                let id = self.series[&RuleKind::Unique];
                moment.all_time_sketches(id..=id, &mut |_, blob| union.unite_blob(blob))?;
                stored.users = union.estimate().rounded();
                stored.ledger = moment
                    .ledger()?
                    .into_iter()
                    .map(|(entry, reason, count)| (format!("{entry} {reason}").trim_end().to_owned(), count))
                    .collect();
                Ok(())
            })
            .unwrap();
        stored
    }

    /// Holds the process's account, the test's own and the file's against each other.
    #[track_caller]
    pub(super) fn check(&self, own: Own) {
        let stats = self.pipeline.shared().stats();
        assert_eq!(stats.offered, own.accepted + own.refused, "offered: {stats:?}");
        assert_eq!(stats.accepted, own.accepted, "accepted: {stats:?}");
        assert_eq!(stats.refused.values().sum::<u64>(), own.refused, "refused: {stats:?}");
        assert_eq!(stats.lost, own.lost, "lost: {stats:?}");
        assert_eq!(stats.queued, own.queued, "queued: {stats:?}");
        assert_eq!(stats.accepted, stats.stored + stats.queued + stats.lost, "{stats:?}");
        let stored = self.stored();
        let lost: u64 =
            stored.ledger.iter().filter(|(entry, _)| entry.starts_with("lost")).map(|(_, count)| count).sum();
        assert_eq!(stats.stored, stored.events, "{stored:?}");
        assert_eq!(stored.ledger.get("stored").copied().unwrap_or(0), stored.events, "{stored:?}");
        assert!(lost <= stats.lost, "{stored:?}");
        let events = u32::try_from(stored.events).unwrap();
        assert_eq!(stored.sum, f64::from(events), "{stored:?}");
    }
}

/// The test's own account of its calls.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Own {
    pub(super) accepted: u64,
    pub(super) refused: u64,
    pub(super) queued: u64,
    pub(super) lost: u64,
}

#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) events: u64,
    pub(super) sum: f64,
    pub(super) users: u64,
    pub(super) ledger: BTreeMap<String, u64>,
}

pub(super) fn one(user: u32) -> Event<'static> {
    Event::new("build_finished").user(user).value(1.0)
}
