//! Documents with commands in them.
//!
//! A block ```` ```console ```` has commands behind `$ `, each with what it prints; a line `? N` says that it exits with N. A block
//! ```` ```jsonc ```` begins with `// ` and a command, and has the one JSON document that it prints, laid out for people. A line
//! `...` stands for any lines, `[..]` for any part of a line.

use crate::json;

/// A document, cut at its commands.
pub(crate) struct Document {
    parts: Vec<Part>,
}

enum Part {
    Text(String),
    Command(Command),
}

/// A command and what it should print.
pub(crate) struct Command {
    line: usize,
    /// As it stands there.
    source: String,
    pub(crate) script: String,
    pub(crate) is_json: bool,
    expected: String,
    pub(crate) printed: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Prose,
    Console,
    Json,
    Other,
}

impl Document {
    pub(crate) fn read(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut within = Within::Prose;
        let mut lines = text.lines().enumerate().peekable();
        while let Some((number, line)) = lines.next() {
            within = match (within, line.trim_start().strip_prefix("```")) {
                (Within::Prose, Some("console")) => Within::Console,
                (Within::Prose, Some("jsonc")) => Within::Json,
                (Within::Prose, Some(_)) => Within::Other,
                (_, Some("")) => Within::Prose,
                (within, _) => within,
            };
            let script = match within {
                Within::Console => line.strip_prefix("$ "),
                Within::Json => line.strip_prefix("// "),
                Within::Prose | Within::Other => None,
            };
            let Some(script) = script else {
                parts.push(Part::Text(format!("{line}\n")));
                continue;
            };
            let mut command = Command {
                line: number + 1,
                source: format!("{line}\n"),
                script: script.to_owned(),
                is_json: within == Within::Json,
                expected: String::new(),
                printed: String::new(),
            };
            // A line that ends in a backslash goes on.
            while command.script.ends_with('\\') {
                let (_, more) = lines.next().unwrap();
                command.script.push('\n');
                command.script.push_str(more);
                command.source.push_str(&format!("{more}\n"));
            }
            while let Some((_, output)) =
                lines.next_if(|(_, next)| !next.starts_with("```") && !next.starts_with("$ "))
            {
                command.expected.push_str(&format!("{output}\n"));
            }
            parts.push(Part::Command(command));
        }
        Self { parts }
    }

    pub(crate) fn commands(&self) -> impl Iterator<Item = &Command> {
        self.parts.iter().filter_map(|part| match part {
            Part::Command(command) => Some(command),
            Part::Text(_) => None,
        })
    }

    pub(crate) fn commands_mut(&mut self) -> impl Iterator<Item = &mut Command> {
        self.parts.iter_mut().filter_map(|part| match part {
            Part::Command(command) => Some(command),
            Part::Text(_) => None,
        })
    }

    /// The document with what was printed, except where what stands there says the same in general.
    pub(crate) fn blessed(&self) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Command(command) if command.difference().is_none() => {
                format!("{}{}", command.source, command.expected)
            }
            Part::Command(command) => format!("{}{}", command.source, command.laid_out()),
        };
        self.parts.iter().map(part).collect()
    }
}

impl Command {
    fn laid_out(&self) -> String {
        if self.is_json { json::lay_out(&self.printed) } else { self.printed.clone() }
    }

    /// What differs, if something does.
    pub(crate) fn difference(&self) -> Option<String> {
        let printed = self.laid_out();
        // What is expected of a block's last command may end with an empty line for the eye.
        let (expected, actual): (Vec<&str>, Vec<&str>) =
            (self.expected.trim_end().lines().collect(), printed.trim_end().lines().collect());
        (!matches(&expected, &actual)).then(|| {
            format!("line {}: $ {}\nexpected:\n{}printed:\n{printed}", self.line, self.script, self.expected)
        })
    }
}

fn matches(expected: &[&str], actual: &[&str]) -> bool {
    match expected.split_first() {
        None => actual.is_empty(),
        Some((&"...", rest)) => (0..=actual.len()).any(|skipped| matches(rest, &actual[skipped..])),
        Some((line, rest)) => actual
            .split_first()
            .is_some_and(|(first, others)| line_matches(line, first) && matches(rest, others)),
    }
}

fn line_matches(expected: &str, actual: &str) -> bool {
    match expected.split_once("[..]") {
        None => expected == actual,
        Some((before, after)) => actual.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).any(|at| rest.is_char_boundary(at) && line_matches(after, &rest[at..]))
        }),
    }
}

#[test]
fn lines_match_as_the_rules_say() {
    for (expected, actual, is_same) in [
        ("a\n...\nd", "a\nb\nc\nd", true),
        ("a\n...\nd", "a\nd", true),
        ("a\n...\nd", "a\nb", false),
        ("took [..] s", "took 0.1 s", true),
        ("took [..] s", "took 0.1 m", false),
        ("a", "a\nb", false),
        ("", "", true),
    ] {
        let lines = |text: &'static str| text.lines().collect::<Vec<_>>();
        assert_eq!(matches(&lines(expected), &lines(actual)), is_same, "{expected}");
    }
}
