//! Tracking makes a system call for each buffer that is handed over, and no others: counted by `strace`.
//!
//! Runs with `HEADCOUNT_TEST_SERVERS=1` and `strace` in the path.

use std::fs;
use std::path::Path;
use std::time::Duration;

use headcount::{Definitions, EventDefinition, Rule, Store};

use crate::apart;

/// A system call in so many events at the most.
const EVENTS_A_CALL: usize = 1_024;
/// Most of them count: the first ones ask for the memory of buffers that are not there yet.
const BURSTS: usize = 11;
/// 10 full buffers: fewer than those that wake the aggregator.
const BURST: usize = 10 * EVENTS_A_CALL;
/// Names that are looked up around each burst, so that the trace shows where it is.
const BEGIN: &str = "/a-burst-begins";
const END: &str = "/a-burst-ends";

#[test]
fn tracking_makes_a_system_call_in_1024_events_at_the_most() {
    if apart::is_inner() {
        return track_bursts();
    }
    if std::env::var_os("HEADCOUNT_TEST_SERVERS").is_none() {
        eprintln!("skipped: HEADCOUNT_TEST_SERVERS is not set");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let traces = folder.path().join("trace").to_str().unwrap().to_owned();
    // A file for each thread.
    apart::run(
        "system_calls::tracking_makes_a_system_call_in_1024_events_at_the_most",
        &["strace", "-f", "-ff", "-qq", "-o", &traces],
    );
    let trace = trace_of_tracking(folder.path());
    let mut bursts = calls_in_bursts(&trace);
    bursts.sort_by_key(Vec::len);
    let typical = &bursts[BURSTS / 2];
    println!("{} system calls in {BURST} events", typical.len());
    assert!(
        typical.len() * EVENTS_A_CALL <= BURST,
        "{} system calls in {BURST} events:\n{}",
        typical.len(),
        typical.join("\n")
    );
}

#[test]
fn calls_are_counted_inside_the_bursts_alone() {
    let burst = format!(
        "brk(NULL) = 1\nstatx(AT_FDCWD, \"{BEGIN}\", 0) = -1\ngetpid() = 7\nfutex(0x1) = 0\n\
         statx(AT_FDCWD, \"{END}\", 0) = -1\nmunmap(1) = 0\n"
    );
    let none =
        format!("statx(AT_FDCWD, \"{BEGIN}\", 0) = -1\nstatx(AT_FDCWD, \"{END}\", 0) = -1\nexit(0) = ?\n");
    let trace = format!("{}{none}", burst.repeat(BURSTS - 1));
    let bursts = calls_in_bursts(&trace);
    assert_eq!(bursts[0], ["getpid() = 7", "futex(0x1) = 0"]);
    assert!(bursts[BURSTS - 1].is_empty());
}

fn track_bursts() {
    let store = Store::builder_in_memory()
        .definitions(
            Definitions::new()
                .event(EventDefinition::new("page_viewed").identifier("user").identifier("project"))
                .unwrap(),
        )
        .record(Rule::unique("page_viewed", "user"))
        .record(Rule::unique("page_viewed", "project"))
        // No flush but those below, which would have the buffer at the same time.
        .flush_every(Duration::from_secs(3_600))
        .open()
        .unwrap();
    let viewed = store.tracker().event("page_viewed").unwrap();
    let burst = || {
        for event in 0..BURST {
            viewed.user(event % 500).project(event % 70).track();
        }
    };
    for _ in 0..BURSTS {
        assert!(!Path::new(BEGIN).exists());
        burst();
        assert!(!Path::new(END).exists());
        store.flush().unwrap();
    }
    assert_eq!(store.stats().stored, (BURSTS * BURST) as u64);
}

/// The trace of the thread that tracked.
fn trace_of_tracking(folder: &Path) -> String {
    let mut traces = fs::read_dir(folder)
        .unwrap()
        .map(|file| String::from_utf8_lossy(&fs::read(file.unwrap().path()).unwrap()).into_owned())
        .filter(|trace| trace.contains(BEGIN));
    let trace = traces.next().expect("no thread has tracked");
    assert!(traces.next().is_none(), "several threads have tracked");
    trace
}

/// The lines of the trace that lie within each of the bursts.
fn calls_in_bursts(trace: &str) -> Vec<Vec<&str>> {
    let bursts: Vec<Vec<&str>> = trace
        .split(BEGIN)
        .skip(1)
        .map(|burst| {
            let (burst, _) = burst.split_once(END).expect("a burst that does not end");
            // The ends of the calls that mark the burst: the rest of the first, and the beginning of the last.
            let lines: Vec<_> = burst.lines().collect();
            lines[1..lines.len() - 1].to_vec()
        })
        .collect();
    assert_eq!(bursts.len(), BURSTS);
    bursts
}
