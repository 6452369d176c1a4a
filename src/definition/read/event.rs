//! From a YAML tree to an event definition.

use std::collections::BTreeMap;

use crate::definition::check::{identifier_fault, name_fault};
use crate::definition::event::{EventDefinition, EventFields, MAX_IDENTIFIERS, MAX_PROPERTIES};
use crate::definition::nearest::hint;
use crate::definition::problems::excerpt;
use crate::definition::read::{Fields, Keys, Read, Report, describe, mapping, unknown_word};
use crate::definition::yaml::{Entry, Value};

pub(in crate::definition) const TIERS: [&str; 3] = ["free", "premium", "ultimate"];

const KEYS: Keys = Keys {
    known: &[
        "action",
        "description",
        "internal_events",
        "category",
        "identifiers",
        "additional_properties",
        "extra_properties",
        "product_group",
        "product_categories",
        "milestone",
        "introduced_by_url",
        "status",
        "milestone_removed",
        "removed_by_url",
        "tiers",
        "classification",
        "extra_trackers",
        "extra_tracking_classes",
        "iglu_schema_url",
    ],
    historic: &[
        "distribution",
        "distributions",
        "product_section",
        "product_stage",
        "product_category",
        "label_description",
        "property_description",
        "value_description",
        "tier",
    ],
};

const EXPECTED: [&str; 5] = ["description", "product_group", "milestone", "introduced_by_url", "tiers"];

pub(in crate::definition) fn read(
    fields: Fields<'_>,
    action: &Entry,
    report: &mut Report<'_>,
) -> Option<Read> {
    fields.check_keys(&KEYS, report);
    fields.check_expected(EXPECTED, report);
    let name = fields.text("action", report);
    if let Some(name) = name {
        check_name(name, action, report);
    }
    let removed = read_removed(fields, report);
    let event = EventFields {
        action: name.unwrap_or_default().to_owned(),
        description: fields.owned_text("description", report).unwrap_or_default(),
        internal_events: read_internal_events(fields, report),
        category: fields.owned_text("category", report),
        identifiers: read_identifiers(fields, report),
        additional_properties: read_properties(fields, report),
        extra_properties: fields.json("extra_properties"),
        product_group: fields.owned_text("product_group", report),
        product_categories: fields.owned_texts("product_categories", "[code_review]", report),
        milestone: fields.milestone("milestone", report),
        introduced_by_url: fields.owned_text("introduced_by_url", report),
        removed,
        milestone_removed: fields.milestone("milestone_removed", report),
        removed_by_url: fields.owned_text("removed_by_url", report),
        tiers: fields.words("tiers", &TIERS, "[free, premium, ultimate]", report),
        classification: read_classification(fields, report),
        extra_tracking_classes: fields.owned_texts("extra_tracking_classes", "[MyTracking]", report),
        extra_trackers: fields.json("extra_trackers"),
        iglu_schema_url: fields.owned_text("iglu_schema_url", report),
    };
    name?;
    Some(Read::Event {
        event: Box::new(EventDefinition(event)),
        place: report.place(action.value.at),
        sound: report.is_sound(),
    })
}

fn check_name(name: &str, action: &Entry, report: &mut Report<'_>) {
    let at = action.value.at;
    if let Some(fault) = name_fault(name) {
        report.error(at, format!("`action` {fault}"));
    } else if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
        let message = format!("`action` should hold only a-z, 0-9 and _, found `{}`", excerpt(name));
        report.warning(at, message);
    }
}

fn read_removed(fields: Fields<'_>, report: &mut Report<'_>) -> bool {
    let removed = match (fields.text("status", report), fields.find("status")) {
        (Some("removed"), _) => true,
        (Some("active") | None, _) | (_, None) => false,
        (Some(word), Some(entry)) => {
            report.error(entry.value.at, unknown_word("status", word, &["active", "removed"]));
            false
        }
    };
    for key in ["removed_by_url", "milestone_removed"] {
        match (removed, fields.find(key)) {
            (true, None) => {
                report.warning(fields.at, format!("the event is removed but has no `{key}`; add it"));
            }
            (false, Some(entry)) => {
                let message =
                    format!("`{key}` belongs to an event with `status: removed`; this one is active");
                report.warning(entry.at, message);
            }
            _ => {}
        }
    }
    removed
}

fn read_internal_events(fields: Fields<'_>, report: &mut Report<'_>) -> bool {
    let category = fields.find("category");
    match fields.find("internal_events") {
        None => {
            if category.is_none() {
                let message =
                    "the event has no `internal_events: true`, and no `category` as older events do; add it";
                report.warning(fields.at, message.to_owned());
            }
            false
        }
        Some(Entry { value, .. }) => match (&value.value, category) {
            (Value::Bool(true), None) => true,
            (Value::Bool(true), Some(category)) => {
                let message = "`category` belongs to events without `internal_events`; remove it";
                report.warning(category.at, message.to_owned());
                true
            }
            (found, _) => {
                let message = format!("`internal_events` must be true or absent, found {}", describe(found));
                report.error(value.at, message);
                false
            }
        },
    }
}

fn read_identifiers(fields: Fields<'_>, report: &mut Report<'_>) -> Vec<String> {
    let mut identifiers: Vec<String> = Vec::new();
    for (at, name) in fields.texts("identifiers", "[user, project, namespace]", report) {
        if let Some(fault) = identifier_fault(name) {
            report.error(at, format!("the identifier `{}` {fault}", excerpt(name)));
        } else if identifiers.iter().any(|known| known == name) {
            report.warning(at, format!("the identifier `{name}` is listed twice; remove one"));
        } else if identifiers.len() == MAX_IDENTIFIERS {
            report.error(at, format!("an event has at most {MAX_IDENTIFIERS} identifiers; remove some"));
            break;
        } else {
            identifiers.push(name.to_owned());
        }
    }
    identifiers
}

fn read_properties(fields: Fields<'_>, report: &mut Report<'_>) -> BTreeMap<String, String> {
    let mut properties = BTreeMap::new();
    let Some(entry) = fields.find("additional_properties") else { return properties };
    let Some(declared) = mapping(&entry.value) else {
        let message = format!(
            "`additional_properties` must be a mapping of names such as `label: {{description: ...}}`, found {}",
            describe(&entry.value.value)
        );
        report.error(entry.value.at, message);
        return properties;
    };
    for property in declared.entries {
        let name = property.key.as_str();
        if let Some(fault) = name_fault(name) {
            report.error(property.at, format!("the name of an additional property {fault}"));
            continue;
        }
        if properties.len() == MAX_PROPERTIES {
            report.error(
                property.at,
                format!("an event has at most {MAX_PROPERTIES} additional properties; remove some"),
            );
            break;
        }
        properties.insert(name.to_owned(), read_property(property, report));
    }
    properties
}

/// The description of one additional property.
fn read_property(property: &Entry, report: &mut Report<'_>) -> String {
    let name = excerpt(&property.key);
    if matches!(property.value.value, Value::Null) {
        let message = format!("the property `{name}` has no description; add `description: ...` below it");
        report.warning(property.at, message);
        return String::new();
    }
    let Some(parts) = mapping(&property.value) else {
        let message = format!(
            "the property `{name}` must be a mapping such as `{name}: {{description: ...}}`, found {}",
            describe(&property.value.value)
        );
        report.error(property.value.at, message);
        return String::new();
    };
    for part in parts.entries.iter().filter(|part| part.key != "description") {
        let message = format!(
            "unknown key `{}` of the property `{name}`; only `description` is known{}",
            excerpt(&part.key),
            hint(&part.key, ["description"])
        );
        report.error(part.at, message);
    }
    if parts.find("description").is_none() {
        report.warning(property.at, format!("the property `{name}` has no `description`; add it"));
    }
    parts.owned_text("description", report).unwrap_or_default()
}

fn read_classification(fields: Fields<'_>, report: &mut Report<'_>) -> Option<String> {
    let word = fields.text("classification", report)?;
    if word != "duo" {
        let at = fields.find("classification").map(|entry| entry.value.at).unwrap_or_default();
        report.warning(at, unknown_word("classification", word, &["duo"]));
    }
    Some(word.to_owned())
}
