//! Importing lines of JSON: each line counts once, whatever is interrupted or repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, TrackError};
use crate::ingest::aggregate::{Aggregator, Target};
use crate::ingest::line::{self, Line};
use crate::ingest::pipeline::Pipeline;
use crate::ingest::record::Records;
use crate::ingest::source::{LineEnd, Source};
use crate::ingest::tracker::check_ahead;
use crate::plan::{EventIndex, EventPlan};
use crate::storage::Commit;
use crate::storage::batch::{Batch, Continued, LedgerEntry, ProducerId, SourceAdvance, SourceState};
use crate::time::bucket::Hour;
use crate::time::timestamp::Timestamp;

/// The longest name of a source, in bytes.
const MAX_SOURCE_NAME_BYTES: usize = 4_096;
/// Lines that are committed together with the offset behind them.
const LINES_PER_PIECE: u64 = 65_536;
/// A source without events for less than this has had none; after more it may have ended.
const QUIET_SECONDS: i64 = 86_400;
/// What some programs put before the first line of a UTF-8 file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// So many bad lines are reported one by one.
const FIRST_BAD_LINES: usize = 10;
/// How often a commit is tried before the import gives up; what was committed stays, and the import can be continued.
const COMMIT_ATTEMPTS: u32 = 3;

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
    /// Lines that were no valid events, by reason. `incomplete_last_line` is none of [`ImportReport::lines`]: it is left for the
    /// next import.
    pub rejected: BTreeMap<&'static str, u64>,
    /// The first bad lines.
    pub first_bad: Vec<BadLine>,
}

/// A line that is no valid event.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BadLine {
    /// Its number in the source, from 1.
    pub line: u64,
    /// Why, as one word.
    pub reason: &'static str,
}

impl ImportReport {
    fn add(&mut self, piece: Self) {
        self.lines += piece.lines;
        self.blank += piece.blank;
        self.accepted += piece.accepted;
        for (reason, count) in piece.rejected {
            *self.rejected.entry(reason).or_default() += count;
        }
        self.first_bad.extend(piece.first_bad);
        self.first_bad.truncate(FIRST_BAD_LINES);
    }
}

/// Imports what is new in a source.
pub(crate) fn import(
    pipeline: &Pipeline,
    target: Target,
    known: impl Fn(&str) -> Result<Option<SourceState>, Error>,
    name: &str,
    input: impl Read,
) -> Result<ImportReport, Error> {
    if name.is_empty() || name.len() > MAX_SOURCE_NAME_BYTES {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("the name of a source has 1 to {MAX_SOURCE_NAME_BYTES} bytes, this one {}", name.len()),
        ));
    }
    let before = known(name)?.unwrap_or_default();
    let mut import = Import {
        pipeline,
        aggregator: Aggregator::new(target.clone(), pipeline.shared().settings.max_sketch_bytes),
        records: Records::with_capacity(),
        target,
        source: Source::new(input),
        name,
        committed: SourceState::default(),
        read: SourceState::default(),
        sequence: 0,
        events: BTreeSet::new(),
        times: None,
        piece: ImportReport::default(),
        report: ImportReport { name: name.to_owned(), ..ImportReport::default() },
    };
    import.skip_known(&before)?;
    import.run(&known)?;
    Ok(import.report)
}

/// Continues a source under another name.
pub(crate) fn continue_source(
    pipeline: &Pipeline,
    producer: ProducerId,
    continued: Continued,
) -> Result<(), Error> {
    let mut batch = Batch::empty(producer, 1, pipeline.shared().settings.clock.now());
    batch.continued = Some(continued.clone());
    match pipeline.commit(&Arc::new(batch))? {
        Commit::Applied | Commit::Repeated => Ok(()),
        Commit::Overtaken => Err(Error::new(
            ErrorKind::SourceChanged,
            format!(
                "the source `{}` could not be continued as `{}`: it is gone, or the name is taken",
                continued.from, continued.to
            ),
        )),
    }
}

struct Import<'a, R> {
    pipeline: &'a Pipeline,
    target: Target,
    aggregator: Aggregator,
    records: Records,
    source: Source<R>,
    name: &'a str,
    /// What the store has of the source, and what is read of it.
    committed: SourceState,
    read: SourceState,
    sequence: u64,
    /// The events that the source has had so far.
    events: BTreeSet<u32>,
    /// The earliest and the latest time of the piece's events.
    times: Option<(Timestamp, Timestamp)>,
    /// What came of the lines of the piece; it goes into the report when the piece is committed.
    piece: ImportReport,
    report: ImportReport,
}

impl<R: Read> Import<'_, R> {
    /// Reads over what earlier imports have read, and makes sure that it is still the same.
    fn skip_known(&mut self, known: &SourceState) -> Result<(), Error> {
        let length = known.offset - self.source.offset;
        let skipped = self.source.skip(length).map_err(|error| self.unreadable(&error))?;
        if skipped != length || self.source.digest() != known.digest && known.offset > 0 {
            return Err(Error::new(
                ErrorKind::SourceChanged,
                format!(
                    "the source `{}` has changed within its first {} bytes, which are already counted; import a new file \
                     under another name, or the old one unchanged",
                    self.name, known.offset
                ),
            ));
        }
        self.report.already_read += known.lines - self.read.lines;
        self.committed = known.clone();
        self.read = known.clone();
        Ok(())
    }

    fn run(&mut self, known: &impl Fn(&str) -> Result<Option<SourceState>, Error>) -> Result<(), Error> {
        let mut line = Vec::new();
        loop {
            let more = self.source.read_line(&mut line).map_err(|error| self.unreadable(&error))?;
            if let Some(end) = more {
                self.take_line(&line, end);
            }
            let piece = self.read.lines - self.committed.lines;
            if more.is_none() || piece >= LINES_PER_PIECE || self.aggregator.is_full() {
                self.commit_piece(known)?;
            }
            if more.is_none() {
                return Ok(());
            }
        }
    }

    fn take_line(&mut self, line: &[u8], end: LineEnd) {
        let bytes =
            if self.read.offset == 0 { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line) } else { line };
        let text = bytes.trim_ascii();
        if text.is_empty() && self.source.is_within_line {
            // The end of a line that was read, and counted, before its end was written.
            self.source.consume(line, end);
            self.read.offset = self.source.offset;
            return;
        }
        if text.is_empty() && end != LineEnd::TooLong {
            self.consume(line, end);
            self.piece.blank += 1;
            return;
        }
        let outcome = if end == LineEnd::TooLong {
            Err("line_too_long")
        } else {
            line::parse(text).map_err(|shape| shape.reason()).and_then(|line| self.take_event(&line))
        };
        // A last line without its end may be half written: it is left for the next import unless it is whole.
        if end == LineEnd::Missing && outcome == Err("not_json") {
            *self.report.rejected.entry("incomplete_last_line").or_default() += 1;
            return;
        }
        self.consume(line, end);
        match outcome {
            Ok(()) => {
                self.read.accepted += 1;
                self.piece.accepted += 1;
            }
            Err(reason) => {
                *self.piece.rejected.entry(reason).or_default() += 1;
                if self.piece.first_bad.len() < FIRST_BAD_LINES {
                    self.piece.first_bad.push(BadLine { line: self.read.lines, reason });
                }
            }
        }
    }

    fn consume(&mut self, line: &[u8], end: LineEnd) {
        self.source.consume(line, end);
        self.read.offset = self.source.offset;
        self.read.lines += 1;
        self.piece.lines += 1;
    }

    fn take_event(&mut self, line: &Line<'_>) -> Result<(), &'static str> {
        let plan = Arc::clone(&self.target.plan);
        let (index, event) = plan.find(&line.event).ok_or(TrackError::UnknownEvent.reason())?;
        self.record(index, event, line).map_err(TrackError::reason)
    }

    fn record(&mut self, index: EventIndex, event: &EventPlan, line: &Line<'_>) -> Result<(), TrackError> {
        if event.removed {
            return Err(TrackError::RemovedEvent);
        }
        let now = self.pipeline.shared().settings.clock.now();
        let time = check_ahead(line.time().unwrap_or(now), now)?;
        if !self.records.has_room_for(event) {
            self.absorb();
        }
        self.records.push(index, event, &line.facts(), Hour::of(time), &self.target.names)?;
        self.events.insert(index.0);
        let (earliest, latest) = self.times.unwrap_or((time, time));
        self.times = Some((earliest.min(time), latest.max(time)));
        Ok(())
    }

    fn absorb(&mut self) {
        let records = std::mem::take(&mut self.records);
        self.records = self.aggregator.absorb(records);
    }

    /// Commits the piece together with the offset behind it: both or neither.
    fn commit_piece(
        &mut self,
        known: &impl Fn(&str) -> Result<Option<SourceState>, Error>,
    ) -> Result<(), Error> {
        self.absorb();
        if self.read.offset == self.committed.offset {
            return Ok(());
        }
        for (reason, count) in &self.piece.rejected {
            self.aggregator.note(LedgerEntry::Refused(reason), *count);
        }
        self.sequence += 1;
        let mut batch = self.aggregator.cut(self.sequence, self.pipeline.shared().settings.clock.now());
        self.note_recorded(&mut batch);
        self.read.digest = self.source.digest();
        batch.source = Some(SourceAdvance {
            name: self.name.to_owned(),
            expected_offset: self.committed.offset,
            state: self.read.clone(),
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
                            "the import of `{}` stopped after line {}; import it again to continue",
                            self.name, self.committed.lines
                        ))
                    })?;
                }
            }
        };
        match commit {
            Commit::Applied | Commit::Repeated => {
                self.committed = self.read.clone();
                let piece = std::mem::take(&mut self.piece);
                self.report.add(piece);
                Ok(())
            }
            Commit::Overtaken => self.follow(known(self.name)?.unwrap_or_default()),
        }
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

    /// Another import of the same source has committed this piece: what it counted is not counted again.
    fn follow(&mut self, ahead: SourceState) -> Result<(), Error> {
        if ahead.offset < self.source.offset {
            return Err(Error::new(
                ErrorKind::StoreBusy,
                format!("another import of `{}` is under way; import it again when it has ended", self.name),
            ));
        }
        self.report.already_read += std::mem::take(&mut self.piece).lines;
        self.skip_known(&ahead)
    }

    #[cold]
    fn unreadable(&self, error: &std::io::Error) -> Error {
        Error::new(
            ErrorKind::Io,
            format!(
                "reading `{}` failed after line {}: {error}; import it again to continue",
                self.name, self.read.lines
            ),
        )
    }
}
