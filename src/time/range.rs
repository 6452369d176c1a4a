//! Ranges of time, the windows of metrics, and cutting a range into units.

use std::fmt;

use chrono::{DateTime, Datelike, Months, NaiveDate};

use crate::error::{Error, ErrorKind};
use crate::time::bucket::{Day, Hour, SECONDS_PER_DAY, SECONDS_PER_HOUR};
use crate::time::timestamp::Timestamp;
use crate::time::week::IsoWeek;

/// A range of time: `from` belongs to it, `to` does not.
///
/// ```
/// use headcount::{TimeRange, Timestamp};
///
/// let november = TimeRange::new(Timestamp::parse("2026-11-01")?, Timestamp::parse("2026-12-01")?)?;
/// assert_eq!(november.to_string(), "2026-11-01..2026-12-01");
/// # Ok::<(), headcount::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeRange {
    from: Timestamp,
    to: Timestamp,
}

/// The steps of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unit {
    /// Hours; for totals and sums only.
    Hour,
    /// UTC days.
    Day,
    /// ISO weeks, Monday to Sunday.
    Week,
    /// Calendar months.
    Month,
}

/// Which weeks or days the `7d` and `28d` of a metric mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Window {
    /// GitLab's: the last complete ISO week, the last four.
    #[default]
    Complete,
    /// The last 7 or 28 whole UTC days, ending with the running one (partial).
    Rolling,
    /// The running ISO week (partial), for `28d` with the three before it.
    Current,
}

impl TimeRange {
    /// The range from `from` (inside) to `to` (outside).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] when `to` is not after `from`.
    pub fn new(from: Timestamp, to: Timestamp) -> Result<Self, Error> {
        if from < to {
            Ok(Self { from, to })
        } else {
            Err(Error::new(
                ErrorKind::Usage,
                format!("the range from {from} to {to} is empty; its end must lie after its start"),
            ))
        }
    }

    pub(crate) fn clamped(from: Timestamp, to: Timestamp) -> Self {
        Self { from, to: to.max(from) }
    }

    /// The first instant of the range.
    #[must_use]
    pub fn from(self) -> Timestamp {
        self.from
    }

    /// The first instant after the range.
    #[must_use]
    pub fn to(self) -> Timestamp {
        self.to
    }

    /// The last `days` UTC days, ending with the one that `now` lies in.
    #[must_use]
    pub fn last_days(now: Timestamp, days: u32) -> Self {
        let end = Day::of(now).start().plus_seconds(SECONDS_PER_DAY);
        Self::clamped(end.plus_seconds(-SECONDS_PER_DAY * i64::from(days)), end)
    }

    /// The last `weeks` complete ISO weeks before the one that `now` lies in.
    #[must_use]
    pub fn complete_weeks(now: Timestamp, weeks: u32) -> Self {
        let running = IsoWeek::of(now);
        Self::clamped(running.minus(weeks).start(), running.start())
    }

    /// The ISO week that `now` lies in and the `weeks - 1` before it.
    #[must_use]
    pub fn current_weeks(now: Timestamp, weeks: u32) -> Self {
        let running = IsoWeek::of(now);
        Self::clamped(running.minus(weeks.saturating_sub(1)).start(), running.next().start())
    }

    /// Whether both edges lie on `unit`'s edges; weeks and months are whole days.
    pub(crate) fn is_whole(self, seconds: i64) -> bool {
        let whole = |at: Timestamp| at.unix_seconds() % seconds == 0 || at == Timestamp::MAX;
        whole(self.from) && whole(self.to)
    }

    /// Whether both edges are full hours.
    pub(crate) fn is_whole_hours(self) -> bool {
        self.is_whole(SECONDS_PER_HOUR)
    }

    /// Whether both edges are midnights.
    pub(crate) fn is_whole_days(self) -> bool {
        self.is_whole(SECONDS_PER_DAY)
    }

    /// The whole days of the range, and the hours before and after them. Edges must be full hours.
    pub(crate) fn hours_and_days(self) -> (Vec<Hour>, std::ops::Range<u32>) {
        let hours = Hour::of(self.from).index()..ceil_index(self.to, SECONDS_PER_HOUR);
        let days = ceil_index(self.from, SECONDS_PER_DAY)..Day::of(self.to).index();
        if days.start >= days.end {
            return (hours.map(Hour::from_index).collect(), 0..0);
        }
        let head = hours.start..Day::from_index(days.start).first_hour().index();
        let tail = Day::from_index(days.end).first_hour().index()..hours.end;
        (head.chain(tail).map(Hour::from_index).collect(), days)
    }

    /// Cuts the range at the edges of `unit`; the first and the last piece may be shorter than one.
    pub(crate) fn pieces(self, unit: Unit) -> Vec<Self> {
        let mut pieces = Vec::new();
        let mut from = self.from;
        while from < self.to {
            let next = next_edge(from, unit);
            // The calendar ends in the year 9999: there the rest is one piece.
            let to = if next > from { next.min(self.to) } else { self.to };
            pieces.push(Self { from, to });
            from = to;
        }
        pieces
    }

    /// How many pieces [`TimeRange::pieces`] gives, at most one too many, without making them.
    pub(crate) fn piece_count(self, unit: Unit) -> i64 {
        let seconds = match unit {
            Unit::Hour => SECONDS_PER_HOUR,
            Unit::Day => SECONDS_PER_DAY,
            Unit::Week => 7 * SECONDS_PER_DAY,
            Unit::Month => 28 * SECONDS_PER_DAY,
        };
        (self.to.unix_seconds() - self.from.unix_seconds()) / seconds + 2
    }
}

fn ceil_index(at: Timestamp, seconds: i64) -> u32 {
    let at = at.unix_seconds();
    u32::try_from(at / seconds + i64::from(at % seconds != 0)).unwrap_or(u32::MAX)
}

fn next_edge(at: Timestamp, unit: Unit) -> Timestamp {
    match unit {
        Unit::Hour => Hour::of(at).start().plus_seconds(SECONDS_PER_HOUR),
        Unit::Day => Day::of(at).start().plus_seconds(SECONDS_PER_DAY),
        Unit::Week => IsoWeek::of(at).next().start(),
        Unit::Month => DateTime::from_timestamp(at.unix_seconds(), 0)
            .and_then(|time| NaiveDate::from_ymd_opt(time.year(), time.month(), 1))
            .and_then(|first| first.checked_add_months(Months::new(1)))
            .and_then(|next| next.and_hms_opt(0, 0, 0))
            .map_or(Timestamp::MAX, |midnight| Timestamp::from_unix_seconds(midnight.and_utc().timestamp())),
    }
}

impl fmt::Display for TimeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (self.from.to_string(), self.to.to_string());
        match (from.strip_suffix("T00:00:00Z"), to.strip_suffix("T00:00:00Z")) {
            (Some(from), Some(to)) => write!(f, "{from}..{to}"),
            _ => write!(f, "{from}..{to}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn complete_weeks_follow_the_calendar_of_the_original() {
        for (today, week, first_of_four) in [
            ("2024-05-13", "2024-W19", "2024-W16"),
            ("2024-05-19", "2024-W19", "2024-W16"),
            ("2024-12-30", "2024-W52", "2024-W49"),
            ("2025-01-05", "2024-W52", "2024-W49"),
            ("2021-01-03", "2020-W52", "2020-W49"),
            ("2026-01-01", "2025-W52", "2025-W49"),
            ("2026-12-31", "2026-W52", "2026-W49"),
        ] {
            let one = TimeRange::complete_weeks(at(today), 1);
            let four = TimeRange::complete_weeks(at(today), 4);
            assert_eq!(IsoWeek::of(one.from()).to_string(), week, "{today}");
            assert_eq!(one.to(), IsoWeek::of(at(today)).start());
            assert_eq!(IsoWeek::of(four.from()).to_string(), first_of_four, "{today}");
            assert_eq!(four.to(), one.to());
        }
    }

    #[test]
    fn pieces_tile_the_range_at_calendar_edges() {
        let range = TimeRange::new(at("2026-12-30T05:00:00Z"), at("2027-03-02")).unwrap();
        for (unit, count) in [(Unit::Hour, 62 * 24 - 5), (Unit::Day, 62), (Unit::Week, 10), (Unit::Month, 4)]
        {
            let pieces = range.pieces(unit);
            assert_eq!(pieces.len(), count, "{unit:?}");
            assert!(i64::try_from(pieces.len()).unwrap() <= range.piece_count(unit));
            assert_eq!(pieces.first().unwrap().from(), range.from());
            assert_eq!(pieces.last().unwrap().to(), range.to());
            assert!(pieces.windows(2).all(|pair| pair[0].to() == pair[1].from()));
        }
        assert_eq!(range.pieces(Unit::Month)[1].to_string(), "2027-01-01..2027-02-01");
        let end = TimeRange::clamped(at("9999-12-30"), Timestamp::MAX);
        assert_eq!(end.pieces(Unit::Month).len(), 1);
    }

    #[test]
    fn a_range_is_its_whole_days_and_the_hours_around_them() {
        let range = TimeRange::new(at("2026-11-20T22:00:00Z"), at("2026-11-23T03:00:00Z")).unwrap();
        let (hours, days) = range.hours_and_days();
        assert_eq!(hours.len(), 2 + 3);
        assert_eq!(days.len(), 2);
        let short = TimeRange::new(at("2026-11-20T22:00:00Z"), at("2026-11-21T03:00:00Z")).unwrap();
        assert_eq!(short.hours_and_days().0.len(), 5);
        assert!(short.hours_and_days().1.is_empty());
        let day = TimeRange::new(at("2026-11-20"), at("2026-11-21")).unwrap();
        assert_eq!((day.hours_and_days().0.len(), day.hours_and_days().1.len()), (0, 1));
    }
}
