//! Counts per value, held against their events and against all time.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::params;

use crate::definition::rule::RuleKind;
use crate::error::Error;
use crate::storage::sqlite::failure::During;
use crate::storage::sqlite::salvage::buckets::Missing;
use crate::storage::sqlite::salvage::mend::{ALL_TIME, Mending};
use crate::storage::sqlite::salvage::{SALVAGING, WRITING};
use crate::time::bucket::{Bucket, Day, Granularity};

/// By how much all time has more than the days: the least and the most of any value.
const VALUES_DIFFER: &str = "SELECT series, min(rest), max(rest) FROM (
     SELECT series, value, sum(CASE WHEN bucket = 0 THEN count ELSE -count END) AS rest FROM per_value GROUP BY series, value)
     GROUP BY series";
/// The days of which the values of a series are as many as its events.
const WHOLE_DAYS: &str = "SELECT bucket FROM (
         SELECT bucket, sum(count) AS events FROM per_value WHERE series = ?1 AND bucket >= ?2 GROUP BY bucket)
     JOIN counts USING (bucket) JOIN series ON series.id = counts.series AND series.key = ?3 AND series.kind = 1
     WHERE events = counts.count";
const ADD_UP_VALUES: &str = "INSERT INTO per_value (bucket, series, value, count)
     SELECT 0, series, value, sum(count) FROM per_value WHERE series = ?1 AND bucket > 0 GROUP BY value
     ON CONFLICT (bucket, series, value) DO UPDATE SET count = max(count, excluded.count)";

impl Mending<'_> {
    /// Values are kept by the day alone, so that only all time can say whether a day is missing.
    pub(super) fn mend_values(&mut self, missing: &Missing) -> Result<(), Error> {
        let mut select = self.store.prepare(VALUES_DIFFER).during(SALVAGING)?;
        let differ: BTreeMap<i64, (i64, i64)> = select
            .query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))
            .and_then(Iterator::collect)
            .during(SALVAGING)?;
        let days = self.days()?;
        let unread = self.unread_days(&days, missing)?;
        let are_all_kept = self.days_from == Day::from_index(0);
        for series in self.places.of_kind(RuleKind::PerValue).map(|series| series.0).collect::<Vec<_>>() {
            let (least, most) = differ.get(&series).copied().unwrap_or_default();
            let all_time_may_miss = missing.may_be(ALL_TIME, series);
            if are_all_kept && (least, most) == (0, 0) && !all_time_may_miss {
                continue;
            }
            // A day is whole where its values add up to what the event has.
            let whole = self.whole_days(series)?;
            let all = days.iter().chain(&unread).map(|day| Bucket::day(*day).number());
            let short: BTreeSet<i64> = all.filter(|day| !whole.contains(day)).collect();
            if short.is_empty() && (least, most) != (0, 0) && !all_time_may_miss && are_all_kept {
                self.lose_values(series, &days)?;
                continue;
            }
            for day in &short {
                self.lose("per_value", series, *day, true)?;
            }
            if all_time_may_miss {
                let rows = self.store.execute(ADD_UP_VALUES, params![series]).during(WRITING)?;
                self.salvage.count_rebuilt("per_value", rows as u64);
                if !short.is_empty() || !are_all_kept {
                    self.lose("per_value", series, ALL_TIME, false)?;
                }
            }
        }
        Ok(())
    }

    fn whole_days(&self, series: i64) -> Result<BTreeSet<i64>, Error> {
        let event = self.places.key(series).unwrap_or_default();
        let mut select = self.store.prepare_cached(WHOLE_DAYS).during(SALVAGING)?;
        select
            .query_map(params![series, Granularity::Day.first().number(), event.split('-').next()], |row| {
                row.get(0)
            })
            .and_then(Iterator::collect)
            .during(SALVAGING)
    }

    /// Notes all that there is of a series.
    fn lose_values(&mut self, series: i64, days: &[Day]) -> Result<(), Error> {
        for day in days {
            self.note(series, Bucket::day(*day).number(), false)?;
        }
        self.note(series, ALL_TIME, false)?;
        let message = "all of it: days and all time say different things, and which is right is not known";
        self.salvage.lose("per_value", self.places.key(series), None, message);
        Ok(())
    }
}
