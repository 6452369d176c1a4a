//! Many answers at once are the answers that each question gets alone.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail as tests do")]

mod common;

use std::path::Path;

use headcount::{
    Answer, DataSource, Definitions, Error, ErrorKind, Evaluate, Event, EventDefinition, ManualClock,
    MetricDefinition, MetricValue, Mode, Query, Reader, Rule, Sketch, Store, TimeFrame, TimeRange, Timestamp,
    Window,
};
use rusqlite::{Connection, params};

use common::Chance;

const DAY: i64 = 86_400;
const EVENTS: usize = 40;
const FRAMES: [(TimeFrame, &str); 3] =
    [(TimeFrame::SevenDays, "7d"), (TimeFrame::TwentyEightDays, "28d"), (TimeFrame::All, "all")];

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn name(event: usize) -> String {
    format!("event_{event}")
}

/// What is counted of an event.
fn rules(event: usize) -> Vec<Rule> {
    let name = name(event);
    vec![
        Rule::count(&*name),
        Rule::count(&*name).filter("label", "web"),
        Rule::sum(&*name),
        Rule::unique(&*name, "user"),
        Rule::unique(&*name, "project"),
        Rule::per_value(&*name, "label"),
    ]
}

/// Metrics of one and of several events, some removed, some of what nobody recorded, one without a source.
fn definitions(chance: &mut Chance) -> Definitions {
    let events = (0..EVENTS).fold(Definitions::new(), |all, event| {
        all.event(EventDefinition::new(name(event)).identifier("user").identifier("project").label().value())
            .unwrap()
    });
    let mut all = events
        .metric(MetricDefinition::new("without_rules", TimeFrame::All).source(DataSource::Database))
        .unwrap();
    for event in 0..EVENTS {
        for (which, rule) in rules(event).into_iter().enumerate() {
            for (frame, word) in FRAMES {
                if chance.below(4) == 0 {
                    continue;
                }
                let mut metric =
                    MetricDefinition::new(format!("m{event}.r{which}.{word}"), frame).rule(rule.clone());
                for _ in 0..chance.one_of(&[0, 0, 0, 1, 2, 25]) {
                    let other = usize::try_from(chance.below(EVENTS as u64)).unwrap();
                    if let Some(rule) = rules(other).get(which).filter(|rule| !metric.rules().contains(rule))
                    {
                        metric = metric.rule(rule.clone());
                    }
                }
                all = all.metric(if chance.below(20) == 0 { metric.removed() } else { metric }).unwrap();
            }
        }
    }
    all
}

/// A store with 70 days of events of random users, a few thousand a day for some.
fn fill(path: &Path, definitions: &Definitions, chance: &mut Chance) {
    let clock = ManualClock::new(at("2026-09-12T05:00:00Z"));
    let store = Store::builder(path)
        .definitions(definitions.clone())
        .clock(clock.clone())
        .mode(Mode::Inline)
        .open()
        .unwrap();
    let tracker = store.tracker();
    for _ in 0..70 {
        for event in 0..EVENTS {
            if chance.below(5) == 0 {
                continue;
            }
            for _ in 0..chance.below(30) {
                let label = chance.one_of(&["web", "api", "cli"]);
                let value = chance.one_of(&[0.1, 1e17, -3.0, 2.5]);
                let event = &*name(event);
                let event = Event::new(event).user(chance.below(50)).project(chance.below(9));
                tracker.track(event.label(label).value(value));
            }
        }
        store.flush().unwrap();
        clock.set(clock.now().plus_seconds(DAY));
    }
    store.close().unwrap();
    // Sets with registers, as a store keeps them.
    let connection = Connection::open(path).unwrap();
    let mut sketch = Sketch::new();
    for user in 0..6_000_u32 {
        sketch.add(&user.to_le_bytes());
    }
    connection
        .execute(
            "UPDATE sketches SET blob = ?1 WHERE series % 7 = 3 AND bucket % 3 = 0",
            params![sketch.encode()],
        )
        .unwrap();
}

/// An outcome as it shows: answers by all their parts, errors by kind and message.
fn shown(outcome: &Result<Answer, Error>) -> String {
    match outcome {
        Ok(answer) => format!("{answer:?}"),
        Err(error) => format!("{:?} {error}", error.kind()),
    }
}

fn assert_same(together: &[MetricValue], reader: &Reader, how: Evaluate) {
    for metric in together {
        let alone = reader.metric_with(&metric.key_path, how).unwrap();
        assert_eq!(shown(&metric.outcome), shown(&alone.outcome), "{} {how:?}", metric.key_path);
    }
}

/// All metrics over all windows, at several instants: together as alone. Returns how many had a value, and how many had none.
fn compare(path: &Path, definitions: &Definitions) -> (usize, usize) {
    let clock = ManualClock::new(at("2026-11-20T10:00:00Z"));
    let reader = Reader::open(path).unwrap().with_clock(clock).with_definitions(definitions.clone());
    let mut outcomes = (0, 0);
    for window in [Window::Complete, Window::Rolling, Window::Current] {
        for as_of in [None, Some(at("2026-10-21T07:30:00Z")), Some(at("2026-09-15"))] {
            let how = Evaluate::default().window(window);
            let how = as_of.map_or(how, |as_of| how.as_of(as_of));
            let together = reader.metrics(how).unwrap();
            assert_same(&together, &reader, how);
            let with_value = together.iter().filter(|metric| metric.outcome.is_ok()).count();
            outcomes = (outcomes.0 + with_value, outcomes.1 + together.len() - with_value);
        }
    }
    outcomes
}

#[test]
fn all_metrics_together_answer_as_each_alone_whatever_is_wrong_in_the_file() {
    for seed in 0..2 {
        let mut chance = Chance::new(seed);
        let folder = tempfile::tempdir().unwrap();
        let path = &folder.path().join("store.db");
        let definitions = definitions(&mut chance);
        fill(path, &definitions, &mut chance);
        let (sound, _) = compare(path, &definitions);
        assert!(sound > 2_000, "{sound}");

        let connection = Connection::open(path).unwrap();
        for (damage, rows) in [
            // Checksums, rows that were set aside, numbers that no flush writes.
            (
                "UPDATE sketches SET blob = CAST(substr(blob, 1, length(blob) - 1) || x'01' AS BLOB) WHERE rowid % ?1 = 5",
                400,
            ),
            ("UPDATE sketches SET blob = x'' WHERE bucket = 0 AND series % ?1 = 1", 29),
            ("UPDATE counts SET count = -1 WHERE (bucket + series) % ?1 = 0", 400),
            ("UPDATE counts SET count = 9223372036854775807 WHERE (bucket + series) % ?1 = 1", 400),
            ("UPDATE sums SET sum = 9e999 WHERE (bucket + series) % ?1 = 0", 400),
            ("INSERT INTO damaged SELECT series, bucket, 0, 0, x'' FROM sketches WHERE rowid % ?1 = 9", 500),
            ("DELETE FROM recorded WHERE series % ?1 = 4", 31),
            ("DELETE FROM series WHERE id % ?1 = 8", 37),
        ] {
            connection.execute(damage, params![rows]).unwrap();
        }
        let (sound, without) = compare(path, &definitions);
        assert!(sound > 500 && without > 300, "{sound} with a value, {without} without");

        // Days that are not united into the sketches of all time, and days that retention removed.
        connection
            .execute(
                "UPDATE store SET united_bucket = united_bucket - 4, united_series = 60, days_from = 20740",
                [],
            )
            .unwrap();
        compare(path, &definitions);
    }
}

#[test]
fn named_metrics_keep_their_order_and_an_unknown_one_holds_up_no_other() {
    let mut chance = Chance::new(1);
    let folder = tempfile::tempdir().unwrap();
    let path = &folder.path().join("store.db");
    let definitions = definitions(&mut chance);
    fill(path, &definitions, &mut chance);
    let reader = Reader::open(path)
        .unwrap()
        .with_clock(ManualClock::new(at("2026-11-20")))
        .with_definitions(definitions.clone());
    let mut key_paths: Vec<_> = definitions.metrics().map(MetricDefinition::key_path).collect();
    key_paths.reverse();
    key_paths.insert(3, "none.such");
    let how = Evaluate::default();
    let mut values = reader.metrics_of(&key_paths, how).unwrap();
    assert_eq!(values.iter().map(|metric| &*metric.key_path).collect::<Vec<_>>(), key_paths);
    let unknown = values.remove(3).outcome.unwrap_err();
    assert_eq!(unknown.to_string(), reader.metric("none.such").unwrap_err().to_string());
    assert_same(&values, &reader, how);
}

#[test]
fn queries_together_answer_as_each_alone() {
    let mut chance = Chance::new(2);
    let folder = tempfile::tempdir().unwrap();
    let path = &folder.path().join("store.db");
    let definitions = definitions(&mut chance);
    fill(path, &definitions, &mut chance);
    let reader = Reader::open(path)
        .unwrap()
        .with_clock(ManualClock::new(at("2026-11-20T03:00:00Z")))
        .with_definitions(definitions);
    for windows in [1, 3, 40] {
        let spans: Vec<_> = (0..windows)
            .map(|_| {
                let mut hours = |bound: u64| i64::try_from(chance.below(bound)).unwrap();
                let from =
                    at("2026-09-01").plus_seconds(hours(60) * DAY + hours(3).saturating_sub(1) * 3_600);
                TimeRange::new(from, from.plus_seconds((1 + hours(30)) * DAY)).unwrap()
            })
            .collect();
        let mut queries = Vec::new();
        for _ in 0..150 {
            let event = usize::try_from(chance.below(EVENTS as u64 + 1)).unwrap();
            let rules = rules(event);
            let rule = rules.get(usize::try_from(chance.below(6)).unwrap()).unwrap();
            let query = Query::of_rule(rule.clone()).range(chance.one_of(&spans));
            queries.push(if chance.below(3) == 0 { query.and_event("event_1") } else { query });
        }
        queries.push(Query::unique("event_1", "user").last_days(0));
        queries.push(Query::unique("evnt_1", "user"));
        let together = reader.values(&queries).unwrap();
        for (query, answer) in queries.iter().zip(&together) {
            assert_eq!(shown(answer), shown(&reader.value(query)), "{query:?}");
        }
        assert!(
            together.iter().any(|answer| matches!(answer, Err(e) if e.kind() == ErrorKind::UnknownEvent))
        );
    }
}
