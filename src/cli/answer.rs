//! Answers in their two forms: the parts of JSON documents, and tables.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::chart::bar;
use super::look::{Look, Paint};
use super::table::{Align, Table};
use super::text;
use super::window::{self, Moment};
use crate::{Answer, RuleKind, Timestamp, Value};

const BAR_WIDTH: u32 = 30;
const NARROW_BAR_WIDTH: u32 = 10;
/// Terminals below this get short bars.
const NARROW: usize = 72;

/// How long the longest bar is.
pub(super) fn bar_width(look: Look) -> u32 {
    if look.width.is_some_and(|width| width < NARROW) { NARROW_BAR_WIDTH } else { BAR_WIDTH }
}

/// The value of an answer: whole for counts and uniques, an object for counts per value.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Number<'a> {
    Whole(u64),
    Sum(f64),
    /// Of one property, as a query asks for it.
    PerValue(&'a BTreeMap<String, u64>),
    /// By property, as GitLab's metrics have it.
    PerProperty(&'a BTreeMap<String, BTreeMap<String, u64>>),
}

/// What is the same in the documents of queries and metrics.
#[derive(Debug, Serialize)]
pub(super) struct Figures<'a> {
    pub(super) value: Number<'a>,
    /// The estimate that `value` is rounded from; uniques only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) estimate: Option<f64>,
    /// The sum stopped at the largest double; there only if so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) saturated: bool,
    pub(super) standard_error: f64,
}

impl<'a> Figures<'a> {
    pub(super) fn of(answer: &'a Answer) -> Self {
        let (value, estimate, saturated) = match &answer.value {
            Value::Count(count) => (Number::Whole(*count), None, false),
            Value::Unique(estimate) => {
                (Number::Whole(answer.count().unwrap_or_default()), Some(*estimate), false)
            }
            Value::Sum { sum, saturated } => (Number::Sum(*sum), None, *saturated),
            Value::PerValue(properties) => (Number::PerProperty(properties), None, false),
        };
        Self { value, estimate, saturated, standard_error: answer.standard_error }
    }
}

impl Figures<'_> {
    /// The same, without the name of the one property that a query asks for.
    pub(super) fn of_one_property(self) -> Self {
        match self.value {
            Number::PerProperty(properties) if properties.len() == 1 => {
                let value = properties.values().next().map_or(self.value, Number::PerValue);
                Self { value, ..self }
            }
            _ => self,
        }
    }
}

/// An instant as RFC 3339.
pub(super) fn instant<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// What a rule makes of events, as one word.
pub(super) fn kind_word(kind: RuleKind) -> &'static str {
    match kind {
        RuleKind::Count => "count",
        RuleKind::Sum => "sum",
        RuleKind::Unique => "unique",
        RuleKind::PerValue => "per_value",
    }
}

/// Counts per value as a table with bars, the largest first.
pub(super) fn per_value_table(values: &BTreeMap<String, u64>, most: usize, look: Look) -> String {
    let mut sorted: Vec<(&String, &u64)> = values.iter().collect();
    sorted.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let max = sorted.first().map_or(0, |(_, count)| **count);
    let mut table = Table::new(&[Align::Left, Align::Right, Align::Left]).cutting(0).painting(2, Paint::Bar);
    for (value, count) in sorted.iter().take(most) {
        let bar = bar(text::double(**count), text::double(max), bar_width(look));
        table.row([text::name(value), text::count(**count), bar]);
    }
    let mut rendered = table.render("  ", look);
    if let Some(rest) = sorted.get(most..).filter(|rest| !rest.is_empty()) {
        let values = text::plural(rest.len() as u64, "more value", "more values");
        let sum = rest.iter().fold(0_u64, |sum, (_, count)| sum.saturating_add(**count));
        rendered.push_str(&format!("  {values} with {} together\n", text::count(sum)));
    }
    rendered
}

/// Answers step by step as a table with bars; `label` names a step.
pub(super) fn steps_table(
    steps: &[Answer],
    label: impl Fn(&Answer) -> String,
    now: Moment,
    look: Look,
) -> String {
    let number = |answer: &Answer| answer.value.number().unwrap_or_default();
    let max = steps.iter().map(number).fold(0.0, f64::max);
    let mut table = Table::new(&[Align::Left, Align::Right, Align::Left, Align::Left])
        .wrapping(3)
        .painting(2, Paint::Bar)
        .painting(3, Paint::Warning);
    for step in steps {
        match &step.value {
            Value::PerValue(properties) => {
                for (value, count) in properties.values().flatten() {
                    table.row([label(step), text::count(*count), text::name(value)]);
                }
            }
            _ => {
                let mark = window::partial(step, now).unwrap_or_default();
                table.row([label(step), text::value(step), bar(number(step), max, bar_width(look)), mark]);
            }
        }
    }
    table.render("  ", look)
}
