//! `headcount query`.

use serde::Serialize;

use super::Context;
use super::answer::{Figures, instant, kind_word, per_value_table, steps_table};
use super::args::{QueryArgs, Step};
use super::output::{Failure, Form, Output};
use super::text;
use crate::{Answer, Clock, ErrorKind, IsoWeek, Query, Reader, Rule, RuleKind, TimeRange, Timestamp, Unit};

/// So many values are listed as text; JSON has all.
const MAX_LISTED_VALUES: usize = 50;

#[derive(Serialize)]
struct Document<'a> {
    events: &'a [String],
    kind: &'static str,
    #[serde(serialize_with = "instant")]
    from: Timestamp,
    #[serde(serialize_with = "instant")]
    to: Timestamp,
    partial: bool,
    #[serde(serialize_with = "instant")]
    since: Timestamp,
    #[serde(flatten)]
    figures: Figures<'a>,
    freshness: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<Vec<StepDocument<'a>>>,
}

#[derive(Serialize)]
struct StepDocument<'a> {
    #[serde(serialize_with = "instant")]
    from: Timestamp,
    #[serde(serialize_with = "instant")]
    to: Timestamp,
    #[serde(flatten)]
    figures: Figures<'a>,
    partial: bool,
}

pub(super) fn run(args: &QueryArgs, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let reader = context.reader()?;
    let events = known_events(&args.events, &reader, output)?;
    let Some(query) = query_of(args, &events)? else { return Ok(()) };
    let answer = reader.value(&query)?;
    let steps = args.by.map(|step| reader.series(&query, step.into())).transpose()?;
    match output.form() {
        Form::Json => output.document(&document(&events, &query, &answer, steps.as_deref())),
        Form::Text => print(args, &query, &answer, steps.as_deref(), output),
    }
    Ok(())
}

/// The events that the store knows; the others are reported, and are not in the answer.
fn known_events(events: &[String], reader: &Reader, output: &mut Output<'_>) -> Result<Vec<String>, Failure> {
    let mut known = Vec::with_capacity(events.len());
    for event in events {
        match reader.value(&Query::total(event)) {
            Err(error) if error.kind() == ErrorKind::UnknownEvent => output.fail(error.into()),
            Err(error) => return Err(error.into()),
            Ok(_) if known.contains(event) => {}
            Ok(_) => known.push(event.clone()),
        }
    }
    Ok(known)
}

/// The question; `None` if no event is left to ask for.
fn query_of(args: &QueryArgs, events: &[String]) -> Result<Option<Query>, Failure> {
    let Some((first, others)) = events.split_first() else { return Ok(None) };
    let mut query = match (&args.unique, &args.per_value) {
        (Some(identifier), _) => Query::unique(first, identifier),
        (_, Some(property)) => Query::per_value(first, property),
        _ if args.sum => Query::sum(first),
        _ => Query::total(first),
    };
    query = others.iter().fold(query, |query, event| query.and_event(event));
    for (position, (key, _)) in args.filters.iter().enumerate() {
        if args.filters.iter().take(position).any(|(earlier, _)| earlier == key) {
            return Err(Failure::usage(format!("--filter {key} stands twice; an event has one value of it")));
        }
    }
    query = args.filters.iter().fold(query, |query, (key, value)| query.filter(key, value.clone()));
    if let Some(days) = args.last {
        query = query.last_days(days);
    } else if let Some(from) = args.from {
        let end_of_today = TimeRange::last_days(Clock::system().now(), 1).to();
        query = query.range(TimeRange::new(from, args.to.unwrap_or(end_of_today))?);
    }
    Ok(Some(query))
}

fn document<'a>(
    events: &'a [String],
    query: &Query,
    answer: &'a Answer,
    steps: Option<&'a [Answer]>,
) -> Document<'a> {
    let step = |step: &'a Answer| StepDocument {
        from: step.window.from(),
        to: step.window.to(),
        figures: Figures::of(step).of_one_property(),
        partial: step.partial,
    };
    Document {
        events,
        kind: query.rules().first().map_or("count", |rule| kind_word(rule.kind())),
        from: answer.window.from(),
        to: answer.window.to(),
        partial: answer.partial,
        since: answer.since,
        figures: Figures::of(answer).of_one_property(),
        freshness: answer.freshness.map(|at| at.to_string()),
        series: steps.map(|steps| steps.iter().map(step).collect()),
    }
}

fn print(
    args: &QueryArgs,
    query: &Query,
    answer: &Answer,
    steps: Option<&[Answer]>,
    output: &mut Output<'_>,
) {
    let now = Clock::system().now();
    output.line(format_args!("{}  {}", text::value(answer), what(query)));
    let window = if args.last.is_none() && args.from.is_none() {
        format!("all time, since {}", text::day(answer.since))
    } else {
        text::range(answer.window)
    };
    let partial = text::partial(answer, now).map(|mark| format!("; {mark}")).unwrap_or_default();
    let freshness = answer.freshness.map(|at| format!("; stored until {}", text::time(at)));
    output.line(format_args!("{window}{partial}{}", freshness.unwrap_or_default()));
    match (steps, &answer.value, args.by) {
        (Some(steps), _, Some(unit)) => {
            output.text(format_args!("\n{}", steps_table(steps, |step| label(step, unit), now)));
        }
        (_, value, _) => {
            if let Some(values) = value.per_value().filter(|values| !values.is_empty()) {
                output.text(format_args!("\n{}", per_value_table(values, MAX_LISTED_VALUES)));
            }
        }
    }
    if answer.standard_error >= 0.5 || steps.iter().copied().flatten().any(|step| step.standard_error >= 0.5)
    {
        output.line(format_args!("\n{}", text::LEGEND));
    }
}

/// What is counted, in words.
fn what(query: &Query) -> String {
    let events: Vec<&str> = query.rules().iter().map(Rule::event).collect();
    let events = events.join(" + ");
    let Some(rule) = query.rules().first() else { return events };
    let identifier = rule.identifier().unwrap_or_default();
    let mut what = match rule.kind() {
        RuleKind::Sum => format!("sum of value of {events}"),
        RuleKind::Unique => format!("distinct {identifier} of {events}"),
        RuleKind::PerValue => format!("{events} by {identifier}"),
        _ => events,
    };
    for (position, (key, value)) in rule.filters().enumerate() {
        let joint = if position == 0 { "where" } else { "and" };
        what.push_str(&format!(" {joint} {key} = {}", text::name(&value.to_string())));
    }
    what
}

/// The name of a step.
fn label(step: &Answer, unit: Step) -> String {
    let from = step.window.from();
    let text = from.to_string();
    match Unit::from(unit) {
        Unit::Hour => text.chars().take("2026-11-22T10:00".len()).collect::<String>().replace('T', " "),
        Unit::Day => text::day(from),
        Unit::Week => format!("{}  {}", IsoWeek::of(from), text::day(from)),
        Unit::Month => text.chars().take("2026-11".len()).collect(),
    }
}
