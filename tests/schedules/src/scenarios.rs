//! The scenarios. What varies from run to run is drawn from the scheduler, so that a schedule replays it too.

use std::time::Duration;

use shuttle::rand::{Rng, thread_rng};

use crate::bench::{Bench, Kind, settings};
use crate::clock::{Instant, settle};
use crate::file::Fault;
use crate::ingest::settings::{Mode, Overflow, Settings};
use crate::scheduler::{Patience, Scenario};

const LONG: Duration = Duration::from_secs(60);

macro_rules! scenarios {
    ($($name:ident: $patience:ident, $schedules:literal;)+) => {
        pub const SCENARIOS: &[Scenario] = &[
            $(Scenario {
                name: stringify!($name),
                patience: Patience::$patience,
                schedules: $schedules,
                body: $name,
            },)+
        ];
    };
}

scenarios! {
    flushing_beside_tracking: Endless, 2_000;
    a_filling_queue_wakes_the_aggregator: Endless, 2_000;
    callers_wait_for_room: Endless, 2_000;
    a_hanging_disk_lets_the_aggregator_sleep: Endless, 2_000;
    a_failing_committer_heals: Short, 2_000;
    an_aggregator_that_panics_goes_on: Short, 2_000;
    closing_beside_everything: Short, 4_000;
    dropping_beside_tracking: Short, 2_000;
    flushing_by_time: Short, 2_000;
    without_threads: Endless, 2_000;
}

fn flushing_beside_tracking() {
    let bench = Bench::new(settings(Mode::Background), []);
    let callers: Vec<_> = [3, 5]
        .into_iter()
        .map(|events| {
            bench.spawn(move |bench| {
                track(bench, events, &[Kind::Opened, Kind::Valued]);
                bench.flush_at_once();
                track(bench, 2, &[Kind::Valued]);
            })
        })
        .collect();
    let observer = bench.spawn(|bench| {
        bench.observe();
        bench.import(7);
        bench.observe();
    });
    bench.flush_at_once();
    join(callers);
    bench.flush_at_once();
    bench.observe();
    let began = Instant::now();
    bench.close(LONG);
    assert_eq!(began.elapsed(), Duration::ZERO, "closing was called by nobody, and looked by itself");
    join([observer]);
    bench.check();
}

fn a_filling_queue_wakes_the_aggregator() {
    let bench = Bench::new(Settings { queue_buffers: 4, ..settings(Mode::Background) }, []);
    let callers: Vec<_> = (0..2).map(|_| bench.spawn(|bench| track(bench, 7, &[Kind::Valued]))).collect();
    join(callers);
    settle();
    assert!(!bench.shared().queue.is_pressing(), "the aggregator sleeps before a queue that fills");
    bench.close(LONG);
    bench.check();
}

fn callers_wait_for_room() {
    let max_sketch_bytes = if one_of(&[true, false]) { 0 } else { 1 << 20 };
    let narrow = Settings {
        overflow: Overflow::Wait(LONG),
        queue_buffers: 1,
        max_sketch_bytes,
        ..settings(Mode::Background)
    };
    let bench = Bench::new(narrow, []);
    let callers: Vec<_> = (0..3)
        .map(|_| {
            bench.spawn(|bench| {
                for _ in 0..7 {
                    let began = Instant::now();
                    bench.track(Kind::Valued).unwrap();
                    assert_eq!(
                        began.elapsed(),
                        Duration::ZERO,
                        "a caller was not called when there was room"
                    );
                }
            })
        })
        .collect();
    join(callers);
    bench.flush_at_once();
    bench.close(LONG);
    bench.check();
}

fn a_hanging_disk_lets_the_aggregator_sleep() {
    let full = Settings { max_sketch_bytes: 0, queue_buffers: one_of(&[1, 4]), ..settings(Mode::Background) };
    let bench = Bench::new(full, [Fault::Hang]);
    track(&bench, 1, &[Kind::Valued]);
    let flusher = bench.spawn(|bench| bench.flush().unwrap());
    let caller = bench.spawn(|bench| track(bench, 16, &[Kind::Valued]));
    track(&bench, 16, &[Kind::Valued]);
    join([caller]);
    // Returns when nobody has anything to do.
    settle();
    bench.observe();
    bench.file.let_go();
    join([flusher]);
    bench.flush().unwrap();
    bench.check();
    bench.close(LONG);
    bench.check();
}

fn a_failing_committer_heals() {
    let faults: Vec<Fault> = (0..thread_rng().gen_range(1..4)).map(|_| any_fault()).collect();
    let tries = faults.len() + 1;
    let bench = Bench::new(any_settings(), faults);
    let callers: Vec<_> = (0..2)
        .map(|_| {
            bench.spawn(|bench| {
                track(bench, 4, &[Kind::Opened, Kind::Valued, Kind::Unknown]);
                let _ = bench.flush();
                track(bench, 3, &[Kind::Valued]);
            })
        })
        .collect();
    let importer = bench.spawn(|bench| bench.import(9));
    bench.observe();
    join(callers);
    join([importer]);
    // Each failure is told once at the most to a flush that asks after it.
    assert!((0..tries).any(|_| bench.flush().is_ok()), "the committer has healed, and flushes fail");
    bench.check();
    bench.close(LONG);
    bench.check();
}

fn an_aggregator_that_panics_goes_on() {
    let bench = Bench::new(any_settings(), []);
    let callers: Vec<_> = (0..2)
        .map(|_| {
            bench.spawn(|bench| {
                track(bench, 6, &[Kind::Valued, Kind::Offending, Kind::Opened]);
                bench.flush().unwrap();
                track(bench, 2, &[Kind::Offending, Kind::Opened]);
            })
        })
        .collect();
    bench.flush().unwrap();
    join(callers);
    bench.close(LONG);
    bench.check();
}

fn closing_beside_everything() {
    let mut faults: Vec<Fault> = (0..thread_rng().gen_range(0..3)).map(|_| any_fault()).collect();
    if one_of(&[true, false]) {
        faults.push(Fault::Hang);
    }
    let bench = Bench::new(any_settings(), faults);
    let callers: Vec<_> =
        (0..2).map(|_| bench.spawn(|bench| track(bench, 8, &[Kind::Opened, Kind::Valued]))).collect();
    let flusher = bench.spawn(|bench| {
        let _ = bench.flush();
        bench.observe();
        let _ = bench.flush();
    });
    let limit = one_of(&[Duration::ZERO, Duration::from_millis(3), Duration::from_secs(1)]);
    let closer = one_of(&[true, false]).then(|| bench.spawn(move |bench| bench.close(limit)));
    let importer = one_of(&[true, false]).then(|| bench.spawn(|bench| bench.import(8)));
    bench.close(limit);
    join(closer);
    bench.file.let_go();
    join(callers);
    join([flusher]);
    join(importer);
    bench.check();
    bench.close(limit);
    bench.check();
}

fn dropping_beside_tracking() {
    let faults: Vec<Fault> = (0..thread_rng().gen_range(0..2)).map(|_| any_fault()).collect();
    let bench = Bench::new(any_settings(), faults);
    let callers: Vec<_> = (0..3)
        .map(|_| bench.spawn(|bench| track(bench, 6, &[Kind::Opened, Kind::Valued, Kind::Offending])))
        .collect();
    bench.discard();
    join(callers);
    bench.check();
}

fn flushing_by_time() {
    let faults: Vec<Fault> = (0..thread_rng().gen_range(0..2)).map(|_| any_fault()).collect();
    let often = Settings { flush_every: Duration::from_millis(3), ..any_settings() };
    let bench = Bench::new(often, faults);
    let callers: Vec<_> =
        (0..2).map(|_| bench.spawn(|bench| track(bench, 6, &[Kind::Opened, Kind::Valued]))).collect();
    join(callers);
    let began = Instant::now();
    while bench.shared().stats().queued > 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "nothing is flushed by itself");
        crate::sync::thread::park_timeout(Duration::from_millis(5));
    }
    bench.check();
    bench.close(LONG);
    bench.check();
}

fn without_threads() {
    let fails = one_of(&[true, false]);
    let inline = Settings { max_sketch_bytes: one_of(&[0, 1 << 20]), ..settings(Mode::Inline) };
    let bench = Bench::new(inline, fails.then_some(Fault::ApplyThenFail));
    let callers: Vec<_> = (0..2)
        .map(|_| {
            bench.spawn(|bench| {
                track(bench, 4, &[Kind::Opened, Kind::Valued]);
                let _ = bench.flush();
                track(bench, 4, &[Kind::Valued]);
            })
        })
        .collect();
    let observer = bench.spawn(|bench| {
        bench.observe();
        bench.import(7);
        bench.observe();
    });
    let _ = bench.flush();
    if one_of(&[true, false]) {
        bench.close(LONG);
    }
    join(callers);
    join([observer]);
    bench.close(LONG);
    bench.check();
}

/// Tracks so many events, one kind after the other; what is refused is on the account.
fn track(bench: &Bench, events: usize, kinds: &[Kind]) {
    for kind in kinds.iter().cycle().take(events) {
        let _ = bench.track(*kind);
    }
}

fn join(threads: impl IntoIterator<Item = shuttle::thread::JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

fn one_of<T: Copy>(choices: &[T]) -> T {
    choices[thread_rng().gen_range(0..choices.len())]
}

fn any_fault() -> Fault {
    one_of(&[Fault::Fail, Fault::ApplyThenFail, Fault::Panic, Fault::ApplyThenPanic])
}

fn any_settings() -> Settings {
    Settings {
        overflow: one_of(&[Overflow::Refuse, Overflow::Wait(Duration::from_millis(2)), Overflow::Wait(LONG)]),
        queue_buffers: one_of(&[1, 2, 4]),
        max_sketch_bytes: one_of(&[0, 1 << 20]),
        ..settings(Mode::Background)
    }
}
