//! ISO weeks: Monday to Sunday, numbered by the year of their Thursday.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, Weekday};

use crate::error::{Error, ErrorKind};
use crate::time::bucket::{Bucket, Day};
use crate::time::range::TimeRange;
use crate::time::timestamp::Timestamp;

const DAYS_PER_WEEK: u32 = 7;
/// 1970-01-01 was a Thursday: three days after the Monday of its week.
const EPOCH_WEEKDAY: u32 = 3;

/// An ISO week.
///
/// ```
/// use headcount::{IsoWeek, Timestamp};
///
/// let week = IsoWeek::of(Timestamp::parse("2026-12-31")?);
/// assert_eq!(week.to_string(), "2026-W53");
/// assert_eq!(week.range().to_string(), "2026-12-28..2027-01-04");
/// # Ok::<(), headcount::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IsoWeek(u32);

impl IsoWeek {
    /// The week that `at` lies in.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        Self((Day::of(at).index() + EPOCH_WEEKDAY) / DAYS_PER_WEEK)
    }

    /// Reads a week as it is written, `2026-W53`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for another text, for a week that its year does not have, and for weeks before 1970-W02.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let monday = || {
            let (year, week) = text.split_once("-W")?;
            let is_plain = |digits: &str, count| {
                digits.len() == count && digits.bytes().all(|digit| digit.is_ascii_digit())
            };
            if !is_plain(year, 4) || !is_plain(week, 2) {
                return None;
            }
            let monday = NaiveDate::from_isoywd_opt(year.parse().ok()?, week.parse().ok()?, Weekday::Mon)?;
            let seconds = monday.and_hms_opt(0, 0, 0)?.and_utc().timestamp();
            (seconds >= 0).then(|| Timestamp::from_unix_seconds(seconds))
        };
        monday().map(Self::of).ok_or_else(|| {
            Error::new(ErrorKind::Usage, format!("`{text}` is no ISO week; write one as 2026-W47"))
        })
    }

    pub(crate) const fn from_index(index: u32) -> Self {
        Self(index)
    }

    /// The week as the store writes it.
    pub(crate) fn bucket(self) -> Bucket {
        Bucket::week(self.0)
    }

    /// The days of the week.
    pub(crate) fn days(self) -> std::ops::Range<Day> {
        Day::of(self.start())..Day::of(self.next().start())
    }

    /// The number of weeks since that of 1970-01-01.
    pub(crate) const fn index(self) -> u32 {
        self.0
    }

    /// The week `weeks` before this one; the first week of 1970 at the earliest.
    #[must_use]
    pub fn minus(self, weeks: u32) -> Self {
        Self(self.0.saturating_sub(weeks))
    }

    /// The week after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Monday 00:00 UTC of this week; 1970-01-01 for the first, which began before.
    #[must_use]
    pub fn start(self) -> Timestamp {
        Day::from_index((self.0 * DAYS_PER_WEEK).saturating_sub(EPOCH_WEEKDAY)).start()
    }

    /// From this week's Monday to the next one.
    #[must_use]
    pub fn range(self) -> TimeRange {
        TimeRange::clamped(self.start(), self.next().start())
    }
}

impl fmt::Display for IsoWeek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_timestamp(self.start().unix_seconds(), 0) {
            Some(monday) => {
                let week = monday.iso_week();
                write!(f, "{}-W{:02}", week.year(), week.week())
            }
            None => write!(f, "week {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_four_centuries_lies_in_the_week_that_the_calendar_says() {
        let first = Day::of(Timestamp::parse("1970-01-01").unwrap()).index();
        for index in first..first + 146_097 {
            let at = Day::from_index(index).start();
            let calendar = DateTime::from_timestamp(at.unix_seconds(), 0).unwrap().iso_week();
            let week = IsoWeek::of(at);
            assert_eq!(week.to_string(), format!("{}-W{:02}", calendar.year(), calendar.week()));
            assert!(week.start() <= at && at < week.next().start());
            if week > IsoWeek(0) {
                assert_eq!(IsoWeek::parse(&week.to_string()).unwrap(), week);
            }
        }
    }

    #[test]
    fn texts_that_are_no_week_are_refused() {
        for text in [
            "", "2026", "2026-47", "2026-W54", "2025-W53", "2026-W00", "2026-W7", "26-W07", "2026-w07",
            "1969-W20", "2026-W+7",
        ] {
            assert!(IsoWeek::parse(text).is_err(), "{text}");
        }
    }
}
