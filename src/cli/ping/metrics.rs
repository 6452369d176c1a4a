//! What became of the metrics of a ping: tables and documents that several commands share.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value as Json;

use crate::cli::answer::instant;
use crate::cli::output::{Failure, Output};
use crate::cli::table::{Align, Table};
use crate::cli::text;
use crate::cli::window::{self, Moment};
use crate::{MetricOutcome, MetricReport, PingChange, PingValue, Timestamp};

/// The most rows of a list that people read.
const MOST: usize = 20;

#[derive(Serialize)]
pub(in crate::cli) struct MetricDocument<'a> {
    key_path: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    /// Nothing for what is read with others.
    duration_ms: Option<f64>,
    standard_error: f64,
    window: Option<WindowDocument>,
    #[serde(serialize_with = "maybe_instant")]
    since: Option<Timestamp>,
    partial: bool,
}

#[derive(Serialize)]
struct WindowDocument {
    #[serde(serialize_with = "instant")]
    from: Timestamp,
    #[serde(serialize_with = "instant")]
    to: Timestamp,
}

#[derive(Serialize)]
pub(super) struct ChangeDocument<'a> {
    key_path: &'a str,
    before: Json,
    after: Json,
}

#[expect(clippy::ref_option, reason = "serde hands over references")]
fn maybe_instant<S: serde::Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => instant(at, serializer),
        None => serializer.serialize_none(),
    }
}

pub(super) fn documents(metrics: &[MetricReport]) -> Vec<MetricDocument<'_>> {
    metrics.iter().map(MetricDocument::of).collect()
}

impl<'a> MetricDocument<'a> {
    pub(in crate::cli) fn of(metric: &'a MetricReport) -> Self {
        Self {
            key_path: &metric.key_path,
            outcome: metric.outcome.as_str(),
            reason: &metric.reason,
            message: &metric.message,
            duration_ms: metric.duration.map(milliseconds),
            standard_error: metric.standard_error,
            window: metric.window.map(|window| WindowDocument { from: window.from(), to: window.to() }),
            since: metric.since,
            partial: metric.is_partial,
        }
    }
}

pub(super) fn changes(changes: &[PingChange]) -> Vec<ChangeDocument<'_>> {
    let json = |value: &Option<PingValue>| serde_json::to_value(value).unwrap_or(Json::Null);
    changes
        .iter()
        .map(|change| ChangeDocument {
            key_path: &change.key_path,
            before: json(&change.before),
            after: json(&change.after),
        })
        .collect()
}

/// The document of a ping as a part of another.
pub(super) fn embedded(document: &str) -> Result<Json, Failure> {
    serde_json::from_str(document).map_err(|error| Failure::internal(format!("the ping is no JSON: {error}")))
}

/// Says on stderr which metrics have no value, and which are about a part of their time.
pub(super) fn note_missing(metrics: &[MetricReport], moment: Moment, output: &mut Output<'_>) {
    for (outcome, one, many) in [
        (MetricOutcome::Failed, "metric failed", "metrics failed"),
        (
            MetricOutcome::Unavailable,
            "metric is left out, since nothing here can say its value",
            "metrics are left out, since nothing here can say their values",
        ),
        (
            MetricOutcome::Withheld,
            "metric is withheld by its category",
            "metrics are withheld by their categories",
        ),
        (MetricOutcome::Suppressed, "metric is suppressed", "metrics are suppressed"),
    ] {
        let of_outcome: Vec<&MetricReport> =
            metrics.iter().filter(|metric| metric.outcome == outcome).collect();
        note(&of_outcome, (one, many), output, |metric| metric.message.clone());
    }
    let partial: Vec<&MetricReport> =
        metrics.iter().filter(|metric| metric.outcome == MetricOutcome::Value && metric.is_partial).collect();
    note(
        &partial,
        ("value is about a part of its time", "values are about a part of their time"),
        output,
        |metric| part(metric, moment),
    );
}

/// What the value of a metric is about, where that is a part of its time.
fn part(metric: &MetricReport, moment: Moment) -> String {
    let part = metric.window.zip(metric.since).map(|(of, since)| window::of_partial(of, since, moment));
    part.unwrap_or_default()
}

fn note(
    metrics: &[&MetricReport],
    (one, many): (&str, &str),
    output: &mut Output<'_>,
    words: impl Fn(&MetricReport) -> String,
) {
    if metrics.is_empty() {
        return;
    }
    let mut table = Table::new(&[Align::Left, Align::Left]).wrapping(1);
    for metric in metrics.iter().take(MOST) {
        table.row([text::name(&metric.key_path), words(metric)]);
    }
    let more = metrics.len().saturating_sub(MOST);
    let more = if more > 0 {
        format!("\n  and {} more; --json lists all", text::count(more as u64))
    } else {
        String::new()
    };
    let count = text::plural(metrics.len() as u64, one, many);
    let rows = table.render("  ", output.look_of_notes());
    output.note(format_args!("{count}:\n{}{more}", rows.trim_end()));
}

/// Every metric: those without a value first, then the slowest, then those of events, which took their time together.
pub(super) fn table(metrics: &[MetricReport], of_events: Option<Duration>, moment: Moment) -> Table {
    let mut sorted: Vec<&MetricReport> = metrics.iter().collect();
    let has_value = |metric: &MetricReport| metric.outcome == MetricOutcome::Value;
    sorted.sort_by(|a, b| {
        has_value(a).cmp(&has_value(b)).then(b.duration.cmp(&a.duration)).then(a.key_path.cmp(&b.key_path))
    });
    let mut table =
        Table::new(&[Align::Left, Align::Left, Align::Right, Align::Left]).with_head().wrapping(3);
    table.row(["metric", "outcome", "ms", ""]);
    for metric in sorted {
        let words = match (metric.outcome, metric.is_partial) {
            (MetricOutcome::Value, true) => part(metric, moment),
            _ => metric.message.clone(),
        };
        let duration = metric.duration.map(took).unwrap_or_default();
        table.row([text::name(&metric.key_path), metric.outcome.as_str().to_owned(), duration, words]);
    }
    if let Some(together) = of_events {
        let words = "what events count, read together".to_owned();
        table.row(["events".to_owned(), String::new(), took(together), words]);
    }
    table
}

fn took(duration: Duration) -> String {
    text::fixed(milliseconds(duration), 2)
}

/// What differs, one value a row.
pub(super) fn difference(changes: &[PingChange]) -> Table {
    let shown = |value: &Option<PingValue>| match value {
        Some(value) => serde_json::to_string(value).unwrap_or_default(),
        None => "-".to_owned(),
    };
    let mut table =
        Table::new(&[Align::Left, Align::Right, Align::Right, Align::Right]).with_head().cutting(0);
    table.row(["value", "before", "after", "difference"]);
    for change in changes {
        let numbers = change
            .before
            .as_ref()
            .and_then(PingValue::number)
            .zip(change.after.as_ref().and_then(PingValue::number));
        let difference = numbers.map(|(before, after)| signed(after - before)).unwrap_or_default();
        table.row([text::name(&change.key_path), shown(&change.before), shown(&change.after), difference]);
    }
    table
}

fn signed(difference: f64) -> String {
    let sign = if difference < 0.0 { "-" } else { "+" };
    format!("{sign}{}", text::number(difference.abs()))
}

pub(in crate::cli) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
