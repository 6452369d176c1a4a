//! Checks of whole stores: what is sound is found sound, and each kind of damage by the law that it breaks, and by no other.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the helpers of tests may fail as tests do"
)]

mod common;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use headcount::{
    Check, Definitions, Depth, Event, EventDefinition, Law, ManualClock, Mode, Query, Reader, Rule, Sketch,
    Store, Timestamp,
};
use rusqlite::{Connection, params};
use tempfile::TempDir;

use common::{Chance, day_bucket};

const NOW: &str = "2026-11-21T12:00:00Z";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn definitions() -> Definitions {
    let viewed = EventDefinition::new("viewed").identifier("user").label().value();
    let clicked = EventDefinition::new("clicked").identifier("user");
    Definitions::new().event(viewed).unwrap().event(clicked).unwrap()
}

fn open(path: &Path, mode: Mode) -> Store {
    Store::builder(path)
        .definitions(definitions())
        .clock(ManualClock::new(at(NOW)))
        .mode(mode)
        .record(Rule::unique("viewed", "user"))
        .record(Rule::unique("clicked", "user"))
        .record(Rule::sum("viewed"))
        .record(Rule::per_value("viewed", "label"))
        .record(Rule::count("viewed").filter("label", "web"))
        .flush_every(Duration::from_millis(1))
        .open()
        .unwrap()
}

fn line(event: &str, day: u32, hour: u64, user: u64, rest: &str) -> String {
    format!(
        "{{\"event\":\"{event}\",\"time\":\"2026-11-{day:02}T{hour:02}:10:00Z\",\"user\":{user}{rest}}}\n"
    )
}

/// Four days by import (6,500 and 5,000 people as registers, then fewer as codes), and today by two other opened stores.
fn build(path: &Path) {
    let mut log = String::new();
    let mut chance = Chance::new(1);
    for (day, users) in [(17, 6_500), (18, 5_000), (19, 900), (20, 300)] {
        for user in 0..users {
            let label = if user % 3 == 0 { "web".to_owned() } else { format!("label-{}", user % 1_201) };
            let value = f64::from(u32::try_from(chance.below(100_000)).unwrap()) / 7.0;
            let rest = format!(",\"label\":\"{label}\",\"value\":{value}");
            // Hour 9 of each day is quiet.
            let hour = [10, 11, 15, 23][usize::try_from(user % 4).unwrap()];
            log.push_str(&line("viewed", day, hour, user + u64::from(day) * 10_000, &rest));
        }
    }
    for day in 17..=19 {
        for user in 0..200 {
            log.push_str(&line("clicked", day, 12, 1_000_000 + user, ""));
        }
    }
    log.push_str(&line("clicked", 20, 12, 7, ""));
    let store = open(path, Mode::Background);
    store.import("access.log", log.as_bytes()).unwrap();
    store.close().unwrap();
    let stores = [open(path, Mode::Background), open(path, Mode::Inline)];
    for user in 0..400 {
        for store in &stores {
            let event = Event::new("viewed").user(user).label("web").value(0.1);
            store.tracker().track(event.at(at("2026-11-21T08:30:00Z")));
        }
        stores[usize::try_from(user % 2).unwrap()].flush().unwrap();
    }
    stores.iter().for_each(|store| drop(store.close().unwrap()));
    drop(stores);
    // So that no page is unused, and damage to any is damage.
    Connection::open(path).unwrap().execute_batch("VACUUM").unwrap();
}

/// A fresh copy of a store that was built once.
fn copy() -> (TempDir, PathBuf) {
    static BUILT: OnceLock<TempDir> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        build(&folder.path().join("usage.db"));
        folder
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    std::fs::copy(built.path().join("usage.db"), &path).unwrap();
    (folder, path)
}

fn check(path: &Path, depth: Depth) -> Check {
    Reader::open(path).unwrap().check(depth).unwrap()
}

fn is_sound(path: &Path) {
    let check = check(path, Depth::Plain);
    assert!(check.is_sound(), "{:#?}", check.findings);
}

#[test]
fn a_store_of_all_kinds_is_sound_and_every_row_is_looked_at() {
    let (_folder, path) = copy();
    let check = check(&path, Depth::Deep);
    assert!(check.is_sound(), "{:#?}", check.findings);
    let connection = Connection::open(&path).unwrap();
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs();
    let rows = "SELECT (SELECT count(*) FROM counts) + (SELECT count(*) FROM sums)
        + (SELECT count(*) FROM sketches) + (SELECT count(*) FROM per_value)";
    assert_eq!(check.rows, count(rows));
    assert_eq!(check.sketches, count("SELECT count(*) FROM sketches"));
    assert_eq!((check.second_opinions, check.more), (check.sketches, 0));
    // The fixture has what the others damage: both forms of sketches, a full list of values, the overflow.
    assert!(count("SELECT max(length(blob)) FROM sketches") > 8_200);
    assert_eq!(count("SELECT count(*) FROM value_names"), 1_000);
    assert!(count("SELECT count FROM per_value WHERE bucket = 0 AND value = 0") > 0);
}

#[test]
fn stores_are_sound_while_and_after_they_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let store = open(&path, Mode::Background);
    is_sound(&path);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (store, is_over) = (&store, &is_over);
            scope.spawn(move || {
                let mut chance = Chance::new(thread);
                while !is_over.load(Ordering::Relaxed) {
                    for _ in 0..200 {
                        let label = format!("label-{}", chance.below(1_500));
                        let back = i64::try_from(chance.below(400_000)).unwrap();
                        let event = Event::new("viewed").user(chance.below(9_000)).label(&label).value(0.3);
                        store.tracker().track(event.at(at(NOW).plus_seconds(-back)));
                    }
                    store.flush().unwrap();
                }
            });
        }
        let mut rows = 0;
        for _ in 0..30 {
            let found = check(&path, Depth::Plain);
            if !found.is_sound() || found.rows < rows {
                is_over.store(true, Ordering::Relaxed);
                panic!("{rows} rows before: {found:#?}");
            }
            rows = found.rows;
        }
        is_over.store(true, Ordering::Relaxed);
    });
    store.close().unwrap();
    is_sound(&path);
}

#[test]
fn a_clock_that_is_set_back_leaves_a_sound_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    for (time, with_sum) in [
        ("2026-11-20T12:00:00Z", true),
        ("2026-11-19T12:00:00Z", false),
        ("2026-11-18T12:00:00Z", true),
        ("2026-11-21T12:00:00Z", false),
    ] {
        let clock = ManualClock::new(at(time));
        let builder = Store::builder(&path).definitions(definitions()).clock(clock).mode(Mode::Inline);
        let builder = builder.record(Rule::unique("viewed", "user"));
        let builder = if with_sum { builder.record(Rule::sum("viewed")) } else { builder };
        let store = builder.open().unwrap();
        for user in 0..30 {
            store.tracker().track(Event::new("viewed").user(user).value(1.5).at(at("2026-11-18T01:00:00Z")));
            store.tracker().track(Event::new("viewed").user(user + 900).value(-1.5));
        }
        store.close().unwrap();
        is_sound(&path);
    }
}

/// A kind of damage, and what is to be found: the law, and words of the message.
type Damage = (&'static str, &'static str, &'static [(Law, &'static [&'static str])]);

/// SQL where `{key}` stands for the number of the series of this key, `{18}` for the bucket of a day, `{18h10}` of an hour.
fn written_out(sql: &str) -> String {
    let mut out = String::new();
    let mut rest = sql;
    while let Some((before, inner, after)) = rest
        .split_once('{')
        .and_then(|(before, rest)| rest.split_once('}').map(|(inner, after)| (before, inner, after)))
    {
        out.push_str(before);
        if inner.starts_with(|first: char| first.is_ascii_digit()) {
            let (day, hour) = inner.split_once('h').map_or((inner, None), |(day, hour)| (day, Some(hour)));
            let midnight = at(&format!("2026-11-{day}")).unix_seconds();
            let hour = hour.map(|hour| midnight / 3_600 + hour.parse::<i64>().unwrap());
            out.push_str(&hour.map_or(day_bucket(midnight), |hour| 1_i64 << 40 | hour).to_string());
        } else {
            out.push_str(&format!("(SELECT id FROM series WHERE key = '{inner}')"));
        }
        rest = after;
    }
    out + rest
}

const VIEWED: &str = "`viewed`";
const WEB: &str = "`viewed-filter:[label:web]`";
const SUM: &str = "`viewed-operator:sum(value)`";
const LABELS: &str = "`viewed-operator:total-label`";
const USERS: &str = "`viewed-user`";
const CLICKERS: &str = "`clicked-user`";
use Law::{Checksum, Conservation, Consistency, Structure};

const DAMAGES: &[Damage] = &[
    // Counts.
    (
        "an hour off by one",
        "UPDATE counts SET count = count + 1 WHERE bucket = {18h10} AND series = {viewed}",
        &[(Conservation, &[VIEWED, "the hours of 2026-11-18 add up to", "the day has 5000"])],
    ),
    (
        "a day off by one",
        "UPDATE counts SET count = count - 1 WHERE bucket = {18} AND series = {viewed}",
        &[
            (Conservation, &[VIEWED, "the hours of 2026-11-18 add up to 5000, the day has 4999"]),
            (Conservation, &[VIEWED, "the days add up to", "all time has"]),
        ],
    ),
    (
        "all time off by one",
        "UPDATE counts SET count = count + 1 WHERE bucket = 0 AND series = {viewed}",
        &[
            (Conservation, &[VIEWED, "the days add up to", "all time has"]),
            (Conservation, &["the ledger says that"]),
        ],
    ),
    (
        "an hour is gone",
        "DELETE FROM counts WHERE bucket = {18h10} AND series = {viewed}",
        &[(Conservation, &[VIEWED, "2026-11-18"])],
    ),
    (
        "a day is gone",
        "DELETE FROM counts WHERE bucket = {18} AND series = {viewed}",
        &[
            (Conservation, &[VIEWED, "the hours of 2026-11-18 add up to 5000, the day has 0"]),
            (Conservation, &[VIEWED, "the days add up to"]),
        ],
    ),
    (
        "all time is gone",
        "DELETE FROM counts WHERE bucket = 0 AND series = {clicked}",
        &[
            (Conservation, &["`clicked`", "the days add up to 601, all time has 0"]),
            (Conservation, &["the ledger"]),
        ],
    ),
    (
        "an hour too many",
        "INSERT INTO counts VALUES ({18h09}, {clicked}, 1)",
        &[(Conservation, &["`clicked`", "2026-11-18"])],
    ),
    (
        "a day too many",
        "INSERT INTO counts VALUES ({25}, {clicked}, 1)",
        &[
            (Conservation, &["`clicked`", "the hours of 2026-11-25 add up to 0, the day has 1"]),
            (Conservation, &["`clicked`", "the days add up to 602"]),
        ],
    ),
    (
        "a negative hour",
        "UPDATE counts SET count = -1 WHERE bucket = {18h10} AND series = {viewed}",
        &[(Consistency, &[VIEWED, "a count of the hours of 2026-11-18 is -1"])],
    ),
    (
        "a negative day",
        "UPDATE counts SET count = -7 WHERE bucket = {18} AND series = {viewed}",
        &[(Consistency, &[VIEWED, "a count of 2026-11-18 is -7"])],
    ),
    (
        "a negative all time",
        "UPDATE counts SET count = -7 WHERE bucket = 0 AND series = {viewed}",
        &[(Consistency, &[VIEWED, "a count of all time is -7"])],
    ),
    (
        "a part that is more than its whole, at every level",
        "UPDATE counts SET count = count + 100000 WHERE bucket IN (0, {18}, {18h10}) AND series = {viewed-filter:[label:web]}",
        &[(Consistency, &[WEB, "2026-11-18, but only 5000 events"])],
    ),
    // The ledger.
    (
        "the ledger off by one",
        "UPDATE ledger SET count = count + 1 WHERE entry = 'stored'",
        &[(Conservation, &["the ledger says that 14102 events are stored", "14101"])],
    ),
    ("the ledger is gone", "DELETE FROM ledger", &[(Conservation, &["the ledger says that 0"])]),
    ("a negative ledger", "UPDATE ledger SET count = -3", &[(Consistency, &["ledger is -3"])]),
    // Sums.
    (
        "the sum of an hour by a billionth",
        "UPDATE sums SET sum = sum * (1 + 1e-9) WHERE bucket = {18h10}",
        &[(Conservation, &[SUM, "the hours of 2026-11-18 add up to", "the day has"])],
    ),
    (
        "the sum of a day by a billionth",
        "UPDATE sums SET sum = sum * (1 + 1e-9) WHERE bucket = {18}",
        &[(Conservation, &[SUM, "the hours of 2026-11-18"]), (Conservation, &[SUM, "the days", "all time"])],
    ),
    (
        "the sum of all time by a billionth",
        "UPDATE sums SET sum = sum * (1 + 1e-9) WHERE bucket = 0",
        &[(Conservation, &[SUM, "the days", "all time"])],
    ),
    ("sums by rounding", "UPDATE sums SET sum = sum * (1 + 2.3e-16)", &[]),
    (
        "an infinite sum",
        "UPDATE sums SET sum = 9e999 WHERE bucket = {18}",
        &[(Consistency, &[SUM, "a sum of 2026-11-18 is no finite number"])],
    ),
    (
        "an infinite sum of an hour",
        "UPDATE sums SET carry = -9e999 WHERE bucket = {18h10}",
        &[(Consistency, &[SUM, "a sum of the hours of 2026-11-18"])],
    ),
    (
        "the sum of all time is gone",
        "DELETE FROM sums WHERE bucket = 0",
        &[(Conservation, &[SUM, "all time has none"])],
    ),
    (
        "the sum of a day is gone",
        "DELETE FROM sums WHERE bucket = {18}",
        &[
            (Conservation, &[SUM, "the hours of 2026-11-18", "the day has none"]),
            (Conservation, &[SUM, "all time"]),
        ],
    ),
    // Values.
    (
        "a value of a day off by one",
        "UPDATE per_value SET count = count + 1 WHERE bucket = {18} AND value = 3",
        &[
            (Consistency, &[LABELS, "5001 of 2026-11-18 by value, but only 5000 events"]),
            (Conservation, &[LABELS, "the days of value 3 add up to"]),
        ],
    ),
    (
        "a value of all time is gone",
        "DELETE FROM per_value WHERE bucket = 0 AND value = 3",
        &[(Conservation, &[LABELS, "the days of value 3 add up to", "all time has none"])],
    ),
    (
        "a negative value",
        "UPDATE per_value SET count = -2 WHERE bucket = {18} AND value = 3",
        &[(Consistency, &[LABELS, "a count of 2026-11-18 is -2"])],
    ),
    (
        "more of a value than events",
        "UPDATE per_value SET count = count + 5000 WHERE bucket IN (0, {18}) AND value = 3",
        &[(Consistency, &[LABELS, "of 2026-11-18 by value, but only 5000 events"])],
    ),
    (
        "a value without a name",
        "DELETE FROM value_names WHERE value = 1",
        &[(Consistency, &[LABELS, "the value 1 has no name; the first of 2026-11-17"])],
    ),
    (
        "a name without a value",
        "DELETE FROM per_value WHERE value = 3",
        &[(Consistency, &[LABELS, "the value 3 has a name, but no count"])],
    ),
    (
        "an empty name",
        "UPDATE value_names SET text = '' WHERE value = 3",
        &[(Consistency, &[LABELS, "the value 3 has a number or a name that none can have"])],
    ),
    (
        "a name beyond the limit",
        "UPDATE value_names SET value = 1001 WHERE value = 3; UPDATE per_value SET value = 1001 WHERE value = 3",
        &[(Consistency, &[LABELS, "the value 1001 has a number"])],
    ),
    // Sketches.
    (
        "sketches of two days exchanged, one with too few events",
        "UPDATE sketches SET blob = (SELECT blob FROM sketches WHERE bucket = {17} + {20} - outer.bucket AND series = outer.series)
         FROM sketches AS outer WHERE sketches.bucket = outer.bucket AND sketches.series = outer.series
         AND sketches.series = {viewed-user} AND sketches.bucket IN ({17}, {20})",
        &[(Consistency, &[USERS, "distinct ones of 2026-11-20, but only 300 events"])],
    ),
    (
        "two people of one event",
        "UPDATE sketches SET blob = (SELECT blob FROM sketches WHERE bucket = {19} AND series = {clicked-user})
         WHERE bucket = {20} AND series = {clicked-user}",
        &[
            (Consistency, &[CLICKERS, "200 distinct ones of 2026-11-20, but only 1 events"]),
            (Conservation, &[CLICKERS, "has some that"]),
        ],
    ),
    (
        "sketches of two series exchanged",
        "CREATE TEMP TABLE kept AS SELECT bucket, series, blob FROM sketches WHERE bucket = {18};
         UPDATE sketches SET blob = (SELECT blob FROM kept WHERE kept.series != sketches.series) WHERE bucket = {18}",
        &[
            (Consistency, &[CLICKERS, "of 2026-11-18, but only 200 events"]),
            (Conservation, &[CLICKERS, "lacks some that"]),
            (Conservation, &[USERS, "has some that"]),
            (Conservation, &[USERS, "lacks some that"]),
        ],
    ),
    (
        "the sketch of all time is gone",
        "DELETE FROM sketches WHERE bucket = 0 AND series = {viewed-user}",
        &[(Conservation, &[USERS, "the sketch of all time lacks some"])],
    ),
    (
        "the sketch of all time is an old one",
        "UPDATE sketches SET blob = (SELECT blob FROM sketches WHERE bucket = {17} AND series = {viewed-user})
         WHERE bucket = 0 AND series = {viewed-user}",
        &[(Conservation, &[USERS, "lacks some"])],
    ),
    (
        "the sketch of a day is gone",
        "DELETE FROM sketches WHERE bucket = {17} AND series = {viewed-user}",
        &[(Conservation, &[USERS, "has some that"])],
    ),
    (
        "an empty blob",
        "UPDATE sketches SET blob = x'' WHERE bucket = {17} AND series = {viewed-user}",
        &[(Checksum, &[USERS, "the sketch of 2026-11-17 is damaged"])],
    ),
    (
        "a cut blob",
        "UPDATE sketches SET blob = substr(blob, 1, 200) WHERE bucket = {17} AND series = {viewed-user}",
        &[(Checksum, &[USERS, "the sketch of 2026-11-17 is damaged"])],
    ),
    (
        "the cursor ahead",
        "UPDATE store SET united_bucket = {21}, united_series = 1000",
        &[(Conservation, &[USERS, "lacks some"])],
    ),
    (
        "the cursor behind",
        "UPDATE store SET united_bucket = {17}, united_series = 0",
        &[(Conservation, &[CLICKERS, "before its cursor"]), (Conservation, &[USERS, "before its cursor"])],
    ),
    (
        "a sketch that was set aside",
        "INSERT INTO damaged VALUES ({viewed-user}, {18}, 0, 0, x'00')",
        // A known loss, and no finding.
        &[],
    ),
    // Series and what refers to them.
    (
        "a series is gone",
        "DELETE FROM series WHERE key = 'clicked'",
        &[
            (Consistency, &["does not exist, but `recorded` has rows of it"]),
            (Conservation, &["the ledger says"]),
            (Consistency, &["does not exist, but there is 9 rows of counts, the first of the hours of 2026-11-17"]),
        ],
    ),
    (
        "the kind of a series",
        "UPDATE series SET kind = 3 WHERE kind = 2",
        &[(Consistency, &[SUM, "is of another kind, but there is", "of sums"])],
    ),
    (
        "a kind that there is not",
        "UPDATE series SET kind = 99 WHERE kind = 2",
        &[
            (Consistency, &[SUM, "is of a kind that no version writes"]),
            (Consistency, &[SUM, "is of another kind, but there is", "of sums"]),
        ],
    ),
    (
        "spans that overlap",
        "INSERT INTO recorded VALUES ({viewed}, 1, NULL)",
        &[(Consistency, &[VIEWED, "overlap"])],
    ),
    (
        "a span that ends before it begins",
        "UPDATE recorded SET until = since - 1 WHERE series = {viewed-user}",
        &[(Consistency, &[USERS, "overlap"])],
    ),
    (
        "times of recording of no series",
        "INSERT INTO recorded VALUES (999, 1, 2)",
        &[(Consistency, &["series 999", "`recorded`"])],
    ),
    (
        "names of no series",
        "INSERT INTO value_names VALUES (999, 'x', 1)",
        &[(Consistency, &["series 999", "`value_names`"]), (Consistency, &["series 999", "no count"])],
    ),
    (
        "damage of no series",
        "INSERT INTO damaged VALUES (999, 1, 1, 1, x'00')",
        &[(Consistency, &["series 999", "`damaged`"])],
    ),
    (
        "rows of no series",
        "INSERT INTO sums VALUES (0, 999, 0.0, 0.0, 0)",
        &[(Consistency, &["series 999 does not exist, but there is 1 row of sums, the first of all time"])],
    ),
    // Buckets.
    (
        "a bucket between all time and hours",
        "INSERT INTO counts VALUES (7, {viewed}, 1)",
        &[(Consistency, &[VIEWED, "1 row stands in buckets that no version writes, such as 7"])],
    ),
    (
        "a bucket below all",
        "INSERT INTO sums VALUES (-9223372036854775808, {viewed-operator:sum(value)}, 1.0, 0.0, 0)",
        &[(Consistency, &[SUM, "such as -9223372036854775808"])],
    ),
    (
        "a week",
        "INSERT INTO sketches SELECT 3 << 40 | 5, series, blob FROM sketches WHERE bucket = {17} AND series = {viewed-user}",
        &[(Consistency, &[USERS, "such as 3298534883333"])],
    ),
    (
        "days beyond the calendar",
        "INSERT INTO per_value VALUES (2 << 40 | 5000000, {viewed-operator:total-label}, 1, 1),
         (2 << 40 | 500000000000, {viewed-operator:total-label}, 1, 1)",
        &[(Consistency, &[LABELS, "2 rows stand in buckets"])],
    ),
    (
        "an hour beyond the calendar",
        "INSERT INTO counts VALUES (1 << 40 | 900000000000, {viewed}, 1)",
        &[(Consistency, &[VIEWED, "1 row stands"])],
    ),
    (
        "the last bucket",
        "INSERT INTO counts VALUES (9223372036854775807, {viewed}, 1)",
        &[(Consistency, &[VIEWED, "such as 9223372036854775807"])],
    ),
    // What stands once.
    ("broken definitions", "UPDATE store SET definitions = '{'", &[(Consistency, &["definitions"])]),
    ("broken rules", "UPDATE store SET recorded = '[{]'", &[(Consistency, &["the store"])]),
    (
        "the digest of a source",
        "UPDATE sources SET digest = x'00'",
        &[(Consistency, &["a source's digest"])],
    ),
    ("the offset of a source", "UPDATE sources SET offset = -1", &[(Consistency, &["a source's offset"])]),
    ("no cursor", "DELETE FROM store", &[(Structure, &["looking through the store: Query returned no rows"])]),
    (
        "an index that lacks a row",
        "PRAGMA writable_schema = 1;
         CREATE TEMP TABLE kept AS SELECT * FROM sqlite_schema WHERE name = 'damaged_series';
         DELETE FROM sqlite_schema WHERE name = 'damaged_series'; PRAGMA writable_schema = RESET;
         INSERT INTO damaged VALUES ({viewed-user}, {18}, 0, 0, x'00');
         PRAGMA writable_schema = 1; INSERT INTO sqlite_schema SELECT * FROM kept; PRAGMA writable_schema = RESET",
        &[(Structure, &["wrong # of entries in index damaged_series"]), (Structure, &["row 1 missing"])],
    ),
];

#[test]
fn each_kind_of_damage_is_found_by_its_law_and_nothing_else_is() {
    let mut faults = Vec::new();
    for (name, sql, expected) in DAMAGES {
        let (_folder, path) = copy();
        let connection = Connection::open(&path).unwrap();
        let sql = written_out(sql);
        connection.execute_batch(&sql).unwrap_or_else(|error| panic!("{name}: {error}\n{sql}"));
        drop(connection);
        let began = Instant::now();
        let check = check(&path, Depth::Plain);
        assert!(began.elapsed() < Duration::from_secs(20), "{name} took {:?}", began.elapsed());
        let is_expected = check.findings.len() == expected.len()
            && check.findings.iter().zip(*expected).all(|(finding, (law, words))| {
                finding.law == *law && words.iter().all(|word| finding.message.contains(word))
            });
        if !is_expected {
            faults.push(format!("{name}: {:#?}", check.findings));
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), DAMAGES.len(), faults.join("\n"));
}

#[test]
fn every_flipped_bit_of_a_sketch_is_found() {
    let (_folder, path) = copy();
    let connection = Connection::open(&path).unwrap();
    let mut chance = Chance::new(3);
    for (bucket, when) in [("0", "all time"), ("{17}", "2026-11-17"), ("{20}", "2026-11-20")] {
        let place = written_out(&["bucket = ", bucket, " AND series = {viewed-user}"].concat());
        let select = format!("SELECT blob FROM sketches WHERE {place}");
        let sound: Vec<u8> = connection.query_row(&select, [], |row| row.get(0)).unwrap();
        let put = format!("UPDATE sketches SET blob = ?1 WHERE {place}");
        for bit in
            [0, 1, 8, 16, 24, 33].into_iter().chain((0..10).map(|_| chance.below(8 * sound.len() as u64)))
        {
            let mut blob = sound.clone();
            blob[usize::try_from(bit / 8).unwrap()] ^= 1 << (bit % 8);
            connection.execute(&put, params![blob]).unwrap();
            let findings = check(&path, Depth::Plain).findings;
            let words = format!("series `viewed-user`: the sketch of {when} is damaged");
            let [found] = findings.as_slice() else { panic!("bit {bit} of {when}: {findings:#?}") };
            assert!(found.law == Checksum && found.message.starts_with(&words), "{found:?}");
        }
        connection.execute(&put, params![sound]).unwrap();
    }
    is_sound(&path);
}

#[test]
fn a_sketch_of_more_than_there_were_events_is_found() {
    for (users, is_found) in [(290_u32, false), (299, false), (330, true), (50_000, true)] {
        let (_folder, path) = copy();
        let connection = Connection::open(&path).unwrap();
        let mut sketch = Sketch::new();
        // The people of the day first, so that all time has lost nobody.
        for user in 0..users {
            sketch.add((user + 200_000).to_string().as_bytes());
        }
        let place = written_out("bucket = {20} AND series = {viewed-user}");
        connection
            .execute(&format!("UPDATE sketches SET blob = ?1 WHERE {place}"), params![sketch.encode()])
            .unwrap();
        let findings = check(&path, Depth::Plain).findings;
        let is_exceeding = findings.iter().any(|found| {
            found.law == Consistency && found.message.contains("2026-11-20, but only 300 events")
        });
        assert_eq!(is_exceeding, is_found, "{users}: {findings:#?}");
    }
}

/// Damage to bytes of the file: found, refused when the store is opened, or where nothing reads; never a panic, never endless.
#[test]
fn damaged_pages_are_found_or_hold_nothing() {
    let (_folder, path) = copy();
    let sound = std::fs::read(&path).unwrap();
    let pages = sound.len() / 4_096;
    let mut chance = Chance::new(4);
    let (mut missed, mut tried) = (Vec::new(), 0);
    for page in 0..pages {
        // Every page of a store of this size would take minutes.
        if page > 2 && page < pages - 2 && page % 7 != 0 {
            continue;
        }
        for how in ["zeros", "ones", "random", "head"] {
            let mut bytes = sound.clone();
            let head = page * 4_096 + if page == 0 { 100 } else { 0 };
            let range = if how == "head" { head..head + 8 } else { page * 4_096..(page + 1) * 4_096 };
            for byte in &mut bytes[range] {
                *byte = match how {
                    "zeros" => 0,
                    "ones" => 0xff,
                    _ => u8::try_from(chance.below(256)).unwrap(),
                };
            }
            std::fs::write(&path, &bytes).unwrap();
            tried += 1;
            let began = Instant::now();
            let is_found = match Reader::open(&path).and_then(|reader| reader.check(Depth::Deep)) {
                Ok(check) => !check.is_sound(),
                Err(_) => true,
            };
            assert!(began.elapsed() < Duration::from_secs(20), "page {page}, {how}: {:?}", began.elapsed());
            if !is_found && bytes != sound {
                missed.push((page + 1, how));
            }
        }
    }
    assert!(missed.is_empty(), "{} of {tried}: {missed:?}", missed.len());
}

#[test]
fn a_cut_file_is_found() {
    let (_folder, path) = copy();
    let sound = std::fs::read(&path).unwrap();
    for left in [sound.len() / 2, sound.len() - 4_096, sound.len() - 100, 4_096, 8_192, 700, 100, 20] {
        std::fs::write(&path, &sound[..left]).unwrap();
        match Reader::open(&path).and_then(|reader| reader.check(Depth::Plain)) {
            Ok(check) => {
                assert!(check.findings.iter().any(|found| found.law == Structure), "{left}: {check:#?}");
            }
            Err(error) => assert!(error.to_string().contains("usage.db"), "{left}: {error}"),
        }
    }
}

#[test]
fn findings_are_limited_and_the_others_counted() {
    let (_folder, path) = copy();
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch("UPDATE per_value SET count = count + 1 WHERE bucket = 0").unwrap();
    let sql = written_out(
        "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 500)
         INSERT INTO counts SELECT {18} + 100 + n, {viewed}, 1 FROM number",
    );
    connection.execute_batch(&sql).unwrap();
    let check = check(&path, Depth::Plain);
    // 1,001 values with the overflow, 500 days without hours, and all days together.
    assert_eq!((check.findings.len(), check.more), (1_000, 502));
}

#[test]
fn a_store_in_memory_is_checked_too() {
    let store = Store::builder_in_memory().definitions(definitions()).open().unwrap();
    assert_eq!(store.reader().check(Depth::Deep).unwrap().rows, 0);
    store.tracker().track(Event::new("viewed").user(1));
    store.flush().unwrap();
    let check = store.reader().check(Depth::Deep).unwrap();
    assert!(check.is_sound() && check.rows == 3, "{check:?}");
    assert_eq!(store.value(&Query::total("viewed")).unwrap().count(), Some(1));
}
