//! Metrics that are made of others: GitLab's `NumbersMetric`, which adds up.

use crate::definition::metric::MetricDefinition;
use crate::ping::found::Missing;
use crate::ping::source::{SourceError, SourceFault};
use crate::ping::value::PingValue;

const CLASS: &str = "NumbersMetric";
/// The most metrics that one adds up.
const MAX_TERMS: usize = 1_000;

pub(crate) fn is_one(metric: &MetricDefinition) -> bool {
    metric.instrumentation_class() == Some(CLASS)
}

/// The key paths that it names.
pub(crate) fn terms(metric: &MetricDefinition) -> Vec<String> {
    let values =
        metric.options().and_then(|options| options.get("values")).and_then(|values| values.as_array());
    let terms = values.into_iter().flatten().take(MAX_TERMS);
    terms.filter_map(|term| term.as_str().map(ToOwned::to_owned)).collect()
}

/// The sum of the metrics whose key paths `options.values` has; without one of them there is none.
pub(crate) fn value<'a>(
    metric: &MetricDefinition,
    known: impl Fn(&str) -> Option<&'a Result<PingValue, Missing>>,
) -> Result<PingValue, SourceError> {
    let invalid = |message: String| SourceError::new(SourceFault::Invalid, message);
    let option = |name: &str| metric.options().and_then(|options| options.get(name));
    if option("operation").is_some_and(|operation| operation != "add") {
        return Err(invalid("`options.operation` must be `add`".to_owned()));
    }
    let terms = option("values").and_then(|values| values.as_array()).filter(|terms| !terms.is_empty());
    let terms =
        terms.ok_or_else(|| invalid("`options.values` must list the key paths to add up".to_owned()))?;
    if terms.len() > MAX_TERMS {
        return Err(invalid(format!("`options.values` has more than {MAX_TERMS} key paths")));
    }
    let mut whole = Some(0_i64);
    let mut sum = 0.0;
    for term in terms {
        let key_path =
            term.as_str().ok_or_else(|| invalid(format!("{term} in `options.values` is no key path")))?;
        let value = match known(key_path) {
            None => {
                return Err(invalid(format!(
                    "`{key_path}`, which it adds, is no metric that has its own value"
                )));
            }
            Some(Err(missing)) => {
                return Err(SourceError::failed(format!(
                    "`{key_path}`, which it adds, has no value: {}",
                    missing.message
                )));
            }
            Some(Ok(value)) => value,
        };
        let number =
            value.number().ok_or_else(|| invalid(format!("`{key_path}`, which it adds, is no number")))?;
        if number < 0.0 {
            return Err(SourceError::failed(format!("`{key_path}`, which it adds, is negative")));
        }
        sum += number;
        whole = match (whole, value) {
            (Some(whole), PingValue::Integer(term)) => whole.checked_add(*term),
            _ => None,
        };
    }
    Ok(whole.map_or(PingValue::Number(sum), PingValue::Integer))
}
