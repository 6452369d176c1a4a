//! What was found of a metric: its value, or why there is none.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::definition::metric::MetricDefinition;
use crate::definition::words::{DataCategory, ValueType};
use crate::error::{Error, ErrorKind};
use crate::ping::beside::MetricOutcome;
use crate::ping::document::Clash;
use crate::ping::source::{SourceError, SourceFault};
use crate::ping::value::PingValue;
use crate::report::query::{Answer, Value};
use crate::storage::ping::Consent;
use crate::time::range::TimeRange;
use crate::time::timestamp::Timestamp;

/// The longest message of a source that is kept, in characters.
const MAX_MESSAGE: usize = 1_000;

/// A metric that was asked for.
pub(crate) struct Found {
    pub(crate) value: Result<PingValue, Missing>,
    /// Nothing for what was read with others.
    pub(crate) duration: Option<Duration>,
    pub(crate) about: About,
}

/// What stands beside a value.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct About {
    pub(crate) window: Option<TimeRange>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) standard_error: f64,
    pub(crate) is_partial: bool,
}

impl Found {
    pub(crate) fn missing(missing: Missing) -> Self {
        Self { value: Err(missing), duration: Some(Duration::ZERO), about: About::default() }
    }
}

impl About {
    pub(crate) fn of_answer(answer: &Answer) -> Self {
        let Answer { window, since, standard_error, partial: is_partial, .. } = *answer;
        Self { window: Some(window), since: Some(since), standard_error, is_partial }
    }

    /// Of the sum of two values. Their errors may have one cause, so that they add up too.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            window: self.window.filter(|window| other.window == Some(*window)),
            since: self.since.max(other.since),
            standard_error: self.standard_error + other.standard_error,
            is_partial: self.is_partial || other.is_partial,
        }
    }
}

/// Why a metric has no value.
#[derive(Debug, Clone)]
pub(crate) struct Missing {
    pub(crate) outcome: MetricOutcome,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    fault: Option<SourceFault>,
}

impl Missing {
    pub(crate) fn withheld(category: DataCategory) -> Self {
        let message = format!("metrics of the category `{category}` are not permitted");
        Self { outcome: MetricOutcome::Withheld, reason: category.as_str(), message, fault: None }
    }

    pub(crate) fn removed() -> Self {
        let message = "its definition has the status `removed`".to_owned();
        Self { outcome: MetricOutcome::Removed, reason: "removed", message, fault: None }
    }

    /// Of a sum, for the reason of one of its terms: what keeps that out of the ping keeps the sum out, from which it could be told.
    pub(crate) fn of_term(term: &str, missing: &Self) -> Self {
        let message = format!("`{term}`, which it adds, has no value: {}", missing.message);
        Self { message: cut(&message), fault: None, ..*missing }
    }

    pub(crate) fn suppressed(consent: &Consent) -> Self {
        let message = format!("fewer than {} users", consent.least_users());
        Self { outcome: MetricOutcome::Suppressed, reason: "few_users", message, fault: None }
    }

    pub(crate) fn of_store(error: &Error) -> Self {
        let (outcome, reason) = match error.kind() {
            ErrorKind::NotRecorded | ErrorKind::UnknownEvent => (MetricOutcome::Unavailable, "not_recorded"),
            ErrorKind::NoSource => (MetricOutcome::Unavailable, "no_source"),
            ErrorKind::NotKept => (MetricOutcome::Failed, "not_kept"),
            ErrorKind::StoreDamaged => (MetricOutcome::Failed, "store_damaged"),
            _ => (MetricOutcome::Failed, "failed"),
        };
        let message = error.to_string();
        let first = message.lines().next().unwrap_or_default().trim_end_matches(':').to_owned();
        Self { outcome, reason, message: first, fault: None }
    }

    pub(crate) fn of_source(error: &SourceError) -> Self {
        let fault = error.fault();
        let outcome = match fault {
            SourceFault::Unavailable => MetricOutcome::Unavailable,
            _ => MetricOutcome::Failed,
        };
        Self { outcome, reason: fault.as_str(), message: cut(error.message()), fault: Some(fault) }
    }

    pub(crate) fn clashing(clash: Clash) -> Self {
        let (reason, message) = match clash {
            Clash::Taken => {
                ("definitions", "another metric has a value where this one needs an object around its own")
            }
            Clash::TooDeep => ("definitions", "its key path is too deep"),
            Clash::Full => ("too_large", "the values before it fill the ping"),
        };
        Self { outcome: MetricOutcome::Failed, reason, message: message.to_owned(), fault: None }
    }

    pub(crate) fn invalid(message: String) -> Self {
        Self { outcome: MetricOutcome::Failed, reason: "invalid", message, fault: None }
    }

    /// GitLab's number for it; nothing stands for what is left out.
    pub(crate) fn stands_for(&self, metric: &MetricDefinition) -> Option<PingValue> {
        if self.outcome != MetricOutcome::Failed {
            return None;
        }
        Some(match (self.fault, metric.value_type()) {
            (Some(SourceFault::Deprecated), _) => PingValue::Integer(-1_000),
            (Some(SourceFault::Imprecise), _) => PingValue::Integer(-2),
            (_, ValueType::Object) => PingValue::Object([("-1".to_owned(), PingValue::Integer(-1))].into()),
            _ => PingValue::Integer(-1),
        })
    }
}

/// Sources may say anything, and it is kept for years.
fn cut(message: &str) -> String {
    match message.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => message.get(..end).unwrap_or_default().to_owned() + "...",
        None => message.to_owned(),
    }
}

/// A value that is of the type that the definition says.
pub(crate) fn checked(metric: &MetricDefinition, value: PingValue) -> Result<PingValue, Missing> {
    if let Some(fault) = value.fault() {
        return Err(Missing::invalid(fault));
    }
    let is_of_type = match (metric.value_type(), &value) {
        (_, PingValue::Null)
        | (ValueType::Number, PingValue::Integer(_) | PingValue::Number(_))
        | (ValueType::String, PingValue::Text(_))
        | (ValueType::Boolean, PingValue::Boolean(_))
        // Lists among them: GitLab's schemas have no word of their own for those.
        | (ValueType::Object, PingValue::Object(_) | PingValue::List(_)) => true,
        _ => false,
    };
    if is_of_type {
        return Ok(value);
    }
    Err(Missing::invalid(format!(
        "its value is {}, and its definition says {}",
        kind_of(&value),
        metric.value_type()
    )))
}

fn kind_of(value: &PingValue) -> &'static str {
    match value {
        PingValue::Null => "null",
        PingValue::Boolean(_) => "a boolean",
        PingValue::Integer(_) | PingValue::Number(_) => "a number",
        PingValue::Text(_) => "a string",
        PingValue::List(_) => "a list",
        PingValue::Object(_) => "an object",
    }
}

pub(crate) fn value_of(answer: &Answer) -> PingValue {
    match &answer.value {
        Value::Count(count) => (*count).into(),
        Value::Sum { sum, .. } => (*sum).into(),
        Value::Unique(_) => answer.count().unwrap_or_default().into(),
        Value::PerValue(properties) => {
            let counts = |counts: &BTreeMap<String, u64>| {
                let count = |(value, count): (&String, &u64)| (value.clone(), (*count).into());
                PingValue::Object(counts.iter().map(count).collect())
            };
            let property = |(name, values): (&String, &BTreeMap<String, u64>)| (name.clone(), counts(values));
            PingValue::Object(properties.iter().map(property).collect())
        }
    }
}
