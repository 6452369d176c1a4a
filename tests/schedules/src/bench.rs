//! A pipeline over a file in memory, and the test's own account of every call.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Instant;
use crate::definition::Definitions;
use crate::definition::event::EventDefinition;
use crate::definition::rule::Rule;
use crate::error::{Error, ErrorKind, TrackError};
use crate::event::Event;
use crate::file::{Fault, File, FileWriter};
use crate::ingest::aggregate::Target;
use crate::ingest::engine::Engine;
use crate::ingest::intern::ValueNames;
use crate::ingest::pipeline::{Pipeline, Shared};
use crate::ingest::settings::{Mistake, Mode, Overflow, Settings};
use crate::ingest::stats::Stats;
use crate::ingest::tracker::Tracker;
use crate::plan::Plan;
use crate::storage::Commit;
use crate::storage::batch::{Batch, LedgerEntry, ProducerId, SeriesId};
use crate::time::clock::{Clock, ManualClock};
use crate::time::timestamp::Timestamp;

/// The value at which the aggregator panics.
const PANIC: f64 = 0.5;
/// A double tells so many powers of two apart in a sum.
const MAX_VALUED: u32 = 52;

/// What callers track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// With an identifier alone.
    Opened,
    /// With a value of its own, by which it is known in the file.
    Valued,
    /// The aggregator panics at it.
    Offending,
    /// No definition has it.
    Unknown,
}

/// The test's account of its calls. It is kept without steps: what is in it has happened before all that follows.
#[derive(Debug, Clone, Default)]
struct Own {
    offered: u64,
    refused: BTreeMap<TrackError, u64>,
    valued: u64,
    opened: u64,
    offending: u64,
    numbers: u32,
}

impl Own {
    fn accepted(&self) -> u64 {
        u64::from(self.valued.count_ones()) + self.opened + self.offending
    }
}

/// What a store is closed with, or that it is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Closed,
    /// What could not be stored in time is lost.
    GivenUp,
    /// Either of the two: nobody was told.
    Dropped,
}

pub(crate) struct Bench {
    pipeline: parking_lot::Mutex<Option<Arc<Pipeline>>>,
    shared: Arc<Shared>,
    pub(crate) file: Arc<File>,
    tracker: Tracker,
    own: parking_lot::Mutex<Own>,
    end: parking_lot::Mutex<End>,
}

/// Settings under which nothing happens that nobody asks for.
pub(crate) fn settings(mode: Mode) -> Settings {
    Settings {
        clock: Clock::from(ManualClock::new(Timestamp::from_unix_seconds(1_800_000_000))),
        mode,
        overflow: Overflow::Refuse,
        mistake: Mistake::Count,
        flush_every: Duration::from_secs(3_600),
        max_sketch_bytes: 64 * 1024 * 1024,
        queue_buffers: 2,
    }
}

impl Bench {
    pub(crate) fn new(settings: Settings, faults: impl IntoIterator<Item = Fault>) -> Arc<Self> {
        let definitions = Definitions::new()
            .event(EventDefinition::new("opened").identifier("user"))
            .and_then(|all| all.event(EventDefinition::new("valued").identifier("user").value()))
            .unwrap();
        let recorded = [Rule::unique("opened", "user"), Rule::unique("valued", "user"), Rule::sum("valued")];
        let plan = Plan::compile(&definitions, &recorded).unwrap();
        let file = File::new(plan.rules(), faults);
        let target = Target {
            series: (0..plan.rules().len()).map(|id| SeriesId(i64::try_from(id).unwrap())).collect(),
            plan: Arc::new(plan),
            names: Arc::new(ValueNames::default()),
            producer: ProducerId([1; 16]),
        };
        let mut engine = Engine::new(target.clone(), settings.max_sketch_bytes);
        engine.aggregator.panic_at_value = Some(PANIC);
        let writer = Box::new(FileWriter(Arc::clone(&file)));
        let pipeline = Pipeline::start_engine(engine, target, settings, writer).unwrap();
        let shared = Arc::clone(pipeline.shared());
        Arc::new(Self {
            tracker: Tracker::new(Arc::clone(&shared)),
            pipeline: parking_lot::Mutex::new(Some(Arc::new(pipeline))),
            shared,
            file,
            own: parking_lot::Mutex::default(),
            end: parking_lot::Mutex::new(End::Open),
        })
    }

    fn pipeline(&self) -> Arc<Pipeline> {
        Arc::clone(self.pipeline.lock().as_ref().unwrap())
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Runs a body on a thread of its own.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        body: impl FnOnce(&Self) + Send + 'static,
    ) -> shuttle::thread::JoinHandle<()> {
        let bench = Arc::clone(self);
        shuttle::thread::spawn(move || body(&bench))
    }

    pub(crate) fn track(&self, kind: Kind) -> Result<(), TrackError> {
        let number = {
            let mut own = self.own.lock();
            own.numbers += 1;
            own.numbers - 1
        };
        assert!(number < MAX_VALUED, "the scenario tracks too much");
        let bit = 1_u64 << number;
        let outcome = self.tracker.try_track(match kind {
            Kind::Opened => Event::new("opened").user(number),
            Kind::Valued => Event::new("valued").user(number).value(bit as f64),
            Kind::Offending => Event::new("valued").value(PANIC),
            Kind::Unknown => Event::new("misspelt"),
        });
        let mut own = self.own.lock();
        own.offered += 1;
        match (outcome, kind) {
            (Err(reason), _) => *own.refused.entry(reason).or_default() += 1,
            (Ok(()), Kind::Opened) => own.opened += 1,
            (Ok(()), Kind::Valued) => own.valued |= bit,
            (Ok(()), Kind::Offending) => own.offending += 1,
            (Ok(()), Kind::Unknown) => panic!("an unknown event was taken"),
        }
        outcome
    }

    /// Flushes; where that succeeds, all that had been tracked must be in the file.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        let before = self.own.lock().clone();
        self.pipeline().flush()?;
        let file = self.file.contents();
        let missing = before.valued & !file.valued;
        assert_eq!(missing, 0, "a flush does not cover events of before it");
        assert!(before.opened <= file.opened, "a flush does not cover {before:?}: {file:?}");
        Ok(())
    }

    /// Flushes, which must not need any wait to end by time.
    pub(crate) fn flush_at_once(&self) {
        let began = Instant::now();
        self.flush().unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO, "a flush was called by nobody, and looked by itself");
    }

    /// What an account says while calls are running.
    pub(crate) fn observe(&self) {
        let before = self.own.lock().accepted();
        let stats = self.shared.stats();
        let file = self.file.contents();
        assert!(stats.stored <= file.events, "stored before it was: {stats:?} {file:?}");
        assert!(stats.stored + stats.lost <= stats.accepted, "{stats:?}");
        assert!(before <= stats.accepted, "{stats:?}");
        let _ = self.shared.health();
    }

    /// Commits a batch beside the pipeline's own.
    pub(crate) fn import(&self, source: u8) {
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        let mut batch = Batch::empty(ProducerId([source; 16]), 1, now);
        batch.ledger.insert(LedgerEntry::Noted("import"), 1);
        let batch = Arc::new(batch);
        let before = self.file.contents().imports;
        for _ in 0..3 {
            match self.pipeline().commit(&batch) {
                Ok(Commit::Applied | Commit::Repeated) => {
                    assert_eq!(self.file.contents().imports, before + 1, "an import counts once");
                    return;
                }
                Ok(Commit::Overtaken) => panic!("nothing overtakes it"),
                Err(error) if error.kind() == ErrorKind::Closed => return,
                Err(_) => (),
            }
        }
    }

    pub(crate) fn close(&self, limit: Duration) {
        let outcome = self.pipeline().close(limit);
        match &outcome {
            Ok(stats) => {
                self.check_end(stats);
                *self.end.lock() = End::Closed;
            }
            Err(_) => *self.end.lock() = End::GivenUp,
        }
        assert_eq!(self.track(Kind::Opened), Err(TrackError::Closed));
        assert_eq!(self.pipeline().flush().unwrap_err().kind(), ErrorKind::Closed);
    }

    /// Drops the store without closing it.
    pub(crate) fn discard(&self) {
        let pipeline = self.pipeline.lock().take();
        drop(pipeline);
        *self.end.lock() = End::Dropped;
    }

    fn check_end(&self, stats: &Stats) {
        assert_eq!(stats.queued, 0, "closed with events left: {stats:?}");
        assert_eq!(stats.accepted, stats.stored + stats.lost, "{stats:?}");
    }

    /// Holds the account of the test, that of the store, and the file against each other, when no call is running any more.
    pub(crate) fn check(&self) {
        let (own, stats, file) = (self.own.lock().clone(), self.shared.stats(), self.file.contents());
        let all = format!("{own:?}\n{stats:?}\n{file:?}");
        assert_eq!(stats.offered, own.offered, "{all}");
        assert_eq!(stats.refused, own.refused, "{all}");
        assert_eq!(stats.accepted, own.accepted(), "{all}");
        assert_eq!(stats.offered, stats.accepted + stats.refused.values().sum::<u64>(), "{all}");
        assert_eq!(stats.accepted, stats.stored + stats.queued + stats.lost, "{all}");
        assert_eq!(file.valued & !own.valued, 0, "the file has what was not accepted\n{all}");
        assert!(file.opened <= own.opened, "the file has what was not accepted\n{all}");
        assert!(file.refused <= own.refused.values().sum(), "{all}");
        let end = *self.end.lock();
        if end == End::Open {
            return;
        }
        self.check_end(&stats);
        // What was given up may have got into the file all the same, by a commit that had not answered.
        assert!(stats.stored <= file.events, "{all}");
        assert!(stats.lost >= own.offending && file.lost <= own.offending, "{all}");
        if end == End::Closed {
            assert_eq!((stats.lost, file.lost), (own.offending, own.offending), "{all}");
        }
        // Nothing was lost but what must be.
        if stats.lost == own.offending {
            assert_eq!((file.valued, file.opened), (own.valued, own.opened), "{all}");
            assert_eq!(stats.stored, file.events, "{all}");
        }
    }
}
