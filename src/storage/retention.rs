//! How long buckets are kept, how large the file may be, and which clock says that a bucket is old.

use serde::Serialize;

use crate::error::{Error, ErrorKind};
use crate::time::bucket::{Day, SECONDS_PER_DAY, SECONDS_PER_HOUR};
use crate::time::timestamp::Timestamp;

/// A leap of the clock beyond this may be a fault of it: nothing is removed for it before it is confirmed.
const LEAP_SECONDS: i64 = 36 * SECONDS_PER_HOUR;
/// A leap is confirmed by looks at the clock that lie at least so far apart.
const CONFIRM_AFTER_SECONDS: i64 = SECONDS_PER_HOUR;
/// So many looks confirm it.
const CONFIRMATIONS: u8 = 2;

/// How long a store keeps its buckets, and how large its file may get. Totals, sums and sketches of all time always stay.
///
/// The default keeps everything. What is to go goes in pieces, the oldest first, after flushes and once a minute at the most, and
/// the space goes back to the file system. Removed ranges are [`NotKept`](crate::ErrorKind::NotKept) in answers, never zero. Events that
/// belong to a removed bucket still count in what is kept.
///
/// Age is judged by the store's clock, and a clock that leaps ahead by more than 36 hours is not believed before it was seen three
/// times in two hours: a wrong date does not remove years of history.
///
/// Where a size is given, hours go first, down to the last 9 days, then days, down to the last 35; then the store takes no
/// more, and says that it is full.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// use headcount::{Definitions, EventDefinition, Retention, Store};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("usage.db");
/// let definitions = Definitions::new().event(EventDefinition::new("page_viewed"))?;
/// let retention = Retention::everything().hours_for_days(100).days_for_days(1_200).at_most_bytes(1 << 30);
/// let store = Store::builder(&path).definitions(definitions).retention(retention).open()?;
/// assert_eq!(store.reader().retention()?.retention, retention);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Retention {
    hours_days: Option<u32>,
    days_days: Option<u32>,
    bytes: Option<u64>,
}

impl Retention {
    /// Hours are kept for so many days at the least: live events may be 8 days late.
    pub const SHORTEST_HOURS: u32 = 9;
    /// Days are kept for so many days at the least: four complete weeks, and the one that is running.
    pub const SHORTEST_DAYS: u32 = 35;
    /// A limit of the size is at least so many bytes, 16 MiB.
    pub const SMALLEST_BYTES: u64 = 16 * 1024 * 1024;

    /// Nothing is ever removed.
    #[must_use]
    pub const fn everything() -> Self {
        Self { hours_days: None, days_days: None, bytes: None }
    }

    /// The hours of a day are kept until it lies so many days back; after that its counts and sums are known for the whole day. At least
    /// [`Retention::SHORTEST_HOURS`].
    #[must_use]
    pub const fn hours_for_days(mut self, days: u32) -> Self {
        self.hours_days = Some(days);
        self
    }

    /// A day is kept until it lies so many days back; after that it is in all time only. At least [`Retention::SHORTEST_DAYS`].
    #[must_use]
    pub const fn days_for_days(mut self, days: u32) -> Self {
        self.days_days = Some(days);
        self
    }

    /// The file and its log together stay below this, but for the log of a commit while it runs. At least
    /// [`Retention::SMALLEST_BYTES`].
    #[must_use]
    pub const fn at_most_bytes(mut self, bytes: u64) -> Self {
        self.bytes = Some(bytes);
        self
    }

    /// For how many days hours are kept; `None` for ever.
    #[must_use]
    pub const fn hours(self) -> Option<u32> {
        self.hours_days
    }

    /// For how many days days are kept; `None` for ever.
    #[must_use]
    pub const fn days(self) -> Option<u32> {
        self.days_days
    }

    /// The largest size of the file and its log; `None` without a limit.
    #[must_use]
    pub const fn bytes(self) -> Option<u64> {
        self.bytes
    }

    /// Refuses what would remove what other parts of the store rely on.
    pub(crate) fn check(self) -> Result<(), Error> {
        let too_small = |what: &str, least: u64, unit: &str| {
            Err(Error::new(ErrorKind::Usage, format!("{what} must be at least {least} {unit}")))
        };
        if self.hours_days.is_some_and(|days| days < Self::SHORTEST_HOURS) {
            return too_small("the time for which hours are kept", Self::SHORTEST_HOURS.into(), "days");
        }
        if self.days_days.is_some_and(|days| days < Self::SHORTEST_DAYS) {
            return too_small("the time for which days are kept", Self::SHORTEST_DAYS.into(), "days");
        }
        if self.bytes.is_some_and(|bytes| bytes < Self::SMALLEST_BYTES) {
            return too_small("the size that the store may get", Self::SMALLEST_BYTES, "bytes");
        }
        Ok(())
    }

    /// The first day whose hours are kept, and the first day that is kept, as of `now`.
    pub(crate) fn kept_from(self, now: Timestamp) -> (Day, Day) {
        let from = |days: Option<u32>| {
            days.map_or(Day::from_index(0), |days| {
                Day::of(now.plus_seconds(-i64::from(days).saturating_mul(SECONDS_PER_DAY)))
            })
        };
        let days = from(self.days_days);
        (from(self.hours_days).max(days), days)
    }
}

/// What a store says of its retention.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// # use headcount::{Definitions, EventDefinition, Retention, Store};
/// # let definitions = Definitions::new().event(EventDefinition::new("page_viewed"))?;
/// # let store = Store::builder_in_memory().definitions(definitions).open()?;
/// let retained = store.reader().retention()?;
/// assert_eq!(retained.retention, Retention::everything());
/// assert_eq!((retained.hours_from, retained.days_from, retained.leap), (None, None, None));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct Retained {
    /// What was asked for.
    pub retention: Retention,
    /// Hours before this instant were removed.
    pub hours_from: Option<Timestamp>,
    /// Days before this instant were removed.
    pub days_from: Option<Timestamp>,
    /// Since when the clock shows a time that is not believed yet: nothing is removed for it.
    pub leap: Option<Timestamp>,
}

/// The time up to which the clock is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Trust {
    pub(crate) until: Option<Timestamp>,
    pub(crate) leap: Option<Leap>,
}

/// A time further ahead than the clock was believed to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leap {
    /// The look that confirmed it last, or found it.
    pub(crate) at: Timestamp,
    pub(crate) confirmations: u8,
}

impl Trust {
    /// Looks at the clock; gives the time by which ages may be judged, which is never later than the clock's.
    pub(crate) fn look(&mut self, now: Timestamp) -> Timestamp {
        let ahead = |since: Timestamp| now.unix_seconds() - since.unix_seconds();
        let Some(until) = self.until else {
            self.until = Some(now);
            return now;
        };
        if ahead(until) <= LEAP_SECONDS {
            self.until = Some(until.max(now));
            self.leap = None;
            return now;
        }
        match &mut self.leap {
            Some(leap) if (0..=LEAP_SECONDS).contains(&ahead(leap.at)) => {
                if ahead(leap.at) >= CONFIRM_AFTER_SECONDS {
                    *leap = Leap { at: now, confirmations: leap.confirmations + 1 };
                }
                if leap.confirmations >= CONFIRMATIONS {
                    *self = Self { until: Some(now), leap: None };
                    return now;
                }
            }
            _ => self.leap = Some(Leap { at: now, confirmations: 0 }),
        }
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    const HOUR: i64 = SECONDS_PER_HOUR;

    #[test]
    fn a_clock_that_goes_on_is_believed() {
        let mut trust = Trust::default();
        let start = at("2026-11-22T12:00:00Z");
        for hours in [0, 1, 37, 73, 80] {
            let now = start.plus_seconds(hours * HOUR);
            assert_eq!(trust.look(now), now);
        }
        assert_eq!(trust.leap, None);
    }

    #[test]
    fn a_leap_is_believed_after_two_confirmations_an_hour_apart() {
        let mut trust = Trust::default();
        let before = at("2026-11-22T12:00:00Z");
        trust.look(before);
        let leaped = at("2036-01-01T00:00:00Z");
        for (minutes, believed) in
            [(0, false), (59, false), (60, false), (119, false), (120, true), (121, true)]
        {
            let now = leaped.plus_seconds(minutes * 60);
            assert_eq!(trust.look(now), if believed { now } else { before }, "after {minutes} minutes");
        }
    }

    #[test]
    fn a_leap_that_is_taken_back_removes_nothing() {
        let mut trust = Trust::default();
        let before = at("2026-11-22T12:00:00Z");
        trust.look(before);
        assert_eq!(trust.look(at("2036-01-01T00:00:00Z")), before);
        assert_eq!(trust.look(at("2036-01-01T01:30:00Z")), before);
        let right = before.plus_seconds(2 * HOUR);
        assert_eq!(trust.look(right), right);
        assert_eq!(trust, Trust { until: Some(right), leap: None });
        assert_eq!(trust.look(at("2036-01-01T02:30:00Z")), right, "its confirmations are forgotten");
    }

    #[test]
    fn a_leap_from_a_leap_begins_anew() {
        let mut trust = Trust::default();
        let before = at("2026-11-22T12:00:00Z");
        trust.look(before);
        for year in [2030, 2040, 2035, 2050] {
            for minutes in [0, 61] {
                let now = at(&format!("{year}-01-01T00:00:00Z")).plus_seconds(minutes * 60);
                assert_eq!(trust.look(now), before, "in {year}");
            }
        }
    }

    #[test]
    fn a_clock_that_goes_back_makes_nothing_older() {
        let mut trust = Trust::default();
        trust.look(at("2026-11-22T12:00:00Z"));
        let back = at("2020-01-01T00:00:00Z");
        assert_eq!(trust.look(back), back);
        assert_eq!(trust.until, Some(at("2026-11-22T12:00:00Z")), "and is not needed to come forward again");
    }

    #[test]
    fn ages_are_whole_days_and_no_hour_outlives_its_day() {
        let now = at("2026-11-22T23:59:59Z");
        let from = |retention: Retention| {
            let (hours, days) = retention.kept_from(now);
            (hours.start().to_string(), days.start().to_string())
        };
        let both = Retention::everything().hours_for_days(100).days_for_days(40);
        assert_eq!(from(both), ("2026-10-13T00:00:00Z".to_owned(), "2026-10-13T00:00:00Z".to_owned()));
        let hours = Retention::everything().hours_for_days(9);
        assert_eq!(from(hours), ("2026-11-13T00:00:00Z".to_owned(), "1970-01-01T00:00:00Z".to_owned()));
        let huge = Retention::everything().days_for_days(u32::MAX);
        assert_eq!(from(huge).1, "1970-01-01T00:00:00Z");
    }

    #[test]
    fn a_retention_below_its_floor_is_refused_by_name() {
        let all = Retention::everything();
        for (bad, what) in [
            (all.hours_for_days(8), "9 days"),
            (all.days_for_days(34), "35 days"),
            (all.at_most_bytes(1 << 20), "16777216 bytes"),
        ] {
            assert!(bad.check().unwrap_err().to_string().contains(what));
        }
        assert!(all.hours_for_days(9).days_for_days(35).at_most_bytes(1 << 24).check().is_ok());
    }
}
