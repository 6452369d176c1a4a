//! Metrics that are made of others: GitLab's `NumbersMetric`, which adds up.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value as Json;

use crate::definition::metric::MetricDefinition;
use crate::ping::found::{About, Found, Missing};
use crate::ping::value::PingValue;

const CLASS: &str = "NumbersMetric";
/// The most metrics that one adds up.
const MAX_TERMS: usize = 1_000;
/// So many metrics of a circle are named.
const MAX_NAMED: usize = 10;

pub(crate) fn is_one(metric: &MetricDefinition) -> bool {
    metric.instrumentation_class() == Some(CLASS)
}

/// The key paths that it names, in their order.
pub(crate) fn terms(metric: &MetricDefinition) -> impl Iterator<Item = &str> {
    listed(metric).iter().filter_map(Json::as_str)
}

fn listed(metric: &MetricDefinition) -> &[Json] {
    let values = metric.options().and_then(|options| options.get("values"));
    values.and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// Adds to what is known these sums, each after those that it adds, whatever order they come in.
pub(crate) fn add_up<'m>(
    sums: &BTreeMap<&'m str, &'m MetricDefinition>,
    known: &mut BTreeMap<&'m str, Found>,
) {
    for sum in sums.values() {
        // Each adds the next one. No recursion: definitions may be as deep as they are many.
        let mut open = vec![Sum::of(sum)];
        while let Some(top) = open.last_mut() {
            let Some(term) = top.terms.next().map(|term| term.as_str().unwrap_or_default()) else {
                if let Some(sum) = open.pop()
                    && !known.contains_key(sum.metric.key_path())
                {
                    let found = sum.found(known);
                    known.insert(sum.metric.key_path(), found);
                }
                continue;
            };
            let Some(next) = sums.get(term).filter(|_| !known.contains_key(term)) else { continue };
            match open.iter().position(|sum| sum.metric.key_path() == term) {
                None => open.push(Sum::of(next)),
                Some(first) => {
                    let circle = open.get_mut(first..).unwrap_or_default();
                    let names = named(circle);
                    for sum in circle {
                        sum.circle = Some(names.clone());
                        sum.terms = [].iter();
                    }
                }
            }
        }
    }
}

/// A sum whose terms are looked for.
struct Sum<'m> {
    metric: &'m MetricDefinition,
    /// Those that were not looked for yet.
    terms: std::slice::Iter<'m, Json>,
    /// The metrics by which it would be a part of itself.
    circle: Option<String>,
}

fn named(circle: &[Sum<'_>]) -> String {
    let mut names: Vec<_> =
        circle.iter().take(MAX_NAMED).map(|sum| format!("`{}`", sum.metric.key_path())).collect();
    if circle.len() > MAX_NAMED {
        names.push(format!("{} more", circle.len() - MAX_NAMED));
    }
    names.extend(names.first().cloned());
    names.join(", ")
}

impl<'m> Sum<'m> {
    fn of(metric: &'m MetricDefinition) -> Self {
        Self { metric, terms: listed(metric).iter(), circle: None }
    }

    fn found(&self, known: &BTreeMap<&str, Found>) -> Found {
        let began = Instant::now();
        let added = match &self.circle {
            Some(names) => {
                Err(Missing::invalid(format!("it adds itself: {names}, each of which adds the next")))
            }
            None => self.added(known),
        };
        let about = added.as_ref().map(|(_, about)| *about).unwrap_or_default();
        Found { value: added.map(|(value, _)| value), duration: Some(began.elapsed()), about }
    }

    /// The sum of the metrics whose key paths `options.values` has; without one of them there is none.
    fn added(&self, known: &BTreeMap<&str, Found>) -> Result<(PingValue, About), Missing> {
        let invalid = |message: String| Err(Missing::invalid(message));
        let option = |name: &str| self.metric.options().and_then(|options| options.get(name));
        if option("operation").is_some_and(|operation| operation != "add") {
            return invalid("`options.operation` must be `add`".to_owned());
        }
        let terms = listed(self.metric);
        if !(1..=MAX_TERMS).contains(&terms.len()) {
            return invalid(format!("`options.values` must list the key paths to add up, 1 to {MAX_TERMS}"));
        }
        let mut whole = Some(0_i64);
        let mut sum = 0.0;
        let mut about: Option<About> = None;
        for term in terms {
            let Some(key_path) = term.as_str() else {
                return invalid(format!("{term} in `options.values` is no key path"));
            };
            let Some(found) = known.get(key_path) else {
                return invalid(format!("`{key_path}`, which it adds, is no active metric"));
            };
            let value = found.value.as_ref().map_err(|missing| Missing::of_term(key_path, missing))?;
            let Some(number) = value.number() else {
                return invalid(format!("`{key_path}`, which it adds, is no number"));
            };
            if number < 0.0 {
                return invalid(format!("`{key_path}`, which it adds, is negative"));
            }
            sum += number;
            whole = match (whole, value) {
                (Some(whole), PingValue::Integer(term)) => whole.checked_add(*term),
                _ => None,
            };
            about = Some(about.map_or(found.about, |about| about.plus(found.about)));
        }
        Ok((whole.map_or(PingValue::Number(sum), PingValue::Integer), about.unwrap_or_default()))
    }
}
