//! The definition of an event: its name, and what it may carry.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Most identifiers that one event declares.
pub(crate) const MAX_IDENTIFIERS: usize = 64;
/// Most additional properties that one event declares.
pub(crate) const MAX_PROPERTIES: usize = 256;

/// What one event is and may carry: GitLab's event definition, from YAML or built in code.
///
/// An event may come with GitLab's identifiers `user`, `project` and `namespace`, with the others that its definition lists, and with
/// those additional properties that it lists: `label` and `property` (texts), `value` (a number) and custom ones (texts or numbers).
///
/// ```
/// use headcount::EventDefinition;
///
/// let event = EventDefinition::new("issue_created").identifier("user").label().custom("template");
/// assert!(event.has_identifier("user"));
/// assert!(event.has_property("label") && !event.has_property("value"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct EventDefinition(pub(in crate::definition) EventFields);

/// The fields as GitLab's schema has them; serialized, this is the stored shape.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::definition) struct EventFields {
    pub(in crate::definition) action: String,
    pub(in crate::definition) description: String,
    pub(in crate::definition) internal_events: bool,
    pub(in crate::definition) category: Option<String>,
    pub(in crate::definition) identifiers: Vec<String>,
    pub(in crate::definition) additional_properties: BTreeMap<String, String>,
    pub(in crate::definition) extra_properties: Option<serde_json::Value>,
    pub(in crate::definition) product_group: Option<String>,
    pub(in crate::definition) product_categories: Vec<String>,
    pub(in crate::definition) milestone: Option<String>,
    pub(in crate::definition) introduced_by_url: Option<String>,
    pub(in crate::definition) removed: bool,
    pub(in crate::definition) milestone_removed: Option<String>,
    pub(in crate::definition) removed_by_url: Option<String>,
    pub(in crate::definition) tiers: Vec<String>,
    pub(in crate::definition) classification: Option<String>,
    pub(in crate::definition) extra_tracking_classes: Vec<String>,
    pub(in crate::definition) extra_trackers: Option<serde_json::Value>,
    pub(in crate::definition) iglu_schema_url: Option<String>,
}

impl EventDefinition {
    /// An event without identifiers and properties.
    #[must_use]
    pub fn new(action: impl Into<String>) -> Self {
        Self(EventFields { action: action.into(), internal_events: true, ..EventFields::default() })
    }

    /// Says in a sentence what happened.
    #[must_use]
    pub fn description(mut self, text: impl Into<String>) -> Self {
        self.0.description = text.into();
        self
    }

    /// Lets the event carry an identifier: `user`, `project`, `namespace`, or another name of the form `[a-z][a-z0-9_]*`.
    #[must_use]
    pub fn identifier(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        if !self.0.identifiers.contains(&name) {
            self.0.identifiers.push(name);
        }
        self
    }

    /// Lets the event carry the text `label`.
    #[must_use]
    pub fn label(self) -> Self {
        self.custom("label")
    }

    /// Lets the event carry the text `property`.
    #[must_use]
    pub fn property(self) -> Self {
        self.custom("property")
    }

    /// Lets the event carry the number `value`.
    #[must_use]
    pub fn value(self) -> Self {
        self.custom("value")
    }

    /// Lets the event carry a custom property, a text or a number.
    #[must_use]
    pub fn custom(mut self, name: impl Into<String>) -> Self {
        self.0.additional_properties.entry(name.into()).or_default();
        self
    }

    /// Declares that the event is no longer tracked: tracking it is refused, what was counted stays.
    #[must_use]
    pub fn removed(mut self) -> Self {
        self.0.removed = true;
        self
    }

    /// The name of the event.
    #[must_use]
    pub fn action(&self) -> &str {
        &self.0.action
    }

    /// What happened, in words; empty if nobody said.
    #[must_use]
    pub fn description_text(&self) -> &str {
        &self.0.description
    }

    /// The identifiers that the event may carry, in the order of the definition.
    #[must_use]
    pub fn identifiers(&self) -> &[String] {
        &self.0.identifiers
    }

    /// Whether the event may carry this identifier.
    #[must_use]
    pub fn has_identifier(&self, name: &str) -> bool {
        self.0.identifiers.iter().any(|known| known == name)
    }

    /// The names of the additional properties with their descriptions, sorted by name; `label`, `property` and `value` among
    /// them.
    #[must_use]
    pub fn properties(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.additional_properties.iter().map(|(name, description)| (name.as_str(), description.as_str()))
    }

    /// Whether the event may carry this additional property.
    #[must_use]
    pub fn has_property(&self, name: &str) -> bool {
        self.0.additional_properties.contains_key(name)
    }

    /// Whether the definition says `status: removed`.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        self.0.removed
    }

    /// The category of the event, which legacy events carry to where their records go.
    #[must_use]
    pub fn category(&self) -> Option<&str> {
        self.0.category.as_deref()
    }
}
