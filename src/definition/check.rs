//! What no definition may say, alone or together with another one; the same for YAML and for code.

use crate::definition::event::{EventDefinition, MAX_IDENTIFIERS, MAX_PROPERTIES};
use crate::definition::metric::{MAX_KEY_PATH_BYTES, MAX_RULES, MetricDefinition};
use crate::definition::nearest::hint;
use crate::definition::rule::{MAX_NAME_BYTES, Rule, RuleKind};
use crate::time::frame::TimeFrame;

/// Names that an identifier cannot have: they mean something else in a rule or in a line of an import.
const RESERVED: [&str; 6] = ["event", "time", "label", "property", "value", "additional_properties"];

/// A part of a rule, so that a problem can be placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::definition) enum RulePart<'a> {
    Filter(&'a str),
    Unique,
    Operator,
}

/// Why an event of this name cannot be tracked, if so.
pub(in crate::definition) fn name_fault(name: &str) -> Option<String> {
    match name.len() {
        0 => Some("must not be empty".to_owned()),
        length if length > MAX_NAME_BYTES => {
            Some(format!("has {length} bytes; at most {MAX_NAME_BYTES} are taken"))
        }
        _ => None,
    }
}

/// Why an identifier cannot have this name, if so: identifiers are also keys of JSON lines and columns of answers.
pub(in crate::definition) fn identifier_fault(name: &str) -> Option<String> {
    if let Some(fault) = name_fault(name) {
        return Some(fault);
    }
    if RESERVED.contains(&name) {
        return Some("means something else in events; declare a property, or choose another name".to_owned());
    }
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let starts_with_letter = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    (!plain || !starts_with_letter)
        .then(|| "must begin with a lower-case letter and hold only a-z, 0-9 and _".to_owned())
}

/// Why a value cannot stand at this key path, if so: the report nests by its segments.
pub(in crate::definition) fn key_path_fault(key_path: &str) -> Option<String> {
    if key_path.len() > MAX_KEY_PATH_BYTES {
        return Some(format!("has {} bytes; at most {MAX_KEY_PATH_BYTES} are taken", key_path.len()));
    }
    let malformed = key_path.split('.').any(str::is_empty)
        || key_path.chars().any(|c| c.is_whitespace() || c.is_control());
    malformed.then(|| "must be names separated by single dots, as in counts.issues_weekly".to_owned())
}

/// Why these rules give no value over this time frame, if so.
pub(in crate::definition) fn rules_fault(rules: &[Rule], time_frame: TimeFrame) -> Option<String> {
    if rules.len() > MAX_RULES {
        return Some(format!("has {} rules; at most {MAX_RULES} are taken", rules.len()));
    }
    if !rules.is_empty() && time_frame == TimeFrame::None {
        return Some("counts events, which takes a time frame of 7d, 28d or all; found none".to_owned());
    }
    None
}

/// The first rule that is of another kind than the first of all: adding people to totals, or totals to sums, gives a number of
/// nothing.
pub(in crate::definition) fn odd_rule(rules: &[Rule]) -> Option<(usize, String)> {
    let first = rules.first()?.kind();
    let (position, odd) = rules.iter().enumerate().find(|(_, rule)| rule.kind() != first)?;
    Some((
        position,
        format!(
            "all rules of a metric must be of one kind: this one {}, the first one {}; make two metrics of them",
            does(odd.kind()),
            does(first)
        ),
    ))
}

fn does(kind: RuleKind) -> &'static str {
    match kind {
        RuleKind::Count => "counts events",
        RuleKind::Sum => "sums values",
        RuleKind::Unique => "counts distinct ones",
        RuleKind::PerValue => "counts per value",
    }
}

/// Why an event built in code cannot be tracked, if so.
pub(in crate::definition) fn event_fault(event: &EventDefinition) -> Option<String> {
    let action = event.action();
    if let Some(fault) = name_fault(action) {
        return Some(format!("the name of an event {fault}"));
    }
    if event.identifiers().len() > MAX_IDENTIFIERS {
        return Some(format!("the event `{action}` declares more than {MAX_IDENTIFIERS} identifiers"));
    }
    if event.properties().len() > MAX_PROPERTIES {
        return Some(format!(
            "the event `{action}` declares more than {MAX_PROPERTIES} additional properties"
        ));
    }
    let identifier = event.identifiers().iter().find_map(|name| {
        Some(format!("the identifier `{name}` of the event `{action}` {}", identifier_fault(name)?))
    });
    identifier.or_else(|| {
        event.properties().find_map(|(name, _)| {
            Some(format!("a property of the event `{action}` has a name that {}", name_fault(name)?))
        })
    })
}

/// Why a metric built in code cannot have a value, if so.
pub(in crate::definition) fn metric_fault(metric: &MetricDefinition) -> Option<String> {
    let key_path = metric.key_path();
    if let Some(fault) = key_path_fault(key_path) {
        return Some(format!("the key path `{key_path}` {fault}"));
    }
    let rules = metric.rules();
    if rules.is_empty() && metric.data_source().counts_events() && metric.without_rules().is_none() {
        return Some(format!(
            "the metric `{key_path}` counts events but has no rule; add one, or name another data source"
        ));
    }
    let fault = rules_fault(rules, metric.time_frame())
        .or_else(|| odd_rule(rules).map(|(_, fault)| fault))
        .or_else(|| rules.iter().find_map(Rule::fault))?;
    Some(format!("the metric `{key_path}`: {fault}"))
}

/// What a rule asks of an event that the event does not declare: such a rule would never count anything.
pub(in crate::definition) fn undeclared<'r>(
    rule: &'r Rule,
    event: &EventDefinition,
) -> Vec<(RulePart<'r>, String)> {
    let action = event.action();
    let properties = || event.properties().map(|(name, _)| name);
    let identifiers = || event.identifiers().iter().map(String::as_str);
    let mut found = Vec::new();
    for (key, _) in rule.filters().filter(|(key, _)| !event.has_property(key)) {
        let reason = if event.has_identifier(key) {
            format!(
                "the filter is on `{key}`, an identifier of the event `{action}`; only properties can be filtered on"
            )
        } else {
            format!(
                "the filter is on `{key}`, which the event `{action}` does not declare; add it to its additional_properties{}",
                hint(key, properties())
            )
        };
        found.push((RulePart::Filter(key), reason));
    }
    match (rule.kind(), rule.identifier()) {
        (RuleKind::Sum, _) if !event.has_property("value") => found.push((
            RulePart::Operator,
            format!("sum(value) needs `value`, which the event `{action}` does not declare; add it to its additional_properties"),
        )),
        (RuleKind::Unique, Some(name)) if !event.has_identifier(name) && !event.has_property(name) => found.push((
            RulePart::Unique,
            format!(
                "the event `{action}` declares neither an identifier nor a property `{name}`; add it to its definition{}",
                hint(name, identifiers().chain(properties()))
            ),
        )),
        (RuleKind::PerValue, Some(name)) if !event.has_property(name) => found.push((
            RulePart::Unique,
            format!(
                "counts per value need a property, and the event `{action}` does not declare `{name}` as one{}",
                hint(name, properties())
            ),
        )),
        _ => {}
    }
    found
}
