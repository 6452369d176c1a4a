//! A store that nobody uses sleeps: its threads wake up a few times a second.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use headcount::{Definitions, Event, EventDefinition, Store};

use crate::apart;

/// All threads of a store together: a look each 50 ms, and 6 more after each flush that is due, in seconds that have one or two.
const WAKE_UPS_A_SECOND: u64 = 23;
const SECONDS: u64 = 2;

#[test]
fn an_idle_store_wakes_up_23_times_a_second_at_the_most() {
    if !apart::is_inner() {
        let output = apart::run("idle::an_idle_store_wakes_up_23_times_a_second_at_the_most", &[]);
        output.lines().filter(|line| line.contains("a second of")).for_each(|line| println!("{line}"));
        return;
    }
    let before = threads();
    let definitions =
        Definitions::new().event(EventDefinition::new("page_viewed").identifier("user")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::builder(folder.path().join("usage.db")).definitions(definitions).open().unwrap();
    store.tracker().track(Event::new("page_viewed").user(1));
    store.flush().unwrap();
    let mut own = threads();
    own.retain(|thread| !before.contains(thread));
    assert!(!own.is_empty(), "the store has no threads");

    // From looks each millisecond to the long ones takes a moment.
    thread::sleep(Duration::from_millis(200));
    let (start, woken) = (Instant::now(), wake_ups(&own));
    thread::sleep(Duration::from_secs(SECONDS));
    let woken = (wake_ups(&own) - woken) as f64 / start.elapsed().as_secs_f64();
    println!("{woken:.1} wake-ups a second of {} threads", own.len());
    assert!(woken <= WAKE_UPS_A_SECOND as f64, "{woken:.1} wake-ups a second");
}

fn threads() -> Vec<PathBuf> {
    fs::read_dir("/proc/self/task").unwrap().map(|thread| thread.unwrap().path()).collect()
}

/// How often these threads have gone to sleep of themselves.
fn wake_ups(threads: &[PathBuf]) -> u64 {
    let of_one = |thread: &PathBuf| -> u64 {
        let status = fs::read_to_string(thread.join("status")).unwrap();
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
        count.trim().parse().unwrap()
    };
    threads.iter().map(of_one).sum()
}
