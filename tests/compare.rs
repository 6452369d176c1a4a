//! Comparisons of two windows: which windows, the same numbers as by hand, and verdicts that chance seldom deceives.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "the helpers of tests may fail as tests do, and chance is made of doubles"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use headcount::{
    Against, Comparison, Definitions, ErrorKind, EventDefinition, ManualClock, Mode, Query, Reader, Rule,
    Sketch, Store, TimeRange, Timestamp, Unit, Verdict,
};
use rusqlite::{Connection, params};
use tempfile::TempDir;

use common::{Chance, day_bucket};

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn range(from: &str, to: &str) -> TimeRange {
    TimeRange::new(at(from), at(to)).unwrap()
}

fn builder(builder: headcount::Builder, clock: &ManualClock) -> headcount::Builder {
    let viewed = EventDefinition::new("viewed").identifier("user").label().value();
    builder
        .definitions(Definitions::new().event(viewed).unwrap())
        .clock(clock.clone())
        .mode(Mode::Inline)
        .record(Rule::unique("viewed", "user"))
        .record(Rule::sum("viewed"))
        .record(Rule::per_value("viewed", "label"))
}

/// One event as the tests know it, apart from the store.
struct Seen {
    at: i64,
    user: u64,
    label: &'static str,
    value: f64,
}

/// A store of fifty days around the end of a year with 53 weeks, and its events.
fn logged(now: &str) -> (Store, Vec<Seen>) {
    let mut chance = Chance::new(11);
    let begin = at("2026-12-01").unix_seconds();
    let mut events: Vec<Seen> = (0..6_000)
        .map(|_| Seen {
            at: begin + chance.below(50 * 86_400) as i64,
            user: chance.below(400),
            label: chance.one_of(&["web", "api", "cli"]),
            value: chance.below(64) as f64 * 0.25,
        })
        .collect();
    // The first and the last second of the fifty days are recorded.
    events.push(Seen { at: begin, user: 1, label: "web", value: 1.0 });
    events.push(Seen { at: begin + 50 * DAY - 1, user: 1, label: "web", value: 1.0 });
    let log: String = events
        .iter()
        .map(|Seen { at, user, label, value }| {
            format!("{{\"event\":\"viewed\",\"time\":{at},\"user\":{user},\"label\":\"{label}\",\"value\":{value}}}\n")
        })
        .collect();
    let clock = ManualClock::new(at("2027-03-01"));
    let store = builder(Store::builder_in_memory(), &clock).open().unwrap();
    store.import("log", log.as_bytes()).unwrap();
    clock.set(at(now));
    (store, events)
}

fn within(events: &[Seen], window: TimeRange) -> impl Iterator<Item = &Seen> {
    let (from, to) = (window.from().unix_seconds(), window.to().unix_seconds());
    events.iter().filter(move |event| (from..to).contains(&event.at))
}

#[test]
fn windows_are_those_of_the_calendar_and_values_those_of_plain_counting() {
    let last = |days: u32| Query::total("viewed").last_days(days);
    let over = |from: &str, to: &str| Query::total("viewed").range(range(from, to));
    let instant = |text: &str| Against::Instant(at(text));
    // Now, question, before, after, the window that was cut.
    let table = [
        (
            "2027-03-01",
            over("2026-12-15", "2026-12-18"),
            Against::Previous,
            "2026-12-12",
            "2026-12-15",
            "2026-12-15",
            "2026-12-18",
            None,
        ),
        // Hours, and the last ISO week of the year, which is its 53rd, against the 52nd.
        (
            "2027-03-01",
            over("2026-12-31T22:00:00Z", "2027-01-01T03:00:00Z"),
            Against::Previous,
            "2026-12-31T17:00:00Z",
            "2026-12-31T22:00:00Z",
            "2026-12-31T22:00:00Z",
            "2027-01-01T03:00:00Z",
            None,
        ),
        (
            "2027-03-01",
            over("2026-12-28", "2027-01-04"),
            Against::Previous,
            "2026-12-21",
            "2026-12-28",
            "2026-12-28",
            "2027-01-04",
            None,
        ),
        // A running window: only as far as whole hours have passed, in both.
        (
            "2027-01-06T10:40:00Z",
            last(7),
            Against::Previous,
            "2026-12-24",
            "2026-12-30T10:00:00Z",
            "2026-12-31",
            "2027-01-06T10:00:00Z",
            Some(("2026-12-31", "2027-01-07")),
        ),
        (
            "2027-01-06T10:00:00Z",
            last(1),
            Against::Previous,
            "2027-01-05",
            "2027-01-05T10:00:00Z",
            "2027-01-06",
            "2027-01-06T10:00:00Z",
            Some(("2027-01-06", "2027-01-07")),
        ),
        // Around an instant on an hour, and within one, which then belongs to neither.
        (
            "2027-03-01",
            last(3),
            instant("2026-12-20T14:00:00Z"),
            "2026-12-17T14:00:00Z",
            "2026-12-20T14:00:00Z",
            "2026-12-20T14:00:00Z",
            "2026-12-23T14:00:00Z",
            None,
        ),
        (
            "2027-03-01",
            last(3),
            instant("2026-12-20T14:20:05Z"),
            "2026-12-17T14:00:00Z",
            "2026-12-20T14:00:00Z",
            "2026-12-20T15:00:00Z",
            "2026-12-23T15:00:00Z",
            None,
        ),
        // Cut after an instant within an hour: the same hours of the day in both.
        (
            "2026-12-20T18:59:00Z",
            last(2),
            instant("2026-12-20T14:20:05Z"),
            "2026-12-18T15:00:00Z",
            "2026-12-18T18:00:00Z",
            "2026-12-20T15:00:00Z",
            "2026-12-20T18:00:00Z",
            Some(("2026-12-20T15:00:00Z", "2026-12-22T15:00:00Z")),
        ),
        // As of an instant, and not beyond the clock.
        (
            "2027-03-01",
            last(2).as_of(at("2026-12-20T12:30:00Z")),
            Against::Previous,
            "2026-12-17",
            "2026-12-18T12:00:00Z",
            "2026-12-19",
            "2026-12-20T12:00:00Z",
            Some(("2026-12-19", "2026-12-21")),
        ),
        (
            "2026-12-20T05:10:00Z",
            last(2).as_of(at("2026-12-20T12:30:00Z")),
            Against::Previous,
            "2026-12-17",
            "2026-12-18T05:00:00Z",
            "2026-12-19",
            "2026-12-20T05:00:00Z",
            Some(("2026-12-19", "2026-12-21")),
        ),
        (
            "2027-03-01",
            last(4).as_of(at("2026-12-22T03:00:00Z")),
            instant("2026-12-20"),
            "2026-12-16",
            "2026-12-18T03:00:00Z",
            "2026-12-20",
            "2026-12-22T03:00:00Z",
            Some(("2026-12-20", "2026-12-24")),
        ),
    ];
    for (number, (now, query, against, before_from, before_to, after_from, after_to, cut)) in
        table.into_iter().enumerate()
    {
        let (store, events) = logged(now);
        let comparison = store.reader().compare(&query, against).unwrap();
        let (before, after) = (range(before_from, before_to), range(after_from, after_to));
        assert_eq!((comparison.before.window, comparison.after.window), (before, after), "{number}");
        assert_eq!(comparison.cut_from, cut.map(|(from, to)| range(from, to)), "{number}");
        let counts = [before, after].map(|window| within(&events, window).count() as f64);
        assert_eq!([comparison.change.before, comparison.change.after], counts, "{number}");
        assert_eq!(comparison.change.difference, counts[1] - counts[0]);
        assert_eq!(comparison.change.percent, Some((counts[1] - counts[0]) / counts[0] * 100.0));
        assert_ne!(comparison.change.verdict, Verdict::Unknown, "{number}: {comparison:?}");
        let (steps_before, steps_after) = store.reader().compare_series(&query, against, Unit::Hour).unwrap();
        for (steps, window) in [(steps_before, before), (steps_after, after)] {
            let sum: u64 = steps.iter().map(|step| step.count().unwrap()).sum();
            assert_eq!(sum as usize, within(&events, window).count());
            assert_eq!(
                steps.len() as i64,
                (window.to().unix_seconds() - window.from().unix_seconds()) / HOUR
            );
        }
    }
}

#[test]
fn sums_uniques_and_values_are_those_of_plain_counting() {
    let (store, events) = logged("2027-01-10T17:00:00Z");
    let (before, after) = (range("2026-12-21", "2026-12-28"), range("2026-12-28", "2027-01-04"));
    let compare = |query: Query| store.reader().compare(&query.range(after), Against::Previous).unwrap();
    let sums = [before, after].map(|window| within(&events, window).map(|event| event.value).sum::<f64>());
    let change = compare(Query::sum("viewed")).change;
    assert_eq!([change.before, change.after], sums);
    let users = [before, after]
        .map(|window| within(&events, window).map(|event| event.user).collect::<BTreeSet<_>>().len() as f64);
    let comparison = compare(Query::unique("viewed", "user"));
    assert_eq!([comparison.change.before.round(), comparison.change.after.round()], users);
    assert!(comparison.standard_error > 0.0);
    let values = [before, after].map(|window| {
        let mut counts = BTreeMap::<&str, f64>::new();
        within(&events, window).for_each(|event| *counts.entry(event.label).or_default() += 1.0);
        counts
    });
    let comparison = compare(Query::per_value("viewed", "label"));
    assert_eq!(comparison.values.len(), 3);
    for (label, change) in &comparison.values {
        assert_eq!([change.before, change.after], [values[0][label.as_str()], values[1][label.as_str()]]);
        // 2.394: all three within it in 95 of 100 cases.
        let noise = 2.394 * (change.before + change.after).sqrt();
        assert!((change.noise.unwrap() - noise).abs() < 1e-3 * noise);
    }
    assert_eq!(comparison.change.before, values[0].values().sum::<f64>());
    // Uniques and values are cut at whole days; the day of the instant belongs to neither.
    let around = Against::Instant(at("2027-01-02T14:00:00Z"));
    for query in [Query::unique("viewed", "user"), Query::per_value("viewed", "label")] {
        let full = store.reader().compare(&query.clone().last_days(2), around).unwrap();
        assert_eq!(full.before.window, range("2026-12-31", "2027-01-02"));
        assert_eq!(full.after.window, range("2027-01-03", "2027-01-05"));
        let cut = store.reader().compare(&query.last_days(14), around).unwrap();
        assert_eq!(cut.before.window, range("2026-12-20", "2026-12-27"));
        assert_eq!(cut.after.window, range("2027-01-03", "2027-01-10"));
    }
}

#[test]
fn what_cannot_be_compared_says_why() {
    let (store, _) = logged("2026-12-20T14:30:00Z");
    let total = || Query::total("viewed");
    let previous = Against::Previous;
    for (query, against, words) in [
        (total(), previous, "all time has no time before it"),
        (total(), Against::Instant(at("2026-12-10")), "all time has no time before it"),
        (
            total().range(range("2026-12-10", "2026-12-11")),
            Against::Instant(at("2026-12-10")),
            "the last so many days",
        ),
        (total().last_days(0), previous, "the last 0 days are no time"),
        (total().last_days(0), Against::Instant(at("2026-12-10")), "the last 0 days are no time"),
        (total().range(range("1970-01-02", "1970-01-04")), previous, "before 1970"),
        (total().last_days(30), Against::Instant(at("1970-01-20")), "before 1970"),
        (total().last_days(u32::MAX), previous, "before 1970"),
        (total().last_days(3), Against::Instant(at("2026-12-20T14:10:00Z")), "is over yet"),
        (total().last_days(3), Against::Instant(Timestamp::MAX), "is over yet"),
        (total().last_days(1).as_of(at("2026-12-20T00:30:00Z")), previous, "is over yet"),
        (Query::unique("viewed", "user").last_days(1), previous, "is over yet"),
        (total().range(range("2026-12-10T00:30:00Z", "2026-12-11")), previous, "full hour"),
        (
            Query::unique("viewed", "user").range(range("2026-12-10T01:00:00Z", "2026-12-11")),
            previous,
            "midnight",
        ),
    ] {
        let error = store.reader().compare(&query, against).unwrap_err();
        assert!(error.kind() == ErrorKind::Usage && error.to_string().contains(words), "{words}: {error}");
    }
    let error = store.reader().compare(&Query::total("viewd").last_days(2), previous).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownEvent);
}

#[test]
fn windows_that_were_not_recorded_throughout_give_no_verdict() {
    let (store, _) = logged("2027-01-15");
    for (from, to) in [("2026-12-02", "2026-12-04"), ("2027-02-01", "2027-02-03")] {
        let query = Query::total("viewed").range(range(from, to));
        let comparison = store.reader().compare(&query, Against::Previous);
        if let Ok(comparison) = comparison {
            assert_eq!(comparison.change.verdict, Verdict::Unknown, "{from}");
            assert!(comparison.change.difference != 0.0);
        }
    }
    // Sums of less than three hours tell nothing of how they spread.
    let short = range("2026-12-02T10:00:00Z", "2026-12-02T12:00:00Z");
    let change =
        store.reader().compare(&Query::sum("viewed").range(short), Against::Previous).unwrap().change;
    assert_eq!((change.noise, change.verdict), (None, Verdict::Unknown));
}

#[test]
fn nothing_before_has_no_percentage() {
    let clock = ManualClock::new(at("2026-12-02"));
    let store = builder(Store::builder_in_memory(), &clock).open().unwrap();
    clock.set(at("2026-12-20"));
    let log = "{\"event\":\"viewed\",\"time\":\"2026-12-11T10:00:00Z\"}\n".repeat(40);
    store.import("log", log.as_bytes()).unwrap();
    let query = Query::total("viewed").range(range("2026-12-11", "2026-12-12"));
    let change = store.reader().compare(&query, Against::Previous).unwrap().change;
    assert_eq!((change.difference, change.percent, change.verdict), (40.0, None, Verdict::Rise));
    let query = Query::total("viewed").range(range("2026-12-13", "2026-12-14"));
    let change = store.reader().compare(&query, Against::Previous).unwrap().change;
    assert_eq!((change.difference, change.percent, change.verdict), (0.0, None, Verdict::Noise));
}

/// Chance with the distributions of a textbook.
struct Draw(Chance);

impl Draw {
    fn unit(&mut self) -> f64 {
        ((self.0.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Knuth's product of uniforms.
    fn poisson(&mut self, mean: f64) -> u32 {
        let (limit, mut product, mut count) = ((-mean).exp(), self.unit(), 0);
        while product > limit {
            product *= self.unit();
            count += 1;
        }
        count
    }

    /// Mean 1, variance `1 / shape`: a sum of exponentials.
    fn gamma(&mut self, shape: u32) -> f64 {
        (0..shape).map(|_| -self.unit().ln()).sum::<f64>() / f64::from(shape)
    }

    /// Box and Muller.
    fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }
}

/// A store whose buckets are written by plain SQL: as many days as wanted from 2000-01-03, a Monday, all recorded.
struct History {
    _folder: TempDir,
    path: PathBuf,
    clock: ManualClock,
}

const BEGIN: &str = "2000-01-03";

impl History {
    fn of(fill: impl FnOnce(&Connection)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        let clock = ManualClock::new(at("2300-01-01"));
        builder(Store::builder(&path), &clock).open().unwrap().close().unwrap();
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("PRAGMA synchronous = OFF; BEGIN; UPDATE recorded SET since = 0").unwrap();
        fill(&connection);
        connection.execute_batch("COMMIT").unwrap();
        Self { _folder: folder, path, clock }
    }

    /// Hours of counts, or of sums, and their days.
    fn of_hours(table: &str, days: i64, mut hour: impl FnMut(i64, i64) -> f64) -> Self {
        Self::of(|connection| {
            let columns = if table == "sums" { "?2, 0.0, 0" } else { "CAST(?2 AS INTEGER)" };
            let kind = if table == "sums" { 2 } else { 1 };
            let sql = format!("INSERT INTO {table} SELECT ?1, id, {columns} FROM series WHERE kind = {kind}");
            let mut insert = connection.prepare(&sql).unwrap();
            // The span of days of a store is that of its totals.
            let mut total = connection
                .prepare("INSERT OR IGNORE INTO counts SELECT ?1, id, 1 FROM series WHERE kind = 1")
                .unwrap();
            let begin = at(BEGIN).unix_seconds();
            for day in 0..days {
                let mut sum = 0.0;
                for number in 0..24 {
                    let value = hour(day, number);
                    sum += value;
                    if value != 0.0 {
                        insert
                            .execute(params![1_i64 << 40 | (begin / HOUR + day * 24 + number), value])
                            .unwrap();
                    }
                }
                insert.execute(params![day_bucket(begin + day * DAY), sum]).unwrap();
                total.execute(params![day_bucket(begin + day * DAY)]).unwrap();
            }
        })
    }

    /// The share of windows of so many days, one after the other with their predecessors, that have one of these verdicts.
    fn share(&self, query: &Query, days: i64, trials: i64, apart: i64, verdicts: &[Verdict]) -> f64 {
        let reader = Reader::open(&self.path).unwrap().with_clock(self.clock.clone());
        let mut found = 0;
        for trial in 0..trials {
            // Room for the days before both.
            let from = at(BEGIN).plus_seconds((56 + trial * apart + days) * DAY);
            let window = TimeRange::new(from, from.plus_seconds(days * DAY)).unwrap();
            let Comparison { change, .. } =
                reader.compare(&query.clone().range(window), Against::Previous).unwrap();
            assert_ne!(change.verdict, Verdict::Unknown);
            found += i32::from(verdicts.contains(&change.verdict));
        }
        f64::from(found) / trials as f64
    }
}

const CHANGED: [Verdict; 2] = [Verdict::Rise, Verdict::Fall];
const TRIALS: i64 = 2_000;

fn alarms(name: &str, history: &History, query: &Query, lengths: &[i64]) {
    for days in lengths {
        // Windows of whole weeks lie whole weeks apart; the others begin on every weekday.
        let apart = if days % 7 == 0 { 14 } else { 15 };
        let share = history.share(query, *days, TRIALS, apart, &CHANGED);
        println!("{name}, {days} days: {:.1} %", share * 100.0);
        assert!(share <= 0.08, "{name}, {days} days: {:.1} % of {TRIALS} are called changes", share * 100.0);
    }
}

/// Enough days for all windows, and the longest of them.
const DAYS: i64 = 56 + TRIALS * 15 + 56;

/// More on weekdays and in the morning; the mean is 1.
fn rhythm(day: i64, hour: i64) -> f64 {
    let of_day = if day % 7 < 5 { 1.24 } else { 0.4 };
    let of_hour = if (8..18).contains(&hour) { 1.9 } else { 0.357 };
    of_day * of_hour
}

#[test]
fn counts_by_chance_alone_are_seldom_called_a_change() {
    let mut draw = Draw(Chance::new(21));
    let even = History::of_hours("counts", DAYS, |_, _| f64::from(draw.poisson(6.0)));
    alarms("even", &even, &Query::total("viewed"), &[1, 3, 7, 28]);
    let rare = History::of_hours("counts", DAYS, |_, _| f64::from(draw.poisson(0.03)));
    alarms("rare", &rare, &Query::total("viewed"), &[1, 3, 7, 28]);
}

#[test]
fn rhythms_of_days_and_weeks_are_seldom_called_a_change() {
    let mut draw = Draw(Chance::new(22));
    let history =
        History::of_hours("counts", DAYS, |day, hour| f64::from(draw.poisson(6.0 * rhythm(day, hour))));
    alarms("rhythm", &history, &Query::total("viewed"), &[7, 14, 28]);
    // Mondays against Sundays: how days differ from the one before is known from the weeks before.
    alarms("rhythm", &history, &Query::total("viewed"), &[1]);
}

#[test]
fn days_that_differ_as_a_whole_are_seldom_called_a_change() {
    let mut draw = Draw(Chance::new(23));
    let mut of_day = (-1, 1.0);
    let history = History::of_hours("counts", DAYS, |day, _| {
        if of_day.0 != day {
            of_day = (day, draw.gamma(16));
        }
        f64::from(draw.poisson(6.0 * of_day.1))
    });
    alarms("overdispersed", &history, &Query::total("viewed"), &[1, 2, 3, 4, 7, 14, 28]);
}

#[test]
fn sums_of_very_different_values_are_seldom_called_a_change() {
    let mut draw = Draw(Chance::new(24));
    let history = History::of_hours("sums", DAYS, |_, _| {
        (0..draw.poisson(3.0)).map(|_| (1.2 * draw.normal()).exp()).sum()
    });
    alarms("log-normal", &history, &Query::sum("viewed"), &[1, 3, 7, 28]);
}

#[test]
fn people_who_come_again_are_seldom_called_a_change() {
    let mut draw = Draw(Chance::new(25));
    let days = 56 + TRIALS * 15 + 14;
    let history = History::of(|connection| {
        let mut insert =
            connection.prepare("INSERT INTO sketches SELECT ?1, id, ?2 FROM series WHERE kind = 3").unwrap();
        let mut total =
            connection.prepare("INSERT INTO counts SELECT ?1, id, 1 FROM series WHERE kind = 1").unwrap();
        for day in 0..days {
            let mut sketch = Sketch::new();
            // Some of a hundred regulars, and others who never come again.
            for regular in 0..100 {
                if draw.unit() < 0.15 {
                    sketch.add(regular.to_string().as_bytes());
                }
            }
            for _ in 0..draw.poisson(20.0) {
                sketch.add(&draw.0.next().to_le_bytes());
            }
            let bucket = day_bucket(at(BEGIN).unix_seconds() + day * DAY);
            insert.execute(params![bucket, sketch.encode()]).unwrap();
            total.execute(params![bucket]).unwrap();
        }
    });
    alarms("people", &history, &Query::unique("viewed", "user"), &[1, 3, 7]);
}

#[test]
fn a_rise_by_a_third_within_a_week_is_found() {
    let mut draw = Draw(Chance::new(26));
    let days = 56 + 500 * 14 + 14;
    // Each second week has 30 % more than the one before it.
    let hour = |day: i64| if (day - 56).rem_euclid(14) < 7 { 1_000.0 / 24.0 } else { 1_300.0 / 24.0 };
    let even = History::of_hours("counts", days, |day, _| f64::from(draw.poisson(hour(day))));
    let share = even.share(&Query::total("viewed"), 7, 500, 14, &[Verdict::Rise]);
    assert!(share >= 0.99, "{share}");
    let with_rhythm = History::of_hours("counts", days, |day, number| {
        f64::from(draw.poisson(hour(day) * rhythm(day, number)))
    });
    let share = with_rhythm.share(&Query::total("viewed"), 7, 500, 14, &[Verdict::Rise]);
    assert!(share >= 0.99, "with weekends: {share}");
}
