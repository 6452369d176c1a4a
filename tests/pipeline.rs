//! From the call to the file: the same numbers however events arrive, and an account of every event that was offered.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "the helpers of tests may fail as tests do, and say what they did"
)]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Condvar, Mutex};
use std::time::{Duration, Instant};

use headcount::{
    Definitions, ErrorKind, Event, EventDefinition, MAX_AGE_SECONDS, MAX_AHEAD_SECONDS, MAX_EXTRAS,
    MAX_TEXT_BYTES, ManualClock, Mistake, Mode, Overflow, Query, Rule, Sketch, Store, Timestamp, TrackError,
    Value,
};

use common::{Chance, Contents, connect, contents, counted, day_bucket, dump, ledger};

const NOON: &str = "2026-11-22T12:00:00Z";
const MODES: [Mode; 2] = [Mode::Background, Mode::Inline];

fn noon() -> Timestamp {
    Timestamp::parse(NOON).unwrap()
}

fn definitions() -> Definitions {
    let build = EventDefinition::new("build_finished")
        .identifier("user")
        .identifier("project")
        .identifier("device")
        .label()
        .value()
        .custom("platform");
    Definitions::new()
        .event(build)
        .and_then(|all| all.event(EventDefinition::new("page_viewed").identifier("user")))
        .and_then(|all| all.event(EventDefinition::new("page_closed").removed()))
        .unwrap()
}

fn builder(path: &Path, mode: Mode) -> headcount::Builder {
    Store::builder(path)
        .definitions(definitions())
        .clock(ManualClock::new(noon()))
        .mode(mode)
        .record(Rule::unique("build_finished", "user"))
        .record(Rule::unique("build_finished", "user").filter("platform", "linux"))
        .record(Rule::unique("build_finished", "device"))
        .record(Rule::unique("page_viewed", "user"))
        .record(Rule::sum("build_finished"))
        .record(Rule::sum("build_finished").filter("label", "slow"))
        .record(Rule::per_value("build_finished", "label"))
}

/// What one call of the test says.
#[derive(Clone, Copy)]
struct Call {
    event: &'static str,
    user: Option<u64>,
    device: Option<u64>,
    label: &'static str,
    platform: &'static str,
    value: f64,
    seconds_ago: i64,
}

/// Values are quarters, so that every partial sum is exact, or else thirds.
fn calls(seed: u64, count: usize, exact: bool) -> Vec<Call> {
    let mut chance = Chance::new(seed);
    let unit = if exact { 0.25 } else { 1.0 / 3.0 };
    (0..count)
        .map(|_| Call {
            event: chance.one_of(&["build_finished", "build_finished", "page_viewed"]),
            user: (chance.below(20) > 0).then(|| chance.below(30_000)),
            device: (chance.below(3) > 0).then(|| chance.below(400)),
            label: chance.one_of(&["slow", "fast", "", "so-so"]),
            platform: chance.one_of(&["linux", "macos", ""]),
            value: f64::from(u32::try_from(chance.below(4_000)).unwrap()) * unit - 300.0,
            seconds_ago: i64::try_from(chance.below(3 * 86_400)).unwrap(),
        })
        .collect()
}

fn track(tracker: &headcount::Tracker, call: &Call) {
    let at = noon().plus_seconds(-call.seconds_ago);
    let event = Event::new(call.event).user(call.user).at(at);
    let event = match call.event {
        "page_viewed" => event,
        _ => event
            .identifier("device", call.device)
            .label(call.label)
            .custom("platform", call.platform)
            .value(call.value),
    };
    tracker.try_track(event).unwrap();
}

/// The content of a store that one thread filled in one flush.
fn by_one_thread(folder: &Path, calls: &[Call]) -> Contents {
    let path = folder.join("one.db");
    let store = builder(&path, Mode::Inline).open().unwrap();
    let tracker = store.tracker();
    calls.iter().for_each(|call| track(&tracker, call));
    store.close().unwrap();
    contents(&path)
}

#[test]
fn eight_threads_and_one_thread_store_the_same_counts_sums_and_registers() {
    let folder = tempfile::tempdir().unwrap();
    let calls = calls(1, 60_000, true);
    let one = by_one_thread(folder.path(), &calls);
    let is_codes = |blob: &Vec<u8>| Sketch::decode(blob).unwrap().kind() == headcount::SketchKind::Codes;
    assert!(one.sketches.values().any(is_codes) && !one.sketches.values().all(is_codes));
    for mode in MODES {
        let path = folder.path().join(format!("{mode:?}.db"));
        let store = builder(&path, mode)
            .flush_every(Duration::from_millis(1))
            .sketch_memory(0)
            .on_overflow(Overflow::Wait(Duration::from_secs(30)))
            .open()
            .unwrap();
        std::thread::scope(|scope| {
            for part in calls.chunks(calls.len() / 8 + 1) {
                let store = &store;
                scope.spawn(move || {
                    let tracker = store.tracker();
                    for (n, call) in part.iter().enumerate() {
                        track(&tracker, call);
                        if n % 2_000 == 1_999 {
                            store.flush().unwrap();
                        }
                    }
                });
            }
        });
        let stats = store.close().unwrap();
        assert_eq!((stats.accepted, stats.stored), (60_000, 60_000));
        let many = contents(&path);
        assert_eq!(many.counts, one.counts, "{mode:?}");
        assert_eq!(many.sums, one.sums, "{mode:?}");
        assert_eq!(many.per_value, one.per_value, "{mode:?}");
        assert!(many.sketches == one.sketches, "{mode:?}: registers differ");
    }
}

/// The calls as lines of JSON.
fn lines(calls: &[Call]) -> String {
    let mut lines = String::new();
    for call in calls {
        let time = noon().plus_seconds(-call.seconds_ago);
        write!(lines, r#"{{"event":"{}","time":"{time}""#, call.event).unwrap();
        if let Some(user) = call.user {
            write!(lines, r#","user":"{user}""#).unwrap();
        }
        if call.event == "build_finished" {
            if let Some(device) = call.device {
                write!(lines, r#","device":{device}"#).unwrap();
            }
            let properties = [("label", call.label), ("platform", call.platform)]
                .into_iter()
                .filter(|(_, text)| !text.is_empty())
                .map(|(name, text)| format!(r#""{name}":"{text}","#));
            let properties: String = properties.collect();
            write!(lines, r#","additional_properties":{{{properties}"value":{}}}"#, call.value).unwrap();
        }
        lines.push_str("}\n");
    }
    lines
}

#[test]
fn imports_of_one_source_at_once_count_each_line_once_and_as_if_it_was_tracked() {
    let folder = tempfile::tempdir().unwrap();
    let calls = calls(5, 200_000, true);
    let one = by_one_thread(folder.path(), &calls);
    let lines = lines(&calls);
    let path = folder.path().join("imported.db");
    let stores = [Mode::Background, Mode::Inline].map(|mode| builder(&path, mode).open().unwrap());
    let start = Barrier::new(4);
    let read: u64 = std::thread::scope(|scope| {
        let imports: Vec<_> = (0..4)
            .map(|n| {
                let (store, lines, start) = (&stores[n % 2], &lines, &start);
                scope.spawn(move || {
                    start.wait();
                    let report = store.import("calls", lines.as_bytes()).unwrap();
                    assert_eq!(report.lines + report.already_read, 200_000, "{report:?}");
                    assert_eq!(report.accepted, report.lines);
                    report.lines
                })
            })
            .collect();
        imports.into_iter().map(|import| import.join().unwrap()).sum()
    });
    assert_eq!(read, 200_000);
    let many = contents(&path);
    assert_eq!(many.counts, one.counts);
    assert_eq!(many.sums, one.sums);
    assert_eq!(many.per_value, one.per_value);
    assert!(many.sketches == one.sketches, "registers differ");
    assert_eq!(ledger(&path)["stored"], 200_000);
    for store in stores {
        assert_eq!(store.close().unwrap().accepted, 0);
    }
}

#[test]
fn more_threads_than_there_are_buffers_lose_nothing() {
    for mode in MODES {
        let store = Store::builder_in_memory()
            .definitions(definitions())
            .mode(mode)
            .on_overflow(Overflow::Wait(Duration::from_secs(30)))
            .open()
            .unwrap();
        let start = Barrier::new(300);
        std::thread::scope(|scope| {
            for _ in 0..300 {
                let (store, start) = (&store, &start);
                scope.spawn(move || {
                    let tracker = store.tracker();
                    start.wait();
                    let taken = (0..600_u32)
                        .filter(|user| tracker.try_track(Event::new("page_viewed").user(*user)).is_ok());
                    let taken = taken.count();
                    // All are alive until all have tracked.
                    start.wait();
                    assert_eq!(taken, 600);
                });
            }
        });
        let stats = store.close().unwrap();
        assert_eq!((stats.accepted, stats.stored), (180_000, 180_000), "{mode:?}");
        assert_eq!(store.value(&Query::total("page_viewed")).unwrap().count(), Some(180_000));
    }
}

#[test]
fn sums_of_thirds_in_any_order_differ_by_less_than_a_trillionth() {
    let folder = tempfile::tempdir().unwrap();
    let mut calls = calls(2, 20_000, false);
    let one = by_one_thread(folder.path(), &calls);
    calls.reverse();
    let path = folder.path().join("reversed.db");
    let store = builder(&path, Mode::Background).flush_every(Duration::from_millis(1)).open().unwrap();
    for part in calls.chunks(1_000) {
        std::thread::scope(|scope| {
            for half in part.chunks(500) {
                let store = &store;
                scope.spawn(move || half.iter().for_each(|call| track(&store.tracker(), call)));
            }
        });
        store.flush().unwrap();
    }
    store.close().unwrap();
    let many = contents(&path);
    assert_eq!(many.sums.len(), one.sums.len());
    for (cell, sum) in &one.sums {
        let other = many.sums[cell];
        assert!((sum - other).abs() <= 1e-12 * sum.abs(), "{cell:?}: {sum} and {other}");
    }
}

/// Lets callers track a bounded number of events ahead of the flushes, so that both happen at once on few processors.
#[derive(Default)]
struct Permits {
    /// How many events were allowed and taken, and whether no more are.
    state: Mutex<(u64, u64, bool)>,
    changed: Condvar,
}

impl Permits {
    fn add(&self, events: u64) {
        self.state.lock().unwrap().0 += events;
        self.changed.notify_all();
    }

    fn end(&self) {
        self.state.lock().unwrap().2 = true;
        self.changed.notify_all();
    }

    /// The next events to track; `None` at the end.
    fn take(&self) -> Option<std::ops::Range<u64>> {
        let state = self.state.lock().unwrap();
        let mut state =
            self.changed.wait_while(state, |(allowed, taken, ended)| taken >= allowed && !*ended).unwrap();
        let from = state.1;
        state.1 += 50;
        (!state.2).then_some(from..from + 50)
    }
}

#[test]
fn what_was_tracked_before_a_flush_returned_is_in_the_file() {
    for mode in MODES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        let store = builder(&path, mode).flush_every(Duration::from_secs(3_600)).open().unwrap();
        let progress: Vec<AtomicU64> = (0..8).map(|_| AtomicU64::new(0)).collect();
        let flushes = AtomicU64::new(0);
        let permits = Permits::default();
        let start = Barrier::new(16);
        let outcomes = std::thread::scope(|scope| {
            for mine in &progress {
                let (store, permits, start) = (&store, &permits, &start);
                scope.spawn(move || {
                    let tracker = store.tracker();
                    start.wait();
                    while let Some(users) = permits.take() {
                        for user in users {
                            match tracker.try_track(Event::new("page_viewed").user(user % 5_000)) {
                                Ok(()) => drop(mine.fetch_add(1, Ordering::SeqCst)),
                                Err(error) => assert_eq!(error, TrackError::QueueFull),
                            }
                        }
                    }
                });
            }
            let flushers: Vec<_> = (0..8)
                .map(|_| {
                    let (store, start, progress, flushes, path) =
                        (&store, &start, &progress, &flushes, &path);
                    let permits = &permits;
                    scope.spawn(move || {
                        let file = connect(path);
                        start.wait();
                        let end = Instant::now() + Duration::from_millis(2_500);
                        while Instant::now() < end && flushes.fetch_add(1, Ordering::Relaxed) < 3_000 {
                            permits.add(700);
                            let before: u64 = progress.iter().map(|mine| mine.load(Ordering::SeqCst)).sum();
                            store.flush().map_err(|error| error.to_string())?;
                            let after = counted(&file);
                            if after < before {
                                return Err(format!("{mode:?}: {before} tracked, {after} in the file"));
                            }
                        }
                        Ok(())
                    })
                })
                .collect();
            let outcomes: Vec<_> = flushers.into_iter().map(|flusher| flusher.join().unwrap()).collect();
            permits.end();
            outcomes
        });
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        let tracked: u64 = progress.iter().map(|mine| mine.load(Ordering::SeqCst)).sum();
        let stats = store.close().unwrap();
        assert_eq!((stats.accepted, stats.stored, stats.queued), (tracked, tracked, 0), "{mode:?}");
        println!("{mode:?}: {} flushes, {tracked} events", flushes.load(Ordering::Relaxed));
    }
}

#[test]
fn closing_while_others_track_loses_nothing_that_was_taken() {
    for mode in MODES {
        for round in 0..12 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("usage.db");
            let store = builder(&path, mode).open().unwrap();
            let (accepted, closed, full) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
            std::thread::scope(|scope| {
                for caller in 0..6_u64 {
                    let (store, accepted, closed, full) = (&store, &accepted, &closed, &full);
                    scope.spawn(move || {
                        let tracker = store.tracker();
                        let mut after_close = 0;
                        while after_close < 300 {
                            match tracker.try_track(Event::new("page_viewed").user(caller)) {
                                Ok(()) => {
                                    assert_eq!(
                                        after_close, 0,
                                        "an event was taken after one was refused as closed"
                                    );
                                    accepted.fetch_add(1, Ordering::Relaxed);
                                }
                                Err(TrackError::Closed) => {
                                    after_close += 1;
                                    closed.fetch_add(1, Ordering::Relaxed);
                                }
                                Err(error) => {
                                    assert_eq!(error, TrackError::QueueFull);
                                    full.fetch_add(1, Ordering::Relaxed);
                                }
                            }
                        }
                    });
                }
                let deadline = Instant::now() + Duration::from_secs(20);
                while accepted.load(Ordering::Relaxed) < 2_000 + round * 777 && Instant::now() < deadline {
                    std::thread::yield_now();
                }
                store.close().unwrap();
            });
            let accepted = accepted.into_inner();
            let stats = store.stats();
            assert_eq!((stats.accepted, stats.stored), (accepted, accepted), "{mode:?} round {round}");
            assert_eq!(stats.refused[&TrackError::Closed], closed.into_inner());
            assert_eq!(stats.refused.get(&TrackError::QueueFull).copied().unwrap_or(0), full.into_inner());
            assert_eq!(stats.offered, accepted + stats.refused.values().sum::<u64>());
            assert_eq!(counted(&connect(&path)), accepted);
            assert_eq!(ledger(&path)["stored"], accepted);
        }
    }
}

#[test]
fn a_closed_store_refuses_and_says_so_but_answers_go_on() {
    for mode in MODES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        let store = builder(&path, mode).open().unwrap();
        let tracker = store.tracker();
        let page_viewed = tracker.event("page_viewed").unwrap();
        page_viewed.user(1).track();
        let closed = store.close().unwrap();
        assert_eq!((closed.offered, closed.accepted, closed.stored), (1, 1, 1));
        assert_eq!(tracker.try_track(Event::new("page_viewed")), Err(TrackError::Closed));
        assert_eq!(page_viewed.user(2).try_track(), Err(TrackError::Closed));
        tracker.track(Event::new("page_viewed"));
        assert_eq!(store.flush().unwrap_err().kind(), ErrorKind::Closed, "{mode:?}");
        let line = br#"{"event":"page_viewed"}"#;
        let import = store.import("late", line.as_slice());
        assert_eq!(import.unwrap_err().kind(), ErrorKind::Closed, "{mode:?}");
        let again = store.close().unwrap();
        assert_eq!((again.offered, again.accepted, again.stored), (4, 1, 1), "{mode:?}");
        assert_eq!(store.value(&Query::total("page_viewed")).unwrap().count(), Some(1));
        assert_eq!(counted(&connect(&path)), 1);
    }
}

#[test]
fn dropping_the_last_clone_stores_what_was_taken() {
    for mode in MODES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        let store = builder(&path, mode).flush_every(Duration::from_secs(3_600)).open().unwrap();
        let tracker = store.tracker();
        let clone = store.clone();
        (0..1_000_u32).for_each(|user| tracker.track(Event::new("page_viewed").user(user)));
        drop(store);
        tracker.try_track(Event::new("page_viewed")).unwrap();
        let began = Instant::now();
        drop(clone);
        assert!(began.elapsed() < Duration::from_secs(5), "{mode:?}");
        assert_eq!(tracker.try_track(Event::new("page_viewed")), Err(TrackError::Closed));
        assert_eq!(counted(&connect(&path)), 1_001, "{mode:?}");
    }
}

#[test]
fn a_store_locked_by_another_program_is_closed_within_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let store = builder(&path, Mode::Background).open().unwrap();
    (0..10_u32).for_each(|user| store.tracker().track(Event::new("page_viewed").user(user)));
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let began = Instant::now();
    let error = store.close_within(Duration::from_millis(300)).unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(error.to_string().contains("lost 10 events"), "{error}");
    let stats = store.stats();
    assert_eq!((stats.accepted, stats.lost, stats.queued), (10, 10, 0));
    other.execute_batch("ROLLBACK").unwrap();
}

#[test]
fn the_same_calls_without_threads_make_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str| {
        let path = folder.path().join(name);
        let clock = ManualClock::new(noon().plus_seconds(-4 * 86_400));
        let store = builder(&path, Mode::Inline).clock(clock.clone()).open().unwrap();
        let tracker = store.tracker();
        let mut chance = Chance::new(3);
        for day in 0..5 {
            for call in calls(100 + day, 2_000, false) {
                let label = format!("label-{}", chance.below(1_500));
                let at = clock.now().plus_seconds(-call.seconds_ago);
                let event =
                    Event::new("build_finished").user(call.user).label(&label).value(call.value).at(at);
                tracker.track(event.identifier("device", call.device));
                tracker.track(Event::new("no_such_event"));
            }
            store.flush().unwrap();
            clock.advance(Duration::from_secs(86_400));
        }
        let answers = format!(
            "{:?}\n{:?}\n{:?}",
            store.value(&Query::unique("build_finished", "user")).unwrap(),
            store.value(&Query::per_value("build_finished", "label")).unwrap(),
            store.series(&Query::sum("build_finished"), headcount::Unit::Hour).unwrap(),
        );
        store.close().unwrap();
        (dump(&path), answers)
    };
    let (first, second) = (run("first.db"), run("second.db"));
    assert_eq!(first.1, second.1);
    let differ: Vec<_> = first.0.iter().zip(&second.0).filter(|(one, other)| one != other).take(3).collect();
    assert!(differ.is_empty(), "{differ:?}");
    assert_eq!(first.0.len(), second.0.len());
}

#[test]
fn a_store_in_memory_tracks_and_answers_in_both_modes() {
    for mode in MODES {
        let store = Store::builder_in_memory()
            .definitions(definitions())
            .clock(ManualClock::new(noon()))
            .mode(mode)
            .record(Rule::unique("page_viewed", "user"))
            .open()
            .unwrap();
        std::thread::scope(|scope| {
            for caller in 0..4_u32 {
                let store = &store;
                scope.spawn(move || {
                    for user in 0..500 {
                        store.tracker().track(Event::new("page_viewed").user(user * 4 + caller));
                    }
                    store.flush().unwrap();
                    let seen = store.value(&Query::total("page_viewed")).unwrap().count();
                    assert!(seen >= Some(500), "{seen:?}");
                });
            }
        });
        assert_eq!(store.value(&Query::total("page_viewed")).unwrap().count(), Some(2_000));
        let users = store.value(&Query::unique("page_viewed", "user")).unwrap();
        assert!((users.value.number().unwrap() - 2_000.0).abs() <= 2.0, "{users:?}");
        assert_eq!(store.close().unwrap().stored, 2_000);
    }
}

#[test]
fn events_are_taken_from_eight_days_back_to_five_minutes_ahead() {
    for mode in MODES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        let store = builder(&path, mode).open().unwrap();
        let tracker = store.tracker();
        for (offset, expected) in [
            (-MAX_AGE_SECONDS, Ok(())),
            (-MAX_AGE_SECONDS - 1, Err(TrackError::TooLate)),
            (MAX_AHEAD_SECONDS, Ok(())),
            (MAX_AHEAD_SECONDS + 1, Err(TrackError::TooFuture)),
            (i64::MIN / 2, Err(TrackError::TooLate)),
            (i64::MAX / 2, Err(TrackError::TooFuture)),
        ] {
            let at = noon().plus_seconds(offset);
            assert_eq!(tracker.try_track(Event::new("page_viewed").at(at).user(1)), expected, "{offset}");
        }
        let stats = store.close().unwrap();
        assert_eq!((stats.offered, stats.stored), (6, 2));
        assert_eq!((MAX_AGE_SECONDS, MAX_AHEAD_SECONDS), (8 * 86_400, 300));
        let contents = contents(&path);
        for offset in [-MAX_AGE_SECONDS, MAX_AHEAD_SECONDS] {
            let day = day_bucket(noon().unix_seconds() + offset);
            assert_eq!(contents.counts[&(day, "page_viewed".to_owned())], 1, "{offset}");
        }
    }
}

#[test]
fn every_reason_of_refusal_is_returned_and_counted_and_leaves_no_other_trace() {
    let long = "x".repeat(MAX_TEXT_BYTES + 1);
    let many: Vec<String> = (0..=MAX_EXTRAS).map(|n| n.to_string()).collect();
    let build = || Event::new("build_finished").user(1).identifier("device", 1).label("a").value(1.0);
    let crowded = many.iter().fold(build(), |event, text| event.custom("platform", text.as_str()));
    let table = [
        (TrackError::UnknownEvent, Event::new("build_finish")),
        (TrackError::UnknownEvent, Event::new("")),
        (TrackError::RemovedEvent, Event::new("page_closed")),
        (TrackError::UndeclaredIdentifier, build().identifier("engine", 1)),
        (TrackError::UndeclaredIdentifier, Event::new("page_viewed").identifier("device", 1)),
        (TrackError::UndeclaredProperty, build().custom("colour", "red")),
        (TrackError::UndeclaredProperty, Event::new("page_viewed").custom("platform", 1)),
        (TrackError::TooLong, build().user(long.as_str())),
        (TrackError::TooLong, build().project(&long)),
        (TrackError::TooLong, build().namespace(&long)),
        (TrackError::TooLong, build().label(&long)),
        (TrackError::TooLong, build().property(&long)),
        (TrackError::TooLong, build().identifier("device", &long)),
        (TrackError::TooLong, build().custom("platform", &long)),
        (TrackError::TooMany, crowded),
        (TrackError::NotFinite, build().value(f64::NAN)),
        (TrackError::NotFinite, build().value(f64::INFINITY)),
        (TrackError::NotFinite, build().value(f32::NEG_INFINITY)),
        (TrackError::NotFinite, build().custom("platform", f64::NAN)),
        (TrackError::TooLate, build().at(noon().plus_seconds(-MAX_AGE_SECONDS - 1))),
        (TrackError::TooFuture, build().at(noon().plus_seconds(MAX_AHEAD_SECONDS + 1))),
    ];
    for mode in MODES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        let store = builder(&path, mode).open().unwrap();
        let tracker = store.tracker();
        let mut own = BTreeMap::<TrackError, u64>::new();
        for (reason, event) in &table {
            assert_eq!(tracker.try_track(event.clone()), Err(*reason), "{event:?}");
            tracker.track(event.clone());
            *own.entry(*reason).or_default() += 2;
        }
        tracker.try_track(build()).unwrap();
        let stats = store.close().unwrap();
        assert_eq!(stats.refused, own);
        assert_eq!((stats.offered, stats.accepted, stats.stored), (2 * table.len() as u64 + 1, 1, 1));
        let mut file = ledger(&path);
        assert_eq!(file.remove("stored"), Some(1));
        let own = own.into_iter().map(|(reason, count)| (format!("refused {}", reason.reason()), count));
        assert_eq!(file, own.collect());
        let contents = contents(&path);
        assert_eq!(counted(&connect(&path)), 1);
        assert_eq!(contents.sums[&(0, "build_finished-operator:sum(value)".to_owned())], 1.0);
    }
}

#[test]
fn the_longest_and_the_most_that_an_event_may_carry_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let store = builder(&path, Mode::Inline).open().unwrap();
    let long = "x".repeat(MAX_TEXT_BYTES);
    let event = Event::new("build_finished").user(long.as_str()).label(&long).value(f64::MAX);
    let event = (0..MAX_EXTRAS).fold(event, |event, _| event.identifier("device", &long));
    store.tracker().try_track(event).unwrap();
    store.close().unwrap();
    let contents = contents(&path);
    assert_eq!(contents.per_value[&(0, "build_finished-operator:total-label".to_owned(), long)], 1);
    assert_eq!(contents.sums[&(0, "build_finished-operator:sum(value)".to_owned())], f64::MAX);
}

#[test]
fn mistakes_panic_when_the_host_asks_for_it_and_circumstances_never() {
    let store = Store::builder_in_memory()
        .definitions(definitions())
        .clock(ManualClock::new(noon()))
        .on_mistake(Mistake::Panic)
        .open()
        .unwrap();
    let tracker = store.tracker();
    let panics = |event: Event<'static>| {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tracker.track(event))).is_err()
    };
    assert!(panics(Event::new("build_finish")));
    assert!(panics(Event::new("page_viewed").custom("colour", 1)));
    assert!(!panics(Event::new("page_viewed").at(Timestamp::EPOCH)));
    assert!(!panics(Event::new("page_viewed")));
    store.close().unwrap();
    assert!(!panics(Event::new("page_viewed")));
    assert_eq!(store.stats().refused.values().sum::<u64>(), 4);
}

#[test]
fn undeclared_base_properties_and_absent_identifiers_are_noted_while_the_event_counts() {
    for mode in MODES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        let store = builder(&path, mode).open().unwrap();
        let tracker = store.tracker();
        // Three undeclared properties, and no user for the unique rule.
        tracker.try_track(Event::new("page_viewed").label("a").property("b").value(1.0)).unwrap();
        // No device, user, or label: two uniques and one count per value are skipped.
        tracker.try_track(Event::new("build_finished").value(2.0)).unwrap();
        // The label is there, but the filter on the platform keeps its unique out: nothing is absent.
        tracker.try_track(Event::new("build_finished").user(1).identifier("device", 1).label("a")).unwrap();
        assert_eq!(store.close().unwrap().stored, 3);
        let file = ledger(&path);
        assert_eq!(file["noted undeclared_property"], 3, "{mode:?} {file:?}");
        assert_eq!(file["noted absent_identifier"], 4, "{mode:?} {file:?}");
        assert_eq!(counted(&connect(&path)), 3);
        let contents = contents(&path);
        assert_eq!(contents.sums[&(0, "build_finished-operator:sum(value)".to_owned())], 2.0);
        assert!(!contents.sketches.keys().any(|(_, key)| key == "page_viewed-user"));
    }
}

#[test]
fn identifiers_are_the_bytes_that_their_decimal_form_has() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let store = builder(&path, Mode::Inline).open().unwrap();
    let tracker = store.tracker();
    let viewed = |event: Event<'_>| tracker.try_track(event).unwrap();
    let view = || Event::new("page_viewed");
    viewed(view().user(42_u8));
    viewed(view().user(42_i64));
    viewed(view().user("42"));
    viewed(view().user(Some(42_usize)));
    viewed(view().user(Some(Some("42"))));
    viewed(view().user(&String::from("042")));
    viewed(view().user(i8::MIN));
    viewed(view().user(i16::MIN));
    viewed(view().user(i32::MIN));
    viewed(view().user(i64::MIN));
    viewed(view().user(u16::MAX));
    viewed(view().user(u32::MAX));
    viewed(view().user(u64::MAX));
    viewed(view().user("ünïcödé"));
    viewed(view().user(0));
    // Nobody.
    viewed(view().user(""));
    viewed(view().user(None::<&str>));
    viewed(view().user(Some("")));
    store.close().unwrap();
    let mut expected = Sketch::new();
    for id in [
        "42",
        "042",
        "-128",
        "-32768",
        "-2147483648",
        "-9223372036854775808",
        "65535",
        "4294967295",
        "18446744073709551615",
        "ünïcödé",
        "0",
    ] {
        expected.add(id.as_bytes());
    }
    let contents = contents(&path);
    let day = day_bucket(noon().unix_seconds());
    let stored = Sketch::decode(&contents.sketches[&(day, "page_viewed-user".to_owned())]).unwrap();
    assert_eq!(stored, expected);
    assert_eq!(ledger(&path)["noted absent_identifier"], 3);
    assert_eq!(counted(&connect(&path)), 18);
}

#[test]
fn negative_zero_is_zero_in_sums_values_filters_and_uniques() {
    let definitions = Definitions::new().event(EventDefinition::new("measured").value()).unwrap();
    let store = Store::builder_in_memory()
        .definitions(definitions)
        .mode(Mode::Inline)
        .record(Rule::sum("measured"))
        .record(Rule::sum("measured").filter("value", 0))
        .record(Rule::count("measured").filter("value", -0.0))
        .record(Rule::unique("measured", "value"))
        .record(Rule::per_value("measured", "value"))
        .open()
        .unwrap();
    let tracker = store.tracker();
    tracker.track(Event::new("measured").value(-0.0));
    tracker.track(Event::new("measured").value(0.0));
    tracker.track(Event::new("measured").value(60.0));
    tracker.track(Event::new("measured"));
    store.flush().unwrap();
    let value = |query: Query| store.value(&query).unwrap().value;
    assert_eq!(value(Query::sum("measured")), Value::Sum { sum: 60.0, saturated: false });
    assert_eq!(value(Query::total("measured").filter("value", 0)), Value::Count(2));
    assert_eq!(value(Query::unique("measured", "value")).count(), Some(2));
    let counts = BTreeMap::from([("0".to_owned(), 2), ("60".to_owned(), 1)]);
    assert_eq!(value(Query::per_value("measured", "value")).per_value(), Some(&counts));
}

#[test]
fn a_series_keeps_a_thousand_values_for_its_life_and_counts_the_others_together() {
    for mode in MODES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        let labels = |range: std::ops::Range<u32>| range.map(|n| format!("label-{n}")).collect::<Vec<_>>();
        let fill = |store: &Store, labels: &[String]| {
            let tracker = store.tracker();
            labels.iter().for_each(|label| tracker.track(Event::new("build_finished").label(label)));
            store.flush().unwrap();
        };
        let values = |store: &Store| {
            store
                .value(&Query::per_value("build_finished", "label"))
                .unwrap()
                .value
                .per_value()
                .unwrap()
                .clone()
        };
        let first = builder(&path, mode).open().unwrap();
        fill(&first, &labels(0..600));
        drop(first);
        // Known values stay what they are after reopening, and new ones find the room that is left.
        let second = builder(&path, mode).open().unwrap();
        fill(&second, &labels(0..900));
        let beside = builder(&path, mode).open().unwrap();
        fill(&beside, &labels(800..1_100));
        let stored = values(&beside);
        assert_eq!(stored.len(), 1_001, "{mode:?}");
        assert_eq!(stored["(other)"], 100);
        assert_eq!((stored["label-0"], stored["label-850"], stored["label-999"]), (2, 2, 1));
        // Whatever each of two stores knows, no event is lost and no value is added.
        fill(&second, &labels(700..1_300));
        fill(&beside, &labels(700..1_300));
        second.close().unwrap();
        beside.close().unwrap();
        let third = builder(&path, mode).open().unwrap();
        fill(&third, &labels(0..2_000));
        let stored = values(&third);
        assert_eq!(stored.len(), 1_001, "{mode:?}");
        assert_eq!(stored.values().sum::<u64>(), 600 + 900 + 300 + 600 + 600 + 2_000);
        assert_eq!(stored["(other)"], 100 + 300 + 300 + 1_000, "{mode:?}");
        assert_eq!(stored["label-0"], 3);
    }
}

#[test]
fn identifiers_and_properties_may_be_set_by_their_names() {
    for mode in MODES {
        let definitions = Definitions::new()
            .event(EventDefinition::new("used").identifier("user").label().value().custom("platform"))
            .unwrap();
        let store = Store::builder_in_memory()
            .definitions(definitions)
            .mode(mode)
            .record(Rule::unique("used", "user"))
            .record(Rule::per_value("used", "label"))
            .record(Rule::sum("used"))
            .record(Rule::count("used").filter("label", ""))
            .open()
            .unwrap();
        let tracker = store.tracker();
        let by_name = Event::new("used").identifier("user", 7).custom("label", "web").custom("value", 2.5);
        tracker.try_track(by_name).unwrap();
        tracker.try_track(Event::new("used").user(7).label("web").value(2.5)).unwrap();
        tracker.try_track(Event::new("used")).unwrap();
        for wrong in [Event::new("used").custom("label", 7), Event::new("used").custom("value", "7")] {
            assert_eq!(tracker.try_track(wrong), Err(TrackError::WrongType));
        }
        store.flush().unwrap();
        let value = |query: Query| store.value(&query).unwrap();
        assert_eq!(value(Query::unique("used", "user")).count(), Some(1));
        assert_eq!(value(Query::per_value("used", "label")).value.per_value().unwrap()["web"], 2);
        assert_eq!(value(Query::sum("used")).value.number(), Some(5.0));
        // The empty text is nothing, so that no event has it.
        assert_eq!(value(Query::total("used").filter("label", "")).count(), Some(0));
    }
}
