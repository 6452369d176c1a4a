//! What an import found and did.

use std::collections::BTreeMap;

/// So many bad lines of each reason are reported one by one; there are some 25 reasons.
const BAD_LINES_PER_REASON: usize = 3;
/// So much of a bad line is kept, to show it.
const MAX_BEGINNING_BYTES: usize = 120;

/// What an import found and did.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// # use headcount::{Definitions, EventDefinition, Store};
/// # let definitions = Definitions::new().event(EventDefinition::new("page_viewed").identifier("user"))?;
/// # let store = Store::builder_in_memory().definitions(definitions).open()?;
/// let log = r#"{"event":"page_viewed","time":"2019-05-01T10:00:00Z","user":42}
/// {"event":"page_veiwed"}
/// "#;
/// let report = store.import("access.log", log.as_bytes())?;
/// assert_eq!((report.lines, report.accepted), (2, 1));
/// assert_eq!(report.rejected["unknown_event"], 1);
/// assert_eq!(report.first_bad[0].line, 2);
/// assert_eq!(store.import("access.log", log.as_bytes())?.already_read, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ImportReport {
    /// The name of the source.
    pub name: String,
    /// Lines that this import read, without those that earlier imports had read: `accepted + rejected + blank`.
    pub lines: u64,
    /// Lines without anything in them.
    pub blank: u64,
    /// Lines that were counted as events.
    pub accepted: u64,
    /// Lines that earlier imports of the same source had read.
    pub already_read: u64,
    /// Lines that were no valid events, by reason.
    pub rejected: BTreeMap<&'static str, u64>,
    /// The first three bad lines of each reason, in the order of the source.
    pub first_bad: Vec<BadLine>,
    /// Whether the import was asked to stop before the end of the source; the next one continues.
    pub stopped: bool,
    /// Whether the last line is cut, as in a log that is being written. It is none of [`ImportReport::lines`] and not refused: the
    /// next import reads it, when it is whole.
    pub is_cut: bool,
}

/// A line that is no valid event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BadLine {
    /// Its number in the source, from 1.
    pub line: u64,
    /// Why, as one word.
    pub reason: &'static str,
    /// Its first 120 bytes or less, with a replacement character for what is no UTF-8. Not made safe for a terminal.
    pub beginning: String,
}

impl ImportReport {
    /// Adds what came of the lines that follow.
    pub(crate) fn add(&mut self, next: Self) {
        self.lines += next.lines;
        self.blank += next.blank;
        self.accepted += next.accepted;
        for (reason, count) in next.rejected {
            *self.rejected.entry(reason).or_default() += count;
        }
        for bad in next.first_bad {
            if self.first_bad.iter().filter(|earlier| earlier.reason == bad.reason).count()
                < BAD_LINES_PER_REASON
            {
                self.first_bad.push(bad);
            }
        }
    }

    pub(crate) fn reject(&mut self, line: u64, reason: &'static str, bytes: &[u8]) {
        let count = self.rejected.entry(reason).or_default();
        *count += 1;
        if *count <= BAD_LINES_PER_REASON as u64 {
            let beginning = bytes.get(..MAX_BEGINNING_BYTES).unwrap_or(bytes);
            let beginning = String::from_utf8_lossy(beginning).into_owned();
            self.first_bad.push(BadLine { line, reason, beginning });
        }
    }
}
