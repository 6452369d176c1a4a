//! Times and windows in words, UTC.

use crate::{Answer, TimeFrame, TimeRange, Timestamp};

const DAY: i64 = 86_400;
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// 1970-01-01 was a Thursday.
const WEEKDAY_OF_EPOCH: i64 = 3;

/// From when people look, and at when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// This year's dates need no year.
    pub(super) today: Timestamp,
    /// The instant that a question is asked for, often now.
    pub(super) asked: Timestamp,
}

/// The parts of an instant that people read.
struct Parts {
    weekday: &'static str,
    day: String,
    month: &'static str,
    year: String,
    /// Empty at midnight.
    time: String,
}

impl Parts {
    fn of(at: Timestamp) -> Self {
        let text = at.to_string();
        let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        let month = part(5, 7).parse::<usize>().ok().and_then(|month| MONTHS.get(month.wrapping_sub(1)));
        let weekday = (at.unix_seconds().div_euclid(DAY) + WEEKDAY_OF_EPOCH).rem_euclid(7);
        let seconds = part(17, 19);
        let time = match (part(11, 16), seconds) {
            ("00:00", "00") => String::new(),
            (minutes, "00") => format!(" {minutes}"),
            (minutes, seconds) => format!(" {minutes}:{seconds}"),
        };
        Self {
            weekday: usize::try_from(weekday)
                .ok()
                .and_then(|day| WEEKDAYS.get(day))
                .copied()
                .unwrap_or_default(),
            day: part(8, 10).trim_start_matches('0').to_owned(),
            month: month.copied().unwrap_or_default(),
            year: part(0, 4).to_owned(),
            time,
        }
    }
}

/// An instant as `Sun 22 Nov 10:00`, with its year where that is not this year.
pub(super) fn instant(at: Timestamp, now: Moment) -> String {
    let Parts { weekday, day, month, year, time } = Parts::of(at);
    let year = if year == Parts::of(now.today).year { String::new() } else { format!(" {year}") };
    format!("{weekday} {day} {month}{year}{time}")
}

/// The day of an instant, as `Sun 22 Nov`.
pub(super) fn day(at: Timestamp, now: Moment) -> String {
    instant(at.plus_seconds(-at.unix_seconds().rem_euclid(DAY)), now)
}

/// The day of an instant, as `2026-11-22`.
pub(super) fn date(at: Timestamp) -> String {
    at.to_string().chars().take("2026-11-22".len()).collect()
}

/// A range as `Mon 16 - Sun 22 Nov`: whole days by their first and last one, others by their edges.
pub(super) fn range(range: TimeRange, now: Moment) -> String {
    let is_midnight = |at: Timestamp| at.unix_seconds().rem_euclid(DAY) == 0;
    if !is_midnight(range.from()) || !is_midnight(range.to()) {
        return format!("{} - {}", instant(range.from(), now), instant(range.to(), now));
    }
    let last = range.to().plus_seconds(-1);
    let (first_text, last_text) = (day(range.from(), now), day(last, now));
    if first_text == last_text {
        return first_text;
    }
    let (first, last) = (Parts::of(range.from()), Parts::of(last));
    let first = match (first.year == last.year, first.month == last.month) {
        (true, true) => format!("{} {}", first.weekday, first.day),
        (true, false) => format!("{} {} {}", first.weekday, first.day, first.month),
        (false, _) => first_text,
    };
    format!("{first} - {last_text}")
}

/// The days from one instant to another as [`range`] has them.
pub(super) fn days(first: Timestamp, last: Timestamp, now: Moment) -> String {
    let begin = |at: Timestamp| at.plus_seconds(-at.unix_seconds().rem_euclid(DAY));
    TimeRange::new(begin(first), begin(last).plus_seconds(DAY))
        .map_or_else(|_| day(first, now), |days| range(days, now))
}

/// The window of an answer, and whether it is all of it.
pub(super) fn of_answer(answer: &Answer, now: Moment) -> String {
    format!("{}, {}", range(answer.window, now), state(answer, now))
}

/// The window of a metric's answer.
pub(super) fn of_metric(answer: &Answer, time_frame: TimeFrame, now: Moment) -> String {
    match time_frame {
        TimeFrame::All | TimeFrame::None => all_time(answer, now),
        TimeFrame::SevenDays | TimeFrame::TwentyEightDays => of_answer(answer, now),
    }
}

/// What a value is about that has no window.
pub(super) fn all_time(answer: &Answer, now: Moment) -> String {
    let partial = if answer.partial { ", partial: not all of it was recorded" } else { "" };
    format!("all time, since {}{partial}", day(answer.since, now))
}

/// Whether an answer is about all of its window, or why not.
fn state(answer: &Answer, now: Moment) -> String {
    partial(answer, now).unwrap_or_else(|| "complete".to_owned())
}

/// What a reader must know of an answer over a window: that it is not over, that recording began within it.
pub(super) fn partial(answer: &Answer, now: Moment) -> Option<String> {
    answer.partial.then(|| why_partial(answer.window, answer.since, now))
}

/// Why a value is about a part of its window.
fn why_partial(window: TimeRange, since: Timestamp, now: Moment) -> String {
    let is_late = since > window.from();
    // On the first day of the window the hour says why it is not complete.
    let is_same_day = date(since) == date(window.from());
    let since = if is_same_day { instant(since, now) } else { day(since, now) };
    match (is_late, window.to() > now.asked) {
        (true, true) => format!("partial: recorded since {since}, not over"),
        (true, false) => format!("partial: recorded since {since}"),
        (false, true) => "partial: not over".to_owned(),
        (false, false) => "partial: not recorded to its end".to_owned(),
    }
}

/// The window of a metric of a ping whose value is about a part of it.
pub(super) fn of_partial(window: TimeRange, since: Timestamp, now: Moment) -> String {
    format!("{}, {}", range(window, now), why_partial(window, since, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn ranges_are_spelt_with_no_more_than_is_needed() {
        let today = at("2026-11-22T15:00:00Z");
        let now = Moment { today, asked: today };
        for (from, to, words) in [
            ("2026-11-16", "2026-11-23", "Mon 16 - Sun 22 Nov"),
            ("2026-10-26", "2026-11-23", "Mon 26 Oct - Sun 22 Nov"),
            ("2026-11-22", "2026-11-23", "Sun 22 Nov"),
            ("2024-03-04", "2024-03-11", "Mon 4 - Sun 10 Mar 2024"),
            ("2026-12-28", "2027-01-04", "Mon 28 Dec - Sun 3 Jan 2027"),
            ("2025-12-29", "2026-01-05", "Mon 29 Dec 2025 - Sun 4 Jan"),
            ("2026-11-10T14:00:00Z", "2026-11-17T14:00:00Z", "Tue 10 Nov 14:00 - Tue 17 Nov 14:00"),
            ("2026-11-22", "2026-11-22T15:00:00Z", "Sun 22 Nov - Sun 22 Nov 15:00"),
        ] {
            assert_eq!(range(TimeRange::new(at(from), at(to)).unwrap(), now), words);
        }
        assert_eq!(instant(at("1970-01-01T00:00:07Z"), now), "Thu 1 Jan 1970 00:00:07");
    }
}
