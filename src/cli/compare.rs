//! `headcount query --compare`: two windows and what lies between them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::answer::{Figures, instant};
use super::args::{Earlier, Step};
use super::chart::sparkline;
use super::look::Paint;
use super::output::{Failure, Output};
use super::query::StepDocument;
use super::table::{Align, Table};
use super::text;
use super::window::{self, Moment};
use crate::{Against, Answer, Change, Comparison, ErrorKind, Mark, Query, Reader, Timestamp, Value, Verdict};

/// So many values are listed as text; JSON has all.
const MAX_LISTED_VALUES: usize = 30;
/// Differences have at most so many digits behind the point.
const MAX_DIGITS: i32 = 6;

/// A comparison, and what was asked for.
pub(super) struct Compared {
    pub(super) comparison: Comparison,
    mark: Option<Mark>,
    /// Before and after, step by step.
    steps: Option<(Vec<Answer>, Vec<Answer>)>,
}

#[derive(Serialize)]
pub(super) struct CompareDocument<'a> {
    with: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mark: Option<MarkDocument<'a>>,
    before: SideDocument<'a>,
    after: SideDocument<'a>,
    standard_error: f64,
    #[serde(flatten)]
    change: ChangeDocument,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    values: BTreeMap<&'a str, ChangeDocument>,
}

#[derive(Serialize)]
pub(super) struct MarkDocument<'a> {
    pub(super) name: &'a str,
    #[serde(serialize_with = "instant")]
    pub(super) at: Timestamp,
}

#[derive(Serialize)]
struct SideDocument<'a> {
    #[serde(serialize_with = "instant")]
    from: Timestamp,
    #[serde(serialize_with = "instant")]
    to: Timestamp,
    #[serde(flatten)]
    figures: Figures<'a>,
    partial: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<Vec<StepDocument<'a>>>,
}

#[derive(Serialize)]
struct ChangeDocument {
    difference: f64,
    percent: Option<f64>,
    noise: Option<f64>,
    verdict: &'static str,
}

impl Compared {
    pub(super) fn of(
        earlier: &Earlier,
        query: &Query,
        by: Option<Step>,
        reader: &Reader,
    ) -> Result<Self, Failure> {
        let mark = match earlier {
            Earlier::Previous => None,
            Earlier::Mark(name) => Some(reader.find_mark(name).map_err(|error| {
                let is_unknown = error.kind() == ErrorKind::UnknownMark;
                let failure = Failure::from(error);
                if is_unknown { failure.advise(" (`previous` is the time before)") } else { failure }
            })?),
        };
        let against = mark.as_ref().map_or(Against::Previous, |mark| Against::Instant(mark.at));
        let comparison = reader.compare(query, against)?;
        let steps = by.map(|step| reader.compare_series(query, against, step.into())).transpose()?;
        Ok(Self { comparison, mark, steps })
    }

    pub(super) fn is_around_mark(&self) -> bool {
        self.mark.is_some()
    }
}

impl<'a> CompareDocument<'a> {
    pub(super) fn of(compared: &'a Compared) -> Self {
        let Compared { comparison, mark, steps } = compared;
        let side = |answer: &'a Answer, steps: Option<&'a Vec<Answer>>| SideDocument {
            from: answer.window.from(),
            to: answer.window.to(),
            figures: Figures::of(answer).of_one_property(),
            partial: answer.partial,
            series: steps.map(|steps| steps.iter().map(StepDocument::of).collect()),
        };
        let (before, after) = steps.as_ref().map(|(before, after)| (before, after)).unzip();
        Self {
            with: if mark.is_some() { "mark" } else { "previous" },
            mark: mark.as_ref().map(|mark| MarkDocument { name: &mark.name, at: mark.at }),
            before: side(&comparison.before, before),
            after: side(&comparison.after, after),
            standard_error: comparison.standard_error,
            change: ChangeDocument::of(&comparison.change),
            values: comparison
                .values
                .iter()
                .map(|(value, change)| (value.as_str(), ChangeDocument::of(change)))
                .collect(),
        }
    }
}

impl ChangeDocument {
    fn of(change: &Change) -> Self {
        Self {
            difference: change.difference,
            percent: change.percent,
            noise: change.noise,
            verdict: change.verdict.as_str(),
        }
    }
}

pub(super) fn print(compared: &Compared, what: &str, now: Moment, output: &mut Output<'_>) {
    let Compared { comparison, mark, steps } = compared;
    let look = output.look();
    match mark {
        Some(Mark { name, at, .. }) => output.line(format_args!(
            "{what}, before and after {} ({})\n",
            text::name(name),
            window::instant(*at, now)
        )),
        None => output.line(format_args!("{what}, compared with the time before\n")),
    }
    let mut table = Table::new(&[Align::Left, Align::Right, Align::Left, Align::Left])
        .wrapping(2)
        .painting(3, Paint::Bar);
    let max =
        steps.iter().flat_map(|(before, after)| before.iter().chain(after)).map(number).fold(0.0, f64::max);
    let mut side = |name: &str, answer: &Answer, steps: Option<&Vec<Answer>>| {
        let line = steps.map(|steps| sparkline(steps.iter().map(number), max)).unwrap_or_default();
        table.row([name.to_owned(), text::value(answer), window::of_answer(answer, now), line]);
    };
    side("before", &comparison.before, steps.as_ref().map(|(before, _)| before));
    side("after", &comparison.after, steps.as_ref().map(|(_, after)| after));
    let change = &comparison.change;
    let digits = digits(change, matches!(comparison.after.value, Value::Sum { .. }));
    table.row(["change".to_owned(), difference(change, digits), percent(change), String::new()]);
    output.table(&table, "  ");
    let paint = match change.verdict {
        Verdict::Rise | Verdict::Fall => Paint::Number,
        _ => Paint::Aside,
    };
    output.line(format_args!(
        "\n{}",
        look.paint(paint, &verdict(change, digits, !comparison.before.partial && !comparison.after.partial))
    ));
    if let Some(asked) = comparison.cut_from {
        output.line(format_args!(
            "{} is not over: both windows end where it has got to",
            window::range(asked, now)
        ));
    }
    if !comparison.values.is_empty() {
        output.text(format_args!("\n{}", values_table(&comparison.values).render("  ", look)));
    }
    if comparison.standard_error >= 0.5 {
        output.line(format_args!("\n{}", text::LEGEND));
    }
}

fn number(answer: &Answer) -> f64 {
    answer.value.number().unwrap_or_default()
}

/// How many digits behind the point tell a difference of sums from its bound; all else is counted in whole numbers.
fn digits(change: &Change, is_sum: bool) -> usize {
    let largest = change.difference.abs().max(change.noise.unwrap_or_default());
    let is_whole = change.before.fract() == 0.0 && change.after.fract() == 0.0;
    if !is_sum || is_whole || largest >= 100.0 {
        return 0;
    }
    let digits = (0..MAX_DIGITS).find(|digits| largest * 10_f64.powi(*digits) >= 100.0).unwrap_or(MAX_DIGITS);
    usize::try_from(digits).unwrap_or_default()
}

fn difference(change: &Change, digits: usize) -> String {
    let difference = text::fixed(change.difference, digits);
    if change.difference > 0.0 { format!("+{difference}") } else { difference }
}

fn percent(change: &Change) -> String {
    match change.percent {
        None => String::new(),
        Some(percent) => format!("{percent:+.1} %"),
    }
}

fn verdict(change: &Change, digits: usize, is_whole: bool) -> String {
    // Rounded down, so that a difference that exceeds it does so as it is shown.
    let scale = 10_f64.powi(i32::try_from(digits).unwrap_or_default());
    let noise = change.noise.map(|noise| text::fixed((noise * scale).floor() / scale, digits));
    match (change.verdict, noise) {
        (Verdict::Rise, Some(noise)) => format!("A rise: chance alone explains differences up to {noise}"),
        (Verdict::Fall, Some(noise)) => format!("A fall: chance alone explains differences up to {noise}"),
        (Verdict::Noise, Some(noise)) => {
            format!("No change that could be told from chance, which explains up to {noise}")
        }
        _ if !is_whole => {
            "Not comparable: not all of both windows was recorded; ask for days that were, with --from and --to"
                .to_owned()
        }
        _ => "Not to be told from chance: too few days are known to say how sums spread".to_owned(),
    }
}

fn values_table(values: &BTreeMap<String, Change>) -> Table {
    let mut sorted: Vec<(&String, &Change)> = values.iter().collect();
    sorted.sort_by(|(_, a), (_, b)| b.difference.abs().total_cmp(&a.difference.abs()));
    let right = Align::Right;
    let mut table =
        Table::new(&[Align::Left, right, right, right, right, Align::Left]).with_head().cutting(0);
    table.row(["value", "before", "after", "change", "", ""]);
    for (value, change) in sorted.iter().take(MAX_LISTED_VALUES) {
        table.row([
            text::name(value),
            text::number(change.before),
            text::number(change.after),
            difference(change, 0),
            percent(change),
            change.verdict.as_str().to_owned(),
        ]);
    }
    if let Some(more) = sorted.len().checked_sub(MAX_LISTED_VALUES).filter(|more| *more > 0) {
        table.row([format!("{more} more")]);
    }
    table
}
