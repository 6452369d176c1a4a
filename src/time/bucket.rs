//! Buckets: intervals of UTC time, as the store numbers them.

use crate::time::timestamp::Timestamp;

pub(crate) const SECONDS_PER_HOUR: i64 = 3_600;
pub(crate) const SECONDS_PER_DAY: i64 = 86_400;
pub(crate) const HOURS_PER_DAY: u32 = 24;
const GRANULARITY_SHIFT: u32 = 40;

/// The number of an hour since 1970-01-01 00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Hour(u32);

/// The number of a day since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Day(u32);

impl Hour {
    /// The hour that `at` lies in.
    #[inline]
    pub(crate) fn of(at: Timestamp) -> Self {
        // Timestamps end in the year 9999, so the quotient is below 2^27.
        Self(u32::try_from(at.unix_seconds() / SECONDS_PER_HOUR).unwrap_or(u32::MAX))
    }

    #[inline]
    pub(crate) fn from_index(index: u32) -> Self {
        Self(index)
    }

    #[inline]
    pub(crate) fn index(self) -> u32 {
        self.0
    }

    #[inline]
    pub(crate) fn day(self) -> Day {
        Day(self.0 / HOURS_PER_DAY)
    }

    pub(crate) fn start(self) -> Timestamp {
        Timestamp::from_unix_seconds(i64::from(self.0) * SECONDS_PER_HOUR)
    }
}

impl Day {
    /// The day that `at` lies in.
    pub(crate) fn of(at: Timestamp) -> Self {
        Hour::of(at).day()
    }

    #[inline]
    pub(crate) fn from_index(index: u32) -> Self {
        Self(index)
    }

    #[inline]
    pub(crate) fn index(self) -> u32 {
        self.0
    }

    /// Its first hour; of days after the calendar's end the last one that there is.
    pub(crate) fn first_hour(self) -> Hour {
        Hour(self.0.saturating_mul(HOURS_PER_DAY))
    }

    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    pub(crate) fn start(self) -> Timestamp {
        Timestamp::from_unix_seconds(i64::from(self.0) * SECONDS_PER_DAY)
    }
}

/// A bucket as the store writes it: `granularity << 40 | index`.
///
/// Weeks (`floor((day + 3) / 7)`) are those that arrived as such; headcount's own are unions and sums of days. 4 is reserved for months
/// (`(year - 1970) * 12 + month - 1`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Bucket(i64);

/// How long the buckets of one kind are; the discriminants are part of the file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i64)]
pub(crate) enum Granularity {
    AllTime = 0,
    Hour = 1,
    Day = 2,
    Week = 3,
}

impl Granularity {
    /// The first number that a bucket of this granularity can have.
    pub(crate) const fn first(self) -> Bucket {
        Bucket((self as i64) << GRANULARITY_SHIFT)
    }

    /// The first number after those that a bucket of this granularity can have.
    pub(crate) const fn end(self) -> Bucket {
        Bucket((self as i64 + 1) << GRANULARITY_SHIFT)
    }
}

impl Bucket {
    pub(crate) const ALL_TIME: Self = Granularity::AllTime.first();

    pub(crate) fn hour(hour: Hour) -> Self {
        Self(Granularity::Hour.first().0 | i64::from(hour.0))
    }

    pub(crate) fn day(day: Day) -> Self {
        Self(Granularity::Day.first().0 | i64::from(day.0))
    }

    /// The week of this number since that of 1970-01-01.
    pub(crate) fn week(index: u32) -> Self {
        Self(Granularity::Week.first().0 | i64::from(index))
    }

    /// The bucket after it, or where the next granularity begins.
    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The number that stands in the file.
    pub(crate) const fn number(self) -> i64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_sort_by_granularity_then_time() {
        let at = Timestamp::parse("2026-11-22T10:59:59Z").unwrap();
        let hour = Bucket::hour(Hour::of(at));
        let day = Bucket::day(Day::of(at));
        assert_eq!(hour.number(), (1 << 40) | 498_706);
        assert_eq!(day.number(), (2 << 40) | 20_779);
        assert!(Bucket::ALL_TIME < hour && hour < day);
        assert!(Granularity::Day.first() <= day && day < Granularity::Day.end());
    }
}
