//! Checking a store: its structure, its checksums, and the laws that its numbers obey.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use crate::definition::rule::RuleKind;
use crate::error::Error;
use crate::report::reader::{Reader, stored_definitions};
use crate::sketch::Sketch;
use crate::sketch::estimate::Estimate;
use crate::storage::Snapshot;
use crate::storage::batch::SeriesId;
use crate::storage::sum::Sum;
use crate::storage::survey::KeyedSeries;
use crate::time::bucket::{Bucket, Day};

/// So many findings are kept; the others are counted.
const MAX_FINDINGS: usize = 1_000;
/// So many faults of pages, rows and indexes are asked for.
const MAX_FAULTS: usize = 100;
/// Sums are kept to about 30 digits, so that their parts may differ from the whole by rounding only.
const SUM_TOLERANCE: f64 = 1e-12;
/// More distinct ones than events, by so many standard errors, are no chance.
const MANY_ERRORS: f64 = 6.0;
/// A count of the file stops here.
const LARGEST_COUNT: u64 = i64::MAX.unsigned_abs();

/// How much of a store is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Depth {
    /// Structure, checksums, and the laws.
    #[default]
    Plain,
    /// The estimate of each sketch too, beside that of another implementation (the crate `hyperloglogplus`): 0.3 to 1.5 ms each.
    Deep,
}

/// What a check looked at, and what it found.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// # use headcount::{Definitions, Depth, Event, EventDefinition, Store};
/// # let definitions = Definitions::new().event(EventDefinition::new("page_viewed"))?;
/// # let store = Store::builder_in_memory().definitions(definitions).open()?;
/// store.tracker().track(Event::new("page_viewed"));
/// store.flush()?;
/// let check = store.reader().check(Depth::Deep)?;
/// assert!(check.is_sound());
/// assert_eq!(check.rows, 3); // the hour, the day, all time
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Check {
    /// What is wrong, the first 1,000.
    pub findings: Vec<Finding>,
    /// How many more things are wrong.
    pub more: u64,
    /// Rows of counts, sums, values and sketches that were looked at.
    pub rows: u64,
    /// Sketches among them.
    pub sketches: u64,
    /// Sketches with a second opinion, and the largest difference to it in parts of the estimate.
    pub second_opinions: u64,
    /// See [`Check::second_opinions`].
    pub largest_difference: f64,
}

/// One thing that is wrong with a store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What does not hold.
    pub law: Law,
    /// Where, and how it differs from what should be.
    pub message: String,
}

/// What holds in a sound store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Law {
    /// Pages, rows and indexes fit together.
    Structure,
    /// Every sketch carries the checksum of its bytes.
    Checksum,
    /// Hours add up to days, days to all time, and the totals of events to what the ledger says is stored.
    Conservation,
    /// Every row belongs to a series, a value and a time that exist; no more distinct ones than events.
    Consistency,
    /// Two independent estimates of one sketch agree.
    SecondOpinion,
}

impl Check {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, law: Law, message: impl fmt::Display) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding { law, message: message.to_string() });
        } else {
            self.more += 1;
        }
    }
}

impl Law {
    /// As one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Structure => "structure",
            Self::Checksum => "checksum",
            Self::Conservation => "conservation",
            Self::Consistency => "consistency",
            Self::SecondOpinion => "second_opinion",
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Reader {
    /// Checks the whole store as of one moment, while others write it. Reads every page once and every row twice; memory grows with
    /// the number of series, not with history.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) and the like when the file cannot be read at all; what is wrong with it is in
    /// [`Check::findings`].
    pub fn check(&self, depth: Depth) -> Result<Check, Error> {
        self.read(|snapshot| {
            let mut check = Check::default();
            for fault in snapshot.faults(MAX_FAULTS)? {
                check.find(Law::Structure, fault);
            }
            let mut checking = Checking::new(snapshot, depth, check);
            // Pages that cannot be read end the walk, but what was found until then stands.
            if let Err(error) = checking.run() {
                checking.check.find(Law::Structure, error);
            }
            Ok(checking.check)
        })
    }
}

struct Checking<'a> {
    snapshot: &'a dyn Snapshot,
    depth: Depth,
    check: Check,
    series: HashMap<SeriesId, KeyedSeries>,
    /// The series that counts each event, by the event's escaped name.
    totals: HashMap<String, SeriesId>,
    names: HashMap<SeriesId, Vec<i64>>,
    /// What the rows of all time should be, by the rows of all days.
    counts: BTreeMap<SeriesId, u64>,
    sums: BTreeMap<SeriesId, Parts>,
    values: BTreeMap<(SeriesId, i64), u64>,
    /// The union of the days that the cursor has passed.
    sketches: BTreeMap<SeriesId, Sketch>,
}

/// A sum of parts, and the sum of their sizes, which says how far rounding may go.
#[derive(Debug, Clone, Copy, Default)]
struct Parts {
    sum: Sum,
    size: f64,
}

impl Parts {
    fn add(&mut self, sum: Sum) {
        self.sum.unite(sum);
        self.size += sum.value().abs();
    }

    fn differ_from(self, whole: Sum) -> bool {
        let is_bound = self.sum.is_saturated() || whole.is_saturated();
        !is_bound
            && (self.sum.value() - whole.value()).abs() > SUM_TOLERANCE * self.size.max(f64::MIN_POSITIVE)
    }
}

impl<'a> Checking<'a> {
    fn new(snapshot: &'a dyn Snapshot, depth: Depth, check: Check) -> Self {
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

    fn run(&mut self) -> Result<(), Error> {
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
        let is_backward = |span: &crate::storage::Span| span.until.is_some_and(|until| until < span.since);
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

    fn place(&self, series: SeriesId) -> String {
        match self.series.get(&series) {
            Some(series) => format!("series `{}`", series.key),
            None => format!("series {}", series.0),
        }
    }

    /// Whether rows of this table belong to the series.
    fn owns(&mut self, series: SeriesId, kind: RuleKind, when: &str) {
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

    fn unsigned(&mut self, series: SeriesId, count: i64, when: &str) -> u64 {
        u64::try_from(count).unwrap_or_else(|_| {
            let place = self.place(series);
            self.check.find(Law::Consistency, format_args!("{place}: the count of {when} is {count}"));
            0
        })
    }

    fn compare(
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

    fn sound_sum(&mut self, series: SeriesId, sum: Option<Sum>, when: &str) -> Sum {
        sum.unwrap_or_else(|| {
            let place = self.place(series);
            self.check.find(Law::Consistency, format_args!("{place}: the sum of {when} is no finite number"));
            Sum::default()
        })
    }

    fn unlike_sum(&mut self, series: SeriesId, parts: Parts, whole: Sum, of_parts: &str, of_whole: &str) {
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

    fn decode(&mut self, series: SeriesId, blob: &[u8], when: &str) -> Option<Sketch> {
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

    fn check_all_time(&mut self) -> Result<(), Error> {
        const WHEN: &str = "all time";
        let all_time = Bucket::ALL_TIME..Bucket::ALL_TIME.next();
        let snapshot = self.snapshot;
        let are_all_kept = snapshot.kept_from()?.1 == 0;
        let mut counts = Vec::new();
        snapshot.counts(all_time.clone(), &mut |series, count| counts.push((series, count)))?;
        let mut wholes = BTreeMap::new();
        for (series, count) in counts {
            self.owns(series, RuleKind::Count, WHEN);
            let count = self.unsigned(series, count, WHEN);
            wholes.insert(series, count);
        }
        if are_all_kept {
            let parts = std::mem::take(&mut self.counts);
            self.compare(&parts, &wholes, "the days", WHEN);
        }
        self.check_ledger(&wholes)?;
        let mut sums = Vec::new();
        snapshot.sums(all_time.clone(), &mut |series, sum| sums.push((series, sum)))?;
        for (series, sum) in sums {
            self.owns(series, RuleKind::Sum, WHEN);
            let sum = self.sound_sum(series, sum, WHEN);
            let parts = self.sums.remove(&series).unwrap_or_default();
            if are_all_kept && parts.differ_from(sum) {
                self.unlike_sum(series, parts, sum, "the days", WHEN);
            }
        }
        for (series, parts) in std::mem::take(&mut self.sums) {
            self.unlike_sum(series, parts, Sum::default(), "the days", WHEN);
        }
        let mut values = Vec::new();
        snapshot.values(all_time.clone(), &mut |series, value, count| values.push((series, value, count)))?;
        for (series, value, count) in values {
            self.owns(series, RuleKind::PerValue, WHEN);
            let whole = self.unsigned(series, count, WHEN);
            let part = self.values.remove(&(series, value)).unwrap_or_default();
            if are_all_kept && part != whole {
                self.unlike_value(series, value, part, whole);
            }
        }
        for ((series, value), part) in std::mem::take(&mut self.values) {
            self.unlike_value(series, value, part, 0);
        }
        snapshot.sketches(all_time, &mut |series, blob| {
            let Some(mut sketch) = self.decode(series, blob, WHEN) else { return };
            if self.sketches.remove(&series).is_some_and(|days| sketch.unite(&days)) {
                self.lacking(series);
            }
        })?;
        for (series, days) in std::mem::take(&mut self.sketches) {
            if !days.is_empty() {
                self.lacking(series);
            }
        }
        Ok(())
    }

    fn unlike_value(&mut self, series: SeriesId, value: i64, part: u64, whole: u64) {
        let place = self.place(series);
        self.check.find(
            Law::Conservation,
            format_args!("{place}: the days of value {value} add up to {part}, all time has {whole}"),
        );
    }

    fn lacking(&mut self, series: SeriesId) {
        let place = self.place(series);
        self.check.find(
            Law::Conservation,
            format_args!("{place}: the sketch of all time lacks some that the sketches of days have"),
        );
    }

    /// Each stored event has counted once in the total of its event.
    fn check_ledger(&mut self, counts: &BTreeMap<SeriesId, u64>) -> Result<(), Error> {
        let stored = self
            .snapshot
            .ledger()?
            .into_iter()
            .find_map(|(entry, _, count)| (entry == "stored").then_some(count))
            .unwrap_or_default();
        let totals = self.totals.values().filter_map(|series| counts.get(series));
        let counted = totals.fold(0_u64, |sum, count| sum.saturating_add(*count)).min(LARGEST_COUNT);
        if counted != stored {
            self.check.find(
                Law::Conservation,
                format_args!(
                    "the ledger says that {stored} events are stored, the totals of all events are {counted}"
                ),
            );
        }
        Ok(())
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
