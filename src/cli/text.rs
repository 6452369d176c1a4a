//! Text for people: numbers and names.

use unicode_width::UnicodeWidthChar;

use crate::{Answer, Value};

/// What a sign in a text means, where it was used.
pub(super) const LEGEND: &str = "± is one standard error";
/// Longer names are cut in tables; in columns of a terminal.
const MAX_NAME_COLUMNS: usize = 60;
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
    grouped(&number.to_string())
}

/// A number with so many digits behind the point, and thousands separators.
pub(super) fn fixed(number: f64, digits: usize) -> String {
    if number.abs() >= PLAIN_BELOW {
        return format!("{number:e}");
    }
    grouped(&format!("{number:.digits$}"))
}

fn grouped(decimal: &str) -> String {
    let (sign, digits) = decimal.strip_prefix('-').map_or(("", decimal), |digits| ("-", digits));
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

/// A name from outside, of one line and without control characters: it must not be able to steer a terminal.
pub(super) fn name(name: &str) -> String {
    cut(&safe(name), MAX_NAME_COLUMNS)
}

/// A text from outside without characters that steer a terminal, of any length.
pub(super) fn safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' | '\r' => safe.extend(character.escape_default()),
            _ if steers(character) => safe.extend(character.escape_unicode()),
            _ => safe.push(character),
        }
    }
    safe
}

/// Lines from outside, each of them safe.
pub(super) fn safe_lines(text: &str) -> String {
    text.lines().map(safe).collect::<Vec<_>>().join("\n")
}

/// Whether a character does something to a terminal other than to show itself: controls, and what turns the direction of text or
/// hides in it.
pub(super) fn steers(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

/// A text in lines of at most so many columns, broken at spaces; a longer word has a line of its own, and is cut.
pub(super) fn wrap(text: &str, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut().filter(|line| columns(line) + 1 + columns(word) <= most) {
            Some(line) => line.extend([" ", word]),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// What the system says about a file that a command line names.
pub(super) fn io(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::IsADirectory => "this is a folder; name a file in it".to_owned(),
        std::io::ErrorKind::PermissionDenied => "no permission to read it".to_owned(),
        _ => format!("it cannot be read: {}", words(error)),
    }
}

/// What the system says, without its number.
pub(super) fn words(error: &std::io::Error) -> String {
    let words = error.to_string();
    words.split(" (os error ").next().unwrap_or_default().to_lowercase()
}

/// The first line of a message, which may announce more.
pub(super) fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default().trim_end_matches(':')
}

/// A count as a double, for the length of a bar.
#[expect(clippy::cast_precision_loss, reason = "the length of a bar has 240 steps")]
pub(super) fn double(count: u64) -> f64 {
    count as f64
}

/// How many columns of a terminal a text takes.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(0)).sum()
}

/// A text of at most so many columns; what is cut off leaves a sign.
pub(super) fn cut(text: &str, most: usize) -> String {
    if columns(text) <= most {
        return text.to_owned();
    }
    let mut left = most.saturating_sub(1);
    let kept = text.chars().take_while(|character| {
        let width = character.width().unwrap_or(0);
        let fits = width <= left;
        left -= width.min(left);
        fits
    });
    kept.chain(['…']).collect()
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
        for plain in ["हिन्दी", "ไทยที่", "e\u{301}", "👩\u{200d}💻"] {
            assert_eq!(name(plain), plain);
        }
        assert_eq!(columns(&name(&"é".repeat(100))), MAX_NAME_COLUMNS);
        assert_eq!(columns(&name(&"統".repeat(100))), MAX_NAME_COLUMNS - 1);
    }

    #[test]
    fn a_cut_text_never_takes_more_columns() {
        for (text, most, short) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("統計統計", 4, "統…"),
            ("統計", 4, "統計"),
            ("abc", 0, "…"),
        ] {
            assert_eq!(cut(text, most), short);
        }
    }
}
