//! Writing sketches: always as a union with what is stored, and into those of all time.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Transaction, params};

use crate::error::Error;
use crate::sketch::Sketch;
use crate::storage::batch::{Batch, SeriesId};
use crate::storage::sqlite::failure::{During, damaged};
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

/// The first row behind the cursor.
const SELECT_APART: &str =
    "SELECT bucket FROM sketches WHERE (bucket, series) > (?1, ?2) ORDER BY bucket, series LIMIT 1";

/// Writes the day sketches of the batch, always as a union with what is stored, so that no peer's register is lost.
///
/// Day rows up to the cursor, in key order, are already in the sketches of all time: a write behind the cursor goes into
/// both, and the cursor then advances over a bounded number of rows of days that have ended. Of days that retention has removed there
/// is all time only.
///
/// A damaged day is set aside and noted, so that answers about it fail instead of being too small; all time fails too, unless
/// the day was united before. A damaged sketch of all time is made again from its days.
pub(crate) fn unite(transaction: &Transaction<'_>, batch: &Batch, days_from: Day) -> Result<(), Error> {
    let now = batch.cut_at;
    let mut all_time = AllTime::begin(transaction, days_from)?;
    let mut rows: Vec<_> = batch.sketches.iter().collect();
    rows.sort_unstable_by_key(|(series, day, _)| (*day, *series));
    for (series, day, sketch) in rows {
        let key = (Bucket::day(*day).number(), series.0);
        let is_kept = *day >= days_from;
        if is_kept && let Stored::Damaged(blob) = put(transaction, key, sketch)? {
            set_aside(transaction, key, now, key <= all_time.cursor, &blob)?;
            write(transaction, key, sketch)?;
        }
        if !is_kept || key <= all_time.cursor {
            all_time.sketches.entry(*series).or_default().unite(sketch);
        }
    }
    let limit = if batch.source.is_some() { UNITE_PER_IMPORT } else { UNITE_PER_FLUSH };
    all_time.unite_ended_days(transaction, now, limit)?;
    all_time.end(transaction, now)
}

/// Unites a bounded number of rows of days that have ended with those of all time; says whether these were all.
pub(crate) fn unite_ended(
    transaction: &Transaction<'_>,
    now: Timestamp,
    days_from: Day,
    limit: usize,
) -> Result<bool, Error> {
    let mut all_time = AllTime::begin(transaction, days_from)?;
    let rows = all_time.unite_ended_days(transaction, now, limit)?;
    all_time.end(transaction, now)?;
    Ok(rows < limit)
}

/// The day of the first sketch that is not in all time yet.
pub(crate) fn first_apart(transaction: &Transaction<'_>) -> Result<Option<Day>, Error> {
    let cursor = cursor(transaction)?;
    let first: Option<i64> = transaction
        .prepare_cached(SELECT_APART)
        .and_then(|mut select| select.query_row(params![cursor.0, cursor.1], |row| row.get(0)).optional())
        .during("reading the first day apart")?;
    let day = first.map(|bucket| u32::try_from(bucket - Granularity::Day.first().number()));
    day.transpose()
        .map(|day| day.map(Day::from_index))
        .map_err(|_| damaged(format_args!("the bucket of a sketch, {}", first.unwrap_or_default())))
}

fn cursor(transaction: &Transaction<'_>) -> Result<(i64, i64), Error> {
    transaction
        .prepare_cached(SELECT_CURSOR)
        .and_then(|mut select| select.query_row([], |row| Ok((row.get(0)?, row.get(1)?))))
        .during("reading the cursor")
}

/// What one transaction adds to the sketches of all time.
struct AllTime {
    began: (i64, i64),
    cursor: (i64, i64),
    /// The first day that is kept.
    days_from: Day,
    sketches: BTreeMap<SeriesId, Sketch>,
}

impl AllTime {
    fn begin(transaction: &Transaction<'_>, days_from: Day) -> Result<Self, Error> {
        let began = cursor(transaction)?;
        Ok(Self { began, cursor: began, days_from, sketches: BTreeMap::new() })
    }

    /// Unites the next rows behind the cursor, and moves it; gives how many.
    fn unite_ended_days(
        &mut self,
        transaction: &Transaction<'_>,
        now: Timestamp,
        limit: usize,
    ) -> Result<usize, Error> {
        let running_day = Bucket::day(Day::of(now)).number();
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let began = self.cursor;
        let mut select = transaction.prepare_cached(SELECT_TO_UNITE).during("reading ended days")?;
        let mut rows =
            select.query(params![began.0, began.1, running_day, most]).during("reading ended days")?;
        let mut united = 0;
        while let Some(row) = rows.next().during("reading ended days")? {
            let key: (i64, i64) =
                row.get(0).and_then(|bucket| Ok((bucket, row.get(1)?))).during("reading ended days")?;
            let blob = row.get_ref(2).and_then(|blob| Ok(blob.as_blob()?)).during("reading ended days")?;
            if self.sketches.entry(SeriesId(key.1)).or_default().unite_blob(blob).is_err() {
                set_aside(transaction, key, now, false, blob)?;
            }
            self.cursor = key;
            united += 1;
        }
        Ok(united)
    }

    fn end(&mut self, transaction: &Transaction<'_>, now: Timestamp) -> Result<(), Error> {
        for (series, sketch) in &mut self.sketches {
            let key = (Bucket::ALL_TIME.number(), series.0);
            if let Stored::Damaged(blob) = put(transaction, key, sketch)? {
                // What removed days had is gone with it.
                let is_whole = self.days_from == Day::from_index(0);
                set_aside(transaction, key, now, is_whole, &blob)?;
                for_each_blob(transaction, *series, |bucket, blob| {
                    if bucket <= self.cursor.0 && sketch.unite_blob(blob).is_err() {
                        set_aside(transaction, (bucket, series.0), now, false, blob)?;
                    }
                    Ok(())
                })?;
                write(transaction, key, sketch)?;
            }
        }
        if self.cursor != self.began {
            transaction
                .prepare_cached(MOVE_CURSOR)
                .and_then(|mut advance| advance.execute(params![self.cursor.0, self.cursor.1]))
                .during("moving the cursor")?;
        }
        Ok(())
    }
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
