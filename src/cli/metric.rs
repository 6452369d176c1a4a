//! `headcount metric`: listing and evaluating.

use serde::Serialize;

use super::Context;
use super::answer::{Figures, instant, kind_word, per_value_table};
use super::args::MetricGetArgs;
use super::look::Paint;
use super::output::{Exit, Failure, Form, Output, word};
use super::table::{Align, Table};
use super::text;
use super::window::{self, Moment};
use crate::{Answer, Error, Evaluate, MetricDefinition, MetricValue, TimeFrame, Timestamp, Value};

/// So many values of a metric are listed as text; JSON has all.
const MAX_LISTED_VALUES: usize = 20;

#[derive(Serialize)]
struct List<'a> {
    metrics: Vec<Listed<'a>>,
}

#[derive(Serialize)]
pub(super) struct Listed<'a> {
    key_path: &'a str,
    kind: Option<&'static str>,
    time_frame: &'static str,
    data_source: &'static str,
    status: &'static str,
    data_category: &'static str,
    value_type: &'static str,
    description: &'a str,
    /// The series that the metric is made of.
    rules: Vec<String>,
}

#[derive(Serialize)]
struct Values<'a> {
    metrics: Vec<Evaluated<'a>>,
}

#[derive(Serialize)]
pub(super) struct Evaluated<'a> {
    key_path: &'a str,
    value: Option<super::answer::Number<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    estimate: Option<f64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    saturated: bool,
    reason: Option<&'static str>,
    standard_error: Option<f64>,
    window: Option<WindowDocument>,
    partial: bool,
}

#[derive(Serialize)]
struct WindowDocument {
    #[serde(serialize_with = "instant")]
    from: Timestamp,
    #[serde(serialize_with = "instant")]
    to: Timestamp,
}

/// A metric with its value, and the time frame that says how its window is to be read.
pub(super) struct Row {
    metric: MetricValue,
    time_frame: TimeFrame,
}

pub(super) fn list(context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    // Definitions that are named need no store.
    let definitions = match context.definitions()? {
        Some(definitions) => definitions,
        None => context.reader()?.definitions()?.as_ref().clone(),
    };
    match output.form() {
        Form::Json => {
            output.document(&List { metrics: definitions.metrics().map(Listed::of).collect() });
        }
        Form::Text => {
            let mut table = Table::new(&[Align::Left; 5]).with_head().cutting(4).sparing(&[3, 1]);
            table.row(["KEY PATH", "KIND", "TIME", "STATUS", "DESCRIPTION"]);
            for metric in definitions.metrics() {
                let kind = metric.kind().map_or_else(|| metric.data_source().as_str(), kind_word);
                table.row([
                    text::name(metric.key_path()),
                    kind.to_owned(),
                    metric.time_frame().to_string(),
                    metric.status().to_string(),
                    text::name(metric.description_text().lines().next().unwrap_or_default()),
                ]);
            }
            output.table(&table, "");
        }
    }
    Ok(())
}

impl<'a> Listed<'a> {
    pub(super) fn of(metric: &'a MetricDefinition) -> Self {
        Self {
            key_path: metric.key_path(),
            kind: metric.kind().map(kind_word),
            time_frame: metric.time_frame().as_str(),
            data_source: metric.data_source().as_str(),
            status: metric.status().as_str(),
            data_category: metric.data_category().as_str(),
            value_type: metric.value_type().as_str(),
            description: metric.description_text(),
            rules: metric.rules().iter().map(crate::Rule::key).collect(),
        }
    }
}

pub(super) fn get(args: &MetricGetArgs, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let reader = context.reader()?;
    let definitions = reader.definitions()?;
    let mut how = Evaluate::default().window(args.window.into());
    how.as_of = args.as_of;
    let mut rows = Vec::with_capacity(args.key_paths.len());
    for metric in reader.metrics_of(&args.key_paths, how)? {
        match (definitions.find_metric(&metric.key_path), metric) {
            (None, MetricValue { outcome: Err(error), .. }) => output.fail(error.into()),
            (known, metric) => {
                let time_frame = known.map_or(TimeFrame::None, MetricDefinition::time_frame);
                rows.push(Row { metric, time_frame });
            }
        }
    }
    match output.form() {
        Form::Json => {
            output.document(&Values { metrics: rows.iter().map(|row| Evaluated::of(&row.metric)).collect() });
        }
        Form::Text => print(&rows, context.moment(args.as_of), output),
    }
    for row in rows {
        report_failure(row.metric, output);
    }
    Ok(())
}

/// A metric without a value is an answer; a store that cannot be read is not.
pub(super) fn report_failure(metric: MetricValue, output: &mut Output<'_>) {
    let Err(error) = metric.outcome else { return };
    let failure = Failure::from(error);
    if failure.exit() > Exit::Failed {
        output.fail(failure);
    }
}

impl<'a> Evaluated<'a> {
    pub(super) fn of(metric: &'a MetricValue) -> Self {
        let key_path = &metric.key_path;
        match &metric.outcome {
            Ok(answer) => {
                let Figures { value, estimate, saturated, standard_error } = Figures::of(answer);
                Self {
                    key_path,
                    value: Some(value),
                    estimate,
                    saturated,
                    reason: None,
                    standard_error: Some(standard_error),
                    window: Some(WindowDocument { from: answer.window.from(), to: answer.window.to() }),
                    partial: answer.partial,
                }
            }
            Err(error) => Self {
                key_path,
                value: None,
                estimate: None,
                saturated: false,
                reason: Some(word(error.kind())),
                standard_error: None,
                window: None,
                partial: false,
            },
        }
    }
}

fn print(rows: &[Row], now: Moment, output: &mut Output<'_>) {
    let mut table =
        Table::new(&[Align::Left, Align::Right, Align::Left]).wrapping(2).painting(1, Paint::Number);
    for Row { metric, time_frame } in rows {
        match &metric.outcome {
            Ok(answer) => table.row([
                metric.key_path.clone(),
                text::value(answer),
                window::of_metric(answer, *time_frame, now),
            ]),
            Err(error) => table.row([metric.key_path.clone(), "-".to_owned(), first_line(error)]),
        }
    }
    output.table(&table, "");
    for Row { metric, .. } in rows {
        let Ok(Answer { value: Value::PerValue(properties), .. }) = &metric.outcome else { continue };
        for (property, values) in properties.iter().filter(|(_, values)| !values.is_empty()) {
            let table = per_value_table(values, MAX_LISTED_VALUES, output.look());
            output.text(format_args!("\n{} by {property}\n{table}", metric.key_path));
        }
    }
    let is_uncertain =
        |row: &Row| row.metric.outcome.as_ref().is_ok_and(|answer| answer.standard_error >= 0.5);
    if rows.iter().any(is_uncertain) {
        output.line(format_args!("\n{}", text::LEGEND));
    }
}

/// The first line of an error says what is wrong, further ones what to write.
fn first_line(error: &Error) -> String {
    text::first_line(&error.to_string()).to_owned()
}
