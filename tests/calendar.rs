//! The calendar: every day of 400 years against a table that is counted out day by day, and SQLite's own calendar; and events at
//! the edges of years, weeks, months and days, which land where the table says.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "the helpers of tests may fail as tests do, and say their figures"
)]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use headcount::{
    Definitions, EventDefinition, IsoWeek, ManualClock, Mode, Query, Rule, Store, TimeRange, Timestamp, Unit,
};
use rusqlite::Connection;

use common::figures::seed;
use common::{Chance, connect};

const SECONDS: i64 = 86_400;
/// The calendar repeats after 400 years.
const DAYS: usize = 146_097;
const MONTHS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/// The days before which a leap second was inserted, as the IERS announced them.
const LEAPS: [&str; 27] = [
    "1972-07-01",
    "1973-01-01",
    "1974-01-01",
    "1975-01-01",
    "1976-01-01",
    "1977-01-01",
    "1978-01-01",
    "1979-01-01",
    "1980-01-01",
    "1981-07-01",
    "1982-07-01",
    "1983-07-01",
    "1985-07-01",
    "1988-01-01",
    "1990-01-01",
    "1991-01-01",
    "1992-07-01",
    "1993-07-01",
    "1994-07-01",
    "1996-01-01",
    "1997-07-01",
    "1999-01-01",
    "2006-01-01",
    "2009-01-01",
    "2012-07-01",
    "2015-07-01",
    "2017-01-01",
];

/// One day, counted out.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Day {
    date: String,
    month: String,
    week: String,
    /// The place of its week's Monday in the table; of the first days, which began before it, below 0.
    monday: i64,
}

/// Four centuries from 1970-01-01, a Thursday, on.
fn table() -> Vec<Day> {
    let is_leap = |year: i64| year % 400 == 0 || year % 4 == 0 && year % 100 != 0;
    // Year, month, day, day of the year; a week longer than the table, for the Thursdays of its last days.
    let mut dates = Vec::new();
    for year in 1969.. {
        let mut of_year = 0;
        for (month, days) in (1..).zip(MONTHS) {
            for day in 1..=days + i64::from(month == 2 && is_leap(year)) {
                dates.push((year, month, day, of_year));
                of_year += 1;
            }
        }
        if dates.len() > 365 + DAYS + 7 {
            break;
        }
    }
    let first = 365;
    let mut weekday = 3;
    (0..DAYS)
        .map(|place| {
            let (year, month, day, _) = dates[first + place];
            // A week belongs to the year of its Thursday, and has its number by it.
            let (week_year, _, _, of_year) = dates[first + place + 3 - weekday];
            let row = Day {
                date: format!("{year:04}-{month:02}-{day:02}"),
                month: format!("{year:04}-{month:02}"),
                week: format!("{week_year:04}-W{:02}", of_year / 7 + 1),
                monday: i64::try_from(place).unwrap() - i64::try_from(weekday).unwrap(),
            };
            weekday = (weekday + 1) % 7;
            row
        })
        .collect()
}

fn unix(place: usize) -> i64 {
    i64::try_from(place).unwrap() * SECONDS
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds)
}

#[test]
fn the_table_is_the_calendar_that_sqlite_has() {
    let connection = Connection::open_in_memory().unwrap();
    let sql = "WITH RECURSIVE day(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM day WHERE n < ?1)
               SELECT date(n * 86400, 'unixepoch'), strftime('%G-W%V', n * 86400, 'unixepoch') FROM day";
    let mut select = connection.prepare(sql).unwrap();
    let last = i64::try_from(DAYS).unwrap() - 1;
    let rows = select.query_map([last], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let theirs: Vec<(String, String)> = rows.map(Result::unwrap).collect();
    let ours: Vec<_> = table().into_iter().map(|day| (day.date, day.week)).collect();
    assert!(ours == theirs);
    assert_eq!(ours.last().unwrap().0, "2369-12-31");
}

#[test]
fn every_day_of_four_centuries_has_its_name_its_week_and_its_edges() {
    for (place, day) in table().iter().enumerate() {
        let (start, end) = (unix(place), unix(place) + SECONDS - 1);
        assert_eq!(Timestamp::parse(&day.date).unwrap(), at(start));
        for (seconds, clock) in [(start, "00:00:00"), (start + 43_199, "11:59:59"), (end, "23:59:59")] {
            let text = format!("{}T{clock}Z", day.date);
            assert_eq!(Timestamp::parse(&text).unwrap(), at(seconds));
            assert_eq!(at(seconds).to_string(), text);
            assert_eq!(IsoWeek::of(at(seconds)).to_string(), day.week, "{text}");
        }
        let monday = day.monday.max(0) * SECONDS;
        let week = IsoWeek::of(at(end));
        let sunday = (day.monday + 7) * SECONDS;
        assert_eq!((week.start(), week.range().to()), (at(monday), at(sunday)), "{}", day.date);
        if day.monday >= 28 {
            for weeks in [1, 4] {
                let complete = TimeRange::complete_weeks(at(end), weeks);
                let from = at(monday - i64::from(weeks) * 7 * SECONDS);
                assert_eq!((complete.from(), complete.to()), (from, at(monday)), "{}", day.date);
                let current = TimeRange::current_weeks(at(start), weeks);
                let from = at(monday - i64::from(weeks - 1) * 7 * SECONDS);
                assert_eq!((current.from(), current.to()), (from, at(sunday)), "{}", day.date);
            }
            let rolling = TimeRange::last_days(at(start), 28);
            assert_eq!((rolling.from(), rolling.to()), (at(start - 27 * SECONDS), at(start + SECONDS)));
        }
    }
}

#[test]
fn years_of_53_weeks_are_71_in_four_centuries() {
    let table = table();
    let mut long: Vec<&str> = table.iter().filter_map(|day| day.week.strip_suffix("-W53")).collect();
    long.dedup();
    assert_eq!(long.len(), 71);
    assert_eq!(long[..5], ["1970", "1976", "1981", "1987", "1992"]);
    for year in ["2020", "2026", "2032", "2037", "2043"] {
        assert!(long.contains(&year), "{year}");
    }
    // Teeth: the year of the day instead of that of its week, the usual mistake, is another one on so many days.
    let wrong = table.iter().filter(|day| day.date[..4] != day.week[..4]).count();
    assert_eq!(wrong, 687);
}

#[test]
fn leap_seconds_fold_into_the_next_second_in_every_zone() {
    for day in LEAPS {
        let midnight = Timestamp::parse(day).unwrap();
        let before = midnight.plus_seconds(-1).to_string();
        let leap = before.replace(":59Z", ":60Z");
        assert!(leap.ends_with("T23:59:60Z"), "{leap}");
        assert_eq!(Timestamp::parse(&leap).unwrap(), midnight, "{leap}");
        assert_eq!(Timestamp::parse(&leap.replace('Z', ".999Z")).unwrap(), midnight);
        let east = format!("{day}T08:59:60+09:00");
        assert_eq!(Timestamp::parse(&east).unwrap(), midnight, "{east}");
        assert_eq!(IsoWeek::of(Timestamp::parse(&leap).unwrap()), IsoWeek::of(midnight));
    }
}

#[test]
fn a_time_is_the_same_instant_in_every_zone() {
    for date in ["2026-12-31", "2027-01-01", "2028-02-29", "2026-03-29", "2026-10-25"] {
        let midnight = Timestamp::parse(date).unwrap().unix_seconds();
        for quarter in -95..=95_i64 {
            let (sign, minutes) = (if quarter < 0 { '-' } else { '+' }, quarter.abs() * 15);
            let zone = format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60);
            for (clock, seconds) in [("00:00:00", 0), ("02:30:00", 9_000), ("23:59:59", SECONDS - 1)] {
                let text = format!("{date}T{clock}{zone}");
                let expected = midnight + seconds - quarter * 900;
                assert_eq!(Timestamp::parse(&text).unwrap(), at(expected), "{text}");
            }
        }
    }
}

#[test]
fn the_ends_of_time_are_held_and_never_wrapped() {
    for seconds in [i64::MIN, i64::MIN + 1, -1, 0] {
        assert_eq!(at(seconds), Timestamp::EPOCH);
        assert_eq!(
            Timestamp::MAX.plus_seconds(seconds.min(-253_402_300_799)),
            Timestamp::EPOCH.max(at(seconds))
        );
    }
    for seconds in [i64::MAX, i64::MAX - 1, 253_402_300_800, 253_402_300_799] {
        assert_eq!(at(seconds), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.plus_seconds(seconds), Timestamp::MAX);
    }
    assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59Z");
    assert_eq!(IsoWeek::of(Timestamp::MAX).to_string(), "9999-W52");
    assert_eq!(IsoWeek::of(Timestamp::MAX).next().start(), Timestamp::MAX);
    assert_eq!(IsoWeek::of(Timestamp::EPOCH).minus(u32::MAX).start(), Timestamp::EPOCH);
    assert_eq!(IsoWeek::of(Timestamp::EPOCH).to_string(), "1970-W01");
    assert_eq!(TimeRange::complete_weeks(Timestamp::EPOCH, u32::MAX).from(), Timestamp::EPOCH);
    assert_eq!(TimeRange::last_days(Timestamp::MAX, u32::MAX).from(), Timestamp::EPOCH);
    let clock = ManualClock::new(Timestamp::MAX);
    clock.advance(Duration::MAX);
    assert_eq!(clock.now(), Timestamp::MAX);
}

fn store(path: Option<&std::path::Path>, now: &str) -> Store {
    let definitions =
        Definitions::new().event(EventDefinition::new("page_viewed").identifier("user")).unwrap();
    let builder = path.map_or_else(Store::builder_in_memory, Store::builder);
    builder
        .definitions(definitions)
        .record(Rule::unique("page_viewed", "user"))
        .clock(ManualClock::new(Timestamp::parse(now).unwrap()))
        .mode(Mode::Inline)
        .for_imports()
        .open()
        .unwrap()
}

/// Runs of equal names in the table, with the place at which each begins.
fn runs(table: &[Day], name: impl Fn(&Day) -> &str) -> Vec<(usize, String)> {
    let mut runs: Vec<(usize, String)> = Vec::new();
    for (place, day) in table.iter().enumerate() {
        if runs.last().is_none_or(|(_, last)| last != name(day)) {
            runs.push((place, name(day).to_owned()));
        }
    }
    runs
}

#[test]
fn the_steps_of_four_centuries_begin_where_the_table_says() {
    let (table, store) = (table(), store(None, "2370-01-01"));
    store.import("one", &br#"{"event":"page_viewed","time":"2000-02-29T12:00:00Z"}"#[..]).unwrap();
    store.import("two", &b"{\"event\":\"page_viewed\",\"time\":\"2000-02-29T12:00:00Z\"}\n"[..]).unwrap();
    let all = TimeRange::new(Timestamp::EPOCH, at(unix(DAYS))).unwrap();
    let query = Query::total("page_viewed").range(all);
    for (unit, runs) in [
        (Unit::Day, runs(&table, |day| &day.date)),
        (Unit::Week, runs(&table, |day| &day.week)),
        (Unit::Month, runs(&table, |day| &day.month)),
    ] {
        let steps = store.series(&query, unit).unwrap();
        assert_eq!(steps.len(), runs.len(), "{unit:?}");
        let ends = runs.iter().skip(1).map(|run| unix(run.0)).chain([unix(DAYS)]);
        for ((step, (place, name)), end) in steps.iter().zip(&runs).zip(ends) {
            assert_eq!((step.window.from(), step.window.to()), (at(unix(*place)), at(end)), "{name}");
            let is_leap_day = ["2000-02-29", "2000-W09", "2000-02"].contains(&name.as_str());
            assert_eq!(step.count() > Some(0), is_leap_day, "{name}");
        }
    }
}

/// Seconds before and after each midnight at which a year, a month or a week begins, of some years; and some at random.
fn edges(table: &[Day], chance: &mut Chance) -> Vec<i64> {
    let mut edges = Vec::new();
    for pair in table.windows(2).enumerate().filter_map(|(place, pair)| {
        let (before, after) = (&pair[0], &pair[1]);
        let year = before.date[..4] != after.date[..4];
        let other = before.week != after.week || before.month != after.month;
        let is_sampled = (2020..2044).contains(&before.date[..4].parse::<u32>().unwrap());
        (year || other && is_sampled).then_some(place + 1)
    }) {
        edges.extend([-3_601, -1, 0, 1, 3_599, 3_600].map(|offset| unix(pair) + offset));
    }
    let end = u64::try_from(unix(DAYS)).unwrap();
    edges.extend((0..2_000).map(|_| i64::try_from(chance.below(end)).unwrap()));
    edges
}

#[test]
fn events_around_the_ends_of_years_land_in_their_buckets() {
    let (table, mut chance) = (table(), Chance::new(seed()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let store = store(Some(&path), "2370-01-01");
    let times = edges(&table, &mut chance);
    let mut lines = String::new();
    for (user, time) in times.iter().enumerate() {
        // As a number, as text, in another zone, or as the leap second before it.
        let day = &table[usize::try_from(time.div_euclid(SECONDS)).unwrap()];
        let clock = |time: i64| {
            let second = time.rem_euclid(SECONDS);
            format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
        };
        let text = match chance.below(4) {
            0 => time.to_string(),
            1 => format!("{}", i128::from(*time) * 1_000 + 999).parse::<i64>().map_or_else(
                |_| time.to_string(),
                // Below 10^11 a number is seconds.
                |milliseconds| {
                    if milliseconds < 100_000_000_000 { time.to_string() } else { milliseconds.to_string() }
                },
            ),
            2 if time % 60 == 0 && *time >= 60 => {
                let before = time - 60;
                let day = &table[usize::try_from(before.div_euclid(SECONDS)).unwrap()];
                format!("\"{}T{}:60Z\"", day.date, &clock(before)[..5])
            }
            _ => format!("\"{}T{}+00:00\"", day.date, clock(*time)),
        };
        writeln!(lines, "{{\"event\":\"page_viewed\",\"user\":{user},\"time\":{text}}}").unwrap();
    }
    let report = store.import("edges", lines.as_bytes()).unwrap();
    assert_eq!(report.accepted, times.len() as u64, "{report:?}");

    let mut expected = BTreeMap::<i64, u64>::new();
    for time in &times {
        for bucket in [0, 1 << 40 | time.div_euclid(3_600), 2 << 40 | time.div_euclid(SECONDS)] {
            *expected.entry(bucket).or_default() += 1;
        }
    }
    let connection = connect(&path);
    let mut select = connection.prepare("SELECT bucket, count FROM counts").unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs()))).unwrap();
    assert_eq!(rows.collect::<Result<BTreeMap<i64, u64>, _>>().unwrap(), expected);

    let all = TimeRange::new(Timestamp::EPOCH, at(unix(DAYS))).unwrap();
    for (unit, name) in
        [(Unit::Week, (|day| &day.week) as fn(&Day) -> &String), (Unit::Month, |day| &day.month)]
    {
        let mut of_unit = BTreeMap::<&str, u64>::new();
        for time in &times {
            let day = &table[usize::try_from(time.div_euclid(SECONDS)).unwrap()];
            *of_unit.entry(name(day)).or_default() += 1;
        }
        for query in [Query::total("page_viewed"), Query::unique("page_viewed", "user")] {
            for step in store.series(&query.range(all), unit).unwrap() {
                let place = usize::try_from(step.window.from().unix_seconds() / SECONDS).unwrap();
                let expected = of_unit.get(name(&table[place]).as_str()).copied().unwrap_or(0);
                assert_eq!(step.count(), Some(expected), "{}", step.window);
            }
        }
    }
    println!("{} events", times.len());
}

#[test]
fn numbers_beyond_time_are_bad_lines_and_no_buckets() {
    let store = store(None, "9999-12-31T23:59:59Z");
    let mut lines = String::new();
    for time in [
        "-1",
        "-9223372036854775808",
        "9223372036854775807",
        "18446744073709551615",
        "1e308",
        "-1e308",
        "253402300800000",
        "\"10000-01-01T00:00:00Z\"",
        "\"1969-12-31T23:59:59Z\"",
        "\"1970-01-01T00:00:00+00:01\"",
    ] {
        writeln!(lines, "{{\"event\":\"page_viewed\",\"time\":{time}}}").unwrap();
    }
    let bad = u64::try_from(lines.lines().count()).unwrap();
    for time in ["0", "99999999999", "100000000000", "253402300799999", "\"9999-12-31T23:59:59Z\""] {
        writeln!(lines, "{{\"event\":\"page_viewed\",\"time\":{time}}}").unwrap();
    }
    let report = store.import("extremes", lines.as_bytes()).unwrap();
    assert_eq!((report.accepted, report.rejected["bad_time"]), (5, bad), "{report:?}");
    let first = TimeRange::new(Timestamp::EPOCH, at(3_600)).unwrap();
    let query = Query::total("page_viewed");
    assert_eq!(store.value(&query.clone().range(first)).unwrap().count(), Some(1));
    assert_eq!(store.value(&query).unwrap().count(), Some(5));
}
