//! Building a ping: every active metric from its source, within limits in time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::definition::Definitions;
use crate::definition::metric::MetricDefinition;
use crate::definition::words::{DataCategory, MetricStatus};
use crate::error::{Error, ErrorKind};
use crate::ping::asking::Asking;
use crate::ping::beside::{MetricOutcome, MetricReport};
use crate::ping::document::{Clash, Document, SCHEMA_VERSION};
use crate::ping::found::{About, Found, Missing, checked, value_of};
use crate::ping::numbers;
use crate::ping::source::{Asked, Said, SourceError, Sources};
use crate::ping::sources::database::DatabaseMetric;
use crate::ping::system::{self, Fact, Program};
use crate::ping::value::PingValue;
use crate::report::metric::Evaluate;
use crate::report::query::Answer;
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

/// Longer limits count as this: a lease must end within a day.
const MAX_LIMIT: Duration = Duration::from_secs(12 * 3_600);

impl PingLimits {
    /// As they are heeded.
    pub(crate) fn held(self) -> Self {
        Self { metric: self.metric.min(MAX_LIMIT), ping: self.ping.min(MAX_LIMIT) }
    }
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
    /// The instant whose values events have, if not now.
    pub(crate) as_of: Option<Timestamp>,
}

pub(crate) struct Built {
    pub(crate) document: String,
    pub(crate) metrics: Vec<MetricReport>,
    pub(crate) recorded_at: Timestamp,
    pub(crate) finished_at: Timestamp,
    pub(crate) duration: Duration,
    /// What the metrics of events took together, if there are any.
    pub(crate) events_duration: Option<Duration>,
}

impl Built {
    /// Whether something that has a source is not in the document.
    pub(crate) fn is_partial(&self) -> bool {
        self.metrics.iter().any(|metric| metric.outcome == MetricOutcome::Failed)
    }
}

impl Building<'_> {
    pub(crate) fn build(&self, told: &mut Told<'_>) -> Result<Built, Error> {
        let (began, recorded_at) = (Instant::now(), self.as_of.unwrap_or_else(|| self.reader.clock_now()));
        let definitions = self.reader.definitions()?;
        let system = system::facts(self.reader, self.program, recorded_at)?;
        let active: Vec<_> = definitions.metrics().filter(|metric| is_active(metric)).collect();
        let (mut known, events_duration) = self.find(&active, &system, recorded_at, told)?;
        let mut document = Document::default();
        let mut reports = Vec::with_capacity(active.len());
        for metric in &active {
            if let Some(found) = known.remove(metric.key_path()) {
                reports.push(self.place(metric, found, &mut document));
            }
        }
        let finished_at = self.as_of.unwrap_or_else(|| self.reader.clock_now());
        let removed = self.place_facts(&mut document, system, finished_at, &definitions)?;
        reports.extend(
            removed
                .into_iter()
                .map(|metric| self.place(metric, Found::missing(Missing::removed()), &mut document)),
        );
        reports.sort_by(|a, b| a.key_path.cmp(&b.key_path));
        let document = document.render()?;
        let duration = began.elapsed();
        Ok(Built { document, metrics: reports, recorded_at, finished_at, duration, events_duration })
    }

    /// One metric alone: its value, if it has one, and what became of it.
    pub(crate) fn one(&self, key_path: &str) -> Result<(Option<PingValue>, MetricReport), Error> {
        let recorded_at = self.as_of.unwrap_or_else(|| self.reader.clock_now());
        let definitions = self.reader.definitions()?;
        let Some(metric) = definitions.find_metric(key_path) else {
            // Says so, with the nearest name.
            return Err(self.reader.metric(key_path).err().unwrap_or_else(|| {
                Error::new(ErrorKind::UnknownMetric, format!("no metric has the key path `{key_path}`"))
            }));
        };
        // With what it adds, and what that adds.
        let (mut wanted, mut next) = (BTreeMap::new(), vec![metric]);
        while let Some(metric) = next.pop().filter(|metric| is_active(metric)) {
            if wanted.insert(metric.key_path(), metric).is_none() && self.is_sum(metric) {
                let terms = numbers::terms(metric).filter_map(|term| definitions.find_metric(term));
                next.extend(terms.filter(|term| is_active(term)));
            }
        }
        let wanted: Vec<_> = wanted.into_values().collect();
        let system = system::facts(self.reader, self.program, recorded_at)?;
        let (mut known, _) = self.find(&wanted, &system, recorded_at, &mut |_, _, _| {})?;
        let found = known.remove(key_path).unwrap_or_else(|| Found::missing(Missing::removed()));
        let value = found.value.clone().and_then(|value| checked(metric, value)).ok();
        Ok((value, self.place(metric, found, &mut Document::default())))
    }

    /// What a ping of these active metrics says of each of them, and how long those of events took together.
    fn find<'m>(
        &self,
        metrics: &[&'m MetricDefinition],
        system: &[Fact],
        recorded_at: Timestamp,
        told: &mut Told<'_>,
    ) -> Result<(BTreeMap<&'m str, Found>, Option<Duration>), Error> {
        let deadline = Instant::now() + self.limits.ping;
        let is_permitted = |metric: &&MetricDefinition| self.consent.permits(metric.data_category());
        let (permitted, withheld): (Vec<_>, Vec<_>) = metrics.iter().copied().partition(is_permitted);
        let began = Instant::now();
        let mut known = self.of_events(&permitted)?;
        let events_duration = (!known.is_empty()).then(|| began.elapsed());
        let rest = permitted.into_iter().filter(|metric| !known.contains_key(metric.key_path()));
        let (sums, others): (Vec<_>, Vec<_>) = rest.partition(|metric| self.is_sum(metric));
        for metric in withheld {
            known.insert(metric.key_path(), Found::missing(Missing::withheld(metric.data_category())));
        }
        let mut asking = Asking::default();
        for (done, metric) in others.iter().enumerate() {
            told(done, others.len(), metric.key_path());
            let asked = self.asked(metric, recorded_at, deadline);
            known.insert(metric.key_path(), self.ask(&mut asking, &asked, system));
        }
        let sums = sums.into_iter().map(|metric| (metric.key_path(), metric)).collect();
        numbers::add_up(&sums, &mut known);
        Ok((known, events_duration))
    }

    /// Whether it is made of others, and no source was named for it: one of all of a data source knows nothing of sums.
    fn is_sum(&self, metric: &MetricDefinition) -> bool {
        numbers::is_one(metric) && !self.sources.is_named(metric)
    }

    /// Asks the source of a metric, or what the crate knows itself.
    fn ask(&self, asking: &mut Asking, asked: &Asked, system: &[Fact]) -> Found {
        let began = Instant::now();
        let value = match self.sources.find(asked.metric()) {
            Some(source) => asking.ask(source, asked),
            // What is declared and does not read is a mistake, also where nobody would ask it.
            None => DatabaseMetric::declared(asked.metric()).and_then(|declared| {
                declared.as_ref().map(|declared| declared.tell(asked)).transpose()?;
                of_system(asked.metric(), declared.as_ref(), system)
            }),
        };
        let mut value = value.map_err(|error| Missing::of_source(&error));
        let Said { mut about, is_distinct } = *asked.said.lock();
        if !(0.0..f64::INFINITY).contains(&about.standard_error) {
            value =
                value.and(Err(Missing::invalid(format!("its standard error is {}", about.standard_error))));
            about.standard_error = 0.0;
        }
        let least = f64::from(self.consent.least_users());
        let is_few = |value: &PingValue| value.number().is_some_and(|number| number > 0.0 && number < least);
        if is_distinct && value.as_ref().is_ok_and(is_few) {
            value = Err(Missing::suppressed(self.consent));
        }
        Found { value, duration: Some(began.elapsed()), about }
    }

    fn asked(&self, metric: &MetricDefinition, at: Timestamp, deadline: Instant) -> Asked {
        let metric = Arc::new(metric.clone());
        let deadline = deadline.min(Instant::now() + self.limits.metric);
        Asked { metric, at, deadline, said: Arc::default(), kept: Arc::default() }
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
        (how.weeks_before, how.as_of) = (Some(self.weeks_before), self.as_of);
        let values = self.reader.metrics_of(counted.iter().map(|metric| metric.key_path()), how)?;
        let duration = (values.len() == 1).then(|| began.elapsed());
        let mut known = BTreeMap::new();
        for (metric, value) in counted.into_iter().zip(values) {
            let is_unknown =
                |error: &Error| matches!(error.kind(), ErrorKind::NotRecorded | ErrorKind::UnknownEvent);
            if value.outcome.as_ref().is_err_and(is_unknown) && self.sources.find(metric).is_some() {
                continue;
            }
            known.insert(metric.key_path(), self.found(value.outcome, duration));
        }
        Ok(known)
    }

    fn found(&self, outcome: Result<Answer, Error>, duration: Option<Duration>) -> Found {
        match outcome {
            Ok(answer) => {
                let users = answer.is_estimate().then(|| answer.count()).flatten();
                let is_small =
                    users.is_some_and(|users| users > 0 && users < self.consent.least_users().into());
                let value =
                    if is_small { Err(Missing::suppressed(self.consent)) } else { Ok(value_of(&answer)) };
                Found { value, duration, about: About::of_answer(&answer) }
            }
            Err(error) => Found { duration, ..Found::missing(Missing::of_store(&error)) },
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
        let About { window, since, standard_error, is_partial } = found.about;
        (report.window, report.since, report.is_partial) = (window, since, is_partial);
        if report.outcome == MetricOutcome::Value {
            report.standard_error = standard_error;
        }
        report
    }

    /// What is known without definitions, where no definition has its place; the removed ones that have one are given back.
    fn place_facts<'d>(
        &self,
        document: &mut Document,
        system: Vec<Fact>,
        finished_at: Timestamp,
        definitions: &'d Definitions,
    ) -> Result<Vec<&'d MetricDefinition>, Error> {
        let mut removed = Vec::new();
        let mut is_defined = |key_path: &str| {
            let defined = definitions.find_metric(key_path);
            removed.extend(defined.filter(|metric| !is_active(metric)));
            defined.is_some()
        };
        let finished = Fact {
            key_path: "recording_finished_at",
            class: "",
            category: DataCategory::Standard,
            value: finished_at.to_string().into(),
        };
        for fact in system.into_iter().chain([finished]) {
            let is_given = self.facts.contains_key(fact.key_path);
            if !is_given && !is_defined(fact.key_path) && self.consent.permits(fact.category) {
                // A metric that is nested here has the place.
                let _ = document.put(fact.key_path, fact.value);
            }
        }
        for (key_path, value) in self.facts {
            let is_sound = value.fault().is_none();
            let misplaced =
                match document.put(key_path, if is_sound { value.clone() } else { PingValue::Null }) {
                    _ if is_defined(key_path) => "a metric has this key path",
                    Ok(()) if is_sound => continue,
                    Ok(()) => "its value cannot stand in a ping",
                    Err(Clash::Full) => "the values of metrics fill the ping",
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
        Ok(removed)
    }
}

fn is_active(metric: &MetricDefinition) -> bool {
    metric.status() != MetricStatus::Removed
}

fn of_system(
    metric: &MetricDefinition,
    declared: Option<&DatabaseMetric>,
    system: &[Fact],
) -> Result<PingValue, SourceError> {
    let of_class = |class| system.iter().find(|fact| fact.class == class);
    if let Some(fact) = metric.instrumentation_class().and_then(of_class) {
        return Ok(fact.value.clone());
    }
    Err(SourceError::unavailable(match (metric.without_rules(), declared, metric.instrumentation_class()) {
        (Some(reason), ..) => reason.to_owned(),
        (None, Some(declared), _) => {
            let postgres = if cfg!(feature = "postgres") { " or `--postgres FILE`" } else { "" };
            format!(
                "no database is connected to ask about `{}`; name one by `--sqlite FILE`{postgres}, or by `Sources::data_source_from`",
                declared.relation()
            )
        }
        (None, None, Some(class)) => format!(
            "nothing answers for the class `{class}`, nor for `{}`; give a value by `--answers FILE`, or a source by `Sources::class`",
            metric.data_source()
        ),
        (None, None, None) => format!(
            "its data source `{}` is not connected; give a value by `--answers FILE`, or a source by `Sources::data_source`",
            metric.data_source()
        ),
    }))
}
