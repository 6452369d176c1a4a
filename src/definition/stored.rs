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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::frame::TimeFrame;

    fn sample() -> Definitions {
        let event =
            EventDefinition::new("e").description("ü").identifier("device").value().custom("c").removed();
        let sum = Rule::sum("e").filter("c", 12.4).filter("value", 0.1 + 0.2);
        let metric = |key_path: &str| MetricDefinition::new(key_path, TimeFrame::All);
        Definitions::new()
            .event(event)
            .and_then(|all| all.metric(metric("a.sum").rule(sum)))
            .and_then(|all| all.metric(metric("a.devices").rule(Rule::unique("e", "device"))))
            .and_then(|all| {
                all.metric(metric("a.values").rule(Rule::per_value("e", "c").filter("c", "12.4")))
            })
            .unwrap()
    }

    #[test]
    fn definitions_survive_storage() {
        let json = sample().to_json().unwrap();
        assert_eq!(Definitions::from_json(&json).unwrap(), sample());
        assert_eq!(Definitions::from_json(&json).unwrap().to_json().unwrap(), json);
    }

    #[cfg(feature = "yaml")]
    #[test]
    fn definitions_from_yaml_survive_storage() {
        let event = "action: e\ncategory: C\nmilestone: '1.0'\nextra_properties: {a: [1, null, .5]}\n\
            classification: duo\nextra_trackers: [{tracking_class: X}]\ntiers: [free]\n";
        let metric = "key_path: k\ndata_source: redis_hll\ntime_frame: [7d, 28d]\nstatus: broken\n\
            options: {aggregate: {operator: OR, attribute: project_id}, events: [e, f]}\ndata_category: standard\n";
        let hopeless = "key_path: l\ndata_source: redis\ntime_frame: all\n";
        let loaded = Definitions::embedded(&[("e", event), ("m", metric), ("l", hopeless)]).unwrap();
        let stored = Definitions::from_json(&loaded.to_json().unwrap()).unwrap();
        assert_eq!(stored, loaded);
        assert_eq!(stored.find_metric("l").unwrap().without_rules(), Some("it names no events"));
    }

    #[cfg(feature = "yaml")]
    #[test]
    fn gitlabs_own_definitions_survive_storage() {
        // Whether the machine must have them is asserted where they are loaded through the public interface.
        let Some(folder) = std::env::var_os("HEADCOUNT_GITLAB_DEFINITIONS") else { return };
        let loaded = Definitions::load(std::path::Path::new(&folder).join("config")).unwrap();
        assert_eq!(Definitions::from_json(&loaded.to_json().unwrap()).unwrap(), loaded);
    }

    #[test]
    fn what_is_no_stored_definition_is_refused() {
        let json = sample().to_json().unwrap();
        for (text, reason) in [
            (String::new(), "unknown shape"),
            ("[]".to_owned(), "unknown shape"),
            (r#"{"version":2,"events":[]}"#.to_owned(), "of shape 2"),
            (json.replacen("\"removed\"", "\"retired\"", 1), "unknown shape"),
            (json.replacen("\"internal_events\"", "\"external\"", 1), "unknown shape"),
            (json.replacen("\"12.4\"", "\"12,4\"", 1), "unknown shape"),
            (json.replacen("\"12.4\"", "\"NaN\"", 1), "unknown shape"),
            (json.replacen("\"action\":\"e\"", "\"action\":\"\"", 1), "must not be empty"),
            (json.replacen("\"a.sum\"", "\"a.devices\"", 1), "already defined"),
        ] {
            let error = Definitions::from_json(&text).expect_err(reason);
            assert_eq!(error.kind(), ErrorKind::Definitions);
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}
