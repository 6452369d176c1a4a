//! The strict check, against GitLab's JSON schemas run by an independent validator.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use headcount::{Definitions, Problem};
use serde_json::Value;

use crate::changes::{change, sound};
use crate::common::Chance;
use crate::oracle::{Fault, Oracle};
use crate::{gitlab, yaml_files};

const MUTATIONS: usize = 8_000;

/// The problems of one file alone. That its events are defined elsewhere is no matter of a schema, and would hide what is missed.
fn strictly(path: &Path) -> Vec<Problem> {
    let checked = Definitions::check_strict(path).unwrap();
    let is_of_schema =
        |problem: &&Problem| !problem.message.contains("no definition here declares the event");
    checked.problems().iter().filter(is_of_schema).cloned().collect()
}

/// The key of the definition to which each line belongs: in JSON that is indented, and in YAML that begins keys at the margin.
fn keys_of_lines(text: &str) -> Vec<Option<String>> {
    let mut key = None;
    let mut keys = vec![None];
    for line in text.lines() {
        let at_margin = line.strip_prefix("  \"").filter(|_| text.starts_with('{'));
        let at_margin = at_margin.map(|rest| rest.split("\":").next().unwrap()).or_else(|| {
            let begins = line.starts_with(|first: char| first.is_ascii_alphabetic());
            line.split_once(':').map(|(key, _)| key).filter(|_| begins)
        });
        if let Some(found) = at_margin {
            key = Some(found.to_owned());
        }
        keys.push(key.clone());
    }
    keys
}

/// Why ours refuses or warns of what the schemas take: beginnings and parts of messages.
const STRICTER: [&str; 28] = [
    // Without a status, or with one of an older schema, a metric is active; the schema's conditions on `status` are then off.
    "asks for `product_categories`",
    "`product_categories` of an active metric names at least one category",
    "the `options` of `data_source: redis` ",
    "needs `options`; add them",
    "has `instrumentation_class: RedisMetric`",
    // Without a status an event is active, too.
    "belongs to an event with `status: removed`",
    // An event is of the new system or the old, not of none or both.
    "`category` belongs to events without `internal_events`",
    "has no `internal_events: true`, and no `category`",
    // Present without a value, which the schema takes.
    "is removed but has no `removed_by_url`",
    "has no description; add",
    // Legacy forms count distinct ones, too.
    "by the week and refuses `all`",
    // URLs that no browser opens.
    "_url` must be a URL",
    // Listed twice.
    " twice; remove one",
    "already in the list and counts once",
    // What has no meaning, or none here.
    "the metric has no value here",
    "`key_path` must be names",
    "has no effect",
    "`events` is empty",
    "`time_frame` is an empty list",
    "takes a time frame of 7d, 28d or all",
    "adds up values and `unique` counts distinct ones",
    "all rules of a metric must be of one kind",
    "the rules of this metric count different things",
    "but the value of these rules is of type",
    "must not be empty",
    "bytes; at most",
    "the filter on ",
    "means something else in events",
];

/// Errors behind which nothing more of a file is read.
const STOPS: [&str; 2] = ["this one has both", "the file has neither"];

struct Comparison {
    oracle: Oracle,
    /// Reasons for which ours alone objects, with an example.
    ours_alone: BTreeMap<String, String>,
    missed: Vec<String>,
    invalid: usize,
}

impl Comparison {
    fn new(folder: &Path) -> Self {
        Self { oracle: Oracle::new(folder), ours_alone: BTreeMap::new(), missed: Vec::new(), invalid: 0 }
    }

    /// Holds the problems that we find in a file against the faults that the schema finds in what it says.
    fn compare(&mut self, is_event: bool, definition: &Value, path: &Path) {
        let text = std::fs::read_to_string(path).unwrap();
        let problems = strictly(path);
        let keys = keys_of_lines(&text);
        let key_of = |problem: &Problem| keys.get(usize::try_from(problem.line).unwrap()).cloned().flatten();
        let faults = self.oracle.faults(is_event, definition);
        let stops = problems.iter().any(|problem| STOPS.iter().any(|stop| problem.message.contains(stop)));
        self.invalid += usize::from(!faults.is_empty());
        for fault in faults.iter().filter(|fault| !is_implied(is_event, definition, fault)) {
            let names = |problem: &&Problem| {
                fault.keys.iter().any(|key| {
                    key_of(problem).as_ref() == Some(key) || problem.message.contains(&format!("`{key}"))
                })
            };
            let found =
                if stops || fault.keys.is_empty() { problems.first() } else { problems.iter().find(names) };
            if found.is_none() {
                self.missed.push(format!("not found: {}\n{text}\n{problems:#?}", fault.text));
            }
        }
        let refused: BTreeSet<&String> = faults.iter().flat_map(|fault| &fault.keys).collect();
        for problem in &problems {
            let is_known = refused.iter().any(|key| {
                key_of(problem).as_ref() == Some(key) || problem.message.contains(&format!("`{key}"))
            });
            // The schemas read the rules of one data source alone.
            let is_idle_rule = key_of(problem).as_deref() == Some("events")
                && definition.get("data_source").is_none_or(|source| source != "internal_events");
            if !is_known && !is_idle_rule && !STRICTER.iter().any(|reason| problem.message.contains(reason)) {
                self.ours_alone.entry(problem.message.clone()).or_insert_with(|| text.clone());
            }
        }
    }
}

/// A condition on a key of a metric also holds where that key is missing, which is a fault of its own.
fn is_implied(is_event: bool, definition: &Value, fault: &Fault) -> bool {
    let rests_on = |key: &str, schemas: &[&str]| {
        definition.get(key).is_none() && schemas.iter().any(|schema| fault.schema.contains(schema))
    };
    let of_source = ["/internal_events.json", "/redis.json", "/redis_hll.json"];
    !is_event && (rests_on("status", &["/status.json"]) || rests_on("data_source", &of_source))
}

const EVENT: &str = "action: a\ndescription: d\ninternal_events: true\nproduct_group: g\nmilestone: '17.0'\n\
    introduced_by_url: https://example.com/1\ntiers: [free]\n";
const METRIC: &str = "key_path: a\ndescription: d\nproduct_group: g\nproduct_categories: [c]\nvalue_type: number\n\
    status: active\nmilestone: '17.0'\nintroduced_by_url: https://example.com/1\ndata_category: optional\ntiers: [free]\n";

#[test]
fn what_only_gitlabs_schemas_refuse_is_said_when_asked() {
    let event = |rest: &str| format!("{EVENT}{rest}");
    let metric = |rest: &str| format!("{METRIC}{rest}");
    let counted = |rest: &str| metric(&format!("time_frame: 7d\ndata_source: internal_events\n{rest}"));
    let cases = [
        (event("x-owner: {team: 1}\n"), "8:1", "does not know the key `x-owner`"),
        (event("category:\n"), "8:1", "`category` has no value"),
        (event("identifiers: [user, projct]\n"), "8:21", "found `projct`; did you mean `project`?"),
        (event("extra_properties: [a]\n"), "8:19", "must be a mapping, found a list"),
        (
            event("additional_properties:\n  label: {description: l}\n  own: {description: o}\n"),
            "10:3",
            "only beside `value`, or beside `label` and `property`",
        ),
        (
            EVENT.replace("https://example.com/1", "todo"),
            "6:20",
            "must be a URL such as https://example.com/1, found `todo`",
        ),
        (EVENT.replace("[free]", "[free, free]"), "7:15", "lists `free` twice"),
        (counted("events: [{name: a, unique: device}]\n"), "13:28", "found `device`"),
        (counted("events: [{name: a, unique: }]\n"), "13:20", "`unique` has no value"),
        (
            counted("value_type: object\nevents: [{name: a, unique: label, operator: total}]\n").replacen(
                "value_type: number\n",
                "",
                1,
            ),
            "13:45",
            "no operator but sum(value)",
        ),
        (
            counted("events: [{name: a, unique: label, operator: total}]\n").replace("number", "object")
                + "instrumentation_class: TotalsMetric\n",
            "14:1",
            "refuses `instrumentation_class` on a metric of events",
        ),
        (
            counted("events: [{name: a, unique: label, operator: total}]\n")
                .replace("time_frame: 7d", "time_frame: all"),
            "11:13",
            "takes the time frames 7d and 28d alone",
        ),
        (
            METRIC.replace("status: active", "status: removed")
                + "removed_by_url: https://example.com/2\nmilestone_removed: '17.1'\n\
                time_frame: 7d\ndata_source: internal_events\n",
            "1:1",
            "has no `events`",
        ),
        (
            metric("time_frame: none\ndata_source: system\ninstrumentation_class: version\n"),
            "13:24",
            "such as CountIssuesMetric, found `version`",
        ),
        (
            METRIC.replace("[c]", "[]") + "time_frame: none\ndata_source: system\n",
            "4:21",
            "at least one category",
        ),
        (
            metric(
                "time_frame: all\ndata_source: redis\ninstrumentation_class: RedisMetric\noptions: {prefix: a, event: b, evnt: c}\n",
            ),
            "14:32",
            "found `evnt`; did you mean `event`?",
        ),
        (
            metric("time_frame: 7d\ndata_source: redis_hll\noptions: {events: [a]}\n"),
            "1:1",
            "has `instrumentation_class: RedisHLLMetric`, found none",
        ),
    ];
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("a.yml");
    for (yaml, place, fragment) in cases {
        std::fs::write(&path, &yaml).unwrap();
        let is_there = |problems: &[Problem]| {
            problems.iter().any(|problem| {
                format!("{}:{}", problem.line, problem.column) == place && problem.message.contains(fragment)
            })
        };
        let strict = strictly(&path);
        assert!(is_there(&strict), "{yaml}\nexpected {place} {fragment}\nfound {strict:#?}");
        let usual = Definitions::check(&path).unwrap();
        assert!(usual.definitions().is_some(), "{yaml}\n{:#?}", usual.problems());
        assert!(!is_there(usual.problems()), "{yaml}");
    }
}

#[test]
fn everything_that_gitlabs_schemas_refuse_in_real_files_is_found() {
    let Some(folder) = gitlab() else { return };
    let mut comparison = Comparison::new(&folder);
    let files = definitions(&folder);
    for (path, definition) in &files {
        comparison.compare(definition.get("action").is_some(), definition, path);
    }
    assert_eq!(files.len(), 117);
    assert!(comparison.missed.is_empty(), "{}", comparison.missed.join("\n"));
    assert!(comparison.invalid > 0 && comparison.invalid < files.len());
    assert_eq!(comparison.ours_alone.keys().collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn everything_that_gitlabs_schemas_refuse_in_changed_files_is_found() {
    let Some(folder) = gitlab() else { return };
    let seed = std::env::var("HEADCOUNT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
    });
    let comparison = changed(&folder, seed);
    let missed = &comparison.missed;
    assert!(missed.is_empty(), "{} missed\n{}", missed.len(), missed[..missed.len().min(5)].join("\n"));
    assert!(comparison.invalid > MUTATIONS / 2, "{}", comparison.invalid);
}

#[test]
fn what_is_refused_beyond_the_schemas_has_a_reason() {
    let Some(folder) = gitlab() else { return };
    let comparison = changed(&folder, 7);
    assert_eq!(comparison.ours_alone, BTreeMap::new(), "not in STRICTER, each with an example");
}

/// Compares what is found in randomly changed definitions.
fn changed(folder: &Path, seed: u64) -> Comparison {
    let mut chance = Chance::new(seed);
    let mut comparison = Comparison::new(folder);
    let scratch = tempfile::tempdir().unwrap();
    let mut originals: Vec<Value> = definitions(folder).into_iter().map(|(_, value)| value).collect();
    // Most real files are of older schemas; in sound ones a single change shows.
    for sound in sound() {
        assert!(comparison.oracle.faults(sound.get("action").is_some(), &sound).is_empty(), "{sound:#}");
        originals.extend(std::iter::repeat_n(sound, 30));
    }
    let originals: Vec<&Value> = originals.iter().collect();
    for round in 0..MUTATIONS {
        let mut changed = chance.one_of(&originals).clone();
        let was_event = changed.get("action").is_some();
        for _ in 0..=chance.below(3) {
            change(&mut changed, &mut chance);
        }
        // A change can also make a metric of an event.
        let has = |key: &str| changed.get(key).is_some_and(|value| !value.is_null());
        let is_event = if has("action") == has("key_path") { was_event } else { has("action") };
        // A file of its own each time: some file systems write a truncated one to the disk at once.
        let path = scratch.path().join(format!("{round}.yml"));
        std::fs::write(&path, serde_json::to_string_pretty(&changed).unwrap()).unwrap();
        comparison.compare(is_event, &changed, &path);
        std::fs::remove_file(&path).unwrap();
    }
    comparison
}

/// What a real file says, read by another YAML reader.
fn definitions(folder: &Path) -> Vec<(PathBuf, Value)> {
    let mut files = Vec::new();
    yaml_files(folder, &mut files);
    files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            let value = serde_yaml_ng::from_str(&text).unwrap();
            (path, value)
        })
        .collect()
}
