//! The store's file: what it refuses, what it promises to other programs, and what damage costs.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Barrier;
use std::time::Duration;

use headcount::{
    Definitions, ErrorKind, Event, EventDefinition, ManualClock, Mode, Query, Reader, Rule, Sketch, Store,
    TimeRange, Timestamp,
};
use rusqlite::Connection;

fn definitions() -> Definitions {
    Definitions::new().event(EventDefinition::new("viewed").identifier("user").label().value()).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn open(path: &Path, clock: &ManualClock) -> Store {
    Store::builder(path)
        .definitions(definitions())
        .clock(clock.clone())
        .mode(Mode::Inline)
        .record(Rule::unique("viewed", "user"))
        .record(Rule::sum("viewed"))
        .open()
        .unwrap()
}

fn day(number: u32) -> TimeRange {
    let from = at("2026-11-01").plus_seconds(i64::from(number - 1) * 86_400);
    TimeRange::new(from, from.plus_seconds(86_400)).unwrap()
}

#[test]
fn a_new_store_is_private_marked_and_leaves_nothing_else_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    open(&path, &ManualClock::new(at("2026-11-22"))).close().unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let connection = Connection::open(&path).unwrap();
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(pragma("application_id"), 0x6864_6374);
    assert_eq!(pragma("user_version"), 3);
    assert_eq!(pragma("page_size"), 4096);
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    drop(connection);
    let names: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| name.to_string_lossy().starts_with("usage.db")), "{names:?}");
    assert!(!names.iter().any(|name| name.to_string_lossy().ends_with(".new")), "{names:?}");
}

#[test]
fn many_that_create_a_store_at_once_share_one() {
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        let barrier = Barrier::new(8);
        std::thread::scope(|scope| {
            for user in 0..8 {
                let (path, barrier) = (&path, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    let store = Store::builder(path).definitions(definitions()).open().unwrap();
                    store.tracker().track(Event::new("viewed").user(user));
                    store.close().unwrap();
                });
            }
        });
        let total = Reader::open(&path).unwrap().value(&Query::total("viewed")).unwrap();
        assert_eq!(total.count(), Some(8));
    }
}

#[test]
fn what_is_no_store_is_refused_by_name_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("empty.db"), b"").unwrap();
    std::fs::write(path("junk.db"), vec![0xa5; 10_000]).unwrap();
    std::fs::write(path("text.db"), "hello").unwrap();
    std::fs::create_dir(path("folder.db")).unwrap();
    Connection::open(path("foreign.db"))
        .unwrap()
        .execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
        .unwrap();
    open(&path("newer.db"), &ManualClock::new(at("2026-11-22"))).close().unwrap();
    Connection::open(path("newer.db")).unwrap().pragma_update(None, "user_version", 4).unwrap();
    for (name, kind, words) in [
        ("empty.db", ErrorKind::StoreDamaged, "the file is empty"),
        ("junk.db", ErrorKind::StoreDamaged, "not a headcount store"),
        ("text.db", ErrorKind::StoreDamaged, "not a headcount store"),
        ("folder.db", ErrorKind::StoreDamaged, "this is a folder"),
        ("foreign.db", ErrorKind::StoreDamaged, "another program"),
        ("newer.db", ErrorKind::StoreNewer, "version 4"),
    ] {
        let before = std::fs::read(path(name)).ok();
        let writing = Store::builder(path(name)).definitions(definitions()).open().unwrap_err();
        let reading = Reader::open(path(name)).unwrap_err();
        for error in [writing, reading] {
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(words) && error.to_string().contains(name), "{error}");
        }
        assert_eq!(std::fs::read(path(name)).ok(), before, "{name} was changed");
    }
    let missing = Reader::open(path("missing.db")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::StoreMissing);
    assert!(!path("missing.db").exists());
    let lost = Store::builder(path("no/such/folder.db")).definitions(definitions()).open().unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Io);
    let undefined = Store::builder(path("missing.db")).open().unwrap_err();
    assert_eq!(undefined.kind(), ErrorKind::Definitions);
    assert!(!path("missing.db").exists());
}

#[test]
fn buckets_that_retention_removed_are_not_kept_rather_than_zero() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let clock = ManualClock::new(at("2026-11-01T10:00:00Z"));
    let store = open(&path, &clock);
    for _ in 0..20 {
        store.tracker().track(Event::new("viewed").user(7));
        store.flush().unwrap();
        clock.advance(Duration::from_secs(86_400));
    }
    let hours_from = at("2026-11-15").unix_seconds() / 3600;
    let days_from = at("2026-11-05").unix_seconds() / 86_400;
    Connection::open(&path)
        .unwrap()
        .execute("UPDATE store SET hours_from = ?1, days_from = ?2", [hours_from, days_from])
        .unwrap();
    let total = |range| store.value(&Query::total("viewed").range(range)).map(|answer| answer.count());
    let morning =
        |number: u32| TimeRange::new(day(number).from(), day(number).from().plus_seconds(43_200)).unwrap();
    assert_eq!(total(day(5)).unwrap(), Some(1));
    assert_eq!(total(morning(15)).unwrap(), Some(1));
    for gone in [day(4), morning(14), TimeRange::new(day(4).from(), day(9).to()).unwrap()] {
        let error = total(gone).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotKept, "{gone}");
    }
    let users = |range| store.value(&Query::unique("viewed", "user").range(range));
    assert_eq!(users(day(4)).unwrap_err().kind(), ErrorKind::NotKept);
    assert_eq!(users(day(6)).unwrap().count(), Some(1));
    assert_eq!(store.value(&Query::total("viewed")).unwrap().count(), Some(20));
}

#[test]
fn a_damaged_sketch_costs_its_own_day_and_is_kept_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let clock = ManualClock::new(at("2026-11-01T10:00:00Z"));
    let store = open(&path, &clock);
    for user in 0..3 {
        store.tracker().track(Event::new("viewed").user(user));
        store.flush().unwrap();
        clock.advance(Duration::from_secs(86_400));
    }
    let second = (2_i64 << 40) | (day(2).from().unix_seconds() / 86_400);
    let connection = Connection::open(&path).unwrap();
    let blob: Vec<u8> = connection
        .query_row("SELECT blob FROM sketches WHERE bucket = ?1", [second], |row| row.get(0))
        .unwrap();
    let mut broken = blob;
    *broken.last_mut().unwrap() ^= 1;
    connection
        .execute("UPDATE sketches SET blob = ?2 WHERE bucket = ?1", rusqlite::params![second, broken])
        .unwrap();
    let users = |range| store.value(&Query::unique("viewed", "user").range(range));
    let error = users(day(2)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreDamaged);
    assert!(error.to_string().contains("2026-11-02"), "{error}");
    assert_eq!(users(day(1)).unwrap().count(), Some(1));
    assert_eq!(store.value(&Query::total("viewed").range(day(2))).unwrap().count(), Some(1));

    store.tracker().track(Event::new("viewed").user(9).at(at("2026-11-02T12:00:00Z")));
    store.flush().unwrap();
    assert_eq!(users(day(2)).unwrap_err().kind(), ErrorKind::StoreDamaged);
    assert_eq!(store.value(&Query::total("viewed").range(day(2))).unwrap().count(), Some(2));
    assert_eq!(
        store.value(&Query::unique("viewed", "user")).unwrap().count(),
        Some(4),
        "it was united before"
    );
    let aside: Vec<u8> = connection.query_row("SELECT blob FROM damaged", [], |row| row.get(0)).unwrap();
    assert_eq!(aside, broken);
}

#[test]
fn rows_are_what_the_documented_format_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let store = open(&path, &ManualClock::new(at("2026-11-22T10:30:00Z")));
    for user in [1, 2, 2] {
        store.tracker().track(Event::new("viewed").user(user).value(0.5));
    }
    store.flush().unwrap();
    let connection = Connection::open(&path).unwrap();
    let rows = |sql: &str| -> Vec<String> {
        let mut select = connection.prepare(sql).unwrap();
        select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(
        rows("SELECT key || ' ' || kind FROM series ORDER BY id"),
        ["viewed 1", "viewed-operator:sum(value) 2", "viewed-user 3"]
    );
    assert_eq!(
        rows("SELECT series || ' ' || since || ' ' || coalesce(until, 'open') FROM recorded"),
        ["1 1795343400 open", "2 1795343400 open", "3 1795343400 open"]
    );
    let (hour, day) = ((1_i64 << 40) | 498_706, (2_i64 << 40) | 20_779);
    assert_eq!(
        rows("SELECT bucket || ' ' || series || ' ' || count FROM counts ORDER BY bucket"),
        ["0 1 3".to_owned(), format!("{hour} 1 3"), format!("{day} 1 3")]
    );
    assert_eq!(
        rows("SELECT bucket || ' ' || series || ' ' || sum || ' ' || carry FROM sums ORDER BY bucket"),
        ["0 2 1.5 0.0".to_owned(), format!("{hour} 2 1.5 0.0"), format!("{day} 2 1.5 0.0")]
    );
    let mut users = Sketch::new();
    users.add(b"1");
    users.add(b"2");
    let (bucket, series, blob): (i64, i64, Vec<u8>) = connection
        .query_row("SELECT bucket, series, blob FROM sketches", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!((bucket, series), (day, 3));
    assert_eq!(Sketch::decode(&blob).unwrap(), users);
    assert_eq!(rows("SELECT entry || ' ' || reason || ' ' || count FROM ledger"), ["stored  3"]);
}

#[test]
fn counts_and_sums_stop_at_their_largest_instead_of_wrapping() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let clock = ManualClock::new(at("2026-11-22T10:30:00Z"));
    let store = open(&path, &clock);
    store.tracker().track(Event::new("viewed").value(f64::MAX));
    store.flush().unwrap();
    Connection::open(&path).unwrap().execute("UPDATE counts SET count = 9223372036854775806", []).unwrap();
    for _ in 0..3 {
        store.tracker().track(Event::new("viewed").value(f64::MAX));
        store.flush().unwrap();
    }
    assert_eq!(store.value(&Query::total("viewed")).unwrap().count(), Some(i64::MAX as u64));
    let sum = store.value(&Query::sum("viewed")).unwrap().value;
    assert_eq!(sum, headcount::Value::Sum { sum: f64::MAX, saturated: true });
}

#[test]
fn a_rule_that_is_dropped_and_taken_up_again_is_partial_in_between() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let clock = ManualClock::new(at("2026-01-01"));
    let builder = || Store::builder(&path).definitions(definitions()).clock(clock.clone()).mode(Mode::Inline);
    let days = |store: &Store, days: u32| {
        for day in 0..days {
            store.tracker().track(Event::new("viewed").user(day));
            clock.advance(Duration::from_secs(86_400));
            store.flush().unwrap();
        }
    };
    days(&builder().record(Rule::unique("viewed", "user")).open().unwrap(), 31);
    days(&builder().open().unwrap(), 28);
    // A store that knows other events only says nothing about this one.
    let others = Definitions::new().event(EventDefinition::new("other")).unwrap();
    Store::builder(&path).definitions(others).clock(clock.clone()).mode(Mode::Inline).open().unwrap();
    let store = builder().record(Rule::unique("viewed", "user")).open().unwrap();
    days(&store, 31);
    let month = |query: Query, month: u32| {
        let range =
            TimeRange::new(at(&format!("2026-{month:02}-01")), at(&format!("2026-{:02}-01", month + 1)))
                .unwrap();
        let answer = store.value(&query.range(range)).unwrap();
        (answer.count().unwrap(), answer.partial)
    };
    let users = || Query::unique("viewed", "user");
    assert_eq!([1, 2, 3].map(|number| month(users(), number)), [(31, false), (0, true), (31, false)]);
    let totals = [1, 2, 3].map(|number| month(Query::total("viewed"), number));
    assert_eq!(totals, [(31, false), (28, false), (31, false)]);
    let quarter = TimeRange::new(at("2026-01-01"), at("2026-04-01")).unwrap();
    let answer = store.value(&users().range(quarter)).unwrap();
    assert_eq!((answer.since, answer.partial), (at("2026-03-01"), true));
}

/// Flips a bit of the last byte of a sketch.
fn damage(path: &Path, bucket: i64) {
    let connection = Connection::open(path).unwrap();
    let select = "SELECT blob FROM sketches WHERE bucket = ?1";
    let mut blob: Vec<u8> = connection.query_row(select, [bucket], |row| row.get(0)).unwrap();
    *blob.last_mut().unwrap() ^= 1;
    connection
        .execute("UPDATE sketches SET blob = ?2 WHERE bucket = ?1", rusqlite::params![bucket, blob])
        .unwrap();
}

#[test]
fn damage_is_never_answered_as_a_smaller_number() {
    let bucket = |number: u32| (2_i64 << 40) | (day(number).from().unix_seconds() / 86_400);
    for damaged in [0, bucket(2), bucket(10)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        let clock = ManualClock::new(at("2026-11-01T10:00:00Z"));
        let track = |store: &Store, users: std::ops::Range<u32>| {
            users.for_each(|user| store.tracker().track(Event::new("viewed").user(user)));
            store.flush().unwrap();
        };
        let store = open(&path, &clock);
        for number in 1..=10 {
            track(&store, number * 100..number * 100 + 100);
            clock.advance(Duration::from_secs(86_400));
        }
        drop(store);
        damage(&path, damaged);
        // The damaged row is met by a write to it, or by the cursor, in a process that never saw what it stood for.
        let store = open(&path, &clock);
        let late = Event::new("viewed").user(5000).at(at("2026-11-03T12:00:00Z"));
        store.tracker().track(late);
        let second = Event::new("viewed").user(5001).at(at("2026-11-10T12:00:00Z"));
        store.tracker().track(second);
        store.flush().unwrap();
        track(&store, 6000..6001);
        clock.advance(Duration::from_secs(2 * 86_400));
        track(&store, 6001..6002);
        let users = |query: Query| store.value(&query).map(|answer| answer.count().unwrap());
        let of_day = |number| users(Query::unique("viewed", "user").range(day(number)));
        let all = users(Query::unique("viewed", "user"));
        match damaged {
            0 => assert_eq!(all.unwrap(), 1_004, "made again from its days"),
            of_second if of_second == bucket(2) => {
                assert_eq!(all.unwrap(), 1_004, "its day was united before");
                assert_eq!(of_day(2).unwrap_err().kind(), ErrorKind::StoreDamaged);
            }
            _ => {
                assert_eq!(all.unwrap_err().kind(), ErrorKind::StoreDamaged);
                assert_eq!(of_day(10).unwrap_err().kind(), ErrorKind::StoreDamaged);
            }
        }
        assert_eq!(of_day(3).unwrap(), 101);
    }
}
