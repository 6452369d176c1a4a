//! The aggregator: adds records up and cuts batches. It does no I/O and knows no thread.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::ingest::cells::Cells;
use crate::ingest::intern::ValueNames;
use crate::ingest::record::{AnyRecord, PlainRecord, Records};
use crate::ingest::uniques::Uniques;
use crate::plan::{EventMeasure, Plan, RuleIndex};
use crate::sketch::code::Code;
use crate::storage::batch::{Batch, LedgerEntry, ProducerId, SeriesId};
use crate::storage::sum::Sum;
use crate::time::bucket::{Day, Hour};
use crate::time::timestamp::Timestamp;

/// A batch is cut at the latest with so many cells of one kind.
const MAX_CELLS: usize = 500_000;
/// The ledger's name for rules that were skipped since an event lacked what they count.
const ABSENT_IDENTIFIER: &str = "absent_identifier";

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
    uniques: Uniques,
    per_value: Cells<HashMap<u32, u64>>,
    /// Events that are added up, for the ledger of the next batch, and what else belongs into it.
    stored: u64,
    /// Identifiers that plain events lacked.
    absent: u64,
    ledger: BTreeMap<LedgerEntry, u64>,
    /// The records in work, kept here so that a panic leaves them, and the place of the record in work.
    in_hand: Records,
    at: usize,
    #[cfg(any(test, headcount_schedules))]
    pub(crate) panic_at_value: Option<f64>,
}

/// Whether there was a record in work to be passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skipped {
    Record,
    Nothing,
}

impl Aggregator {
    pub(crate) fn new(target: Target, max_sketch_bytes: usize) -> Self {
        let rules = target.plan.rules().len();
        Self {
            target,
            counts: Cells::new(rules),
            sums: Cells::new(rules),
            uniques: Uniques::new(rules, max_sketch_bytes),
            per_value: Cells::new(rules),
            stored: 0,
            absent: 0,
            ledger: BTreeMap::new(),
            in_hand: Records::default(),
            at: 0,
            #[cfg(any(test, headcount_schedules))]
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
        if reader.next_plain().is_none() && reader.next_any().is_none() {
            return Skipped::Nothing;
        }
        self.at = reader.position();
        self.note(LedgerEntry::Lost(reason), 1);
        Skipped::Record
    }

    #[inline]
    fn apply_plain(&mut self, record: &PlainRecord<'_>) {
        if let Some(count) = self.counts.cell(record.event.total, record.hour.index()) {
            *count += 1;
        }
        let day = record.hour.day().index();
        let [user, project, namespace] = record.event.uniques;
        self.add_plain(user, day, record.user);
        self.add_plain(project, day, record.project);
        self.add_plain(namespace, day, record.namespace);
        self.stored += 1;
    }

    /// Adds the identifier of a plain event to its unique, if there is one.
    #[inline]
    fn add_plain(&mut self, unique: RuleIndex, day: u32, code: Option<Code>) {
        match code {
            Some(code) => self.uniques.add(unique, day, code),
            None if unique != RuleIndex::NONE => self.absent += 1,
            None => (),
        }
    }

    #[inline(never)]
    fn apply_any(&mut self, record: &AnyRecord<'_>) {
        #[cfg(any(test, headcount_schedules))]
        assert!(self.panic_at_value != Some(record.value), "a panic put in by a test");
        let (hour, day) = (record.hour.index(), record.hour.day().index());
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
                if let Some(bits) = record.codes.get(usize::from(input)) {
                    self.uniques.add(rule.index, day, Code::from_bits(*bits));
                }
            }
            EventMeasure::PerValue { interned } => {
                let number = record.interned.get(usize::from(interned)).copied().unwrap_or(0);
                if let Some(values) = self.per_value.cell(rule.index, day) {
                    let count = values.entry(number).or_default();
                    *count = count.saturating_add(1);
                }
            }
        });
        self.stored += 1;
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
        self.uniques.is_full()
            || self.counts.len() > MAX_CELLS
            || self.sums.len() > MAX_CELLS
            || self.per_value.len() > MAX_CELLS
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
        let sketches = &mut batch.sketches;
        self.uniques.cut(|rule, day, sketch| sketches.extend(of(rule).map(|id| (id, day, sketch))));
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
        let absent = std::mem::take(&mut self.absent);
        self.note(LedgerEntry::Noted(ABSENT_IDENTIFIER), absent);
        let stored = std::mem::take(&mut self.stored);
        self.note(LedgerEntry::Stored, stored);
        batch.ledger = std::mem::take(&mut self.ledger);
        batch
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
        loop {
            while let Some(record) = reader.next_plain() {
                self.aggregator.apply_plain(&record);
                self.aggregator.at = reader.position();
            }
            let Some(record) = reader.next_any() else { break };
            self.aggregator.apply_any(&record);
            self.aggregator.at = reader.position();
        }
        let notes = self.records.notes;
        self.aggregator.note(LedgerEntry::Noted("undeclared_property"), notes.undeclared);
        self.aggregator.note(LedgerEntry::Noted(ABSENT_IDENTIFIER), notes.absent);
        self.aggregator.at = 0;
        self.records.clear();
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.aggregator.in_hand = std::mem::take(&mut self.records);
    }
}
