//! Rules: what a store keeps a series for, and the key under which it keeps it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::definition::filter::{self, FilterValue};

/// Longest name of an event, an identifier or a property, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 256;
/// Most properties that one rule filters on.
pub(crate) const MAX_FILTERS: usize = 32;

/// What a store keeps a series for: an event, a filter on its properties, and what to make of the matching events.
///
/// This is GitLab's event selection rule. Metrics with equal rules share one series. Two filters are equal if they ask for the
/// same values: the number 60 equals 60.0 and differs from the text `60`; the order of the keys does not matter.
///
/// ```
/// use headcount::{Rule, RuleKind};
///
/// let rule = Rule::unique("issue_created", "user").filter("label", "web");
/// assert_eq!(rule.kind(), RuleKind::Unique);
/// assert_eq!(rule.key(), "issue_created-filter:[label:web]-user");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rule(Selection);

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Selection {
    event: String,
    #[serde(with = "filter::stored")]
    filter: BTreeMap<String, FilterValue>,
    measure: Measure,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Measure {
    Count,
    Sum,
    Unique(String),
    PerValue(String),
}

/// What a rule makes of the events that it selects.
///
/// ```
/// use headcount::{Rule, RuleKind};
///
/// assert_eq!(Rule::sum("build_finished").kind(), RuleKind::Sum);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RuleKind {
    /// How many events there were.
    Count,
    /// The sum of their `value`.
    Sum,
    /// How many distinct identifiers or values they carried.
    Unique,
    /// How many events there were for each value of a property.
    PerValue,
}

impl Rule {
    /// Counts the events.
    #[must_use]
    pub fn count(event: impl Into<String>) -> Self {
        Self::new(event.into(), Measure::Count)
    }

    /// Adds up the `value` of the events.
    #[must_use]
    pub fn sum(event: impl Into<String>) -> Self {
        Self::new(event.into(), Measure::Sum)
    }

    /// Counts the distinct values of an identifier (`user`) or a property (`label`); an identifier, if the event declares both.
    #[must_use]
    pub fn unique(event: impl Into<String>, identifier: impl Into<String>) -> Self {
        Self::new(event.into(), Measure::Unique(identifier.into()))
    }

    /// Counts the events for each value of a property.
    #[must_use]
    pub fn per_value(event: impl Into<String>, property: impl Into<String>) -> Self {
        Self::new(event.into(), Measure::PerValue(property.into()))
    }

    /// Selects only events whose property `key` equals `value`; several filters must all hold, a second one on the same key
    /// replaces the first.
    #[must_use]
    pub fn filter(mut self, key: impl Into<String>, value: impl Into<FilterValue>) -> Self {
        self.0.filter.insert(key.into(), value.into());
        self
    }

    fn new(event: String, measure: Measure) -> Self {
        Self(Selection { event, filter: BTreeMap::new(), measure })
    }

    /// The same rule on another event.
    #[must_use]
    pub(crate) fn on(mut self, event: impl Into<String>) -> Self {
        self.0.event = event.into();
        self
    }

    /// The name of the event.
    #[must_use]
    pub fn event(&self) -> &str {
        &self.0.event
    }

    /// What the rule makes of the events.
    #[must_use]
    pub fn kind(&self) -> RuleKind {
        match self.0.measure {
            Measure::Count => RuleKind::Count,
            Measure::Sum => RuleKind::Sum,
            Measure::Unique(_) => RuleKind::Unique,
            Measure::PerValue(_) => RuleKind::PerValue,
        }
    }

    /// Whose distinct values a [`RuleKind::Unique`] counts, or whose values a [`RuleKind::PerValue`] tells apart.
    #[must_use]
    pub fn identifier(&self) -> Option<&str> {
        match &self.0.measure {
            Measure::Count | Measure::Sum => None,
            Measure::Unique(name) | Measure::PerValue(name) => Some(name),
        }
    }

    /// The filters, sorted by key.
    #[must_use]
    pub fn filters(&self) -> impl ExactSizeIterator<Item = (&str, &FilterValue)> {
        self.0.filter.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The name of the series: GitLab's path `event[-operator:op][-filter:[k:v,...]][-identifier]`.
    ///
    /// Equal rules have equal keys and different rules different ones: in names every byte outside `[A-Za-z0-9_.]`, in filter
    /// values every byte outside `[A-Za-z0-9_.@/+-]` is written as `%XX`; numbers are the shortest decimal that reads back as the
    /// same number, and a text that reads as a number has its first byte escaped.
    #[must_use]
    pub fn key(&self) -> String {
        let mut key = String::with_capacity(self.0.event.len() + 32);
        filter::escape_name(&mut key, &self.0.event);
        match self.0.measure {
            Measure::Sum => key.push_str("-operator:sum(value)"),
            Measure::PerValue(_) => key.push_str("-operator:total"),
            Measure::Count | Measure::Unique(_) => {}
        }
        for (position, (name, value)) in self.0.filter.iter().enumerate() {
            key.push_str(if position == 0 { "-filter:[" } else { "," });
            filter::escape_name(&mut key, name);
            key.push(':');
            value.write_key(&mut key);
        }
        if !self.0.filter.is_empty() {
            key.push(']');
        }
        if let Some(identifier) = self.identifier() {
            key.push('-');
            filter::escape_name(&mut key, identifier);
        }
        key
    }

    /// Why no store could keep this rule, if so: a rule built in code may hold what no definition may.
    pub(crate) fn fault(&self) -> Option<String> {
        let Selection { event, filter, .. } = &self.0;
        let names = [("event", Some(event.as_str())), ("identifier", self.identifier())];
        for (what, name) in
            names.into_iter().chain(filter.keys().map(|key| ("filter key", Some(key.as_str()))))
        {
            match name {
                Some("") => return Some(format!("the {what} of a rule on `{event}` has no name; name it")),
                Some(name) if name.len() > MAX_NAME_BYTES => {
                    return Some(format!(
                        "a rule has a name of {} bytes for its {what}; at most {MAX_NAME_BYTES} are taken",
                        name.len()
                    ));
                }
                _ => {}
            }
        }
        if filter.len() > MAX_FILTERS {
            return Some(format!(
                "a rule on `{event}` filters on {} properties; at most {MAX_FILTERS} are taken",
                filter.len()
            ));
        }
        filter.iter().find_map(|(key, value)| {
            let reason = filter::fault(key, value)?;
            Some(format!("the filter on `{key}` of a rule on `{event}` {reason}"))
        })
    }
}

/// The stored shape of a list of rules: private, so that serde is not part of the public type.
pub(in crate::definition) mod stored {
    use super::{Deserialize, Deserializer, Rule, Selection, Serializer};

    pub(in crate::definition) fn serialize<S: Serializer>(
        rules: &[Rule],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(rules.iter().map(|rule| &rule.0))
    }

    pub(in crate::definition) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Rule>, D::Error> {
        Ok(Vec::<Selection>::deserialize(deserializer)?.into_iter().map(Rule).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name() -> impl Strategy<Value = String> {
        "[a%:,\\[\\]\\-. 5é]{1,3}"
    }

    fn value() -> impl Strategy<Value = FilterValue> {
        prop_oneof![
            "[-+0-9.eE,:%\\] a]{0,4}".prop_map(FilterValue::from),
            (-20_i32..20).prop_map(FilterValue::from),
            (-20_i32..20).prop_map(|tenths| FilterValue::from(f64::from(tenths) / 10.0)),
            any::<f64>().prop_filter_map("finite", FilterValue::number),
        ]
    }

    fn rule() -> impl Strategy<Value = Rule> {
        let filters = proptest::collection::vec((name(), value()), 0..3);
        (name(), name(), 0..4, filters).prop_map(|(event, identifier, kind, filters)| {
            let rule = match kind {
                0 => Rule::count(event),
                1 => Rule::sum(event),
                2 => Rule::unique(event, identifier),
                _ => Rule::per_value(event, identifier),
            };
            filters.into_iter().fold(rule, |rule, (key, value)| rule.filter(key, value))
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn different_rules_have_different_keys(a in rule(), b in rule()) {
            prop_assert_eq!(a.key() == b.key(), a == b);
            prop_assert!(a.key().is_ascii());
        }

        #[test]
        fn a_rule_survives_storage(rule in rule()) {
            let json = serde_json::to_string(&rule.0).unwrap();
            prop_assert_eq!(Rule(serde_json::from_str(&json).unwrap()), rule);
        }
    }

    #[test]
    fn a_text_never_has_the_key_of_a_number() {
        for number in [0.0, 60.0, -1.5, 1e21, 5e-324, f64::MAX] {
            let as_number = Rule::count("x").filter("k", number);
            let as_text = Rule::count("x").filter("k", number.to_string());
            assert_ne!(as_number.key(), as_text.key());
        }
    }

    #[test]
    fn rules_that_no_store_can_keep_say_why() {
        let many = (0..=MAX_FILTERS).fold(Rule::count("x"), |rule, key| rule.filter(format!("k{key}"), 1));
        for (rule, reason) in [
            (Rule::count(""), "has no name"),
            (Rule::unique("x", ""), "the identifier"),
            (Rule::count("x".repeat(257)), "257 bytes"),
            (Rule::count("x").filter("", "y"), "filter key"),
            (Rule::count("x").filter("k", f64::INFINITY), "finite"),
            (Rule::count("x").filter("k", "y".repeat(257)), "257 bytes"),
            (many, "33 properties"),
        ] {
            assert!(rule.fault().is_some_and(|fault| fault.contains(reason)), "{reason}");
        }
        assert_eq!(Rule::unique("x", "user").filter("label", "web").fault(), None);
    }
}
