//! The aggregator: adds records up and cuts batches. It does no I/O and knows no thread.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::hash::IdHash;
use crate::ingest::cells::Cells;
use crate::ingest::intern::ValueNames;
use crate::ingest::record::{Record, Records, low_half};
use crate::plan::{EventMeasure, Plan, RuleIndex};
use crate::sketch::Sketch;
use crate::storage::batch::{Batch, LedgerEntry, ProducerId, SeriesId};
use crate::storage::sum::Sum;
use crate::time::bucket::{Day, Hour};
use crate::time::timestamp::Timestamp;

/// A sketch that no event has changed for so many batches is dropped; the file has it.
const COLD_AFTER_BATCHES: u32 = 600;
/// A batch is cut at the latest with so many cells of one kind.
const MAX_CELLS: usize = 500_000;
/// The most that one sketch takes in memory, rounded up.
const MAX_SKETCH_BYTES: usize = 36_864;
/// How often, in pieces of work, the memory of live sketches is added up.
const MEASURE_EVERY: u32 = 32;

/// Hashes that wait for a sketch before they are inserted together. One by one, each would find its sketch gone from the
/// processor's cache, since those of other events came between.
const WAITING_AT_ONCE: usize = 64;

/// What every part of the pipeline shares about the store that it fills.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) plan: Arc<Plan>,
    pub(crate) series: Arc<[SeriesId]>,
    pub(crate) names: Arc<ValueNames>,
    pub(crate) producer: ProducerId,
}

/// Counts, sums, sketches and values that are not committed yet, and the sketches that are likely to change again.
#[derive(Debug)]
pub(crate) struct Aggregator {
    target: Target,
    counts: Cells<u64>,
    sums: Cells<Sum>,
    sketches: Cells<LiveSketch>,
    per_value: Cells<HashMap<u32, u64>>,
    /// Events that are added up, for the ledger of the next batch, and what else belongs into it.
    stored: u64,
    ledger: BTreeMap<LedgerEntry, u64>,
    /// The records in work, kept here so that a panic leaves them, and the place of the record in work.
    in_hand: Records,
    at: usize,
    batches: u32,
    max_sketch_bytes: usize,
    sketches_full: bool,
    until_measured: u32,
    #[cfg(test)]
    pub(crate) panic_at_value: Option<f64>,
}

/// Whether there was a record in work to be passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skipped {
    Record,
    Nothing,
}

#[derive(Debug, Default)]
struct LiveSketch {
    /// Added and not yet inserted: [`WAITING_AT_ONCE`] at the most.
    waiting: Vec<IdHash>,
    held: Held,
    changed: bool,
    changed_in: u32,
}

/// Who has a live sketch. Only one that is its own is changed, without a look at who else might read it.
#[derive(Debug)]
enum Held {
    Own(Sketch),
    /// Lent to a batch that was cut; once that is committed it is taken back as it is.
    Lent(Arc<Sketch>),
}

impl Held {
    /// The sketch, copied only while a batch still needs it as it was.
    fn own(&mut self) -> &mut Sketch {
        if let Self::Lent(sketch) = self {
            *self = Self::Own(Arc::unwrap_or_clone(std::mem::take(sketch)));
        }
        match self {
            Self::Own(sketch) => sketch,
            Self::Lent(sketch) => Arc::make_mut(sketch),
        }
    }
}

impl Default for Held {
    fn default() -> Self {
        Self::Own(Sketch::new())
    }
}

impl Aggregator {
    pub(crate) fn new(target: Target, max_sketch_bytes: usize) -> Self {
        let rules = target.plan.rules().len();
        Self {
            target,
            counts: Cells::new(rules),
            sums: Cells::new(rules),
            sketches: Cells::new(rules),
            per_value: Cells::new(rules),
            stored: 0,
            ledger: BTreeMap::new(),
            in_hand: Records::default(),
            at: 0,
            batches: 0,
            max_sketch_bytes,
            sketches_full: false,
            until_measured: MEASURE_EVERY,
            #[cfg(test)]
            panic_at_value: None,
        }
    }

    /// Takes records in hand and adds them up. Gives them back, empty, for new ones.
    pub(crate) fn absorb(&mut self, records: Records) -> Records {
        self.in_hand = records;
        self.at = 0;
        self.go_on();
        std::mem::take(&mut self.in_hand)
    }

    /// Adds up the rest of the records in hand: after a panic, those behind the offending one.
    pub(crate) fn go_on(&mut self) {
        let records = std::mem::take(&mut self.in_hand);
        let mut guard = InHand { aggregator: self, records };
        guard.apply_rest();
    }

    /// Passes over the record in work and counts its event as lost.
    pub(crate) fn skip(&mut self, reason: &'static str) -> Skipped {
        let mut reader = self.in_hand.read(&self.target.plan, self.at);
        if reader.next().is_none() {
            return Skipped::Nothing;
        }
        self.at = reader.position();
        self.note(LedgerEntry::Lost(reason), 1);
        Skipped::Record
    }

    fn apply(&mut self, record: &Record<'_>) {
        #[cfg(test)]
        assert!(self.panic_at_value != Some(record.value), "a panic put in by a test");
        let (hour, day) = (record.hour.index(), record.hour.day().index());
        if let (Some(plain), [mask]) = (&record.event.plain, record.masks) {
            if let Some(count) = self.counts.cell(plain.total, hour) {
                *count = count.saturating_add(1);
            }
            for unique in plain.uniques.iter().filter(|unique| unique.bit & mask != 0) {
                self.add_unique(unique.rule, day, record, unique.position);
            }
            self.stored += 1;
            return;
        }
        record.for_each_rule(|rule| match rule.measure {
            EventMeasure::Count => {
                if let Some(count) = self.counts.cell(rule.index, hour) {
                    *count = count.saturating_add(1);
                }
            }
            EventMeasure::Sum => {
                if let Some(sum) = self.sums.cell(rule.index, hour) {
                    sum.add(record.value);
                }
            }
            EventMeasure::Unique { input } => {
                self.add_unique(rule.index, day, record, input);
            }
            EventMeasure::PerValue { interned } => {
                let number = record.interned.get(usize::from(interned)).copied().map_or(0, low_half);
                if let Some(values) = self.per_value.cell(rule.index, day) {
                    let count = values.entry(number).or_default();
                    *count = count.saturating_add(1);
                }
            }
        });
        self.stored += 1;
    }

    #[inline]
    fn add_unique(&mut self, rule: RuleIndex, day: u32, record: &Record<'_>, input: u16) {
        let hash = record.hashes.get(usize::from(input)).copied().map(IdHash::from_bits);
        if let Some((live, hash)) = self.sketches.cell(rule, day).zip(hash) {
            live.add(hash, self.batches);
        }
    }

    /// Adds to the ledger of the next batch.
    pub(crate) fn note(&mut self, entry: LedgerEntry, count: u64) {
        if count > 0 {
            let total = self.ledger.entry(entry).or_default();
            *total = total.saturating_add(count);
        }
    }

    /// Whether a batch should be cut before more is absorbed.
    pub(crate) fn is_full(&mut self) -> bool {
        self.until_measured = self.until_measured.saturating_sub(1);
        if self.until_measured == 0 {
            self.until_measured = MEASURE_EVERY;
            self.sketches_full = self.sketches.len().saturating_mul(MAX_SKETCH_BYTES) > self.max_sketch_bytes
                && self.sketch_bytes() > self.max_sketch_bytes;
        }
        self.sketches_full
            || self.counts.len() > MAX_CELLS
            || self.sums.len() > MAX_CELLS
            || self.per_value.len() > MAX_CELLS
            || self.sketches.len() > MAX_CELLS
    }

    fn sketch_bytes(&mut self) -> usize {
        self.sketches.iter_mut().map(|cell| cell.value.memory_bytes()).sum()
    }

    /// Events that are added up or counted as lost, and not yet in a batch.
    pub(crate) fn pending_events(&self) -> u64 {
        let lost = self.ledger.iter().filter(|(entry, _)| matches!(entry, LedgerEntry::Lost(_)));
        self.stored + lost.map(|(_, count)| count).sum::<u64>()
    }

    /// Takes everything that changed as the next batch. Live sketches stay, up to the bound; the coldest go.
    pub(crate) fn cut(&mut self, sequence: u64, now: Timestamp) -> Batch {
        let mut batch = Batch::empty(self.target.producer, sequence, now);
        let series = Arc::clone(&self.target.series);
        let of = |rule: RuleIndex| usize::try_from(rule.0).ok().and_then(|rule| series.get(rule).copied());
        for cell in self.counts.drain() {
            batch.counts.extend(of(cell.rule).map(|id| (id, Hour::from_index(cell.bucket), cell.value)));
        }
        for cell in self.sums.drain() {
            batch.sums.extend(of(cell.rule).map(|id| (id, Hour::from_index(cell.bucket), cell.value)));
        }
        for cell in self.sketches.iter_mut() {
            cell.value.insert_waiting(self.batches);
            if !std::mem::take(&mut cell.value.changed) {
                continue;
            }
            let sketch = cell.value.lend();
            batch.sketches.extend(of(cell.rule).map(|id| (id, Day::from_index(cell.bucket), sketch)));
        }
        for cell in self.per_value.drain() {
            let Some(id) = of(cell.rule) else { continue };
            // In the order in which the values were first seen, so that the file numbers them alike in each run.
            let mut values: Vec<_> = cell.value.into_iter().collect();
            values.sort_unstable();
            for (number, count) in values {
                let name = self.target.names.name(cell.rule, number);
                batch.per_value.push((id, Day::from_index(cell.bucket), name, count));
            }
        }
        let stored = std::mem::take(&mut self.stored);
        self.note(LedgerEntry::Stored, stored);
        batch.ledger = std::mem::take(&mut self.ledger);
        self.batches = self.batches.wrapping_add(1);
        self.drop_cold_sketches();
        batch
    }

    /// Every sketch is in a batch or in the file when this runs, so that dropping one loses nothing.
    fn drop_cold_sketches(&mut self) {
        let now = self.batches;
        let mut keep_for = COLD_AFTER_BATCHES;
        let age = move |live: &LiveSketch| now.wrapping_sub(live.changed_in);
        if self.sketches.iter_mut().any(|cell| age(&cell.value) > keep_for) {
            self.sketches.retain(|cell| age(&cell.value) <= keep_for);
        }
        while self.sketches.len() > 0
            && (self.sketch_bytes() > self.max_sketch_bytes || self.sketches.len() > MAX_CELLS)
        {
            keep_for /= 2;
            self.sketches.retain(|cell| keep_for > 0 && age(&cell.value) <= keep_for);
        }
        self.sketches_full = false;
    }
}

impl LiveSketch {
    #[inline]
    fn add(&mut self, hash: IdHash, batch: u32) {
        self.waiting.push(hash);
        if self.waiting.len() >= WAITING_AT_ONCE {
            self.insert_waiting(batch);
        }
    }

    /// Each hash is taken out before it is inserted: one at which that panics is not tried again.
    #[inline(never)]
    fn insert_waiting(&mut self, batch: u32) {
        if self.waiting.is_empty() {
            return;
        }
        let sketch = self.held.own();
        while let Some(hash) = self.waiting.pop() {
            if sketch.insert(hash) {
                self.changed = true;
                self.changed_in = batch;
            }
        }
    }

    fn lend(&mut self) -> Arc<Sketch> {
        let sketch = match std::mem::take(&mut self.held) {
            Held::Own(sketch) => Arc::new(sketch),
            Held::Lent(sketch) => sketch,
        };
        self.held = Held::Lent(Arc::clone(&sketch));
        sketch
    }

    fn memory_bytes(&self) -> usize {
        let sketch = match &self.held {
            Held::Own(sketch) => sketch,
            Held::Lent(sketch) => sketch,
        };
        sketch.memory_bytes() + self.waiting.capacity() * size_of::<IdHash>()
    }
}

/// Puts the records back in hand however the work on them ends, so that a panic loses none.
struct InHand<'a> {
    aggregator: &'a mut Aggregator,
    records: Records,
}

impl InHand<'_> {
    fn apply_rest(&mut self) {
        let plan = Arc::clone(&self.aggregator.target.plan);
        let mut reader = self.records.read(&plan, self.aggregator.at);
        while let Some(record) = reader.next() {
            self.aggregator.apply(&record);
            self.aggregator.at = reader.position();
        }
        let notes = self.records.notes;
        self.aggregator.note(LedgerEntry::Noted("undeclared_property"), notes.undeclared);
        self.aggregator.note(LedgerEntry::Noted("absent_identifier"), notes.absent);
        self.aggregator.at = 0;
        self.records.clear();
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.aggregator.in_hand = std::mem::take(&mut self.records);
    }
}
