//! The check of all that has a day: series, and the rows of each day against those of its hours.

use std::collections::{BTreeMap, HashMap};

use crate::definition::rule::RuleKind;
use crate::error::Error;
use crate::report::check::{Check, Depth, Law};
use crate::report::reader::stored_definitions;
use crate::sketch::Sketch;
use crate::sketch::estimate::Estimate;
use crate::storage::batch::SeriesId;
use crate::storage::sum::Sum;
use crate::storage::survey::KeyedSeries;
use crate::storage::{Snapshot, Span};
use crate::time::bucket::{Bucket, Day};

/// Sums are kept to about 30 digits, so that their parts may differ from the whole by rounding only.
const SUM_TOLERANCE: f64 = 1e-12;
/// More distinct ones than events, by so many standard errors, are no chance.
const MANY_ERRORS: f64 = 6.0;
/// A count of the file stops here.
pub(super) const LARGEST_COUNT: u64 = i64::MAX.unsigned_abs();

pub(super) struct Checking<'a> {
    pub(super) snapshot: &'a dyn Snapshot,
    depth: Depth,
    pub(super) check: Check,
    series: HashMap<SeriesId, KeyedSeries>,
    /// The series that counts each event, by the event's escaped name.
    pub(super) totals: HashMap<String, SeriesId>,
    names: HashMap<SeriesId, Vec<i64>>,
    /// What the rows of all time should be, by the rows of all days.
    pub(super) counts: BTreeMap<SeriesId, u64>,
    pub(super) sums: BTreeMap<SeriesId, Parts>,
    pub(super) values: BTreeMap<(SeriesId, i64), u64>,
    /// The union of the days that the cursor has passed.
    pub(super) sketches: BTreeMap<SeriesId, Sketch>,
}

/// A sum of parts, and the sum of their sizes, which says how far rounding may go.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Parts {
    pub(super) sum: Sum,
    size: f64,
}

impl Parts {
    fn add(&mut self, sum: Sum) {
        self.sum.unite(sum);
        self.size += sum.value().abs();
    }

    pub(super) fn differ_from(self, whole: Sum) -> bool {
        let is_bound = self.sum.is_saturated() || whole.is_saturated();
        !is_bound
            && (self.sum.value() - whole.value()).abs() > SUM_TOLERANCE * self.size.max(f64::MIN_POSITIVE)
    }
}

impl<'a> Checking<'a> {
    pub(super) fn new(snapshot: &'a dyn Snapshot, depth: Depth, check: Check) -> Self {
        Self {
            snapshot,
            depth,
            check,
            series: HashMap::new(),
            totals: HashMap::new(),
            names: HashMap::new(),
            counts: BTreeMap::new(),
            sums: BTreeMap::new(),
            values: BTreeMap::new(),
            sketches: BTreeMap::new(),
        }
    }

    pub(super) fn run(&mut self) -> Result<(), Error> {
        self.read_series()?;
        if let Err(error) = stored_definitions(self.snapshot) {
            self.check.find(Law::Consistency, error);
        }
        let strange = self.snapshot.strange_buckets()?;
        if strange > 0 {
            self.check.find(
                Law::Consistency,
                format_args!("{strange} rows stand in buckets that no version writes"),
            );
        }
        let mut from = Day::from_index(0);
        while let Some(day) = self.snapshot.next_day(from)? {
            let totals = self.check_counts(day)?;
            self.check_sums(day)?;
            self.check_values(day)?;
            self.check_sketches(day, &totals)?;
            from = day.next();
        }
        self.check_all_time()
    }

    fn read_series(&mut self) -> Result<(), Error> {
        for series in self.snapshot.all_series()? {
            if let Some(kind) = series.kind {
                self.check_recorded(&series, kind)?;
            }
            if series.kind == Some(RuleKind::Count) && !series.key.contains('-') {
                self.totals.insert(series.key.clone(), series.id);
            }
            self.series.insert(series.id, series);
        }
        let mut nameless = Vec::new();
        let names = &mut self.names;
        self.snapshot.value_names(&mut |series, value, text| {
            if value < 1 || text.is_empty() {
                nameless.push(series);
            }
            names.entry(series).or_default().push(value);
        })?;
        for series in nameless {
            let place = self.place(series);
            self.check.find(
                Law::Consistency,
                format_args!("{place}: a value has a number or a name that none can have"),
            );
        }
        Ok(())
    }

    fn check_recorded(&mut self, series: &KeyedSeries, kind: RuleKind) -> Result<(), Error> {
        let Some(stored) = self.snapshot.series(&series.key, kind)? else { return Ok(()) };
        let place = format!("series `{}`", series.key);
        for damage in stored.damaged {
            self.check.find(
                Law::Checksum,
                format_args!("{place}: the sketch of {} was damaged and set aside", name_of(damage.bucket)),
            );
        }
        let is_backward = |span: &Span| span.until.is_some_and(|until| until < span.since);
        let overlaps = stored.recorded.windows(2).any(|pair| match pair {
            [earlier, later] => earlier.until.is_none_or(|until| until >= later.since),
            _ => false,
        });
        if overlaps || stored.recorded.iter().any(is_backward) {
            self.check.find(
                Law::Consistency,
                format_args!("{place}: the times during which it was recorded overlap"),
            );
        }
        Ok(())
    }

    pub(super) fn place(&self, series: SeriesId) -> String {
        match self.series.get(&series) {
            Some(series) => format!("series `{}`", series.key),
            None => format!("series {}", series.0),
        }
    }

    /// Whether rows of this table belong to the series.
    pub(super) fn owns(&mut self, series: SeriesId, kind: RuleKind, when: &str) {
        self.check.rows += 1;
        let known = self.series.get(&series).map(|series| series.kind);
        if known.is_some_and(|known| known.is_none_or(|known| known == kind)) {
            return;
        }
        let place = self.place(series);
        let fault = if known.is_none() { "does not exist" } else { "is of another kind" };
        self.check.find(Law::Consistency, format_args!("{place} has a row of {when}, but {fault}"));
    }

    fn hours_are_kept(&self, day: Day) -> Result<bool, Error> {
        Ok(self.snapshot.kept_from()?.0 <= day.first_hour().index())
    }

    /// The counts of the day by series.
    fn check_counts(&mut self, day: Day) -> Result<BTreeMap<SeriesId, u64>, Error> {
        let when = date(day);
        let (hours, days) = self.both(
            |snapshot, buckets, rows: &mut Vec<(SeriesId, i64)>| {
                snapshot.counts(buckets, &mut |series, count| rows.push((series, count)))
            },
            day,
        )?;
        let mut by_hour = BTreeMap::<SeriesId, u64>::new();
        for (series, count) in hours {
            self.owns(series, RuleKind::Count, &when);
            let count = self.unsigned(series, count, &when);
            let total = by_hour.entry(series).or_default();
            *total = total.saturating_add(count).min(LARGEST_COUNT);
        }
        let mut by_day = BTreeMap::new();
        for (series, count) in days {
            self.owns(series, RuleKind::Count, &when);
            let count = self.unsigned(series, count, &when);
            by_day.insert(series, count);
            let total = self.counts.entry(series).or_default();
            *total = total.saturating_add(count).min(LARGEST_COUNT);
        }
        if self.hours_are_kept(day)? {
            self.compare(&by_hour, &by_day, &format!("the hours of {when}"), "the day");
        }
        Ok(by_day)
    }

    pub(super) fn unsigned(&mut self, series: SeriesId, count: i64, when: &str) -> u64 {
        u64::try_from(count).unwrap_or_else(|_| {
            let place = self.place(series);
            self.check.find(Law::Consistency, format_args!("{place}: the count of {when} is {count}"));
            0
        })
    }

    pub(super) fn compare(
        &mut self,
        parts: &BTreeMap<SeriesId, u64>,
        wholes: &BTreeMap<SeriesId, u64>,
        of_parts: &str,
        of_whole: &str,
    ) {
        let none = |series: &&SeriesId| !wholes.contains_key(series);
        for series in wholes.keys().chain(parts.keys().filter(none)) {
            let part = parts.get(series).copied().unwrap_or_default();
            let whole = wholes.get(series).copied().unwrap_or_default();
            if part != whole {
                let place = self.place(*series);
                self.check.find(
                    Law::Conservation,
                    format_args!("{place}: {of_parts} add up to {part}, {of_whole} has {whole}"),
                );
            }
        }
    }

    /// The rows of a day's hours, and those of the day.
    fn both<T>(
        &self,
        read: impl Fn(&dyn Snapshot, std::ops::Range<Bucket>, &mut Vec<T>) -> Result<(), Error>,
        day: Day,
    ) -> Result<(Vec<T>, Vec<T>), Error> {
        let (mut hours, mut days) = (Vec::new(), Vec::new());
        let next = day.next();
        read(self.snapshot, Bucket::hour(day.first_hour())..Bucket::hour(next.first_hour()), &mut hours)?;
        read(self.snapshot, Bucket::day(day)..Bucket::day(next), &mut days)?;
        Ok((hours, days))
    }

    fn check_sums(&mut self, day: Day) -> Result<(), Error> {
        let when = date(day);
        let (hours, days) = self.both(
            |snapshot, buckets, rows: &mut Vec<(SeriesId, Option<Sum>)>| {
                snapshot.sums(buckets, &mut |series, sum| rows.push((series, sum)))
            },
            day,
        )?;
        let mut by_hour = BTreeMap::<SeriesId, Parts>::new();
        for (series, sum) in hours {
            self.owns(series, RuleKind::Sum, &when);
            let sum = self.sound_sum(series, sum, &when);
            by_hour.entry(series).or_default().add(sum);
        }
        let are_kept = self.hours_are_kept(day)?;
        for (series, sum) in days {
            self.owns(series, RuleKind::Sum, &when);
            let sum = self.sound_sum(series, sum, &when);
            self.sums.entry(series).or_default().add(sum);
            let parts = by_hour.remove(&series).unwrap_or_default();
            if are_kept && parts.differ_from(sum) {
                self.unlike_sum(series, parts, sum, &format!("the hours of {when}"), "the day");
            }
        }
        for (series, parts) in by_hour {
            self.unlike_sum(series, parts, Sum::default(), &format!("the hours of {when}"), "the day");
        }
        Ok(())
    }

    pub(super) fn sound_sum(&mut self, series: SeriesId, sum: Option<Sum>, when: &str) -> Sum {
        sum.unwrap_or_else(|| {
            let place = self.place(series);
            self.check.find(Law::Consistency, format_args!("{place}: the sum of {when} is no finite number"));
            Sum::default()
        })
    }

    pub(super) fn unlike_sum(
        &mut self,
        series: SeriesId,
        parts: Parts,
        whole: Sum,
        of_parts: &str,
        of_whole: &str,
    ) {
        let (place, part, whole) = (self.place(series), parts.sum.value(), whole.value());
        self.check.find(
            Law::Conservation,
            format_args!("{place}: {of_parts} add up to {part}, {of_whole} has {whole}"),
        );
    }

    fn check_values(&mut self, day: Day) -> Result<(), Error> {
        let when = date(day);
        let mut rows = Vec::new();
        self.snapshot.values(Bucket::day(day)..Bucket::day(day.next()), &mut |series, value, count| {
            rows.push((series, value, count));
        })?;
        for (series, value, count) in rows {
            self.owns(series, RuleKind::PerValue, &when);
            let count = self.unsigned(series, count, &when);
            // 0 is the one that counts what came after the last name.
            if value != 0 && !self.names.get(&series).is_some_and(|names| names.contains(&value)) {
                let place = self.place(series);
                self.check
                    .find(Law::Consistency, format_args!("{place}: the value {value} of {when} has no name"));
            }
            let total = self.values.entry((series, value)).or_default();
            *total = total.saturating_add(count).min(LARGEST_COUNT);
        }
        Ok(())
    }

    fn check_sketches(&mut self, day: Day, totals: &BTreeMap<SeriesId, u64>) -> Result<(), Error> {
        let (when, bucket) = (date(day), Bucket::day(day));
        let cursor = self.snapshot.cursor()?;
        let snapshot = self.snapshot;
        snapshot.sketches(bucket..Bucket::day(day.next()), &mut |series, blob| {
            let Some(sketch) = self.decode(series, blob, &when) else { return };
            let event =
                self.series.get(&series).map(|series| series.key.split('-').next().unwrap_or_default());
            let total = event.and_then(|event| self.totals.get(event)).map(|total| totals.get(total));
            if let Some(events) = total.map(|events| events.copied().unwrap_or_default()) {
                self.check_estimate(series, sketch.estimate(), events, &when);
            }
            if (bucket.number(), series.0) <= cursor {
                self.sketches.entry(series).or_default().unite(&sketch);
            }
        })
    }

    pub(super) fn decode(&mut self, series: SeriesId, blob: &[u8], when: &str) -> Option<Sketch> {
        self.owns(series, RuleKind::Unique, when);
        self.check.sketches += 1;
        let place = self.place(series);
        match Sketch::decode(blob) {
            Ok(sketch) => {
                if self.depth == Depth::Deep {
                    self.ask_again(&place, &sketch, when);
                }
                Some(sketch)
            }
            Err(error) => {
                self.check.find(
                    Law::Checksum,
                    format_args!("{place}: the sketch of {when} is damaged: {error}; its uniques are lost, all else holds"),
                );
                None
            }
        }
    }

    fn check_estimate(&mut self, series: SeriesId, estimate: Estimate, events: u64, when: &str) {
        let least = estimate.value - MANY_ERRORS * estimate.standard_error;
        if least.round() > double(events) {
            let (place, value) = (self.place(series), estimate.rounded());
            self.check.find(
                Law::Consistency,
                format_args!("{place}: {value} distinct ones of {when}, but only {events} events"),
            );
        }
    }

    /// Holds the estimate against that of an implementation that knows nothing of ours.
    fn ask_again(&mut self, place: &str, sketch: &Sketch, when: &str) {
        let ours = sketch.estimate();
        let theirs = match sketch.second_opinion() {
            Ok(theirs) => theirs,
            Err(error) => {
                let message = format_args!("{place}: no second opinion of the sketch of {when}: {error}");
                return self.check.find(Law::SecondOpinion, message);
            }
        };
        self.check.second_opinions += 1;
        let difference = (ours.value - theirs).abs();
        if ours.value > 0.0 {
            self.check.largest_difference = self.check.largest_difference.max(difference / ours.value);
        }
        if difference > sketch.known_difference() {
            self.check.find(
                Law::SecondOpinion,
                format_args!(
                    "{place}: of {when} this crate estimates {:.1}, another one {theirs:.1}",
                    ours.value
                ),
            );
        }
    }
}

fn date(day: Day) -> String {
    day.start().to_string().chars().take("2026-11-22".len()).collect()
}

/// The day of a bucket of sketches.
fn name_of(bucket: i64) -> String {
    if bucket == Bucket::ALL_TIME.number() {
        return "all time".to_owned();
    }
    let day = u32::try_from(bucket - Bucket::day(Day::from_index(0)).number());
    day.map_or_else(|_| format!("bucket {bucket}"), |day| date(Day::from_index(day)))
}

#[expect(clippy::cast_precision_loss, reason = "compared with an estimate that is uncertain by more")]
fn double(count: u64) -> f64 {
    count as f64
}
