//! What arrived as whole weeks and as all time: less what is counted here of the same time, so that both add up.

use std::ops::Range;

use rusqlite::{Connection, Transaction, params};

use crate::definition::rule::RuleKind;
use crate::error::{Error, ErrorKind};
use crate::sketch::Sketch;
use crate::storage::arrival::{Amount, Arrival, Arrivals, Arrived, ArrivedCell, Frame};
use crate::storage::batch::SeriesId;
use crate::storage::sqlite::failure::{During, damaged};
use crate::storage::sqlite::reader::Moment;
use crate::storage::sqlite::schema::kind_of;
use crate::storage::sqlite::writer::stored_count;
use crate::storage::sqlite::{migrate, retention, spans};
use crate::storage::sum::Sum;
use crate::storage::{OVERFLOW_VALUE, ShowArrived, Snapshot};
use crate::time::bucket::{Bucket, Day, Granularity, Hour, SECONDS_PER_HOUR};
use crate::time::range::TimeRange;
use crate::time::timestamp::Timestamp;
use crate::time::week::IsoWeek;

const DOING: &str = "putting what arrived";
const READING: &str = "reading what arrived";
/// The version of stores that have the table.
const SINCE: i32 = 3;

const PUT_COUNT: &str = "INSERT INTO arrived (series, bucket, value, count) VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (series, bucket, value) DO UPDATE SET count = excluded.count";
const PUT_SUM: &str = "INSERT INTO arrived (series, bucket, value, sum) VALUES (?1, ?2, '', ?3)
     ON CONFLICT (series, bucket, value) DO UPDATE SET sum = excluded.sum";
const PUT_SKETCH: &str = "INSERT INTO arrived (series, bucket, value, blob) VALUES (?1, ?2, '', ?3)
     ON CONFLICT (series, bucket, value) DO UPDATE SET blob = excluded.blob";
const SELECT_SKETCH: &str = "SELECT blob FROM arrived WHERE series = ?1 AND bucket = ?2 AND value = ''";
const SELECT_KEY: &str = "SELECT key FROM series WHERE id = ?1";
const SELECT_VALUE: &str = "SELECT cell.count FROM per_value AS cell JOIN value_names AS name
     ON name.series = cell.series AND name.value = cell.value
     WHERE cell.bucket = ?1 AND cell.series = ?2 AND name.text = ?3";
const SELECT_VALUES: &str = "SELECT 1 FROM per_value WHERE bucket = ?1 AND series = ?2 LIMIT 1";
/// The series that counts the event of another: in keys every `-` of a name is escaped.
const SELECT_TOTAL: &str = "SELECT total.id FROM series JOIN series AS total
     ON total.key = substr(series.key, 1, instr(series.key, '-') - 1) AND total.kind = 1 WHERE series.id = ?1";
const SELECT: &str = "SELECT bucket, kind, value, count, sum, blob
     FROM arrived JOIN series ON series.id = arrived.series WHERE arrived.series = ?1 ORDER BY bucket, value";
const SELECT_WEEKS: &str = "SELECT EXISTS (SELECT 1 FROM arrived),
     (SELECT min(bucket) FROM arrived WHERE bucket >= ?1), (SELECT max(bucket) FROM arrived WHERE bucket >= ?1)";

/// Puts what arrives in the place of what arrived before, and says of which time it is.
pub(super) fn put(transaction: &Transaction<'_>, arrival: &Arrival, now: Timestamp) -> Result<(), Error> {
    let until = arrival.until.unwrap_or_else(|| Hour::of(now).start().plus_seconds(SECONDS_PER_HOUR));
    let first_week = arrival.cells.iter().filter_map(|cell| match cell.frame {
        Frame::Week(week) => Some(week.start()),
        Frame::AllTime => None,
    });
    let recorded_until = until.min(now);
    let since = first_week.min().unwrap_or(recorded_until).min(recorded_until.plus_seconds(-1));
    let own = Own {
        moment: Moment { connection: transaction },
        until,
        hours_from: retention::kept_from(transaction)?.0.start(),
    };
    for cell in &arrival.cells {
        if let (Frame::Week(week), Some(until)) = (cell.frame, arrival.until)
            && week.start() >= until
        {
            return Err(
                own.refuse(cell, &format!("began after {until}, until when it is said to have counted"))
            );
        }
        put_cell(&own, cell, arrival.until.is_some())?;
    }
    for series in &arrival.recorded {
        spans::add(transaction, *series, since, Some(recorded_until))?;
    }
    Ok(())
}

fn put_cell(own: &Own<'_>, cell: &ArrivedCell, may_overlap: bool) -> Result<(), Error> {
    let (series, bucket) = (cell.series.0, bucket_of(cell.frame).number());
    let refuse_overlap = |is_there: bool| {
        match is_there && !may_overlap {
        true => Err(own.refuse(cell, "is counted here too; say until when the other store counted, or events of that time would count twice")),
        false => Ok(()),
    }
    };
    match &cell.amount {
        Arrived::Count(count) => {
            let here = own.count(cell.series, cell.frame)?;
            refuse_overlap(here > 0)?;
            execute(
                own.moment.connection,
                PUT_COUNT,
                params![series, bucket, "", stored_count(count.saturating_sub(here))],
            )
        }
        Arrived::Sum(sum) => {
            let here = own.sum(cell.series, cell.frame)?;
            refuse_overlap(here != Sum::default())?;
            execute(
                own.moment.connection,
                PUT_SUM,
                params![series, bucket, (sum - here.value()).clamp(f64::MIN, f64::MAX)],
            )
        }
        Arrived::Unique(string) => {
            let mut united = Sketch::from_redis(string)?;
            let stored =
                own.moment.one(SELECT_SKETCH, params![series, bucket], |row| row.get::<_, Vec<u8>>(0))?;
            // What cannot be read is made good by what arrives.
            if let Some(stored) = stored.and_then(|blob| Sketch::decode(&blob).ok()) {
                united.unite(&stored);
            }
            execute(own.moment.connection, PUT_SKETCH, params![series, bucket, united.encode()])
        }
        Arrived::PerValue(values) => {
            let own = own.by_days(cell)?;
            for (value, count) in values {
                let here = own.value(cell.series, cell.frame, value)?;
                refuse_overlap(here > 0)?;
                let rest = stored_count(count.saturating_sub(here));
                execute(own.moment.connection, PUT_COUNT, params![series, bucket, value, rest])?;
            }
            Ok(())
        }
    }
}

fn execute(connection: &Connection, sql: &str, parameters: impl rusqlite::Params) -> Result<(), Error> {
    connection.prepare_cached(sql).and_then(|mut put| put.execute(parameters)).during(DOING).map(drop)
}

fn bucket_of(frame: Frame) -> Bucket {
    match frame {
        Frame::AllTime => Bucket::ALL_TIME,
        Frame::Week(week) => week.bucket(),
    }
}

/// What this store has counted itself until an instant.
struct Own<'a> {
    moment: Moment<'a>,
    until: Timestamp,
    /// Since when the hours are kept.
    hours_from: Timestamp,
}

impl Own<'_> {
    /// For values, which are kept by the day: until the end of the day, where nothing was counted between.
    fn by_days(&self, cell: &ArrivedCell) -> Result<Self, Error> {
        let day = Day::of(self.until.plus_seconds(-1));
        let midnight = day.next().start();
        if self.until == midnight {
            return Ok(Self { ..*self });
        }
        let total = self.moment.one(SELECT_TOTAL, params![cell.series.0], |row| row.get(0).map(SeriesId))?;
        let has_values = self
            .moment
            .one(SELECT_VALUES, params![Bucket::day(day).number(), cell.series.0], |_| Ok(()))?
            .is_some();
        if let (Some(total), true) = (total, has_values) {
            for bucket in self.buckets(self.until..midnight)? {
                if self.moment.count(total, bucket)? > 0 {
                    return Err(self.refuse(cell, &format!("cannot be told apart: values are kept by the day, and events came here after {} on that day; import when the other store ends, or name a midnight", self.until)));
                }
            }
        }
        Ok(Self { until: midnight, ..*self })
    }

    fn count(&self, series: SeriesId, frame: Frame) -> Result<u64, Error> {
        self.fold(frame, 0, u64::saturating_add, u64::saturating_sub, |bucket| {
            self.moment.count(series, bucket)
        })
    }

    fn value(&self, series: SeriesId, frame: Frame, value: &str) -> Result<u64, Error> {
        if value == OVERFLOW_VALUE {
            return Ok(0);
        }
        self.fold(frame, 0, u64::saturating_add, u64::saturating_sub, |bucket| {
            let place = params![bucket.number(), series.0, value];
            let row = self.moment.one(SELECT_VALUE, place, |row| row.get::<_, i64>(0))?;
            u64::try_from(row.unwrap_or(0)).map_err(|_| damaged("a value's count below zero"))
        })
    }

    fn sum(&self, series: SeriesId, frame: Frame) -> Result<Sum, Error> {
        let unite = |mut sum: Sum, other: Sum| {
            sum.unite(other);
            sum
        };
        let take = |mut sum: Sum, other: Sum| {
            sum.add(-other.value());
            sum
        };
        self.fold(frame, Sum::default(), unite, take, |bucket| self.moment.sum(series, bucket))
    }

    /// What the buckets of a frame until the instant have: those of a week, or all less those that came later.
    fn fold<T>(
        &self,
        frame: Frame,
        nothing: T,
        add: impl Fn(T, T) -> T,
        take: impl Fn(T, T) -> T,
        mut read: impl FnMut(Bucket) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match frame {
            Frame::Week(week) => {
                let until = self.until.min(week.next().start());
                self.buckets(week.start()..until)?
                    .into_iter()
                    .try_fold(nothing, |all, bucket| Ok(add(all, read(bucket)?)))
            }
            Frame::AllTime => {
                let all = read(Bucket::ALL_TIME)?;
                let last = self.moment.extent()?.days.map(|(_, last)| Day::from_index(last));
                let end = last.map_or(self.until, |day| day.next().start());
                self.buckets(self.until..end)?
                    .into_iter()
                    .try_fold(all, |all, bucket| Ok(take(all, read(bucket)?)))
            }
        }
    }

    /// The hours and days of a range.
    fn buckets(&self, range: Range<Timestamp>) -> Result<Vec<Bucket>, Error> {
        if range.start >= range.end {
            return Ok(Vec::new());
        }
        let (hours, days) = TimeRange::clamped(range.start, range.end).hours_and_days();
        if hours.iter().any(|hour| hour.start() < self.hours_from) {
            return Err(Error::new(
                ErrorKind::NotKept,
                format!(
                    "what was counted here before {} is kept by the day at the finest; choose a midnight, or a time after it",
                    self.hours_from
                ),
            ));
        }
        let of_days = days.map(Day::from_index).map(Bucket::day);
        Ok(hours.into_iter().map(Bucket::hour).chain(of_days).collect())
    }

    fn refuse(&self, cell: &ArrivedCell, why: &str) -> Error {
        let key = self.moment.one(SELECT_KEY, params![cell.series.0], |row| row.get::<_, String>(0));
        let key = key.ok().flatten().unwrap_or_else(|| format!("series {}", cell.series.0));
        let when = match cell.frame {
            Frame::AllTime => "all time".to_owned(),
            Frame::Week(week) => week.to_string(),
        };
        Error::new(ErrorKind::Usage, format!("`{key}` of {when} {why}"))
    }
}

/// Shows what arrived of a series.
pub(super) fn show(
    connection: &Connection,
    series: SeriesId,
    show: &mut ShowArrived<'_>,
) -> Result<(), Error> {
    let mut select = connection.prepare_cached(SELECT).during(READING)?;
    let mut rows = select.query(params![series.0]).during(READING)?;
    while let Some(row) = rows.next().during(READING)? {
        let broken = || damaged(format_args!("what arrived of series {}", series.0));
        let frame = frame_of(row.get(0).during(READING)?).ok_or_else(broken)?;
        let kind = kind_of(row.get(1).during(READING)?);
        let (value, blob) = (row.get_ref(2).during(READING)?, row.get_ref(5).during(READING)?);
        let (count, sum): (Option<i64>, Option<f64>) =
            row.get(3).and_then(|count| Ok((count, row.get(4)?))).during(READING)?;
        let count = count.and_then(|count| u64::try_from(count).ok());
        let amount = match (kind, count, sum, blob.as_blob().ok(), value.as_str().ok()) {
            (Some(RuleKind::Count), Some(count), None, None, Some("")) => Amount::Count(count),
            (Some(RuleKind::Sum), None, Some(sum), None, Some("")) if sum.is_finite() => Amount::Sum(sum),
            (Some(RuleKind::Unique), None, None, Some(blob), Some("")) => Amount::Unique(blob),
            (Some(RuleKind::PerValue), Some(count), None, None, Some(value)) => {
                Amount::PerValue(value, count)
            }
            _ => return Err(broken()),
        };
        show(frame, amount)?;
    }
    Ok(())
}

/// Whether anything arrived, and of which weeks. Older stores have nothing of the kind.
pub(super) fn arrivals(connection: &Connection) -> Result<Option<Arrivals>, Error> {
    if migrate::version(connection)? < SINCE {
        return Ok(None);
    }
    let first_week = Granularity::Week.first().number();
    let (is_some, first, last): (bool, Option<i64>, Option<i64>) = connection
        .prepare_cached(SELECT_WEEKS)
        .and_then(|mut select| {
            select.query_row(params![first_week], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        })
        .during(READING)?;
    let week = |bucket: i64| match frame_of(bucket) {
        Some(Frame::Week(week)) => Ok(week),
        _ => Err(damaged(format_args!("the bucket {bucket} of what arrived"))),
    };
    let weeks = first.zip(last).map(|(first, last)| Ok((week(first)?, week(last)?))).transpose()?;
    Ok(is_some.then_some(Arrivals { weeks }))
}

fn frame_of(bucket: i64) -> Option<Frame> {
    if bucket == Bucket::ALL_TIME.number() {
        return Some(Frame::AllTime);
    }
    let week = u32::try_from(bucket - Granularity::Week.first().number()).ok().map(IsoWeek::from_index)?;
    (week <= IsoWeek::of(Timestamp::MAX)).then_some(Frame::Week(week))
}
