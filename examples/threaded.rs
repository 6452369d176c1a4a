//! Usage of a program with worker threads.
//!
//! ```sh
//! cargo run --release --example threaded             # a store in a folder that is removed at the end
//! cargo run --release --example threaded usage.db    # a store that stays, for `headcount stats --store usage.db`
//! ```

#![expect(clippy::print_stdout, reason = "an example shows its numbers")]

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use headcount::{Definitions, EventDefinition, EventTracker, Overflow, Query, Rule, Stats, Store, Tracker};

const WORKERS: u64 = 4;
const JOBS_PER_WORKER: u64 = 250_000;

/// All that the program tracks. The names are resolved here and nowhere else: a misspelt one stops the program at its start, and a
/// call costs no look-up. Clones go to the threads; they share the store's queue.
#[derive(Clone)]
struct Usage {
    job_done: EventTracker,
    job_failed: EventTracker,
}

impl Usage {
    fn new(tracker: &Tracker) -> Result<Self, headcount::Error> {
        Ok(Self { job_done: tracker.event("job_done")?, job_failed: tracker.event("job_failed")? })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scratch = tempfile::tempdir()?;
    let path = std::env::args_os().nth(1).map_or_else(|| scratch.path().join("usage.db"), PathBuf::from);

    // The default suits a program that serves: a full queue refuses the event and counts that, and the worker goes on at once.
    let refusing = work(&path, Overflow::Refuse)?;
    show("refuse", &refusing);
    // Loops that track millions of events at once rather wait, each call for a second at the most.
    let waiting = work(&path, Overflow::Wait(Duration::from_secs(1)))?;
    show("wait", &waiting);
    Ok(())
}

fn work(path: &Path, overflow: Overflow) -> Result<Stats, headcount::Error> {
    let definitions = Definitions::new()
        .event(EventDefinition::new("job_done").identifier("user").value())?
        .event(EventDefinition::new("job_failed").identifier("user"))?;
    let store = Store::builder(path)
        .definitions(definitions)
        // The totals of both events come of themselves; what else is to be asked is named before it happens.
        .record(Rule::unique("job_done", "user"))
        .record(Rule::sum("job_done"))
        .on_overflow(overflow)
        .open()?;
    let usage = Usage::new(&store.tracker())?;

    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let usage = usage.clone();
            thread::spawn(move || run_jobs(worker, &usage))
        })
        .collect();
    for worker in workers {
        if worker.join().is_err() {
            println!("a worker panicked; what it had tracked before is in its buffer and counts");
        }
    }

    // Now everything that any of the threads tracked is on the disk, and in the answers.
    store.flush()?;
    let done = store.value(&Query::total("job_done"))?;
    let people = store.value(&Query::unique("job_done", "user").last_days(28))?;
    println!(
        "{} jobs done since the file was made, for {} ± {:.0} people",
        done.count().unwrap_or_default(),
        people.count().unwrap_or_default(),
        people.standard_error
    );
    // Closing commits what came since, ends the threads and says what became of every event. Left to `Drop` its errors would only
    // be logged. Clones of the trackers may live on: what they are offered from here on is refused as `Closed`.
    store.close()
}

fn run_jobs(worker: u64, usage: &Usage) {
    for job in 0..JOBS_PER_WORKER {
        let user = (job * WORKERS + worker) % 10_000;
        // Neither call can fail or panic: usage never gets in the way of the work.
        if job % 100 == 99 {
            usage.job_failed.user(user).track();
        } else {
            usage.job_done.user(user).value(0.25).track();
        }
    }
}

/// How many are refused in the first run depends on the machine; that the numbers add up does not.
fn show(how: &str, stats: &Stats) {
    let refused: u64 = stats.refused.values().sum();
    println!(
        "{how}: offered {} = accepted {} + refused {refused}; accepted = stored {} + lost {}",
        stats.offered, stats.accepted, stats.stored, stats.lost
    );
    for (reason, count) in &stats.refused {
        println!("{how}: refused {count}: {reason}");
    }
}
