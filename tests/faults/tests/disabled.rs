//! A program starts whatever its store's disk does, and its store heals by itself.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops where it is wrong")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use headcount::{Event, Mode, Reader, Status, Store, TrackError};
use headcount_faults::disk::{Disk, Fault, Kind};
use headcount_faults::model::{self, EVENTS_PER_BATCH, Model};
use headcount_faults::oracle;
use headcount_faults::run::{Session, copy_folder, each, scratch, store_in};
use headcount_faults::workload::{ALL, Workload};

/// Nothing here takes longer, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);
const MOST_CALLS: u64 = 5_000;

/// What is there when the program starts: nothing, a store, or one of version 1.
const BEFORE: [&str; 3] = ["create", "flush", "migration"];

#[derive(Debug, Default)]
struct Tally {
    working: u64,
    disabled: u64,
    faults: Vec<String>,
}

#[test]
fn a_program_starts_whichever_call_of_opening_fails() {
    let jobs: Vec<(&Workload, Kind, bool)> = BEFORE
        .iter()
        .flat_map(|name| ALL.iter().filter(move |workload| workload.name == *name))
        .flat_map(|workload| Kind::ALL.map(|kind| (workload, kind)))
        // A lock that is never free is waited for.
        .flat_map(|(workload, kind)| [(workload, kind, false), (workload, kind, true)])
        .filter(|(_, kind, for_good)| *kind != Kind::Busy || !for_good)
        .collect();
    let tallies = each(&jobs, |(workload, kind, for_good)| every_call(workload, *kind, *for_good));
    for ((workload, kind, for_good), tally) in jobs.iter().zip(&tallies) {
        let lasts = if *for_good { "for good" } else { "once" };
        println!(
            "{:10} {:10} {lasts:8} {:3} disabled, {:3} working",
            workload.name,
            format!("{kind:?}"),
            tally.disabled,
            tally.working
        );
    }
    let total = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
    println!("{} disabled, {} working", total(|tally| tally.disabled), total(|tally| tally.working));
    let faults: Vec<&String> = tallies.iter().flat_map(|tally| &tally.faults).collect();
    assert!(faults.is_empty(), "{} are wrong: {:#?}", faults.len(), &faults[..faults.len().min(8)]);
    assert!(total(|tally| tally.disabled) > 0 && total(|tally| tally.working) > 0);
}

fn every_call(workload: &Workload, kind: Kind, for_good: bool) -> Tally {
    let mut tally = Tally::default();
    let template = scratch().unwrap();
    (workload.prepare)(template.path()).unwrap();
    for at in 1..MOST_CALLS {
        let began = Instant::now();
        let fault = Fault { kind, at, calls: if for_good { u64::MAX } else { 1 } };
        let one = || one_call(template.path(), fault);
        match catch_unwind(AssertUnwindSafe(one)).unwrap_or_else(|_| Err("panicked".to_owned())) {
            Ok(None) => return tally,
            Ok(Some(Status::Disabled)) => tally.disabled += 1,
            Ok(Some(_)) => tally.working += 1,
            Err(wrong) => tally.faults.push(format!("{}: {fault:?}: {wrong}", workload.name)),
        }
        if began.elapsed() > PATIENCE {
            tally.faults.push(format!("{}: {fault:?}: took {:?}", workload.name, began.elapsed()));
        }
    }
    tally.faults.push(format!("{}: {kind:?} never ends", workload.name));
    tally
}

/// What the store is when this call fails while it is opened; `None` when there is no such call.
fn one_call(template: &Path, fault: Fault) -> Result<Option<Status>, String> {
    let told = |error: headcount::Error| error.to_string();
    let folder = scratch().map_err(|error| error.to_string())?;
    let path = &folder.path().canonicalize().map_err(|error| error.to_string())?;
    copy_folder(template, path).map_err(|error| error.to_string())?;
    let disk = Disk::watch(path);
    let session = Session::new(path, None, 0);
    disk.fail(fault);
    let store = session.builder().and_then(headcount::Builder::open_or_disabled).map_err(told)?;
    if disk.heal() == 0 {
        return Ok(None);
    }
    let status = store.health().status;
    match status {
        Status::Disabled => refuses_and_says_why(&store)?,
        status if status != Status::Working => return Err(format!("{status:?} from the beginning")),
        _ => {}
    }
    drop(store);
    // On a disk that is well nothing is in the way of the next one, nor was anything left behind.
    let store = session.builder().and_then(headcount::Builder::open_or_disabled).map_err(told)?;
    let health = store.health();
    if health.status != Status::Working {
        return Err(format!("the next one is {health:?}"));
    }
    store.tracker().try_track(Event::new("opened").user(1)).map_err(|error| error.to_string())?;
    store.flush().map_err(told)?;
    store.close().map_err(told)?;
    drop(store);
    let sound = Reader::open(store_in(path)).and_then(|reader| reader.check(headcount::Depth::Deep));
    if !sound.map_err(told)?.is_sound() {
        return Err("the store is not sound".to_owned());
    }
    Ok(Some(status))
}

fn refuses_and_says_why(store: &Store) -> Result<(), String> {
    let trouble = store.health().trouble.ok_or("disabled, and nothing is wrong")?;
    if !trouble.message.contains("store.db") && !trouble.message.contains("/") {
        return Err(format!("it does not say which store: {}", trouble.message));
    }
    let tracked = store.tracker().try_track(Event::new("opened").user(1));
    if tracked != Err(TrackError::Disabled) || store.stats().refused.get(&TrackError::Disabled) != Some(&1) {
        return Err(format!("{tracked:?}, {:?}", store.stats()));
    }
    let flushed = store.flush().map_err(|error| error.kind());
    if flushed != Err(trouble.kind) || store.close().is_err() {
        return Err(format!("a flush says {flushed:?}, and health {:?}", trouble.kind));
    }
    Ok(())
}

/// In the background, without anybody who asks.
#[test]
fn a_store_whose_disk_fails_says_so_and_heals_by_itself() {
    for kind in [Kind::Error, Kind::ShortWrite, Kind::NoSpace, Kind::Sync, Kind::Applied] {
        let folder = scratch().unwrap();
        let path = folder.path().canonicalize().unwrap();
        let disk = Disk::watch(&path);
        let mut session = Session::new(&path, None, 0);
        let builder = session.builder().unwrap().mode(Mode::Background).flush_every(Duration::from_millis(1));
        session.adopt(builder.open_or_disabled().unwrap());
        let store = session.store().unwrap();
        session.track(0).unwrap();
        wait_until("the first batch", || store.stats().queued == 0);
        assert_eq!(store.health().status, Status::Working);

        disk.fail(Fault { kind, at: 1, calls: u64::MAX });
        session.track(1).unwrap();
        wait_until("the failure", || store.health().status == Status::Failing);
        let health = store.health();
        let trouble = health.trouble.unwrap();
        println!("{kind:?}: {:?}: {}", trouble.kind, trouble.message);
        assert!(trouble.message.contains("store.db"), "{}", trouble.message);
        assert!(health.oldest_unflushed.is_some());
        assert_eq!(store.stats().queued, EVENTS_PER_BATCH, "nothing is given up");

        // The look at what is kept, which the first batch brought, is over; if it failed too, the second brings another.
        session.clock().advance(Duration::from_secs(61));
        disk.heal();
        wait_until("healing", || store.health().status == Status::Working);
        wait_until("the second batch", || store.stats().queued == 0);
        let stats = store.stats();
        assert_eq!((stats.stored, stats.lost), (2 * EVENTS_PER_BATCH, 0));
        drop(store);
        session.close().unwrap();
        let tables = oracle::sound_tables(&store_in(&path)).unwrap().unwrap();
        assert_eq!(tables, Model::tracked(2).tables());
        let reader = Reader::open(store_in(&path)).unwrap();
        assert_eq!(oracle::answers_agree(&reader, &Model::tracked(2)), Ok(()));
    }
}

/// Old buckets that cannot be removed keep no batch from being stored, and are told until they are removed.
#[test]
fn a_store_that_cannot_remove_old_buckets_says_so_and_heals_by_itself() {
    let by_age = ALL.iter().find(|workload| workload.name == "retention by age").unwrap();
    for kind in [Kind::Error, Kind::Sync, Kind::Applied] {
        let folder = scratch().unwrap();
        let path = folder.path().canonicalize().unwrap();
        (by_age.prepare)(&path).unwrap();
        let disk = Disk::watch(&path);
        let mut session = Session::new(&path, None, 0);
        let store = session.store().unwrap();
        session.clock().set(headcount::Timestamp::from_unix_seconds(model::START));
        // Nothing is tracked, so that the calls are those of removing.
        disk.fail(Fault { kind, at: 1, calls: u64::MAX });
        store.flush().unwrap();
        assert!(disk.heal() > 0, "{kind:?}: nothing failed");
        let health = store.health();
        println!("{kind:?}: {health:?}");
        assert_eq!(health.status, Status::Failing);
        session.clock().advance(Duration::from_secs(61));
        store.flush().unwrap();
        assert_eq!(store.health().status, Status::Working);
        assert_ne!(oracle::sound_tables(&store_in(&path)).unwrap().unwrap().kept_from, (0, 0));
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::yield_now();
    }
}
