//! The two windows of a comparison, and what of them is like the other.

use crate::error::{Error, ErrorKind};
use crate::report::compare::Against;
use crate::report::query::{Query, Span};
use crate::time::bucket::SECONDS_PER_DAY;
use crate::time::range::TimeRange;
use crate::time::timestamp::Timestamp;

/// How many days before both windows show how days differ.
const PAST_DAYS: i64 = 28;

/// The two windows, as far as they are over.
pub(crate) struct Pair {
    pub(crate) before: TimeRange,
    pub(crate) after: TimeRange,
    /// The later window as it was asked for, if it is not over.
    pub(crate) cut_from: Option<TimeRange>,
}

impl Pair {
    /// `now` is the instant that the query asks for, `passed` how far time has got, `known` how far it is recorded.
    pub(crate) fn of(
        query: &Query,
        against: Against,
        step: i64,
        now: Timestamp,
        passed: Timestamp,
        known: Timestamp,
    ) -> Result<Self, Error> {
        let usage = |message: String| Error::new(ErrorKind::Usage, message);
        let (before, after) = match (against, query.span) {
            (_, Span::AllTime) => {
                return Err(usage(
                    "all time has no time before it; ask for a window, such as the last 28 days".to_owned(),
                ));
            }
            (Against::Previous, Span::Range(range)) => (range.from(), range),
            (Against::Previous, Span::LastDays(days)) => {
                let range = TimeRange::last_days(now, days);
                (range.from(), range)
            }
            (Against::Instant(_), Span::Range(_)) => {
                return Err(usage(
                    "around an instant as many days are compared on either side; ask for the last so many days".to_owned(),
                ));
            }
            (Against::Instant(at), Span::LastDays(days)) => {
                let floor = floor(at, step);
                let from = if floor == at { at } else { floor.plus_seconds(step) };
                (floor, TimeRange::clamped(from, from.plus_seconds(i64::from(days) * SECONDS_PER_DAY)))
            }
        };
        let seconds = |range: TimeRange| range.to().unix_seconds() - range.from().unix_seconds();
        let length = seconds(after);
        if query.span == Span::LastDays(0) {
            return Err(usage("the last 0 days are no time; ask for at least one".to_owned()));
        }
        if before.unix_seconds() < length {
            return Err(usage(format!(
                "there is no time before {after} of the same length; it would begin before 1970"
            )));
        }
        let mut over = after.to().min(floor(passed, step));
        // Of a running window what came after the last import is not known either; a window that is over is not shortened.
        if over < after.to() && floor(known, step) > after.from() {
            over = over.min(floor(known, step));
        }
        if over <= after.from() {
            return Err(usage(format!(
                "nothing of {after} is over yet; ask for more days, or for a time that is over"
            )));
        }
        let passed = over.unix_seconds() - after.from().unix_seconds();
        // Between the two lies what the instant falls into. A window that is cut has room to begin whole days before the other.
        let between = after.from().unix_seconds() - before.unix_seconds();
        let before = if passed + between <= length { after.from() } else { before }.plus_seconds(-length);
        Ok(Self {
            before: TimeRange::clamped(before, before.plus_seconds(passed)),
            after: TimeRange::clamped(after.from(), over),
            cut_from: (passed < length).then_some(after),
        })
    }

    /// The length of what is compared, in seconds.
    pub(crate) fn seconds(&self) -> i64 {
        self.after.to().unix_seconds() - self.after.from().unix_seconds()
    }

    /// Both windows cut into steps of equal length from their beginnings, so that like stands beside like.
    pub(crate) fn steps(&self, step: i64) -> Vec<(TimeRange, TimeRange)> {
        let piece = |range: TimeRange, number: i64| {
            let from = range.from().plus_seconds(number * step);
            TimeRange::clamped(from, from.plus_seconds(step))
        };
        (0..self.seconds() / step)
            .map(|number| (piece(self.before, number), piece(self.after, number)))
            .collect()
    }

    /// The days before both windows, the latest first, as many hours of each as the windows have, and beside each the one as far
    /// before it as the windows lie apart.
    pub(crate) fn past(&self) -> Vec<(TimeRange, TimeRange)> {
        let apart = self.after.from().unix_seconds() - self.before.from().unix_seconds();
        let days_apart = (apart / SECONDS_PER_DAY).max(1);
        let length = self.seconds().min(SECONDS_PER_DAY);
        let room = self.before.from().unix_seconds() / SECONDS_PER_DAY - days_apart;
        let day = |number: i64| {
            let from = self.before.from().plus_seconds(-number * SECONDS_PER_DAY);
            TimeRange::clamped(from, from.plus_seconds(length))
        };
        (1..=PAST_DAYS.min(room)).map(|number| (day(number + days_apart), day(number))).collect()
    }
}

fn floor(at: Timestamp, step: i64) -> Timestamp {
    at.plus_seconds(-at.unix_seconds().rem_euclid(step))
}
