//! Problems of definitions as people read them: place and message, and the line of the file with a mark below the place.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Read as _;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::look::Look;
use super::text;
use crate::{Problem, Severity};

/// Most problems that are shown; errors before warnings.
const MAX_SHOWN: usize = 50;
/// Most bytes that are read of a file for its lines: larger ones are no definitions.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// How wide lines of files are where nobody looks, and the limits of it where somebody does.
const COLUMNS: usize = 100;
const MIN_COLUMNS: usize = 40;
const MAX_COLUMNS: usize = 200;

/// The problems, file by file, each with the line that it is about as far as the file still has it.
pub(super) fn render(problems: &[Problem], look: Look) -> String {
    let of = |severity| (0..).zip(problems).filter(move |(_, problem)| problem.severity == severity);
    let shown: BTreeMap<usize, &Problem> =
        of(Severity::Error).chain(of(Severity::Warning)).take(MAX_SHOWN).collect();
    let mut text = String::new();
    let mut open: Option<(&str, Option<String>)> = None;
    for problem in shown.values() {
        if open.as_ref().is_none_or(|(file, _)| *file != problem.file) {
            if open.is_some() {
                text.push('\n');
            }
            open = Some((&problem.file, content(&problem.file)));
        }
        text.extend(problem.to_string().chars().map(safe));
        text.push('\n');
        if let Some((_, Some(content))) = &open {
            text.push_str(&marked(problem, content, look).unwrap_or_default());
        }
    }
    if problems.len() > shown.len() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\nand {} more; --json has all", problems.len() - shown.len());
    }
    text
}

/// What a file has now, with one kind of line ends.
fn content(path: &str) -> Option<String> {
    // Opening a pipe would wait for its other end.
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MAX_FILE_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    Some(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// The line of a problem with a mark below its place, cut to the columns around it.
fn marked(problem: &Problem, content: &str, look: Look) -> Option<String> {
    let number = usize::try_from(problem.line).ok()?;
    let line: String = content.split('\n').nth(number.checked_sub(1)?)?.chars().map(safe).collect();
    let byte = |column: u32| {
        let before = usize::try_from(column).unwrap_or(usize::MAX).saturating_sub(1);
        line.char_indices().nth(before).map_or(line.len(), |(at, _)| at)
    };
    let span = byte(problem.column)..byte(problem.end_column);
    let snippet =
        Snippet::source(&line).line_start(number).fold(false).annotation(AnnotationKind::Primary.span(span));
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let columns = look.width.map_or(COLUMNS, |width| width.clamp(MIN_COLUMNS, MAX_COLUMNS));
    let renderer = if look.has_colour { Renderer::styled() } else { Renderer::plain() };
    Some(renderer.term_width(columns).render(&[Group::with_level(level).element(snippet)]) + "\n")
}

/// A character as it may go to a terminal: neither control characters nor those that turn the direction of text.
fn safe(character: char) -> char {
    match character {
        '\t' => '\t',
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(character)).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        other if text::steers(other) => '\u{fffd}',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands below the gutter: the line and the marks.
    fn shown(content: &str, line: u32, column: u32, end_column: u32) -> [String; 2] {
        let problem = Definition::problem(line, column, end_column);
        let text = marked(&problem, content, Look { width: Some(60), ..Look::PLAIN }).unwrap();
        let lines: Vec<&str> = text.lines().skip(1).map(|line| line.split_once('|').unwrap().1).collect();
        let [line, marks] = lines[..] else { panic!("{text}") };
        [line, marks].map(|text| text.strip_prefix(' ').unwrap_or(text).to_owned())
    }

    /// Problems are made by the library alone; this is one of its own, moved.
    struct Definition;

    impl Definition {
        fn problem(line: u32, column: u32, end_column: u32) -> Problem {
            let error = crate::Definitions::embedded(&[("a.yml", "acton: a\n")]).unwrap_err();
            let mut problem = error.problems()[0].clone();
            (problem.line, problem.column, problem.end_column) = (line, column, end_column);
            problem
        }
    }

    #[test]
    fn marks_stand_below_the_place() {
        assert_eq!(shown("a: 1\nidentifers: [user]\n", 2, 1, 11), ["identifers: [user]", "^^^^^^^^^^"]);
        assert_eq!(shown("\tlabel: b", 1, 2, 3), ["    label: b", "    ^"]);
        assert_eq!(shown("名前: 漢字 x: y", 1, 5, 7), ["名前: 漢字 x: y", "      ^^^^"]);
        assert_eq!(shown("a: b", 1, 5, 6), ["a: b", "    ^"]);
        assert_eq!(shown("a: b\n", 2, 1, 2), ["", "^"]);
        assert_eq!(shown("a: b", 1, 900, 901), ["a: b", "    ^"]);
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let line = format!("a: {}!{}", "漢".repeat(50_000), "x".repeat(50_000));
        let [line, marks] = shown(&line, 1, 50_004, 50_005);
        assert!(line.starts_with("...") && line.contains('漢') && line.ends_with("x..."), "{line}");
        let before = line.split('!').next().unwrap();
        let width = before.chars().map(|c| if c == '漢' { 2 } else { 1 }).sum::<usize>();
        assert_eq!(marks, format!("{}^", " ".repeat(width)));
        assert!(line.chars().count() <= 60);
    }

    #[test]
    fn a_line_cannot_steer_a_terminal() {
        let line = "a: \u{1b}[2J\u{9b}1m \u{202e}b\0\u{7f}\u{200b}\u{85}";
        let [line, marks] = shown(line, 1, 4, 5);
        assert_eq!(line, "a: ␛[2J\u{fffd}1m \u{fffd}b␀␡\u{fffd}\u{fffd}");
        assert_eq!(marks, "   ^");
    }

    #[test]
    fn a_line_that_is_gone_is_not_shown() {
        assert_eq!(marked(&Definition::problem(7, 1, 2), "a: b\n", Look::PLAIN), None);
        assert_eq!(marked(&Definition::problem(0, 0, 0), "a: b\n", Look::PLAIN), None);
    }
}
