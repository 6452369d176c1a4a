//! The strict reading: what GitLab's JSON schemas refuse although it means something here.
//!
//! Together with the usual errors and warnings it finds at least what the schemas find, but for the names of GitLab's own groups and
//! categories and the key paths that GitLab exempts: those lists belong to GitLab and change with it.

use std::collections::BTreeSet;

use crate::definition::nearest::hint;
use crate::definition::problems::{Position, excerpt};
use crate::definition::read::url::is_url;
use crate::definition::read::{Fields, Report, describe, mapping, rule};
use crate::definition::words::DataSource;
use crate::definition::yaml::Value;

/// Keys of events that may stand without a value, or whose absence the usual reading names.
const EVENT_NULLS: [&str; 8] = [
    "extra_properties",
    "identifiers",
    "iglu_schema_url",
    "introduced_by_url",
    "milestone",
    "description",
    "product_group",
    "tiers",
];
/// The same of metrics.
const METRIC_NULLS: [&str; 11] = [
    "removed_by_url",
    "events",
    "description",
    "product_group",
    "value_type",
    "status",
    "time_frame",
    "data_source",
    "data_category",
    "tiers",
    "key_path",
];
const URLS: [&str; 3] = ["introduced_by_url", "removed_by_url", "repair_issue_url"];
const IDENTIFIERS: [&str; 4] = ["user", "project", "namespace", "feature_enabled_by_namespace_ids"];
const BASE_PROPERTIES: [&str; 3] = ["label", "property", "value"];

pub(in crate::definition::read) fn event(fields: Fields<'_>, report: &mut Report<'_>) {
    check_nulls(fields, &EVENT_NULLS, report);
    check_own_keys(fields, report);
    check_urls(fields, report);
    check_repeats(fields, "tiers", report);
    for (at, name) in texts(fields, "identifiers").filter(|(_, name)| !IDENTIFIERS.contains(name)) {
        let (known, hint) = (IDENTIFIERS.join(", "), hint(name, IDENTIFIERS));
        let message =
            format!("GitLab's schema knows the identifiers {known}; found `{}`{hint}", excerpt(name));
        report.strict(at, message);
    }
    if let Some(entry) = fields.find("extra_properties")
        && mapping(&entry.value).is_none()
    {
        let found = describe(&entry.value.value);
        report.strict(entry.value.at, format!("`extra_properties` must be a mapping, found {found}"));
    }
    check_custom_properties(fields, report);
}

pub(in crate::definition::read) fn metric(fields: Fields<'_>, report: &mut Report<'_>) {
    check_nulls(fields, &METRIC_NULLS, report);
    check_own_keys(fields, report);
    check_urls(fields, report);
    check_repeats(fields, "tiers", report);
    let status = text(fields, "status");
    if let Some(entry) = fields.find("product_categories")
        && matches!(&entry.value.value, Value::List(items) if items.is_empty())
        && !matches!(status, Some("removed" | "broken"))
    {
        let message = "`product_categories` of an active metric names at least one category, found none";
        report.strict(entry.value.at, message.to_owned());
    }
    let class = text(fields, "instrumentation_class");
    if let Some(class) = class.filter(|class| !is_class_name(class)) {
        let message = format!(
            "`instrumentation_class` must be the name of a class such as CountIssuesMetric, found `{}`",
            excerpt(class)
        );
        report.strict(value_at(fields, "instrumentation_class"), message);
    }
    check_time_frames(fields, report);
    match text(fields, "data_source").and_then(DataSource::from_word) {
        Some(DataSource::InternalEvents) => check_internal_events(fields, status, report),
        Some(DataSource::Redis) if status != Some("removed") => {
            check_class(fields, "redis", "RedisMetric", report);
            check_options(fields, "redis", &REDIS_OPTIONS, true, report);
        }
        Some(DataSource::RedisHll) => {
            check_class(fields, "redis_hll", "RedisHLLMetric", report);
            check_options(fields, "redis_hll", &REDIS_HLL_OPTIONS, false, report);
        }
        _ => {}
    }
}

/// A key without a value is absent here; in a schema it has a value of the wrong type.
fn check_nulls(fields: Fields<'_>, allowed: &[&str], report: &mut Report<'_>) {
    for entry in fields.entries {
        if matches!(entry.value.value, Value::Null) && !allowed.contains(&entry.key.as_str()) {
            let message = format!("`{}` has no value; add one, or remove the key", excerpt(&entry.key));
            report.strict(entry.at, message);
        }
    }
}

fn check_own_keys(fields: Fields<'_>, report: &mut Report<'_>) {
    for entry in fields.entries.iter().filter(|e| e.key.starts_with("x-") || e.key == "extra_trackers") {
        let message = format!("GitLab's schema does not know the key `{}`; remove it", excerpt(&entry.key));
        report.strict(entry.at, message);
    }
}

fn check_urls(fields: Fields<'_>, report: &mut Report<'_>) {
    for key in URLS {
        if let Some(text) = text(fields, key).filter(|text| !is_url(text)) {
            let message =
                format!("`{key}` must be a URL such as https://example.com/1, found `{}`", excerpt(text));
            report.strict(value_at(fields, key), message);
        }
    }
}

fn check_repeats(fields: Fields<'_>, key: &str, report: &mut Report<'_>) {
    let mut seen = BTreeSet::new();
    for (at, word) in texts(fields, key) {
        if !seen.insert(word) {
            report.strict(at, format!("`{key}` lists `{}` twice; remove one", excerpt(word)));
        }
    }
}

fn check_custom_properties(fields: Fields<'_>, report: &mut Report<'_>) {
    let Some(declared) = fields.find("additional_properties").and_then(|entry| mapping(&entry.value)) else {
        return;
    };
    let has = |name: &str| declared.find(name).is_some();
    if has("value") || has("label") && has("property") {
        return;
    }
    for custom in declared.entries.iter().filter(|entry| !BASE_PROPERTIES.contains(&entry.key.as_str())) {
        let message = format!(
            "GitLab's schema takes a property of another name only beside `value`, or beside `label` and `property`; use one of those for `{}`",
            excerpt(&custom.key)
        );
        report.strict(custom.at, message);
    }
}

/// GitLab keeps distinct ones by the week: rules that are all `unique` have no value over another time.
fn check_time_frames(fields: Fields<'_>, report: &mut Report<'_>) {
    let (Some(events), Some(frames)) = (fields.find("events"), fields.find("time_frame")) else { return };
    let Value::List(rules) = &events.value.value else { return };
    let all_unique =
        rules.iter().all(|node| mapping(node).is_some_and(|rule| text(rule, "unique").is_some()));
    let weekly = |value: &Value| matches!(value, Value::Text(text) if text == "7d" || text == "28d");
    let fits = match &frames.value.value {
        Value::List(frames) => frames.iter().all(|frame| weekly(&frame.value)),
        frame => weekly(frame),
    };
    if all_unique && !fits {
        let message = "GitLab's schema takes the time frames 7d and 28d alone where every rule is `unique`";
        report.strict(frames.value.at, message.to_owned());
    }
}

fn check_internal_events(fields: Fields<'_>, status: Option<&str>, report: &mut Report<'_>) {
    if let Some(entry) = fields.find("instrumentation_class") {
        let message = "GitLab's schema refuses `instrumentation_class` on a metric of events; remove it";
        report.strict(entry.at, message.to_owned());
    }
    let Some(events) = fields.find("events") else {
        // Where the metric is not removed, this is an error of the usual reading.
        if status == Some("removed") {
            let message = "the metric is of internal events but has no `events`; add them";
            report.warning(fields.at, message.to_owned());
        }
        return;
    };
    let Value::List(rules) = &events.value.value else { return };
    for rule in rules.iter().filter_map(mapping) {
        check_nulls(rule, &[], report);
        if let Some(name) = text(rule, "unique").filter(|name| !rule::UNIQUE.contains(name)) {
            let known = rule::UNIQUE.join(", ");
            let hint = hint(name, rule::UNIQUE);
            let message =
                format!("GitLab's schema knows `unique` of {known}; found `{}`{hint}", excerpt(name));
            report.strict(value_at(rule, "unique"), message);
        }
        if text(rule, "operator") == Some("total") {
            let message = "GitLab's schema knows no operator but sum(value); `total` is of this program and of newer versions";
            report.strict(value_at(rule, "operator"), message.to_owned());
        }
    }
}

fn check_class(fields: Fields<'_>, source: &str, wanted: &str, report: &mut Report<'_>) {
    let found = text(fields, "instrumentation_class");
    if found != Some(wanted) {
        let message = format!(
            "a metric of `data_source: {source}` has `instrumentation_class: {wanted}`, found {}",
            found.map_or_else(|| "none".to_owned(), |class| format!("`{}`", excerpt(class)))
        );
        match fields.find("instrumentation_class") {
            Some(entry) => report.strict(entry.value.at, message),
            None => report.warning(fields.at, message),
        }
    }
}

/// An option of an older form of metric: its name, whether its absence is a fault, and what it holds.
struct OptionRule {
    name: &'static str,
    is_required: bool,
    holds: &'static str,
    is_right: fn(&Value) -> bool,
}

const REDIS_OPTIONS: [OptionRule; 3] = [
    OptionRule { name: "event", is_required: true, holds: "text", is_right: is_text },
    OptionRule {
        name: "prefix",
        is_required: true,
        holds: "text or null",
        is_right: |value| is_text(value) || matches!(value, Value::Null),
    },
    OptionRule {
        name: "include_usage_prefix",
        is_required: false,
        holds: "true or false",
        is_right: |value| matches!(value, Value::Bool(_)),
    },
];
const REDIS_HLL_OPTIONS: [OptionRule; 1] = [OptionRule {
    name: "events",
    is_required: true,
    holds: "a list of the names of events",
    is_right: |value| matches!(value, Value::List(items) if items.iter().all(|item| is_text(&item.value))),
}];

fn check_options(
    fields: Fields<'_>,
    source: &str,
    rules: &[OptionRule],
    is_required: bool,
    report: &mut Report<'_>,
) {
    let Some(entry) = fields.find("options") else {
        if is_required {
            let message = format!("a metric of `data_source: {source}` needs `options`; add them");
            report.warning(fields.at, message);
        }
        return;
    };
    let Some(options) = mapping(&entry.value) else { return };
    for option in options.entries {
        let Some(rule) = rules.iter().find(|rule| rule.name == option.key) else {
            let known: Vec<&str> = rules.iter().map(|rule| rule.name).collect();
            let message = format!(
                "the `options` of `data_source: {source}` are {}; found `{}`{}",
                known.join(", "),
                excerpt(&option.key),
                hint(&option.key, known.iter().copied())
            );
            report.strict(option.at, message);
            continue;
        };
        if !(rule.is_right)(&option.value.value) {
            let found = describe(&option.value.value);
            let message = format!("`options.{}` must be {}, found {found}", rule.name, rule.holds);
            report.strict(option.value.at, message);
        }
    }
    let is_missing = |rule: &&OptionRule| !options.entries.iter().any(|option| option.key == rule.name);
    for rule in rules.iter().filter(|rule| rule.is_required).filter(is_missing) {
        let message = format!("the `options` of `data_source: {source}` lack `{}`; add it", rule.name);
        report.warning(entry.at, message);
    }
}

fn is_text(value: &Value) -> bool {
    matches!(value, Value::Text(_))
}

/// GitLab's pattern `^(([A-Z][a-z]+)+::)*(([A-Z]+[a-z]+)+)$`.
fn is_class_name(name: &str) -> bool {
    let (modules, last) =
        name.rsplit_once("::").map_or((None, name), |(modules, last)| (Some(modules), last));
    let is_camel = |segment: &str, max_capitals: usize| {
        let mut capitals = 0;
        let mut is_open = true;
        for byte in segment.bytes() {
            match byte {
                b'A'..=b'Z' if is_open => {
                    capitals += 1;
                    if capitals > max_capitals {
                        return false;
                    }
                }
                b'A'..=b'Z' => (capitals, is_open) = (1, true),
                b'a'..=b'z' if capitals > 0 => is_open = false,
                _ => return false,
            }
        }
        !segment.is_empty() && !is_open
    };
    let mut segments = modules.into_iter().flat_map(|modules| modules.split("::"));
    is_camel(last, usize::MAX) && segments.all(|segment| is_camel(segment, 1))
}

/// The text of a key, if it is one; what it is otherwise, the usual reading says.
fn text<'n>(fields: Fields<'n>, key: &str) -> Option<&'n str> {
    match &fields.find(key)?.value.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// The texts of a list.
fn texts<'n>(fields: Fields<'n>, key: &str) -> impl Iterator<Item = (Position, &'n str)> {
    let items = match fields.find(key).map(|entry| &entry.value.value) {
        Some(Value::List(items)) => items.as_slice(),
        _ => &[],
    };
    items.iter().filter_map(|item| match &item.value {
        Value::Text(text) => Some((item.at, text.as_str())),
        _ => None,
    })
}

fn value_at(fields: Fields<'_>, key: &str) -> Position {
    fields.find(key).map(|entry| entry.value.at).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_classes_are_those_of_gitlabs_pattern() {
        for name in ["RedisHLLMetric", "CountIssuesMetric", "Gitlab::Usage::CountMetric", "Ab"] {
            assert!(is_class_name(name), "{name}");
        }
        for name in
            ["", "A", "AB", "countMetric", "CountM", "Count1", "::Ab", "Ab::", "HTTPAb::Cd", "Ab:Cd", "Äb"]
        {
            assert!(!is_class_name(name), "{name}");
        }
    }
}
