//! Gathering what callers have tracked, and cutting it into numbered batches; and the pipeline without threads.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, TrackError};
use crate::ingest::aggregate::{Aggregator, Target};
use crate::ingest::pipeline::{Shared, closed};
use crate::ingest::record::Records;
use crate::ingest::retaining::Retaining;
use crate::storage::batch::{Batch, LedgerEntry};
use crate::storage::{Commit, Writer};
use crate::sync::{Instant, Ordering};

/// The aggregator with what it has still to add up.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) aggregator: Aggregator,
    /// Taken from callers and not yet added up; it outlives a panic.
    waiting: VecDeque<Records>,
    sequence: u64,
    /// The refusals that earlier batches already have, by reason.
    refused: [u64; TrackError::ALL.len()],
}

impl Engine {
    pub(crate) fn new(target: Target, max_sketch_bytes: usize) -> Self {
        Self {
            aggregator: Aggregator::new(target, max_sketch_bytes),
            waiting: VecDeque::new(),
            sequence: 0,
            refused: [0; TrackError::ALL.len()],
        }
    }

    /// Adds up the next buffer of the queue; says whether there was one.
    pub(crate) fn absorb_next(&mut self, shared: &Shared) -> bool {
        let next = self.waiting.pop_front().or_else(|| shared.queue.try_receive());
        let Some(records) = next else { return false };
        let used = self.aggregator.absorb(records);
        shared.queue.recycle(used);
        true
    }

    /// Takes everything that was tracked before this call: what callers hold, and as much of the queue as is in it then.
    pub(crate) fn gather(&mut self, shared: &Shared) {
        let waiting = &mut self.waiting;
        shared.buffers.for_each(|buffer| {
            if !buffer.records.is_empty() {
                waiting.push_back(std::mem::replace(&mut buffer.records, shared.queue.empty_buffer()));
            }
        });
        for _ in 0..self.waiting.len() + shared.queue.len() {
            if !self.absorb_next(shared) {
                break;
            }
        }
    }

    /// Adds up a buffer that its caller hands over directly.
    pub(crate) fn absorb(&mut self, records: Records) -> Records {
        self.aggregator.absorb(records)
    }

    /// The next batch, unless nothing has changed.
    pub(crate) fn cut(&mut self, shared: &Shared) -> Option<Batch> {
        for ((reason, count), written) in shared.tallies.refused().zip(&mut self.refused) {
            self.aggregator.note(LedgerEntry::Refused(reason.reason()), count - *written);
            *written = count;
        }
        let batch = self.aggregator.cut(self.sequence + 1, shared.settings.clock.now());
        if batch.is_empty() {
            return None;
        }
        self.sequence += 1;
        Some(batch)
    }

    /// Events that are taken from callers and in no batch yet.
    pub(crate) fn pending_events(&self) -> u64 {
        let waiting: usize = self.waiting.iter().map(Records::len).sum();
        self.aggregator.pending_events() + waiting as u64
    }
}

/// Events of a batch that is not committed, those that it counts as lost among them: all are lost if it never is.
pub(crate) fn pending_in(batch: &Batch) -> u64 {
    events_of(batch) + lost_in(batch)
}

fn events_of(batch: &Batch) -> u64 {
    batch.ledger.get(&LedgerEntry::Stored).copied().unwrap_or(0)
}

fn lost_in(batch: &Batch) -> u64 {
    batch
        .ledger
        .iter()
        .filter(|(entry, _)| matches!(entry, LedgerEntry::Lost(_)))
        .map(|(_, count)| count)
        .sum()
}

/// The pipeline without threads.
pub(crate) struct Inline {
    engine: Engine,
    writer: Box<dyn Writer>,
    /// A batch whose commit failed: it keeps its exact content until its fate is known.
    unsettled: Option<Batch>,
    retaining: Retaining,
    closed: bool,
}

impl std::fmt::Debug for Inline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inline").field("engine", &self.engine).field("unsettled", &self.unsettled).finish()
    }
}

impl Inline {
    pub(crate) fn new(engine: Engine, writer: Box<dyn Writer>) -> Self {
        Self { engine, writer, unsettled: None, retaining: Retaining::default(), closed: false }
    }

    /// Commits when memory is full; fails when it is and the disk takes nothing.
    pub(crate) fn make_room(&mut self, shared: &Shared) -> Result<(), Error> {
        if self.engine.aggregator.is_full() { self.settle_and_commit(shared) } else { Ok(()) }
    }

    /// Adds up a full buffer in the caller's thread.
    pub(crate) fn absorb(&mut self, shared: &Shared, records: Records) {
        shared.queue.recycle(self.engine.absorb(records));
    }

    pub(crate) fn flush(&mut self, shared: &Shared) -> Result<(), Error> {
        if self.closed {
            return Err(closed());
        }
        let cut = Instant::now();
        self.engine.gather(shared);
        match self.settle_and_commit(shared) {
            Ok(()) => shared.covered(0, cut),
            Err(error) => {
                shared.attempt_failed(shared.attempt_begins(), &error);
                return Err(error);
            }
        }
        self.retaining.work(shared, &mut *self.writer);
        Ok(())
    }

    pub(crate) fn close(&mut self, shared: &Shared) -> Result<(), Error> {
        if self.closed {
            return Ok(());
        }
        let outcome = self.flush(shared);
        self.closed = true;
        if outcome.is_err() {
            let unsettled = self.unsettled.take().as_ref().map_or(0, pending_in);
            shared.abandon(unsettled + self.engine.pending_events());
        }
        outcome
    }

    pub(crate) fn commit(&mut self, batch: &Arc<Batch>) -> Result<Commit, Error> {
        if self.closed {
            return Err(closed());
        }
        self.writer.commit(batch)
    }

    fn settle_and_commit(&mut self, shared: &Shared) -> Result<(), Error> {
        if let Some(batch) = self.unsettled.take() {
            self.commit_own(shared, batch)?;
        }
        match self.engine.cut(shared) {
            Some(batch) => self.commit_own(shared, batch),
            None => Ok(()),
        }
    }

    fn commit_own(&mut self, shared: &Shared, batch: Batch) -> Result<(), Error> {
        match self.writer.commit(&batch) {
            Ok(Commit::Applied | Commit::Repeated) => {
                settle(shared, &batch);
                Ok(())
            }
            Ok(Commit::Overtaken) => {
                Err(Error::new(ErrorKind::Internal, "a batch without a source was refused for its source"))
            }
            Err(error) => {
                self.unsettled = Some(batch);
                Err(error)
            }
        }
    }
}

/// Counts a committed batch.
pub(crate) fn settle(shared: &Shared, batch: &Batch) {
    shared.tallies.stored.fetch_add(events_of(batch), Ordering::AcqRel);
    shared.tallies.lost.fetch_add(lost_in(batch), Ordering::AcqRel);
}
