//! What does a store cost that nobody uses: processor time of its threads, and how often they wake up?
//!
//! On a file, with the default settings; figures of the kernel for each thread, which a busy machine raises a little.
#![allow(
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops where it is wrong"
)]

mod rounds;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use headcount::{Definitions, Event, EventDefinition, Store};

use rounds::{Table, scale};

const ROUNDS: usize = 5;
const WATCHED: Duration = Duration::from_secs(3);
const TRACK_EVERY: Duration = Duration::from_millis(100);

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let before = threads();
    let definitions =
        Definitions::new().event(EventDefinition::new("page_viewed").identifier("user")).unwrap();
    let store = Store::builder(folder.path().join("usage.db")).definitions(definitions).open().unwrap();
    let tracker = store.tracker();
    tracker.track(Event::new("page_viewed").user(1));
    store.flush().unwrap();
    let mut own = threads();
    own.retain(|thread| !before.contains(thread));

    let idle = || thread::sleep(scale(WATCHED, Duration::from_millis(100)));
    let slow = || {
        for user in 0..scale(WATCHED, TRACK_EVERY).as_millis() / TRACK_EVERY.as_millis() {
            tracker.track(Event::new("page_viewed").user(u64::try_from(user).unwrap()));
            thread::sleep(TRACK_EVERY);
        }
    };
    // A column of a row is a time of its own: both are rates, and need no common one.
    let mut table = Table::new("a store's threads", &["% of a core", "wake-ups/s"]);
    table
        .row("nobody tracks")
        .case(|| 100.0 * rate(&own, cpu_seconds, &idle))
        .case(|| rate(&own, wake_ups, &idle));
    table
        .row("10 events a second")
        .case(|| 100.0 * rate(&own, cpu_seconds, &slow))
        .case(|| rate(&own, wake_ups, &slow));
    table.run(ROUNDS);
}

/// How much of something these threads take in a second of this time.
fn rate(threads: &[PathBuf], of: fn(&Path) -> f64, pass_the_time: &dyn Fn()) -> f64 {
    let sum = || -> f64 { threads.iter().map(|thread| of(thread)).sum() };
    let (start, had) = (Instant::now(), sum());
    pass_the_time();
    (sum() - had) / start.elapsed().as_secs_f64()
}

fn threads() -> Vec<PathBuf> {
    fs::read_dir("/proc/self/task").unwrap().map(|thread| thread.unwrap().path()).collect()
}

fn cpu_seconds(thread: &Path) -> f64 {
    let times = fs::read_to_string(thread.join("schedstat")).unwrap();
    times.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// How often the thread has gone to sleep of itself.
fn wake_ups(thread: &Path) -> f64 {
    let status = fs::read_to_string(thread.join("status")).unwrap();
    let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
    count.trim().parse().unwrap()
}
