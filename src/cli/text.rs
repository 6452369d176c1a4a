//! Text for people: numbers, times, tables.

use std::fmt::Write;

use crate::{Answer, TimeRange, Timestamp, Value};

/// What a sign in a text means, where it was used.
pub(super) const LEGEND: &str = "± is one standard error";
/// Longer names are cut in tables.
const MAX_NAME_CHARS: usize = 60;
/// From here on a double has no digits behind the decimal point worth reading, and too many before it.
const PLAIN_BELOW: f64 = 1e15;

/// A whole number with thousands separators.
pub(super) fn count(number: u64) -> String {
    group(&number.to_string())
}

/// A number with thousands separators.
pub(super) fn number(number: f64) -> String {
    if number.abs() >= PLAIN_BELOW {
        return format!("{number:e}");
    }
    let text = number.to_string();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    match digits.split_once('.') {
        None => format!("{sign}{}", group(digits)),
        Some((whole, fraction)) => format!("{sign}{}.{fraction}", group(whole)),
    }
}

fn group(digits: &str) -> String {
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// One thing or several.
pub(super) fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// The value of an answer with its standard error, where that does not round to nothing.
pub(super) fn value(answer: &Answer) -> String {
    match &answer.value {
        Value::Sum { sum, saturated } => format!("{}{}", if *saturated { "≥" } else { "" }, number(*sum)),
        Value::PerValue(properties) => count(
            properties
                .values()
                .flat_map(|values| values.values())
                .fold(0, |sum, count| sum.saturating_add(*count)),
        ),
        value => {
            let counted = count(value.count().unwrap_or_default());
            match answer.standard_error.round() {
                error if error < 1.0 => counted,
                error => format!("{counted} ±{}", number(error)),
            }
        }
    }
}

/// An instant: a date, if it is the first of its day.
pub(super) fn time(at: Timestamp) -> String {
    let text = at.to_string();
    match text.strip_suffix("T00:00:00Z") {
        Some(date) => date.to_owned(),
        None => text,
    }
}

/// The day of an instant.
pub(super) fn day(at: Timestamp) -> String {
    at.to_string().chars().take("2026-11-22".len()).collect()
}

/// A range, whose end does not belong to it.
pub(super) fn range(range: TimeRange) -> String {
    format!("{} until {}", time(range.from()), time(range.to()))
}

/// What a reader must know of an answer over a window: that it is not over, that recording began within it.
pub(super) fn partial(answer: &Answer, now: Timestamp) -> Option<String> {
    if !answer.partial {
        return None;
    }
    let is_late = answer.since > answer.window.from();
    // On the first day of the window the hour says why it is not complete.
    let is_same_day = day(answer.since) == day(answer.window.from());
    let since = if is_same_day { time(answer.since) } else { day(answer.since) };
    Some(match (is_late, answer.window.to() > now) {
        (true, true) => format!("partial: recorded since {since}, not over"),
        (true, false) => format!("partial: recorded since {since}"),
        (false, true) => "partial: not over".to_owned(),
        (false, false) => "partial: not recorded to its end".to_owned(),
    })
}

/// A name from outside, of one line and without control characters: it must not be able to steer a terminal.
pub(super) fn name(name: &str) -> String {
    let mut safe = String::with_capacity(name.len());
    for (position, character) in name.chars().enumerate() {
        if position == MAX_NAME_CHARS {
            safe.push('…');
            break;
        }
        match character {
            '"' | '\'' | '\\' => safe.push(character),
            _ => safe.extend(character.escape_debug()),
        }
    }
    safe
}

/// Where the text of a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// Rows of texts in aligned columns.
#[derive(Debug)]
pub(super) struct Table {
    aligns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(aligns: &[Align]) -> Self {
        Self { aligns: aligns.to_vec(), rows: Vec::new() }
    }

    pub(super) fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The rows, one a line, each behind `indent`.
    pub(super) fn render(&self, indent: &str) -> String {
        let mut widths = vec![0; self.aligns.len()];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        let mut text = String::new();
        for row in &self.rows {
            let mut line = indent.to_owned();
            for ((cell, &width), align) in row.iter().zip(&widths).zip(&self.aligns) {
                // Writing to a String cannot fail.
                let _ = match align {
                    Align::Left => write!(line, "{cell:<width$}  "),
                    Align::Right => write!(line, "{cell:>width$}  "),
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (whole, text) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678"), (100_000, "100,000")]
        {
            assert_eq!(count(whole), text);
        }
        assert_eq!(number(-1234.5), "-1,234.5");
        assert_eq!(number(987_733.0), "987,733");
        assert_eq!(number(1e300), "1e300");
    }

    #[test]
    fn names_cannot_steer_a_terminal() {
        assert_eq!(name("a\u{1b}[2J\n\"ü\u{202e}"), "a\\u{1b}[2J\\n\"ü\\u{202e}");
        assert_eq!(name(&"é".repeat(100)).chars().count(), MAX_NAME_CHARS + 1);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&[Align::Left, Align::Right, Align::Left]);
        table.row(["é", "1", "x"]);
        table.row(["long", "1,000", ""]);
        assert_eq!(table.render("  "), "  é         1  x\n  long  1,000\n");
    }
}
