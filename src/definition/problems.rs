//! Collecting everything that is wrong with definitions, each with its place.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Problem, Severity};

/// Most errors, and most warnings, that are kept of one run; more are counted only.
const MAX_PROBLEMS: usize = 10_000;

/// Where a definition stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::definition) struct Place {
    pub(in crate::definition) file: Arc<str>,
    pub(in crate::definition) at: Position,
}

/// A line and a column in characters, both from 1; 0 for a whole file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::definition) struct Position {
    pub(in crate::definition) line: u32,
    pub(in crate::definition) column: u32,
    /// How many characters of the line belong to it; 0 where that is not known, or is many lines.
    pub(in crate::definition) width: u32,
}

impl Place {
    /// The place of every definition built in code.
    pub(in crate::definition) fn code() -> Self {
        Self { file: Arc::from("<code>"), at: Position::default() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Position { line: 0, .. } => f.write_str(&self.file),
            Position { line, column, .. } => write!(f, "{}:{line}:{column}", self.file),
        }
    }
}

/// All problems of one run.
#[derive(Debug, Default)]
pub(in crate::definition) struct Problems {
    list: Vec<Problem>,
    errors: usize,
    warnings: usize,
}

impl Problems {
    pub(in crate::definition) fn error(&mut self, place: &Place, message: String) {
        self.push(Severity::Error, place, message);
    }

    fn push(&mut self, severity: Severity, place: &Place, message: String) {
        let count = match severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        *count += 1;
        if *count <= MAX_PROBLEMS {
            let last = *count == MAX_PROBLEMS;
            let message =
                if last { format!("{message} (further ones are counted, not listed)") } else { message };
            let (file, Position { line, column, width }) = (place.file.to_string(), place.at);
            let end_column = if line == 0 { 0 } else { column.saturating_add(width.max(1)) };
            self.list.push(Problem { severity, file, line, column, end_column, message });
        }
    }

    /// The problems in the order of files and places.
    pub(in crate::definition) fn into_sorted(mut self) -> Vec<Problem> {
        self.list.sort_by(|a, b| {
            (&a.file, a.line, a.column, &a.message).cmp(&(&b.file, b.line, b.column, &b.message))
        });
        self.list
    }

    /// The warnings, or the error that lists the errors.
    pub(in crate::definition) fn into_warnings(self) -> Result<Vec<Problem>, Error> {
        let errors = self.errors;
        let mut problems = self.into_sorted();
        if errors == 0 {
            return Ok(problems);
        }
        problems.retain(|problem| problem.severity == Severity::Error);
        let message = match errors {
            1 => "the definitions have an error".to_owned(),
            count if count > problems.len() => {
                format!("the definitions have {count} errors; the first {} are", problems.len())
            }
            count => format!("the definitions have {count} errors"),
        };
        Err(Error::new(ErrorKind::Definitions, message).with_problems(problems))
    }
}

/// Definitions built in code have no warnings.
#[cfg(feature = "yaml")]
impl Problems {
    pub(in crate::definition) fn warning(&mut self, place: &Place, message: String) {
        self.push(Severity::Warning, place, message);
    }

    pub(in crate::definition) fn has_errors(&self) -> bool {
        self.errors > 0
    }
}

/// The beginning of a text, for messages: definitions are untrusted and may be long.
pub(in crate::definition) fn excerpt(text: &str) -> String {
    const EXCERPT_CHARS: usize = 60;
    match text.char_indices().nth(EXCERPT_CHARS) {
        None => text.escape_debug().to_string(),
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default().escape_debug()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_beyond_the_limit_are_counted() {
        let mut problems = Problems::default();
        for _ in 0..=MAX_PROBLEMS {
            problems.push(Severity::Warning, &Place::code(), "odd".to_owned());
        }
        for _ in 0..=MAX_PROBLEMS {
            problems.error(&Place::code(), "wrong".to_owned());
        }
        let error = problems.into_warnings().unwrap_err();
        assert_eq!(error.problems().len(), MAX_PROBLEMS);
        assert!(error.to_string().starts_with("the definitions have 10001 errors; the first 10000 are"));
    }

    #[test]
    fn excerpts_are_short_and_printable() {
        assert_eq!(excerpt("a\nb"), "a\\nb");
        assert_eq!(excerpt(&"é".repeat(100)), format!("{}...", "é".repeat(60)));
    }
}
