//! GitLab's metrics from call to value, against a model of the keys that GitLab keeps in Redis.

#![cfg(feature = "yaml")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "the helpers of tests may fail as tests do, and say what they skip"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Datelike, Duration, NaiveDate};
use headcount::{
    Definitions, ErrorKind, Evaluate, Event, EventDefinition, ManualClock, Mode, Store, Timestamp, Value,
    Window,
};

use common::Chance;

/// The first of the eight weeks is a Monday; 2026-W53 is among them.
const FIRST: &str = "2026-11-30";
const DAYS: i64 = 56;
const EVENTS_A_DAY: u64 = 30;

/// A rule of the model, written by hand from the definition.
#[derive(Debug, Clone)]
struct Selection {
    event: &'static str,
    filter: Vec<(&'static str, Operand)>,
    measure: Measure,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operand {
    Text(&'static str),
    Number(f64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Measure {
    Total,
    Sum,
    Unique(&'static str),
    /// `unique` with `operator: total`.
    Totals(&'static str),
}

use Operand::{Number, Text};

/// What a definition asks for: its key path as it is reported, its time frame, and the rules.
struct Expected {
    key_path: String,
    time_frame: &'static str,
    selections: Vec<Selection>,
}

fn select(event: &'static str, filter: &[(&'static str, Operand)], measure: Measure) -> Selection {
    Selection { event, filter: filter.to_vec(), measure }
}

/// One definition with an array of time frames, as GitLab expands it.
fn expanded(key_path: &str, time_frames: &[&'static str], selections: &[Selection]) -> Vec<Expected> {
    let suffix = |time_frame| match time_frame {
        "7d" => "_weekly",
        "28d" => "_monthly",
        _ => "",
    };
    time_frames
        .iter()
        .map(|time_frame| Expected {
            key_path: format!("{key_path}{}", suffix(*time_frame)),
            time_frame,
            selections: selections.to_vec(),
        })
        .collect()
}

/// One event as the caller gives it; all that it may carry.
#[derive(Debug, Clone)]
struct Call {
    event: &'static str,
    day: NaiveDate,
    user: Option<String>,
    properties: BTreeMap<&'static str, Operand>,
}

/// What an event declares of the properties that the calls carry.
type Declared = BTreeMap<&'static str, Vec<&'static str>>;

/// A value of a metric; uniques are numbers of members.
#[derive(Debug, Clone, PartialEq)]
enum Outcome {
    Count(u64),
    Sum(f64),
    Totals(BTreeMap<String, u64>),
}

/// GitLab's Redis: a key for all time and one for each ISO week, as `EventSelectionRule` names them.
#[derive(Default)]
struct Redis {
    counters: BTreeMap<String, u64>,
    sums: BTreeMap<String, f64>,
    sets: BTreeMap<String, BTreeSet<String>>,
    hashes: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Redis {
    fn track(&mut self, call: &Call, declared: &Declared, selections: &[Selection]) {
        let kept = |name: &str| {
            let operand = call.properties.get(name)?;
            declared[call.event].contains(&name).then_some(*operand)
        };
        for selection in selections.iter().filter(|selection| selection.event == call.event) {
            let matches = selection.filter.iter().all(|(name, wanted)| kept(name) == Some(*wanted));
            if !matches {
                continue;
            }
            let base = base(selection);
            for key in [base.clone(), format!("{base}-{}", call.day.format("%G-%V"))] {
                match selection.measure {
                    Measure::Total => *self.counters.entry(key).or_default() += 1,
                    Measure::Sum => {
                        if let Some(Number(value)) = kept("value") {
                            *self.sums.entry(key).or_default() += value;
                        }
                    }
                    Measure::Unique("user") => {
                        self.sets.entry(key).or_default().extend(call.user.clone());
                    }
                    Measure::Unique(name) => {
                        self.sets.entry(key).or_default().extend(kept(name).map(text));
                    }
                    Measure::Totals(name) => {
                        if let Some(operand) = kept(name) {
                            *self.hashes.entry(key).or_default().entry(text(operand)).or_default() += 1;
                        }
                    }
                }
            }
        }
    }

    fn value(&self, expected: &Expected, today: NaiveDate) -> Outcome {
        let weeks = match expected.time_frame {
            "7d" => complete_weeks(today, 7),
            "28d" => complete_weeks(today, 28),
            _ => BTreeSet::from([String::new()]),
        };
        let keys: Vec<String> = expected
            .selections
            .iter()
            .map(base)
            .flat_map(|base| weeks.iter().map(move |week| format!("{base}{week}")))
            .collect();
        match expected.selections.first().unwrap().measure {
            Measure::Total => Outcome::Count(keys.iter().filter_map(|key| self.counters.get(key)).sum()),
            Measure::Sum => Outcome::Sum(keys.iter().filter_map(|key| self.sums.get(key)).sum()),
            Measure::Unique(_) => {
                let union: BTreeSet<_> = keys.iter().filter_map(|key| self.sets.get(key)).flatten().collect();
                Outcome::Count(union.len() as u64)
            }
            Measure::Totals(_) => {
                let mut merged = BTreeMap::new();
                for (value, count) in keys.iter().filter_map(|key| self.hashes.get(key)).flatten() {
                    *merged.entry(value.clone()).or_default() += count;
                }
                Outcome::Totals(merged)
            }
        }
    }
}

fn text(operand: Operand) -> String {
    match operand {
        Text(text) => text.to_owned(),
        Number(number) => number.to_string(),
    }
}

fn base(selection: &Selection) -> String {
    let slot = match selection.measure {
        Measure::Total => "event_counters",
        Measure::Sum => "event_sums",
        Measure::Unique(_) | Measure::Totals(_) => "hll_counters",
    };
    format!("{{{slot}}}_{}-{:?}-{:?}", selection.event, selection.filter, selection.measure)
}

/// From `days` ago to the Sunday before this ISO week, the distinct weeks of all days.
fn complete_weeks(today: NaiveDate, days: i64) -> BTreeSet<String> {
    let sunday = today + Duration::days(i64::from(6 - today.weekday().num_days_from_monday()));
    let last = sunday - Duration::days(7);
    let first = today - Duration::days(days);
    first.iter_days().take_while(|day| *day <= last).map(|day| day.format("-%G-%V").to_string()).collect()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn date(at: Timestamp) -> NaiveDate {
    DateTime::from_timestamp(at.unix_seconds(), 0).unwrap().date_naive()
}

/// Calls over users, labels and all other properties that some filter asks for, and some that none does.
fn calls(chance: &mut Chance, day: NaiveDate, events: &[&'static str]) -> Vec<Call> {
    let count = chance.below(EVENTS_A_DAY);
    // Labels and values that come and go.
    let rare = ["a", "b c", "d/e", "f", "g", "h", "i"][usize::try_from(day.ordinal() / 3 % 7).unwrap()];
    let rare_value = f64::from(day.ordinal() % 17) / 8.0;
    let mut call = |_| {
        let mut properties = BTreeMap::new();
        let mut set = |name, operand: Operand| {
            if operand != Text("") {
                properties.insert(name, operand);
            }
        };
        set(
            "label",
            chance.one_of(&[Text("failure"), Text("failure"), Text("incomplete"), Text(rare), Text("")]),
        );
        set("property", chance.one_of(&[Text("flow"), Text("metrics"), Text("events"), Text("")]));
        set(
            "value",
            chance.one_of(&[
                Number(60.0),
                Number(60.0),
                Number(2.25),
                Number(-0.5),
                Number(rare_value),
                Text(""),
            ]),
        );
        set("custom_key1", chance.one_of(&[Text("metrics"), Text("metrics"), Text("60")]));
        set("custom_key3", chance.one_of(&[Number(30.0), Number(13.0), Text("30")]));
        set("custom_key4", chance.one_of(&[Number(12.4), Number(12.4), Number(12.0)]));
        // More people as the weeks go by, so that no two windows are alike.
        let people = 20 + u64::from(day.ordinal());
        let user = (chance.below(12) > 0).then(|| chance.below(people).to_string());
        Call { event: chance.one_of(events), day, user, properties }
    };
    (0..count).map(&mut call).collect()
}

fn track(store: &Store, call: &Call, declared: &Declared) {
    let mut event = Event::new(call.event).user(call.user.as_deref());
    for (name, operand) in &call.properties {
        event = match (*name, *operand) {
            ("label", Text(text)) => event.label(text),
            ("property", Text(text)) => event.property(text),
            ("value", Number(number)) => event.value(number),
            // GitLab refuses undeclared custom properties; undeclared base properties it drops, as the model does.
            (name, _) if !declared[call.event].contains(&name) => event,
            (name, Text(text)) => event.custom(name, text),
            (name, Number(number)) => event.custom(name, number),
        };
    }
    store.tracker().try_track(event).unwrap();
}

fn value(store: &Store, key_path: &str, how: Evaluate) -> Outcome {
    let answer = store
        .metric_with(key_path, how)
        .unwrap()
        .outcome
        .unwrap_or_else(|error| panic!("{key_path}: {error}"));
    match answer.value {
        Value::Count(count) => Outcome::Count(count),
        Value::Unique(_) => Outcome::Count(answer.count().unwrap()),
        Value::Sum { sum, saturated } => {
            assert!(!saturated);
            Outcome::Sum(sum)
        }
        Value::PerValue(properties) => {
            assert_eq!(properties.len(), 1);
            Outcome::Totals(properties.into_values().next().unwrap())
        }
        other => panic!("{other:?}"),
    }
}

/// The same metric over a range of days, from the calls themselves.
fn over(
    days: std::ops::Range<NaiveDate>,
    calls: &[Call],
    declared: &Declared,
    expected: &Expected,
) -> Outcome {
    let mut redis = Redis::default();
    let inside = calls.iter().filter(|call| days.contains(&call.day));
    inside.for_each(|call| redis.track(call, declared, &expected.selections));
    let all =
        Expected { time_frame: "all", key_path: String::new(), selections: expected.selections.clone() };
    redis.value(&all, days.end)
}

/// Eight weeks of events: each metric is evaluated every midnight, some also at other instants and over other windows, and
/// in the end once more as of every midnight.
fn eight_weeks(seed: u64, definitions: Definitions, declared: &Declared, metrics: &[Expected]) {
    let mut chance = Chance::new(seed);
    let clock = ManualClock::new(at(FIRST));
    let store = Store::builder_in_memory()
        .definitions(definitions)
        .clock(clock.clone())
        .mode(Mode::Inline)
        .open()
        .unwrap();
    let events: Vec<_> = declared.keys().copied().collect();
    // Metrics with equal rules share one counter.
    let mut selections = Vec::<Selection>::new();
    for selection in metrics.iter().flat_map(|metric| &metric.selections) {
        if !selections.iter().any(|known| base(known) == base(selection)) {
            selections.push(selection.clone());
        }
    }
    let mut redis = Redis::default();
    let mut past = Vec::new();
    let mut tracked = Vec::new();
    for _ in 0..DAYS {
        let midnight = clock.now();
        let today = date(midnight);
        for metric in metrics {
            let model = redis.value(metric, today);
            assert_eq!(
                value(&store, &metric.key_path, Evaluate::default()),
                model,
                "{} on {today}",
                metric.key_path
            );
            past.push((midnight, metric, model));
        }
        for call in calls(&mut chance, today, &events) {
            clock.set(midnight.plus_seconds(i64::try_from(chance.below(86_400)).unwrap()));
            track(&store, &call, declared);
            redis.track(&call, declared, &selections);
            tracked.push(call);
        }
        store.flush().unwrap();
        clock.set(midnight.plus_seconds(86_399));
        let monday = today - Duration::days(i64::from(today.weekday().num_days_from_monday()));
        for metric in metrics {
            let (weeks, key_path) = (if metric.time_frame == "7d" { 1 } else { 4 }, &metric.key_path);
            // GitLab's weeks do not see the running one; all time does.
            let model = redis.value(metric, today);
            assert_eq!(value(&store, key_path, Evaluate::default()), model, "{key_path} late on {today}");
            if metric.time_frame != "all" {
                let rolling = today + Duration::days(1 - weeks * 7)..today + Duration::days(1);
                let current = monday - Duration::days(7 * (weeks - 1))..monday + Duration::days(7);
                for (window, days) in [(Window::Rolling, rolling), (Window::Current, current)] {
                    let how = Evaluate::default().window(window);
                    let model = over(days, &tracked, declared, metric);
                    assert_eq!(value(&store, key_path, how), model, "{key_path} {window:?} on {today}");
                }
            }
        }
        clock.set(midnight.plus_seconds(86_400));
    }
    for metric in metrics {
        let values =
            past.iter().filter(|(_, of, _)| of.key_path == metric.key_path).map(|(_, _, value)| value);
        let distinct: BTreeSet<_> = values.map(|value| format!("{value:?}")).collect();
        assert!(distinct.len() >= 2, "{} hardly ever changes: {distinct:?}", metric.key_path);
    }
    for (midnight, metric, model) in past {
        let how = Evaluate::default().as_of(midnight);
        assert_eq!(value(&store, &metric.key_path, how), model, "{} as of {midnight}", metric.key_path);
    }
    let stats = store.close().unwrap();
    assert_eq!(stats.stored, tracked.len() as u64);
}

/// The folder of GitLab's definitions, if this machine has one.
fn gitlab() -> Option<PathBuf> {
    let folder = std::env::var_os("HEADCOUNT_GITLAB_DEFINITIONS").map(PathBuf::from);
    if folder.is_none() {
        assert!(
            std::env::var("HEADCOUNT_TEST_SERVERS").as_deref() != Ok("1"),
            "set HEADCOUNT_GITLAB_DEFINITIONS to the folder of GitLab's definitions"
        );
        println!("skipped: HEADCOUNT_GITLAB_DEFINITIONS names no folder of GitLab's definitions");
    }
    folder.map(|folder| folder.join("spec/fixtures/scripts/internal_events"))
}

/// Definitions of some fixture files, in GitLab's folders.
fn fixtures(folder: &Path, files: &[&str]) -> Definitions {
    let texts: Vec<_> =
        files.iter().map(|file| (*file, std::fs::read_to_string(folder.join(file)).unwrap())).collect();
    let files: Vec<_> = texts.iter().map(|(file, text)| (*file, text.as_str())).collect();
    Definitions::embedded(&files).unwrap_or_else(|error| panic!("{error}"))
}

/// An event built in code, which declares what the filters of a fixture need.
fn declares(definitions: Definitions, event: &'static str, properties: &[&'static str]) -> Definitions {
    let definition = EventDefinition::new(event).identifier("user");
    let definition = properties.iter().fold(definition, |definition, name| definition.custom(*name));
    definitions.event(definition).unwrap()
}

const USED: &str = "internal_events_cli_used";
const OPENED: &str = "internal_events_cli_opened";
const CLOSED: &str = "internal_events_cli_closed";
const WITH_PROPERTIES: &str = "events/event_with_additional_properties.yml";
const WITH_IDENTIFIERS: &str = "events/event_with_identifiers.yml";

#[test]
fn totals_of_gitlabs_fixtures_are_what_its_keys_say() {
    let Some(folder) = gitlab() else { return };
    let declared = BTreeMap::from([(USED, vec!["label", "value", "custom_key"])]);
    let definitions = fixtures(&folder, &["metrics/ee_total_single_event.yml", WITH_PROPERTIES]);
    let metrics = expanded(
        "counts.count_total_internal_events_cli_used",
        &["28d", "7d", "all"],
        &[select(USED, &[], Measure::Total)],
    );
    eight_weeks(21, definitions, &declared, &metrics);

    let files = [
        "metrics/total_multiple_events_with_rename.yml",
        WITH_IDENTIFIERS,
        "events/secondary_event_with_identifiers.yml",
        "events/ee_event_without_identifiers.yml",
    ];
    let key_path = "counts.count_total_cli_interactions";
    // One of its events is defined nowhere: then there is no value, rather than a wrong one.
    let store =
        Store::builder_in_memory().definitions(fixtures(&folder, &files)).mode(Mode::Inline).open().unwrap();
    for suffix in ["", "_weekly", "_monthly"] {
        let outcome = store.metric(&format!("{key_path}{suffix}")).unwrap().outcome;
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::NotRecorded);
    }
    let definitions = declares(fixtures(&folder, &files), "random_name", &[]);
    let events = [CLOSED, OPENED, USED, "random_name"];
    let declared = events.into_iter().map(|event| (event, Vec::new())).collect();
    let selections = events.map(|event| select(event, &[], Measure::Total));
    eight_weeks(22, definitions, &declared, &expanded(key_path, &["28d", "7d", "all"], &selections));
}

#[test]
fn sums_of_gitlabs_fixtures_are_what_its_keys_say() {
    let Some(folder) = gitlab() else { return };
    let declared = BTreeMap::from([(USED, vec!["label", "value", "custom_key"])]);
    let definitions = fixtures(&folder, &["metrics/sum_single_event.yml", WITH_PROPERTIES]);
    let key_path = "sums.sum_value_from_internal_events_cli_used";
    let metrics = expanded(key_path, &["28d", "7d", "all"], &[select(USED, &[], Measure::Sum)]);
    eight_weeks(23, definitions, &declared, &metrics);

    let definitions = fixtures(&folder, &["metrics/sum_multiple_events_with_filters.yml"]);
    let definitions = declares(definitions, OPENED, &["label", "value"]);
    let definitions = declares(definitions, USED, &["property", "value"]);
    let declared = BTreeMap::from([(OPENED, vec!["label", "value"]), (USED, vec!["property", "value"])]);
    let selections = [
        select(OPENED, &[("label", Text("failure"))], Measure::Sum),
        select(USED, &[("property", Text("flow"))], Measure::Sum),
    ];
    let metrics = expanded("sums.sum_value_from_failed_usage_time", &["28d", "7d", "all"], &selections);
    eight_weeks(24, definitions, &declared, &metrics);
}

#[test]
fn unique_users_of_gitlabs_fixtures_are_what_its_keys_say() {
    let Some(folder) = gitlab() else { return };
    let user = Measure::Unique("user");
    let key_path = "redis_hll_counters.count_distinct_user_id_from_internal_events_cli_used";
    for (seed, file, time_frames) in [
        (31, "metrics/user_id_single_event.yml", &["28d", "7d"][..]),
        (32, "metrics/ee_total_7d_single_event_array_metric.yml", &["7d"][..]),
    ] {
        let definitions = fixtures(&folder, &[file, WITH_IDENTIFIERS]);
        let declared = BTreeMap::from([(USED, Vec::new())]);
        let metrics = expanded(key_path, time_frames, &[select(USED, &[], user)]);
        eight_weeks(seed, definitions, &declared, &metrics);
    }

    let definitions =
        declares(fixtures(&folder, &["metrics/keyboard_smashed_metric.yml"]), "random_name", &[]);
    let key_path = "redis_hll_counters.count_distinct_user_id_from_random_name";
    let metrics = expanded(key_path, &["28d", "7d"], &[select("random_name", &[], user)]);
    eight_weeks(33, definitions, &BTreeMap::from([("random_name", Vec::new())]), &metrics);

    // A single time frame appends nothing to the key path.
    let file = "metrics/user_id_28d_single_event_additional_props.yml";
    let definitions = fixtures(&folder, &[file, WITH_PROPERTIES]);
    let declared = BTreeMap::from([(USED, vec!["label", "value", "custom_key"])]);
    let metric = Expected {
        key_path: "redis_hll_counters.count_distinct_user_id_from_failed_usage_attempts_monthly".to_owned(),
        time_frame: "28d",
        selections: ["failure", "incomplete"]
            .into_iter()
            .map(|label| select(USED, &[("label", Text(label))], user))
            .collect(),
    };
    eight_weeks(34, definitions, &declared, &[metric]);
}

#[test]
fn unique_users_by_several_filters_of_gitlabs_fixtures_are_what_its_keys_say() {
    let Some(folder) = gitlab() else { return };
    let user = Measure::Unique("user");
    let key_path = "redis_hll_counters.count_distinct_user_id_from_failed_usage_attempts_under_60s";
    let properties = ["label", "property", "value"];
    let definitions = fixtures(&folder, &["metrics/user_id_single_event_all_additional_props.yml"]);
    let definitions = declares(definitions, USED, &properties);
    let declared = BTreeMap::from([(USED, properties.to_vec())]);
    let selections: Vec<_> = ["failure", "incomplete"]
        .into_iter()
        .flat_map(|label| ["metrics", "events"].map(|property| (label, property)))
        .map(|(label, property)| {
            let filter = [("label", Text(label)), ("property", Text(property)), ("value", Number(60.0))];
            select(USED, &filter, user)
        })
        .collect();
    eight_weeks(41, definitions, &declared, &expanded(key_path, &["28d", "7d"], &selections));

    let properties = ["label", "custom_key1", "custom_key3", "custom_key4"];
    let definitions = fixtures(&folder, &["metrics/user_id_single_event_custom_key_filter.yml"]);
    let definitions = declares(definitions, USED, &properties);
    let declared = BTreeMap::from([(USED, properties.to_vec())]);
    let selections = [30.0, 13.0].map(|key3| {
        let filter = [
            ("label", Text("failure")),
            ("custom_key1", Text("metrics")),
            ("custom_key3", Number(key3)),
            ("custom_key4", Number(12.4)),
        ];
        select(USED, &filter, user)
    });
    eight_weeks(42, definitions, &declared, &expanded(key_path, &["28d", "7d"], &selections));
}

#[test]
fn every_metric_of_gitlabs_fixtures_is_one_that_these_tests_know() {
    let Some(folder) = gitlab() else { return };
    let files = std::fs::read_dir(folder.join("metrics")).unwrap();
    let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    let known = [
        "database_metric.yml",
        "ee_total_7d_single_event_array_metric.yml",
        "ee_total_single_event.yml",
        "keyboard_smashed_metric.yml",
        "sum_multiple_events_with_filters.yml",
        "sum_single_event.yml",
        "total_multiple_events_with_rename.yml",
        "user_id_28d_single_event_additional_props.yml",
        "user_id_single_event.yml",
        "user_id_single_event_all_additional_props.yml",
        "user_id_single_event_custom_key_filter.yml",
    ];
    assert_eq!(names, known);
    // The one that counts rows of GitLab's database has no value here, and says so.
    let definitions = fixtures(&folder, &["metrics/database_metric.yml", WITH_IDENTIFIERS]);
    let store = Store::builder_in_memory().definitions(definitions).mode(Mode::Inline).open().unwrap();
    for key_path in ["issues_count_weekly", "issues_count_monthly"] {
        assert_eq!(store.metric(key_path).unwrap().outcome.unwrap_err().kind(), ErrorKind::NoSource);
    }
}

/// Definitions of our own, with all that GitLab's newest code knows beyond its fixtures.
const OWN: [(&str, &str); 7] = [
    (
        "events/deployed.yml",
        "action: deployed\nidentifiers: [user]\nadditional_properties:\n  label: {description: x}\n  property: {description: x}\n  value: {description: x}\n  custom_key3: {description: x}\n",
    ),
    (
        "events/rolled_back.yml",
        "action: rolled_back\nidentifiers: [user]\nadditional_properties:\n  label: {description: x}\n",
    ),
    (
        "metrics/labels.yml",
        "key_path: own.labels\ndata_source: internal_events\ntime_frame: [7d, 28d]\nevents:\n- {name: deployed, unique: label}\n- {name: rolled_back, unique: label}\n",
    ),
    (
        "metrics/per_label.yml",
        "key_path: own.per_label\ndata_source: internal_events\nvalue_type: object\ntime_frame: [7d, 28d, all]\nevents:\n- {name: deployed, unique: label, operator: total}\n- {name: rolled_back, unique: label, operator: total}\n",
    ),
    (
        "metrics/values.yml",
        "key_path: own.values\ndata_source: internal_events\ntime_frame: [7d, 28d]\nevents:\n- {name: deployed, unique: value, filter: {property: metrics}}\n",
    ),
    (
        "metrics/per_value.yml",
        "key_path: own.per_value\ndata_source: internal_events\nvalue_type: object\ntime_frame: [7d, all]\nevents:\n- {name: deployed, unique: value, operator: total, filter: {label: failure}}\n",
    ),
    (
        "metrics/numbers.yml",
        "key_path: own.numbers\ndata_source: internal_events\ntime_frame: [7d, 28d, all]\nevents:\n- {name: deployed, filter: {custom_key3: 30.0}}\n- {name: deployed, filter: {custom_key3: '30'}}\n- {name: rolled_back}\n",
    ),
];

#[test]
fn unique_values_counts_per_value_and_filters_of_own_definitions_are_what_the_keys_say() {
    let declared = BTreeMap::from([
        ("deployed", vec!["label", "property", "value", "custom_key3"]),
        ("rolled_back", vec!["label"]),
    ]);
    let both = |measure| [select("deployed", &[], measure), select("rolled_back", &[], measure)];
    let failure = [("label", Text("failure"))];
    let metrics: Vec<_> = [
        expanded("own.labels", &["7d", "28d"], &both(Measure::Unique("label"))),
        expanded("own.per_label", &["7d", "28d", "all"], &both(Measure::Totals("label"))),
        expanded(
            "own.values",
            &["7d", "28d"],
            &[select("deployed", &[("property", Text("metrics"))], Measure::Unique("value"))],
        ),
        expanded("own.per_value", &["7d", "all"], &[select("deployed", &failure, Measure::Totals("value"))]),
        expanded(
            "own.numbers",
            &["7d", "28d", "all"],
            &[
                select("deployed", &[("custom_key3", Number(30.0))], Measure::Total),
                select("deployed", &[("custom_key3", Text("30"))], Measure::Total),
                select("rolled_back", &[], Measure::Total),
            ],
        ),
    ]
    .into_iter()
    .flatten()
    .collect();
    for seed in [51, 52, 53] {
        eight_weeks(seed, Definitions::embedded(&OWN).unwrap(), &declared, &metrics);
    }
}

#[test]
fn complete_weeks_are_those_of_gitlabs_calendar() {
    let definitions = Definitions::embedded(&[
        ("e.yml", "action: day_passed\nidentifiers: [user]\nadditional_properties:\n  label: {description: x}\n"),
        (
            "m.yml",
            "key_path: weeks\ndata_source: internal_events\nvalue_type: object\ntime_frame: [7d, 28d]\nevents:\n- {name: day_passed, unique: label, operator: total}\n",
        ),
        (
            "n.yml",
            "key_path: days\ndata_source: internal_events\ntime_frame: [7d, 28d]\nevents:\n- {name: day_passed, unique: user.id}\n",
        ),
    ])
    .unwrap();
    let clock = ManualClock::new(at("2027-02-01"));
    let store =
        Store::builder_in_memory().definitions(definitions).clock(clock).mode(Mode::Inline).open().unwrap();
    // Each day happens once, labelled with its week; users are days.
    let mut lines = String::new();
    for day in NaiveDate::from_ymd_opt(2020, 11, 1).unwrap().iter_days().take_while(|day| day.year() < 2027) {
        let week = day.format("%G-%V");
        writeln!(
            lines,
            r#"{{"event":"day_passed","time":"{day}T23:59:59Z","user":"{day}","label":"{week}"}}"#
        )
        .unwrap();
    }
    assert!(store.import("days", lines.as_bytes()).unwrap().rejected.is_empty());
    let weeks = |key_path: &str, today: &str| {
        let how = Evaluate::default().as_of(at(today));
        match value(&store, key_path, how) {
            Outcome::Totals(weeks) => {
                assert!(weeks.values().all(|days| *days == 7), "{today}: {weeks:?}");
                weeks.into_keys().collect::<Vec<_>>()
            }
            other => panic!("{other:?}"),
        }
    };
    for (today, week, four) in [
        ("2024-05-13", "2024-19", ["2024-16", "2024-17", "2024-18", "2024-19"]),
        ("2024-05-19", "2024-19", ["2024-16", "2024-17", "2024-18", "2024-19"]),
        ("2024-12-30", "2024-52", ["2024-49", "2024-50", "2024-51", "2024-52"]),
        ("2025-01-05", "2024-52", ["2024-49", "2024-50", "2024-51", "2024-52"]),
        ("2021-01-03", "2020-52", ["2020-49", "2020-50", "2020-51", "2020-52"]),
        ("2021-01-04", "2020-53", ["2020-50", "2020-51", "2020-52", "2020-53"]),
        ("2026-01-01", "2025-52", ["2025-49", "2025-50", "2025-51", "2025-52"]),
        ("2026-12-31", "2026-52", ["2026-49", "2026-50", "2026-51", "2026-52"]),
    ] {
        for instant in [today.to_owned(), format!("{today}T23:59:59Z")] {
            assert_eq!(weeks("weeks_weekly", &instant), [week], "{instant}");
            assert_eq!(weeks("weeks_monthly", &instant), four, "{instant}");
        }
        // The model reads the same weeks, and the days in them are distinct.
        let model = complete_weeks(date(at(today)), 28);
        assert_eq!(model.iter().map(|week| &week[1..]).collect::<Vec<_>>(), four);
        let how = Evaluate::default().as_of(at(today));
        assert_eq!(value(&store, "days_weekly", how), Outcome::Count(7));
        assert_eq!(value(&store, "days_monthly", how), Outcome::Count(28));
    }
}
