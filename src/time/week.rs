//! ISO weeks: Monday to Sunday, numbered by the year of their Thursday.

use std::fmt;

use chrono::{DateTime, Datelike};

use crate::time::bucket::Day;
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
        }
    }
}
