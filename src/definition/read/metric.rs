//! From a YAML tree to the metrics that one file defines: one for each of its time frames.

use crate::definition::check::{key_path_fault, odd_rule, rules_fault};
use crate::definition::metric::{MAX_RULES, MetricDefinition, MetricFields, MetricNotes};
use crate::definition::problems::{Place, Position, excerpt};
use crate::definition::read::event::TIERS;
use crate::definition::read::legacy;
use crate::definition::read::rule::{self, RulePlaces};
use crate::definition::read::time_frame::{TimeFrames, read_time_frames};
use crate::definition::read::{Fields, Keys, Read, Report, describe, mapping, unknown_word};
use crate::definition::rule::{Rule, RuleKind};
use crate::definition::words::{DataCategory, DataSource, MetricStatus, Stored, ValueType};
use crate::definition::yaml::{Entry, Value};
use crate::time::frame::TimeFrame;

const KEYS: Keys = Keys {
    known: &[
        "key_path",
        "description",
        "name",
        "product_group",
        "product_categories",
        "value_type",
        "status",
        "milestone",
        "milestone_removed",
        "introduced_by_url",
        "removed_by_url",
        "repair_issue_url",
        "time_frame",
        "data_source",
        "data_category",
        "instrumentation_class",
        "options",
        "events",
        "performance_indicator_type",
        "tiers",
        "value_json_schema",
    ],
    historic: &[
        "distribution",
        "distributions",
        "product_section",
        "product_stage",
        "product_category",
        "tier",
        "skip_validation",
    ],
};

const EXPECTED: [&str; 8] = [
    "description",
    "product_group",
    "value_type",
    "status",
    "data_category",
    "milestone",
    "introduced_by_url",
    "tiers",
];

const INDICATORS: [&str; 8] = [
    "gmau",
    "smau",
    "paid_gmau",
    "umau",
    "customer_health_score",
    "devops_report",
    "lighthouse",
    "leading_indicator",
];

/// Words of older schemas for a metric that is reported.
const HISTORIC_ACTIVE: [&str; 6] =
    ["data_available", "implemented", "in_progress", "planned", "not_used", "deprecated"];

/// The metrics of one file, with what the checks against other files need.
pub(in crate::definition) struct ReadMetric {
    /// One for each time frame; all with the same rules.
    pub(in crate::definition) metrics: Vec<MetricDefinition>,
    pub(in crate::definition) place: Place,
    /// Where the parts of each rule stand, in the order of the rules.
    pub(in crate::definition) rule_places: Vec<RulePlaces>,
    /// The rules were read from an older form of definition, which does not name what it needs.
    pub(in crate::definition) is_legacy: bool,
}

pub(in crate::definition) fn read(
    fields: Fields<'_>,
    key_path_entry: &Entry,
    report: &mut Report<'_>,
) -> Option<Read> {
    fields.check_keys(&KEYS, report);
    let key_path = fields.text("key_path", report);
    if let Some(fault) = key_path.and_then(key_path_fault) {
        report.error(key_path_entry.value.at, format!("`key_path` {fault}"));
    }
    let status = read_status(fields, report);
    let of_active = (status == MetricStatus::Active).then_some("product_categories");
    fields.check_expected(EXPECTED.into_iter().chain(of_active), report);
    let source = read_source(fields, report);
    let frames = read_time_frames(fields, source, report);
    let Rules { rules, places, without, is_legacy } = read_rules(fields, status, source, report);
    check_rules(&rules, &places, fields, &frames, report);
    let kind = rules.first().map(Rule::kind);
    check_class(fields, source, kind, report);

    let template = MetricFields {
        key_path: key_path.unwrap_or_default().to_owned(),
        time_frame: TimeFrame::None,
        status: Stored(status),
        data_source: Stored(source),
        data_category: Stored(read_category(fields, report)),
        value_type: Stored(read_value_type(fields, kind, report)),
        rules,
        without_rules: without,
        options: read_options(fields, report),
        instrumentation_class: fields.owned_text("instrumentation_class", report),
        notes: read_notes(fields, report),
    };
    key_path?;
    let metrics = frames
        .frames
        .iter()
        .map(|&time_frame| {
            let suffix = if frames.is_list { time_frame.suffix() } else { "" };
            let key_path = format!("{}{suffix}", template.key_path);
            MetricDefinition(MetricFields { key_path, time_frame, ..template.clone() })
        })
        .collect();
    let place = report.place(key_path_entry.value.at);
    Some(Read::Metric(Box::new(ReadMetric { metrics, place, rule_places: places, is_legacy })))
}

fn read_status(fields: Fields<'_>, report: &mut Report<'_>) -> MetricStatus {
    let (Some(entry), Some(word)) = (fields.find("status"), fields.text("status", report)) else {
        return MetricStatus::Active;
    };
    let status = MetricStatus::from_word(word).unwrap_or_else(|| {
        if HISTORIC_ACTIVE.contains(&word) {
            let message = format!("`status: {word}` is of an older schema and read as active; write active");
            report.warning(entry.value.at, message);
        } else {
            report.error(entry.value.at, unknown_word("status", word, MetricStatus::WORDS));
        }
        MetricStatus::Active
    });
    let wanted: &[&str] = match status {
        MetricStatus::Removed => &["removed_by_url", "milestone_removed"],
        MetricStatus::Broken => &["repair_issue_url"],
        MetricStatus::Active => &[],
    };
    for key in wanted.iter().filter(|key| fields.find(key).is_none()) {
        report.warning(fields.at, format!("the metric is {status} but has no `{key}`; add it"));
    }
    status
}

fn read_source(fields: Fields<'_>, report: &mut Report<'_>) -> DataSource {
    let Some(entry) = fields.find("data_source") else {
        let known = DataSource::WORDS.join(", ");
        if fields.find("events").is_some() {
            report.error(
                fields.at,
                format!("`data_source` is missing; write `data_source: internal_events` (known are {known})"),
            );
            return DataSource::InternalEvents;
        }
        report.warning(fields.at, format!("`data_source` is missing and read as system; add one of {known}"));
        return DataSource::System;
    };
    let Some(word) = fields.text("data_source", report) else { return DataSource::System };
    match DataSource::from_word(word) {
        Some(source) => source,
        None if word == "ruby" => {
            let message = "`data_source: ruby` is of an older schema and read as system; write system";
            report.warning(entry.value.at, message.to_owned());
            DataSource::System
        }
        None => {
            report.error(entry.value.at, unknown_word("data_source", word, DataSource::WORDS));
            DataSource::System
        }
    }
}

/// The rules of a metric, or why it has none.
#[derive(Default)]
pub(in crate::definition) struct Rules {
    pub(in crate::definition) rules: Vec<Rule>,
    pub(in crate::definition) places: Vec<RulePlaces>,
    pub(in crate::definition) without: Option<String>,
    pub(in crate::definition) is_legacy: bool,
}

fn read_rules(
    fields: Fields<'_>,
    status: MetricStatus,
    source: DataSource,
    report: &mut Report<'_>,
) -> Rules {
    let Some(entry) = fields.find("events") else {
        let rules = legacy::rules(fields, source, report);
        match &rules.without {
            Some(_) if status == MetricStatus::Removed => {}
            Some(reason) if source == DataSource::InternalEvents => {
                report.error(
                    fields.at,
                    format!(
                        "the metric has no value: {reason}; add `events:` with at least one `- name: ...`"
                    ),
                );
            }
            Some(reason) => report.warning(fields.at, format!("the metric has no value here: {reason}")),
            None => {}
        }
        return rules;
    };
    let Value::List(items) = &entry.value.value else {
        let found = describe(&entry.value.value);
        let message = format!("`events` must be a list of rules such as `- name: push_code`, found {found}");
        report.error(entry.value.at, message);
        return Rules::default();
    };
    if items.is_empty() && source.counts_events() {
        report.error(entry.value.at, "`events` is empty; add at least one `- name: ...`".to_owned());
    }
    if items.len() > MAX_RULES {
        report.error(entry.value.at, format!("a metric has at most {MAX_RULES} rules; remove some"));
        return Rules::default();
    }
    let mut read = Rules::default();
    for item in items {
        if let Some((rule, places)) = rule::read(item, report) {
            if read.rules.contains(&rule) && !places.is_refused {
                let message = "this rule is already in the list and counts once; remove it";
                report.warning(item.at, message.to_owned());
            } else {
                read.rules.push(rule);
                read.places.push(places);
            }
        }
    }
    if !source.counts_events() {
        // A data source that is refused says nothing of the rules.
        let is_refused =
            fields.find("data_source").is_some_and(|entry| report.said.contains(&entry.value.at));
        if !is_refused {
            let message = format!(
                "`events` has no effect with `data_source: {source}`; write internal_events to count"
            );
            report.warning(entry.at, message);
        }
        return Rules::default();
    }
    read
}

fn check_rules(
    rules: &[Rule],
    places: &[RulePlaces],
    fields: Fields<'_>,
    frames: &TimeFrames,
    report: &mut Report<'_>,
) {
    if places.iter().any(|places| places.is_refused) {
        return;
    }
    if let Some((position, fault)) = odd_rule(rules) {
        let at = places.get(position).map_or(fields.at, |places| places.name);
        report.error(at, fault);
        return;
    }
    // A time frame that is missing was reported as such.
    for &frame in frames.frames.iter().filter(|_| frames.at != Position::default()) {
        if let Some(fault) = rules_fault(rules, frame) {
            report.error(frames.at, format!("the metric {fault}"));
        }
    }
    let first = rules.first();
    let uniques = first.is_some_and(|rule| rule.kind() == RuleKind::Unique);
    if uniques && frames.frames.contains(&TimeFrame::All) {
        let message = "GitLab counts distinct ones by the week and refuses `all`; it works here, for GitLab write 7d or 28d";
        report.warning(frames.at, message.to_owned());
    }
    let counted = first.and_then(Rule::identifier);
    let other = rules.iter().zip(places).find(|(rule, _)| uniques && rule.identifier() != counted);
    if let Some((rule, places)) = other {
        let (one, another) = (counted.unwrap_or_default(), rule.identifier().unwrap_or_default());
        let message = format!(
            "the rules of this metric count different things, `{}` and `{}`; values that are equal count once",
            excerpt(one),
            excerpt(another)
        );
        report.warning(places.unique, message);
    }
}

fn check_class(fields: Fields<'_>, source: DataSource, kind: Option<RuleKind>, report: &mut Report<'_>) {
    let Some(entry) = fields.find("instrumentation_class") else { return };
    let per_value = kind == Some(RuleKind::PerValue);
    if source == DataSource::InternalEvents && !per_value {
        let message =
            "`instrumentation_class` has no effect on a metric of events: its rules decide; remove it";
        report.warning(entry.at, message.to_owned());
    }
}

fn read_category(fields: Fields<'_>, report: &mut Report<'_>) -> DataCategory {
    let Some(entry) = fields.find("data_category") else { return DataCategory::Optional };
    let Some(word) = fields.text("data_category", report) else { return DataCategory::Optional };
    DataCategory::from_word(word).unwrap_or_else(|| {
        let read = DataCategory::from_word(&word.to_lowercase()).unwrap_or(DataCategory::Optional);
        let message = unknown_word("data_category", word, DataCategory::WORDS);
        report.warning(entry.value.at, format!("{message} (read as {read})"));
        read
    })
}

fn read_value_type(fields: Fields<'_>, kind: Option<RuleKind>, report: &mut Report<'_>) -> ValueType {
    let natural = match kind {
        Some(RuleKind::PerValue) => ValueType::Object,
        _ => ValueType::Number,
    };
    let Some(entry) = fields.find("value_type") else { return natural };
    let Some(word) = fields.text("value_type", report) else { return natural };
    let Some(value_type) = ValueType::from_word(word) else {
        report.warning(entry.value.at, unknown_word("value_type", word, ValueType::WORDS));
        return natural;
    };
    if kind.is_some() && value_type != natural {
        let message =
            format!("`value_type` is {value_type}, but the value of these rules is of type {natural}");
        report.warning(entry.value.at, message);
        return natural;
    }
    value_type
}

fn read_options(fields: Fields<'_>, report: &mut Report<'_>) -> Option<serde_json::Value> {
    let entry = fields.find("options")?;
    if mapping(&entry.value).is_none() {
        let found = describe(&entry.value.value);
        report.error(entry.value.at, format!("`options` must be a mapping, found {found}"));
        return None;
    }
    fields.json("options")
}

fn read_notes(fields: Fields<'_>, report: &mut Report<'_>) -> MetricNotes {
    MetricNotes {
        description: fields.owned_text("description", report).unwrap_or_default(),
        name: fields.owned_text("name", report),
        product_group: fields.owned_text("product_group", report),
        product_categories: fields.owned_texts("product_categories", "[code_review]", report),
        milestone: fields.milestone("milestone", report),
        milestone_removed: fields.milestone("milestone_removed", report),
        introduced_by_url: fields.owned_text("introduced_by_url", report),
        removed_by_url: fields.owned_text("removed_by_url", report),
        repair_issue_url: fields.owned_text("repair_issue_url", report),
        performance_indicator_type: fields.words("performance_indicator_type", &INDICATORS, "[gmau]", report),
        tiers: fields.words("tiers", &TIERS, "[free, premium, ultimate]", report),
        value_json_schema: fields.owned_text("value_json_schema", report),
    }
}
