//! What the store answers, and what it refuses to answer.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of tests may fail as tests do"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use headcount::{
    Answer, Definitions, Error, ErrorKind, Evaluate, Event, EventDefinition, ManualClock, MetricDefinition,
    Mode, Query, Reader, Rule, Sketch, Store, TimeFrame, TimeRange, Timestamp, Unit, Value, Window,
};

use common::{Chance, connect, contents};

const DAY: i64 = 86_400;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn range(from: &str, to: &str) -> TimeRange {
    TimeRange::new(at(from), at(to)).unwrap()
}

fn usage(result: Result<impl std::fmt::Debug, Error>, says: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

fn definitions() -> Definitions {
    let issue = |name: &str| {
        EventDefinition::new(name)
            .identifier("user")
            .identifier("project")
            .identifier("device")
            .label()
            .property()
            .value()
            .custom("platform")
            .custom("seconds")
    };
    let odd = issue("404").custom("null").custom("a: b").custom("1");
    Definitions::new()
        .event(issue("issue_created"))
        .and_then(|all| all.event(issue("epic_created")))
        .and_then(|all| all.event(odd))
        .unwrap()
}

/// A store in memory without threads.
fn store(clock: &ManualClock, rules: &[Rule]) -> Store {
    let builder =
        Store::builder_in_memory().definitions(definitions()).clock(clock.clone()).mode(Mode::Inline);
    rules.iter().fold(builder, |builder, rule| builder.record(rule.clone())).open().unwrap()
}

fn everything() -> Vec<Rule> {
    ["issue_created", "epic_created"]
        .into_iter()
        .flat_map(|event| {
            [
                Rule::unique(event, "user"),
                Rule::sum(event),
                Rule::per_value(event, "label"),
                Rule::count(event).filter("label", "web"),
            ]
        })
        .collect()
}

fn odd_event(name: &str) -> Event<'_> {
    Event::new(name).user(1).identifier("device", 2).label("w e:b\"\\#").property("7").value(2.5)
}

#[test]
fn what_is_not_recorded_is_an_error_whose_yaml_makes_it_recorded() {
    let clock = ManualClock::new(at("2026-11-22T10:00:00Z"));
    let bare = store(&clock, &[]);
    for rule in [
        Rule::unique("issue_created", "user"),
        Rule::unique("issue_created", "device"),
        Rule::unique("issue_created", "label"),
        Rule::unique("issue_created", "value"),
        Rule::unique("issue_created", "platform").filter("seconds", 12.5),
        Rule::sum("issue_created"),
        Rule::sum("issue_created").filter("property", "7"),
        Rule::per_value("issue_created", "label"),
        Rule::count("issue_created").filter("label", "w e:b\"\\#"),
        Rule::count("issue_created").filter("label", "é\u{7}\u{2028}\u{1F600}").filter("seconds", -1e300),
        Rule::count("issue_created").filter("platform", "yes").filter("seconds", 60),
        Rule::unique("issue_created", "project").filter("label", "web").filter("property", "null"),
        Rule::unique("404", "user").filter("null", "x").filter("a: b", 1),
        Rule::unique("404", "null"),
        Rule::sum("404").filter("1", "1"),
    ] {
        let error = bare.value(&Query::of_rule(rule.clone())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotRecorded, "{error}");
        let message = error.to_string();
        assert!(message.contains(&rule.key()), "{message}");
        let fragment = &message[message.find("  events:").unwrap()..];
        // The rest of a metric, indented alike.
        let yaml =
            format!("  key_path: counts.added\n  data_source: internal_events\n  time_frame: 7d\n{fragment}");
        let added =
            Definitions::embedded(&[("added.yml", &yaml)]).unwrap_or_else(|error| panic!("{yaml}\n{error}"));
        let metric = added.find_metric("counts.added").unwrap();
        assert_eq!(metric.rules(), std::slice::from_ref(&rule), "{yaml}");
        // With it the same question has an answer.
        let with = definitions().metric(metric.clone()).unwrap();
        let store = Store::builder_in_memory().definitions(with).mode(Mode::Inline).open().unwrap();
        store.tracker().try_track(odd_event(rule.event())).unwrap();
        store.flush().unwrap();
        store.value(&Query::of_rule(rule)).unwrap();
    }
}

#[test]
fn an_event_or_metric_that_nobody_knows_is_an_error_and_not_zero() {
    let store = store(&ManualClock::new(at("2026-11-22")), &everything());
    for query in
        [Query::total("isue_created"), Query::unique("isue_created", "user"), Query::sum("isue_created")]
    {
        let error = store.value(&query).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownEvent);
        assert!(error.to_string().contains("isue_created"), "{error}");
        assert_eq!(store.series(&query, Unit::Day).unwrap_err().kind(), ErrorKind::UnknownEvent);
    }
    let mixed = Query::unique("issue_created", "user").and_event("isue_created");
    assert_eq!(store.value(&mixed).unwrap_err().kind(), ErrorKind::UnknownEvent);
    assert_eq!(store.metric("counts.nothing").unwrap_err().kind(), ErrorKind::UnknownMetric);
    assert_eq!(store.tracker().event("isue_created").unwrap_err().kind(), ErrorKind::UnknownEvent);
    // What is recorded and never happened is zero.
    assert_eq!(store.value(&Query::unique("issue_created", "user")).unwrap().count(), Some(0));
    assert_eq!(store.value(&Query::sum("issue_created")).unwrap().value.number(), Some(0.0));
    assert_eq!(
        store.value(&Query::per_value("issue_created", "label")).unwrap().value,
        Value::PerValue(BTreeMap::from([("label".to_owned(), BTreeMap::new())]))
    );
}

#[test]
fn edges_and_steps_that_the_buckets_do_not_have_are_refused_with_and_without_data() {
    let clock = ManualClock::new(at("2026-11-22T10:00:00Z"));
    let store = store(&clock, &everything());
    let uniques = [Query::unique("issue_created", "user"), Query::per_value("issue_created", "label")];
    let totals = [Query::total("issue_created"), Query::sum("issue_created")];
    for _ in 0..2 {
        for query in &uniques {
            usage(store.series(query, Unit::Hour), "by the day");
            usage(store.series(&query.clone().last_days(1), Unit::Hour), "by the day");
            let off = query.clone().range(range("2026-11-20", "2026-11-22T10:00:00Z"));
            usage(store.value(&off), "midnight");
            usage(store.series(&off, Unit::Day), "midnight");
        }
        for query in &totals {
            let off = query.clone().range(range("2026-11-20T00:30:00Z", "2026-11-22"));
            usage(store.value(&off), "full hour");
            assert!(
                store
                    .value(&query.clone().range(range("2026-11-20T03:00:00Z", "2026-11-22T10:00:00Z")))
                    .is_ok()
            );
            usage(store.value(&query.clone().last_days(0)), "at least one");
            usage(store.series(&query.clone().last_days(0), Unit::Day), "at least one");
            usage(store.series(&query.clone().range(range("1970-01-01", "9999-01-01")), Unit::Hour), "steps");
            assert_eq!(
                store.value(&query.clone().range(range("1970-01-01", "9999-01-01"))).unwrap().value.number(),
                store.value(query).unwrap().value.number()
            );
        }
        store.tracker().track(Event::new("issue_created").user(1).label("web").value(1.0));
        store.flush().unwrap();
    }
    assert_eq!(TimeRange::new(at("2026-11-22"), at("2026-11-22")).unwrap_err().kind(), ErrorKind::Usage);
}

#[test]
fn a_window_that_is_not_over_or_begins_before_the_rule_is_partial() {
    let clock = ManualClock::new(at("2026-11-02T00:00:00Z"));
    let store = store(&clock, &everything());
    clock.set(at("2026-11-22T10:00:00Z"));
    for query in
        [Query::total("issue_created"), Query::unique("issue_created", "user"), Query::sum("issue_created")]
    {
        let partial = |from: &str, to: &str| {
            let answer = store.value(&query.clone().range(range(from, to))).unwrap();
            assert_eq!(answer.since, at("2026-11-02"));
            assert_eq!(answer.window, range(from, to));
            answer.partial
        };
        assert!(!partial("2026-11-02", "2026-11-22"));
        assert!(partial("2026-11-01", "2026-11-22"));
        assert!(partial("2026-11-02", "2026-11-23"));
        assert!(store.value(&query.clone().last_days(1)).unwrap().partial);
        // As of an instant at which the window was not over, it was partial; and one ahead of the clock ends nothing.
        let of = |from: &str, to: &str, as_of: &str| {
            store.value(&query.clone().range(range(from, to)).as_of(at(as_of))).unwrap().partial
        };
        assert!(of("2026-11-02", "2026-11-10", "2026-11-09"));
        assert!(!of("2026-11-02", "2026-11-10", "2026-11-10"));
        assert!(of("2026-11-02", "2026-11-23", "2026-12-24"));
        let all = store.value(&query).unwrap();
        assert_eq!((all.since, all.window.from(), all.partial), (at("2026-11-02"), at("2026-11-02"), false));
    }
}

#[test]
fn the_latest_of_several_rules_says_since_when_an_answer_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let open = |clock: &ManualClock, rules: &[Rule]| {
        let builder =
            Store::builder(&path).definitions(definitions()).clock(clock.clone()).mode(Mode::Inline);
        rules.iter().fold(builder, |builder, rule| builder.record(rule.clone())).open().unwrap()
    };
    let clock = ManualClock::new(at("2026-11-02T00:00:00Z"));
    drop(open(&clock, &[Rule::unique("issue_created", "user")]));
    clock.set(at("2026-11-12T05:00:00Z"));
    let store = open(&clock, &[Rule::unique("issue_created", "user"), Rule::unique("epic_created", "user")]);
    let since = |query: Query| store.value(&query).unwrap().since;
    assert_eq!(since(Query::unique("issue_created", "user")), at("2026-11-02"));
    assert_eq!(
        since(Query::unique("issue_created", "user").and_event("epic_created")),
        at("2026-11-12T05:00:00Z")
    );
    // An import of older events takes the start back, to its earliest event and no further.
    let lines = "{\"event\":\"epic_created\",\"time\":\"2026-10-05T07:00:00Z\",\"user\":1}\n{\"event\":\"epic_created\",\"time\":\"2026-10-04T07:00:00Z\",\"user\":1}\n";
    store.import("old", lines.as_bytes()).unwrap();
    assert_eq!(since(Query::unique("epic_created", "user")), at("2026-10-04T07:00:00Z"));
    assert_eq!(since(Query::unique("issue_created", "user")), at("2026-11-02"));
}

#[test]
fn the_steps_of_a_series_add_up_to_the_whole_and_several_events_add_or_unite() {
    let clock = ManualClock::new(at("2026-10-01"));
    let store = store(&clock, &everything());
    let mut chance = Chance::new(7);
    let tracker = store.tracker();
    let mut truth = BTreeMap::<&str, (u64, f64, BTreeSet<u64>, BTreeMap<String, u64>)>::new();
    let mut by_day = BTreeMap::<i64, BTreeSet<u64>>::new();
    for _ in 0..60 {
        for _ in 0..chance.below(40) {
            let event = chance.one_of(&["issue_created", "epic_created"]);
            let (user, label) = (chance.below(300), chance.one_of(&["web", "api", "cli"]));
            let value = f64::from(u32::try_from(chance.below(100)).unwrap()) / 4.0;
            let when = clock.now().plus_seconds(i64::try_from(chance.below(86_400)).unwrap() - DAY);
            tracker.try_track(Event::new(event).user(user).label(label).value(value).at(when)).unwrap();
            let truth = truth.entry(event).or_default();
            truth.0 += 1;
            truth.1 += value;
            truth.2.insert(user);
            *truth.3.entry(label.to_owned()).or_default() += 1;
            by_day.entry(when.unix_seconds().div_euclid(DAY)).or_default().insert(user);
        }
        clock.advance(Duration::from_secs(86_400));
        store.flush().unwrap();
    }
    let [issues, epics] = [&truth["issue_created"], &truth["epic_created"]];
    let both = |query: Query| query.and_event("epic_created");
    let total = both(Query::total("issue_created"));
    let sum = both(Query::sum("issue_created"));
    let users = both(Query::unique("issue_created", "user"));
    let labels = both(Query::per_value("issue_created", "label"));
    assert_eq!(store.value(&total).unwrap().count(), Some(issues.0 + epics.0));
    assert_eq!(store.value(&Query::total("issue_created")).unwrap().count(), Some(issues.0));
    assert_eq!(store.value(&sum).unwrap().value.number(), Some(issues.1 + epics.1));
    let united = issues.2.union(&epics.2).count() as u64;
    assert_eq!(store.value(&users).unwrap().count(), Some(united));
    let mut counts = issues.3.clone();
    epics.3.iter().for_each(|(label, count)| *counts.entry(label.clone()).or_default() += count);
    assert_eq!(store.value(&labels).unwrap().value.per_value(), Some(&counts));
    let web = both(Query::total("issue_created")).filter("label", "web");
    assert_eq!(store.value(&web).unwrap().count(), Some(counts["web"]));

    for unit in [Unit::Hour, Unit::Day, Unit::Week, Unit::Month] {
        for query in
            [total.clone(), total.clone().range(range("2026-09-15T05:00:00Z", "2027-01-09T01:00:00Z"))]
        {
            let steps = store.series(&query, unit).unwrap();
            assert_eq!(steps.iter().filter_map(Answer::count).sum::<u64>(), issues.0 + epics.0, "{unit:?}");
            assert!(steps.windows(2).all(|pair| pair[0].window.to() == pair[1].window.from()));
        }
        let steps = store.series(&sum, unit).unwrap();
        assert_eq!(steps.iter().filter_map(|step| step.value.number()).sum::<f64>(), issues.1 + epics.1);
        if unit != Unit::Hour {
            for step in store.series(&users, unit).unwrap() {
                let days = step.window.from().unix_seconds() / DAY..step.window.to().unix_seconds() / DAY;
                let exact: BTreeSet<_> = by_day.range(days).flat_map(|(_, users)| users).collect();
                assert_eq!(step.count(), Some(exact.len() as u64), "{}", step.window);
            }
        }
    }
    // The last N days end with the running one.
    let last = store.value(&users.last_days(10)).unwrap();
    let today = clock.now().unix_seconds() / DAY;
    let exact: BTreeSet<_> = by_day.range(today - 9..=today).flat_map(|(_, users)| users).collect();
    assert_eq!((last.count(), last.partial), (Some(exact.len() as u64), true));
    assert_eq!(last.window.to().unix_seconds() / DAY, today + 1);
}

#[test]
fn an_answer_as_of_an_instant_leaves_out_what_began_later() {
    let clock = ManualClock::new(at("2026-11-01"));
    let store = store(&clock, &everything());
    for day in 1..=20_u32 {
        clock.set(at(&format!("2026-11-{day:02}T12:30:00Z")));
        store.tracker().track(Event::new("issue_created").user(day).label("web").value(1.0));
        store.flush().unwrap();
    }
    for query in [
        Query::total("issue_created"),
        Query::sum("issue_created"),
        Query::unique("issue_created", "user"),
        Query::total("issue_created").range(range("2026-10-01", "2026-12-01")),
        Query::unique("issue_created", "user").range(range("2026-10-01", "2026-12-01")),
    ] {
        let number = |as_of: &str| {
            store.value(&query.clone().as_of(at(as_of))).unwrap().value.number().unwrap().round()
        };
        let by_day = matches!(query.rules()[0].kind(), headcount::RuleKind::Unique);
        assert_eq!(number("2026-11-10"), 9.0);
        assert_eq!(number("2026-11-10T12:00:00Z"), if by_day { 10.0 } else { 9.0 });
        assert_eq!(number("2026-11-10T12:00:01Z"), 10.0);
        assert_eq!(number("2026-11-11"), 10.0);
        assert_eq!(number("2026-11-01"), 0.0);
        assert_eq!(number("1970-01-01"), 0.0);
        assert_eq!(number("2026-12-24"), 20.0);
    }
    let last = Query::total("issue_created").last_days(3).as_of(at("2026-11-10T15:00:00Z"));
    let last = store.value(&last).unwrap();
    assert_eq!((last.count(), last.window), (Some(3), range("2026-11-08", "2026-11-11")));
}

#[test]
fn freshness_is_the_time_of_the_newest_commit() {
    let clock = ManualClock::new(at("2026-11-22T10:00:00Z"));
    let store = store(&clock, &everything());
    let total = Query::total("issue_created");
    assert_eq!(store.value(&total).unwrap().freshness, None);
    store.tracker().track(Event::new("issue_created"));
    assert_eq!(store.value(&total).unwrap().count(), Some(0));
    store.flush().unwrap();
    clock.advance(Duration::from_secs(3_600));
    // A flush without events commits nothing.
    store.flush().unwrap();
    let answer = store.value(&total).unwrap();
    assert_eq!((answer.count(), answer.freshness), (Some(1), Some(at("2026-11-22T10:00:00Z"))));
    store.tracker().track(Event::new("epic_created"));
    store.flush().unwrap();
    assert_eq!(store.value(&total).unwrap().freshness, Some(at("2026-11-22T11:00:00Z")));
}

#[test]
fn metrics_take_their_windows_from_the_instant_asked_for() {
    let definitions = definitions()
        .metric(
            MetricDefinition::new("week", TimeFrame::SevenDays).rule(Rule::unique("issue_created", "user")),
        )
        .and_then(|all| {
            all.metric(
                MetricDefinition::new("month", TimeFrame::TwentyEightDays).rule(Rule::count("issue_created")),
            )
        })
        .and_then(|all| {
            all.metric(MetricDefinition::new("gone", TimeFrame::All).rule(Rule::count("nobody_did")))
        })
        .and_then(|all| {
            all.metric(MetricDefinition::new("host", TimeFrame::None).source(headcount::DataSource::System))
        })
        .unwrap();
    let clock = ManualClock::new(at("2026-11-22T10:00:00Z"));
    let store =
        Store::builder_in_memory().definitions(definitions).clock(clock).mode(Mode::Inline).open().unwrap();
    let window = |key: &str, window: Window, as_of: Option<&str>| {
        let how = Evaluate::default().window(window);
        let how = as_of.map_or(how, |instant| how.as_of(at(instant)));
        store.metric_with(key, how).unwrap().outcome.unwrap().window.to_string()
    };
    assert_eq!(window("week", Window::Complete, None), "2026-11-09..2026-11-16");
    assert_eq!(window("month", Window::Complete, None), "2026-10-19..2026-11-16");
    assert_eq!(window("week", Window::Rolling, None), "2026-11-16..2026-11-23");
    assert_eq!(window("month", Window::Rolling, None), "2026-10-26..2026-11-23");
    assert_eq!(window("week", Window::Current, None), "2026-11-16..2026-11-23");
    assert_eq!(window("month", Window::Current, None), "2026-10-26..2026-11-23");
    assert_eq!(window("week", Window::Complete, Some("2026-11-23")), "2026-11-16..2026-11-23");
    assert_eq!(window("week", Window::Rolling, Some("2026-11-01T23:59:59Z")), "2026-10-26..2026-11-02");
    let kind = |key: &str| store.metric(key).unwrap().outcome.unwrap_err().kind();
    assert_eq!(kind("gone"), ErrorKind::NotRecorded);
    assert_eq!(kind("host"), ErrorKind::NoSource);
    let all = store.reader().metrics(Evaluate::default()).unwrap();
    let keys: Vec<_> = all.iter().map(|metric| metric.key_path.as_str()).collect();
    assert_eq!(keys, ["gone", "host", "month", "week"]);
}

/// Checks uniques of all time, of whole months and of single days against sketches united here.
fn check_uniques(path: &Path, truth: &BTreeMap<(String, i64), Sketch>, when: &str) {
    let reader = Reader::open(path).unwrap();
    for event in ["issue_created", "epic_created"] {
        let mut union = Sketch::new();
        for (_, sketch) in truth.iter().filter(|((name, _), _)| name == event) {
            union.unite(sketch);
        }
        let answer = reader.value(&Query::unique(event, "user")).unwrap();
        let (Value::Unique(value), expected) = (&answer.value, union.estimate().value) else {
            panic!("{answer:?}")
        };
        assert!(
            (value - expected).abs() <= 1e-9 * expected,
            "{when}: {event} {value}, united here {expected}"
        );
    }
    // The days themselves, and the union that the file keeps with what lies behind its cursor, register for register.
    let contents = contents(path);
    let connection = connect(path);
    let cursor: (i64, i64) = connection
        .query_row("SELECT united_bucket, united_series FROM store", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    for event in ["issue_created", "epic_created"] {
        let key = format!("{event}-user");
        let id: i64 = connection
            .query_row("SELECT id FROM series WHERE key = ?1 AND kind = 3", [&key], |row| row.get(0))
            .unwrap();
        let mut behind = Sketch::new();
        for ((name, day), sketch) in truth.iter().filter(|((name, _), _)| name == event) {
            let bucket = (2 << 40) | day;
            let stored = Sketch::decode(&contents.sketches[&(bucket, key.clone())]).unwrap();
            assert!(stored == *sketch, "{when}: {name} on day {day}");
            if (bucket, id) <= cursor {
                behind.unite(sketch);
            }
        }
        let all_time =
            contents.sketches.get(&(0, key)).map_or_else(Sketch::new, |blob| Sketch::decode(blob).unwrap());
        assert!(all_time == behind, "{when}: all time of {event} up to {cursor:?}");
    }
}

#[test]
fn uniques_of_all_time_are_the_union_of_all_days_however_the_days_arrived() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let clock = ManualClock::new(at("2026-06-01T12:00:00Z"));
    let open = |mode: Mode| {
        let builder = Store::builder(&path).definitions(definitions()).clock(clock.clone()).mode(mode);
        everything().into_iter().fold(builder, headcount::Builder::record).open().unwrap()
    };
    let mut chance = Chance::new(11);
    let mut truth = BTreeMap::<(String, i64), Sketch>::new();
    let note = |truth: &mut BTreeMap<(String, i64), Sketch>, event: &str, when: Timestamp, user: u64| {
        let day = when.unix_seconds().div_euclid(DAY);
        truth.entry((event.to_owned(), day)).or_default().add(user.to_string().as_bytes());
    };
    let mut store = open(Mode::Inline);
    let mut imports = 0;
    for step in 0..60_u64 {
        // Days in order, out of order within eight days, and a little ahead.
        for _ in 0..40 {
            let event = chance.one_of(&["issue_created", "issue_created", "epic_created"]);
            let user = chance.below(3_000);
            let when = clock.now().plus_seconds(200 - i64::try_from(chance.below(8 * 86_400)).unwrap());
            store.tracker().try_track(Event::new(event).user(user).at(when)).unwrap();
            note(&mut truth, event, when, user);
        }
        if step == 25 {
            // One day becomes registers.
            for user in 0..9_000 {
                store.tracker().try_track(Event::new("epic_created").user(user + 50_000)).unwrap();
                note(&mut truth, "epic_created", clock.now(), user + 50_000);
            }
        }
        if step % 12 == 5 {
            // Hundreds of old days at once: far more than one flush unites, before and behind the cursor.
            imports += 1;
            let mut lines = String::new();
            for _ in 0..1_500 {
                let event = chance.one_of(&["issue_created", "epic_created"]);
                let user = chance.below(20_000);
                let when = at("2023-01-01").plus_seconds(i64::try_from(chance.below(900 * 86_400)).unwrap());
                writeln!(lines, "{{\"event\":\"{event}\",\"time\":\"{when}\",\"user\":{user}}}").unwrap();
                note(&mut truth, event, when, user);
            }
            let report = store.import(&format!("old-{imports}"), lines.as_bytes()).unwrap();
            assert_eq!(report.accepted, 1_500);
        }
        store.flush().unwrap();
        if step % 6 == 0 {
            check_uniques(&path, &truth, &format!("step {step}"));
        }
        if step % 9 == 8 {
            store.close().unwrap();
            store = open(if step % 2 == 0 { Mode::Inline } else { Mode::Background });
            check_uniques(&path, &truth, &format!("reopened at step {step}"));
        }
        clock.advance(Duration::from_secs(chance.below(2) * 86_400));
    }
    store.close().unwrap();
    check_uniques(&path, &truth, "the end");
    let sketches = contents(&path).sketches.len();
    assert!(sketches > 1_000, "{sketches} sketches");
}

#[test]
fn counts_per_value_of_several_properties_stay_apart_as_in_gitlabs_ping() {
    let definitions = Definitions::new()
        .event(EventDefinition::new("command_used").label().property())
        .and_then(|all| {
            let used = MetricDefinition::new("commands", TimeFrame::All);
            let rules =
                [Rule::per_value("command_used", "label"), Rule::per_value("command_used", "property")];
            all.metric(rules.into_iter().fold(used, MetricDefinition::rule))
        })
        .unwrap();
    let store = Store::builder_in_memory().definitions(definitions).mode(Mode::Inline).open().unwrap();
    for (label, property) in [("mr", "view"), ("mr", "list"), ("ci", "view")] {
        store.tracker().track(Event::new("command_used").label(label).property(property));
    }
    store.flush().unwrap();
    let counts = |pairs: [(&str, u64); 2]| pairs.map(|(name, count)| (name.to_owned(), count)).into();
    let expected: BTreeMap<String, BTreeMap<String, u64>> = [
        ("label".to_owned(), counts([("mr", 2), ("ci", 1)])),
        ("property".to_owned(), counts([("view", 2), ("list", 1)])),
    ]
    .into();
    let metric = store.metric("commands").unwrap().outcome.unwrap();
    assert_eq!(metric.value, Value::PerValue(expected));
}

#[test]
fn advice_to_record_a_rule_names_what_its_event_must_declare() {
    let definitions = Definitions::new().event(EventDefinition::new("viewed").identifier("user")).unwrap();
    let store = Store::builder_in_memory().definitions(definitions).mode(Mode::Inline).open().unwrap();
    let advice = |query: Query| store.value(&query).unwrap_err().to_string();
    let undeclared = advice(Query::unique("viewed", "color").filter("size", 3));
    assert!(
        undeclared.contains("where the definition of `viewed` declares `color` and `size`"),
        "{undeclared}"
    );
    assert!(advice(Query::unique("viewed", "user")).contains("declares `user`"));
    assert!(!advice(Query::sum("viewed")).contains("declares"));
}
