//! The check of all that has a day: the rows of each day against those of its hours, and against the total of its event.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::definition::rule::RuleKind;
use crate::error::Error;
use crate::report::check::parts::{Parts, Tally};
use crate::report::check::{Check, Depth, Law};
use crate::sketch::Sketch;
use crate::storage::Snapshot;
use crate::storage::batch::SeriesId;
use crate::storage::sum::Sum;
use crate::storage::survey::KeyedSeries;
use crate::time::bucket::{Bucket, Day, Granularity, Hour};

/// More distinct ones than events, by so many standard errors, are no chance.
const MANY_ERRORS: f64 = 6.0;

pub(super) struct Checking<'a> {
    pub(super) snapshot: &'a dyn Snapshot,
    depth: Depth,
    pub(super) check: Check,
    pub(super) series: HashMap<SeriesId, KeyedSeries>,
    /// The series that counts each event, by the event's escaped name.
    pub(super) totals: HashMap<String, SeriesId>,
    /// Series of which some sketch was set aside: all time may have what no day has.
    pub(super) set_aside: BTreeSet<SeriesId>,
    /// Buckets whose numbers were lost, but for sketches: no law holds for them.
    pub(super) lost: BTreeSet<(SeriesId, i64)>,
    /// The values that have names, less those that were met.
    pub(super) unmet: BTreeSet<(SeriesId, i64)>,
    pub(super) named: BTreeSet<(SeriesId, i64)>,
    /// Values without a name, and the first time that has one.
    pub(super) nameless: BTreeMap<(SeriesId, i64), String>,
    /// Rows that stand in a table to which their series does not belong.
    pub(super) strays: BTreeMap<(SeriesId, RuleKind), Stray>,
    /// What the rows of all time should be, by the rows of all days.
    pub(super) counts: BTreeMap<SeriesId, Tally>,
    pub(super) sums: BTreeMap<SeriesId, Parts>,
    pub(super) values: BTreeMap<(SeriesId, i64), Tally>,
    pub(super) sketches: BTreeMap<SeriesId, Days>,
}

/// Rows of no series of their kind.
pub(super) struct Stray {
    pub(super) rows: u64,
    pub(super) first: String,
}

/// The days of a series that the cursor has passed.
#[derive(Default)]
pub(super) struct Days {
    pub(super) union: Sketch,
    /// Whether some day could not be read, so that the union may be too small.
    pub(super) is_short: bool,
}

impl<'a> Checking<'a> {
    pub(super) fn new(snapshot: &'a dyn Snapshot, depth: Depth, check: Check) -> Self {
        Self {
            snapshot,
            depth,
            check,
            series: HashMap::new(),
            totals: HashMap::new(),
            set_aside: BTreeSet::new(),
            lost: BTreeSet::new(),
            unmet: BTreeSet::new(),
            named: BTreeSet::new(),
            nameless: BTreeMap::new(),
            strays: BTreeMap::new(),
            counts: BTreeMap::new(),
            sums: BTreeMap::new(),
            values: BTreeMap::new(),
            sketches: BTreeMap::new(),
        }
    }

    pub(super) fn run(&mut self) -> Result<(), Error> {
        self.check_series()?;
        let mut from = Day::from_index(0);
        while let Some(day) = self.snapshot.next_day(from)? {
            let totals = self.check_counts(day)?;
            self.check_sums(day)?;
            self.check_values(day, &totals)?;
            self.check_sketches(day, &totals)?;
            from = day.next();
        }
        self.check_all_time()?;
        self.check_arrived()?;
        self.tell_strays();
        Ok(())
    }

    pub(super) fn place(&self, series: SeriesId) -> String {
        match self.series.get(&series) {
            Some(series) => format!("series `{}`", series.key),
            None => format!("series {}", series.0),
        }
    }

    /// Counts a row, and keeps in mind whether it stands where its series belongs.
    pub(super) fn met(&mut self, series: SeriesId, kind: RuleKind, when: &str) {
        self.check.rows += 1;
        let known = self.series.get(&series);
        if known.is_some_and(|known| known.kind == Some(kind) || known.is_reserved) {
            return;
        }
        let stray = self.strays.entry((series, kind));
        stray.or_insert_with(|| Stray { rows: 0, first: when.to_owned() }).rows += 1;
    }

    /// Of which series hours of the day were lost, or the day itself.
    fn lost_of(&self, day: Day) -> Vec<(SeriesId, Granularity)> {
        let (bucket, next) = (Bucket::day(day).number(), day.next().first_hour());
        let hours = Bucket::hour(day.first_hour()).number()..Bucket::hour(next).number();
        let of_day = |(series, lost): &(SeriesId, i64)| {
            let granularity = match *lost {
                lost if lost == bucket => Granularity::Day,
                lost if hours.contains(&lost) => Granularity::Hour,
                _ => return None,
            };
            Some((*series, granularity))
        };
        self.lost.iter().filter_map(of_day).collect()
    }

    fn hours_are_kept(&self, day: Day) -> Result<bool, Error> {
        Ok(self.snapshot.extent()?.kept_from.0 <= day.first_hour().index())
    }

    /// Checks the counts of the day; returns how often each event happened on it.
    fn check_counts(&mut self, day: Day) -> Result<BTreeMap<SeriesId, Tally>, Error> {
        let (when, of_hours) = names_of(day);
        let (hours, days) = self.both(
            |snapshot, buckets, rows: &mut Vec<(SeriesId, i64)>| {
                snapshot.counts(buckets, &mut |series, count| rows.push((series, count)))
            },
            day,
        )?;
        let mut by_hour = BTreeMap::<SeriesId, Tally>::new();
        for (series, count) in hours {
            self.met(series, RuleKind::Count, &of_hours);
            let count = self.tally(series, count, &of_hours);
            by_hour.entry(series).or_default().add(count);
        }
        let mut by_day = BTreeMap::new();
        for (series, count) in days {
            self.met(series, RuleKind::Count, &when);
            let count = self.tally(series, count, &when);
            by_day.insert(series, count);
        }
        for (series, lost) in self.lost_of(day) {
            let unknown = if lost == Granularity::Day { &mut by_day } else { &mut by_hour };
            unknown.insert(series, Tally::UNKNOWN);
        }
        for (series, count) in &by_day {
            self.counts.entry(*series).or_default().add(*count);
        }
        if self.hours_are_kept(day)? {
            self.compare(&by_hour, &by_day, &of_hours, "the day");
        }
        // A row that is damaged must not make all that depends on it look damaged too.
        let mut totals = by_day;
        for (series, count) in by_hour {
            totals.entry(series).or_default().raise(count);
        }
        let parts: Vec<_> = totals.iter().map(|(series, count)| (*series, *count)).collect();
        for (series, count) in parts {
            if count.exceeds(self.total(series, &totals)) {
                self.exceeding(series, format_args!("{count} of {when}"), &totals);
            }
        }
        Ok(totals)
    }

    /// How often the event of a series happened.
    fn total(&self, series: SeriesId, totals: &BTreeMap<SeriesId, Tally>) -> Tally {
        let event = self.series.get(&series).map(|series| series.key.split('-').next().unwrap_or_default());
        let total = event.and_then(|event| self.totals.get(event));
        // Without a series that counts it there is nothing to compare with.
        total.map_or(Tally::UNKNOWN, |total| totals.get(total).copied().unwrap_or_default())
    }

    fn exceeding(
        &mut self,
        series: SeriesId,
        what: impl std::fmt::Display,
        totals: &BTreeMap<SeriesId, Tally>,
    ) {
        let (place, events) = (self.place(series), self.total(series, totals));
        self.check.find(Law::Consistency, format_args!("{place}: {what}, but only {events} events"));
    }

    pub(super) fn tally(&mut self, series: SeriesId, count: i64, when: &str) -> Tally {
        let tally = Tally::of(count);
        if tally.is_unknown() {
            let place = self.place(series);
            self.check.find(Law::Consistency, format_args!("{place}: a count of {when} is {count}"));
        }
        tally
    }

    pub(super) fn compare(
        &mut self,
        parts: &BTreeMap<SeriesId, Tally>,
        wholes: &BTreeMap<SeriesId, Tally>,
        of_parts: &str,
        of_whole: &str,
    ) {
        let none = |series: &&SeriesId| !wholes.contains_key(series);
        for series in wholes.keys().chain(parts.keys().filter(none)) {
            let part = parts.get(series).copied().unwrap_or_default();
            let whole = wholes.get(series).copied().unwrap_or_default();
            if part.differs_from(whole) {
                self.unlike(*series, part, whole, of_parts, of_whole);
            }
        }
    }

    pub(super) fn unlike(
        &mut self,
        series: SeriesId,
        part: impl std::fmt::Display,
        whole: impl std::fmt::Display,
        of_parts: &str,
        of_whole: &str,
    ) {
        let place = self.place(series);
        self.check.find(
            Law::Conservation,
            format_args!("{place}: {of_parts} add up to {part}, {of_whole} has {whole}"),
        );
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
        let (when, of_hours) = names_of(day);
        let (hours, days) = self.both(
            |snapshot, buckets, rows: &mut Vec<(SeriesId, Option<Sum>)>| {
                snapshot.sums(buckets, &mut |series, sum| rows.push((series, sum)))
            },
            day,
        )?;
        let mut by_hour = BTreeMap::<SeriesId, Parts>::new();
        for (series, sum) in hours {
            let sum = self.sound_sum(series, sum, &of_hours);
            by_hour.entry(series).or_default().add(sum);
        }
        let are_kept = self.hours_are_kept(day)?;
        for (series, lost) in self.lost_of(day) {
            by_hour.entry(series).or_default().add(None);
            if lost == Granularity::Day {
                self.sums.entry(series).or_default().add(None);
            }
        }
        for (series, sum) in days {
            let sum = self.sound_sum(series, sum, &when);
            self.sums.entry(series).or_default().add(sum);
            let parts = by_hour.remove(&series).unwrap_or_default();
            if are_kept && parts.differ_from(sum) {
                self.unlike(series, parts, sum.unwrap_or_default().value(), &of_hours, "the day");
            }
        }
        for (series, parts) in by_hour {
            if parts.are_known() {
                self.unlike(series, parts, "none", &of_hours, "the day");
            }
        }
        Ok(())
    }

    /// The sum of a row, unless it is none.
    pub(super) fn sound_sum(&mut self, series: SeriesId, sum: Option<Sum>, when: &str) -> Option<Sum> {
        self.met(series, RuleKind::Sum, when);
        if sum.is_none() {
            let place = self.place(series);
            self.check.find(Law::Consistency, format_args!("{place}: a sum of {when} is no finite number"));
        }
        sum
    }

    fn check_values(&mut self, day: Day, totals: &BTreeMap<SeriesId, Tally>) -> Result<(), Error> {
        let (when, _) = names_of(day);
        let mut rows = Vec::new();
        self.snapshot.values(Bucket::day(day)..Bucket::day(day.next()), &mut |series, value, count| {
            rows.push((series, value, count));
        })?;
        let mut by_series = BTreeMap::<SeriesId, Tally>::new();
        for (series, value, count) in rows {
            let count = self.met_value(series, value, count, &when);
            self.values.entry((series, value)).or_default().add(count);
            by_series.entry(series).or_default().add(count);
        }
        for (series, count) in by_series {
            let is_lost = self.lost.contains(&(series, Bucket::day(day).number()));
            if !is_lost && count.exceeds(self.total(series, totals)) {
                self.exceeding(series, format_args!("{count} of {when} by value"), totals);
            }
        }
        Ok(())
    }

    pub(super) fn met_value(&mut self, series: SeriesId, value: i64, count: i64, when: &str) -> Tally {
        self.met(series, RuleKind::PerValue, when);
        self.unmet.remove(&(series, value));
        // 0 is the one that counts what came after the last name.
        if value != 0 && !self.named.contains(&(series, value)) {
            self.nameless.entry((series, value)).or_insert_with(|| when.to_owned());
        }
        self.tally(series, count, when)
    }

    fn check_sketches(&mut self, day: Day, totals: &BTreeMap<SeriesId, Tally>) -> Result<(), Error> {
        let ((when, _), bucket) = (names_of(day), Bucket::day(day));
        let cursor = self.snapshot.cursor()?;
        let snapshot = self.snapshot;
        snapshot.sketches(bucket..Bucket::day(day.next()), &mut |series, blob| {
            let sketch = self.decode(series, blob, &when);
            if let Some(sketch) = &sketch {
                let estimate = sketch.estimate();
                let least = (estimate.value - MANY_ERRORS * estimate.standard_error).round();
                let events = self.total(series, totals);
                if events.is_below(least) || Tally::of(sketch.fewest()).exceeds(events) {
                    let distinct = estimate.rounded();
                    self.exceeding(series, format_args!("{distinct} distinct ones of {when}"), totals);
                }
            }
            if (bucket.number(), series.0) <= cursor {
                let days = self.sketches.entry(series).or_default();
                match sketch {
                    Some(sketch) => drop(days.union.unite(&sketch)),
                    None => days.is_short = true,
                }
            }
        })
    }

    pub(super) fn decode(&mut self, series: SeriesId, blob: &[u8], when: &str) -> Option<Sketch> {
        self.met(series, RuleKind::Unique, when);
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
                self.check
                    .find(Law::Checksum, format_args!("{place}: the sketch of {when} is damaged: {error}"));
                None
            }
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

/// How a day and its hours are called.
fn names_of(day: Day) -> (String, String) {
    let date: String = day.start().to_string().chars().take("2026-11-22".len()).collect();
    let of_hours = format!("the hours of {date}");
    (date, of_hours)
}

/// How the bucket of a sketch is called.
pub(super) fn name_of(bucket: i64) -> String {
    if bucket == Bucket::ALL_TIME.number() {
        return "all time".to_owned();
    }
    let first_hour = Bucket::hour(Hour::from_index(0)).number();
    if let Ok(hour) = u32::try_from(bucket - first_hour) {
        let start = Hour::from_index(hour).start().to_string();
        return format!("the hour {}", start.chars().take("2026-11-22T10".len()).collect::<String>());
    }
    let day = u32::try_from(bucket - Bucket::day(Day::from_index(0)).number());
    day.map_or_else(|_| format!("bucket {bucket}"), |day| names_of(Day::from_index(day)).0)
}
