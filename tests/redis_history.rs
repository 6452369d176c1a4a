//! The history of the Redis project, imported and held against exact answers computed here.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use headcount::{
    Answer, Definitions, EventDefinition, IsoWeek, Mode, Query, Rule, Store, TimeRange, Timestamp, Unit,
    Value,
};

/// One line of the history, read without headcount.
struct Touch {
    event: String,
    day: i64,
    user: String,
    label: String,
    value: f64,
}

fn history() -> (String, Vec<Touch>) {
    let folder = std::env::var("HEADCOUNT_SAMPLE_DATA").unwrap_or_else(|_| "src/cli/sample".to_owned());
    let file = std::fs::File::open(Path::new(&folder).join("redis-history.ndjson.gz")).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let touches = text
        .lines()
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
            Touch {
                event: text("event"),
                day: days_from_civil(&text("time")),
                user: text("user"),
                label: text("label"),
                value: line["value"].as_f64().unwrap(),
            }
        })
        .collect();
    (text, touches)
}

/// Days since 1970-01-01 of a UTC time, by the algorithm of Howard Hinnant's `chrono`-Compatible Low-Level Date Algorithms.
fn days_from_civil(time: &str) -> i64 {
    assert!(time.ends_with('Z'));
    let number = |range: std::ops::Range<usize>| time[range].parse::<i64>().unwrap();
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn definitions() -> Definitions {
    let declared = |name: &str| {
        EventDefinition::new(name).identifier("user").identifier("project").identifier("namespace")
    };
    Definitions::new()
        .event(declared("commit_authored").value())
        .and_then(|all| all.event(declared("file_touched").label().value()))
        .unwrap()
}

fn imported(text: &str) -> Store {
    let store = Store::builder_in_memory()
        .definitions(definitions())
        .mode(Mode::Inline)
        .record(Rule::unique("commit_authored", "user"))
        .record(Rule::unique("file_touched", "user").filter("label", "src"))
        .record(Rule::sum("file_touched"))
        .record(Rule::per_value("file_touched", "label"))
        .open()
        .unwrap();
    let report = store.import("redis", text.as_bytes()).unwrap();
    assert_eq!((report.lines, report.accepted), (24_680, 24_680));
    store
}

/// Whether a unique answer is as exact as it says; counts those that should be exact and are.
struct Uniques {
    small: u32,
    exact: u32,
}

impl Uniques {
    fn check(&mut self, answer: &Answer, truth: usize) {
        let Value::Unique(estimate) = answer.value else { panic!("{answer:?}") };
        let truth_number = f64::from(u32::try_from(truth).unwrap());
        assert!(
            (estimate - truth_number).abs() <= 3.0 * answer.standard_error,
            "{truth} users, answered {estimate} ± {} for {}",
            answer.standard_error,
            answer.window
        );
        if truth < 1000 {
            self.small += 1;
            self.exact += u32::from(answer.count() == Some(truth as u64));
        }
    }
}

#[test]
fn totals_sums_and_uniques_of_the_history_are_what_a_plain_count_says() {
    let (text, touches) = history();
    let store = imported(&text);
    let exact = |query: Query| store.value(&query).unwrap();
    assert_eq!(exact(Query::total("commit_authored")).count(), Some(12_272));
    assert_eq!(exact(Query::total("file_touched")).count(), Some(12_408));
    assert_eq!(exact(Query::sum("file_touched")).value, Value::Sum { sum: 987_733.0, saturated: false });

    let commits = Query::unique("commit_authored", "user");
    let sources = Query::unique("file_touched", "user").filter("label", "src");
    let users = |event: &str, label: &str, from: i64, to: i64| {
        let matching = touches.iter().filter(|touch| {
            touch.event == event
                && (label.is_empty() || touch.label == label)
                && (from..to).contains(&touch.day)
        });
        matching.map(|touch| touch.user.as_str()).collect::<BTreeSet<_>>().len()
    };
    let all = i64::MIN..i64::MAX;
    assert_eq!(users("commit_authored", "", all.start, all.end), 840);
    assert_eq!(users("file_touched", "src", all.start, all.end), 701);

    let mut uniques = Uniques { small: 0, exact: 0 };
    uniques.check(&exact(commits.clone()), 840);
    uniques.check(&exact(sources.clone()), 701);
    let at = |text: &str| Timestamp::parse(text).unwrap();
    let mut ranges = Vec::new();
    for year in 2015..2025 {
        ranges
            .push(TimeRange::new(at(&format!("{year}-01-01")), at(&format!("{}-01-01", year + 1))).unwrap());
    }
    let of_2019 = ranges[4];
    let months = store.series(&commits.clone().range(of_2019), Unit::Month).unwrap();
    assert_eq!(months.len(), 12);
    ranges.extend(months.iter().map(|month| month.window));
    // Fifty weeks, spread by a multiplier that shares no factor with the number of weeks there are.
    let first = IsoWeek::of(at("2010-01-04"));
    let mut week = first;
    let mut weeks = Vec::new();
    while week.start() < at("2024-10-01") {
        weeks.push(week);
        week = week.next();
    }
    ranges.extend((0..50).map(|n| weeks[n * 211 % weeks.len()].range()));
    for range in ranges {
        let (from, to) = (range.from().unix_seconds() / 86_400, range.to().unix_seconds() / 86_400);
        for (query, event, label) in [(&commits, "commit_authored", ""), (&sources, "file_touched", "src")] {
            uniques.check(&exact(query.clone().range(range)), users(event, label, from, to));
        }
    }
    assert!(uniques.small >= 120, "{} small answers", uniques.small);
    assert!(uniques.exact * 100 >= uniques.small * 95, "{} of {} exact", uniques.exact, uniques.small);

    let mut labels = BTreeMap::<String, u64>::new();
    for touch in touches.iter().filter(|touch| touch.event == "file_touched" && !touch.label.is_empty()) {
        *labels.entry(touch.label.clone()).or_default() += 1;
    }
    assert_eq!(exact(Query::per_value("file_touched", "label")).value.per_value(), Some(&labels));
}

#[test]
fn every_series_by_hour_day_week_and_month_adds_up_to_the_whole() {
    let (text, touches) = history();
    let store = imported(&text);
    for unit in [Unit::Hour, Unit::Day, Unit::Week, Unit::Month] {
        let counts = store.series(&Query::total("commit_authored"), unit).unwrap();
        assert_eq!(counts.iter().filter_map(Answer::count).sum::<u64>(), 12_272, "{unit:?}");
        let sums = store.series(&Query::sum("file_touched"), unit).unwrap();
        assert_eq!(
            sums.iter().filter_map(|answer| answer.value.number()).sum::<f64>(),
            987_733.0,
            "{unit:?}"
        );
    }
    let by_day = store.series(&Query::total("file_touched"), Unit::Day).unwrap();
    let mut truth = BTreeMap::<i64, u64>::new();
    touches
        .iter()
        .filter(|touch| touch.event == "file_touched")
        .for_each(|touch| *truth.entry(touch.day).or_default() += 1);
    for answer in by_day {
        let day = answer.window.from().unix_seconds() / 86_400;
        assert_eq!(answer.count(), Some(truth.get(&day).copied().unwrap_or(0)), "{}", answer.window);
    }
    let values: f64 =
        touches.iter().filter(|touch| touch.event == "file_touched").map(|touch| touch.value).sum();
    assert_eq!(values, 987_733.0);
}
