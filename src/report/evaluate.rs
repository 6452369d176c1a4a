//! Evaluating rules over a range, on one moment of the store.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use crate::definition::rule::{Rule, RuleKind};
use crate::error::{Error, ErrorKind};
use crate::report::ahead::{Ahead, Wanted};
use crate::report::arrived::{self, Part, Total};
use crate::report::asked::{Asked, lost_sketch};
use crate::report::known::Known;
use crate::report::query::{Answer, Query, Span, Value};
#[cfg(feature = "redis")]
use crate::sketch::Sketch;
use crate::sketch::union::Union;
use crate::storage::sum::Sum;
use crate::storage::{Extent, Series, Snapshot};
use crate::time::bucket::{Bucket, Day, HOURS_PER_DAY, Hour, SECONDS_PER_DAY, SECONDS_PER_HOUR};
use crate::time::range::{TimeRange, Unit};
use crate::time::timestamp::Timestamp;

/// How much there is: whole, where an answer has an estimate.
#[cfg(feature = "redis")]
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Amount {
    Count(u64),
    Sum(f64),
    Unique(Box<Sketch>),
    PerValue(BTreeMap<String, u64>),
}

/// The most steps of one series.
const MAX_STEPS: i64 = 200_000;

/// Rules whose series are known, ready to be evaluated over any range of one moment.
pub(crate) struct Evaluation<'a> {
    snapshot: &'a dyn Snapshot,
    kind: RuleKind,
    series: Vec<Asked>,
    extent: Extent,
    now: Timestamp,
    clock_now: Timestamp,
    /// The instant that the question is asked for, if not now.
    as_of: Option<Timestamp>,
}

impl<'a> Evaluation<'a> {
    pub(crate) fn of(known: &Known<'a>, query: &Query, clock_now: Timestamp) -> Result<Self, Error> {
        let kind = query
            .rules
            .first()
            .map(Rule::kind)
            .ok_or_else(|| Error::new(ErrorKind::Usage, "the query names no event; name at least one"))?;
        let series = query
            .rules
            .iter()
            .filter(|rule| rule.kind() == kind)
            .map(|rule| {
                let Series { id, recorded, damaged } = known.find(rule)?;
                let property = rule.identifier().unwrap_or_default().to_owned();
                Ok(Asked { id, recorded, damaged, property })
            })
            .collect::<Result<Vec<_>, Error>>()?;
        if let (true, Some(rule)) = (series.iter().all(Asked::is_unrecorded), query.rules.first()) {
            return Err(unrecorded(rule));
        }
        let mut extent = known.extent;
        // Also what was lost is asked for, where nothing else is.
        for day in series.iter().flat_map(Asked::damaged_days) {
            extent.days =
                Some(extent.days.map_or((day, day), |(first, last)| (first.min(day), last.max(day))));
        }
        Ok(Self {
            snapshot: known.snapshot,
            kind,
            series,
            extent,
            now: query.as_of.unwrap_or(clock_now),
            clock_now,
            as_of: query.as_of.filter(|as_of| *as_of < clock_now),
        })
    }

    /// The answer over the span of the query.
    pub(crate) fn value(&self, span: Span) -> Result<Answer, Error> {
        self.value_with(span, &Ahead::default())
    }

    /// The answer over the span of the query, from what was read ahead as far as that goes.
    pub(crate) fn value_with(&self, span: Span, ahead: &Ahead) -> Result<Answer, Error> {
        match span {
            Span::AllTime => self.all_time(ahead),
            Span::Range(range) => self.range(range, ahead),
            Span::LastDays(days) => self.range(self.last_days(days)?, ahead),
        }
    }

    /// What can be read ahead for [`Evaluation::value_with`].
    pub(crate) fn wanted(&self, span: Span) -> Option<Wanted> {
        let range = match span {
            Span::AllTime => self.range_of_all_time().map(|(range, _)| range),
            Span::Range(range) => Some(range),
            Span::LastDays(days) => Some(self.last_days(days).ok()?),
        };
        let days = match range {
            Some(range) => Some(self.held(range)?.hours_and_days().1),
            None => None,
        };
        Some(Wanted { kind: self.kind, series: self.series.iter().map(|asked| asked.id).collect(), days })
    }

    fn last_days(&self, days: u32) -> Result<TimeRange, Error> {
        if days == 0 {
            return Err(Error::new(ErrorKind::Usage, "the last 0 days are no time; ask for at least one"));
        }
        Ok(TimeRange::last_days(self.now, days))
    }

    /// The answers for each step of a range.
    pub(crate) fn steps(&self, span: Span, unit: Unit) -> Result<Vec<Answer>, Error> {
        if unit == Unit::Hour && self.is_by_day() {
            return Err(Error::new(
                ErrorKind::Usage,
                "uniques and values per property are kept by the day; ask for them by day, week or month",
            ));
        }
        let range = match span {
            Span::AllTime => match self.extent.all_days() {
                None => return Ok(Vec::new()),
                Some((first, last)) => {
                    let last = self.as_of.map_or(last, |as_of| last.min(Day::of(as_of).index()));
                    TimeRange::clamped(Day::from_index(first).start(), Day::from_index(last + 1).start())
                }
            },
            Span::Range(range) => range,
            Span::LastDays(days) => self.last_days(days)?,
        };
        if range.piece_count(unit) > MAX_STEPS {
            return Err(Error::new(
                ErrorKind::Usage,
                format!(
                    "the range {range} has more than {MAX_STEPS} steps; ask for larger steps or a shorter range"
                ),
            ));
        }
        range.pieces(unit).into_iter().map(|piece| self.range(piece, &Ahead::default())).collect()
    }

    /// The total of no buckets; each property that is asked for has its place, also if it has no value.
    fn nothing(&self) -> Total<'static> {
        match self.kind {
            RuleKind::Count => Total::Count(0),
            RuleKind::Sum => Total::Sum(Sum::default()),
            RuleKind::Unique => Total::Unique(Cow::Owned(Union::new())),
            RuleKind::PerValue => {
                let properties = self.series.iter().map(|series| (series.property.clone(), BTreeMap::new()));
                Total::PerValue(properties.collect())
            }
        }
    }

    pub(crate) fn kind(&self) -> RuleKind {
        self.kind
    }

    /// How far time has got for the rules: now, or where their recording ended before that, as it does between imports.
    pub(crate) fn known_until(&self) -> Timestamp {
        let now = self.now.min(self.clock_now);
        let ends = self.series.iter().filter_map(|series| series.recorded.last()?.until);
        ends.fold(now, Timestamp::min)
    }

    /// The length of the finest buckets that answer.
    pub(crate) fn step_seconds(&self) -> i64 {
        if self.is_by_day() { SECONDS_PER_DAY } else { SECONDS_PER_HOUR }
    }

    fn is_by_day(&self) -> bool {
        matches!(self.kind, RuleKind::Unique | RuleKind::PerValue)
    }

    /// All time as a range, where it ends at an instant: the whole buckets that began before it, and whether the last was not over.
    fn range_of_all_time(&self) -> Option<(TimeRange, bool)> {
        let as_of = self.as_of?;
        let step = self.step_seconds();
        let over = as_of.unix_seconds().rem_euclid(step);
        let end = if over == 0 { as_of } else { as_of.plus_seconds(step - over) };
        Some((TimeRange::clamped(Timestamp::EPOCH, end), over != 0))
    }

    fn all_time(&self, ahead: &Ahead) -> Result<Answer, Error> {
        if let Some((as_of, (range, is_within))) = self.as_of.zip(self.range_of_all_time()) {
            let (mut answer, is_cut) = self.cut(range, ahead)?;
            let first = self.first();
            (answer.window, answer.since) = (TimeRange::clamped(first.min(as_of), as_of), first);
            answer.partial =
                is_cut || is_within || first >= as_of || self.series.iter().any(Asked::is_unrecorded);
            return Ok(answer);
        }
        let total = self.total_of_all_time(ahead)?;
        let first = self.first();
        let partial = self.series.iter().any(Asked::is_unrecorded);
        Ok(self.answer(total, TimeRange::clamped(first.min(self.now), self.now), first, partial))
    }

    fn total_of_all_time<'u>(&self, ahead: &'u Ahead) -> Result<Total<'u>, Error> {
        let mut total = self.nothing();
        for series in &self.series {
            if self.kind != RuleKind::Unique {
                series.refuse_lost(Bucket::ALL_TIME)?;
            }
            match &mut total {
                Total::Count(count) => {
                    if !ahead.add_counts(count, series.id, None) {
                        *count = count.saturating_add(self.snapshot.count(series.id, Bucket::ALL_TIME)?);
                    }
                }
                Total::Sum(sum) => {
                    if !ahead.add_sums(sum, series.id, None) {
                        sum.unite(self.snapshot.sum(series.id, Bucket::ALL_TIME)?);
                    }
                }
                Total::Unique(union) => {
                    series.refuse_damaged(Bucket::ALL_TIME, || "of some day".to_owned())?;
                    if ahead.unite(union, series.id, None) {
                        continue;
                    }
                    let union = union.to_mut();
                    self.snapshot.all_time_sketches(series.id..=series.id, &mut |_, blob| {
                        union
                            .unite_blob(blob)
                            .map_err(|error| lost_sketch(series.id, "of some day", &error.to_string()))
                    })?;
                }
                Total::PerValue(properties) => {
                    let values = properties.entry(series.property.clone()).or_default();
                    self.snapshot.per_value(series.id, Bucket::ALL_TIME, values)?;
                }
            }
        }
        for series in &self.series {
            arrived::add(&mut total, self.snapshot, &self.extent, series, Part::All)?;
        }
        Ok(total)
    }

    fn range(&self, range: TimeRange, ahead: &Ahead) -> Result<Answer, Error> {
        self.cut(range, ahead).map(|(answer, _)| answer)
    }

    /// The answer over a range, and whether it cuts what arrived as a whole.
    fn cut(&self, range: TimeRange, ahead: &Ahead) -> Result<(Answer, bool), Error> {
        let (total, is_cut) = self.total_within(range, ahead)?;
        // An instant ahead of the clock ends no window.
        let now = self.now.min(self.clock_now);
        let end = range.to().min(now);
        let since = self.series.iter().map(|series| series.since(end)).max().unwrap_or(Timestamp::EPOCH);
        let covered = self.series.iter().all(|series| series.covers(range.from(), end));
        Ok((self.answer(total, range, since, is_cut || range.to() > now || !covered), is_cut))
    }

    fn total_within<'u>(&self, range: TimeRange, ahead: &'u Ahead) -> Result<(Total<'u>, bool), Error> {
        if self.is_by_day() && !range.is_whole_days() {
            return Err(Error::new(
                ErrorKind::Usage,
                format!(
                    "uniques and values per property are kept by the UTC day; {range} does not begin and end at midnight"
                ),
            ));
        }
        if !range.is_whole_hours() {
            return Err(Error::new(
                ErrorKind::Usage,
                format!(
                    "totals and sums are kept by the hour; {range} does not begin and end on a full hour"
                ),
            ));
        }
        let mut total = self.nothing();
        if let Some(held) = self.held(range) {
            let (hours, days) = held.hours_and_days();
            self.refuse_removed(range, &hours, &days)?;
            for series in &self.series {
                if self.kind != RuleKind::Unique {
                    series.refuse_lost_within(&hours, &days)?;
                }
                for hour in &hours {
                    self.add(&mut total, series, Bucket::hour(*hour))?;
                }
                let is_added = match &mut total {
                    Total::Count(count) => ahead.add_counts(count, series.id, Some(&days)),
                    Total::Sum(sum) => ahead.add_sums(sum, series.id, Some(&days)),
                    Total::Unique(union) => {
                        self.unite(union, series, days.clone(), ahead)?;
                        true
                    }
                    Total::PerValue(_) => false,
                };
                if is_added {
                    continue;
                }
                for day in days.clone().map(Day::from_index) {
                    self.add(&mut total, series, Bucket::day(day))?;
                }
            }
        }
        let mut is_cut = false;
        for series in &self.series {
            let part = Part::Within(range, self.as_of);
            is_cut |= arrived::add(&mut total, self.snapshot, &self.extent, series, part)?;
        }
        Ok((total, is_cut))
    }

    /// What the buckets of a range, or of all time, hold together.
    #[cfg(feature = "redis")]
    pub(crate) fn amount(&self, range: Option<TimeRange>) -> Result<Amount, Error> {
        let ahead = Ahead::default();
        let total = match range {
            Some(range) => self.total_within(range, &ahead)?.0,
            None => self.total_of_all_time(&ahead)?,
        };
        Ok(match total {
            Total::Count(count) => Amount::Count(count),
            Total::Sum(sum) => Amount::Sum(sum.value()),
            Total::Unique(union) => Amount::Unique(Box::new(union.into_owned().into_sketch())),
            Total::PerValue(properties) => {
                Amount::PerValue(properties.into_values().next().unwrap_or_default())
            }
        })
    }

    /// When the last of the rules was first recorded.
    fn first(&self) -> Timestamp {
        self.series.iter().map(Asked::first).max().unwrap_or(Timestamp::EPOCH)
    }

    /// The part of the range that can have data, or had it: between the first and the last day of the store, and before `as_of`. What
    /// retention removed ends where it begins to keep, and may have been all.
    fn held(&self, range: TimeRange) -> Option<TimeRange> {
        let (hours_from, days_from) = self.extent.kept_from;
        let is_whole = (hours_from, days_from) == (0, 0);
        let removed_to = Hour::from_index(hours_from).start().max(Day::from_index(days_from).start());
        let (first, end) = match self.extent.days {
            Some((first, last)) => (first, Day::from_index(last).start().plus_seconds(SECONDS_PER_DAY)),
            None if is_whole => return None,
            None => (0, removed_to),
        };
        let first_kept = if is_whole { Day::from_index(first).start() } else { Timestamp::EPOCH };
        let end = end.max(removed_to);
        let mut to = range.to().min(end);
        if let Some(as_of) = self.as_of {
            let step = self.step_seconds();
            to = to.min(as_of.plus_seconds(step - 1 - (as_of.unix_seconds() - 1).rem_euclid(step)));
        }
        let from = range.from().max(first_kept);
        (from < to).then(|| TimeRange::clamped(from, to))
    }

    fn refuse_removed(&self, range: TimeRange, hours: &[Hour], days: &Range<u32>) -> Result<(), Error> {
        let (hours_from, days_from) = self.extent.kept_from;
        let hour_gone = hours.first().is_some_and(|hour| hour.index() < hours_from);
        let day_gone = !days.is_empty() && days.start < days_from;
        if !hour_gone && !day_gone {
            return Ok(());
        }
        let kept =
            Hour::from_index(hours_from).start().max(Hour::from_index(days_from * HOURS_PER_DAY).start());
        Err(Error::new(
            ErrorKind::NotKept,
            format!(
                "retention has removed buckets of {range}; all that is finer than all time begins at {kept}"
            ),
        ))
    }

    fn unite<'u>(
        &self,
        union: &mut Cow<'u, Union>,
        series: &Asked,
        days: Range<u32>,
        ahead: &'u Ahead,
    ) -> Result<(), Error> {
        let which = |day: Day| format!("of {}", day.start());
        for day in days.clone().map(Day::from_index) {
            series.refuse_damaged(Bucket::day(day), || which(day))?;
        }
        if ahead.unite(union, series.id, Some(&days)) {
            return Ok(());
        }
        let union = union.to_mut();
        self.snapshot.day_sketches(series.id..=series.id, days, &mut |_, day, blob| {
            union.unite_blob(blob).map_err(|error| lost_sketch(series.id, &which(day), &error.to_string()))
        })
    }

    fn add(&self, total: &mut Total<'_>, series: &Asked, bucket: Bucket) -> Result<(), Error> {
        match total {
            Total::Count(count) => *count = count.saturating_add(self.snapshot.count(series.id, bucket)?),
            Total::Sum(sum) => sum.unite(self.snapshot.sum(series.id, bucket)?),
            Total::Unique(_) => {} // Kept by the day alone: `unite` adds all of them.
            Total::PerValue(properties) => {
                let values = properties.entry(series.property.clone()).or_default();
                self.snapshot.per_value(series.id, bucket, values)?;
            }
        }
        Ok(())
    }

    fn answer(&self, total: Total<'_>, window: TimeRange, since: Timestamp, partial: bool) -> Answer {
        let (value, standard_error) = match total {
            Total::Count(count) => (Value::Count(count), 0.0),
            Total::Sum(sum) => (Value::Sum { sum: sum.value(), saturated: sum.is_saturated() }, 0.0),
            Total::Unique(union) => {
                let estimate = union.estimate();
                (Value::Unique(estimate.value), estimate.standard_error)
            }
            Total::PerValue(properties) => (Value::PerValue(properties), 0.0),
        };
        Answer { value, standard_error, window, since, partial, freshness: self.extent.committed_at }
    }
}

#[cold]
fn unrecorded(rule: &Rule) -> Error {
    Error::new(
        ErrorKind::NotRecorded,
        format!(
            "nobody has recorded `{}` yet: its definition is known, but no program tracked its event and no import had it",
            rule.key()
        ),
    )
}
