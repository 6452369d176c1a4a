//! What becomes of events when the storage fails, hangs or panics, and when the aggregator does.

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
use crate::ingest::pipeline::{Mistake, Mode, Overflow, Pipeline, Settings};
use crate::ingest::tracker::Tracker;
use crate::plan::Plan;
use crate::storage::batch::{Batch, ProducerId, SeriesId};
use crate::storage::sqlite::{self, SqliteReader, SqliteWriter};
use crate::storage::{Commit, Reader, Writer};
use crate::time::bucket::Bucket;
use crate::time::clock::{Clock, ManualClock};
use crate::time::timestamp::Timestamp;

/// Nothing here takes longer, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);
const MODES: [Mode; 2] = [Mode::Background, Mode::Inline];

/// What the next commits do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Fault {
    #[default]
    None,
    Fail,
    ApplyThenFail,
    Panic,
    ApplyThenPanic,
    /// The commit does not return before another fault is set.
    Hang,
}

/// The test's hand on the writer.
#[derive(Default)]
struct Lever {
    fault: Mutex<Fault>,
    changed: Condvar,
    entered: AtomicU64,
}

impl Lever {
    fn set(&self, fault: Fault) {
        *self.fault.lock() = fault;
        self.changed.notify_all();
    }

    /// Returns when a commit has begun after `before` of them had.
    fn wait_for_commit_after(&self, before: u64) {
        wait_until("a commit", || self.entered.load(Ordering::SeqCst) > before);
    }
}

struct FaultyWriter {
    sound: SqliteWriter,
    lever: Arc<Lever>,
}

impl Writer for FaultyWriter {
    fn register(&mut self, rules: &[Rule], now: Timestamp) -> Result<Vec<SeriesId>, Error> {
        self.sound.register(rules, now)
    }

    fn value_names(&mut self, series: SeriesId) -> Result<Vec<String>, Error> {
        self.sound.value_names(series)
    }

    fn keep_definitions(&mut self, definitions: &str, recorded: &str) -> Result<(), Error> {
        self.sound.keep_definitions(definitions, recorded)
    }

    fn commit(&mut self, batch: &Batch) -> Result<Commit, Error> {
        self.lever.entered.fetch_add(1, Ordering::SeqCst);
        let mut fault = self.lever.fault.lock();
        while *fault == Fault::Hang {
            self.lever.changed.wait(&mut fault);
        }
        let fault = *fault;
        match fault {
            Fault::None | Fault::Hang => self.sound.commit(batch),
            Fault::Fail => Err(no_room()),
            Fault::ApplyThenFail => self.sound.commit(batch).and(Err(no_room())),
            Fault::Panic => panic!("a panic put in by a test"),
            Fault::ApplyThenPanic => panic!("a panic put in by a test: {:?}", self.sound.commit(batch)),
        }
    }
}

fn no_room() -> Error {
    Error::new(ErrorKind::StoreFull, "the disk of the test is full")
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::yield_now();
    }
}

/// A pipeline that ends in a writer under the test's control.
struct Bench {
    pipeline: Pipeline,
    lever: Arc<Lever>,
    reader: SqliteReader,
    series: BTreeMap<RuleKind, SeriesId>,
}

/// The settings of a test: nothing happens that nobody asks for.
fn settings(mode: Mode) -> Settings {
    Settings {
        clock: Clock::from(ManualClock::new(Timestamp::from_unix_seconds(1_800_000_000))),
        mode,
        overflow: Overflow::Refuse,
        mistake: Mistake::Count,
        flush_every: Duration::from_secs(3_600),
        max_sketch_bytes: 64 * 1024 * 1024,
        queue_buffers: 256,
    }
}

impl Bench {
    fn new(settings: Settings) -> Self {
        Self::panicking_at(settings, None)
    }

    fn panicking_at(settings: Settings, value: Option<f64>) -> Self {
        let now = settings.clock.now();
        let event = EventDefinition::new("build_finished").identifier("user").value();
        let definitions = Definitions::new().event(event).unwrap();
        let recorded = [Rule::unique("build_finished", "user"), Rule::sum("build_finished")];
        let plan = Plan::compile(&definitions, &recorded).unwrap();
        let (mut sound, reader) = sqlite::in_memory(now).unwrap();
        let ids = sound.register(plan.rules(), now).unwrap();
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

    fn tracker(&self) -> Tracker {
        Tracker::new(Arc::clone(self.pipeline.shared()))
    }

    /// Tracks events of the users `from..to`, each of value 1; all must be taken.
    fn track(&self, users: std::ops::Range<u32>) {
        let tracker = self.tracker();
        users.for_each(|user| tracker.try_track(one(user)).unwrap());
    }

    fn stored(&self) -> Stored {
        let mut stored = Stored::default();
        self.reader
            .snapshot(&mut |moment| {
                stored.events = moment.count(self.series[&RuleKind::Count], Bucket::ALL_TIME)?;
                stored.sum = moment.sum(self.series[&RuleKind::Sum], Bucket::ALL_TIME)?.value();
                let mut union = crate::sketch::union::Union::new();
                moment
                    .all_time_sketches(self.series[&RuleKind::Unique], &mut |blob| union.unite_blob(blob))?;
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
    fn check(&self, own: Own) {
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
struct Own {
    accepted: u64,
    refused: u64,
    queued: u64,
    lost: u64,
}

#[derive(Debug, Default)]
struct Stored {
    events: u64,
    sum: f64,
    users: u64,
    ledger: BTreeMap<String, u64>,
}

fn one(user: u32) -> Event<'static> {
    Event::new("build_finished").user(user).value(1.0)
}

#[test]
fn failing_commits_are_told_to_every_flush_and_count_once_in_the_end() {
    for mode in MODES {
        let bench = Bench::new(settings(mode));
        bench.lever.set(Fault::Fail);
        for round in 1..=3 {
            bench.track((round - 1) * 500..round * 500);
            let error = bench.pipeline.flush().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StoreFull, "{mode:?}");
            let accepted = u64::from(round) * 500;
            bench.check(Own { accepted, queued: accepted, ..Own::default() });
        }
        bench.lever.set(Fault::None);
        bench.pipeline.flush().unwrap();
        bench.check(Own { accepted: 1_500, ..Own::default() });
        assert_eq!(bench.stored().users, 1_500, "{mode:?}");
        assert_eq!(bench.pipeline.close(PATIENCE).unwrap().stored, 1_500);
    }
}

#[test]
fn a_commit_that_was_applied_and_reported_an_error_counts_once() {
    for mode in MODES {
        let bench = Bench::new(settings(mode));
        bench.lever.set(Fault::ApplyThenFail);
        bench.track(0..700);
        bench.pipeline.flush().unwrap_err();
        bench.track(700..900);
        bench.lever.set(Fault::None);
        bench.pipeline.flush().unwrap();
        bench.check(Own { accepted: 900, ..Own::default() });
        assert_eq!(bench.stored().users, 900, "{mode:?}");
    }
}

#[test]
fn a_writer_that_panics_is_asked_again_and_loses_nothing() {
    for fault in [Fault::Panic, Fault::ApplyThenPanic] {
        let bench = Bench::new(settings(Mode::Background));
        bench.track(0..300);
        bench.lever.set(fault);
        assert_eq!(bench.pipeline.flush().unwrap_err().kind(), ErrorKind::Internal);
        bench.lever.set(Fault::None);
        bench.track(300..400);
        bench.pipeline.flush().unwrap();
        bench.check(Own { accepted: 400, ..Own::default() });
        assert_eq!(bench.stored().users, 400, "{fault:?}");
    }
}

#[test]
fn a_panic_while_adding_up_costs_one_event_which_is_counted() {
    let bench = Bench::panicking_at(settings(Mode::Background), Some(13.0));
    let tracker = bench.tracker();
    for offending in 0..3_u64 {
        bench.track(0..400);
        tracker.try_track(Event::new("build_finished").user(7).value(13.0)).unwrap();
        bench.track(400..900);
        bench.pipeline.flush().unwrap();
        bench.check(Own { accepted: 901 * (offending + 1), lost: offending + 1, ..Own::default() });
        assert_eq!(bench.stored().ledger.get("lost panic"), Some(&(offending + 1)));
    }
    assert_eq!(bench.stored().users, 900);
}

#[test]
fn closing_after_a_panic_stores_the_rest_and_blames_no_deadline() {
    let bench = Bench::panicking_at(settings(Mode::Background), Some(13.0));
    bench.tracker().try_track(Event::new("build_finished").value(13.0)).unwrap();
    bench.track(0..100);
    let stats = bench.pipeline.close(PATIENCE).unwrap();
    assert_eq!((stats.accepted, stats.stored, stats.lost, stats.queued), (101, 100, 1, 0));
    bench.check(Own { accepted: 101, lost: 1, ..Own::default() });
}

#[test]
fn what_a_panic_cost_stays_counted_when_the_disk_then_fails_for_good() {
    let bench = Bench::panicking_at(settings(Mode::Background), Some(13.0));
    bench.lever.set(Fault::Fail);
    bench.tracker().try_track(Event::new("build_finished").value(13.0)).unwrap();
    bench.track(0..100);
    bench.pipeline.flush().unwrap_err();
    bench.tracker().try_track(Event::new("build_finished").value(13.0)).unwrap();
    bench.track(0..100);
    let error = bench.pipeline.close(Duration::from_millis(100)).unwrap_err();
    assert!(error.to_string().contains("202 events"), "{error}");
    bench.check(Own { accepted: 202, lost: 202, ..Own::default() });
}

/// A pipeline whose commits hang and whose memory is full at once, so that the queue fills up; and one event in it.
fn clogged(overflow: Overflow) -> (Bench, u64) {
    let narrow = Settings { overflow, max_sketch_bytes: 0, queue_buffers: 2, ..settings(Mode::Background) };
    let bench = Bench::new(narrow);
    bench.lever.set(Fault::Hang);
    bench.track(0..1);
    (bench, 1)
}

#[test]
fn a_full_queue_refuses_counts_and_loses_nothing() {
    let (bench, mut accepted) = clogged(Overflow::Refuse);
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| bench.pipeline.flush());
        bench.lever.wait_for_commit_after(0);
        let tracker = bench.tracker();
        let (mut refused, mut user) = (0, 1);
        let deadline = Instant::now() + PATIENCE;
        while refused < 1_000 {
            match tracker.try_track(one(user)) {
                Ok(()) => accepted += 1,
                Err(error) => {
                    assert_eq!(error, TrackError::QueueFull);
                    refused += 1;
                }
            }
            user += 1;
            assert!(Instant::now() < deadline, "the queue never filled up; {accepted} events taken");
        }
        bench.check(Own { accepted, refused, queued: accepted, lost: 0 });
        bench.lever.set(Fault::None);
        flush.join().unwrap().unwrap();
        bench.pipeline.flush().unwrap();
        bench.check(Own { accepted, refused, ..Own::default() });
        assert_eq!(bench.stored().ledger.get("refused queue_full"), Some(&refused));
        // There is room again.
        tracker.try_track(one(0)).unwrap();
    });
}

#[test]
fn a_caller_that_waits_for_room_gets_it() {
    let (bench, _) = clogged(Overflow::Wait(PATIENCE));
    let (stop, taken) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| bench.pipeline.flush());
        bench.lever.wait_for_commit_after(0);
        let callers: Vec<_> = (0..2_u32)
            .map(|caller| {
                let (tracker, stop, taken) = (bench.tracker(), &stop, &taken);
                scope.spawn(move || {
                    let mut user = caller;
                    while !stop.load(Ordering::SeqCst) {
                        tracker.try_track(one(user)).unwrap();
                        taken.fetch_add(1, Ordering::SeqCst);
                        user += 2;
                    }
                })
            })
            .collect();
        let shared = bench.pipeline.shared();
        wait_until("both callers to wait", || shared.queue.waiting_callers() == 2);
        stop.store(true, Ordering::SeqCst);
        bench.lever.set(Fault::None);
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        flush.join().unwrap().unwrap();
        bench.pipeline.flush().unwrap();
        bench.check(Own { accepted: 1 + taken.load(Ordering::SeqCst), ..Own::default() });
    });
}

#[test]
fn a_caller_that_waits_for_room_is_refused_at_its_deadline() {
    let limit = Duration::from_millis(60);
    let (bench, mut accepted) = clogged(Overflow::Wait(limit));
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| bench.pipeline.flush());
        bench.lever.wait_for_commit_after(0);
        let tracker = bench.tracker();
        let patience = Instant::now() + PATIENCE;
        let waited = (0..)
            .find_map(|user| {
                let began = Instant::now();
                assert!(began < patience, "the queue never filled up");
                match tracker.try_track(one(user)) {
                    Ok(()) => {
                        accepted += 1;
                        None
                    }
                    Err(error) => {
                        assert_eq!(error, TrackError::QueueFull);
                        Some(began.elapsed())
                    }
                }
            })
            .unwrap();
        assert!(waited >= limit && waited < Duration::from_secs(5), "{waited:?}");
        bench.lever.set(Fault::None);
        flush.join().unwrap().unwrap();
        bench.pipeline.flush().unwrap();
        bench.check(Own { accepted, refused: 1, ..Own::default() });
    });
}

#[test]
fn a_caller_that_waits_and_a_flush_that_waits_are_told_when_the_store_closes() {
    let (bench, mut accepted) = clogged(Overflow::Wait(PATIENCE));
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| bench.pipeline.flush());
        bench.lever.wait_for_commit_after(0);
        let tracker = bench.tracker();
        let caller = scope.spawn(move || {
            let mut taken = 0;
            loop {
                match tracker.try_track(one(taken)) {
                    Ok(()) => taken += 1,
                    Err(error) => return (u64::from(taken), error),
                }
            }
        });
        let shared = bench.pipeline.shared();
        wait_until("the caller to wait", || shared.queue.waiting_callers() == 1);
        let began = Instant::now();
        bench.pipeline.close(Duration::from_millis(100)).unwrap_err();
        let (taken, error) = caller.join().unwrap();
        accepted += taken;
        assert_eq!(error, TrackError::Closed);
        assert_eq!(flush.join().unwrap().unwrap_err().kind(), ErrorKind::Closed);
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        let stats = shared.stats();
        assert_eq!((stats.accepted, stats.lost, stats.queued), (accepted, accepted, 0));
        bench.lever.set(Fault::None);
    });
}

#[test]
fn memory_that_is_always_full_costs_commits_and_no_users() {
    for mode in MODES {
        let bench = Bench::new(Settings {
            max_sketch_bytes: 0,
            overflow: Overflow::Wait(PATIENCE),
            ..settings(mode)
        });
        for round in 0..5 {
            bench.track(round * 2_000..round * 2_000 + 6_000);
        }
        bench.pipeline.flush().unwrap();
        bench.check(Own { accepted: 30_000, ..Own::default() });
        let mut users = crate::sketch::Sketch::new();
        for user in 0..14_000 {
            users.add(user.to_string().as_bytes());
        }
        assert_eq!(bench.stored().users, users.estimate().rounded(), "{mode:?}");
        if mode == Mode::Inline {
            assert!(bench.lever.entered.load(Ordering::SeqCst) > 1, "memory was never full");
        }
    }
}

#[test]
fn without_threads_full_memory_and_a_failing_disk_refuse_and_count() {
    let bench = Bench::new(Settings { max_sketch_bytes: 0, ..settings(Mode::Inline) });
    bench.lever.set(Fault::Fail);
    let tracker = bench.tracker();
    let (mut own, mut user) = (Own::default(), 0);
    while own.refused < 100 {
        match tracker.try_track(one(user)) {
            Ok(()) => own.accepted += 1,
            Err(error) => {
                assert_eq!(error, TrackError::QueueFull);
                own.refused += 1;
            }
        }
        user += 1;
        assert!(user < 100_000, "memory was never full");
    }
    own.queued = own.accepted;
    bench.check(own);
    bench.lever.set(Fault::None);
    tracker.try_track(one(user)).unwrap();
    bench.pipeline.flush().unwrap();
    bench.check(Own { accepted: own.accepted + 1, refused: own.refused, ..Own::default() });
}

#[test]
fn closing_with_a_disk_that_fails_says_how_many_are_lost_within_the_limit() {
    for mode in MODES {
        let bench = Bench::new(settings(mode));
        bench.lever.set(Fault::Fail);
        bench.track(0..300);
        bench.pipeline.flush().unwrap_err();
        bench.track(300..500);
        let began = Instant::now();
        let error = bench.pipeline.close(Duration::from_millis(200)).unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(3), "{mode:?}: {:?}", began.elapsed());
        assert_eq!(error.kind(), ErrorKind::StoreFull, "{mode:?}: {error}");
        assert!(error.to_string().contains("lost 500 events"), "{mode:?}: {error}");
        bench.check(Own { accepted: 500, lost: 500, ..Own::default() });
        assert_eq!(bench.tracker().try_track(one(1)), Err(TrackError::Closed));
        assert_eq!(bench.pipeline.flush().unwrap_err().kind(), ErrorKind::Closed);
        // What is lost is lost once, and does not come back.
        bench.lever.set(Fault::None);
        let again = bench.pipeline.close(PATIENCE).unwrap();
        assert_eq!((again.lost, again.stored), (500, 0), "{mode:?}");
        bench.check(Own { accepted: 500, refused: 1, lost: 500, queued: 0 });
    }
}

#[test]
fn closing_with_a_disk_that_hangs_ends_within_the_limit() {
    let bench = Bench::new(settings(Mode::Background));
    bench.lever.set(Fault::Hang);
    bench.track(0..500);
    let began = Instant::now();
    let closed = closed_on_another_thread(&bench, Duration::from_millis(200));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let error = closed.expect("closing hung with the disk").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
    assert!(error.to_string().contains("lost 500 events"), "{error}");
    let stats = bench.pipeline.shared().stats();
    assert_eq!((stats.accepted, stats.lost, stats.queued), (500, 500, 0));
    bench.lever.set(Fault::None);
}

/// `None` when closing has not ended after three seconds; the disk is then let go, so that the test can end.
fn closed_on_another_thread(
    bench: &Bench,
    limit: Duration,
) -> Option<Result<crate::ingest::stats::Stats, Error>> {
    std::thread::scope(|scope| {
        let (sender, receiver) = std::sync::mpsc::channel();
        scope.spawn(move || sender.send(bench.pipeline.close(limit)));
        let closed = receiver.recv_timeout(Duration::from_secs(3)).ok();
        if closed.is_none() {
            bench.lever.set(Fault::None);
        }
        closed
    })
}

#[test]
fn dropping_a_store_whose_disk_hangs_takes_five_seconds_at_the_most() {
    let Bench { pipeline, lever, .. } = Bench::new(settings(Mode::Background));
    Tracker::new(Arc::clone(pipeline.shared())).try_track(one(1)).unwrap();
    lever.set(Fault::Hang);
    let (sender, dropped) = std::sync::mpsc::channel();
    let began = Instant::now();
    std::thread::spawn(move || {
        drop(pipeline);
        sender.send(())
    });
    let outcome = dropped.recv_timeout(Duration::from_secs(8));
    lever.set(Fault::None);
    outcome.expect("dropping hung with the disk, or panicked");
    assert!(began.elapsed() >= Duration::from_secs(4), "the disk was given no time");
}
