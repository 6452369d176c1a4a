//! An instant in whole seconds, and its text forms.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, SecondsFormat};
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};

/// Numbers below this are seconds since 1970, numbers from it on are milliseconds.
const MILLISECONDS_FROM: i64 = 100_000_000_000;
/// A leap second is written as second 59 with a fraction of at least this many nanoseconds.
const LEAP_NANOSECONDS: u32 = 1_000_000_000;

/// An instant: whole seconds since 1970-01-01 00:00 UTC, in the years 1970 to 9999.
///
/// ```
/// use headcount::Timestamp;
///
/// let at = Timestamp::parse("2026-11-22T11:00:00+01:00")?;
/// assert_eq!(at.to_string(), "2026-11-22T10:00:00Z");
/// assert_eq!(Timestamp::parse("2016-12-31T23:59:60Z")?, Timestamp::parse("2017-01-01T00:00:00Z")?);
/// # Ok::<(), headcount::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01 00:00 UTC, the earliest instant that events may have.
    pub const EPOCH: Self = Self(0);
    /// 9999-12-31 23:59:59 UTC, the last instant that can be written as four digits of year.
    pub const MAX: Self = Self(253_402_300_799);

    /// The instant that lies `seconds` after 1970-01-01 00:00 UTC; values outside the years 1970 to 9999 are moved to the
    /// nearest end.
    #[must_use]
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        if seconds < Self::EPOCH.0 {
            Self::EPOCH
        } else if seconds > Self::MAX.0 {
            Self::MAX
        } else {
            Self(seconds)
        }
    }

    /// Seconds since 1970-01-01 00:00 UTC.
    #[must_use]
    pub const fn unix_seconds(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339 with an offset (`2026-11-22T10:00:00Z`) or a date (`2026-11-22`, 00:00 UTC). A leap second folds into
    /// the next second, fractions are cut.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] when the text is neither, or lies outside the years 1970 to 9999.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let seconds = match text.len() {
            10 => NaiveDate::parse_from_str(text, "%Y-%m-%d")
                .ok()
                .and_then(|date| date.and_hms_opt(0, 0, 0))
                .map(|midnight| midnight.and_utc().timestamp()),
            _ => plain_seconds(text.as_bytes()).or_else(|| {
                let time = DateTime::parse_from_rfc3339(text).ok()?;
                Some(time.timestamp() + i64::from(time.timestamp_subsec_nanos() >= LEAP_NANOSECONDS))
            }),
        };
        seconds.and_then(Self::checked).ok_or_else(|| {
            Error::new(
                ErrorKind::Usage,
                format!(
                    "`{}` is no time; write a date as 2026-11-22 or a time as 2026-11-22T10:00:00Z, from 1970 on",
                    text.chars().take(64).collect::<String>()
                ),
            )
        })
    }

    /// Reads a number: seconds since 1970 below 10^11, else milliseconds. `None` outside the years 1970 to 9999.
    pub(crate) fn from_number(number: i64) -> Option<Self> {
        Self::checked(if number < MILLISECONDS_FROM { number } else { number.div_euclid(1000) })
    }

    fn checked(seconds: i64) -> Option<Self> {
        (Self::EPOCH.0..=Self::MAX.0).contains(&seconds).then_some(Self(seconds))
    }

    /// The instant `seconds` later, or earlier when negative, held within the years 1970 to 9999.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self::from_unix_seconds(self.0.saturating_add(seconds))
    }

    /// The time from `earlier` to this instant; zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// The seconds of a time as most programs write it, `2026-11-22T10:00:00Z`; `None` for every other form, and for days and
/// hours that are none. A tenth of the general parser's time, which imports spend on each line.
fn plain_seconds(text: &[u8]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2, b'Z'] = text
    else {
        return None;
    };
    let two = |tens: &u8, ones: &u8| {
        let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
        (tens < 10 && ones < 10).then(|| i64::from(tens * 10 + ones))
    };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    let (month, day) = (two(m1, m2)?, two(d1, d2)?);
    let (hour, minute, second) = (two(h1, h2)?, two(n1, n2)?, two(s1, s2)?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap),
        _ => 31,
    };
    let is_time = (1..=12).contains(&month) && (1..=days_in_month).contains(&day) && hour < 24;
    if !is_time || minute > 59 || second > 59 {
        return None;
    }
    // Years that begin in March have the leap day at their end; 719,468 days lie between the year 0 and 1970.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_timestamp(self.0, 0) {
            Some(time) => f.write_str(&time.to_rfc3339_opts(SecondsFormat::Secs, true)),
            None => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_fractions_and_leap_seconds_are_read() {
        let seconds = |text| Timestamp::parse(text).unwrap().unix_seconds();
        assert_eq!(seconds("1970-01-01"), 0);
        assert_eq!(seconds("2026-11-22T10:00:00Z"), 1_795_341_600);
        assert_eq!(seconds("2026-11-22T10:00:00.999Z"), 1_795_341_600);
        assert_eq!(seconds("2026-11-22T05:30:00-04:30"), 1_795_341_600);
        assert_eq!(seconds("2016-12-31T23:59:60Z"), 1_483_228_800);
        assert_eq!(seconds("9999-12-31T23:59:59Z"), Timestamp::MAX.unix_seconds());
    }

    #[test]
    fn the_plain_form_is_read_as_the_general_parser_reads_it() {
        let general = |text: &str| DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp());
        for year in [0, 1, 4, 100, 400, 1969, 1970, 1972, 1999, 2000, 2023, 2024, 2100, 9999] {
            for month in 0..=13 {
                for day in 0..=32 {
                    for time in ["00:00:00", "23:59:59", "24:00:00", "10:60:00", "10:0x:00"] {
                        let text = format!("{year:04}-{month:02}-{day:02}T{time}Z");
                        assert_eq!(plain_seconds(text.as_bytes()), general(&text), "{text}");
                    }
                }
            }
        }
        for text in
            ["2016-12-31T23:59:60Z", "2026-11-22t10:00:00Z", "2026-11-22T10:00:00.5Z", "2026-11-22T10:00Z"]
        {
            assert_eq!(plain_seconds(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026",
            "2026-13-01",
            "2026-02-29",
            "2026-11-22T10:00:00",
            "2026-11-22 25:00:00Z",
            "yesterday",
            "1969-12-31T23:59:59Z",
            "9999-12-31T23:59:60Z",
            "1795341600",
            "2026-11-22T10:00:00+99:00",
        ] {
            assert_eq!(Timestamp::parse(text).unwrap_err().kind(), ErrorKind::Usage, "{text}");
        }
    }

    #[test]
    fn numbers_are_seconds_below_ten_to_the_eleventh_else_milliseconds() {
        assert_eq!(Timestamp::from_number(1_795_341_600), Some(Timestamp(1_795_341_600)));
        assert_eq!(Timestamp::from_number(1_795_341_600_999), Some(Timestamp(1_795_341_600)));
        assert_eq!(Timestamp::from_number(-1), None);
        assert_eq!(Timestamp::from_number(i64::MIN), None);
        assert_eq!(Timestamp::from_number(i64::MAX), None);
    }
}
