//! A forked child neither hangs nor sends what its parent tracked.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of tests may fail as tests do, and say their figures"
)]

mod common;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use headcount::{
    Definitions, Error, ErrorKind, Event, EventDefinition, Query, Rule, Stats, Store, Timestamp, TrackError,
};
use headcount_fork::{Fork, fork};
use rusqlite::{Connection, OpenFlags};

use common::figures::{figure, seed};
use common::{Chance, connect, counted, ledger};

/// No child needs as long.
const ALARM: Duration = Duration::from_secs(5);
/// Of what a child tracks so much may be taken before it is noticed.
const BUFFER: u64 = 1_024;
const IDENTIFIERS: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

/// Each situation has a quarter of the forks.
fn rounds() -> u64 {
    figure(40, 500).div_ceil(4)
}

fn open(path: &Path, flush_every: Duration) -> Store {
    try_open(path, flush_every).unwrap()
}

fn try_open(path: &Path, flush_every: Duration) -> Result<Store, Error> {
    let event = EventDefinition::new("page_viewed").identifier("user");
    let event = IDENTIFIERS.into_iter().fold(event, EventDefinition::identifier);
    let mut builder = Store::builder(path)
        .definitions(Definitions::new().event(event).unwrap())
        .record(Rule::unique("page_viewed", "user"))
        .sketch_memory(1)
        .flush_every(flush_every);
    for identifier in IDENTIFIERS {
        builder = builder.record(Rule::unique("page_viewed", identifier));
    }
    builder.open()
}

fn must(holds: bool, what: impl std::fmt::Display) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_string()) }
}

/// All that a child may try with the store that it has inherited: everything is refused, and nothing waits.
fn try_all(store: &Store) -> Result<(), String> {
    let mut taken = 0;
    for user in 0..3 * BUFFER {
        match store.tracker().try_track(Event::new("page_viewed").user(user)) {
            Ok(()) => taken += 1,
            Err(error) => must(error == TrackError::Forked || error == TrackError::QueueFull, error)?,
        }
    }
    must(taken <= BUFFER, format_args!("{taken} events were taken"))?;
    let refused = store.tracker().try_track(Event::new("page_viewed"));
    must(refused == Err(TrackError::Forked), format_args!("{refused:?}"))?;
    let kinds = [
        store.flush().map_err(|error| error.kind()),
        store.value(&Query::total("page_viewed")).map(drop).map_err(|error| error.kind()),
        store.mark("a fork").map(drop).map_err(|error| error.kind()),
        store.import("a fork", &b"{}\n"[..]).map(drop).map_err(|error| error.kind()),
        store.close().map(drop).map_err(|error| error.kind()),
    ];
    must(kinds == [Err(ErrorKind::Forked); 5], format_args!("{kinds:?}"))?;
    must(store.stats() == Stats::default(), "it has the parent's figures")
}

/// A store of the child's own, in another file: it is refused at once too.
fn open_own(beside: &Path) -> Result<(), String> {
    let path = beside.with_extension(std::process::id().to_string());
    let outcome = try_open(&path, Duration::from_secs(3_600)).map(drop).map_err(|error| error.kind());
    must(outcome == Err(ErrorKind::Forked) && !path.exists(), format_args!("{outcome:?}"))
}

struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    Place { path: folder.path().join("usage.db"), _folder: folder }
}

/// Closes the parent's store; the file has what the parent tracked, once.
fn assert_counted(store: &Store, path: &Path) {
    let stats = store.close().unwrap();
    assert_eq!((stats.stored, stats.queued, stats.lost), (stats.accepted, 0, 0));
    assert_eq!((counted(&connect(path)), ledger(path)["stored"]), (stats.accepted, stats.accepted));
    let fine: String = connect(path).query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(fine, "ok");
}

fn await_all(forks: Vec<Fork>) {
    let faults: Vec<_> = forks.into_iter().filter_map(|fork| fork.ends_well_within(ALARM).err()).collect();
    assert!(faults.is_empty(), "{faults:?}");
}

#[test]
fn a_fork_of_an_idle_process_is_refused_drops_its_copy_and_opens_nothing() {
    let place = place();
    let mut store = Some(open(&place.path, Duration::from_secs(3_600)));
    for round in 0..rounds() {
        let parent = store.as_ref().unwrap();
        (0..7).for_each(|user| parent.tracker().track(Event::new("page_viewed").user(user)));
        if round % 2 == 0 {
            parent.flush().unwrap();
        }
        let child = fork(|| {
            try_all(store.as_ref().unwrap())?;
            // The last clone that the child has: its threads are not there to be joined.
            drop(store.take());
            open_own(&place.path)
        });
        await_all(vec![child.unwrap()]);
    }
    let store = store.unwrap();
    assert_eq!(store.stats().accepted, 7 * rounds());
    assert_counted(&store, &place.path);
}

/// Forks while other threads of the parent do something all the time.
fn fork_beside(
    place: &Place,
    store: &Store,
    mut chance: Chance,
    work: impl Fn(&Store, u64) + Sync,
    child: impl Fn() -> Result<(), String>,
) {
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (work, ended) = (&work, &ended);
            scope.spawn(move || {
                let mut n = 0;
                while !ended.load(Ordering::Relaxed) {
                    work(store, thread * 1_000_000 + n);
                    n += 1;
                }
            });
        }
        let outcome = (0..rounds()).try_for_each(|_| {
            std::thread::sleep(Duration::from_micros(chance.below(5_000)));
            store.tracker().track(Event::new("page_viewed").user(1));
            fork(&child).unwrap().ends_well_within(ALARM)
        });
        ended.store(true, Ordering::Relaxed);
        outcome.unwrap();
    });
    assert!(place.path.exists());
}

#[test]
fn forks_in_the_middle_of_commits_are_refused() {
    let place = place();
    let store = open(&place.path, Duration::from_secs(3_600));
    let work = |store: &Store, user: u64| {
        store.tracker().track(Event::new("page_viewed").user(user));
        store.flush().unwrap();
    };
    fork_beside(&place, &store, Chance::new(seed()), work, || try_all(&store));
    assert_counted(&store, &place.path);
}

#[test]
fn forks_under_load_are_refused() {
    let place = place();
    let store = open(&place.path, Duration::from_millis(1));
    let work = |store: &Store, user: u64| {
        let _ = store.tracker().try_track(Event::new("page_viewed").user(user % 5_000));
    };
    fork_beside(&place, &store, Chance::new(seed()), work, || try_all(&store));
    assert_counted(&store, &place.path);
}

#[test]
fn forks_of_a_process_with_a_full_queue_are_refused_and_wait_for_nothing() {
    let place = place();
    let store = open(&place.path, Duration::from_millis(1));
    let lock = Connection::open_with_flags(&place.path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    // Sketches of each identifier and day fill the memory that is allowed, then the queue fills.
    let deadline = Instant::now() + Duration::from_secs(60);
    let now = Timestamp::from_unix_seconds(
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs().cast_signed(),
    );
    for user in 0_u64.. {
        let mut event = Event::new("page_viewed").user(user);
        event = IDENTIFIERS.into_iter().fold(event, |event, identifier| event.identifier(identifier, user));
        let days = i64::try_from(user % 7).unwrap();
        match store.tracker().try_track(event.at(now.plus_seconds(-days * 86_400))) {
            Ok(()) => assert!(Instant::now() < deadline, "the queue does not fill"),
            Err(error) => {
                assert_eq!(error, TrackError::QueueFull);
                break;
            }
        }
    }
    for _ in 0..rounds() {
        await_all(vec![fork(|| try_all(&store)).unwrap()]);
    }
    lock.execute_batch("ROLLBACK").unwrap();
    drop(lock);
    store.flush().unwrap();
    assert_counted(&store, &place.path);
}

/// Teeth: a child that goes on with what it has inherited hangs, and is found.
#[test]
fn a_fork_that_waits_for_a_thread_of_its_parent_is_found_out() {
    let (sender, receiver) = std::sync::mpsc::channel::<()>();
    let hangs = fork(|| receiver.recv().map_err(|error| error.to_string())).unwrap();
    let found = hangs.ends_well_within(Duration::from_millis(200)).unwrap_err();
    assert!(found.contains("hung"), "{found}");
    let fails = fork(|| Err("it failed".to_owned())).unwrap();
    assert!(fails.ends_well_within(ALARM).is_err());
    drop(sender);
}

/// SQLite's locks and its view of a file are of a process, and a fork inherits the view without the locks. So a child may be
/// refused, but what it acknowledges is in the file, whatever its parent does meanwhile.
#[test]
fn a_fork_that_opens_its_parents_file_is_refused_or_keeps_what_it_acknowledges() {
    let place = place();
    let mut store = Some(open(&place.path, Duration::from_secs(3_600)));
    store.as_ref().unwrap().tracker().track(Event::new("page_viewed").user(1));
    store.as_ref().unwrap().flush().unwrap();
    let (told, closed) = (place.path.with_extension("told"), place.path.with_extension("closed"));
    let child = fork(|| {
        let own = match try_open(&place.path, Duration::from_secs(3_600)) {
            Ok(own) => own,
            Err(refused) => {
                std::fs::write(&told, "refused").unwrap();
                return must(refused.kind() == ErrorKind::Forked, refused);
            }
        };
        own.tracker().track(Event::new("page_viewed").user(2));
        own.flush().map_err(|error| error.to_string())?;
        std::fs::write(&told, "flushed").unwrap();
        while !closed.exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        own.tracker().track(Event::new("page_viewed").user(3));
        own.flush().map_err(|error| error.to_string())?;
        own.close().map(drop).map_err(|error| error.to_string())
    });
    let child = child.unwrap();
    while !std::fs::read(&told).is_ok_and(|said| said.len() == "flushed".len()) {
        std::thread::sleep(Duration::from_millis(1));
    }
    let was_refused = std::fs::read(&told).unwrap() == b"refused";
    store.as_ref().unwrap().close().unwrap();
    drop(store.take());
    std::fs::write(&closed, "").unwrap();
    await_all(vec![child]);
    assert_eq!(counted(&connect(&place.path)), if was_refused { 1 } else { 3 });
}

/// A thread of the parent may be within SQLite at that moment, with its locks.
#[test]
fn forks_in_the_middle_of_commits_may_drop_their_copy_and_open_a_store_or_are_refused_at_once() {
    let place = place();
    let mut store = Some(open(&place.path, Duration::from_millis(1)));
    let ended = AtomicBool::new(false);
    let tracker = store.as_ref().unwrap().tracker();
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            for user in (0_u64..).take_while(|_| !ended.load(Ordering::Relaxed)) {
                let _ = tracker.try_track(Event::new("page_viewed").user(user));
            }
        });
        let mut chance = Chance::new(seed());
        let outcome = (0..4 * rounds()).try_for_each(|_| {
            std::thread::sleep(Duration::from_micros(chance.below(3_000)));
            let child = fork(|| {
                drop(store.take());
                let other = place.path.with_extension(std::process::id().to_string());
                match try_open(&other, Duration::from_secs(3_600)) {
                    Ok(_) => Ok(()),
                    Err(refused) => must(refused.kind() == ErrorKind::Forked, refused),
                }
            });
            child.unwrap().ends_well_within(ALARM)
        });
        ended.store(true, Ordering::Relaxed);
        outcome
    });
    outcome.unwrap();
    assert_counted(store.as_ref().unwrap(), &place.path);
}
