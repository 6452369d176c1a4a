//! The definition of a metric: one key path, one time frame, and where its value comes from.

use serde::{Deserialize, Serialize};

use crate::definition::rule::{self, Rule, RuleKind};
use crate::definition::words::{DataCategory, DataSource, MetricStatus, Stored, ValueType};
use crate::time::frame::TimeFrame;

/// Longest key path, in bytes.
pub(crate) const MAX_KEY_PATH_BYTES: usize = 512;
/// Most rules that one metric adds up or unites.
pub(crate) const MAX_RULES: usize = 1_000;

/// One number, text or object of the report: GitLab's metric definition after its time frames were expanded.
///
/// A YAML file with a list of time frames gives one metric for each: `7d` appends `_weekly` to the key path, `28d` `_monthly`
/// and `all` nothing. A metric of events has one or several rules, all of one kind: counts and sums are added up, uniques united,
/// counts per value kept apart by property.
///
/// Definitions of older GitLab mean this: `data_source: redis_hll` with `options.events` counts the distinct users of these events
/// (`options.aggregate.attribute: project_id` the distinct projects), `data_source: redis` with `options.prefix` and `options.event`
/// counts the event `<prefix>_<event>`. One that cannot be read so, as an intersection, has no rules, and
/// [`MetricDefinition::without_rules`] says why.
///
/// ```
/// use headcount::{MetricDefinition, Rule, RuleKind, TimeFrame};
///
/// let metric = MetricDefinition::new("counts.issues_weekly", TimeFrame::SevenDays).rule(Rule::count("issue_created"));
/// assert_eq!(metric.kind(), Some(RuleKind::Count));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct MetricDefinition(pub(in crate::definition) MetricFields);

/// The fields as GitLab's schema has them, except that `events` and the older forms of it are rules. Serialized, this is the
/// stored shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::definition) struct MetricFields {
    pub(in crate::definition) key_path: String,
    pub(in crate::definition) time_frame: TimeFrame,
    pub(in crate::definition) status: Stored<MetricStatus>,
    pub(in crate::definition) data_source: Stored<DataSource>,
    pub(in crate::definition) data_category: Stored<DataCategory>,
    pub(in crate::definition) value_type: Stored<ValueType>,
    #[serde(with = "rule::stored")]
    pub(in crate::definition) rules: Vec<Rule>,
    pub(in crate::definition) without_rules: Option<String>,
    pub(in crate::definition) options: Option<serde_json::Value>,
    pub(in crate::definition) instrumentation_class: Option<String>,
    pub(in crate::definition) notes: MetricNotes,
}

/// What a definition says for its readers; nothing is computed from it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::definition) struct MetricNotes {
    pub(in crate::definition) description: String,
    pub(in crate::definition) name: Option<String>,
    pub(in crate::definition) product_group: Option<String>,
    pub(in crate::definition) product_categories: Vec<String>,
    pub(in crate::definition) milestone: Option<String>,
    pub(in crate::definition) milestone_removed: Option<String>,
    pub(in crate::definition) introduced_by_url: Option<String>,
    pub(in crate::definition) removed_by_url: Option<String>,
    pub(in crate::definition) repair_issue_url: Option<String>,
    pub(in crate::definition) performance_indicator_type: Vec<String>,
    pub(in crate::definition) tiers: Vec<String>,
    pub(in crate::definition) value_json_schema: Option<String>,
}

impl MetricDefinition {
    /// An active metric without rules, a number counted from events, of the category `optional`.
    #[must_use]
    pub fn new(key_path: impl Into<String>, time_frame: TimeFrame) -> Self {
        Self(MetricFields {
            key_path: key_path.into(),
            time_frame,
            status: Stored(MetricStatus::Active),
            data_source: Stored(DataSource::InternalEvents),
            data_category: Stored(DataCategory::Optional),
            value_type: Stored(ValueType::Number),
            rules: Vec::new(),
            without_rules: None,
            options: None,
            instrumentation_class: None,
            notes: MetricNotes::default(),
        })
    }

    /// Adds a rule; all rules of a metric are of one kind. A rule that counts per value makes the metric an object.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        if rule.kind() == RuleKind::PerValue {
            self.0.value_type = Stored(ValueType::Object);
        }
        self.0.rules.push(rule);
        self
    }

    /// Says in a sentence what is counted.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.0.notes.description = text.into();
        self
    }

    /// Says where the value comes from, for metrics that the host program supplies.
    #[must_use]
    pub fn source(mut self, source: DataSource) -> Self {
        self.0.data_source = Stored(source);
        self
    }

    /// Says why the metric is collected.
    #[must_use]
    pub fn category(mut self, category: DataCategory) -> Self {
        self.0.data_category = Stored(category);
        self
    }

    /// Says of which JSON type the value is, for metrics that the host program supplies.
    #[must_use]
    pub fn value(mut self, value_type: ValueType) -> Self {
        self.0.value_type = Stored(value_type);
        self
    }

    /// Declares that the metric is no longer reported.
    #[must_use]
    pub fn removed(mut self) -> Self {
        self.0.status = Stored(MetricStatus::Removed);
        self
    }

    /// The place of the value in the report, segments separated by dots.
    #[must_use]
    pub fn key_path(&self) -> &str {
        &self.0.key_path
    }

    /// What is counted, in words; empty if nobody said.
    #[must_use]
    pub fn description_text(&self) -> &str {
        &self.0.notes.description
    }

    /// Over which time the metric counts.
    #[must_use]
    pub fn time_frame(&self) -> TimeFrame {
        self.0.time_frame
    }

    /// Whether the metric is reported.
    #[must_use]
    pub fn status(&self) -> MetricStatus {
        self.0.status.0
    }

    /// Where the value comes from.
    #[must_use]
    pub fn data_source(&self) -> DataSource {
        self.0.data_source.0
    }

    /// Why the metric is collected.
    #[must_use]
    pub fn data_category(&self) -> DataCategory {
        self.0.data_category.0
    }

    /// The JSON type of the value.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        self.0.value_type.0
    }

    /// The name of the class that supplies the value in GitLab.
    #[must_use]
    pub fn instrumentation_class(&self) -> Option<&str> {
        self.0.instrumentation_class.as_deref()
    }

    /// The rules of a metric of events; empty if the host program supplies the value, or if [`Self::without_rules`] says why.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.0.rules
    }

    /// What the rules are, all of one kind; `None` without rules.
    #[must_use]
    pub fn kind(&self) -> Option<RuleKind> {
        self.0.rules.first().map(Rule::kind)
    }

    /// The `options` of the definition.
    pub(crate) fn options(&self) -> Option<&serde_json::Value> {
        self.0.options.as_ref()
    }

    /// Why a metric of events has no rules, if that is so.
    #[must_use]
    pub fn without_rules(&self) -> Option<&str> {
        self.0.without_rules.as_deref()
    }
}
