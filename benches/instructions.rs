//! How many instructions does it take? The same in every run, however busy the machine is, so that a gate can stand on it.
//!
//! `cargo bench --bench instructions` runs each case below twice behind `valgrind --tool=callgrind`, with few and with many
//! repetitions; the difference is what they cost, and start and end have no part in it. It fails where a limit is passed.
#![allow(
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops where it is wrong"
)]

#[path = "rounds/month.rs"]
mod month;
#[path = "rounds/rival.rs"]
mod rival;
mod rounds;
#[path = "rounds/two_events.rs"]
mod two_events;

use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::time::Duration;

use headcount::{Event, Mode, Sketch, Store};

use month::month;
use rival::ours_of;
use rounds::{are_measured, random_numbers};
use two_events::two_events;

/// What is counted: its name, the most instructions of a repetition, how many are counted, and the work.
type Case = (&'static str, f64, usize, fn(usize));

/// The limits hold what is reached on x86-64, and about a third: the folder of a clone is part of the crate's hash, by which the
/// compiler orders and inlines the code, and two clones of one commit were 14 % apart; in one piece (`codegen-units = 1`) they are
/// no closer. A lock, a copy or an allocation more is still seen.
const CASES: [Case; 12] = [
    ("track, handle, no identifier", 150.0, BUFFERS, track_nothing),
    ("track, handle, 2 of 6 digits", 335.0, BUFFERS, track_six),
    ("track, handle, 2 of 8 digits", 335.0, BUFFERS, track_eight),
    ("track, by name, 2 texts of 20 bytes", 490.0, BUFFERS, track_texts),
    ("track, handle, 4 custom, filters, sum", 2_800.0, BUFFERS, track_rich),
    ("track and add up, 2 known of 6 digits", 550.0, BUFFERS, add_up_six),
    ("insert into 3,000, known", 103.0, 4_000, insert_known_codes),
    ("insert into 100,000, known", 60.0, 4_000, insert_known_registers),
    ("decode 1,000", 146_000.0, 20, decode_codes),
    ("unite 28 days of 1,000, estimate", 5_100_000.0, 4, unite_codes),
    ("unite 28 days of 100,000, estimate", 1_160_000.0, 4, unite_registers),
    ("ping of 200 metrics over 28 days", 18_000_000.0, 4, build_pings),
];
/// Whole buffers, so that each event has its part of handing them over; fewer than those that wake the aggregator.
const BUFFERS: usize = 6 * 1_024;
const DAYS: u64 = 28;
const PLATFORMS: [&str; 2] = ["linux", "macos"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, command, case, repetitions] = arguments.as_slice()
        && command == "--only"
    {
        let (.., work) = CASES[case.parse::<usize>().unwrap()];
        work(repetitions.parse().unwrap());
        return ExitCode::SUCCESS;
    }
    if !are_measured() {
        // Without the tool: each of them works.
        CASES.iter().for_each(|(.., work)| work(2));
        return ExitCode::SUCCESS;
    }
    println!("{:<40}{:>14}{:>14}", "instructions each", "counted", "at the most");
    let mut result = ExitCode::SUCCESS;
    for (number, (name, limit, repetitions, _)) in CASES.iter().enumerate() {
        // Twice, so that whatever is made at the first time is no part of the difference.
        let counted = (count(number, 2 * repetitions) - count(number, *repetitions)) / *repetitions as f64;
        let verdict = if counted <= *limit { "" } else { "  too many" };
        println!("{name:<40}{counted:>14.1}{limit:>14.1}{verdict}");
        if counted > *limit {
            result = ExitCode::FAILURE;
        }
    }
    result
}

/// The instructions of the main thread.
fn count(case: usize, repetitions: usize) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("callgrind");
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--separate-threads=yes", "--quiet"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe().unwrap())
        .args(["--only", &case.to_string(), &repetitions.to_string()]);
    let output = valgrind.output().unwrap_or_else(|error| panic!("valgrind is needed: {error}"));
    assert!(output.status.success(), "{valgrind:?}\n{}", String::from_utf8_lossy(&output.stderr));
    // A file for each thread, of which the first is the main one.
    let main_thread = std::fs::read_to_string(folder.path().join("callgrind-01")).unwrap();
    let totals = main_thread.lines().find_map(|line| line.strip_prefix("totals: ")).unwrap();
    totals.trim().parse().unwrap()
}

fn track_nothing(events: usize) {
    with_store(Mode::Background, |store| {
        let viewed = store.tracker().event("page_viewed").unwrap();
        (0..events).for_each(|_| viewed.track());
    });
}

fn track_six(events: usize) {
    track_numbers(Mode::Background, 100_000, events);
}

fn track_eight(events: usize) {
    track_numbers(Mode::Background, 10_000_000, events);
}

/// Without threads the caller adds its events up.
fn add_up_six(events: usize) {
    track_numbers(Mode::Inline, 100_000, events);
}

fn track_numbers(mode: Mode, from: usize, events: usize) {
    with_store(mode, |store| {
        let viewed = store.tracker().event("page_viewed").unwrap();
        for event in 0..events {
            viewed.user(from + event % 256).project(from + event % 64).track();
        }
    });
}

fn track_texts(events: usize) {
    let texts: Vec<_> = (0..256).map(|user| format!("user-{user:015}")).collect();
    with_store(Mode::Background, |store| {
        let tracker = store.tracker();
        for text in texts.iter().cycle().take(events) {
            tracker.track(Event::new("page_viewed").user(text.as_str()).project(text.as_str()));
        }
    });
}

fn track_rich(events: usize) {
    with_store(Mode::Background, |store| {
        let used = store.tracker().event("command_used").unwrap();
        for event in 0..events {
            used.user(100_000 + event % 256)
                .label("web")
                .value(0.25)
                .custom("platform", PLATFORMS[event % 2])
                .custom("version", "17.4.1")
                .custom("retries", 3)
                .custom("seconds", 1.5)
                .track();
        }
    });
}

fn insert_known_codes(inserts: usize) {
    insert_known(3_000, inserts);
}

fn insert_known_registers(inserts: usize) {
    insert_known(100_000, inserts);
}

fn insert_known(size: usize, inserts: usize) {
    let ids = random_numbers(1, size);
    let mut sketch = ours_of(&ids);
    for id in ids.iter().cycle().take(inserts) {
        black_box(sketch.add(&id.to_le_bytes()));
    }
}

fn decode_codes(times: usize) {
    let blob = ours_of(&random_numbers(1, 1_000)).encode();
    for _ in 0..times {
        black_box(Sketch::decode(&blob).unwrap());
    }
}

fn unite_codes(times: usize) {
    unite_days(1_000, times);
}

fn unite_registers(times: usize) {
    unite_days(100_000, times);
}

fn unite_days(size: usize, times: usize) {
    let days: Vec<_> = (0..DAYS).map(|day| ours_of(&random_numbers(1 + day, size)).encode()).collect();
    for _ in 0..times {
        let mut all = Sketch::new();
        for day in &days {
            all.unite_blob(day).unwrap();
        }
        black_box(all.estimate());
    }
}

/// Each day's sketches are read once for all metrics; a search for each metric and day is seen.
fn build_pings(pings: usize) {
    let store = month(Store::builder_in_memory(), 50, |_| 20);
    let ping = store.ping();
    (0..pings).for_each(|_| drop(black_box(ping.build().unwrap())));
}

/// The store does nothing of itself meanwhile.
fn with_store(mode: Mode, work: impl FnOnce(&Store)) {
    let store = two_events(mode).flush_every(Duration::from_secs(3_600)).open().unwrap();
    work(&store);
    // Closing is not what is counted, and takes turns with other threads.
    std::mem::forget(store);
}
