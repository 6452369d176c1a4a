//! What does tracking an event cost the caller?
//!
//! Bursts that the queue holds, so that the cost is the caller's and not the aggregator's; after each a flush. Beside them what
//! any counter shared by threads costs at least: an atomic addition, and an uncontended lock.
#![allow(
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops where it is wrong"
)]

mod rounds;

use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};

use headcount::{Builder, Definitions, Event, EventDefinition, EventTracker, Rule, Store, Tracker};
use parking_lot::Mutex;

use rounds::{SplitMix, Table, nanoseconds, scale};

const ROUNDS: usize = 51;
/// Events of a burst on one thread, and on all threads together.
const BURST: usize = 20_000;
const MANY_THREADS: usize = 8;
const PROJECTS: u64 = 20_000;
const PLATFORMS: [&str; 4] = ["linux", "macos", "windows", "freebsd"];

fn main() {
    let builder = Store::builder_in_memory().definitions(definitions());
    let store = rules().into_iter().fold(builder, Builder::record).open().unwrap();
    let tracker = store.tracker();
    let viewed = tracker.event("page_viewed").unwrap();
    let rich = tracker.event("command_used").unwrap();
    let burst = scale(BURST, 256);
    let (six, eight, texts) = (Ids::of_digits(6, burst), Ids::of_digits(8, burst), texts(burst));
    let own: Vec<EventTracker> =
        (0..MANY_THREADS).map(|_| store.tracker().event("page_viewed").unwrap()).collect();
    let settled = |work: &dyn Fn()| settled(&store, burst, work);

    let mut table = Table::new("ns an event, on one thread", &["median"]);
    table.row("atomic addition").case(|| {
        let counter = AtomicU64::new(0);
        rounds::nanoseconds_each(burst, || black_box(&counter).fetch_add(1, Ordering::Relaxed))
    });
    table.row("lock, addition and unlock").case(|| {
        let counter = Mutex::new(0_u64);
        rounds::nanoseconds_each(burst, || *black_box(&counter).lock() += 1)
    });
    table.row("no identifier, through a handle").case(|| {
        settled(&|| {
            for _ in 0..burst {
                viewed.track();
            }
        })
    });
    table.row("2 identifiers of 6 digits, handle").case(|| settled(&|| track_all(&viewed, &six.0)));
    table.row("2 identifiers of 8 digits, handle").case(|| settled(&|| track_all(&viewed, &eight.0)));
    table.row("2 identifiers of 6 digits, by name").case(|| {
        settled(&|| {
            for (user, project) in &six.0 {
                tracker.track(Event::new("page_viewed").user(*user).project(*project));
            }
        })
    });
    table.row("2 identifiers of 20 bytes, handle").case(|| {
        settled(&|| {
            for (user, project) in &texts {
                viewed.user(user.as_str()).project(project.as_str()).track();
            }
        })
    });
    table.row("2 identifiers of 20 bytes, by name").case(|| {
        settled(&|| {
            for (user, project) in &texts {
                tracker.track(Event::new("page_viewed").user(user.as_str()).project(project.as_str()));
            }
        })
    });
    table.row("4 custom, filter, sum, per value, unique").case(|| {
        settled(&|| {
            for ((user, project), platform) in six.0.iter().zip(PLATFORMS.iter().cycle()) {
                rich.user(*user)
                    .label("web")
                    .value(0.25)
                    .custom("platform", *platform)
                    .custom("version", "17.4.1")
                    .custom("retries", 3)
                    .custom("queue", *project)
                    .track();
            }
        })
    });
    table.row("clone of a handle, 2 identifiers, drop").case(|| {
        settled(&|| {
            for (user, project) in &six.0 {
                viewed.clone().user(*user).project(*project).track();
            }
        })
    });
    table.row("clone of a tracker, by name, drop").case(|| settled(&|| clone_and_track(&tracker, &six.0)));
    table.run(ROUNDS);

    let mut table = Table::new("ns an event of a thread, 2 identifiers", &["one handle", "one each"]);
    for threads in [1, 2, MANY_THREADS] {
        // Together they track what one alone did, which is what the queue holds.
        let pieces: Vec<_> = six.0.chunks(burst / threads).take(threads).collect();
        let same = pieces.clone();
        let (store, viewed, own) = (&store, &viewed, &own);
        table
            .row(format!("{threads} threads"))
            .case(move || on_threads(store, &pieces, |_| viewed))
            .case(move || on_threads(store, &same, |thread| &own[thread]));
    }
    table.run(ROUNDS);

    let stats = store.close().unwrap();
    assert_eq!((stats.offered, stats.lost), (stats.stored, 0), "{stats:?}");
}

/// The nanoseconds of an event; then a flush, so that the next case finds an empty queue.
fn settled(store: &Store, events: usize, work: &dyn Fn()) -> f64 {
    let each = nanoseconds(work) / events as f64;
    store.flush().unwrap();
    each
}

/// The mean nanoseconds of an event, on threads that begin together.
fn on_threads<'a>(
    store: &Store,
    pieces: &[&[(u64, u64)]],
    tracker_of: impl Fn(usize) -> &'a EventTracker,
) -> f64 {
    let start = Barrier::new(pieces.len());
    let sum: f64 = std::thread::scope(|scope| {
        let threads: Vec<_> = pieces
            .iter()
            .enumerate()
            .map(|(thread, ids)| {
                let (tracker, start) = (tracker_of(thread), &start);
                scope.spawn(move || {
                    // The thread gets its buffer.
                    tracker.track();
                    start.wait();
                    nanoseconds(|| track_all(tracker, ids)) / ids.len() as f64
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    store.flush().unwrap();
    sum / pieces.len() as f64
}

fn track_all(viewed: &EventTracker, ids: &[(u64, u64)]) {
    for (user, project) in ids {
        viewed.user(*user).project(*project).track();
    }
}

fn clone_and_track(tracker: &Tracker, ids: &[(u64, u64)]) {
    for (user, project) in ids {
        tracker.clone().track(Event::new("page_viewed").user(*user).project(*project));
    }
}

fn definitions() -> Definitions {
    let viewed = EventDefinition::new("page_viewed").identifier("user").identifier("project");
    let used = ["platform", "version", "retries", "queue"].into_iter().fold(
        EventDefinition::new("command_used").identifier("user").label().value(),
        EventDefinition::custom,
    );
    Definitions::new().event(viewed).and_then(|all| all.event(used)).unwrap()
}

fn rules() -> Vec<Rule> {
    vec![
        Rule::unique("page_viewed", "user"),
        Rule::unique("page_viewed", "project"),
        Rule::unique("command_used", "user").filter("platform", "linux"),
        Rule::count("command_used").filter("version", "17.4.1").filter("retries", 3.0),
        Rule::sum("command_used"),
        Rule::per_value("command_used", "label"),
    ]
}

struct Ids(Vec<(u64, u64)>);

impl Ids {
    fn of_digits(digits: u32, count: usize) -> Self {
        let mut random = SplitMix::new(1);
        let (least, all) = (10_u64.pow(digits - 1), 9 * 10_u64.pow(digits - 1));
        Self((0..count).map(|_| (least + random.below(all), least + random.below(PROJECTS))).collect())
    }
}

/// Identifiers of 20 bytes.
fn texts(count: usize) -> Vec<(String, String)> {
    let Ids(numbers) = Ids::of_digits(6, count);
    numbers
        .into_iter()
        .map(|(user, project)| (format!("user-{user:015}"), format!("project-{project:012}")))
        .collect()
}
