//! GitLab's own metrics, with a source for every class: each at its key path, none missing, none made up.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use headcount::{
    Asked, DataSource, Definitions, ManualClock, MetricOutcome, PingValue, SourceError, Sources,
};
use serde_json::{Value as Json, json};

use super::{at, json, store};

/// What a ping has without definitions.
const FACTS: [&str; 7] = [
    "headcount",
    "recorded_at",
    "recording_finished_at",
    "schema_version",
    "settings.collected_data_categories",
    "uuid",
    "hostname",
];

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("HEADCOUNT_GITLAB_DEFINITIONS").map(PathBuf::from);
    if folder.is_none() {
        assert!(std::env::var_os("HEADCOUNT_TEST_SERVERS").is_none(), "set HEADCOUNT_GITLAB_DEFINITIONS");
        println!("skipped: HEADCOUNT_GITLAB_DEFINITIONS names no folder of GitLab's definitions");
    }
    folder.map(|folder| folder.join("config"))
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            into.push(path);
        }
    }
}

/// What a file says of a metric that is reported.
struct Reported {
    value_type: String,
    class: Option<String>,
    data_source: String,
}

/// The metrics that are reported by key path, read by another parser.
fn reported(folder: &Path) -> BTreeMap<String, Reported> {
    let mut paths = Vec::new();
    files(folder, &mut paths);
    let mut reported = BTreeMap::new();
    for path in paths {
        let yaml: serde_yaml_ng::Value =
            serde_yaml_ng::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let text = |name: &str| yaml.get(name).and_then(|value| value.as_str()).map(str::to_owned);
        let Some(key_path) = text("key_path") else { continue };
        if text("status").unwrap() == "removed" {
            continue;
        }
        let frames: Vec<String> = match yaml.get("time_frame").unwrap() {
            serde_yaml_ng::Value::Sequence(frames) => frames
                .iter()
                .map(|frame| match frame.as_str().unwrap() {
                    "7d" => format!("{key_path}_weekly"),
                    "28d" => format!("{key_path}_monthly"),
                    _ => key_path.clone(),
                })
                .collect(),
            _ => vec![key_path],
        };
        reported.extend(frames.into_iter().map(|frame| {
            let (value_type, data_source) = (text("value_type").unwrap(), text("data_source").unwrap());
            (frame, Reported { value_type, class: text("instrumentation_class"), data_source })
        }));
    }
    reported
}

/// A value that only this source gives, to this metric.
fn told(source: &str, key_path: &str, value_type: &str) -> Json {
    let text = format!("{source} of {key_path}");
    let number = text.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    match value_type {
        "number" => json!(number),
        "boolean" => json!(number % 2 == 0),
        "string" => json!(text),
        _ => json!({"number": number}),
    }
}

fn answer(source: &str, asked: &Asked) -> Result<PingValue, SourceError> {
    let metric = asked.metric();
    Ok(match told(source, metric.key_path(), metric.value_type().as_str()) {
        Json::Bool(is) => is.into(),
        Json::String(text) => text.into(),
        Json::Object(object) => {
            let number = object["number"].as_i64().unwrap();
            PingValue::Object([("number".to_owned(), number.into())].into())
        }
        number => number.as_i64().unwrap().into(),
    })
}

#[test]
fn every_active_metric_is_in_the_document_and_nothing_else() {
    let Some(folder) = folder() else { return };
    let clock = ManualClock::new(at("2026-11-25T09:00:00Z"));
    let expected = reported(&folder);
    assert!(expected.len() >= 60, "{}", expected.len());
    let mut sources = DataSource::ALL.iter().fold(Sources::new(), |sources, source| {
        sources.data_source(*source, |asked| answer("data source", asked))
    });
    for class in expected.values().filter_map(|reported| reported.class.clone()) {
        sources = sources.class(class.clone(), move |asked| answer(&class, asked));
    }
    let store = store(Definitions::load(&folder).unwrap(), &clock);
    let report = store.ping().sources(sources).build().unwrap();
    let failed: Vec<_> =
        report.metrics.iter().filter(|metric| metric.outcome != MetricOutcome::Value).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let listed: BTreeSet<&str> = report.metrics.iter().map(|metric| metric.key_path.as_str()).collect();
    assert_eq!(listed, expected.keys().map(String::as_str).collect());
    // What is left of the document once all of it was taken out is what every ping has.
    let mut document = json(&report);
    for (key_path, Reported { value_type, class, data_source }) in &expected {
        let value = take(&mut document, key_path).unwrap_or_else(|| panic!("{key_path} is missing"));
        let source = class.as_deref().unwrap_or("data source");
        // Without a class the store itself knows what events count: none has happened.
        let is_counted =
            class.is_none() && ["internal_events", "redis", "redis_hll"].contains(&data_source.as_str());
        let is_right = value == told(source, key_path, value_type) || is_counted && value == json!(0);
        assert!(is_right, "{key_path}: {value}");
    }
    for fact in FACTS {
        take(&mut document, fact);
    }
    assert!(is_hollow(&document), "made up: {document}");
}

/// Takes the value at a key path out.
fn take(document: &mut Json, key_path: &str) -> Option<Json> {
    let (above, last) =
        key_path.rsplit_once('.').map_or((None, key_path), |(above, last)| (Some(above), last));
    let object = above
        .into_iter()
        .flat_map(|above| above.split('.'))
        .try_fold(document, |json, key| json.get_mut(key))?;
    object.as_object_mut()?.remove(last)
}

fn is_hollow(json: &Json) -> bool {
    json.as_object().is_some_and(|object| object.values().all(is_hollow))
}

#[test]
fn without_sources_the_document_has_what_the_store_knows_and_the_rest_is_listed() {
    let Some(folder) = folder() else { return };
    let clock = ManualClock::new(at("2026-11-25T09:00:00Z"));
    let store = store(Definitions::load(&folder).unwrap(), &clock);
    let report = store.ping().build().unwrap();
    let values = report.metrics.iter().filter(|metric| metric.outcome == MetricOutcome::Value).count();
    let unavailable = report.metrics.iter().filter(|metric| metric.outcome == MetricOutcome::Unavailable);
    assert!(unavailable.clone().all(|metric| !metric.message.is_empty() && !metric.reason.is_empty()));
    assert_eq!(values + unavailable.count(), report.metrics.len());
    assert!(values >= 5, "{values}");
}
