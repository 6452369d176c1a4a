//! Definitions as a store keeps them: JSON of a private, versioned shape.

use serde::{Deserialize, Serialize};

use crate::definition::Definitions;
use crate::definition::event::{EventDefinition, EventFields};
use crate::definition::metric::{MetricDefinition, MetricFields};
use crate::definition::problems::Problems;
use crate::definition::rule::{self, Rule};
use crate::error::{Error, ErrorKind};

/// The version of the shape; it changes when an older reader would misread the newer shape.
const SHAPE_VERSION: u32 = 1;

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Serialize)]
struct Writing<'a> {
    version: u32,
    events: Vec<&'a EventFields>,
    metrics: Vec<&'a MetricFields>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reading {
    #[serde(rename = "version")]
    _version: u32,
    events: Vec<EventFields>,
    metrics: Vec<MetricFields>,
}

impl Definitions {
    /// The definitions as text that [`Definitions::from_json`] reads back to equal ones. Equal definitions give equal bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`] if memory or the serializer fails.
    pub(crate) fn to_json(&self) -> Result<String, Error> {
        let writing = Writing {
            version: SHAPE_VERSION,
            events: self.events().map(|event| &event.0).collect(),
            metrics: self.metrics().map(|metric| &metric.0).collect(),
        };
        serde_json::to_string(&writing).map_err(|source| {
            Error::new(ErrorKind::Internal, "the definitions could not be written as JSON")
                .with_source(source)
        })
    }

    /// Reads what [`Definitions::to_json`] wrote.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Definitions`] for a text of another shape or version, and for definitions that contradict each other.
    pub(crate) fn from_json(json: &str) -> Result<Self, Error> {
        let refused = |source: serde_json::Error| {
            Error::new(ErrorKind::Definitions, format!("stored definitions of an unknown shape: {source}"))
                .with_source(source)
        };
        let Version { version } = serde_json::from_str(json).map_err(refused)?;
        if version != SHAPE_VERSION {
            return Err(Error::new(
                ErrorKind::Definitions,
                format!(
                    "stored definitions of shape {version}; this version of the crate reads shape {SHAPE_VERSION}"
                ),
            ));
        }
        let Reading { events, metrics, .. } = serde_json::from_str(json).map_err(refused)?;
        let mut definitions = Self::new();
        let mut problems = Problems::default();
        for event in events {
            definitions.build_event(EventDefinition(event), &mut problems);
        }
        for metric in metrics {
            definitions.build_metric(MetricDefinition(metric), &mut problems);
        }
        problems.into_warnings().map(|_| definitions)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Rules(#[serde(with = "rule::stored")] Vec<Rule>);

/// Rules as text that [`rules_from_json`] reads back to equal ones.
///
/// # Errors
///
/// [`ErrorKind::Internal`] if memory or the serializer fails.
pub(crate) fn rules_to_json(rules: Vec<Rule>) -> Result<String, Error> {
    serde_json::to_string(&Rules(rules)).map_err(|source| {
        Error::new(ErrorKind::Internal, "the recorded rules could not be written as JSON").with_source(source)
    })
}

/// Reads what [`rules_to_json`] wrote.
///
/// # Errors
///
/// [`ErrorKind::StoreDamaged`] for a text of another shape.
pub(crate) fn rules_from_json(json: &str) -> Result<Vec<Rule>, Error> {
    serde_json::from_str(json).map(|Rules(rules)| rules).map_err(|source| {
        Error::new(ErrorKind::StoreDamaged, format!("the recorded rules in the store are damaged: {source}"))
            .with_source(source)
    })
}
