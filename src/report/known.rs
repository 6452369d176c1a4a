//! The series that rules have, and how far the store reaches, at one moment.

use std::collections::HashMap;

use crate::definition::rule::{Rule, RuleKind};
use crate::error::{Error, ErrorKind};
use crate::storage::batch::SeriesId;
use crate::storage::{Extent, Series, Snapshot};

/// One moment of the store, and what answers have asked of it before.
pub(crate) struct Known<'a> {
    pub(crate) snapshot: &'a dyn Snapshot,
    /// It has the days that have data: a range of decades is not searched bucket by bucket.
    pub(crate) extent: Extent,
    /// Every series by its key; `None` where each rule looks for its own.
    series: Option<HashMap<String, Vec<(RuleKind, Series)>>>,
    /// The ids of all series of each kind, ascending; empty where each rule looks for its own.
    ids: HashMap<RuleKind, Vec<SeriesId>>,
}

impl<'a> Known<'a> {
    /// For few rules, each of which looks for its series.
    pub(crate) fn for_few(snapshot: &'a dyn Snapshot) -> Result<Self, Error> {
        Ok(Self { snapshot, extent: snapshot.extent()?, series: None, ids: HashMap::new() })
    }

    /// For many rules: every series is read at once.
    pub(crate) fn for_many(snapshot: &'a dyn Snapshot) -> Result<Self, Error> {
        let mut all: HashMap<String, Vec<(RuleKind, Series)>> = HashMap::new();
        let mut ids: HashMap<RuleKind, Vec<SeriesId>> = HashMap::new();
        snapshot.every_series(&mut |key, kind, series| {
            ids.entry(kind).or_default().push(series.id);
            all.entry(key).or_default().push((kind, series));
        })?;
        Ok(Self { snapshot, extent: snapshot.extent()?, series: Some(all), ids })
    }

    fn series(&self, key: &str, kind: RuleKind) -> Result<Option<Series>, Error> {
        let Some(all) = &self.series else { return self.snapshot.series(key, kind) };
        let mut of_key = all.get(key).into_iter().flatten();
        Ok(of_key.find(|(of, _)| *of == kind).map(|(_, series)| series.clone()))
    }

    /// The ids of all series of a kind, ascending.
    pub(crate) fn ids(&self, kind: RuleKind) -> &[SeriesId] {
        self.ids.get(&kind).map_or(&[], Vec::as_slice)
    }

    /// The series of a rule; a rule without one is not recorded, which is something else than zero.
    pub(crate) fn find(&self, rule: &Rule) -> Result<Series, Error> {
        if let Some(fault) = rule.fault() {
            return Err(Error::new(ErrorKind::Usage, fault));
        }
        if let Some(series) = self.series(&rule.key(), rule.kind())? {
            return Ok(series);
        }
        if self.series(&Rule::count(rule.event()).key(), RuleKind::Count)?.is_none() {
            return Err(Error::new(
                ErrorKind::UnknownEvent,
                format!(
                    "the store has never recorded an event `{}`; correct the name, or add its definition",
                    rule.event()
                ),
            ));
        }
        Err(Error::new(
            ErrorKind::NotRecorded,
            format!(
                "the store does not record `{}`; a metric with this rule makes it do so from then on{}:\n{}",
                rule.key(),
                declared_by(rule),
                yaml_of(rule)
            ),
        ))
    }
}

/// What the event must declare for the rule; empty if that is nothing.
fn declared_by(rule: &Rule) -> String {
    let names = rule.identifier().into_iter().chain(rule.filters().map(|(key, _)| key));
    let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        return String::new();
    }
    format!(", where the definition of `{}` declares {}", rule.event(), names.join(" and "))
}

/// The part of a metric's YAML that makes a store record the rule.
fn yaml_of(rule: &Rule) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    // Quoted only where YAML would take the name for something else.
    let name = |text: &str| {
        let word = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && text.starts_with(|first: char| !first.is_ascii_digit());
        let reserved = ["null", "true", "false"].iter().any(|known| text.eq_ignore_ascii_case(known));
        if word && !reserved { text.to_owned() } else { quoted(text) }
    };
    let mut yaml = format!("  events:\n  - name: {}\n", name(rule.event()));
    match (rule.kind(), rule.identifier()) {
        (RuleKind::Sum, _) => yaml.push_str("    operator: sum(value)\n"),
        (kind, Some(identifier)) => {
            let suffix = if matches!(identifier, "user" | "project" | "namespace") { ".id" } else { "" };
            yaml.push_str(&format!("    unique: {}{suffix}\n", name(identifier)));
            if kind == RuleKind::PerValue {
                yaml.push_str("    operator: total\n");
            }
        }
        _ => {}
    }
    if rule.filters().len() > 0 {
        yaml.push_str("    filter:\n");
    }
    for (key, value) in rule.filters() {
        let value = match (value.as_text(), value.as_number()) {
            (Some(text), _) => quoted(text),
            (None, number) => number.unwrap_or_default().to_string(),
        };
        yaml.push_str(&format!("      {}: {value}\n", name(key)));
    }
    yaml
}
