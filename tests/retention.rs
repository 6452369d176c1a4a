//! Retention: what goes, what stays, by which clock, and that the space comes back.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a test stops where it is wrong"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use headcount::{
    Builder, Definitions, Depth, ErrorKind, Event, EventDefinition, ManualClock, Mode, Query, Reader,
    Retention, Rule, Status, Store, TimeRange, Timestamp, Upkeep,
};

use common::{Chance, connect, contents};

const DAY: i64 = 86_400;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn builder(path: &Path, clock: &ManualClock) -> Builder {
    let viewed = EventDefinition::new("viewed").identifier("user").label().value();
    Store::builder(path)
        .definitions(Definitions::new().event(viewed).unwrap())
        .clock(clock.clone())
        .mode(Mode::Inline)
        .record(Rule::unique("viewed", "user"))
        .record(Rule::sum("viewed"))
        .record(Rule::per_value("viewed", "label"))
}

/// A place for a store, and a clock at noon of the first day of 2026.
fn new_year() -> (tempfile::TempDir, PathBuf, ManualClock) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    (folder, path, ManualClock::new(at("2026-01-01T12:00:00Z")))
}

/// What all days had, without a sketch or a bucket.
#[derive(Default)]
struct Truth {
    events: u64,
    sum: f64,
    users: BTreeSet<u64>,
    labels: BTreeMap<String, u64>,
}

impl Truth {
    fn track(&mut self, store: &Store, chance: &mut Chance, time: Timestamp) {
        let (user, label) = (chance.below(50_000), format!("label {}", chance.below(5)));
        let event = Event::new("viewed").user(user).value(0.25).label(&label).at(time);
        store.tracker().try_track(event).unwrap();
        self.events += 1;
        self.sum += 0.25;
        self.users.insert(user);
        *self.labels.entry(label).or_default() += 1;
    }

    /// All time is as if nothing had been removed.
    #[track_caller]
    fn assert_all_time(&self, reader: &Reader) {
        assert_eq!(reader.value(&Query::total("viewed")).unwrap().count(), Some(self.events));
        assert_eq!(reader.value(&Query::sum("viewed")).unwrap().value.number(), Some(self.sum));
        let labels = reader.value(&Query::per_value("viewed", "label")).unwrap();
        assert_eq!(labels.value.per_value(), Some(&self.labels));
        let users = reader.value(&Query::unique("viewed", "user")).unwrap();
        let (estimate, exact) = (users.value.number().unwrap(), self.users.len() as f64);
        assert!((estimate - exact).abs() <= 4.0 * users.standard_error.max(1.0), "{estimate} of {exact}");
    }
}

/// A flush each day, each with events of that day and some that are late.
fn run_days(
    store: &Store,
    clock: &ManualClock,
    truth: &mut Truth,
    chance: &mut Chance,
    days: u32,
    events: u32,
) {
    for _ in 0..days {
        clock.advance(Duration::from_secs(86_400));
        for _ in 0..events {
            let late =
                if chance.below(10) == 0 { chance.below(8 * 86_400 - 1) } else { chance.below(43_200) };
            truth.track(store, chance, clock.now().plus_seconds(-i64::try_from(late).unwrap()));
        }
        store.flush().unwrap();
    }
}

/// The hours and the days that the file has, by plain SQL.
fn stored_days(path: &Path) -> (Vec<i64>, Vec<i64>) {
    let connection = connect(path);
    let days = |sql: &str| {
        let mut select = connection.prepare(sql).unwrap();
        select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let hours = "SELECT DISTINCT (bucket & 0xffffffff) / 24 FROM counts WHERE bucket >> 40 = 1 ORDER BY 1";
    let mut of_days = Vec::new();
    for table in ["counts", "sums", "sketches", "per_value"] {
        of_days.extend(days(&format!(
            "SELECT DISTINCT bucket & 0xffffffff FROM {table} WHERE bucket >> 40 = 2"
        )));
    }
    of_days.sort_unstable();
    of_days.dedup();
    (days(hours), of_days)
}

fn day_of(time: Timestamp) -> i64 {
    time.unix_seconds() / DAY
}

#[test]
fn hours_go_then_days_and_all_time_stays() {
    let (_folder, path, clock) = new_year();
    let retention = Retention::everything().hours_for_days(20).days_for_days(60);
    let store = builder(&path, &clock).retention(retention).open().unwrap();
    let (mut truth, mut chance) = (Truth::default(), Chance::new(5_001));
    run_days(&store, &clock, &mut truth, &mut chance, 150, 40);

    let today = day_of(clock.now());
    let (hours, days) = stored_days(&path);
    assert_eq!(hours, (today - 20..=today).collect::<Vec<_>>(), "the hours of 20 days and of today");
    assert_eq!(days, (today - 60..=today).collect::<Vec<_>>());
    truth.assert_all_time(store.reader());
    let retained = store.reader().retention().unwrap();
    assert_eq!(retained.hours_from.map(day_of), Some(today - 20));
    assert_eq!(retained.days_from.map(day_of), Some(today - 60));

    // What is gone is told and never zero; what is kept is whole.
    let range = |from: i64, to: i64| {
        let start = |day: i64| Timestamp::from_unix_seconds(day * DAY);
        TimeRange::new(start(from), start(to)).unwrap()
    };
    let total = |range: TimeRange| store.value(&Query::total("viewed").range(range));
    assert!(!total(range(today - 60, today)).unwrap().partial);
    assert_eq!(total(range(today - 61, today)).unwrap_err().kind(), ErrorKind::NotKept);
    let hour = |day: i64| {
        let from = Timestamp::from_unix_seconds(day * DAY + 3_600);
        TimeRange::new(from, from.plus_seconds(3_600)).unwrap()
    };
    assert!(total(hour(today - 20)).is_ok());
    assert_eq!(total(hour(today - 21)).unwrap_err().kind(), ErrorKind::NotKept);
    assert!(store.reader().check(Depth::Deep).unwrap().is_sound());
}

#[test]
fn nothing_goes_where_nothing_was_asked_for() {
    let (_folder, path, clock) = new_year();
    let store = builder(&path, &clock).open().unwrap();
    let (mut truth, mut chance) = (Truth::default(), Chance::new(5_002));
    run_days(&store, &clock, &mut truth, &mut chance, 100, 5);
    assert_eq!(stored_days(&path).0.len(), stored_days(&path).1.len());
    assert!(stored_days(&path).1.len() >= 100);
    assert_eq!(store.reader().retention().unwrap().hours_from, None);
}

#[test]
fn the_store_keeps_its_retention_and_any_writer_heeds_it() {
    let (_folder, path, clock) = new_year();
    let (mut truth, mut chance) = (Truth::default(), Chance::new(5_003));
    let store = builder(&path, &clock).open().unwrap();
    run_days(&store, &clock, &mut truth, &mut chance, 50, 5);
    let retention = Retention::everything().days_for_days(35);
    let mut upkeep = Upkeep::open(&path).unwrap().with_clock(clock.clone());
    upkeep.set_retention(retention).unwrap();
    run_days(&store, &clock, &mut truth, &mut chance, 2, 5);
    let (today, (hours, days)) = (day_of(clock.now()), stored_days(&path));
    assert_eq!(
        (hours[0], days[0]),
        (today - 35, today - 35),
        "the open store heeds what another process set"
    );
    store.close().unwrap();
    let reopened = builder(&path, &clock).open().unwrap();
    assert_eq!(reopened.reader().retention().unwrap().retention, retention);
    truth.assert_all_time(reopened.reader());
}

#[test]
fn one_call_removes_all_that_is_to_go_and_shrinks_the_file() {
    let (_folder, path, clock) = new_year();
    let (mut truth, mut chance) = (Truth::default(), Chance::new(5_004));
    let store = builder(&path, &clock).open().unwrap();
    run_days(&store, &clock, &mut truth, &mut chance, 120, 300);
    store.close().unwrap();
    drop(store);
    let before = path.metadata().unwrap().len();
    let mut upkeep = Upkeep::open(&path).unwrap().with_clock(clock.clone());
    upkeep.set_retention(Retention::everything().hours_for_days(9).days_for_days(35)).unwrap();
    let removed = upkeep.retain().unwrap();
    assert!(removed.rows > 5_000, "{removed:?}");
    assert_eq!(upkeep.retain().unwrap().rows, 0, "nothing is left to do");
    truth.assert_all_time(upkeep.reader());
    assert!(upkeep.reader().check(Depth::Deep).unwrap().is_sound());
    drop(upkeep);
    let after = path.metadata().unwrap().len();
    assert!(after < before * 6 / 10, "{before} bytes, then {after}");
    assert!(removed.bytes >= before - after, "{removed:?}, the log counted");
}

#[test]
fn events_of_removed_buckets_count_in_what_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let clock = ManualClock::new(at("2026-06-01T12:00:00Z"));
    let retention = Retention::everything().hours_for_days(9).days_for_days(35);
    let store = builder(&path, &clock).retention(retention).open().unwrap();
    store.tracker().track(Event::new("viewed").user(1).value(1.0).label("live"));
    store.flush().unwrap();
    let lines = [("2020-02-02", 2), ("2026-05-10", 3), ("2026-06-01", 4)]
        .map(|(day, user)| {
            format!(r#"{{"event":"viewed","time":"{day}T01:00:00Z","user":{user},"value":1,"label":"old"}}"#)
                + "\n"
        })
        .concat();
    store.import("log", lines.as_bytes()).unwrap();
    let reader = store.reader();
    assert_eq!(reader.value(&Query::total("viewed")).unwrap().count(), Some(4));
    assert_eq!(reader.value(&Query::unique("viewed", "user")).unwrap().count(), Some(4));
    let (hours, days) = stored_days(&path);
    let day = |text: &str| day_of(at(text));
    assert_eq!(hours, [day("2026-06-01")]);
    assert_eq!(days, [day("2026-05-10"), day("2026-06-01")]);
    assert!(reader.check(Depth::Deep).unwrap().is_sound());
    store.flush().unwrap();
    assert_eq!(reader.value(&Query::unique("viewed", "user")).unwrap().count(), Some(4));
}

#[test]
fn a_clock_that_leaps_ahead_removes_nothing_before_it_is_confirmed() {
    let (_folder, path, clock) = new_year();
    let retention = Retention::everything().hours_for_days(9).days_for_days(35);
    let store = builder(&path, &clock).retention(retention).open().unwrap();
    let (mut truth, mut chance) = (Truth::default(), Chance::new(5_005));
    run_days(&store, &clock, &mut truth, &mut chance, 30, 5);
    let (right, before) = (clock.now(), contents(&path));

    // A board without a battery: the wrong year for some minutes, in a process of its own too.
    clock.set(at("2038-01-19T03:14:00Z"));
    truth.track(&store, &mut chance, clock.now());
    store.flush().unwrap();
    drop(store);
    let store = builder(&path, &clock).open().unwrap();
    clock.advance(Duration::from_secs(1_800));
    truth.track(&store, &mut chance, clock.now());
    store.flush().unwrap();
    assert!(store.reader().retention().unwrap().leap.is_some(), "it is told");
    clock.set(right.plus_seconds(3_600));
    truth.track(&store, &mut chance, clock.now());
    store.flush().unwrap();
    let after = contents(&path);
    assert!(before.counts.keys().all(|cell| after.counts.contains_key(cell)), "nothing is gone");
    assert_eq!(store.reader().retention().unwrap().leap, None);

    // A machine that was off for a year: after two hours it is believed.
    clock.set(at("2027-06-01T00:00:00Z"));
    for _ in 0..3 {
        assert!(stored_days(&path).1.contains(&day_of(right)));
        truth.track(&store, &mut chance, clock.now());
        store.flush().unwrap();
        clock.advance(Duration::from_secs(3_600));
    }
    for _ in 0..3 {
        truth.track(&store, &mut chance, clock.now());
        store.flush().unwrap();
        clock.advance(Duration::from_secs(60));
    }
    assert!(!stored_days(&path).1.contains(&day_of(right)));
    truth.assert_all_time(store.reader());
}

#[test]
fn a_retention_that_is_set_while_the_clock_is_wrong_removes_nothing_either() {
    let (_folder, path, clock) = new_year();
    let (mut truth, mut chance) = (Truth::default(), Chance::new(5_006));
    let store = builder(&path, &clock).open().unwrap();
    run_days(&store, &clock, &mut truth, &mut chance, 30, 5);
    store.close().unwrap();
    let before = contents(&path);
    clock.set(at("2036-01-01"));
    let store = builder(&path, &clock).retention(Retention::everything().days_for_days(35)).open().unwrap();
    truth.track(&store, &mut chance, clock.now());
    store.flush().unwrap();
    let after = contents(&path);
    assert!(before.counts.keys().all(|cell| after.counts.contains_key(cell)));
}

#[test]
fn a_clock_that_goes_back_removes_nothing_and_does_not_hold_up_what_is_due() {
    let (_folder, path, clock) = new_year();
    let retention = Retention::everything().days_for_days(35);
    let store = builder(&path, &clock).retention(retention).open().unwrap();
    let (mut truth, mut chance) = (Truth::default(), Chance::new(5_007));
    run_days(&store, &clock, &mut truth, &mut chance, 50, 5);
    let (now, first) = (clock.now(), stored_days(&path).1[0]);
    clock.set(at("2020-01-01"));
    truth.track(&store, &mut chance, clock.now());
    store.flush().unwrap();
    assert!(stored_days(&path).1.contains(&first));
    clock.set(now);
    run_days(&store, &clock, &mut truth, &mut chance, 2, 5);
    assert_eq!(stored_days(&path).1[0], day_of(clock.now()) - 35);
    truth.assert_all_time(store.reader());
}

#[test]
fn a_store_with_a_size_stays_below_it_and_keeps_the_newest() {
    let (_folder, path, clock) = new_year();
    let limit = Retention::SMALLEST_BYTES;
    let mut definitions = Definitions::new();
    for event in 0..100 {
        definitions =
            definitions.event(EventDefinition::new(format!("event_{event}")).identifier("user")).unwrap();
    }
    let mut opening = Store::builder(&path)
        .definitions(definitions)
        .clock(clock.clone())
        .mode(Mode::Inline)
        .retention(Retention::everything().at_most_bytes(limit));
    for event in 0..100 {
        opening = opening.record(Rule::unique(format!("event_{event}"), "user"));
    }
    let store = opening.open().unwrap();
    let mut chance = Chance::new(5_008);
    let (mut largest, mut tracked) = (0, 0);
    for _ in 0..400 {
        clock.advance(Duration::from_secs(86_400));
        for event in 0..100 {
            for _ in 0..100 {
                let name = format!("event_{event}");
                store.tracker().try_track(Event::new(&name).user(chance.next())).unwrap();
                tracked += 1;
            }
        }
        for _ in 0..5 {
            store.tracker().try_track(Event::new("event_0").user(1)).unwrap();
            tracked += 1;
            store.flush().unwrap();
            clock.advance(Duration::from_secs(61));
        }
        let contents = store.reader().contents().unwrap();
        largest = largest.max(contents.bytes + contents.log_bytes);
    }
    assert!(largest <= limit, "{largest} bytes");
    let retained = store.reader().retention().unwrap();
    let today = day_of(clock.now());
    // A day above the floor while the size allows it.
    let hours_from = retained.hours_from.map(day_of).unwrap();
    assert!((today - 10..=today - 9).contains(&hours_from), "hours went first, down to their floor");
    assert!(retained.days_from.is_some(), "then days");
    assert!(stored_days(&path).1.len() > 35);
    assert_eq!(store.stats().stored, tracked);
    assert_eq!(store.health().status, Status::Working);
    assert!(store.reader().check(Depth::Deep).unwrap().is_sound());
}

/// Where no page is free, room is made before anything can be written.
#[test]
fn a_size_below_what_is_there_is_reached_while_events_come() {
    let (_folder, path, clock) = new_year();
    let opening = || {
        let mut definitions = Definitions::new();
        let names = (0..100).map(|event| format!("event_{event}"));
        for name in names.clone() {
            definitions = definitions.event(EventDefinition::new(name).identifier("user")).unwrap();
        }
        let opening = Store::builder(&path).definitions(definitions);
        let opening = opening.clock(clock.clone()).mode(Mode::Inline);
        names.fold(opening, |opening, name| opening.record(Rule::unique(name, "user")))
    };
    let mut chance = Chance::new(5_010);
    let store = opening().open().unwrap();
    let track_a_day = |store: &Store, chance: &mut Chance| {
        clock.advance(Duration::from_secs(86_400));
        for event in 0..100 {
            let name = format!("event_{event}");
            (0..100).for_each(|_| store.tracker().track(Event::new(&name).user(chance.next())));
        }
    };
    for _ in 0..330 {
        track_a_day(&store, &mut chance);
        store.flush().unwrap();
    }
    store.close().unwrap();
    drop(store);
    let before = path.metadata().unwrap().len();
    let limit = Retention::SMALLEST_BYTES;
    assert!(before > limit * 3 / 4, "{before} bytes are too few for this test");
    let store = opening().retention(Retention::everything().at_most_bytes(limit)).open().unwrap();
    for _ in 0..10 {
        track_a_day(&store, &mut chance);
        store.flush().unwrap();
        (0..20).for_each(|_| {
            clock.advance(Duration::from_secs(61));
            store.flush().unwrap();
        });
    }
    assert_eq!(store.health().status, Status::Working);
    assert!(store.reader().retention().unwrap().hours_from.is_some());
    assert!(store.reader().check(Depth::Deep).unwrap().is_sound());
    store.close().unwrap();
}

#[test]
fn a_size_that_the_floor_does_not_fit_in_is_full_and_says_so() {
    let (_folder, path, clock) = new_year();
    let retention = Retention::everything().at_most_bytes(Retention::SMALLEST_BYTES);
    let mut definitions = Definitions::new();
    for event in 0..200 {
        definitions =
            definitions.event(EventDefinition::new(format!("event_{event}")).identifier("user")).unwrap();
    }
    let mut opening = Store::builder(&path)
        .definitions(definitions)
        .clock(clock.clone())
        .mode(Mode::Inline)
        .retention(retention);
    for event in 0..200 {
        opening = opening.record(Rule::unique(format!("event_{event}"), "user"));
    }
    let store = opening.open().unwrap();
    let mut chance = Chance::new(5_009);
    let mut refused = None;
    for _ in 0..34 {
        clock.advance(Duration::from_secs(86_400));
        for event in 0..200 {
            let name = format!("event_{event}");
            (0..1_000).for_each(|_| store.tracker().track(Event::new(&name).user(chance.next())));
        }
        if let Err(error) = store.flush() {
            refused = Some(error);
            break;
        }
    }
    let error = refused.unwrap();
    assert_eq!(error.kind(), ErrorKind::StoreFull, "{error}");
    assert_eq!(store.health().status, Status::Failing);
    assert!(store.reader().value(&Query::total("event_0")).unwrap().count() > Some(0), "answers go on");
    // More room is enough to go on.
    let mut upkeep = Upkeep::open(&path).unwrap().with_clock(clock.clone());
    upkeep.set_retention(Retention::everything()).unwrap();
    clock.advance(Duration::from_secs(60));
    store.flush().unwrap();
    assert_eq!(store.health().status, Status::Working);
    let stats = store.stats();
    assert_eq!((stats.stored, stats.queued, stats.lost), (stats.accepted, 0, 0));
}

#[test]
fn a_retention_below_its_floor_is_refused_before_there_is_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let clock = ManualClock::new(at("2026-01-01"));
    let short = Retention::everything().days_for_days(7);
    let error = builder(&path, &clock).retention(short).open().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("35 days"), "{error}");
    assert!(!path.exists());
    builder(&path, &clock).open().unwrap().close().unwrap();
    assert_eq!(Upkeep::open(&path).unwrap().set_retention(short).unwrap_err().kind(), ErrorKind::Usage);
}

#[test]
fn a_store_in_use_has_a_reserve_beside_it_and_one_that_is_closed_has_not() {
    let (folder, path, clock) = new_year();
    let store = builder(&path, &clock).open().unwrap();
    let reserve = folder.path().join("usage.db-reserve");
    assert_eq!(reserve.metadata().unwrap().len(), 2 * 1024 * 1024);
    fs::remove_file(&reserve).unwrap();
    store.flush().unwrap();
    store.tracker().track(Event::new("viewed"));
    clock.advance(Duration::from_secs(60));
    store.flush().unwrap();
    assert!(reserve.exists(), "it is made again");
    store.close().unwrap();
    drop(store);
    let left: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["usage.db"]);
}
