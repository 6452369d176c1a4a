//! The live sketches of unique rules, and the codes that wait to be inserted into them.

use std::sync::Arc;

use crate::ingest::cells::Cells;
use crate::plan::RuleIndex;
use crate::sketch::Sketch;
use crate::sketch::code::Code;
use crate::time::bucket::Day;

/// Codes of one rule that wait, to be inserted together. One by one, each would find its sketch gone from the processor's
/// cache, since those of other rules came between.
const WAITING_AT_ONCE: usize = 64;
/// So many rules have codes that wait; those of others are inserted at once. Together they take 2 MiB.
const MAX_WAITING_RULES: usize = if cfg!(headcount_schedules) { 0 } else { 8_192 };
/// A sketch that no event has changed for so many batches is dropped; the file has it.
const COLD_AFTER_BATCHES: u32 = 600;
/// More sketches than this are never kept, however small they are.
const MAX_SKETCHES: usize = 500_000;
/// The most that one sketch takes in memory, rounded up.
const MAX_SKETCH_BYTES: usize = 16_640;
/// How often, in looks at it, the memory of live sketches is added up at the most: more rarely when there are many.
const MEASURE_EVERY: usize = if cfg!(headcount_schedules) { 1 } else { 8 };
const SKETCHES_PER_LOOK: usize = 64;

/// Sketches that are not committed yet, and those that are likely to change again. Their memory is bounded.
#[derive(Debug)]
pub(crate) struct Uniques {
    /// For each rule.
    waiting: Vec<Waiting>,
    /// The codes that wait, for each rule that had some.
    codes: Vec<[Code; WAITING_AT_ONCE]>,
    sketches: Cells<LiveSketch>,
    batches: u32,
    max_bytes: usize,
    is_over: bool,
    until_measured: usize,
}

/// The codes of one rule and day that wait.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    day: u32,
    /// [`WAITING_AT_ONCE`] where there is no room: before the first one and when they are as many.
    len: u32,
    /// Where its codes are; behind the last of them before the first code.
    place: u32,
}

const NO_PLACE: u32 = u32::MAX;
const NO_ROOM: u32 = 64;
const _: () = assert!(NO_ROOM as usize == WAITING_AT_ONCE);

#[derive(Debug, Default)]
struct LiveSketch {
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

impl Uniques {
    pub(crate) fn new(rules: usize, max_bytes: usize) -> Self {
        Self {
            waiting: vec![Waiting { day: 0, len: NO_ROOM, place: NO_PLACE }; rules],
            codes: Vec::new(),
            sketches: Cells::new(rules),
            batches: 0,
            max_bytes,
            is_over: false,
            until_measured: MEASURE_EVERY,
        }
    }

    /// Adds a code to the sketch of a rule and a day.
    #[inline]
    pub(crate) fn add(&mut self, rule: RuleIndex, day: u32, code: Code) {
        let Some(waiting) = usize::try_from(rule.0).ok().and_then(|rule| self.waiting.get_mut(rule)) else {
            return;
        };
        let row = usize::try_from(waiting.place).ok().and_then(|place| self.codes.get_mut(place));
        let slots = row.zip(usize::try_from(waiting.len).ok());
        match slots.and_then(|(row, len)| row.get_mut(len)) {
            Some(slot) if waiting.day == day => {
                *slot = code;
                waiting.len += 1;
            }
            _ => self.make_room(rule, day, code),
        }
    }

    /// Inserts the codes of a rule that wait, and has the first one of a day wait there.
    #[inline(never)]
    fn make_room(&mut self, rule: RuleIndex, day: u32, code: Code) {
        self.insert_waiting(rule);
        let Some(waiting) = usize::try_from(rule.0).ok().and_then(|rule| self.waiting.get_mut(rule)) else {
            return;
        };
        if waiting.place == NO_PLACE && self.codes.len() < MAX_WAITING_RULES {
            waiting.place = u32::try_from(self.codes.len()).unwrap_or(NO_PLACE);
            self.codes.push([code; WAITING_AT_ONCE]);
        }
        let place = usize::try_from(waiting.place).ok().and_then(|place| self.codes.get_mut(place));
        match place {
            Some([first, ..]) => {
                *first = code;
                (waiting.day, waiting.len) = (day, 1);
            }
            None => {
                if let Some(live) = self.sketches.cell(rule, day) {
                    live.insert(&[code], self.batches);
                }
            }
        }
    }

    /// The codes are taken out before they are inserted: should that panic, they are not tried again, and their uniques lack them.
    fn insert_waiting(&mut self, rule: RuleIndex) {
        let waiting = usize::try_from(rule.0).ok().and_then(|rule| self.waiting.get_mut(rule));
        let Some(waiting) = waiting.filter(|waiting| waiting.place != NO_PLACE) else { return };
        let place = usize::try_from(waiting.place).ok().and_then(|place| self.codes.get(place));
        let len = usize::try_from(std::mem::take(&mut waiting.len)).unwrap_or(WAITING_AT_ONCE);
        let Some(codes) = place.and_then(|place| place.get(..len)).filter(|codes| !codes.is_empty()) else {
            return;
        };
        if let Some(live) = self.sketches.cell(rule, waiting.day) {
            live.insert(codes, self.batches);
        }
    }

    /// Whether they take more memory than they may, as far as that is known: it is added up now and then.
    pub(crate) fn is_full(&mut self) -> bool {
        self.until_measured = self.until_measured.saturating_sub(1);
        if self.until_measured == 0 {
            self.until_measured = MEASURE_EVERY.max(self.sketches.len() / SKETCHES_PER_LOOK);
            self.is_over = self.sketches.len().saturating_mul(MAX_SKETCH_BYTES) > self.max_bytes
                && self.bytes() > self.max_bytes;
        }
        self.is_over || self.sketches.len() > MAX_SKETCHES
    }

    /// Gives every sketch that has changed since the last time to `put`, and drops the coldest down to the bound.
    pub(crate) fn cut(&mut self, mut put: impl FnMut(RuleIndex, Day, Arc<Sketch>)) {
        for rule in 0..self.waiting.len() {
            if let Ok(rule) = u32::try_from(rule) {
                self.insert_waiting(RuleIndex(rule));
            }
        }
        for cell in self.sketches.iter_mut().filter(|cell| cell.value.changed) {
            cell.value.changed = false;
            put(cell.rule, Day::from_index(cell.bucket), cell.value.held.lend());
        }
        self.batches = self.batches.wrapping_add(1);
        self.drop_cold();
    }

    /// Every sketch is in a batch or in the file when this runs, so that dropping one loses nothing.
    fn drop_cold(&mut self) {
        let now = self.batches;
        let mut keep_for = COLD_AFTER_BATCHES;
        let age = move |live: &LiveSketch| now.wrapping_sub(live.changed_in);
        if self.sketches.iter_mut().any(|cell| age(&cell.value) > keep_for) {
            self.sketches.retain(|cell| age(&cell.value) <= keep_for);
        }
        while self.sketches.len() > 0 && (self.sketches.len() > MAX_SKETCHES || self.bytes() > self.max_bytes)
        {
            keep_for /= 2;
            self.sketches.retain(|cell| keep_for > 0 && age(&cell.value) <= keep_for);
        }
        self.is_over = false;
    }

    fn bytes(&mut self) -> usize {
        self.sketches.iter_mut().map(|cell| cell.value.held.sketch().memory_bytes()).sum()
    }
}

impl LiveSketch {
    #[inline]
    fn insert(&mut self, codes: &[Code], batch: u32) {
        if self.held.own().insert_all(codes) {
            self.changed = true;
            self.changed_in = batch;
        }
    }
}

impl Held {
    /// The sketch, copied only while a batch still needs it as it was.
    #[inline]
    fn own(&mut self) -> &mut Sketch {
        if let Self::Lent(sketch) = self {
            *self = Self::Own(Arc::unwrap_or_clone(std::mem::take(sketch)));
        }
        match self {
            Self::Own(sketch) => sketch,
            Self::Lent(sketch) => Arc::make_mut(sketch),
        }
    }

    fn lend(&mut self) -> Arc<Sketch> {
        let sketch = match std::mem::take(self) {
            Self::Own(sketch) => Arc::new(sketch),
            Self::Lent(sketch) => sketch,
        };
        *self = Self::Lent(Arc::clone(&sketch));
        sketch
    }

    fn sketch(&self) -> &Sketch {
        match self {
            Self::Own(sketch) => sketch,
            Self::Lent(sketch) => sketch,
        }
    }
}

impl Default for Held {
    fn default() -> Self {
        Self::Own(Sketch::new())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::hash::IdHash;

    /// What was put, united by rule and day.
    fn united(uniques: &mut Uniques, all: &mut HashMap<(u32, u32), Sketch>) {
        uniques.cut(|rule, day, sketch| {
            all.entry((rule.0, day.index())).or_default().unite(&sketch);
        });
    }

    #[test]
    fn what_waits_is_in_the_next_cut_however_rules_and_days_alternate() {
        let hash = |n: u32| IdHash::of(&n.to_le_bytes());
        let mut uniques = Uniques::new(3, 1 << 26);
        let mut expected = HashMap::<(u32, u32), Sketch>::new();
        let mut all = HashMap::new();
        for n in 0..20_000 {
            let (rule, day) = (n * 7 % 3, n / 5 * n % 4);
            uniques.add(RuleIndex(rule), day, Code::of(hash(n % 6_500)));
            expected.entry((rule, day)).or_default().insert(hash(n % 6_500));
            if n % 1_777 == 0 {
                united(&mut uniques, &mut all);
            }
        }
        uniques.add(RuleIndex(3), 1, Code::of(hash(1)));
        united(&mut uniques, &mut all);
        assert_eq!(all, expected);
        uniques.cut(|rule, day, _| panic!("rule {} of day {} was put without a change", rule.0, day.index()));
    }

    #[test]
    fn rules_beyond_those_that_wait_are_inserted_at_once() {
        let rules = u32::try_from(MAX_WAITING_RULES).unwrap() + 10;
        let mut uniques = Uniques::new(MAX_WAITING_RULES + 10, 1 << 30);
        for rule in 0..rules {
            uniques.add(RuleIndex(rule), 1, Code::of(IdHash::of(b"ada")));
            uniques.add(RuleIndex(rule), 1, Code::of(IdHash::of(b"grace")));
        }
        let mut put = 0;
        uniques.cut(|_, _, sketch| {
            assert_eq!(sketch.estimate().rounded(), 2);
            put += 1;
        });
        assert_eq!(put, rules);
    }
}
