//! `headcount query`.

use serde::Serialize;

use super::answer::{Figures, instant, kind_word, per_value_table, steps_table};
use super::args::{Earlier, QueryArgs, Step};
use super::compare::{self, CompareDocument, Compared};
use super::look::Paint;
use super::output::{Failure, Form, Output};
use super::show::rule_words;
use super::window::{self, Moment};
use super::{Context, text};
use crate::{Answer, ErrorKind, IsoWeek, Query, Reader, Rule, TimeRange, Timestamp, Unit};

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
    #[serde(skip_serializing_if = "Option::is_none")]
    compare: Option<CompareDocument<'a>>,
}

#[derive(Serialize)]
pub(super) struct StepDocument<'a> {
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
    let Some(query) = query_of(args, &events, context.now())? else { return Ok(()) };
    let compared = match &args.compare {
        Some(earlier) => Some(Compared::of(earlier, &query, args.by, &reader)?),
        None => None,
    };
    let answer = match &compared {
        // Around a mark the window is the time after it.
        Some(compared) if compared.is_around_mark() => compared.comparison.after.clone(),
        _ => reader.value(&query)?,
    };
    let steps = match (args.by, &compared) {
        (Some(step), None) => Some(reader.series(&query, step.into())?),
        _ => None,
    };
    match output.form() {
        Form::Json => {
            output.document(&document(&events, &query, &answer, steps.as_deref(), compared.as_ref()));
        }
        Form::Text => match &compared {
            Some(compared) => compare::print(compared, &what(&query), context.moment(None), output),
            None => print(args, &query, &answer, steps.as_deref(), context.moment(None), output),
        },
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
fn query_of(args: &QueryArgs, events: &[String], now: Timestamp) -> Result<Option<Query>, Failure> {
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
    if let (Some(Earlier::Mark(mark)), None) = (&args.compare, args.last) {
        return Err(Failure::usage(format!(
            "--compare {mark} compares as many days before it as after it; say how many with --last 7d"
        )));
    }
    if let Some(days) = args.last {
        query = query.last_days(days);
    } else if let Some(from) = args.from {
        let end_of_today = TimeRange::last_days(now, 1).to();
        let to = args.to.unwrap_or(end_of_today);
        if to <= from {
            let (from, to) = (written(from), written(to));
            return Err(Failure::usage(match args.to {
                Some(_) => {
                    format!("--to {to} is not after --from {from}; it is the first day that does not count")
                }
                None => format!(
                    "--from {from} lies ahead, and without --to the time ends with today; name an earlier date"
                ),
            }));
        }
        query = query.range(TimeRange::new(from, to)?);
    } else if args.compare.is_some() {
        return Err(Failure::usage(
            "--compare needs a window: how long with --last 7d, or which with --from and --to",
        ));
    }
    Ok(Some(query))
}

/// An instant as it can be written on the command line.
fn written(at: Timestamp) -> String {
    let text = at.to_string();
    text.strip_suffix("T00:00:00Z").map_or_else(|| text.clone(), ToOwned::to_owned)
}

fn document<'a>(
    events: &'a [String],
    query: &Query,
    answer: &'a Answer,
    steps: Option<&'a [Answer]>,
    compared: Option<&'a Compared>,
) -> Document<'a> {
    Document {
        events,
        kind: query.rules().first().map_or("count", |rule| kind_word(rule.kind())),
        from: answer.window.from(),
        to: answer.window.to(),
        partial: answer.partial,
        since: answer.since,
        figures: Figures::of(answer).of_one_property(),
        freshness: answer.freshness.map(|at| at.to_string()),
        series: steps.map(|steps| steps.iter().map(StepDocument::of).collect()),
        compare: compared.map(CompareDocument::of),
    }
}

impl<'a> StepDocument<'a> {
    pub(super) fn of(step: &'a Answer) -> Self {
        Self {
            from: step.window.from(),
            to: step.window.to(),
            figures: Figures::of(step).of_one_property(),
            partial: step.partial,
        }
    }
}

fn print(
    args: &QueryArgs,
    query: &Query,
    answer: &Answer,
    steps: Option<&[Answer]>,
    now: Moment,
    output: &mut Output<'_>,
) {
    let look = output.look();
    output.line(format_args!("{}  {}", look.paint(Paint::Number, &text::value(answer)), what(query)));
    let window = if args.last.is_none() && args.from.is_none() {
        window::all_time(answer, now)
    } else {
        window::of_answer(answer, now)
    };
    let freshness = answer.freshness.map(|at| format!("; last written {}", window::instant(at, now)));
    output.line(look.paint(Paint::Aside, &format!("{window}{}", freshness.unwrap_or_default())));
    match (steps, &answer.value, args.by) {
        (Some(steps), _, Some(unit)) => {
            output.text(format_args!("\n{}", steps_table(steps, |step| label(step, unit), now, look)));
        }
        (_, value, _) => {
            if let Some(values) = value.per_value().filter(|values| !values.is_empty()) {
                output.text(format_args!("\n{}", per_value_table(values, MAX_LISTED_VALUES, look)));
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
    let Some(rule) = query.rules().first() else { return String::new() };
    rule_words(rule, &events.join(" + "))
}

/// The name of a step.
fn label(step: &Answer, unit: Step) -> String {
    let from = step.window.from();
    let text = from.to_string();
    match Unit::from(unit) {
        Unit::Hour => text.chars().take("2026-11-22T10:00".len()).collect::<String>().replace('T', " "),
        Unit::Day => window::date(from),
        Unit::Week => format!("{}  {}", IsoWeek::of(from), window::date(from)),
        Unit::Month => text.chars().take("2026-11".len()).collect(),
    }
}
