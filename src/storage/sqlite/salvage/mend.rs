//! What is said twice in a store is held against each other: hours, days and all time. What was lost of one is made again from
//! the others, what cannot be is noted, so that answers about it fail instead of being too small.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Row, params};

use crate::definition::rule::RuleKind;
use crate::error::Error;
use crate::storage::salvaged::Salvage;
use crate::storage::sqlite::failure::During;
use crate::storage::sqlite::salvage::buckets::{Missing, Places, bucket_name};
use crate::storage::sqlite::salvage::{SALVAGING, WRITING};
use crate::storage::sum::Sum;
use crate::time::bucket::{Bucket, Day, Granularity, Hour};
use crate::time::timestamp::Timestamp;

pub(super) const ALL_TIME: i64 = Bucket::ALL_TIME.number();
/// Sums are kept to about 30 digits; their parts differ by rounding alone.
const SUM_TOLERANCE: f64 = 1e-12;

const NOTE_LOSS: &str =
    "INSERT INTO damaged (series, bucket, found, united, blob) VALUES (?1, ?2, ?3, ?4, x'')";
const SELECT_KEPT_FROM: &str = "SELECT hours_from, days_from FROM store";
const SELECT_FIRST_RECORDED: &str = "SELECT min(since) FROM recorded";
/// The days that any table has rows of.
const SELECT_DAYS: &str = "SELECT bucket - ?1 FROM counts WHERE bucket >= ?1 AND bucket < ?2
     UNION SELECT (bucket - ?3) / 24 FROM counts WHERE bucket >= ?3 AND bucket < ?1
     UNION SELECT bucket - ?1 FROM sums WHERE bucket >= ?1 AND bucket < ?2
     UNION SELECT (bucket - ?3) / 24 FROM sums WHERE bucket >= ?3 AND bucket < ?1
     UNION SELECT bucket - ?1 FROM per_value WHERE bucket >= ?1 AND bucket < ?2 ORDER BY 1";
const ADD_UP_LEDGER: &str = "INSERT INTO ledger (entry, reason, count)
     SELECT 'stored', '', coalesce(sum(count), 0) FROM counts JOIN series ON series.id = counts.series
         WHERE bucket = 0 AND kind = 1 AND key NOT LIKE '%-%'
     ON CONFLICT (entry, reason) DO UPDATE SET count = excluded.count WHERE count != excluded.count";
const FORGET: [&str; 3] = [
    "DELETE FROM value_names WHERE (series, value) NOT IN (SELECT series, value FROM per_value)",
    "DELETE FROM recorded WHERE series NOT IN (SELECT id FROM series)",
    "DELETE FROM damaged WHERE series NOT IN (SELECT id FROM series)",
];
const RECORD_AGAIN: &str = "INSERT INTO recorded (series, since, until)
     SELECT series, (min(bucket) - ?1) * 86400, (max(bucket) - ?1 + 1) * 86400 FROM (
         SELECT series, bucket FROM counts WHERE bucket >= ?1 UNION ALL SELECT series, bucket FROM sums WHERE bucket >= ?1
         UNION ALL SELECT series, bucket FROM per_value WHERE bucket >= ?1)
     WHERE series NOT IN (SELECT series FROM recorded) GROUP BY series";

/// A number that adds up.
trait Quantity: Copy + Default {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self>;
    fn add(&mut self, other: Self);
    fn equals(self, other: Self) -> bool;
    fn put(self, connection: &Connection, bucket: i64, series: i64) -> rusqlite::Result<usize>;
}

impl Quantity for i64 {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        row.get(1)
    }

    fn add(&mut self, other: Self) {
        *self = self.saturating_add(other);
    }

    fn equals(self, other: Self) -> bool {
        self == other
    }

    fn put(self, connection: &Connection, bucket: i64, series: i64) -> rusqlite::Result<usize> {
        const PUT: &str = "INSERT OR REPLACE INTO counts (bucket, series, count) VALUES (?1, ?2, ?3)";
        connection.prepare_cached(PUT)?.execute(params![bucket, series, self])
    }
}

/// A sum, and the size of its parts, which says how far rounding may go.
#[derive(Clone, Copy, Default)]
struct Parts {
    sum: Sum,
    size: f64,
}

impl Quantity for Parts {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let sum = Sum::from_parts(row.get(1)?, row.get(2)?, row.get(3)?).unwrap_or_default();
        Ok(Self { sum, size: sum.value().abs() })
    }

    fn add(&mut self, other: Self) {
        self.sum.unite(other.sum);
        self.size += other.size;
    }

    fn equals(self, other: Self) -> bool {
        let is_bound = self.sum.is_saturated() || other.sum.is_saturated();
        let allowed = SUM_TOLERANCE * self.size.max(other.size).max(f64::MIN_POSITIVE);
        is_bound || (self.sum.value() - other.sum.value()).abs() <= allowed
    }

    fn put(self, connection: &Connection, bucket: i64, series: i64) -> rusqlite::Result<usize> {
        const PUT: &str =
            "INSERT OR REPLACE INTO sums (bucket, series, sum, carry, saturated) VALUES (?1, ?2, ?3, ?4, ?5)";
        let Self { sum, .. } = self;
        connection.prepare_cached(PUT)?.execute(params![
            bucket,
            series,
            sum.head(),
            sum.carry(),
            sum.is_saturated()
        ])
    }
}

/// Where the numbers of one kind stand.
struct Numbers {
    name: &'static str,
    /// The rows of a range of buckets.
    rows: &'static str,
}

/// A day on which hours and the day say different things.
struct Doubt<Q> {
    day: Day,
    hours: Option<Q>,
    whole: Option<Q>,
}

pub(super) struct Mending<'a> {
    pub(super) store: &'a Connection,
    pub(super) places: &'a Places,
    pub(super) salvage: &'a mut Salvage,
    pub(super) now: Timestamp,
    pub(super) hours_from: Day,
    pub(super) days_from: Day,
    /// Series whose number of all time is not known.
    pub(super) unsure: BTreeSet<i64>,
}

impl<'a> Mending<'a> {
    pub(super) fn new(
        store: &'a Connection,
        places: &'a Places,
        salvage: &'a mut Salvage,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let (hours, days): (u32, u32) =
            store.query_row(SELECT_KEPT_FROM, [], |row| Ok((row.get(0)?, row.get(1)?))).during(SALVAGING)?;
        let (hours_from, days_from) = (Hour::from_index(hours).day(), Day::from_index(days));
        Ok(Self { store, places, salvage, now, hours_from, days_from, unsure: BTreeSet::new() })
    }

    pub(super) fn mend_counts(&mut self, missing: &Missing) -> Result<(), Error> {
        let rows = "SELECT series, count FROM counts WHERE bucket >= ?1 AND bucket < ?2";
        self.mend::<i64>(&Numbers { name: "counts", rows }, RuleKind::Count, missing)
    }

    pub(super) fn mend_sums(&mut self, missing: &Missing) -> Result<(), Error> {
        let rows = "SELECT series, sum, carry, saturated FROM sums WHERE bucket >= ?1 AND bucket < ?2";
        self.mend::<Parts>(&Numbers { name: "sums", rows }, RuleKind::Sum, missing)
    }

    fn mend<Q: Quantity>(&mut self, of: &Numbers, kind: RuleKind, missing: &Missing) -> Result<(), Error> {
        let mut totals = BTreeMap::<i64, Q>::new();
        let mut doubts = BTreeMap::<i64, Vec<Doubt<Q>>>::new();
        let days = self.days()?;
        for day in &days {
            let hours = self.rows::<Q>(
                of.rows,
                Bucket::hour(day.first_hour()),
                Bucket::hour(day.next().first_hour()),
            )?;
            let wholes = self.rows::<Q>(of.rows, Bucket::day(*day), Bucket::day(day.next()))?;
            let series: BTreeSet<i64> = hours.keys().chain(wholes.keys()).copied().collect();
            for series in series {
                let (hours, whole) = (hours.get(&series).copied(), wholes.get(&series).copied());
                match (hours, whole) {
                    (Some(hours), Some(whole)) if hours.equals(whole) => {
                        totals.entry(series).or_default().add(whole);
                    }
                    (None, Some(whole)) if *day < self.hours_from => {
                        totals.entry(series).or_default().add(whole);
                    }
                    _ => doubts.entry(series).or_default().push(Doubt { day: *day, hours, whole }),
                }
            }
        }
        let all_time = self.rows::<Q>(of.rows, Bucket::ALL_TIME, Bucket::ALL_TIME.next())?;
        let unread = self.unread_days(&days, missing)?;
        for series in self.places.of_kind(kind).map(|series| series.0).collect::<Vec<_>>() {
            let total = totals.get(&series).copied().unwrap_or_default();
            let doubts = doubts.remove(&series).unwrap_or_default();
            self.decide(of, missing, series, (total, all_time.get(&series).copied()), doubts, &unread)?;
        }
        Ok(())
    }

    /// What is to be believed of one series.
    fn decide<Q: Quantity>(
        &mut self,
        of: &Numbers,
        missing: &Missing,
        series: i64,
        (mut total, all_time): (Q, Option<Q>),
        doubts: Vec<Doubt<Q>>,
        unread: &[Day],
    ) -> Result<(), Error> {
        let are_all_kept = self.days_from == Day::from_index(0);
        let is_whole = |sum: Q| are_all_kept && all_time.is_some_and(|all_time| all_time.equals(sum));
        let with = |number: fn(&Doubt<Q>) -> Option<Q>| {
            doubts.iter().try_fold(total, |mut sum, doubt| {
                sum.add(number(doubt)?);
                Some(sum)
            })
        };
        // All time says which of them are right, if it can be the sum of either.
        let hours_fit = with(|doubt| doubt.hours).is_some_and(is_whole);
        let days_fit = with(|doubt| doubt.whole).is_some_and(is_whole);
        let mut is_short = false;
        for Doubt { day, hours, whole } in doubts {
            let bucket = Bucket::day(day).number();
            let hours_may_miss = (0..24).any(|hour| missing.may_be(hour_bucket(day, hour), series));
            match (hours, whole) {
                (Some(hours), whole) if (hours_fit && !days_fit) || (whole.is_none() && !hours_may_miss) => {
                    hours.put(self.store, bucket, series).during(WRITING)?;
                    self.salvage.count_rebuilt(of.name, 1);
                    total.add(hours);
                }
                (_, Some(whole)) => {
                    total.add(whole);
                    self.lose_hours(of, missing, series, day)?;
                    is_short |= !days_fit && !hours_may_miss;
                    if !days_fit && !hours_may_miss {
                        self.lose(of.name, series, bucket, true)?;
                    }
                }
                (Some(hours), None) => {
                    hours.put(self.store, bucket, series).during(WRITING)?;
                    total.add(hours);
                    is_short = true;
                    self.lose_hours(of, missing, series, day)?;
                    self.lose(of.name, series, bucket, true)?;
                }
                (None, None) => {}
            }
        }
        if !is_whole(total) {
            for day in unread {
                let bucket = Bucket::day(*day).number();
                if missing.may_be(bucket, series) && !self.has(of.rows, *day, series)? {
                    is_short = true;
                    self.lose_hours(of, missing, series, *day)?;
                    self.lose(of.name, series, bucket, true)?;
                }
            }
        }
        match all_time {
            Some(all_time) if is_short || !are_all_kept || all_time.equals(total) => Ok(()),
            None if total.equals(Q::default()) && !is_short && !missing.may_be(ALL_TIME, series) => Ok(()),
            _ => {
                total.put(self.store, ALL_TIME, series).during(WRITING)?;
                self.salvage.count_rebuilt(of.name, 1);
                if is_short || !are_all_kept {
                    self.unsure.insert(series);
                    self.lose(of.name, series, ALL_TIME, false)?;
                }
                Ok(())
            }
        }
    }

    pub(super) fn days(&self) -> Result<Vec<Day>, Error> {
        let ends = [Granularity::Day.first(), Granularity::Day.end(), Granularity::Hour.first()];
        let mut select = self.store.prepare(SELECT_DAYS).during(SALVAGING)?;
        let days = select
            .query_map(ends.map(Bucket::number), |row| row.get(0).map(Day::from_index))
            .during(SALVAGING)?;
        days.collect::<rusqlite::Result<_>>().during(SALVAGING)
    }

    fn rows<Q: Quantity>(&self, sql: &str, from: Bucket, to: Bucket) -> Result<BTreeMap<i64, Q>, Error> {
        let mut select = self.store.prepare_cached(sql).during(SALVAGING)?;
        let mut rows = select.query(params![from.number(), to.number()]).during(SALVAGING)?;
        let mut numbers = BTreeMap::<i64, Q>::new();
        while let Some(row) = rows.next().during(SALVAGING)? {
            let (series, number) =
                row.get(0).and_then(|series| Ok((series, Q::of(row)?))).during(SALVAGING)?;
            numbers.entry(series).or_default().add(number);
        }
        Ok(numbers)
    }

    fn has(&self, sql: &str, day: Day, series: i64) -> Result<bool, Error> {
        let mut select = self.store.prepare_cached(sql).during(SALVAGING)?;
        let mut rows = select
            .query(params![Bucket::day(day).number(), Bucket::day(day.next()).number()])
            .during(SALVAGING)?;
        while let Some(row) = rows.next().during(SALVAGING)? {
            if row.get::<_, i64>(0).during(SALVAGING)? == series {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The days that rows may be missing of, within the time that the store is about.
    pub(super) fn unread_days(&self, days: &[Day], missing: &Missing) -> Result<Vec<Day>, Error> {
        // The first days may be lost whole; then those that recorded them know of the time.
        let recorded: Option<i64> =
            self.store.query_row(SELECT_FIRST_RECORDED, [], |row| row.get(0)).during(SALVAGING)?;
        let recorded = recorded.map(|since| Day::of(Timestamp::from_unix_seconds(since)));
        let Some(first) = days.first().copied().into_iter().chain(recorded).min() else {
            return Ok(Vec::new());
        };
        let last = days.last().copied().unwrap_or(first).max(Day::of(self.now));
        let mut unread = Vec::new();
        let mut day = first;
        while day <= last {
            let bucket = Bucket::day(day).number();
            let is_near = missing.gaps.iter().any(|gap| gap.low.0 <= bucket && bucket <= gap.high.0);
            if is_near || missing.cells.iter().any(|cell| cell.0 == bucket) {
                unread.push(day);
            }
            day = day.next();
        }
        Ok(unread)
    }

    /// Notes the hours of a day of which something is missing.
    fn lose_hours(&mut self, of: &Numbers, missing: &Missing, series: i64, day: Day) -> Result<(), Error> {
        if day < self.hours_from {
            return Ok(());
        }
        // What stands beside a gap may be read and wrong.
        let is_near = |hour: &i64| (hour - 1..=hour + 1).any(|hour| missing.may_be(hour, series));
        let maybe: Vec<i64> = (0..24).map(|hour| hour_bucket(day, hour)).filter(is_near).collect();
        let hours =
            if maybe.is_empty() { (0..24).map(|hour| hour_bucket(day, hour)).collect() } else { maybe };
        for hour in &hours {
            self.note(series, *hour, true)?;
        }
        let message = format!("{} hours of the day; the day is counted", hours.len());
        let when = Some(bucket_name(Bucket::day(day).number()));
        self.salvage.lose(of.name, self.places.key(series), when, message);
        Ok(())
    }

    /// Notes what is lost of a series, so that answers about it fail; `is_in_all_time`: whether all time has it.
    pub(super) fn lose(
        &mut self,
        table: &'static str,
        series: i64,
        bucket: i64,
        is_in_all_time: bool,
    ) -> Result<(), Error> {
        self.note(series, bucket, is_in_all_time)?;
        let message = match (bucket, is_in_all_time) {
            (ALL_TIME, _) => "what it is over all time; days are not concerned",
            (_, true) => "this day; other days and all time are not concerned",
            (_, false) => "this day, and with it what it is over all time; other days are not concerned",
        };
        self.salvage.lose(table, self.places.key(series), Some(bucket_name(bucket)), message);
        Ok(())
    }

    pub(super) fn note(&self, series: i64, bucket: i64, is_in_all_time: bool) -> Result<(), Error> {
        self.store
            .prepare_cached(NOTE_LOSS)
            .and_then(|mut note| {
                note.execute(params![series, bucket, self.now.unix_seconds(), is_in_all_time])
            })
            .during(WRITING)
            .map(drop)
    }

    /// What is stored is what the totals of all events are over all time.
    pub(super) fn mend_ledger(&mut self) -> Result<(), Error> {
        if self.unsure.is_empty() {
            let rows = self.store.execute(ADD_UP_LEDGER, []).during(WRITING)?;
            let are_series_lost = self.salvage.losses.iter().any(|loss| loss.table == "series");
            if rows > 0 && are_series_lost {
                let message = "how much was stored of events whose names are lost";
                self.salvage.lose("ledger", None, None, message);
            } else if rows > 0 {
                self.salvage.count_rebuilt("ledger", rows as u64);
            }
        }
        for forget in FORGET {
            self.store.execute(forget, []).during(WRITING)?;
        }
        Ok(())
    }

    /// A series that was recorded at some time, which is lost, was at least from its first day to its last.
    pub(super) fn mend_recorded(&mut self) -> Result<(), Error> {
        let rows =
            self.store.execute(RECORD_AGAIN, params![Granularity::Day.first().number()]).during(WRITING)?;
        if rows > 0 {
            self.salvage.count_rebuilt("recorded", rows as u64);
        }
        Ok(())
    }
}

fn hour_bucket(day: Day, hour: u32) -> i64 {
    Bucket::hour(Hour::from_index(day.first_hour().index().saturating_add(hour))).number()
}
