//! The cost of tracking: to the caller in nanoseconds an event, and from end to end in events a second, with SQLite in turns.
//!
//! Each event adds to one count and two uniques. Medians of the rounds, in which all cases take turns, so that a busy machine
//! is busy for each of them.
#![allow(
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops where it is wrong"
)]

use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use headcount::{
    Definitions, Event, EventDefinition, EventTracker, MetricDefinition, Overflow, Query, Rule, Store,
    TimeFrame,
};
use rusqlite::{Connection, params};

/// Events of a burst; less than the queue holds, so that the caller's cost is measured and not the aggregator's.
const BURST: usize = 20_000;
/// Events between two transactions of the rival.
const ROWS_PER_TRANSACTION: usize = 1_000;
const THREADS: usize = 2;
const USERS: i64 = 100_000;
const PROJECTS: i64 = 2_000;

struct Scale {
    bursts: usize,
    runs: usize,
    events: usize,
    rival_events: usize,
}

fn main() {
    // `cargo test` runs benches too; there one small round shows that they work.
    let scale = if std::env::args().any(|argument| argument == "--bench") {
        Scale { bursts: 51, runs: 5, events: 3_000_000, rival_events: 200_000 }
    } else {
        Scale { bursts: 1, runs: 1, events: 20_000, rival_events: 2_000 }
    };
    to_the_caller(&scale);
    end_to_end(&scale);
}

fn to_the_caller(scale: &Scale) {
    let store = Store::builder_in_memory().definitions(definitions()).open().unwrap();
    let tracker = store.tracker();
    let viewed = tracker.event("page_viewed").unwrap();
    let ids = Ids::new(1, BURST);
    let mut by_handle = Vec::new();
    let mut by_name = Vec::new();
    let mut shared = Vec::new();
    let mut own = Vec::new();
    for _ in 0..scale.bursts {
        by_handle.push(settled(&store, || time(|| track_all(&viewed, &ids))));
        by_name.push(settled(&store, || {
            time(|| {
                for (user, project) in &ids.texts {
                    tracker.track(Event::new("page_viewed").user(user.as_str()).project(project.as_str()));
                }
            })
        }));
        shared.push(settled(&store, || on_threads([&viewed; THREADS], &ids)));
        let trackers = [(); THREADS].map(|()| store.tracker().event("page_viewed").unwrap());
        own.push(settled(&store, || on_threads([&trackers[0], &trackers[1]], &ids)));
    }
    let tracked = scale.bursts * BURST * (2 + 2 * THREADS);
    let stats = store.close().unwrap();
    assert_eq!(stats.stored, tracked as u64, "{stats:?}");

    let per_event = |times| format!("{:.1}", median(times) * 1e9 / BURST as f64);
    report("track through a handle, 6-digit ids", &per_event(by_handle), "ns");
    report("track by name, 20-byte ids", &per_event(by_name), "ns");
    report("2 threads, one tracker, each event", &per_event(shared), "ns");
    report("2 threads, a tracker each, each event", &per_event(own), "ns");
}

/// Measures, and then flushes, so that the next case finds an empty queue.
fn settled(store: &Store, measure: impl FnOnce() -> f64) -> f64 {
    let seconds = measure();
    store.flush().unwrap();
    seconds
}

/// The mean seconds of threads that begin together.
fn on_threads(trackers: [&EventTracker; THREADS], ids: &Ids) -> f64 {
    let start = Barrier::new(THREADS);
    let sum: f64 = std::thread::scope(|scope| {
        let threads = trackers.map(|tracker| {
            scope.spawn(|| {
                start.wait();
                time(|| track_all(tracker, ids))
            })
        });
        threads.map(|thread| thread.join().unwrap()).iter().sum()
    });
    sum / THREADS as f64
}

fn track_all(viewed: &EventTracker, ids: &Ids) {
    for (user, project) in &ids.numbers {
        viewed.user(*user).project(*project).track();
    }
}

fn end_to_end(scale: &Scale) {
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for run in 0..scale.runs {
        let folder = tempfile::tempdir().unwrap();
        let ids = Ids::new(100 + run as u64, scale.events.min(1_000_000));
        ours.push(scale.events as f64 / ours_to_disk(&folder.path().join("ours.db"), scale.events, &ids));
        let seconds = sqlite_to_disk(&folder.path().join("sqlite.db"), scale.rival_events, &ids);
        theirs.push(scale.rival_events as f64 / seconds);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    report("end to end to disk, 1 producer", &format!("{ours:.0}"), "events/s");
    report("plain SQLite, exact, 1,000 a transaction", &format!("{theirs:.0}"), "events/s");
    report("", &format!("{:.1}", ours / theirs), "times");
}

/// Seconds from the first event until all are durable.
fn ours_to_disk(path: &Path, events: usize, ids: &Ids) -> f64 {
    let store = Store::builder(path)
        .definitions(definitions())
        .on_overflow(Overflow::Wait(Duration::from_secs(60)))
        .open()
        .unwrap();
    let viewed = store.tracker().event("page_viewed").unwrap();
    let seconds = time(|| {
        for (user, project) in ids.numbers.iter().cycle().take(events) {
            viewed.user(*user).project(*project).track();
        }
        store.close().unwrap();
    });
    assert_eq!(store.stats().stored, events as u64);
    assert_eq!(store.value(&Query::total("page_viewed")).unwrap().count(), Some(events as u64));
    seconds
}

/// What a program without this crate would do: the same three rows an event, exact, in transactions of many events.
fn sqlite_to_disk(path: &Path, events: usize, ids: &Ids) -> f64 {
    let mut connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "synchronous", "FULL").unwrap();
    connection
        .execute_batch(
            "CREATE TABLE counts (day INTEGER, name TEXT, count INTEGER, PRIMARY KEY (day, name)) WITHOUT ROWID;
             CREATE TABLE uniques (day INTEGER, name TEXT, id INTEGER, PRIMARY KEY (day, name, id)) WITHOUT ROWID;",
        )
        .unwrap();
    let pairs: Vec<_> = ids.numbers.iter().cycle().take(events).collect();
    let seconds = time(|| {
        for pairs in pairs.chunks(ROWS_PER_TRANSACTION) {
            let transaction = connection.transaction().unwrap();
            let mut count = transaction
                .prepare_cached(
                    "INSERT INTO counts VALUES (?1, ?2, 1) ON CONFLICT DO UPDATE SET count = count + 1",
                )
                .unwrap();
            let mut unique =
                transaction.prepare_cached("INSERT OR IGNORE INTO uniques VALUES (?1, ?2, ?3)").unwrap();
            for (user, project) in pairs {
                count.execute(params![1, "page_viewed"]).unwrap();
                unique.execute(params![1, "page_viewed-user", user]).unwrap();
                unique.execute(params![1, "page_viewed-project", project]).unwrap();
            }
            drop((count, unique));
            transaction.commit().unwrap();
        }
    });
    let counted: i64 = connection.query_row("SELECT count FROM counts", [], |row| row.get(0)).unwrap();
    assert_eq!(counted, events as i64);
    seconds
}

fn definitions() -> Definitions {
    let unique = |identifier: &str| {
        MetricDefinition::new(format!("unique.{identifier}"), TimeFrame::All)
            .rule(Rule::unique("page_viewed", identifier))
    };
    let event = EventDefinition::new("page_viewed").identifier("user").identifier("project");
    Definitions::new()
        .event(event)
        .and_then(|all| all.metric(unique("user")))
        .and_then(|all| all.metric(unique("project")))
        .unwrap()
}

struct Ids {
    numbers: Vec<(i64, i64)>,
    texts: Vec<(String, String)>,
}

impl Ids {
    /// Six digits, and texts of 20 bytes, for a burst at the least.
    fn new(seed: u64, count: usize) -> Self {
        let mut random = SplitMix(seed);
        let mut below = |bound: i64| (random.next() >> 1) as i64 % bound;
        let numbers: Vec<_> =
            (0..count).map(|_| (100_000 + below(USERS), 100_000 + below(PROJECTS))).collect();
        let texts = numbers
            .iter()
            .take(BURST)
            .map(|(user, project)| (format!("user-{user:015}"), format!("project-{project:012}")))
            .collect();
        Self { numbers, texts }
    }
}

struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

fn time(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn report(what: &str, figure: &str, unit: &str) {
    println!("{what:<44}{figure:>12} {unit}");
}
