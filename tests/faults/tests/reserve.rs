//! What a store keeps aside for the day when the disk is full.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops where it is wrong")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use headcount::{
    Builder, Definitions, Depth, ErrorKind, Event, EventDefinition, ManualClock, Mode, Query, Retention,
    Rule, Status, Store, Timestamp,
};
use headcount_faults::chance::Chance;
use headcount_faults::disk::Disk;
use headcount_faults::model::{self, Model};
use headcount_faults::oracle;
use headcount_faults::run::{Session, scratch, store_in};

const RESERVE_BYTES: u64 = 2 * 1024 * 1024;
/// So many small batches must fit into it at the least.
const LAST_BATCHES: usize = 20;
const MOST_BATCHES: usize = 1_000;
/// When commits have succeeded for so long, the reserve is made again.
const AGAIN_AFTER: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const NAMES: u64 = 200;
/// Makes a file that is larger than the smallest size allows.
const HISTORY_DAYS: usize = 170;
const USERS_A_DAY: u64 = 100;
/// Days with fewer events, on a disk that is full from the first on.
const FULL_DAYS: usize = 120;
const FEW_NAMES: u64 = 20;

fn reserve_in(folder: &Path) -> PathBuf {
    folder.join("store.db-reserve")
}

fn has_reserve(folder: &Path) -> bool {
    reserve_in(folder).metadata().is_ok_and(|file| file.len() == RESERVE_BYTES)
}

#[test]
fn the_last_batches_before_a_disk_is_full_go_through_the_reserve() {
    let folder = scratch().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let disk = Disk::watch(&path);
    let mut session = Session::new(&path, None, 0);
    let store = session.store().unwrap();
    assert!(has_reserve(&path));
    disk.give_space(Some(disk.used()));
    let mut batches = 0;
    let error = loop {
        assert!(batches < MOST_BATCHES, "the disk is never full");
        session.track(batches).unwrap();
        batches += 1;
        if let Err(error) = store.flush() {
            break error;
        }
        assert!(!reserve_in(&path).exists(), "there was no other room");
    };
    let through = batches - 1;
    println!("without a free byte {through} batches are stored through the reserve");
    assert_eq!(error.kind(), ErrorKind::StoreFull, "{error}");
    assert!(through >= LAST_BATCHES, "only {through}");
    disk.give_space(None);
    session.clock().advance(AGAIN_AFTER);
    store.flush().unwrap();
    assert!(has_reserve(&path), "it is made again");
    drop(store);
    session.close().unwrap();
    assert!(!reserve_in(&path).exists());
    let tables = oracle::sound_tables(&store_in(&path)).unwrap().unwrap();
    assert_eq!(tables, Model::tracked(batches).tables());
}

#[test]
fn without_the_reserve_a_full_disk_takes_nothing() {
    let folder = scratch().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let disk = Disk::watch(&path);
    let mut session = Session::new(&path, None, 0);
    let store = session.store().unwrap();
    fs::remove_file(reserve_in(&path)).unwrap();
    disk.give_space(Some(disk.used()));
    let stored = (0..LAST_BATCHES).filter(|batch| {
        session.track(*batch).unwrap();
        store.flush().is_ok()
    });
    // The log may have some room that is not used yet.
    let stored = stored.count();
    println!("without a free byte and without the reserve {stored} of {LAST_BATCHES} batches are stored");
    assert!(stored < 2, "{stored}");
}

/// A store of many names, which has more than its size allows.
struct Large {
    clock: ManualClock,
    chance: Chance,
    totals: Vec<u64>,
}

impl Large {
    fn new() -> Self {
        let clock = ManualClock::new(Timestamp::from_unix_seconds(model::START));
        Self { clock, chance: Chance::of(0, "large", 0), totals: vec![0; usize::try_from(NAMES).unwrap()] }
    }

    fn builder(&self, folder: &Path) -> Builder {
        let names = (0..NAMES).map(|name| format!("event_{name}"));
        let mut definitions = Definitions::new();
        let mut rules = Vec::new();
        for name in names {
            rules.push(Rule::unique(&name, "user"));
            definitions = definitions.event(EventDefinition::new(name).identifier("user")).unwrap();
        }
        let builder = Store::builder(store_in(folder)).definitions(definitions);
        let builder = builder.clock(self.clock.clone()).mode(Mode::Inline);
        rules.into_iter().fold(builder, Builder::record)
    }

    fn track_a_day(&mut self, store: &Store, names: u64) {
        self.clock.advance(DAY);
        for name in 0..names {
            let event = format!("event_{name}");
            (0..USERS_A_DAY)
                .for_each(|_| store.tracker().try_track(Event::new(&event).user(self.chance.any())).unwrap());
            self.totals[usize::try_from(name).unwrap()] += USERS_A_DAY;
        }
    }

    /// Opened with a limit that is below what is there, on a disk without a free byte.
    fn on_a_full_disk(&mut self, folder: &Path, with_reserve: bool) -> (Store, Arc<Disk>) {
        let store = self.builder(folder).open().unwrap();
        for _ in 0..HISTORY_DAYS {
            self.track_a_day(&store, NAMES);
            store.flush().unwrap();
        }
        store.close().unwrap();
        drop(store);
        let disk = Disk::watch(folder);
        let limit = Retention::everything().at_most_bytes(Retention::SMALLEST_BYTES);
        let store = self.builder(folder).retention(limit).open().unwrap();
        if !with_reserve {
            fs::remove_file(reserve_in(folder)).unwrap();
        }
        disk.give_space(Some(disk.used()));
        (store, disk)
    }

    fn assert_all_is_counted(&self, store: &Store) {
        for (name, total) in self.totals.iter().enumerate() {
            assert_eq!(store.value(&Query::total(format!("event_{name}"))).unwrap().count(), Some(*total));
        }
    }
}

#[test]
fn a_full_disk_is_made_room_on_by_retention_without_anybodys_help() {
    let folder = scratch().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let mut large = Large::new();
    let (store, disk) = large.on_a_full_disk(&path, true);
    let (full, mut refused) = (disk.used(), Vec::new());
    for day in 0..FULL_DAYS {
        large.track_a_day(&store, FEW_NAMES);
        if let Err(error) = store.flush() {
            refused.push((day, error.to_string()));
        }
    }
    println!(
        "{full} bytes and none free: {} of {FULL_DAYS} flushes refused, {} bytes in the end, {:?}",
        refused.len(),
        disk.used(),
        store.reader().retention().unwrap()
    );
    assert_eq!(refused, []);
    assert_eq!((store.health().status, store.stats().queued), (Status::Working, 0));
    large.assert_all_is_counted(&store);
    assert!(disk.used() <= Retention::SMALLEST_BYTES + RESERVE_BYTES);
    assert!(has_reserve(&path), "there is room for it again");
    assert!(store.reader().check(Depth::Deep).unwrap().is_sound());
}

#[test]
fn without_the_reserve_retention_makes_no_room_on_a_full_disk() {
    let folder = scratch().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let mut large = Large::new();
    let (store, disk) = large.on_a_full_disk(&path, false);
    for _ in 0..5 {
        large.track_a_day(&store, FEW_NAMES);
        assert_eq!(store.flush().unwrap_err().kind(), ErrorKind::StoreFull);
        assert_eq!(store.health().status, Status::Failing);
    }
    disk.give_space(None);
    store.flush().unwrap();
    assert_eq!(store.health().status, Status::Working);
    large.assert_all_is_counted(&store);
}
