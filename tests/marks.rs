//! Marks: instants with names, from every process, beside the counting.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "the helpers of tests may fail as tests do")]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Barrier;
use std::time::Duration;

use headcount::{
    Definitions, Depth, ErrorKind, Event, EventDefinition, ManualClock, Mark, Query, Reader, Store,
    Timestamp, Upkeep,
};
use rusqlite::Connection;

const NOON: &str = "2026-11-22T12:00:00Z";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn open(path: &Path, clock: &ManualClock) -> Store {
    let definitions = Definitions::new().event(EventDefinition::new("viewed")).unwrap();
    Store::builder(path).definitions(definitions).clock(clock.clone()).open().unwrap()
}

fn listed(reader: &Reader) -> Vec<(String, Timestamp)> {
    reader.marks().unwrap().into_iter().map(|Mark { name, at, .. }| (name, at)).collect()
}

#[test]
fn the_first_mark_of_a_name_stays_until_it_is_moved_or_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let clock = ManualClock::new(at(NOON));
    let store = open(&path, &clock);
    assert_eq!(store.mark("v1").unwrap().at, at(NOON));
    clock.advance(Duration::from_secs(60));
    assert_eq!(store.mark("v1").unwrap().at, at(NOON), "the first counts");
    let mut upkeep = Upkeep::open(&path).unwrap().with_clock(clock);
    assert_eq!(upkeep.mark("v1").unwrap().at, at(NOON), "in every process");
    assert_eq!(upkeep.mark("v2").unwrap().at, at("2026-11-22T12:01:00Z"));
    assert_eq!(store.mark_at("v1", at("2026-11-20")).unwrap().at, at("2026-11-20"));
    assert_eq!(upkeep.mark_at("v0", at("1970-01-01")).unwrap().at, Timestamp::EPOCH);
    upkeep.mark_at("v3", Timestamp::MAX).unwrap();
    store.close().unwrap();
    let all = [
        ("v0", "1970-01-01"),
        ("v1", "2026-11-20"),
        ("v2", "2026-11-22T12:01:00Z"),
        ("v3", "9999-12-31T23:59:59Z"),
    ]
    .map(|(name, text)| (name.to_owned(), at(text)));
    assert_eq!(listed(&Reader::open(&path).unwrap()), all, "the earliest first, after all were closed");
    assert_eq!(upkeep.remove_mark("v1").unwrap().at, at("2026-11-20"));
    let error = upkeep.remove_mark("v1").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownMark);
    assert_eq!(upkeep.mark("v1").unwrap().at, at("2026-11-22T12:01:00Z"), "the name was free again");
    assert!(upkeep.reader().check(Depth::Plain).unwrap().is_sound());
}

#[test]
fn names_that_could_not_be_typed_are_refused() {
    let store = open_in_memory();
    let long = "x".repeat(129);
    for name in [
        "",
        &long,
        "a\nb",
        "tab\there",
        "\u{7f}",
        "\u{85}",
        "nul\0",
        " v1",
        "v1 ",
        "previous",
        "--at",
        "v\u{200b}1",
    ] {
        for error in [store.mark(name).unwrap_err(), store.mark_at(name, at(NOON)).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Usage, "{name:?}");
            assert!(error.to_string().starts_with("the name of a mark"), "{error}");
        }
    }
    let longest = "é".repeat(64);
    for name in [longest.as_str(), "v1.4.0", "Previous", "first release", "日本"] {
        assert_eq!(store.mark(name).unwrap().name, name);
    }
    assert_eq!(store.reader().marks().unwrap().len(), 5);
}

fn open_in_memory() -> Store {
    let definitions = Definitions::new().event(EventDefinition::new("viewed")).unwrap();
    Store::builder_in_memory().definitions(definitions).clock(ManualClock::new(at(NOON))).open().unwrap()
}

#[test]
fn of_many_that_make_a_mark_at_once_one_wins_and_all_agree() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    open(&path, &ManualClock::new(at(NOON))).close().unwrap();
    let barrier = Barrier::new(6);
    let told: Vec<Timestamp> = std::thread::scope(|scope| {
        let make = |number: u32| {
            let clock = ManualClock::new(at(NOON).plus_seconds(i64::from(number)));
            if number < 3 {
                let store = open(&path, &clock);
                barrier.wait();
                return store.mark("v1").unwrap().at;
            }
            let mut upkeep = Upkeep::open(&path).unwrap().with_clock(clock);
            barrier.wait();
            upkeep.mark("v1").unwrap().at
        };
        let running: Vec<_> = (0..6).map(|number| scope.spawn(move || make(number))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let connection = Connection::open(&path).unwrap();
    let stored: i64 =
        connection.query_row("SELECT at FROM marks WHERE name = 'v1'", [], |row| row.get(0)).unwrap();
    assert!(told.iter().all(|at| at.unix_seconds() == stored), "{told:?} and {stored}");
}

#[test]
fn a_mark_makes_answers_no_fresher_and_counts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let clock = ManualClock::new(at(NOON));
    let store = open(&path, &clock);
    store.mark("before all").unwrap();
    let answer = || store.value(&Query::total("viewed")).unwrap();
    assert_eq!(answer().freshness, None);
    store.tracker().track(Event::new("viewed"));
    store.flush().unwrap();
    clock.advance(Duration::from_secs(3_600));
    store.mark("v1").unwrap();
    store.mark_at("v2", at("2026-11-01")).unwrap();
    Upkeep::open(&path).unwrap().with_clock(clock).remove_mark("v2").unwrap();
    assert_eq!((answer().freshness, answer().count()), (Some(at(NOON)), Some(1)));
    let ledger = store.reader().ledger().unwrap();
    assert_eq!((ledger.stored, ledger.noted.len()), (1, 0));
}

#[test]
fn a_misspelt_mark_is_met_with_the_nearest() {
    let store = open_in_memory();
    store.mark("release-1.4").unwrap();
    store.mark("release-2.0").unwrap();
    let error = store.reader().find_mark("relaese-1.4").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownMark);
    let message = error.to_string();
    assert!(
        message.contains("`relaese-1.4`") && message.ends_with("did you mean `release-1.4`?"),
        "{message}"
    );
}

#[test]
fn marks_have_a_limit_that_moving_does_not_meet() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    open(&path, &ManualClock::new(at(NOON))).close().unwrap();
    let fill = "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 10000)
        INSERT INTO marks SELECT 'mark ' || n, n, n FROM number";
    Connection::open(&path).unwrap().execute_batch(fill).unwrap();
    let mut upkeep = Upkeep::open(&path).unwrap();
    let error = upkeep.mark("one more").unwrap_err();
    assert!(error.kind() == ErrorKind::Usage && error.to_string().contains("10000"), "{error}");
    assert_eq!(upkeep.mark("mark 7").unwrap().at.unix_seconds(), 7);
    assert_eq!(upkeep.mark_at("mark 7", at(NOON)).unwrap().at, at(NOON));
    upkeep.remove_mark("mark 8").unwrap();
    upkeep.mark("one more").unwrap();
}

#[test]
fn upkeep_neither_creates_a_store_nor_writes_what_it_may_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    assert_eq!(Upkeep::open(&path).unwrap_err().kind(), ErrorKind::StoreMissing);
    assert!(!path.exists());
    open(&path, &ManualClock::new(at(NOON))).close().unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o400)).unwrap();
    if std::fs::OpenOptions::new().write(true).open(&path).is_ok() {
        println!("skipped: permissions do not bind this user");
        return;
    }
    let error = Upkeep::open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly);
    assert!(error.to_string().contains("usage.db"), "{error}");
    assert!(Reader::open(&path).unwrap().marks().unwrap().is_empty());
}
