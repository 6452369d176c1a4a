//! Sketches: each carries its checksum, and the index says which there were.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params};

use crate::definition::rule::RuleKind;
use crate::error::Error;
use crate::sketch::Sketch;
use crate::storage::sqlite::failure::During;
use crate::storage::sqlite::salvage::buckets::Missing;
use crate::storage::sqlite::salvage::harvest::{Gap, Harvest};
use crate::storage::sqlite::salvage::mend::Mending;
use crate::storage::sqlite::salvage::{SALVAGING, WRITING};
use crate::time::bucket::{Bucket, Day, Granularity};

const TABLE: &str = "sketches";
const ALL_TIME: i64 = Bucket::ALL_TIME.number();
/// Where the index cannot say how many rows there are.
const MANY_ROWS: i64 = 1 << 24;

const INDEX_UP: &str = "SELECT bucket, series, rowid FROM sketches INDEXED BY sqlite_autoindex_sketches_1
     WHERE (bucket, series) >= (?1, ?2) AND (bucket, series) < (?3, ?4) ORDER BY bucket, series";
const INDEX_DOWN: &str = "SELECT bucket, series, rowid FROM sketches INDEXED BY sqlite_autoindex_sketches_1
     WHERE (bucket, series) >= (?1, ?2) AND (bucket, series) < (?3, ?4) ORDER BY bucket DESC, series DESC";
const ROWS_UP: &str = "SELECT rowid, 0, bucket, series, blob FROM sketches NOT INDEXED
     WHERE rowid >= ?1 + (?2 > 0) AND rowid < ?3 + (?4 > 0) ORDER BY rowid";
const ROWS_DOWN: &str = "SELECT rowid, 0, bucket, series, blob FROM sketches NOT INDEXED
     WHERE rowid >= ?1 + (?2 > 0) AND rowid < ?3 + (?4 > 0) ORDER BY rowid DESC";
const PUT: &str = "INSERT OR REPLACE INTO sketches (bucket, series, blob) VALUES (?1, ?2, ?3)";
const HAS: &str = "SELECT EXISTS (SELECT 1 FROM sketches WHERE bucket = ?1 AND series = ?2)";
const LAST: &str =
    "SELECT bucket, series FROM sketches WHERE bucket >= ?1 ORDER BY bucket DESC, series DESC LIMIT 1";
const SELECT_CURSOR: &str = "SELECT united_bucket, united_series FROM store";
const PUT_CURSOR: &str = "UPDATE store SET united_bucket = ?1, united_series = ?2";
const DAYS: &str = "SELECT DISTINCT bucket - ?1 FROM counts WHERE bucket >= ?1 ORDER BY 1";
const OF_SERIES: &str =
    "SELECT bucket, blob FROM sketches WHERE series = ?1 AND bucket >= ?2 ORDER BY bucket";
const SELECT: &str = "SELECT blob FROM sketches WHERE bucket = ?1 AND series = ?2";

/// Copies every sketch whose checksum holds, and makes those of all time again from their days where they are lost.
pub(super) fn copy(from: &Connection, mending: &mut Mending<'_>) -> Result<(), Error> {
    let (known, missing) = read_index(from, mending);
    let mut lost = copy_rows(from, mending, &known)?;
    for (bucket, series) in known.keys() {
        if !has(mending.store, *bucket, *series)? {
            lost.insert((*bucket, *series));
        }
    }
    let days = days(mending.store)?;
    let unread = mending.unread_days(&days, &missing)?;
    let series: Vec<i64> = mending.places.of_kind(RuleKind::Unique).map(|series| series.0).collect();
    if !missing.is_empty() {
        for day in unread.iter().filter(|day| days.contains(day)) {
            let bucket = Bucket::day(*day).number();
            for series in &series {
                if missing.may_be(bucket, *series) && !has(mending.store, bucket, *series)? {
                    lost.insert((bucket, *series));
                }
            }
        }
    }
    let cursor = cursor(mending)?;
    for series in series {
        let may_miss = lost.contains(&(ALL_TIME, series)) || missing.may_be(ALL_TIME, series);
        unite(mending, series, cursor, may_miss, &lost)?;
    }
    Ok(())
}

/// Which sketches there were, with the numbers of their rows.
fn read_index(from: &Connection, mending: &Mending<'_>) -> (BTreeMap<(i64, i64), i64>, Missing) {
    let mut known = BTreeMap::new();
    let mut missing = Missing::default();
    for granularity in [Granularity::AllTime, Granularity::Day] {
        let (range, horizon) = mending.places.range(granularity);
        let horizon = (horizon, mending.places.last_series() + 1);
        let harvest = Harvest { connection: from, up: INDEX_UP, down: INDEX_DOWN, is_wide: false, horizon };
        missing.gaps.extend(harvest.run([range], &mut |row| {
            if let [Value::Integer(bucket), Value::Integer(series), Value::Integer(row)] = row
                && mending.places.has(*series, RuleKind::Unique)
            {
                known.insert((*bucket, *series), *row);
            }
        }));
    }
    (known, missing)
}

/// Copies the rows themselves; returns those that were there, but are damaged.
fn copy_rows(
    from: &Connection,
    mending: &mut Mending<'_>,
    known: &BTreeMap<(i64, i64), i64>,
) -> Result<BTreeSet<(i64, i64)>, Error> {
    let last = known.values().max().map_or(MANY_ROWS, |row| row.saturating_add(1));
    let harvest =
        Harvest { connection: from, up: ROWS_UP, down: ROWS_DOWN, is_wide: false, horizon: (last, 1) };
    let named: BTreeMap<i64, (i64, i64)> = known.iter().map(|(key, row)| (*row, *key)).collect();
    let mut put = mending.store.prepare(PUT).during(WRITING)?;
    let (mut rows, mut lost, mut failure) = (0, BTreeSet::new(), None);
    let all = Gap { low: (0, 0), high: (i64::MAX - 1, 0) };
    let places = mending.places;
    let gaps = harvest.run([all], &mut |row| {
        let [Value::Integer(row), _, Value::Integer(bucket), Value::Integer(series), Value::Blob(blob)] = row
        else {
            return;
        };
        let key = (*bucket, *series);
        // The checksum is that of the sketch alone: its place is what row and index agree on.
        let is_named = named.get(row).is_none_or(|named| *named == key);
        let is_place = places.has(*series, RuleKind::Unique)
            && (*bucket == ALL_TIME || *bucket >= Granularity::Day.first().number());
        if !is_named || !is_place || Sketch::decode(blob).is_err() {
            lost.extend(is_place.then_some(key));
            return;
        }
        match put.execute(params![bucket, series, blob]) {
            Ok(_) => rows += 1,
            Err(error) => failure = Some(error),
        }
    });
    drop(put);
    if let Some(error) = failure {
        return Err(error).during(WRITING);
    }
    mending.salvage.count_read(TABLE, rows);
    if !gaps.is_empty() {
        let message = "some rows could not be read; those that the index knows are listed";
        mending.salvage.lose(TABLE, None, None, message);
    }
    Ok(lost)
}

/// Puts the sketch of all time in order, and notes what is lost of a series.
fn unite(
    mending: &mut Mending<'_>,
    series: i64,
    cursor: (i64, i64),
    may_miss: bool,
    lost: &BTreeSet<(i64, i64)>,
) -> Result<(), Error> {
    let lost_days: Vec<i64> =
        lost.iter().filter(|key| key.1 == series && key.0 != ALL_TIME).map(|key| key.0).collect();
    let is_all_time_there = !may_miss || has(mending.store, ALL_TIME, series)?;
    for day in &lost_days {
        mending.lose(TABLE, series, *day, is_all_time_there && (*day, series) <= cursor)?;
    }
    let mut union = Sketch::new();
    let mut select = mending.store.prepare_cached(OF_SERIES).during(SALVAGING)?;
    let mut rows = select.query(params![series, Granularity::Day.first().number()]).during(SALVAGING)?;
    while let Some(row) = rows.next().during(SALVAGING)? {
        let bucket: i64 = row.get(0).during(SALVAGING)?;
        if (bucket, series) > cursor {
            break;
        }
        union.unite_blob(row.get_ref(1).and_then(|blob| Ok(blob.as_blob()?)).during(SALVAGING)?)?;
    }
    drop(rows);
    let stored: Option<Vec<u8>> = mending
        .store
        .query_row(SELECT, params![ALL_TIME, series], |row| row.get(0))
        .optional()
        .during(SALVAGING)?;
    let mut whole = Sketch::new();
    if let Some(stored) = stored {
        whole.unite_blob(&stored)?;
    }
    if whole.unite(&union) {
        mending.store.execute(PUT, params![ALL_TIME, series, whole.encode()]).during(WRITING)?;
        mending.salvage.count_rebuilt(TABLE, 1);
    }
    if !is_all_time_there && (!lost_days.is_empty() || mending.days_from > Day::from_index(0)) {
        mending.lose(TABLE, series, ALL_TIME, false)?;
    }
    Ok(())
}

/// Up to where days are united: where the store says, or all of them if it does not.
fn cursor(mending: &Mending<'_>) -> Result<(i64, i64), Error> {
    let stored: (i64, i64) =
        mending.store.query_row(SELECT_CURSOR, [], |row| Ok((row.get(0)?, row.get(1)?))).during(SALVAGING)?;
    let first = Granularity::Day.first().number();
    let last: Option<(i64, i64)> = mending
        .store
        .query_row(LAST, params![first], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .during(SALVAGING)?;
    match last {
        Some(last) if stored.0 <= first || stored > last => {
            mending.store.execute(PUT_CURSOR, params![last.0, last.1]).during(WRITING)?;
            Ok(last)
        }
        _ => Ok(stored),
    }
}

fn has(store: &Connection, bucket: i64, series: i64) -> Result<bool, Error> {
    store
        .prepare_cached(HAS)
        .and_then(|mut select| select.query_row(params![bucket, series], |row| row.get(0)))
        .during(SALVAGING)
}

fn days(store: &Connection) -> Result<Vec<Day>, Error> {
    let mut select = store.prepare(DAYS).during(SALVAGING)?;
    let days = select
        .query_map(params![Granularity::Day.first().number()], |row| row.get(0).map(Day::from_index))
        .during(SALVAGING)?;
    days.collect::<rusqlite::Result<_>>().during(SALVAGING)
}
