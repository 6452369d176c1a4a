//! The forms in which older GitLab named the events of a metric, before there were rules.

use crate::definition::check::name_fault;
use crate::definition::metric::MAX_RULES;
use crate::definition::nearest::hint;
use crate::definition::problems::{Position, excerpt};
use crate::definition::read::metric::Rules;
use crate::definition::read::rule::RulePlaces;
use crate::definition::read::{Fields, Report, describe, mapping};
use crate::definition::rule::Rule;
use crate::definition::words::DataSource;
use crate::definition::yaml::{Entry, Value};

/// The rules that the options of a metric without `events` stand for.
pub(in crate::definition) fn rules(fields: Fields<'_>, source: DataSource, report: &mut Report<'_>) -> Rules {
    let options = fields.find("options").and_then(|entry| mapping(&entry.value));
    match (source, options) {
        (DataSource::RedisHll, Some(options)) => distinct(options, report),
        (DataSource::Redis, Some(options)) => total(options, report),
        (DataSource::RedisHll | DataSource::Redis | DataSource::InternalEvents, _) => {
            without("it names no events")
        }
        _ => Rules::default(),
    }
}

fn without(reason: impl Into<String>) -> Rules {
    Rules { without: Some(reason.into()), ..Rules::default() }
}

fn legacy(rules: Vec<(Rule, Position)>) -> Rules {
    let (rules, places) =
        rules.into_iter().map(|(rule, at)| (rule, RulePlaces::all_at(at))).collect::<(Vec<_>, Vec<_>)>();
    Rules { rules, places, without: None, is_legacy: true }
}

/// `data_source: redis_hll`: the distinct users, or projects, of `options.events`.
fn distinct(options: Fields<'_>, report: &mut Report<'_>) -> Rules {
    let mut identifier = "user";
    if let Some(entry) = options.find("aggregate") {
        let Some(aggregate) = mapping(&entry.value) else {
            let found = describe(&entry.value.value);
            report.error(entry.value.at, format!("`options.aggregate` must be a mapping, found {found}"));
            return without("its aggregate cannot be read");
        };
        match aggregate.text("operator", report) {
            Some("OR") | None => {}
            Some("AND") => return without("the intersection of events (operator AND) is not supported"),
            Some(word) => {
                let at = aggregate.find("operator").map(|entry| entry.value.at).unwrap_or_default();
                report.error(
                    at,
                    format!("`operator` of an aggregate must be OR or AND, found `{}`", excerpt(word)),
                );
            }
        }
        match aggregate.text("attribute", report) {
            Some("user_id" | "user.id") | None => {}
            Some("project_id" | "project.id") => identifier = "project",
            Some("namespace_id" | "namespace.id") => identifier = "namespace",
            Some(word) => {
                let at = aggregate.find("attribute").map(|entry| entry.value.at).unwrap_or_default();
                let hint = hint(word, ["user_id", "project_id", "namespace_id"]);
                let message = format!(
                    "`attribute` of an aggregate must be user_id, project_id or namespace_id, found `{}`{hint}",
                    excerpt(word)
                );
                report.error(at, message);
            }
        }
    }
    let events = options.texts("events", "[push_code]", report);
    if events.len() > MAX_RULES {
        report.error(options.at, format!("a metric has at most {MAX_RULES} rules; remove some"));
        return Rules::default();
    }
    if events.is_empty() {
        return without("its options name no events");
    }
    let mut rules: Vec<(Rule, Position)> = Vec::with_capacity(events.len());
    for (at, name) in events {
        match name_fault(name) {
            Some(fault) => report.error(at, format!("the name of an event {fault}")),
            None => {
                let rule = Rule::unique(name, identifier);
                if !rules.iter().any(|(known, _)| *known == rule) {
                    rules.push((rule, at));
                }
            }
        }
    }
    legacy(rules)
}

/// `data_source: redis`: the total of the event `<prefix>_<event>`.
fn total(options: Fields<'_>, report: &mut Report<'_>) -> Rules {
    let (Some(entry), Some(event)) = (options.find("event"), options.text("event", report)) else {
        return without("its options name no event");
    };
    let name = match options.entries.iter().find(|entry| entry.key == "prefix") {
        None => return without("its options have no `prefix`, which is part of the event's name"),
        Some(Entry { value, .. }) => match &value.value {
            Value::Null => event.to_owned(),
            Value::Text(prefix) => format!("{prefix}_{event}"),
            found => {
                let message = format!("`options.prefix` must be text or null, found {}", describe(found));
                report.error(value.at, message);
                return without("its prefix cannot be read");
            }
        },
    };
    if let Some(fault) = name_fault(&name) {
        report.error(entry.value.at, format!("the name of an event {fault}"));
        return without("its event cannot be read");
    }
    legacy(vec![(Rule::count(name), entry.value.at)])
}
