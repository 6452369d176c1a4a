//! `headcount metric show`: all about one metric.

use serde::Serialize;

use super::answer::{kind_word, per_value_table};
use super::args::MetricShowArgs;
use super::chart::sparkline;
use super::look::Paint;
use super::metric::{Evaluated, Listed, report_failure};
use super::output::{Failure, Form, Output};
use super::ping::{self, MetricDocument};
use super::query::StepDocument;
use super::table::{Align, Table};
use super::window::{self, Moment};
use super::{Context, text};
use crate::{
    Answer, Definitions, ErrorKind, Evaluate, MetricDefinition, MetricOutcome, MetricReport, MetricValue,
    Ping, PingValue, Query, Reader, Rule, RuleKind, SeriesActivity, TimeFrame, TimeRange, Timestamp, Unit,
    Window,
};

/// How many complete weeks are shown.
const WEEKS: u32 = 12;
/// So many values of a metric are listed as text; JSON has all.
const MAX_LISTED_VALUES: usize = 20;
const WINDOWS: [(Window, &str); 3] =
    [(Window::Complete, "complete"), (Window::Rolling, "rolling"), (Window::Current, "current")];

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    definition: Listed<'a>,
    series: Vec<SeriesDocument>,
    complete: Evaluated<'a>,
    rolling: Evaluated<'a>,
    current: Evaluated<'a>,
    weeks: Vec<StepDocument<'a>>,
    /// What it would be in a ping now.
    ping: AskedDocument<'a>,
}

#[derive(Serialize)]
struct AskedDocument<'a> {
    instrumentation_class: Option<&'a str>,
    value: &'a Option<PingValue>,
    #[serde(flatten)]
    report: MetricDocument<'a>,
}

#[derive(Serialize)]
struct SeriesDocument {
    key: String,
    kind: &'static str,
    recorded: bool,
    since: Option<String>,
    until: Option<String>,
    /// The last day on which it moved, as `2026-11-22`.
    last: Option<String>,
}

/// All that is shown.
struct Portrait<'a> {
    definition: &'a MetricDefinition,
    series: Vec<(&'a Rule, Option<SeriesActivity>)>,
    values: [MetricValue; 3],
    weeks: Vec<Answer>,
    /// In a ping now.
    asked: (Option<PingValue>, MetricReport),
}

pub(super) fn run(args: &MetricShowArgs, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let reader = context.reader()?;
    let definitions = reader.definitions()?;
    let now = args.as_of.unwrap_or_else(|| context.now());
    let ping = ping::asking(context, &args.sources)?;
    let portrait = portrait(args, &definitions, &reader, &ping, now)?;
    match output.form() {
        Form::Json => output.document(&document(&portrait)),
        Form::Text => print(&portrait, context.moment(args.as_of), output),
    }
    for metric in portrait.values {
        report_failure(metric, output);
    }
    Ok(())
}

fn portrait<'a>(
    args: &MetricShowArgs,
    definitions: &'a Definitions,
    reader: &Reader,
    ping: &Ping,
    now: Timestamp,
) -> Result<Portrait<'a>, Failure> {
    let evaluate = |window: Window| {
        let how = Evaluate { as_of: args.as_of, ..Evaluate::default() };
        reader.metric_with(&args.key_path, how.window(window))
    };
    let [complete, rolling, current] = WINDOWS.map(|(window, _)| evaluate(window));
    // An unknown one fails here, with the nearest name.
    let values = [complete?, rolling?, current?];
    let Some(definition) = definitions.find_metric(&args.key_path) else {
        return Err(Failure::internal("the metric is gone from its definitions"));
    };
    let activity = reader.activity()?;
    let active = |rule: &Rule| {
        let is_its = |series: &&SeriesActivity| series.key == rule.key() && series.kind == rule.kind();
        activity.iter().find(is_its).cloned()
    };
    let query = Query::of_metric(definition).range(TimeRange::complete_weeks(now, WEEKS));
    let weeks = match reader.series(&query, Unit::Week) {
        Ok(weeks) => weeks,
        // The reason stands where the value would.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotRecorded
                    | ErrorKind::NotKept
                    | ErrorKind::NoSource
                    | ErrorKind::UnknownEvent
                    | ErrorKind::Usage
                    | ErrorKind::StoreDamaged
            ) =>
        {
            Vec::new()
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Portrait {
        definition,
        series: definition.rules().iter().map(|rule| (rule, active(rule))).collect(),
        values,
        weeks,
        asked: ping.metric(&args.key_path)?,
    })
}

fn document<'a>(portrait: &'a Portrait<'_>) -> Document<'a> {
    let Portrait { definition, series, values: [complete, rolling, current], weeks, asked: (value, report) } =
        portrait;
    Document {
        definition: Listed::of(definition),
        series: series
            .iter()
            .map(|(rule, active)| SeriesDocument {
                key: rule.key(),
                kind: kind_word(rule.kind()),
                recorded: active.as_ref().is_some_and(|series| series.is_recorded),
                since: active.as_ref().and_then(|series| series.since).map(|at| at.to_string()),
                until: active.as_ref().and_then(|series| series.until).map(|at| at.to_string()),
                last: active.as_ref().and_then(last_day).map(window::date),
            })
            .collect(),
        complete: Evaluated::of(complete),
        rolling: Evaluated::of(rolling),
        current: Evaluated::of(current),
        weeks: weeks.iter().map(StepDocument::of).collect(),
        ping: AskedDocument {
            instrumentation_class: definition.instrumentation_class(),
            value,
            report: MetricDocument::of(report),
        },
    }
}

/// The last day on which a series moved.
pub(super) fn last_day(series: &SeriesActivity) -> Option<Timestamp> {
    series.days.map(|days| days.to().plus_seconds(-1))
}

fn print(portrait: &Portrait<'_>, now: Moment, output: &mut Output<'_>) {
    let Portrait { definition, series, values, weeks, asked } = portrait;
    let look = output.look();
    output.line(look.paint(Paint::Head, &text::name(definition.key_path())));
    for line in definition.description_text().lines() {
        output.line(format_args!("  {}", text::safe(line)));
    }
    output.line(look.paint(
        Paint::Aside,
        &format!(
            "  {}, {}, {}, {}",
            definition.time_frame(),
            definition.data_source(),
            definition.data_category(),
            definition.status()
        ),
    ));
    let (value, report) = asked;
    if definition.rules().is_empty() {
        print_asked(definition, value.as_ref(), report, now, output);
    } else {
        print_values(definition, values, now, output);
        if value.is_none() && !report.message.is_empty() && values.iter().all(|metric| metric.outcome.is_ok())
        {
            output.line(format_args!("\n  not in a ping: {}", text::safe(&report.message)));
        }
    }
    print_weeks(weeks, now, output);
    if !series.is_empty() {
        output.line("\nmade of");
        let mut table = Table::new(&[Align::Left, Align::Left, Align::Left]).wrapping(1);
        for (rule, active) in series {
            table.row([
                rule_words(rule, rule.event()),
                recorded(active.as_ref(), now),
                last(active.as_ref(), now),
            ]);
        }
        output.table(&table, "  ");
    }
}

/// A metric that no event counts.
fn print_asked(
    definition: &MetricDefinition,
    value: Option<&PingValue>,
    report: &MetricReport,
    now: Moment,
    output: &mut Output<'_>,
) {
    output.line("");
    if value.is_none() {
        output.line(format_args!("  no value: {}", text::safe(&report.message)));
    }
    let mut table = Table::new(&[Align::Left, Align::Left]).wrapping(1);
    if let Some(value) = value {
        let value = match value.number() {
            Some(number) => text::number(number),
            None => serde_json::to_string(value).unwrap_or_default(),
        };
        let error = report.standard_error.round();
        let error = if error < 1.0 { String::new() } else { format!(" ±{}", text::number(error)) };
        table.row(["value".to_owned(), format!("{value}{error}  in a ping now")]);
    }
    if let Some(range) = report.window {
        table.row(["window".to_owned(), window::range(range, now)]);
    }
    if let Some(since) = report.since {
        let partial = if report.is_partial { ", partial: not all of it was recorded" } else { "" };
        table.row(["since".to_owned(), window::day(since, now) + partial]);
    }
    let class =
        definition.instrumentation_class().map(|class| format!(", class {class}")).unwrap_or_default();
    table.row(["source".to_owned(), format!("{}{class}", definition.data_source())]);
    if matches!(report.outcome, MetricOutcome::Value | MetricOutcome::Failed | MetricOutcome::Suppressed) {
        let took = |duration| text::fixed(ping::milliseconds(duration), 2);
        report.duration.into_iter().for_each(|duration| {
            table.row(["took".to_owned(), format!("{} ms", took(duration))]);
        });
    }
    output.table(&table, "  ");
    if report.standard_error >= 0.5 {
        output.line(format_args!("\n  {}", text::LEGEND));
    }
}

fn print_values(
    definition: &MetricDefinition,
    values: &[MetricValue; 3],
    now: Moment,
    output: &mut Output<'_>,
) {
    let look = output.look();
    let has_windows = matches!(definition.time_frame(), TimeFrame::SevenDays | TimeFrame::TwentyEightDays);
    let mut table =
        Table::new(&[Align::Left, Align::Right, Align::Left]).wrapping(2).painting(1, Paint::Number);
    for (metric, (_, name)) in values.iter().zip(WINDOWS).take(if has_windows { 3 } else { 1 }) {
        match &metric.outcome {
            Ok(answer) => table.row([
                if has_windows { name } else { "value" }.to_owned(),
                text::value(answer),
                window::of_metric(answer, definition.time_frame(), now),
            ]),
            Err(error) => {
                let reason = error.to_string();
                output.line(format_args!("\n  no value: {}", reason.trim_end().replace('\n', "\n  ")));
                return;
            }
        }
    }
    output.text(format_args!("\n{}", table.render("  ", look)));
    let first = values.first().and_then(|metric| metric.outcome.as_ref().ok());
    let per_value = first.and_then(|answer| answer.value.per_value()).filter(|values| !values.is_empty());
    if let Some(values) = per_value {
        output.text(format_args!("\n{}", per_value_table(values, MAX_LISTED_VALUES, look)));
    }
    if first.is_some_and(|answer| answer.standard_error >= 0.5) {
        output.line(format_args!("\n  {}", text::LEGEND));
    }
}

fn print_weeks(weeks: &[Answer], now: Moment, output: &mut Output<'_>) {
    let number = |week: &Answer| week.value.number().unwrap_or_default();
    // Weeks that ended before anybody counted have no place.
    let begun = weeks.iter().position(|week| week.since < week.window.to()).unwrap_or(weeks.len());
    let weeks = weeks.get(begun..).unwrap_or_default();
    let (Some(first), Some(last)) = (weeks.first(), weeks.last()) else { return };
    let max = weeks.iter().map(number).fold(0.0, f64::max);
    if max <= 0.0 {
        return;
    }
    let all = TimeRange::new(first.window.from(), last.window.to());
    let when = all.map(|range| window::range(range, now)).unwrap_or_default();
    let line = output.look().paint(Paint::Bar, &sparkline(weeks.iter().map(number), max));
    output.line(format_args!("\n  week by week, {when}\n  {line}  up to {}", text::number(max.round())));
}

/// What a rule counts of these events, in words.
pub(super) fn rule_words(rule: &Rule, events: &str) -> String {
    let identifier = rule.identifier().unwrap_or_default();
    let mut words = match rule.kind() {
        RuleKind::Sum => format!("sum of value of {events}"),
        RuleKind::Unique => format!("distinct {identifier} of {events}"),
        RuleKind::PerValue => format!("{events} by {identifier}"),
        _ => events.to_owned(),
    };
    for (position, (key, value)) in rule.filters().enumerate() {
        let joint = if position == 0 { "where" } else { "and" };
        words.push_str(&format!(" {joint} {key} = {}", text::name(&value.to_string())));
    }
    words
}

pub(super) fn recorded(series: Option<&SeriesActivity>, now: Moment) -> String {
    match series.and_then(|series| Some((series, series.since?))) {
        None => "not recorded".to_owned(),
        Some((series, since)) if series.is_recorded => format!("recorded since {}", window::day(since, now)),
        Some((series, since)) => {
            let until = series.until.unwrap_or(since);
            format!("recorded {}", window::days(since, until, now))
        }
    }
}

pub(super) fn last(series: Option<&SeriesActivity>, now: Moment) -> String {
    match series.and_then(last_day) {
        None => "never moved".to_owned(),
        Some(last) => format!("last moved {}", window::day(last, now)),
    }
}
