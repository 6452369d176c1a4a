//! From lines to records: all of an import that needs neither the input nor the store, so that a thread can do it.

use std::collections::BTreeSet;
use std::io::BufRead;
use std::sync::Arc;

use crate::error::TrackError;
use crate::ingest::import::report::ImportReport;
use crate::ingest::intern::ValueNames;
use crate::ingest::line::{self, Line};
use crate::ingest::record::Records;
use crate::ingest::source::{Block, Last, Place};
use crate::ingest::tracker::check_ahead;
use crate::plan::{EventIndex, EventPlan, Plan};
use crate::time::bucket::Hour;
use crate::time::clock::Clock;
use crate::time::timestamp::Timestamp;

/// What some programs put before the first line of a UTF-8 file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Lines, and what came of them. It goes back and forth between the threads, so that nothing is allocated in steady state.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) block: Block,
    pub(crate) parsed: Parsed,
}

/// What came of the lines of a block.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) records: Vec<Records>,
    /// Empty ones for the next block.
    pub(crate) spare: Vec<Records>,
    /// Line numbers count from the block's first.
    pub(crate) report: ImportReport,
    pub(crate) events: BTreeSet<u32>,
    /// The earliest and the latest time of the events.
    pub(crate) times: Option<(Timestamp, Timestamp)>,
    /// The last line is left for the next import.
    pub(crate) is_cut: bool,
}

impl Work {
    /// The place to which the source is read with this block.
    pub(crate) fn end(&self) -> &Place {
        if self.parsed.is_cut { &self.block.after_whole } else { &self.block.end }
    }
}

/// Makes records of lines.
#[derive(Debug, Clone)]
pub(crate) struct Parser {
    pub(crate) plan: Arc<Plan>,
    pub(crate) names: Arc<ValueNames>,
    pub(crate) clock: Clock,
}

impl Parser {
    /// Parses a block; what was parsed of it before is forgotten.
    pub(crate) fn parse(&self, work: &mut Work) {
        let Work { block, parsed } = work;
        parsed.clear();
        let mut lines = Lines { parser: self, parsed, index: None };
        let (mut whole, last) = block.lines();
        if block.start.offset == 0 {
            whole = whole.strip_prefix(BYTE_ORDER_MARK).unwrap_or(whole);
        }
        let mut is_rest = block.start.is_within_line;
        let mut rest = whole;
        // Reading from memory does not fail.
        while let Ok(length @ 1..) = rest.skip_until(b'\n') {
            let line = whole.get(..length).unwrap_or_default().trim_ascii();
            whole = rest;
            // The end of a line that was read, and counted, before its end was written, is no line.
            if !(is_rest && line.is_empty()) {
                lines.take(line);
            }
            is_rest = false;
        }
        match block.last {
            Last::Newline => {}
            Last::Missing => {
                let is_first = block.start.offset == 0 && block.after_whole.offset == 0;
                let line = if is_first { last.strip_prefix(BYTE_ORDER_MARK).unwrap_or(last) } else { last };
                lines.take_last(line.trim_ascii(), is_rest);
            }
            Last::TooLong => lines.refuse("line_too_long", last),
            Last::TooLongMissing => lines.parsed.is_cut = true,
        }
    }
}

impl Parsed {
    fn clear(&mut self) {
        for mut records in self.records.drain(..) {
            records.clear();
            self.spare.push(records);
        }
        self.report = ImportReport::default();
        self.events.clear();
        self.times = None;
        self.is_cut = false;
    }
}

/// The lines of a block in work.
struct Lines<'a> {
    parser: &'a Parser,
    parsed: &'a mut Parsed,
    /// The event of the line before: most logs repeat a few.
    index: Option<EventIndex>,
}

impl Lines<'_> {
    fn take(&mut self, line: &[u8]) {
        if line.is_empty() {
            self.parsed.report.lines += 1;
            self.parsed.report.blank += 1;
            return;
        }
        match self.event_of(line) {
            Ok(()) => {
                self.parsed.report.lines += 1;
                self.parsed.report.accepted += 1;
            }
            Err(reason) => self.refuse(reason, line),
        }
    }

    /// A last line without its end may be half written: it is left for the next import unless it is whole.
    fn take_last(&mut self, line: &[u8], is_rest: bool) {
        if line.is_empty() {
            if !is_rest {
                self.take(line);
            }
            return;
        }
        match self.event_of(line) {
            Err("not_json") => self.parsed.is_cut = true,
            Err(reason) => self.refuse(reason, line),
            Ok(()) => {
                self.parsed.report.lines += 1;
                self.parsed.report.accepted += 1;
            }
        }
    }

    #[cold]
    fn refuse(&mut self, reason: &'static str, line: &[u8]) {
        let report = &mut self.parsed.report;
        report.lines += 1;
        report.reject(report.lines, reason, line);
    }

    fn event_of(&mut self, line: &[u8]) -> Result<(), &'static str> {
        let line = line::parse(line).map_err(line::BadShape::reason)?;
        let (index, event) = self.parser.plan.find(&line.event).ok_or(TrackError::UnknownEvent.reason())?;
        self.record(index, event, &line).map_err(TrackError::reason)
    }

    fn record(&mut self, index: EventIndex, event: &EventPlan, line: &Line<'_>) -> Result<(), TrackError> {
        if event.removed {
            return Err(TrackError::RemovedEvent);
        }
        let now = self.parser.clock.now();
        let time = check_ahead(line.time().unwrap_or(now), now)?;
        let parsed = &mut *self.parsed;
        if !parsed.records.last().is_some_and(|records| records.has_room_for(event)) {
            parsed.records.push(parsed.spare.pop().unwrap_or_else(Records::with_capacity));
        }
        if let Some(records) = parsed.records.last_mut() {
            records.push(index, event, &line.facts(), Hour::of(time), &self.parser.names)?;
        }
        if self.index != Some(index) {
            self.index = Some(index);
            parsed.events.insert(index.0);
        }
        let (earliest, latest) = parsed.times.unwrap_or((time, time));
        parsed.times = Some((earliest.min(time), latest.max(time)));
        Ok(())
    }
}
