//! Reading a store: every answer from one moment.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::definition::rule::RuleKind;
use crate::error::Error;
use crate::storage::batch::{SeriesId, SourceState};
use crate::storage::mark::Mark;
use crate::storage::ping::{self, Consent, KeptPing};
use crate::storage::retention::Retained;
use crate::storage::sqlite::SharedConnection;
use crate::storage::sqlite::failure::{During, damaged};
use crate::storage::sqlite::identity::Identity;
use crate::storage::sqlite::replace::leave_log;
use crate::storage::sqlite::schema::{kind_code, kind_of};
use crate::storage::sqlite::{arrivals, copy, marks, pings, retention};
use crate::storage::sum::Sum;
use crate::storage::{
    Damage, Extent, OVERFLOW_VALUE, Reader, Series, ShowArrived, ShowDay, ShowSketch, Sizes, Snapshot, Span,
};
use crate::time::bucket::{Bucket, Day, Granularity};
use crate::time::timestamp::Timestamp;
use crate::time::week::IsoWeek;

/// The reading side of a SQLite store.
pub(crate) struct SqliteReader {
    connection: SharedConnection,
    identity: Option<Identity>,
}

impl SqliteReader {
    pub(crate) fn new(connection: SharedConnection) -> Result<Self, Error> {
        let identity = Identity::of(&connection.lock())?;
        Ok(Self { connection, identity })
    }

    fn refuse_replaced(&self) -> Result<(), Error> {
        self.identity.as_ref().map_or(Ok(()), Identity::check)
    }
}

impl Drop for SqliteReader {
    fn drop(&mut self) {
        if self.refuse_replaced().is_err() {
            leave_log(&self.connection.lock());
        }
    }
}

impl Reader for SqliteReader {
    fn snapshot(&self, read: &mut dyn FnMut(&dyn Snapshot) -> Result<(), Error>) -> Result<(), Error> {
        self.refuse_replaced()?;
        let connection = self.connection.lock();
        let reading = Reading::begin(&connection)?;
        read(&Moment { connection: reading.0 })
    }

    fn copy_to(&self, path: &Path) -> Result<(), Error> {
        self.refuse_replaced()?;
        copy::write(&self.connection.lock(), path)
    }

    #[cfg(feature = "cli")]
    fn breaker(&self) -> Box<dyn Fn() + Send> {
        let running = self.connection.lock().get_interrupt_handle();
        Box::new(move || running.interrupt())
    }
}

/// A transaction that only reads. Its statements stay prepared, as those of `rusqlite::Transaction` do not.
struct Reading<'a>(&'a Connection);

impl<'a> Reading<'a> {
    /// Deferred: the snapshot begins with the first read and never waits for writers.
    fn begin(connection: &'a Connection) -> Result<Self, Error> {
        // Left over where the end of the one before was interrupted.
        if !connection.is_autocommit() {
            run(connection, "ROLLBACK").during("beginning to read")?;
        }
        run(connection, "BEGIN DEFERRED").during("beginning to read")?;
        Ok(Self(connection))
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        // What fails here has ended the transaction already, or is made good when the next one begins.
        let _ = run(self.0, "ROLLBACK");
    }
}

fn run(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

#[derive(Clone, Copy)]
pub(crate) struct Moment<'a> {
    pub(crate) connection: &'a Connection,
}

/// One row for each span, or one for none.
const FIND_SERIES: &str = "SELECT id, EXISTS (SELECT 1 FROM damaged WHERE damaged.series = id), since, until
     FROM series LEFT JOIN recorded ON recorded.series = id WHERE key = ?1 AND kind = ?2 ORDER BY since";
const SELECT_EVERY_SERIES: &str = "SELECT id, kind, since, until, key
     FROM series LEFT JOIN recorded ON recorded.series = id ORDER BY id, since";
const SELECT_ALL_DAMAGED: &str = "SELECT series, bucket, united FROM damaged ORDER BY series, bucket";
const SELECT_DAMAGED: &str = "SELECT bucket, united FROM damaged WHERE series = ?1";
const SELECT_COUNT: &str = "SELECT count FROM counts WHERE bucket = ?1 AND series = ?2";
const SELECT_SUM: &str = "SELECT sum, carry, saturated FROM sums WHERE bucket = ?1 AND series = ?2";
const SELECT_PER_VALUE: &str = "SELECT name.text, cell.count FROM per_value AS cell
     LEFT JOIN value_names AS name ON name.series = cell.series AND name.value = cell.value
     WHERE cell.bucket = ?1 AND cell.series = ?2";
const SELECT_SKETCH: &str = "SELECT series, blob FROM sketches WHERE bucket = ?1 AND series = ?2";
const SELECT_SKETCHES: &str = "SELECT series, blob FROM sketches
     WHERE bucket = ?1 AND series BETWEEN ?2 AND ?3 ORDER BY series";
const SELECT_CURSOR: &str = "SELECT united_bucket, united_series FROM store";
const SELECT_NEXT_BUCKET: &str = "SELECT min(bucket) FROM sketches WHERE bucket > ?1 AND bucket < ?2";
/// Each end of the table is one seek.
const SELECT_EXTENT: &str = "SELECT committed, hours_from, days_from,
     (SELECT min(bucket) FROM (
         SELECT * FROM (SELECT bucket FROM counts WHERE bucket >= ?1 AND bucket < ?2 ORDER BY bucket LIMIT 1)
         UNION ALL SELECT min(bucket) FROM damaged WHERE bucket >= ?1 AND bucket < ?2)),
     (SELECT max(bucket) FROM (
         SELECT * FROM (SELECT bucket FROM counts WHERE bucket >= ?1 AND bucket < ?2 ORDER BY bucket DESC LIMIT 1)
         UNION ALL SELECT max(bucket) FROM damaged WHERE bucket >= ?1 AND bucket < ?2)) FROM store";
const SELECT_DEFINITIONS: &str = "SELECT definitions, recorded FROM store";
const SELECT_SOURCE: &str = "SELECT offset, digest, lines, accepted, latest FROM sources WHERE name = ?1";
const SELECT_SOURCES: &str = "SELECT offset, digest, lines, accepted, latest, name FROM sources ORDER BY seen DESC, name DESC LIMIT ?1";
const SELECT_LEDGER: &str = "SELECT entry, reason, count FROM ledger ORDER BY entry, reason";
const SELECT_SIZES: &str = "SELECT (SELECT count(*) FROM series), (SELECT count(*) FROM sketches),
     (SELECT page_count * page_size FROM pragma_page_count, pragma_page_size)";

impl Moment<'_> {
    pub(super) fn one<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, Error> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut select| select.query_row(parameters, read).optional())
            .during("reading the store")
    }

    fn damaged(&self, series: SeriesId) -> Result<Vec<Damage>, Error> {
        let mut select = self.connection.prepare_cached(SELECT_DAMAGED).during("reading the damage")?;
        let rows = select
            .query_map(params![series.0], |row| Ok(Damage { bucket: row.get(0)?, is_united: row.get(1)? }))
            .during("reading the damage")?;
        rows.collect::<rusqlite::Result<_>>().during("reading the damage")
    }

    /// Shows the sketches that these series have in these buckets; the statement is found once.
    fn sketches_in(
        &self,
        series: &RangeInclusive<SeriesId>,
        buckets: impl Iterator<Item = i64>,
        mut show: impl FnMut(SeriesId, i64, &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (first, last) = (series.start().0, series.end().0);
        let sql = if first == last { SELECT_SKETCH } else { SELECT_SKETCHES };
        let mut select = self.connection.prepare_cached(sql).during("reading sketches")?;
        for bucket in buckets {
            let rows = match first == last {
                true => select.query(params![bucket, first]),
                false => select.query(params![bucket, first, last]),
            };
            let mut rows = rows.during("reading sketches")?;
            while let Some(row) = rows.next().during("reading sketches")? {
                let read = || Ok((row.get(0)?, row.get_ref(1)?.as_blob()?));
                let (series, blob) = read().during("reading sketches")?;
                show(SeriesId(series), bucket, blob)?;
            }
        }
        Ok(())
    }
}

impl Snapshot for Moment<'_> {
    fn series(&self, key: &str, kind: RuleKind) -> Result<Option<Series>, Error> {
        let mut select = self.connection.prepare_cached(FIND_SERIES).during("looking for a series")?;
        let mut rows = select.query(params![key, kind_code(kind)]).during("looking for a series")?;
        let mut series = None;
        while let Some(row) = rows.next().during("looking for a series")? {
            let read = || Ok((SeriesId(row.get(0)?), row.get(1)?, row.get(2)?, row.get(3)?));
            let (id, is_damaged, since, until): (_, bool, Option<i64>, Option<i64>) =
                read().during("looking for a series")?;
            if series.is_none() {
                let damaged = if is_damaged { self.damaged(id)? } else { Vec::new() };
                series = Some(Series { id, recorded: Vec::new(), damaged });
            }
            if let (Some(series), Some(since)) = (&mut series, since) {
                series.recorded.push(span(since, until));
            }
        }
        Ok(series)
    }

    fn every_series(&self, show: &mut dyn FnMut(String, RuleKind, Series)) -> Result<(), Error> {
        const DOING: &str = "reading all series";
        let mut damaged: BTreeMap<SeriesId, Vec<Damage>> = BTreeMap::new();
        let mut select = self.connection.prepare_cached(SELECT_ALL_DAMAGED).during(DOING)?;
        let mut rows = select.query([]).during(DOING)?;
        while let Some(row) = rows.next().during(DOING)? {
            let read = || Ok((SeriesId(row.get(0)?), Damage { bucket: row.get(1)?, is_united: row.get(2)? }));
            let (series, damage) = read().during(DOING)?;
            damaged.entry(series).or_default().push(damage);
        }
        let mut select = self.connection.prepare_cached(SELECT_EVERY_SERIES).during(DOING)?;
        let mut rows = select.query([]).during(DOING)?;
        let mut last: Option<(String, RuleKind, Series)> = None;
        while let Some(row) = rows.next().during(DOING)? {
            let read = || Ok((SeriesId(row.get(0)?), kind_of(row.get(1)?), row.get(2)?, row.get(3)?));
            let (id, kind, since, until): (_, _, Option<i64>, Option<i64>) = read().during(DOING)?;
            let Some(kind) = kind else { continue };
            if last.as_ref().is_none_or(|(_, _, series)| series.id != id) {
                let damaged = damaged.remove(&id).unwrap_or_default();
                let next = (row.get(4).during(DOING)?, kind, Series { id, recorded: Vec::new(), damaged });
                if let Some((key, kind, series)) = last.replace(next) {
                    show(key, kind, series);
                }
            }
            if let (Some((_, _, series)), Some(since)) = (&mut last, since) {
                series.recorded.push(span(since, until));
            }
        }
        if let Some((key, kind, series)) = last {
            show(key, kind, series);
        }
        Ok(())
    }

    fn count(&self, series: SeriesId, bucket: Bucket) -> Result<u64, Error> {
        let count = self.one(SELECT_COUNT, params![bucket.number(), series.0], |row| row.get(0))?;
        unsigned(count.unwrap_or(0), "a count")
    }

    fn sum(&self, series: SeriesId, bucket: Bucket) -> Result<Sum, Error> {
        let sum = self.one(SELECT_SUM, params![bucket.number(), series.0], |row| {
            Ok(Sum::from_parts(row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
        sum.unwrap_or_else(|| Some(Sum::default())).ok_or_else(|| {
            damaged(format_args!("the sum of series {} in bucket {}", series.0, bucket.number()))
        })
    }

    fn per_value(
        &self,
        series: SeriesId,
        bucket: Bucket,
        into: &mut BTreeMap<String, u64>,
    ) -> Result<(), Error> {
        let mut select = self.connection.prepare_cached(SELECT_PER_VALUE).during("reading values")?;
        let mut rows = select.query(params![bucket.number(), series.0]).during("reading values")?;
        while let Some(row) = rows.next().during("reading values")? {
            let (name, count): (Option<String>, i64) =
                row.get(0).and_then(|name| Ok((name, row.get(1)?))).during("reading values")?;
            let total = into.entry(name.unwrap_or_else(|| OVERFLOW_VALUE.to_owned())).or_default();
            *total = total.saturating_add(unsigned(count, "a value's count")?);
        }
        Ok(())
    }

    fn day_sketches(
        &self,
        series: RangeInclusive<SeriesId>,
        days: Range<u32>,
        show: &mut ShowDay<'_>,
    ) -> Result<(), Error> {
        let first = Granularity::Day.first().number();
        let buckets = days.map(|day| first + i64::from(day));
        self.sketches_in(&series, buckets, |series, bucket, blob| {
            let day = u32::try_from(bucket - first).map_err(|_| damaged("a day's bucket"))?;
            show(series, Day::from_index(day), blob)
        })
    }

    fn all_time_sketches(
        &self,
        series: RangeInclusive<SeriesId>,
        show: &mut ShowSketch<'_>,
    ) -> Result<(), Error> {
        let cursor = self.one(SELECT_CURSOR, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (united_bucket, united_series): (i64, i64) = cursor.unwrap_or_default();
        let end = Granularity::Day.end().number();
        // Few days are not united, and each is a seek or two; a range of them would be the rows of all series.
        let mut buckets = vec![Bucket::ALL_TIME.number()];
        if series.end().0 > united_series {
            buckets.push(united_bucket);
        }
        let is_new = |series: SeriesId, bucket| bucket != united_bucket || series.0 > united_series;
        let mut last = united_bucket;
        while let Some(Some(next)) =
            self.one(SELECT_NEXT_BUCKET, params![last, end], |row| row.get::<_, Option<i64>>(0))?
        {
            // Rows that are out of order must not lead back.
            if next <= last {
                return Err(damaged("rows are out of order"));
            }
            buckets.push(next);
            last = next;
        }
        self.sketches_in(&series, buckets.into_iter(), |series, bucket, blob| {
            if is_new(series, bucket) { show(series, blob) } else { Ok(()) }
        })
    }

    fn arrived(&self, series: SeriesId, show: &mut ShowArrived<'_>) -> Result<(), Error> {
        arrivals::show(self.connection, series, show)
    }

    fn extent(&self) -> Result<Extent, Error> {
        let first = Granularity::Day.first().number();
        let day = |bucket: i64| u32::try_from(bucket - first).map_err(|_| damaged("a day's bucket"));
        let row = self.one(SELECT_EXTENT, params![first, Granularity::Day.end().number()], |row| {
            let ends: (Option<i64>, Option<i64>) = (row.get(3)?, row.get(4)?);
            Ok((row.get::<_, Option<i64>>(0)?, (row.get(1)?, row.get(2)?), ends))
        })?;
        let (committed, kept_from, (from, to)) = row.unwrap_or_default();
        let days = from.zip(to).map(|(from, to)| Ok((day(from)?, day(to)?))).transpose()?;
        let arrived = arrivals::arrivals(self.connection)?;
        Ok(Extent { days, arrived, kept_from, committed_at: committed.map(Timestamp::from_unix_seconds) })
    }

    fn definitions(&self) -> Result<Option<(String, String)>, Error> {
        let kept = self.one(SELECT_DEFINITIONS, [], |row| {
            Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<String>>(1)?))
        })?;
        Ok(kept.and_then(|(definitions, recorded)| definitions.zip(recorded)))
    }

    fn source(&self, name: &str) -> Result<Option<SourceState>, Error> {
        let source = self.one(SELECT_SOURCE, params![name], read_source)?;
        source.map(checked_source).transpose()
    }

    fn sources(&self, limit: usize) -> Result<Vec<(String, SourceState)>, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut select = self.connection.prepare_cached(SELECT_SOURCES).during("reading the sources")?;
        let rows = select
            .query_map(params![limit], |row| Ok((row.get(5)?, read_source(row)?)))
            .during("reading the sources")?;
        rows.map(|row| {
            let (name, source) = row.during("reading the sources")?;
            Ok((name, checked_source(source)?))
        })
        .collect()
    }

    fn ledger(&self) -> Result<Vec<(String, String, u64)>, Error> {
        let mut select = self.connection.prepare_cached(SELECT_LEDGER).during("reading the ledger")?;
        let rows = select
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .during("reading the ledger")?;
        rows.map(|row| {
            let (entry, reason, count) = row.during("reading the ledger")?;
            Ok((entry, reason, unsigned(count, "a count of the ledger")?))
        })
        .collect()
    }

    fn marks(&self) -> Result<Vec<Mark>, Error> {
        marks::all(self.connection)
    }

    fn retained(&self) -> Result<Retained, Error> {
        retention::read(self.connection)
    }

    fn identity(&self) -> Result<ping::Identity, Error> {
        pings::identity(self.connection)
    }

    fn consent(&self) -> Result<Consent, Error> {
        pings::consent(self.connection)
    }

    fn agreement(&self) -> Result<ping::Agreement, Error> {
        pings::agreement(self.connection)
    }

    fn ping_weeks(&self) -> Result<Vec<ping::KeptWeek>, Error> {
        pings::weeks(self.connection)
    }

    fn pings(&self, first: IsoWeek, last: IsoWeek) -> Result<Vec<KeptPing>, Error> {
        pings::of_weeks(self.connection, first, last)
    }

    fn sizes(&self) -> Result<Sizes, Error> {
        let sizes = self.one(SELECT_SIZES, [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        })?;
        let (series, sketches, bytes) = sizes.unwrap_or_default();
        Ok(Sizes {
            bytes: unsigned(bytes, "the file's size")?,
            log_bytes: copy::log_bytes(self.connection),
            series: unsigned(series, "the number of series")?,
            sketches: unsigned(sketches, "the number of sketches")?,
        })
    }
}

/// A source as it stands in its row: offset, digest, lines, accepted, latest.
type SourceRow = (i64, Vec<u8>, i64, i64, Option<i64>);

fn read_source(row: &Row<'_>) -> rusqlite::Result<SourceRow> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
}

fn checked_source((offset, digest, lines, accepted, latest): SourceRow) -> Result<SourceState, Error> {
    Ok(SourceState {
        offset: unsigned(offset, "a source's offset")?,
        digest: digest.try_into().map_err(|_| damaged("a source's digest"))?,
        lines: unsigned(lines, "a source's lines")?,
        accepted: unsigned(accepted, "a source's events")?,
        latest: latest.map(Timestamp::from_unix_seconds),
    })
}

fn span(since: i64, until: Option<i64>) -> Span {
    let until = until.map(Timestamp::from_unix_seconds);
    Span { since: Timestamp::from_unix_seconds(since), until }
}

fn unsigned(number: i64, what: &str) -> Result<u64, Error> {
    u64::try_from(number).map_err(|_| damaged(format_args!("{what} is {number}")))
}
