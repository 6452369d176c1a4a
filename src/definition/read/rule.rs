//! From a YAML tree to a rule: one entry of a metric's `events`.

use crate::definition::check::name_fault;
use crate::definition::filter::{self, FilterValue};
use crate::definition::nearest::hint;
use crate::definition::problems::{Position, excerpt};
use crate::definition::read::{Fields, Report, describe, mapping};
use crate::definition::rule::{MAX_FILTERS, Rule};
use crate::definition::yaml::{Node, Value};

const KEYS: [&str; 4] = ["name", "unique", "filter", "operator"];
pub(in crate::definition::read) const UNIQUE: [&str; 6] =
    ["user.id", "project.id", "namespace.id", "label", "property", "value"];
const OPERATORS: [&str; 2] = ["sum(value)", "total"];

/// Where the parts of a rule stand.
#[derive(Debug, Clone, Default)]
pub(in crate::definition) struct RulePlaces {
    pub(in crate::definition) name: Position,
    pub(in crate::definition) unique: Position,
    pub(in crate::definition) operator: Position,
    pub(in crate::definition) filters: Vec<(String, Position)>,
    /// Whether a part of it was refused: what is left is held against the event's definition, and means nothing else.
    pub(in crate::definition) is_refused: bool,
}

impl RulePlaces {
    /// For a rule that an older form of a definition stands for.
    pub(in crate::definition) fn all_at(at: Position) -> Self {
        Self { name: at, unique: at, operator: at, ..Self::default() }
    }
}

/// Reads one rule, as far as it means something; what does not is reported. `None` without the name of an event.
pub(in crate::definition) fn read(node: &Node, report: &mut Report<'_>) -> Option<(Rule, RulePlaces)> {
    let Some(fields) = mapping(node) else {
        let message = format!(
            "an entry of `events` must be a mapping such as `name: push_code`, found {}",
            describe(&node.value)
        );
        report.error(node.at, message);
        return None;
    };
    let mut has_unknown_key = false;
    for entry in fields.entries.iter().filter(|entry| !KEYS.contains(&entry.key.as_str())) {
        has_unknown_key = true;
        let hint = hint(&entry.key, KEYS);
        let message =
            format!("unknown key `{}` of a rule; known are {}{hint}", excerpt(&entry.key), KEYS.join(", "));
        report.error(entry.at, message);
    }
    let name = read_name(fields, report);
    let unique = read_unique(fields, report);
    let operator = read_operator(fields, report);
    let filters = read_filters(fields, report);
    let at = |key: &str| fields.find(key).map(|entry| entry.value.at);
    let mut places = RulePlaces {
        name: at("name").unwrap_or(fields.at),
        unique: at("unique").unwrap_or(fields.at),
        operator: at("operator").unwrap_or(fields.at),
        filters: Vec::new(),
        is_refused: has_unknown_key || unique.is_none() || operator.is_none(),
    };
    let name = name?;
    let unique = unique.flatten();
    let mut rule = match (operator.flatten(), unique) {
        (None, None) => Rule::count(name),
        (None, Some(unique)) => Rule::unique(name, unique.name),
        (Some(Operator::Sum), None) => Rule::sum(name),
        (Some(Operator::Sum), Some(unique)) => {
            let message =
                "`operator: sum(value)` adds up values and `unique` counts distinct ones; remove one of them";
            report.error(places.operator, message.to_owned());
            places.is_refused = true;
            Rule::unique(name, unique.name)
        }
        // What `unique` should have named was refused, and said so.
        (Some(Operator::Total), None) if places.is_refused => Rule::count(name),
        (Some(Operator::Total), None) => {
            let message = "`operator: total` counts for each value of the property that `unique` names; add `unique`, or remove the operator to count all events";
            report.error(places.operator, message.to_owned());
            places.is_refused = true;
            Rule::count(name)
        }
        (Some(Operator::Total), Some(unique)) if unique.is_identifier => {
            let message = format!(
                "`operator: total` keeps each value, which is refused for the identifier `{}`; name a property such as label",
                unique.name
            );
            report.error(places.unique, message);
            places.is_refused = true;
            Rule::unique(name, unique.name)
        }
        (Some(Operator::Total), Some(unique)) => Rule::per_value(name, unique.name),
    };
    let (filters, is_whole) = filters;
    places.is_refused |= !is_whole;
    for (key, value, at) in filters {
        rule = rule.filter(&key, value);
        places.filters.push((key, at));
    }
    Some((rule, places))
}

fn read_name<'n>(fields: Fields<'n>, report: &mut Report<'_>) -> Option<&'n str> {
    let Some(entry) = fields.find("name") else {
        let message = "a rule needs the `name` of an event; add it";
        report.error(fields.at, message.to_owned());
        return None;
    };
    let name = fields.text("name", report)?;
    if let Some(fault) = name_fault(name) {
        report.error(entry.value.at, format!("the `name` of an event {fault}"));
        return None;
    }
    Some(name)
}

struct Unique<'n> {
    name: &'n str,
    /// Whether it is certainly an identifier; another name may be an identifier or a property of the event.
    is_identifier: bool,
}

/// `Some(None)` without the key, `None` if its value was refused.
fn read_unique<'n>(fields: Fields<'n>, report: &mut Report<'_>) -> Option<Option<Unique<'n>>> {
    let Some(entry) = fields.find("unique") else { return Some(None) };
    let at = entry.value.at;
    let refused = |found: &str, hint: &str| {
        format!(
            "`unique` must be one of {}, or another identifier or property of the event, found {found}{hint}",
            UNIQUE.join(", ")
        )
    };
    let Value::Text(text) = &entry.value.value else {
        report.error(at, refused(&describe(&entry.value.value), ""));
        return None;
    };
    let (name, has_id) = match text.strip_suffix(".id") {
        Some(name) => (name, true),
        None => (text.as_str(), false),
    };
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !plain || name_fault(name).is_some() {
        report.error(at, refused(&format!("`{}`", excerpt(text)), &hint(text, UNIQUE)));
        return None;
    }
    let is_gitlab_identifier = ["user", "project", "namespace"].contains(&name);
    if is_gitlab_identifier && !has_id {
        report.warning(at, format!("GitLab's schema writes `{name}.id` for the identifier `{name}`"));
    }
    Some(Some(Unique { name, is_identifier: has_id || is_gitlab_identifier }))
}

#[derive(Clone, Copy)]
enum Operator {
    Sum,
    Total,
}

/// `Some(None)` without the key, `None` if its value was refused.
fn read_operator(fields: Fields<'_>, report: &mut Report<'_>) -> Option<Option<Operator>> {
    let Some(entry) = fields.find("operator") else { return Some(None) };
    let (found, hint) = match &entry.value.value {
        Value::Text(text) if text == "sum(value)" => return Some(Some(Operator::Sum)),
        Value::Text(text) if text == "total" => return Some(Some(Operator::Total)),
        Value::Text(text) if text.starts_with("sum") => {
            (describe(&entry.value.value), "; did you mean `sum(value)`?".to_owned())
        }
        Value::Text(text) => (describe(&entry.value.value), hint(text, OPERATORS)),
        value => (describe(value), String::new()),
    };
    let message = format!("`operator` must be sum(value) or total, or absent to count, found {found}{hint}");
    report.error(entry.value.at, message);
    None
}

/// The filters that mean something, and whether all of them do.
fn read_filters(fields: Fields<'_>, report: &mut Report<'_>) -> (Vec<(String, FilterValue, Position)>, bool) {
    let Some(entry) = fields.find("filter") else { return (Vec::new(), true) };
    let Some(conditions) = mapping(&entry.value) else {
        let found = describe(&entry.value.value);
        report.error(
            entry.value.at,
            format!("`filter` must be a mapping such as {{label: web}}, found {found}"),
        );
        return (Vec::new(), false);
    };
    if conditions.entries.len() > MAX_FILTERS {
        report
            .error(conditions.at, format!("a rule filters on at most {MAX_FILTERS} properties; remove some"));
        return (Vec::new(), false);
    }
    let mut filters = Vec::with_capacity(conditions.entries.len());
    let mut refused = false;
    for condition in conditions.entries {
        let key = condition.key.as_str();
        let value = match &condition.value.value {
            Value::Text(text) => Ok(FilterValue::text(text)),
            Value::Number(number, _) => Ok(FilterValue::from(*number)),
            Value::Bool(value) => {
                Err(format!("must be text or a number, found {value}; quote it as '{value}'"))
            }
            value => Err(format!("must be text or a number, found {}", describe(value))),
        };
        let fault = match &value {
            Ok(value) => name_fault(key).or_else(|| filter::fault(key, value)),
            Err(fault) => Some(fault.clone()),
        };
        if let Some(fault) = fault {
            report.error(condition.value.at, format!("the filter on `{}` {fault}", excerpt(key)));
            refused = true;
        } else if let Ok(value) = value {
            filters.push((key.to_owned(), value, condition.at));
        }
    }
    (filters, !refused)
}
