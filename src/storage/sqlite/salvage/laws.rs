//! What the series of one event say about each other: where one has more than there were events, both are refused.

use rusqlite::params;

use crate::error::Error;
use crate::storage::sqlite::failure::During;
use crate::storage::sqlite::salvage::SALVAGING;
use crate::storage::sqlite::salvage::mend::Mending;
use crate::time::bucket::{Granularity, HOURS_PER_DAY};

/// A page that stands for another one may be sound in itself: then all rows of a table are gone, and nothing could not be read.
const EXCEEDING: &str = "WITH total AS (SELECT id, key FROM series WHERE kind = 1 AND instr(key, '-') = 0),
     part AS (SELECT series.id AS part, total.id AS total FROM series JOIN total
         ON instr(series.key, '-') > 0 AND substr(series.key, 1, instr(series.key, '-') - 1) = total.key),
     part_of_day AS (
         SELECT bucket, series, sum(count) AS events FROM per_value WHERE bucket >= ?1 GROUP BY bucket, series
         UNION ALL SELECT bucket, series, count FROM counts WHERE bucket >= ?1
         UNION ALL SELECT bucket, series, 1 FROM sketches WHERE bucket >= ?1)
     SELECT total, part, part_of_day.bucket FROM part_of_day JOIN part ON part.part = part_of_day.series
         LEFT JOIN counts ON counts.bucket = part_of_day.bucket AND counts.series = total
     WHERE events > coalesce(counts.count, 0)
         AND NOT EXISTS (SELECT 1 FROM damaged WHERE damaged.bucket = part_of_day.bucket AND damaged.series IN (total, part))";

/// Notes the days on which a part of an event has more than the event, and what depends on them.
pub(super) fn refuse_exceeding(mending: &mut Mending<'_>) -> Result<(), Error> {
    let mut select = mending.store.prepare(EXCEEDING).during(SALVAGING)?;
    let exceeding: Vec<(i64, i64, i64)> = select
        .query_map(params![Granularity::Day.first().number()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .and_then(Iterator::collect)
        .during(SALVAGING)?;
    for (total, part, day) in exceeding {
        for series in [total, part] {
            let first = (day - Granularity::Day.first().number()) * i64::from(HOURS_PER_DAY);
            for hour in 0..i64::from(HOURS_PER_DAY) {
                mending.note(series, Granularity::Hour.first().number() + first + hour, false)?;
            }
            mending.lose("counts", series, day, false)?;
            mending.unsure.insert(series);
        }
    }
    Ok(())
}
