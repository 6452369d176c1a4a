//! The pieces of an import: what is added up, and committed together with the offset behind it.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, plain};
use crate::ingest::aggregate::{Aggregator, Target};
use crate::ingest::import::parse::Work;
use crate::ingest::import::report::ImportReport;
use crate::ingest::pipeline::Pipeline;
use crate::plan::EventIndex;
use crate::storage::Commit;
use crate::storage::batch::{Batch, LedgerEntry, SourceAdvance, SourceState};
use crate::time::timestamp::Timestamp;

/// Lines that are committed together with the offset behind them.
const LINES_PER_PIECE: u64 = 65_536;
/// A source without events for less than this has had none; after more it may have ended.
const QUIET_SECONDS: i64 = 86_400;
/// How often a commit is tried before the import gives up; what was committed stays, and the import can be continued.
const COMMIT_ATTEMPTS: u32 = 3;

/// The running piece of an import, and what came of those before it.
pub(crate) struct Pieces<'a> {
    pipeline: &'a Pipeline,
    target: Target,
    aggregator: Aggregator,
    name: &'a str,
    is_kept: bool,
    /// What the store has of the source, and what is read of it.
    committed: SourceState,
    read: SourceState,
    sequence: u64,
    /// The events that the source has had so far.
    events: BTreeSet<u32>,
    /// The earliest and the latest time of the piece's events.
    times: Option<(Timestamp, Timestamp)>,
    is_memory_full: bool,
    /// What came of the lines of the piece; it goes into the report when the piece is committed.
    piece: ImportReport,
    /// Whether the last line is left for the next import.
    is_cut: bool,
    pub(crate) report: ImportReport,
}

impl<'a> Pieces<'a> {
    pub(crate) fn new(pipeline: &'a Pipeline, target: Target, name: &'a str, is_kept: bool) -> Self {
        Self {
            pipeline,
            aggregator: Aggregator::new(target.clone(), pipeline.shared().settings.max_sketch_bytes),
            target,
            name,
            is_kept,
            committed: SourceState::default(),
            read: SourceState::default(),
            sequence: 0,
            events: BTreeSet::new(),
            times: None,
            is_memory_full: false,
            piece: ImportReport::default(),
            is_cut: false,
            report: ImportReport { name: name.to_owned(), ..ImportReport::default() },
        }
    }

    pub(crate) fn name(&self) -> &'a str {
        self.name
    }

    /// Goes on behind what other imports have read. A damaged store may say that these were fewer lines than before.
    pub(crate) fn go_on_from(&mut self, known: &SourceState) {
        self.report.already_read += known.lines.saturating_sub(self.read.lines);
        self.committed = known.clone();
        self.read = known.clone();
    }

    /// Adds up the next block.
    pub(crate) fn absorb(&mut self, work: &mut Work) {
        let end = work.end();
        self.read.offset = end.offset;
        self.read.digest = end.digest();
        let parsed = &mut work.parsed;
        for records in parsed.records.drain(..) {
            parsed.spare.push(self.aggregator.absorb(records));
            self.is_memory_full |= self.aggregator.is_full();
        }
        let mut report = std::mem::take(&mut parsed.report);
        for bad in &mut report.first_bad {
            bad.line += self.read.lines;
        }
        self.read.lines += report.lines;
        self.read.accepted += report.accepted;
        self.is_cut = parsed.is_cut;
        self.piece.add(report);
        self.events.append(&mut parsed.events);
        self.times = match (self.times, parsed.times) {
            (Some(times), Some(more)) => Some((times.0.min(more.0), times.1.max(more.1))),
            (times, more) => times.or(more),
        };
    }

    /// Whether the piece should be committed before more is added up.
    pub(crate) fn is_full(&self) -> bool {
        self.is_memory_full || self.read.lines.saturating_sub(self.committed.lines) >= LINES_PER_PIECE
    }

    /// Commits the piece together with the offset behind it: both or neither.
    pub(crate) fn commit(&mut self) -> Result<Commit, Error> {
        self.is_memory_full = false;
        if self.read.offset == self.committed.offset {
            return Ok(Commit::Applied);
        }
        for (reason, count) in &self.piece.rejected {
            self.aggregator.note(LedgerEntry::Refused(reason), *count);
        }
        self.sequence += 1;
        let mut batch = self.aggregator.cut(self.sequence, self.pipeline.shared().settings.clock.now());
        self.note_recorded(&mut batch);
        batch.source = Some(SourceAdvance {
            name: self.name.to_owned(),
            expected_offset: self.committed.offset,
            state: self.read.clone(),
            is_kept: self.is_kept,
        });
        let batch = Arc::new(batch);
        let mut attempt = 1;
        let commit = loop {
            match self.pipeline.commit(&batch) {
                Err(error) if attempt < COMMIT_ATTEMPTS && error.kind() == ErrorKind::StoreBusy => {
                    attempt += 1;
                }
                outcome => {
                    break outcome.map_err(|error| {
                        error.context(format_args!(
                            "the import of `{}` stopped after line {}; {}",
                            self.name,
                            self.committed.lines,
                            self.remedy()
                        ))
                    })?;
                }
            }
        };
        if commit != Commit::Overtaken {
            self.committed = self.read.clone();
            let piece = std::mem::take(&mut self.piece);
            self.report.add(piece);
        }
        Ok(commit)
    }

    /// The source says all about its events from the end of what was read before, or its first event, until a day after its
    /// last: logs have quiet hours, and those of each day a file of its own.
    fn note_recorded(&mut self, batch: &mut Batch) {
        let Some((earliest, latest)) = self.times.take() else { return };
        let since = self.committed.latest.map_or(earliest, |before| before.min(earliest));
        let until = latest.plus_seconds(QUIET_SECONDS).min(batch.cut_at).max(since);
        self.read.latest = Some(self.committed.latest.map_or(latest, |before| before.max(latest)));
        let plan = &self.target.plan;
        let rules = self
            .events
            .iter()
            .filter_map(|event| plan.event(EventIndex(*event)))
            .flat_map(|event| &event.rules);
        for rule in rules {
            let series = usize::try_from(rule.index.0).ok().and_then(|rule| self.target.series.get(rule));
            batch.recorded.extend(series.map(|series| (*series, since, until)));
        }
    }

    /// Gives the piece up: another import of the same source has committed it.
    pub(crate) fn drop_piece(&mut self, ahead: &SourceState) -> Result<(), Error> {
        if ahead.offset < self.read.offset {
            return Err(Error::new(
                ErrorKind::StoreBusy,
                format!("another import of `{}` is under way; import it again when it has ended", self.name),
            ));
        }
        self.piece = ImportReport::default();
        self.is_cut = false;
        self.read = self.committed.clone();
        Ok(())
    }

    pub(crate) fn into_report(mut self) -> ImportReport {
        self.report.is_cut = self.is_cut;
        self.report
    }

    fn remedy(&self) -> &'static str {
        match self.is_kept {
            true => "import it again to continue",
            false => "what is counted until there counts again if it comes again",
        }
    }

    #[cold]
    pub(crate) fn changed(&self, known: &SourceState) -> Error {
        Error::new(
            ErrorKind::SourceChanged,
            format!(
                "the source `{}` has changed within its first {} bytes, which are already counted; import a new file \
                 under another name, or the old one unchanged",
                self.name, known.offset
            ),
        )
    }

    #[cold]
    pub(crate) fn unreadable(&self, error: &std::io::Error) -> Error {
        Error::new(
            ErrorKind::Io,
            format!(
                "reading `{}` failed after line {}: {}; {}",
                self.name,
                self.read.lines,
                plain(error),
                self.remedy()
            ),
        )
    }
}
