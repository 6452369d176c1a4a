//! Before and after: how much a number has changed, and whether chance explains it.

use std::collections::{BTreeMap, BTreeSet};

use crate::definition::rule::RuleKind;
use crate::error::Error;
use crate::report::evaluate::Evaluation;
use crate::report::pair::Pair;
use crate::report::query::{Answer, Query, Span, Value};
use crate::report::reader::Reader;
use crate::time::bucket::{SECONDS_PER_DAY, SECONDS_PER_HOUR};
use crate::time::range::{TimeRange, Unit};
use crate::time::timestamp::Timestamp;

/// Of normally distributed differences 95 % are smaller than so many standard deviations.
const NORMAL_95: f64 = 1.96;
/// The spread of fewer pairs of days or hours says nothing.
const FEWEST_PAIRS: usize = 3;
/// Windows of fewer days do not show how much days differ.
const FEWEST_DAYS: i64 = 4;
/// So many of the days before both windows must show it instead.
const FEWEST_PAST_DAYS: usize = 7;

/// What a window is compared with.
///
/// ```
/// use headcount::{Against, Timestamp};
///
/// let release = Against::Instant(Timestamp::parse("2026-11-10T14:00:00Z")?);
/// # Ok::<(), headcount::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Against {
    /// The window of the same length just before it.
    Previous,
    /// As many days before an instant as after it. The query says how many with [`Query::last_days`]; the hour (for uniques and
    /// values per property the day) in which the instant lies belongs to neither.
    Instant(Timestamp),
}

/// Two windows of equal length and what lies between them.
///
/// A window that is not over is compared like for like: only as far as whole hours (for uniques and values per property whole days)
/// have passed and are recorded, in both windows.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// use headcount::{Against, Definitions, EventDefinition, Query, Store, Verdict};
///
/// let definitions = Definitions::new().event(EventDefinition::new("page_viewed"))?;
/// let store = Store::builder_in_memory().definitions(definitions).open()?;
/// let mut log = String::new();
/// for day in 1..=20 {
///     let line = format!("{{\"event\":\"page_viewed\",\"time\":\"2024-03-{day:02}T10:00:00Z\"}}\n");
///     log += &line.repeat(if day < 11 { 100 } else { 150 });
/// }
/// store.import("access.log", log.as_bytes())?;
/// let release = headcount::Timestamp::parse("2024-03-11")?;
/// let comparison = store.reader().compare(&Query::total("page_viewed").last_days(7), Against::Instant(release))?;
/// assert_eq!(comparison.change.difference, 350.0);
/// assert_eq!(comparison.change.percent, Some(50.0));
/// assert_eq!(comparison.change.verdict, Verdict::Rise);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// The earlier window.
    pub before: Answer,
    /// The later window.
    pub after: Answer,
    /// The standard error of the difference, from those of the two estimates; 0 for numbers that are exact.
    pub standard_error: f64,
    /// From before to after; of counts per value all values together.
    pub change: Change,
    /// For counts per value of one property: the change of each value, whose noise is wider, so that chance exceeds that of any value in
    /// 1 of 20 cases.
    pub values: BTreeMap<String, Change>,
    /// The time that was asked for, if it is not over and both windows are therefore shorter.
    pub cut_from: Option<TimeRange>,
}

/// How a number has changed.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Change {
    /// The earlier number.
    pub before: f64,
    /// The later number.
    pub after: f64,
    /// After less before.
    pub difference: f64,
    /// The difference in per cent of before; `None` where before is 0.
    pub percent: Option<f64>,
    /// The difference that chance and the errors of estimates exceed in 1 of 20 cases in which nothing has changed; `None` where that
    /// cannot be told.
    ///
    /// - Sums: how much like days differ, by Student's t. Windows of four days and more show it themselves, the first day of one beside
    ///   the first of the other. For shorter ones it is taken from the 28 days before both, each beside the one as far before it as
    ///   the windows lie apart; where fewer than 7 were recorded, from the hours of the windows, which do not show that days differ
    ///   as a whole.
    /// - Counts, also those of all values together: the same, or counting noise (Poisson) where that is larger.
    /// - Uniques: counting noise and both standard errors. Counts of one value: counting noise.
    ///
    /// Weekdays make no difference where the windows lie whole weeks apart; else they count as noise, or as a change.
    pub noise: Option<f64>,
    /// What follows from the two.
    pub verdict: Verdict,
}

/// Whether a number has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verdict {
    /// It is larger, by more than chance explains.
    Rise,
    /// It is smaller, by more than chance explains.
    Fall,
    /// Chance explains the difference.
    Noise,
    /// It cannot be told: one of the windows was not recorded throughout, or it is too short to know how sums spread.
    Unknown,
}

impl Verdict {
    /// As one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rise => "rise",
            Self::Fall => "fall",
            Self::Noise => "noise",
            Self::Unknown => "unknown",
        }
    }
}

impl Reader {
    /// Compares the window of a query with an earlier one, as of one moment of the store.
    ///
    /// # Errors
    ///
    /// As [`Reader::value`], and [`ErrorKind::Usage`](crate::ErrorKind::Usage) for a query without a window, an instant with a window of
    /// another shape than [`Query::last_days`], and windows of which nothing has passed yet or that begin before 1970.
    pub fn compare(&self, query: &Query, against: Against) -> Result<Comparison, Error> {
        self.read_query(query, |evaluation, now| {
            let pair = Pair::of(
                query,
                against,
                evaluation.step_seconds(),
                now,
                self.passed(now),
                evaluation.known_until(),
            )?;
            compare(evaluation, pair)
        })
    }

    /// The answers step by step of both windows of a comparison, before and after.
    ///
    /// # Errors
    ///
    /// As [`Reader::compare`] and [`Reader::series`].
    pub fn compare_series(
        &self,
        query: &Query,
        against: Against,
        unit: Unit,
    ) -> Result<(Vec<Answer>, Vec<Answer>), Error> {
        self.read_query(query, |evaluation, now| {
            let Pair { before, after, .. } = Pair::of(
                query,
                against,
                evaluation.step_seconds(),
                now,
                self.passed(now),
                evaluation.known_until(),
            )?;
            Ok((evaluation.steps(Span::Range(before), unit)?, evaluation.steps(Span::Range(after), unit)?))
        })
    }
}

impl Reader {
    /// How far time has got by the clock, for a query that asks for `now`: an instant ahead of the clock ends no window.
    fn passed(&self, now: Timestamp) -> Timestamp {
        now.min(self.clock_now())
    }
}

fn compare(evaluation: &Evaluation<'_>, pair: Pair) -> Result<Comparison, Error> {
    let before = evaluation.value(Span::Range(pair.before))?;
    let after = evaluation.value(Span::Range(pair.after))?;
    let is_whole = !before.partial && !after.partial;
    let standard_error = before.standard_error.hypot(after.standard_error);
    let (from, to) = (total(&before.value), total(&after.value));
    let counting = (from.abs() + to.abs()).sqrt();
    let noise = match evaluation.kind() {
        RuleKind::Unique => Some(NORMAL_95 * counting.hypot(standard_error)),
        RuleKind::Sum => spread(evaluation, &pair)?,
        RuleKind::Count | RuleKind::PerValue => {
            Some(spread(evaluation, &pair)?.unwrap_or_default().max(NORMAL_95 * counting))
        }
    };
    let values = values(&before.value, &after.value, is_whole);
    let change = Change::of(from, to, noise, is_whole);
    Ok(Comparison { before, after, standard_error, change, values, cut_from: pair.cut_from })
}

/// How far the difference of the windows would stray by chance.
fn spread(evaluation: &Evaluation<'_>, pair: &Pair) -> Result<Option<f64>, Error> {
    if pair.seconds() >= FEWEST_DAYS * SECONDS_PER_DAY {
        return spread_of_steps(evaluation, pair, SECONDS_PER_DAY);
    }
    match spread_of_past(evaluation, pair)? {
        Some(spread) => Ok(Some(spread)),
        None => spread_of_steps(evaluation, pair, evaluation.step_seconds()),
    }
}

/// The spread by how much the differences of like steps vary: a comparison of pairs, so that weekdays and hours of the day, which
/// both windows have, count for nothing.
fn spread_of_steps(evaluation: &Evaluation<'_>, pair: &Pair, step: i64) -> Result<Option<f64>, Error> {
    let mut differences = Vec::new();
    for (before, after) in pair.steps(step) {
        let (before, after) = (evaluation.value(Span::Range(before))?, evaluation.value(Span::Range(after))?);
        differences.push(total(&after.value) - total(&before.value));
    }
    if differences.len() < FEWEST_PAIRS {
        return Ok(None);
    }
    let pairs = double(differences.len());
    let mean = differences.iter().sum::<f64>() / pairs;
    let squares: f64 = differences.iter().map(|difference| (difference - mean).powi(2)).sum();
    let variance = squares / (pairs - 1.0);
    Ok(Some(student_95(pairs - 1.0) * (variance * ratio(pair.seconds(), step)).sqrt()))
}

/// The spread by how much days before both windows differed, if they were recorded.
fn spread_of_past(evaluation: &Evaluation<'_>, pair: &Pair) -> Result<Option<f64>, Error> {
    let mut differences = Vec::new();
    for (before, after) in pair.past() {
        let (before, after) = (evaluation.value(Span::Range(before))?, evaluation.value(Span::Range(after))?);
        if before.partial || after.partial {
            break;
        }
        differences.push(total(&after.value) - total(&before.value));
    }
    if differences.len() < FEWEST_PAST_DAYS {
        return Ok(None);
    }
    // Nothing has changed where the mean is 0; a trend is no news and counts as noise.
    let pairs = double(differences.len());
    let variance = differences.iter().map(|difference| difference.powi(2)).sum::<f64>() / pairs;
    let days = ratio(pair.seconds(), pair.seconds().min(SECONDS_PER_DAY));
    Ok(Some(student_95(pairs) * (variance * days).sqrt()))
}

fn double(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// How many times one time has room in another; fractions count.
fn ratio(seconds: i64, step: i64) -> f64 {
    let hours = |seconds: i64| f64::from(u32::try_from(seconds / SECONDS_PER_HOUR).unwrap_or(u32::MAX));
    hours(seconds) / hours(step).max(1.0)
}

/// The two-sided 95 % quantile of Student's t, by the expansion of Cornish and Fisher (Abramowitz and Stegun 26.7.5); 4 % too
/// small at two degrees of freedom, 0.1 % at ten.
fn student_95(degrees: f64) -> f64 {
    let z = NORMAL_95;
    let first = (z.powi(3) + z) / 4.0;
    let second = (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0;
    let third = (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0;
    z + first / degrees + second / degrees.powi(2) + third / degrees.powi(3)
}

#[expect(clippy::cast_precision_loss, reason = "compared with a noise that is larger than the lost digits")]
fn total(value: &Value) -> f64 {
    value.number().unwrap_or_else(|| {
        let Value::PerValue(properties) = value else { return 0.0 };
        properties.values().flat_map(BTreeMap::values).map(|count| *count as f64).sum()
    })
}

/// The two-sided quantile that all of several independent differences stay within in 95 of 100 cases (Bonferroni), by the rational
/// approximation of Abramowitz and Stegun 26.2.23, whose error is below 4.5e-4.
fn normal_95_of(several: f64) -> f64 {
    let t = (-2.0 * (0.025 / several.max(1.0)).ln()).sqrt();
    let over = 2.515_517 + 0.802_853 * t + 0.010_328 * t * t;
    let under = 1.0 + 1.432_788 * t + 0.189_269 * t * t + 0.001_308 * t.powi(3);
    t - over / under
}

/// The change of each value of the one property that was asked for.
fn values(before: &Value, after: &Value, is_whole: bool) -> BTreeMap<String, Change> {
    let (Some(before), Some(after)) = (before.per_value(), after.per_value()) else { return BTreeMap::new() };
    let number = |values: &BTreeMap<String, u64>, name: &String| {
        total(&Value::Count(values.get(name).copied().unwrap_or_default()))
    };
    let values = before.keys().chain(after.keys()).collect::<BTreeSet<_>>().len();
    let quantile = normal_95_of(f64::from(u32::try_from(values).unwrap_or(u32::MAX)));
    let change = |name: &String| {
        let (before, after) = (number(before, name), number(after, name));
        (name.clone(), Change::of(before, after, Some(quantile * (before + after).sqrt()), is_whole))
    };
    before.keys().chain(after.keys()).map(change).collect()
}

impl Change {
    fn of(before: f64, after: f64, noise: Option<f64>, is_whole: bool) -> Self {
        let difference = after - before;
        let percent = (before != 0.0).then(|| difference / before.abs() * 100.0);
        let verdict = match noise.filter(|_| is_whole) {
            None => Verdict::Unknown,
            Some(noise) if difference.abs() <= noise => Verdict::Noise,
            Some(_) if difference > 0.0 => Verdict::Rise,
            Some(_) => Verdict::Fall,
        };
        Self { before, after, difference, percent, noise, verdict }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_values_need_a_wider_bound() {
        for (several, table) in [(1.0, 1.960), (2.0, 2.241), (10.0, 2.807), (100.0, 3.481), (1_000.0, 4.056)]
        {
            assert!((normal_95_of(several) - table).abs() < 1e-3, "{several}: {}", normal_95_of(several));
        }
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (degrees, table) in
            [(2.0, 4.303), (3.0, 3.182), (6.0, 2.447), (13.0, 2.160), (27.0, 2.052), (167.0, 1.974)]
        {
            let ours = student_95(degrees);
            assert!((ours - table).abs() <= 0.05 * table, "{degrees}: {ours} and {table}");
        }
    }
}
