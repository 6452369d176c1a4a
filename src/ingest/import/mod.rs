//! Importing lines of JSON: each line counts once, whatever is interrupted or repeated.
//!
//! The caller's thread reads, feeds the digest, adds up and commits; another one makes records of lines. What is counted depends
//! on neither: blocks are parsed in their order, and added up in it.

mod lane;
mod parse;
mod piece;
pub(crate) mod report;

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::error::{Error, ErrorKind};
use crate::ingest::aggregate::Target;
use crate::ingest::import::lane::Lane;
use crate::ingest::import::parse::{Parser, Work};
use crate::ingest::import::piece::Pieces;
use crate::ingest::import::report::ImportReport;
use crate::ingest::pipeline::Pipeline;
use crate::ingest::source::{Ended, Source};
use crate::storage::Commit;
use crate::storage::batch::{Batch, Continued, ProducerId, SourceState};

/// The longest name of a source, in bytes.
const MAX_SOURCE_NAME_BYTES: usize = 4_096;

/// How a source is called, and whether the store remembers what is read of it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SourceName<'a> {
    Kept(&'a str),
    /// It cannot come again: all its lines count.
    #[cfg(feature = "cli")]
    Fresh(&'a str),
}

/// Imports what is new in a source, until it ends or `stop` is set.
pub(crate) fn import(
    pipeline: &Pipeline,
    target: Target,
    known: impl Fn(&str) -> Result<Option<SourceState>, Error>,
    source: SourceName<'_>,
    input: impl Read,
    stop: &AtomicBool,
) -> Result<ImportReport, Error> {
    let (name, is_kept) = match source {
        SourceName::Kept(name) => (name, true),
        #[cfg(feature = "cli")]
        SourceName::Fresh(name) => (name, false),
    };
    if name.is_empty() || name.len() > MAX_SOURCE_NAME_BYTES {
        return Err(Error::new(
            ErrorKind::Usage,
            format!(
                "the name of a source must have 1 to {MAX_SOURCE_NAME_BYTES} bytes, this one has {}",
                name.len()
            ),
        ));
    }
    let before = if is_kept { known(name)?.unwrap_or_default() } else { SourceState::default() };
    let parser = Parser {
        plan: Arc::clone(&target.plan),
        names: Arc::clone(&target.names),
        clock: pipeline.shared().settings.clock.clone(),
    };
    let pieces = Pieces::new(pipeline, target, name, is_kept);
    let mut import = Import { pieces, source: Source::new(input, stop), known };
    import.skip_known(&before)?;
    if import.source.ended.is_none() {
        std::thread::scope(|scope| {
            let mut lane = Lane::new(parser);
            let outcome = import.run(&mut lane, |lane| lane.start(scope));
            lane.end();
            outcome
        })?;
    }
    import.finish()
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

struct Import<'a, R, K> {
    pieces: Pieces<'a>,
    source: Source<'a, R>,
    known: K,
}

impl<R: Read, K: Fn(&str) -> Result<Option<SourceState>, Error>> Import<'_, R, K> {
    /// Reads over what other imports have read, and makes sure that it is still the same.
    fn skip_known(&mut self, known: &SourceState) -> Result<(), Error> {
        let reaches = self.source.skip_to(known.offset);
        match &self.source.ended {
            Some(Ended::Failed(error)) => return Err(self.pieces.unreadable(error)),
            Some(Ended::Stopped) if !reaches => return Ok(()),
            _ => {}
        }
        if !reaches || known.offset > 0 && self.source.place.digest() != known.digest {
            return Err(self.pieces.changed(known));
        }
        self.pieces.go_on_from(known);
        Ok(())
    }

    /// Reads, adds up and commits all blocks. Starts the thread when the source is longer than one.
    fn run<'scope>(
        &mut self,
        lane: &mut Lane<'scope>,
        start: impl FnOnce(&mut Lane<'scope>),
    ) -> Result<(), Error> {
        let mut start = Some(start);
        loop {
            let free = if self.source.ended.is_none() { lane.free() } else { None };
            let parsed = match free {
                Some(mut work) => {
                    self.source.fill(&mut work.block);
                    if self.source.ended.is_none()
                        && let Some(start) = start.take()
                    {
                        start(lane);
                    }
                    lane.submit(work)?;
                    lane.parsed()?
                }
                None => match lane.next()? {
                    Some(work) => Some(work),
                    None => return Ok(()),
                },
            };
            if let Some(work) = parsed {
                self.take(work, lane)?;
            }
        }
    }

    fn take(&mut self, mut work: Work, lane: &mut Lane<'_>) -> Result<(), Error> {
        self.pieces.absorb(&mut work);
        lane.give_back(work);
        if self.pieces.is_full() { self.commit(lane) } else { Ok(()) }
    }

    fn commit(&mut self, lane: &mut Lane<'_>) -> Result<(), Error> {
        match self.pieces.commit()? {
            Commit::Applied | Commit::Repeated => Ok(()),
            Commit::Overtaken => self.follow(lane),
        }
    }

    /// Another import of the same source has committed the piece: what it counted is not counted again.
    fn follow(&mut self, lane: &mut Lane<'_>) -> Result<(), Error> {
        let ahead = (self.known)(self.pieces.name())?.unwrap_or_default();
        self.pieces.drop_piece(&ahead)?;
        // Blocks that lie before its end are passed over, the one across it is cut.
        let mut parsed = std::mem::take(lane.all()?);
        while let Some(mut work) = parsed.pop_front() {
            if work.block.end.offset > ahead.offset {
                if !work.block.begin_at(ahead.offset) || work.block.start.digest() != ahead.digest {
                    return Err(self.pieces.changed(&ahead));
                }
                self.pieces.go_on_from(&ahead);
                lane.parse_again(work);
                lane.all()?.append(&mut parsed);
                return Ok(());
            }
            lane.give_back(work);
        }
        self.skip_known(&ahead)
    }

    fn finish(mut self) -> Result<ImportReport, Error> {
        match self.source.ended.take() {
            Some(Ended::Failed(error)) => return Err(self.pieces.unreadable(&error)),
            Some(Ended::Stopped) => self.pieces.report.stopped = true,
            Some(Ended::Input) | None => {}
        }
        if self.pieces.commit()? == Commit::Overtaken {
            let ahead = (self.known)(self.pieces.name())?.unwrap_or_default();
            self.pieces.drop_piece(&ahead)?;
            self.skip_known(&ahead)?;
        }
        Ok(self.pieces.into_report())
    }
}
