//! Looking through a whole SQLite store.

use std::ops::Range;
use std::path::Path;

use rusqlite::{Connection, Row, params};

use crate::error::{Error, ErrorKind};
use crate::storage::batch::SeriesId;
use crate::storage::sqlite::failure::{During, damaged};
use crate::storage::sqlite::log;
use crate::storage::sqlite::reader::Moment;
use crate::storage::sqlite::schema::{is_reserved_kind, kind_of};
use crate::storage::sum::Sum;
use crate::storage::survey::{Activity, KeyedSeries, Orphan, Space, Strange, Survey};
use crate::time::bucket::{Bucket, Day, Granularity, Hour};
use crate::time::timestamp::Timestamp;

const SELECT_SERIES: &str = "SELECT id, key, kind FROM series ORDER BY id";
const SELECT_ACTIVITY: &str = "
     SELECT series, min(bucket), max(bucket), count(DISTINCT bucket) FROM counts WHERE bucket >= ?1 AND bucket < ?2 GROUP BY series
     UNION ALL
     SELECT series, min(bucket), max(bucket), count(DISTINCT bucket) FROM sums WHERE bucket >= ?1 AND bucket < ?2 GROUP BY series
     UNION ALL
     SELECT series, min(bucket), max(bucket), count(DISTINCT bucket) FROM sketches WHERE bucket >= ?1 AND bucket < ?2 GROUP BY series
     UNION ALL
     SELECT series, min(bucket), max(bucket), count(DISTINCT bucket) FROM per_value WHERE bucket >= ?1 AND bucket < ?2 GROUP BY series";
const SELECT_SPACE: &str = "SELECT coalesce(tbl_name, page.name), sum(page.pgsize)
     FROM dbstat AS page LEFT JOIN sqlite_schema AS object ON object.name = page.name
     WHERE page.aggregate = TRUE GROUP BY 1";
const HAS_DBSTAT: &str = "SELECT count(*) FROM pragma_module_list WHERE name = 'dbstat'";
const SELECT_FREE: &str = "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size";
const SELECT_COUNTS: &str =
    "SELECT series, count FROM counts WHERE bucket >= ?1 AND bucket < ?2 ORDER BY bucket, series";
const SELECT_SUMS: &str = "SELECT series, sum, carry, saturated FROM sums
     WHERE bucket >= ?1 AND bucket < ?2 ORDER BY bucket, series";
const SELECT_VALUES: &str = "SELECT series, value, count FROM per_value
     WHERE bucket >= ?1 AND bucket < ?2 ORDER BY bucket, series, value";
const SELECT_SKETCHES: &str =
    "SELECT series, blob FROM sketches WHERE bucket >= ?1 AND bucket < ?2 ORDER BY bucket, series";
const SELECT_NAMES: &str = "SELECT series, value, text FROM value_names ORDER BY series, value";
const SELECT_CURSOR: &str = "SELECT united_bucket, united_series FROM store";
const SELECT_NEXT_DAY: &str = "SELECT min(day) FROM (
     SELECT min(bucket) - ?1 AS day FROM counts WHERE bucket >= ?2 AND bucket < ?3
     UNION ALL SELECT min(bucket) - ?1 FROM sums WHERE bucket >= ?2 AND bucket < ?3
     UNION ALL SELECT min(bucket) - ?1 FROM sketches WHERE bucket >= ?2 AND bucket < ?3
     UNION ALL SELECT min(bucket) - ?1 FROM per_value WHERE bucket >= ?2 AND bucket < ?3
     UNION ALL SELECT (min(bucket) - ?4) / 24 FROM counts WHERE bucket >= ?5 AND bucket < ?6
     UNION ALL SELECT (min(bucket) - ?4) / 24 FROM sums WHERE bucket >= ?5 AND bucket < ?6)";
const SELECT_STRANGE: &str = "SELECT series, count(*), min(bucket) FROM (
     SELECT bucket, series FROM counts UNION ALL SELECT bucket, series FROM sums
     UNION ALL SELECT bucket, series FROM sketches UNION ALL SELECT bucket, series FROM per_value)
     WHERE NOT (bucket = 0 OR bucket BETWEEN ?1 AND ?2 OR bucket BETWEEN ?3 AND ?4)
     GROUP BY series ORDER BY series LIMIT 100";
const SELECT_ORPHANS: &str = "SELECT DISTINCT series, kept FROM (
     SELECT series, 'recorded' AS kept FROM recorded UNION ALL SELECT series, 'value_names' FROM value_names
     UNION ALL SELECT series, 'damaged' FROM damaged)
     WHERE series NOT IN (SELECT id FROM series) ORDER BY series, kept LIMIT 100";

const CHECK_PAGES: &str = "PRAGMA integrity_check(100)";
const LOOKING: &str = "looking through the store";

/// Whether what SQLite says of a page is that the disk failed to give it.
fn is_unread(fault: &str) -> bool {
    const IO: i32 = 10;
    /// The end of a file that is cut: the disk is well.
    const SHORT_READ: i32 = 522;
    let code = fault.rsplit_once("error code=").and_then(|(_, code)| code.trim().parse::<i32>().ok());
    code.is_some_and(|code| code & 0xff == IO && code != SHORT_READ)
}

/// Whether it may be that, and SQLite does not say why.
fn is_perhaps_unread(fault: &str) -> bool {
    ["Failed to read ptrmap", "failed to get page"].iter().any(|unsaid| fault.contains(unsaid))
}

impl Moment<'_> {
    /// Shows every row of a range of buckets.
    fn rows(
        &self,
        sql: &str,
        buckets: &Range<Bucket>,
        mut show: impl FnMut(&Row<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), Error> {
        let mut select = self.connection.prepare_cached(sql).during(LOOKING)?;
        let mut rows = select.query(params![buckets.start.number(), buckets.end.number()]).during(LOOKING)?;
        while let Some(row) = rows.next().during(LOOKING)? {
            show(row).during(LOOKING)?;
        }
        Ok(())
    }

    /// What SQLite finds wrong with the pages.
    fn page_faults(&self) -> Result<Vec<String>, Error> {
        let mut select = self.connection.prepare(CHECK_PAGES).during(LOOKING)?;
        let found = select.query_map([], |row| row.get::<_, String>(0)).during(LOOKING)?;
        let told = found.collect::<rusqlite::Result<Vec<_>>>().during(LOOKING)?;
        // SQLite may tell several in one text, below a title.
        let lines = told
            .iter()
            .flat_map(|told| told.lines())
            .filter(|line| *line != "ok" && !line.starts_with("***"));
        let faults: Vec<String> = lines.map(str::to_owned).collect();
        match faults.iter().find(|fault| is_unread(fault)) {
            // The disk may give the page at the next try: that is no damage to speak of, and nothing is known of what is behind it.
            Some(fault) => {
                Err(Error::new(ErrorKind::Io, format!("a page cannot be read: {fault}; check the disk")))
            }
            None => Ok(faults),
        }
    }
}

impl Survey for Moment<'_> {
    fn all_series(&self) -> Result<Vec<KeyedSeries>, Error> {
        let mut select = self.connection.prepare_cached(SELECT_SERIES).during(LOOKING)?;
        let series = select
            .query_map([], |row| {
                let kind: i64 = row.get(2)?;
                Ok(KeyedSeries {
                    id: SeriesId(row.get(0)?),
                    key: row.get(1)?,
                    kind: kind_of(kind),
                    is_reserved: is_reserved_kind(kind),
                })
            })
            .during(LOOKING)?;
        series.collect::<rusqlite::Result<_>>().during(LOOKING)
    }

    fn activity(&self) -> Result<Vec<Activity>, Error> {
        let first = Granularity::Day.first();
        let day = |bucket: i64| u32::try_from(bucket - first.number()).unwrap_or_default();
        let mut all = Vec::new();
        self.rows(SELECT_ACTIVITY, &(first..Granularity::Day.end()), |row| {
            all.push(Activity {
                series: SeriesId(row.get(0)?),
                first_day: day(row.get(1)?),
                last_day: day(row.get(2)?),
                days: u64::try_from(row.get::<_, i64>(3)?).unwrap_or_default(),
            });
            Ok(())
        })?;
        Ok(all)
    }

    fn space(&self) -> Result<Option<Space>, Error> {
        let has_dbstat: i64 = self.connection.query_row(HAS_DBSTAT, [], |row| row.get(0)).during(LOOKING)?;
        if has_dbstat == 0 {
            return Ok(None);
        }
        let mut space = Space { free: bytes(self.connection, SELECT_FREE)?, ..Space::default() };
        let mut select = self.connection.prepare_cached(SELECT_SPACE).during(LOOKING)?;
        let mut rows = select.query([]).during(LOOKING)?;
        while let Some(row) = rows.next().during(LOOKING)? {
            let name: String = row.get(0).during(LOOKING)?;
            let part = match name.as_str() {
                "counts" => &mut space.counts,
                "sums" => &mut space.sums,
                "sketches" => &mut space.sketches,
                "per_value" | "value_names" => &mut space.values,
                _ => &mut space.other,
            };
            *part += u64::try_from(row.get::<_, i64>(1).during(LOOKING)?).unwrap_or_default();
        }
        Ok(Some(space))
    }

    fn faults(&self) -> Result<Vec<String>, Error> {
        let mut faults = self.page_faults()?;
        // What is damaged is so again, and what the disk did not give then has its reason or comes.
        if faults.iter().any(|fault| is_perhaps_unread(fault)) {
            faults = self.page_faults()?;
        }
        let log = self.connection.path().filter(|path| !path.is_empty()).map(|path| format!("{path}-wal"));
        if let Some(Ok(Some(page))) = log.map(|log| log::damaged_page(Path::new(&log))) {
            faults.push(format!(
                "the log (-wal) is damaged in its page {page}: the commits from there on are lost"
            ));
        }
        Ok(faults)
    }

    fn counts(&self, buckets: Range<Bucket>, visit: &mut dyn FnMut(SeriesId, i64)) -> Result<(), Error> {
        self.rows(SELECT_COUNTS, &buckets, |row| {
            visit(SeriesId(row.get(0)?), row.get(1)?);
            Ok(())
        })
    }

    fn sums(
        &self,
        buckets: Range<Bucket>,
        visit: &mut dyn FnMut(SeriesId, Option<Sum>),
    ) -> Result<(), Error> {
        self.rows(SELECT_SUMS, &buckets, |row| {
            visit(SeriesId(row.get(0)?), Sum::from_parts(row.get(1)?, row.get(2)?, row.get(3)?));
            Ok(())
        })
    }

    fn values(&self, buckets: Range<Bucket>, visit: &mut dyn FnMut(SeriesId, i64, i64)) -> Result<(), Error> {
        self.rows(SELECT_VALUES, &buckets, |row| {
            visit(SeriesId(row.get(0)?), row.get(1)?, row.get(2)?);
            Ok(())
        })
    }

    fn sketches(&self, buckets: Range<Bucket>, visit: &mut dyn FnMut(SeriesId, &[u8])) -> Result<(), Error> {
        self.rows(SELECT_SKETCHES, &buckets, |row| {
            visit(SeriesId(row.get(0)?), row.get_ref(1)?.as_blob()?);
            Ok(())
        })
    }

    fn value_names(&self, visit: &mut dyn FnMut(SeriesId, i64, &str)) -> Result<(), Error> {
        let mut select = self.connection.prepare_cached(SELECT_NAMES).during(LOOKING)?;
        let mut rows = select.query([]).during(LOOKING)?;
        while let Some(row) = rows.next().during(LOOKING)? {
            let (series, value): (i64, i64) =
                row.get(0).and_then(|series| Ok((series, row.get(1)?))).during(LOOKING)?;
            let text = row.get_ref(2).and_then(|text| Ok(text.as_str()?)).during(LOOKING)?;
            visit(SeriesId(series), value, text);
        }
        Ok(())
    }

    fn cursor(&self) -> Result<(i64, i64), Error> {
        self.connection.query_row(SELECT_CURSOR, [], |row| Ok((row.get(0)?, row.get(1)?))).during(LOOKING)
    }

    fn next_day(&self, from: Day) -> Result<Option<Day>, Error> {
        // Days beyond the calendar are strange buckets.
        let last = Day::of(Timestamp::MAX);
        let ends = [
            Granularity::Day.first(),
            Bucket::day(from),
            Bucket::day(last.next()),
            Granularity::Hour.first(),
            Bucket::hour(from.first_hour()),
            Bucket::hour(last.next().first_hour()),
        ];
        let day: Option<i64> = self
            .connection
            .prepare_cached(SELECT_NEXT_DAY)
            .and_then(|mut select| select.query_row(ends.map(Bucket::number), |row| row.get(0)))
            .during(LOOKING)?;
        let Some(day) = day else { return Ok(None) };
        // Rows that are out of order must not lead back.
        let day = u32::try_from(day).ok().map(Day::from_index).filter(|day| *day >= from);
        day.map(Some).ok_or_else(|| damaged("rows are out of order"))
    }

    fn strange_buckets(&self) -> Result<Vec<Strange>, Error> {
        let last = Timestamp::MAX;
        let ends = [
            Granularity::Hour.first(),
            Bucket::hour(Hour::of(last)),
            Granularity::Day.first(),
            Bucket::day(Day::of(last)),
        ];
        let mut select = self.connection.prepare_cached(SELECT_STRANGE).during(LOOKING)?;
        let strange = select
            .query_map(ends.map(Bucket::number), |row| {
                Ok(Strange {
                    series: SeriesId(row.get(0)?),
                    rows: row.get::<_, i64>(1)?.unsigned_abs(),
                    bucket: row.get(2)?,
                })
            })
            .during(LOOKING)?;
        strange.collect::<rusqlite::Result<_>>().during(LOOKING)
    }

    fn orphans(&self) -> Result<Vec<Orphan>, Error> {
        let mut select = self.connection.prepare_cached(SELECT_ORPHANS).during(LOOKING)?;
        let orphans = select
            .query_map([], |row| Ok(Orphan { series: SeriesId(row.get(0)?), table: row.get(1)? }))
            .during(LOOKING)?;
        orphans.collect::<rusqlite::Result<_>>().during(LOOKING)
    }
}

pub(crate) fn bytes(connection: &Connection, sql: &str) -> Result<u64, Error> {
    let bytes: i64 = connection.query_row(sql, [], |row| row.get(0)).during(LOOKING)?;
    u64::try_from(bytes).map_err(|_| damaged("a size below zero"))
}
