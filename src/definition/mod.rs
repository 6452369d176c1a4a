//! Definitions: which events there are and which metrics are made of them, from YAML or built in code.

mod check;
pub(crate) mod event;
pub(crate) mod filter;
#[cfg(feature = "yaml")]
pub(crate) mod load;
pub(crate) mod metric;
pub(crate) mod nearest;
#[cfg(feature = "redis")]
pub(crate) mod pairs;
mod problems;
#[cfg(feature = "yaml")]
mod read;
pub(crate) mod rule;
#[cfg(feature = "yaml")]
mod scalar;
pub(crate) mod stored;
#[cfg(feature = "yaml")]
mod walk;
pub(crate) mod words;
#[cfg(feature = "yaml")]
mod yaml;

use std::collections::BTreeMap;

use crate::definition::event::EventDefinition;
use crate::definition::metric::MetricDefinition;
use crate::definition::problems::{Place, Problems};
use crate::error::{Error, Problem};

/// The events that a program tracks and the metrics that are made of them, free of contradictions.
///
/// Two are equal if they define the same, wherever it stands.
///
/// ```
/// use headcount::{Definitions, EventDefinition, MetricDefinition, Rule, TimeFrame};
///
/// # fn main() -> Result<(), headcount::Error> {
/// let definitions = Definitions::new()
///     .event(EventDefinition::new("issue_created").identifier("user"))?
///     .metric(MetricDefinition::new("counts.issues", TimeFrame::All).rule(Rule::count("issue_created")))?;
/// assert!(definitions.find_event("issue_created").is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    events: BTreeMap<String, Placed<EventDefinition>>,
    metrics: BTreeMap<String, Placed<MetricDefinition>>,
    warnings: Vec<Problem>,
}

#[derive(Debug, Clone)]
struct Placed<T> {
    definition: T,
    place: Place,
}

impl Definitions {
    /// No definitions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an event that is built in code.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Definitions`](crate::ErrorKind::Definitions) if the event cannot mean anything, if there is one of its name, or
    /// if a metric asks of it what it does not declare.
    pub fn event(mut self, event: EventDefinition) -> Result<Self, Error> {
        let mut problems = Problems::default();
        for Placed { definition: metric, place } in self.metrics.values() {
            for rule in metric.rules().iter().filter(|rule| rule.event() == event.action()) {
                for (_, reason) in check::undeclared(rule, &event) {
                    problems.error(place, format!("the metric `{}`: {reason}", metric.key_path()));
                }
            }
        }
        self.build_event(event, &mut problems);
        problems.into_warnings().map(|_| self)
    }

    /// Adds a metric that is built in code.
    ///
    /// Its events may be added later; until they are, its rules count nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Definitions`](crate::ErrorKind::Definitions) if the metric cannot mean anything, if there is one of its key
    /// path, or if it asks of an event what that does not declare.
    pub fn metric(mut self, metric: MetricDefinition) -> Result<Self, Error> {
        let mut problems = Problems::default();
        for rule in metric.rules() {
            let event = self.find_event(rule.event());
            for (_, reason) in event.iter().flat_map(|event| check::undeclared(rule, event)) {
                problems.error(&Place::code(), format!("the metric `{}`: {reason}", metric.key_path()));
            }
        }
        self.build_metric(metric, &mut problems);
        problems.into_warnings().map(|_| self)
    }

    /// The events, sorted by name.
    #[must_use]
    pub fn events(&self) -> impl ExactSizeIterator<Item = &EventDefinition> {
        self.events.values().map(|placed| &placed.definition)
    }

    /// The metrics, sorted by key path.
    #[must_use]
    pub fn metrics(&self) -> impl ExactSizeIterator<Item = &MetricDefinition> {
        self.metrics.values().map(|placed| &placed.definition)
    }

    /// The event of this name.
    #[must_use]
    pub fn find_event(&self, name: &str) -> Option<&EventDefinition> {
        self.events.get(name).map(|placed| &placed.definition)
    }

    /// The metric of this key path.
    #[must_use]
    pub fn find_metric(&self, key_path: &str) -> Option<&MetricDefinition> {
        self.metrics.get(key_path).map(|placed| &placed.definition)
    }

    /// What differs from GitLab's schema without being wrong, sorted by file and place. Definitions built in code have none.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    fn build_event(&mut self, event: EventDefinition, problems: &mut Problems) {
        if let Some(fault) = check::event_fault(&event) {
            problems.error(&Place::code(), fault);
        }
        self.insert_event(event, Place::code(), problems);
    }

    fn build_metric(&mut self, metric: MetricDefinition, problems: &mut Problems) {
        if let Some(fault) = check::metric_fault(&metric) {
            problems.error(&Place::code(), fault);
        }
        self.insert_metric(metric, Place::code(), problems);
    }

    fn insert_event(&mut self, event: EventDefinition, place: Place, problems: &mut Problems) {
        if let Some(known) = self.events.get(event.action()) {
            let message = format!(
                "the event `{}` is already defined at {}; remove one of them",
                event.action(),
                known.place
            );
            return problems.error(&place, message);
        }
        self.events.insert(event.action().to_owned(), Placed { definition: event, place });
    }

    fn insert_metric(&mut self, metric: MetricDefinition, place: Place, problems: &mut Problems) {
        if let Some(known) = self.metrics.get(metric.key_path()) {
            let message = format!(
                "the metric `{}` is already defined at {}; remove one of them",
                metric.key_path(),
                known.place
            );
            return problems.error(&place, message);
        }
        self.metrics.insert(metric.key_path().to_owned(), Placed { definition: metric, place });
    }
}

impl PartialEq for Definitions {
    fn eq(&self, other: &Self) -> bool {
        self.events().eq(other.events()) && self.metrics().eq(other.metrics())
    }
}
