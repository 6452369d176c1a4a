//! Building a ping: every active metric from its source, within limits in time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::definition::metric::MetricDefinition;
use crate::definition::words::{DataCategory, MetricStatus, ValueType};
use crate::error::{Error, ErrorKind};
use crate::ping::asking::Asking;
use crate::ping::beside::{MetricOutcome, MetricReport};
use crate::ping::document::{Clash, Document, SCHEMA_VERSION};
use crate::ping::numbers;
use crate::ping::source::{Asked, SourceError, SourceFault, Sources};
use crate::ping::system::{self, Fact, Program};
use crate::ping::value::PingValue;
use crate::report::metric::Evaluate;
use crate::report::query::{Answer, Value};
use crate::report::reader::Reader;
use crate::storage::ping::Consent;
use crate::time::timestamp::Timestamp;

/// What stands in the document for a metric that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Failures {
    /// GitLab's numbers: -1, `{"-1": -1}` for an object, -2 for an estimate that failed, -1000 for what is no longer supported.
    #[default]
    AsGitlab,
    /// Nothing: it is left out, and what stands beside the document says why.
    LeftOut,
}

/// How long the parts of a ping may take.
///
/// ```
/// use std::time::Duration;
/// use headcount::PingLimits;
///
/// let limits = PingLimits { metric: Duration::from_secs(5), ..PingLimits::default() };
/// assert_eq!(limits.ping, Duration::from_secs(600));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PingLimits {
    /// The longest that one metric may take, 30 seconds by default.
    pub metric: Duration,
    /// The longest that all may take together, 10 minutes by default; metrics that are not asked by then fail.
    pub ping: Duration,
}

impl Default for PingLimits {
    fn default() -> Self {
        Self { metric: Duration::from_secs(30), ping: Duration::from_secs(600) }
    }
}

/// Told of each metric from a source that was asked: how many are done, of how many, and which is next.
pub(crate) type Told<'a> = dyn FnMut(usize, usize, &str) + 'a;

/// What a ping is built from.
pub(crate) struct Building<'a> {
    pub(crate) reader: &'a Reader,
    pub(crate) sources: &'a Sources,
    pub(crate) program: &'a Program,
    pub(crate) facts: &'a BTreeMap<String, PingValue>,
    pub(crate) consent: &'a Consent,
    pub(crate) limits: PingLimits,
    pub(crate) failures: Failures,
    /// The instant before which the complete weeks of `7d` and `28d` end.
    pub(crate) weeks_before: Timestamp,
}

pub(crate) struct Built {
    pub(crate) document: String,
    pub(crate) metrics: Vec<MetricReport>,
    pub(crate) recorded_at: Timestamp,
    pub(crate) finished_at: Timestamp,
    pub(crate) duration: Duration,
}

impl Built {
    /// Whether something that has a source is not in the document.
    pub(crate) fn is_partial(&self) -> bool {
        self.metrics.iter().any(|metric| metric.outcome == MetricOutcome::Failed)
    }
}

impl Building<'_> {
    pub(crate) fn build(&self, told: &mut Told<'_>) -> Result<Built, Error> {
        let (began, recorded_at) = (Instant::now(), self.reader.clock_now());
        let definitions = self.reader.definitions()?;
        let system = system::facts(self.reader, self.program, recorded_at)?;
        let active = |metric: &&MetricDefinition| metric.status() != MetricStatus::Removed;
        let (permitted, withheld): (Vec<_>, Vec<_>) = definitions
            .metrics()
            .filter(active)
            .partition(|metric| self.consent.permits(metric.data_category()));
        let mut known: BTreeMap<&str, Found> = self.of_events(&permitted)?;
        let rest = permitted.iter().copied().filter(|metric| !known.contains_key(metric.key_path()));
        let (sums, others): (Vec<&MetricDefinition>, Vec<&MetricDefinition>) =
            rest.partition(|metric| self.sources.find(metric).is_none() && numbers::is_one(metric));
        let deadline = began + self.limits.ping;
        let mut asking = Asking::default();
        for (done, metric) in others.iter().enumerate() {
            told(done, others.len(), metric.key_path());
            let began = Instant::now();
            let value = match self.sources.find(metric) {
                Some(source) => asking.ask(source, &self.asked(metric, recorded_at, deadline)),
                None => of_system(metric, &system),
            };
            known.insert(metric.key_path(), Found::of(value, began.elapsed()));
        }
        for metric in sums {
            let began = Instant::now();
            let value = numbers::value(metric, |key_path| known.get(key_path).map(|found| &found.value));
            known.insert(metric.key_path(), Found::of(value, began.elapsed()));
        }
        let mut document = Document::default();
        let mut reports: Vec<MetricReport> = withheld
            .iter()
            .map(|metric| MetricReport::withheld(metric.key_path(), metric.data_category()))
            .collect();
        for metric in &permitted {
            if let Some(found) = known.remove(metric.key_path()) {
                reports.push(self.place(metric, found, &mut document));
            }
        }
        reports.sort_by(|a, b| a.key_path.cmp(&b.key_path));
        let finished_at = self.reader.clock_now();
        let is_defined =
            |key_path: &str| definitions.find_metric(key_path).is_some_and(|metric| active(&metric));
        self.place_facts(&mut document, system, finished_at, is_defined)?;
        let document = document.render()?;
        Ok(Built { document, metrics: reports, recorded_at, finished_at, duration: began.elapsed() })
    }

    fn asked(&self, metric: &MetricDefinition, at: Timestamp, deadline: Instant) -> Asked {
        let metric = Arc::new(metric.clone());
        Asked { metric, at, deadline: deadline.min(Instant::now() + self.limits.metric) }
    }

    /// The metrics that events count, unless a source was named for one of them, read together. One that the store cannot know may
    /// have a source for all of its kind.
    fn of_events<'m>(&self, metrics: &[&'m MetricDefinition]) -> Result<BTreeMap<&'m str, Found>, Error> {
        let began = Instant::now();
        let counted: Vec<_> = metrics
            .iter()
            .filter(|metric| !metric.rules().is_empty() && !self.sources.is_named(metric))
            .collect();
        let mut how = Evaluate::default();
        how.weeks_before = Some(self.weeks_before);
        let values = self.reader.metrics_of(counted.iter().map(|metric| metric.key_path()), how)?;
        let each = began.elapsed() / u32::try_from(values.len().max(1)).unwrap_or(u32::MAX);
        let mut known = BTreeMap::new();
        for (metric, value) in counted.into_iter().zip(values) {
            let is_unknown =
                |error: &Error| matches!(error.kind(), ErrorKind::NotRecorded | ErrorKind::UnknownEvent);
            if value.outcome.as_ref().is_err_and(is_unknown) && self.sources.find(metric).is_some() {
                continue;
            }
            known.insert(metric.key_path(), self.found(value.outcome, each));
        }
        Ok(known)
    }

    fn found(&self, outcome: Result<Answer, Error>, duration: Duration) -> Found {
        match outcome {
            Ok(answer) => {
                let users = answer.is_estimate().then(|| answer.count()).flatten();
                let is_small =
                    users.is_some_and(|users| users > 0 && users < self.consent.least_users().into());
                let value =
                    if is_small { Err(Missing::suppressed(self.consent)) } else { Ok(value_of(&answer)) };
                Found { value, duration, answer: Some(answer) }
            }
            Err(error) => Found { value: Err(Missing::of_store(&error)), duration, answer: None },
        }
    }

    /// Puts a metric into the document, or what stands for it.
    fn place(&self, metric: &MetricDefinition, found: Found, document: &mut Document) -> MetricReport {
        let key_path = metric.key_path();
        let value = found.value.and_then(|value| checked(metric, value));
        let placed = match value {
            Ok(value) => document.put(key_path, value).map_err(Missing::clashing),
            Err(missing) => {
                if let (Failures::AsGitlab, Some(number)) = (self.failures, missing.stands_for(metric)) {
                    // Where even that has no place, the report says what was missing all the same.
                    let _ = document.put(key_path, number);
                }
                Err(missing)
            }
        };
        let mut report = match placed {
            Ok(()) => MetricReport::value(key_path, found.duration),
            Err(Missing { outcome, reason, message, .. }) => {
                MetricReport::without(key_path, outcome, reason, message, found.duration)
            }
        };
        if let Some(answer) = found.answer {
            report.window = Some(answer.window);
            report.since = Some(answer.since);
            report.is_partial = answer.partial;
            if report.outcome == MetricOutcome::Value {
                report.standard_error = answer.standard_error;
            }
        }
        report
    }

    /// What is known without definitions, where no definition has its place.
    fn place_facts(
        &self,
        document: &mut Document,
        system: Vec<Fact>,
        finished_at: Timestamp,
        is_defined: impl Fn(&str) -> bool,
    ) -> Result<(), Error> {
        let finished = Fact {
            key_path: "recording_finished_at",
            class: "",
            category: DataCategory::Standard,
            value: finished_at.to_string().into(),
        };
        for fact in system.into_iter().chain([finished]) {
            let is_given = self.facts.contains_key(fact.key_path);
            if self.consent.permits(fact.category) && !is_given && !is_defined(fact.key_path) {
                // A metric that is nested here has the place.
                let _ = document.put(fact.key_path, fact.value);
            }
        }
        for (key_path, value) in self.facts {
            let misplaced = match document.put(key_path, value.clone()) {
                _ if is_defined(key_path) => "a metric has this key path",
                Ok(()) => match value.fault() {
                    None => continue,
                    Some(_) => "its value cannot stand in a ping",
                },
                Err(Clash::Taken) => "a metric stands there",
                Err(Clash::TooDeep) => "its key path is too deep",
            };
            return Err(Error::new(
                ErrorKind::Usage,
                format!("the fact `{key_path}` of the ping: {misplaced}; give it another key path"),
            ));
        }
        let permitted = DataCategory::ALL.iter().filter(|category| self.consent.permits(**category));
        let categories = permitted.map(|category| category.as_str().into()).collect();
        let collected = [
            ("schema_version", PingValue::Integer(SCHEMA_VERSION)),
            ("settings.collected_data_categories", PingValue::List(categories)),
        ];
        for (key_path, value) in collected {
            if !is_defined(key_path) {
                let _ = document.put(key_path, value);
            }
        }
        Ok(())
    }
}

/// A metric that was asked for.
pub(crate) struct Found {
    value: Result<PingValue, Missing>,
    duration: Duration,
    answer: Option<Answer>,
}

impl Found {
    fn of(value: Result<PingValue, SourceError>, duration: Duration) -> Self {
        Self { value: value.map_err(Missing::of_source), duration, answer: None }
    }
}

/// Why a metric has no value.
#[derive(Debug, Clone)]
pub(crate) struct Missing {
    pub(crate) outcome: MetricOutcome,
    reason: &'static str,
    pub(crate) message: String,
    fault: Option<SourceFault>,
}

impl Missing {
    fn suppressed(consent: &Consent) -> Self {
        let message = format!("fewer than {} users", consent.least_users());
        Self { outcome: MetricOutcome::Suppressed, reason: "few_users", message, fault: None }
    }

    fn of_store(error: &Error) -> Self {
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

    fn of_source(error: SourceError) -> Self {
        let fault = error.fault();
        let outcome = match fault {
            SourceFault::Unavailable => MetricOutcome::Unavailable,
            _ => MetricOutcome::Failed,
        };
        Self { outcome, reason: fault.as_str(), message: error.message().to_owned(), fault: Some(fault) }
    }

    fn clashing(clash: Clash) -> Self {
        let message = match clash {
            Clash::Taken => "another metric has a value where this one needs an object around its own",
            Clash::TooDeep => "its key path is too deep",
        };
        Self {
            outcome: MetricOutcome::Failed,
            reason: "definitions",
            message: message.to_owned(),
            fault: None,
        }
    }

    fn invalid(message: String) -> Self {
        Self { outcome: MetricOutcome::Failed, reason: "invalid", message, fault: None }
    }

    /// GitLab's number for it; nothing stands for what is left out.
    fn stands_for(&self, metric: &MetricDefinition) -> Option<PingValue> {
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

fn of_system(metric: &MetricDefinition, system: &[Fact]) -> Result<PingValue, SourceError> {
    let of_class = |class| system.iter().find(|fact| fact.class == class);
    if let Some(fact) = metric.instrumentation_class().and_then(of_class) {
        return Ok(fact.value.clone());
    }
    Err(SourceError::unavailable(match (metric.without_rules(), metric.instrumentation_class()) {
        (Some(reason), _) => reason.to_owned(),
        (None, Some(class)) => {
            format!("nothing answers for the class `{class}`, nor for `{}`", metric.data_source())
        }
        (None, None) => format!("its data source `{}` is not connected", metric.data_source()),
    }))
}

/// A value that is of the type that the definition says.
fn checked(metric: &MetricDefinition, value: PingValue) -> Result<PingValue, Missing> {
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

fn value_of(answer: &Answer) -> PingValue {
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
