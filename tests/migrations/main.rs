//! Stores of older versions: brought to the current one whole, read as they are, and left alone by what is older than they are.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops where it is wrong")]

use std::path::Path;
use std::sync::Barrier;

use headcount::{
    Consent, Definitions, Depth, ErrorKind, Event, EventDefinition, Existing, ManualClock, Mode, Ping, Query,
    Reader, RestoredSending, Retention, Rule, Store, Timestamp, Upkeep,
};
use rusqlite::Connection;

const VERSION_1: &str = include_str!("version_1.sql");
const NEWEST: i32 = 3;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn old_store(path: &Path) {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "wal").unwrap();
    connection.execute_batch(VERSION_1).unwrap();
}

fn version(path: &Path) -> i32 {
    Connection::open(path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

fn open(path: &Path) -> Store {
    Store::builder(path)
        .clock(ManualClock::new(at("2026-11-22T13:00:00Z")))
        .mode(Mode::Inline)
        .open()
        .unwrap()
}

/// Total, sum and users of all time, as the release of that time told them.
#[track_caller]
fn assert_old_numbers(reader: &Reader, more: u64) {
    assert_eq!(reader.value(&Query::total("page_viewed")).unwrap().count(), Some(24 + more));
    assert_eq!(reader.value(&Query::sum("page_viewed")).unwrap().value.number(), Some(138.0));
    let users = reader.value(&Query::unique("page_viewed", "user")).unwrap();
    assert_eq!(users.count(), Some(7 + more));
}

#[test]
fn an_old_store_is_migrated_when_it_is_opened_for_writing_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    old_store(&path);
    let store = open(&path);
    assert_eq!(version(&path), NEWEST);
    store.tracker().track(Event::new("page_viewed").user(1_000_000));
    store.flush().unwrap();
    assert_old_numbers(store.reader(), 1);
    assert_eq!(store.reader().retention().unwrap().retention, Retention::everything());
    assert!(store.reader().check(Depth::Deep).unwrap().is_sound());
    store.close().unwrap();
    assert_old_numbers(open(&path).reader(), 1);
}

#[test]
fn an_old_store_is_read_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    old_store(&path);
    let reader = Reader::open(&path).unwrap();
    assert_old_numbers(&reader, 0);
    assert_eq!(reader.retention().unwrap().retention, Retention::everything());
    assert!(reader.check(Depth::Deep).unwrap().is_sound());
    reader.backup(folder.path().join("backup.db")).unwrap();
    assert_eq!((version(&path), version(&folder.path().join("backup.db"))), (1, 1));
}

/// A backup from before there was a choice: it stays as it is where nothing was taken back, and takes on what was.
#[test]
fn an_old_backup_permits_nothing_that_was_taken_back_since() {
    for (floor, expected) in [(0, 1), (7, NEWEST)] {
        let folder = tempfile::tempdir().unwrap();
        let (path, backup) = (folder.path().join("usage.db"), folder.path().join("backup.db"));
        old_store(&backup);
        old_store(&path);
        open(&path).ping().set_consent(&Consent::default().suppress_below(floor)).unwrap();
        let restored = Upkeep::restore(&backup, &path, Existing::SetAside).unwrap();
        assert_eq!((restored.sending, version(&path)), (RestoredSending::Off, expected));
        let reader = Reader::open(&path).unwrap();
        assert_eq!(Ping::of(&reader).consent().unwrap().least_users(), floor);
        assert!(reader.check(Depth::Deep).unwrap().is_sound());
        assert_old_numbers(&reader, 0);
    }
}

#[test]
fn an_old_store_gives_space_back_once_it_was_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    old_store(&path);
    let mut upkeep = Upkeep::open(&path).unwrap().with_clock(ManualClock::new(at("2026-11-22T13:00:00Z")));
    upkeep.retain().unwrap();
    let mode: i64 =
        Connection::open(&path).unwrap().pragma_query_value(None, "auto_vacuum", |row| row.get(0)).unwrap();
    assert_eq!(mode, 2, "the file can shrink piece by piece");
    assert_old_numbers(upkeep.reader(), 0);
}

#[test]
fn many_that_migrate_at_once_share_one_migration() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        old_store(&path);
        let barrier = Barrier::new(8);
        std::thread::scope(|scope| {
            for user in 0..8 {
                let (path, barrier) = (&path, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    let store = open(path);
                    store.tracker().track(Event::new("page_viewed").user(1_000_000 + user));
                    store.close().unwrap();
                });
            }
        });
        assert_old_numbers(&Reader::open(&path).unwrap(), 8);
    }
}

#[test]
fn a_store_that_becomes_newer_beneath_a_program_takes_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let definitions = Definitions::new().event(EventDefinition::new("viewed").identifier("user")).unwrap();
    let store = Store::builder(&path)
        .definitions(definitions)
        .record(Rule::unique("viewed", "user"))
        .mode(Mode::Inline)
        .open()
        .unwrap();
    store.tracker().track(Event::new("viewed").user(1));
    store.flush().unwrap();
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", NEWEST + 1).unwrap();
    store.tracker().track(Event::new("viewed").user(2));
    let error = store.flush().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreNewer);
    assert!(error.to_string().contains("usage.db"), "{error}");
    assert_eq!(store.stats().queued, 1);
    let counted = "SELECT count FROM counts WHERE bucket = 0";
    assert_eq!(newer.query_row(counted, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
    assert_eq!(Reader::open(&path).unwrap_err().kind(), ErrorKind::StoreNewer);
}
