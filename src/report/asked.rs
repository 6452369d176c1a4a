//! The series that a question asks for: since when they were recorded, and what of them is lost.

use std::ops::Range;

use crate::error::{Error, ErrorKind};
use crate::storage;
use crate::storage::batch::SeriesId;
use crate::time::bucket::{Bucket, Day, Granularity, HOURS_PER_DAY, Hour};
use crate::time::timestamp::Timestamp;

/// The series of one rule, and the property whose values a per-value rule tells apart.
pub(super) struct Asked {
    pub(super) id: SeriesId,
    pub(super) recorded: Vec<storage::Span>,
    pub(super) damaged: Vec<storage::Damage>,
    pub(super) property: String,
}

impl Asked {
    /// What was set aside cannot be in an answer, which would then be too small.
    pub(super) fn refuse_damaged(&self, bucket: Bucket, which: impl Fn() -> String) -> Result<(), Error> {
        if self.is_lost(bucket) {
            return Err(lost_sketch(self.id, &which(), "it was set aside"));
        }
        Ok(())
    }

    /// What was lost when the store was salvaged would be missing in an answer.
    pub(super) fn refuse_lost(&self, bucket: Bucket) -> Result<(), Error> {
        if !self.is_lost(bucket) {
            return Ok(());
        }
        let when = if bucket == Bucket::ALL_TIME { "all time" } else { "an hour or a day of this time" };
        Err(Error::new(
            ErrorKind::StoreDamaged,
            format!(
                "what series {} had of {when} was lost when the store was salvaged; ask for another time, or restore a backup",
                self.id.0
            ),
        ))
    }

    fn is_lost(&self, bucket: Bucket) -> bool {
        self.damaged.iter().any(|damage| match bucket {
            Bucket::ALL_TIME => !damage.is_united,
            bucket => damage.bucket == bucket.number(),
        })
    }

    /// The days of which something is damaged.
    pub(super) fn damaged_days(&self) -> impl Iterator<Item = u32> {
        self.damaged.iter().filter_map(|damage| day_of(damage.bucket))
    }

    /// Refuses what any of these hours and days has lost.
    pub(super) fn refuse_lost_within(&self, hours: &[Hour], days: &Range<u32>) -> Result<(), Error> {
        if self.damaged.is_empty() {
            return Ok(());
        }
        let of_days = days.clone().map(Day::from_index).map(Bucket::day);
        hours.iter().copied().map(Bucket::hour).chain(of_days).try_for_each(|bucket| self.refuse_lost(bucket))
    }

    /// Whether no program tracked its event and no import had it: alone it has no answer, beside others it makes theirs partial.
    pub(super) fn is_unrecorded(&self) -> bool {
        self.recorded.is_empty()
    }

    /// When it was first recorded.
    pub(super) fn first(&self) -> Timestamp {
        self.recorded.first().map_or(Timestamp::EPOCH, |span| span.since)
    }

    /// Since when it was recorded without a gap until `end`, or if it was not, when the last span before it began.
    pub(super) fn since(&self, end: Timestamp) -> Timestamp {
        let before = self.recorded.iter().rfind(|span| span.since < end);
        before.map_or_else(|| self.first(), |span| span.since)
    }

    /// Whether it was recorded throughout.
    pub(super) fn covers(&self, from: Timestamp, end: Timestamp) -> bool {
        let within = |span: &storage::Span| span.since <= from && span.until.is_none_or(|until| until >= end);
        self.recorded.iter().any(within)
    }
}

/// The day of a bucket; all time has none.
fn day_of(bucket: i64) -> Option<u32> {
    let of = |granularity: Granularity| u32::try_from(bucket - granularity.first().number());
    let last = Day::of(Timestamp::MAX).index();
    let day =
        of(Granularity::Hour).map(|hour| hour / HOURS_PER_DAY).or_else(|_| of(Granularity::Day)).ok()?;
    (day <= last).then_some(day)
}

#[cold]
pub(super) fn lost_sketch(series: SeriesId, which: &str, how: &str) -> Error {
    Error::new(
        ErrorKind::StoreDamaged,
        format!(
            "the sketch {which} of series {} is damaged: {how}; its uniques are lost, totals and other days are not",
            series.0
        ),
    )
}
