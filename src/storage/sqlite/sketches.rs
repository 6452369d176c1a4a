//! Writing sketches: always as a union with what is stored, and into those of all time.

use std::collections::BTreeMap;

use rusqlite::{Transaction, params};

use crate::error::Error;
use crate::sketch::Sketch;
use crate::storage::batch::{Batch, SeriesId};
use crate::storage::sqlite::failure::During;
use crate::time::bucket::{Bucket, Day};
use crate::time::timestamp::Timestamp;

/// So many day sketches are united with those of all time in one flush, so that none takes long, and so many in a commit of an
/// import, which nobody waits for and which may bring years of days at once.
const UNITE_PER_FLUSH: usize = 256;
const UNITE_PER_IMPORT: usize = 8_192;

const SELECT_SKETCH: &str = "SELECT blob FROM sketches WHERE bucket = ?1 AND series = ?2";
const PUT_SKETCH: &str = "INSERT INTO sketches (bucket, series, blob) VALUES (?1, ?2, ?3)
     ON CONFLICT (bucket, series) DO UPDATE SET blob = excluded.blob";
const SET_ASIDE: &str = "INSERT INTO damaged (bucket, series, found, blob) VALUES (?1, ?2, ?3, ?4)";
const SELECT_CURSOR: &str = "SELECT united_bucket, united_series FROM store";
const MOVE_CURSOR: &str = "UPDATE store SET united_bucket = ?1, united_series = ?2";
const SELECT_TO_UNITE: &str = "SELECT bucket, series, blob FROM sketches
     WHERE (bucket, series) > (?1, ?2) AND bucket < ?3 ORDER BY bucket, series LIMIT ?4";

/// Writes the day sketches of the batch, always as a union with what is stored, so that no peer's register is lost.
///
/// Day rows up to the cursor, in key order, are already in the sketches of all time: a write behind the cursor goes into
/// both, and the cursor then advances over a bounded number of rows of days that have ended.
pub(crate) fn unite(transaction: &Transaction<'_>, batch: &Batch) -> Result<(), Error> {
    let mut cursor: (i64, i64) = transaction
        .prepare_cached(SELECT_CURSOR)
        .and_then(|mut select| select.query_row([], |row| Ok((row.get(0)?, row.get(1)?))))
        .during("reading the cursor")?;
    let mut all_time = BTreeMap::<SeriesId, Sketch>::new();
    let mut rows: Vec<_> = batch.sketches.iter().collect();
    rows.sort_unstable_by_key(|(series, day, _)| (*day, *series));
    for (series, day, sketch) in rows {
        let bucket = Bucket::day(*day);
        put(transaction, bucket, *series, sketch, batch.cut_at)?;
        if (bucket.number(), series.0) <= cursor {
            all_time.entry(*series).or_default().unite(sketch);
        }
    }
    let running_day = Bucket::day(Day::of(batch.cut_at)).number();
    let mut united = 0;
    {
        let mut select = transaction.prepare_cached(SELECT_TO_UNITE).during("reading ended days")?;
        let limit = if batch.source.is_some() { UNITE_PER_IMPORT } else { UNITE_PER_FLUSH };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows =
            select.query(params![cursor.0, cursor.1, running_day, limit]).during("reading ended days")?;
        while let Some(row) = rows.next().during("reading ended days")? {
            let (bucket, series): (i64, i64) =
                row.get(0).and_then(|bucket| Ok((bucket, row.get(1)?))).during("reading ended days")?;
            let blob = row.get_ref(2).during("reading ended days")?;
            // A damaged sketch costs its own day only: it is found again, and named, by whoever reads that day.
            if let Ok(blob) = blob.as_blob() {
                let _ = all_time.entry(SeriesId(series)).or_default().unite_blob(blob);
            }
            cursor = (bucket, series);
            united += 1;
        }
    }
    for (series, sketch) in &all_time {
        put(transaction, Bucket::ALL_TIME, *series, sketch, batch.cut_at)?;
    }
    if united > 0 {
        transaction
            .prepare_cached(MOVE_CURSOR)
            .and_then(|mut advance| advance.execute(params![cursor.0, cursor.1]))
            .during("moving the cursor")?;
    }
    Ok(())
}

fn put(
    transaction: &Transaction<'_>,
    bucket: Bucket,
    series: SeriesId,
    sketch: &Sketch,
    now: Timestamp,
) -> Result<(), Error> {
    if sketch.is_empty() {
        return Ok(());
    }
    let mut select = transaction.prepare_cached(SELECT_SKETCH).during("reading a sketch")?;
    let mut rows = select.query(params![bucket.number(), series.0]).during("reading a sketch")?;
    let united = match rows.next().during("reading a sketch")? {
        None => None,
        Some(row) => {
            let blob = row.get_ref(0).and_then(|blob| Ok(blob.as_blob()?)).during("reading a sketch")?;
            match Sketch::decode(blob) {
                Ok(mut stored) => {
                    if !stored.unite(sketch) {
                        return Ok(());
                    }
                    Some(stored)
                }
                Err(_) => {
                    transaction
                        .prepare_cached(SET_ASIDE)
                        .and_then(|mut keep| {
                            keep.execute(params![bucket.number(), series.0, now.unix_seconds(), blob])
                        })
                        .during("setting a damaged sketch aside")?;
                    None
                }
            }
        }
    };
    let blob = united.as_ref().unwrap_or(sketch).encode();
    transaction
        .prepare_cached(PUT_SKETCH)
        .and_then(|mut put| put.execute(params![bucket.number(), series.0, blob]))
        .during("writing a sketch")?;
    Ok(())
}
