//! When a ping is due: once a week, at a minute that an installation's uuid decides.

use sha2::{Digest, Sha256};

use crate::time::timestamp::Timestamp;
use crate::time::week::IsoWeek;

const DAYS_PER_WEEK: u32 = 7;
const HOURS_PER_DAY: u32 = 24;
const MINUTES_PER_HOUR: u32 = 60;
const SECONDS_PER_MINUTE: i64 = 60;
const SECONDS_PER_HOUR: i64 = 3_600;
const SECONDS_PER_DAY: i64 = 86_400;

/// The minute of the week at which an installation's ping is due, so that not all of them send at once.
///
/// GitLab's formula: the SHA-256 of the uuid, as a number, modulo 7 is the day, 0 being Sunday; that of the uuid with `hour` behind it
/// modulo 24 the hour, and that with `minute` behind it modulo 60 the minute; all UTC.
///
/// ```
/// use headcount::PingSchedule;
///
/// let schedule = PingSchedule::of("d9e2f4e8-db1f-4e51-b03d-f427e1965c4a");
/// assert_eq!(schedule.cron(), "44 10 * * 4");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PingSchedule {
    /// 0 is Sunday.
    day_of_week: u32,
    hour: u32,
    minute: u32,
}

impl PingSchedule {
    /// That of the installation with this uuid.
    #[must_use]
    pub fn of(uuid: &str) -> Self {
        let number = |suffix: &str, modulus| remainder(&[uuid, suffix].concat(), modulus);
        Self {
            day_of_week: number("", DAYS_PER_WEEK),
            hour: number("hour", HOURS_PER_DAY),
            minute: number("minute", MINUTES_PER_HOUR),
        }
    }

    /// As cron writes it; its zone must be UTC.
    #[must_use]
    pub fn cron(self) -> String {
        format!("{} {} * * {}", self.minute, self.hour, self.day_of_week)
    }

    /// The minute of this ISO week, which begins on Monday.
    #[must_use]
    pub fn in_week(self, week: IsoWeek) -> Timestamp {
        // Counted from the end: the first week, that of 1970-01-01, has no Monday.
        let days =
            i64::from((self.day_of_week + DAYS_PER_WEEK - 1) % DAYS_PER_WEEK) - i64::from(DAYS_PER_WEEK);
        let seconds = days * SECONDS_PER_DAY
            + i64::from(self.hour) * SECONDS_PER_HOUR
            + i64::from(self.minute) * SECONDS_PER_MINUTE;
        week.next().start().plus_seconds(seconds)
    }

    /// The week whose ping was due last: its minute has come, and that of the next week has not.
    #[must_use]
    pub fn due(self, now: Timestamp) -> IsoWeek {
        let week = IsoWeek::of(now);
        if self.in_week(week) <= now { week } else { week.minus(1) }
    }

    /// When the next ping is due.
    #[must_use]
    pub fn next(self, now: Timestamp) -> Timestamp {
        self.in_week(self.due(now).next())
    }
}

/// The SHA-256 of a text, as a number with its first byte the highest, modulo a small number.
fn remainder(text: &str, modulus: u32) -> u32 {
    Sha256::digest(text).iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % modulus)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As crontab(5) reads the five fields.
    fn matches(cron: &str, at: Timestamp) -> bool {
        let fields: Vec<i64> = cron.split(' ').filter_map(|field| field.parse().ok()).collect();
        let minutes = at.unix_seconds() / 60;
        // 1970-01-01 was a Thursday.
        fields == [minutes % 60, minutes / 60 % 24, (minutes / 1_440 + 4) % 7]
    }

    #[test]
    fn each_week_has_one_minute_which_is_that_of_cron() {
        for number in 0..200 {
            let schedule = PingSchedule::of(&format!("uuid-{number}"));
            let mut at = Timestamp::parse("2026-12-21T00:00:30Z").unwrap();
            for _ in 0..4 {
                let next = schedule.next(at);
                assert!(next > at && next <= at.plus_seconds(7 * SECONDS_PER_DAY));
                assert!(matches(&schedule.cron(), next), "{next} is not {}", schedule.cron());
                assert_eq!(schedule.due(next), IsoWeek::of(next));
                assert_eq!(schedule.due(next.plus_seconds(-1)), IsoWeek::of(next).minus(1));
                at = next;
            }
        }
    }

    #[test]
    fn minutes_are_spread_over_the_week() {
        let mut days = [0_u32; 7];
        for number in 0..7_000 {
            let week = IsoWeek::of(Timestamp::parse("2026-11-23").unwrap());
            let at = PingSchedule::of(&format!("uuid-{number}")).in_week(week);
            days[usize::try_from(at.since(week.start()).as_secs() / 86_400).unwrap()] += 1;
        }
        assert!(days.iter().all(|count| (850..1_150).contains(count)), "{days:?}");
    }
}
