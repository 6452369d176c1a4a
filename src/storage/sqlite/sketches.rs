//! Writing sketches: always as a union with what is stored, and into those of all time.

use std::collections::BTreeMap;

use rusqlite::{Transaction, params};

use crate::error::Error;
use crate::sketch::Sketch;
use crate::storage::batch::{Batch, SeriesId};
use crate::storage::sqlite::failure::During;
use crate::time::bucket::{Bucket, Day, Granularity};
use crate::time::timestamp::Timestamp;

/// So many day sketches are united with those of all time in one flush, so that none takes long, and so many in a commit of an
/// import, which nobody waits for and which may bring years of days at once.
const UNITE_PER_FLUSH: usize = 256;
const UNITE_PER_IMPORT: usize = 8_192;

const SELECT_SKETCH: &str = "SELECT blob, rowid FROM sketches WHERE bucket = ?1 AND series = ?2";
const INSERT_SKETCH: &str = "INSERT INTO sketches (bucket, series, blob) VALUES (?1, ?2, ?3)
     ON CONFLICT (bucket, series) DO UPDATE SET blob = excluded.blob";
const UPDATE_SKETCH: &str = "UPDATE sketches SET blob = ?2 WHERE rowid = ?1";
const SET_ASIDE: &str =
    "INSERT INTO damaged (series, bucket, found, united, blob) VALUES (?1, ?2, ?3, ?4, ?5)";
const SELECT_DAYS: &str =
    "SELECT bucket, blob FROM sketches WHERE bucket >= ?1 AND bucket < ?2 AND series = ?3 ORDER BY bucket";
const SELECT_CURSOR: &str = "SELECT united_bucket, united_series FROM store";
const MOVE_CURSOR: &str = "UPDATE store SET united_bucket = ?1, united_series = ?2";
const SELECT_TO_UNITE: &str = "SELECT bucket, series, blob FROM sketches
     WHERE (bucket, series) > (?1, ?2) AND bucket < ?3 ORDER BY bucket, series LIMIT ?4";

/// Writes the day sketches of the batch, always as a union with what is stored, so that no peer's register is lost.
///
/// Day rows up to the cursor, in key order, are already in the sketches of all time: a write behind the cursor goes into
/// both, and the cursor then advances over a bounded number of rows of days that have ended.
///
/// A damaged day is set aside and noted, so that answers about it fail instead of being too small; all time fails too, unless
/// the day was united before. A damaged sketch of all time is made again from its days.
pub(crate) fn unite(transaction: &Transaction<'_>, batch: &Batch) -> Result<(), Error> {
    let now = batch.cut_at;
    let mut cursor: (i64, i64) = transaction
        .prepare_cached(SELECT_CURSOR)
        .and_then(|mut select| select.query_row([], |row| Ok((row.get(0)?, row.get(1)?))))
        .during("reading the cursor")?;
    let mut all_time = BTreeMap::<SeriesId, Sketch>::new();
    let mut rows: Vec<_> = batch.sketches.iter().collect();
    rows.sort_unstable_by_key(|(series, day, _)| (*day, *series));
    for (series, day, sketch) in rows {
        let key = (Bucket::day(*day).number(), series.0);
        if let Stored::Damaged(blob) = put(transaction, key, sketch)? {
            set_aside(transaction, key, now, key <= cursor, &blob)?;
            write(transaction, key, sketch)?;
        }
        if key <= cursor {
            all_time.entry(*series).or_default().unite(sketch);
        }
    }
    let united = unite_ended_days(transaction, batch, &mut cursor, &mut all_time)?;
    for (series, sketch) in &mut all_time {
        let key = (Bucket::ALL_TIME.number(), series.0);
        if let Stored::Damaged(blob) = put(transaction, key, sketch)? {
            set_aside(transaction, key, now, true, &blob)?;
            for_each_blob(transaction, *series, |bucket, blob| {
                if bucket <= cursor.0 && sketch.unite_blob(blob).is_err() {
                    set_aside(transaction, (bucket, series.0), now, false, blob)?;
                }
                Ok(())
            })?;
            write(transaction, key, sketch)?;
        }
    }
    if united {
        transaction
            .prepare_cached(MOVE_CURSOR)
            .and_then(|mut advance| advance.execute(params![cursor.0, cursor.1]))
            .during("moving the cursor")?;
    }
    Ok(())
}

/// Unites the next rows behind the cursor with all time, and moves the cursor; says whether there were any.
fn unite_ended_days(
    transaction: &Transaction<'_>,
    batch: &Batch,
    cursor: &mut (i64, i64),
    all_time: &mut BTreeMap<SeriesId, Sketch>,
) -> Result<bool, Error> {
    let running_day = Bucket::day(Day::of(batch.cut_at)).number();
    let limit = if batch.source.is_some() { UNITE_PER_IMPORT } else { UNITE_PER_FLUSH };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let began = *cursor;
    let mut select = transaction.prepare_cached(SELECT_TO_UNITE).during("reading ended days")?;
    let mut rows =
        select.query(params![began.0, began.1, running_day, limit]).during("reading ended days")?;
    while let Some(row) = rows.next().during("reading ended days")? {
        let key: (i64, i64) =
            row.get(0).and_then(|bucket| Ok((bucket, row.get(1)?))).during("reading ended days")?;
        let blob = row.get_ref(2).and_then(|blob| Ok(blob.as_blob()?)).during("reading ended days")?;
        if all_time.entry(SeriesId(key.1)).or_default().unite_blob(blob).is_err() {
            set_aside(transaction, key, batch.cut_at, false, blob)?;
        }
        *cursor = key;
    }
    Ok(*cursor != began)
}

/// What a sketch was united with.
enum Stored {
    Sound,
    /// The bytes that stand in the row; it is as it was.
    Damaged(Vec<u8>),
}

/// Unites a sketch with the row of its bucket and series; a union that changes nothing is not written.
fn put(transaction: &Transaction<'_>, key: (i64, i64), sketch: &Sketch) -> Result<Stored, Error> {
    if sketch.is_empty() {
        return Ok(Stored::Sound);
    }
    let mut select = transaction.prepare_cached(SELECT_SKETCH).during("reading a sketch")?;
    let mut rows = select.query(params![key.0, key.1]).during("reading a sketch")?;
    let Some(row) = rows.next().during("reading a sketch")? else {
        write(transaction, key, sketch)?;
        return Ok(Stored::Sound);
    };
    let blob = row.get_ref(0).and_then(|blob| Ok(blob.as_blob()?)).during("reading a sketch")?;
    let Ok(mut stored) = Sketch::decode(blob) else { return Ok(Stored::Damaged(blob.to_vec())) };
    if stored.unite(sketch) {
        let row: i64 = row.get(1).during("reading a sketch")?;
        transaction
            .prepare_cached(UPDATE_SKETCH)
            .and_then(|mut update| update.execute(params![row, stored.encode()]))
            .during("writing a sketch")?;
    }
    Ok(Stored::Sound)
}

fn write(transaction: &Transaction<'_>, key: (i64, i64), sketch: &Sketch) -> Result<(), Error> {
    transaction
        .prepare_cached(INSERT_SKETCH)
        .and_then(|mut put| put.execute(params![key.0, key.1, sketch.encode()]))
        .during("writing a sketch")
        .map(drop)
}

/// Keeps damaged bytes, and with `united` whether the sketch of all time has what they stood for.
fn set_aside(
    transaction: &Transaction<'_>,
    key: (i64, i64),
    now: Timestamp,
    united: bool,
    blob: &[u8],
) -> Result<(), Error> {
    transaction
        .prepare_cached(SET_ASIDE)
        .and_then(|mut keep| keep.execute(params![key.1, key.0, now.unix_seconds(), united, blob]))
        .during("setting a damaged sketch aside")
        .map(drop)
}

fn for_each_blob(
    transaction: &Transaction<'_>,
    series: SeriesId,
    mut visit: impl FnMut(i64, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let days = (Granularity::Day.first().number(), Granularity::Day.end().number());
    let mut select = transaction.prepare_cached(SELECT_DAYS).during("reading days again")?;
    let mut rows = select.query(params![days.0, days.1, series.0]).during("reading days again")?;
    while let Some(row) = rows.next().during("reading days again")? {
        let bucket = row.get(0).during("reading days again")?;
        let blob = row.get_ref(1).and_then(|blob| Ok(blob.as_blob()?)).during("reading days again")?;
        visit(bucket, blob)?;
    }
    Ok(())
}
