//! How many distinct indexes the codes of many sketches have.

use crate::sketch::code::{CODE_INDEX_BITS, Code, needs_tail};

/// A table is made for so many codes; for more, which would leave it for slower memory, a bitmap of one block after another.
const TABLE_CODES: usize = 16_384;
/// A table has so many slots a code, or up to twice as many.
const SLOTS_PER_CODE: usize = 2;
/// Random codes stand next to their home or on it. Those that somebody chose to crowd are counted in the bitmap.
const PROBES_PER_CODE: usize = 4;
/// Indexes of a block; their bitmap takes 128 KiB.
const BLOCK_BITS: u32 = 20;
const BLOCKS: u32 = 1 << (CODE_INDEX_BITS - BLOCK_BITS);
const WORDS: usize = 1 << (BLOCK_BITS - u64::BITS.trailing_zeros());

/// Codes in runs, each of ascending blocks: those of a sketch are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    codes: Vec<u32>,
    /// Where the runs end.
    ends: Vec<usize>,
}

impl Runs {
    /// Adds codes, as their bits, to the run that has not ended.
    #[inline]
    pub(super) fn extend(&mut self, codes: &[u32]) {
        self.codes.extend_from_slice(codes);
    }

    /// Ends a run.
    pub(super) fn end(&mut self) {
        if self.codes.len() > self.last_end() {
            self.ends.push(self.codes.len());
        }
    }

    /// Takes back the run that has not ended.
    pub(super) fn undo(&mut self) {
        self.codes.truncate(self.last_end());
    }

    /// Adds the runs of another.
    pub(super) fn append(&mut self, other: &Self) {
        let before = self.codes.len();
        self.codes.extend_from_slice(&other.codes);
        self.ends.extend(other.ends.iter().map(|end| before + end));
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.codes.capacity() * size_of::<u32>() + self.ends.capacity() * size_of::<usize>()
    }

    /// The number of codes, repeated ones too.
    pub(super) fn len(&self) -> usize {
        self.codes.len()
    }

    /// The codes, repeated ones too.
    pub(super) fn iter(&self) -> impl Iterator<Item = Code> + '_ {
        self.codes.iter().map(|bits| Code::from_bits(*bits))
    }

    /// How many distinct indexes there are.
    pub(super) fn distinct(&self) -> usize {
        if self.ends.len() < 2 {
            return self.codes.len();
        }
        self.distinct_in_table().unwrap_or_else(|| {
            let mut distinct = 0;
            self.walk(|_, is_fresh| distinct += usize::from(is_fresh));
            distinct
        })
    }

    /// Keeps one code of each index, that with the largest tail.
    pub(super) fn drop_repeated(&mut self) {
        let mut tailed: Vec<u32> =
            self.iter().filter(|code| needs_tail(code.index())).map(Code::bits).collect();
        // The largest tail of an index comes first, and stays.
        tailed.sort_unstable_by(|a, b| b.cmp(a));
        tailed.dedup_by_key(|bits| Code::from_bits(*bits).index());
        let mut kept = tailed;
        self.walk(|code, is_fresh| {
            if is_fresh && !needs_tail(code.index()) {
                kept.push(code.bits());
            }
        });
        *self = Self { ends: vec![kept.len()], codes: kept };
    }

    fn last_end(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Counts in a table of open addresses; `None` if there are too many codes, or too many of one home.
    fn distinct_in_table(&self) -> Option<usize> {
        const FREE: u32 = 0;
        if self.codes.len() > TABLE_CODES {
            return None;
        }
        let mut slots = vec![FREE; (self.codes.len() * SLOTS_PER_CODE).next_power_of_two()];
        let mask = slots.len() - 1;
        // The home is in the index's top bits: a run, which ascends, passes the table from its beginning to its end.
        let shift = CODE_INDEX_BITS.saturating_sub(slots.len().trailing_zeros());
        let mut probes_left = self.codes.len() * PROBES_PER_CODE;
        let mut distinct = 0;
        for code in self.iter() {
            let wanted = code.index() + 1;
            let mut at = (code.index() >> shift) as usize & mask;
            // Whether an index is fresh is often a coin's toss, so no branch hangs on it.
            loop {
                let slot = slots.get_mut(at)?;
                // The product is 0 if the slot is free, or has this index.
                if u64::from(*slot) * u64::from(*slot ^ wanted) == 0 {
                    distinct += usize::from(*slot == FREE);
                    *slot = wanted;
                    break;
                }
                probes_left = probes_left.checked_sub(1)?;
                at = (at + 1) & mask;
            }
        }
        Some(distinct)
    }

    /// Shows all codes, block by block, and whether each is the first of its index.
    fn walk(&self, mut show: impl FnMut(Code, bool)) {
        let starts = std::iter::once(&0).chain(&self.ends);
        let mut rests: Vec<&[u32]> = starts
            .zip(&self.ends)
            .map(|(start, end)| self.codes.get(*start..*end).unwrap_or_default())
            .collect();
        let mut bitmap = vec![0_u64; WORDS];
        for block in 0..BLOCKS {
            for rest in &mut rests {
                let mut taken = 0;
                for bits in *rest {
                    let code = Code::from_bits(*bits);
                    let index = code.index();
                    if index >> BLOCK_BITS != block {
                        break;
                    }
                    let bit = 1 << (index % u64::BITS);
                    if let Some(word) = bitmap.get_mut((index / u64::BITS) as usize % WORDS) {
                        show(code, *word & bit == 0);
                        *word |= bit;
                    }
                    taken += 1;
                }
                *rest = rest.get(taken..).unwrap_or_default();
            }
            bitmap.fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation, reason = "the low bits are wanted")]

    use std::collections::BTreeMap;

    use super::*;
    use crate::sketch::testing::Random;

    /// Runs of codes with a mask for their indexes, and the largest tail of each index.
    fn runs_of(
        seed: u64,
        runs: usize,
        codes: usize,
        pick: impl Fn(u64) -> u32,
    ) -> (Runs, BTreeMap<u32, u32>) {
        let mut random = Random::from_seed(seed);
        let mut all = Runs::default();
        let mut largest = BTreeMap::new();
        for _ in 0..runs {
            let mut run = BTreeMap::new();
            for _ in 0..codes {
                let index = pick(random.next()) % (1 << CODE_INDEX_BITS);
                let tail = if needs_tail(index) { 1 + (random.next() % 40) as u32 } else { 0 };
                run.insert(index, tail);
            }
            for (index, tail) in run {
                all.extend(&[Code::from_parts(index, tail).unwrap().bits()]);
                let known = largest.entry(index).or_insert(tail);
                *known = tail.max(*known);
            }
            all.end();
        }
        (all, largest)
    }

    #[test]
    fn distinct_and_dropping_repeated_agree_with_a_map() {
        let low = |bits: u64| bits as u32;
        let shared = |bits: u64| (bits % 3_000) as u32 * 11_003;
        let tailed = |bits: u64| (bits % 20_000) as u32;
        let one_home = |bits: u64| (bits as u32) << 16;
        let ends = |bits: u64| (bits as u32 & 0x1f) | if bits >> 63 == 1 { 0x1ff_ffe0 } else { 0 };
        let picks: [&dyn Fn(u64) -> u32; 5] = [&low, &shared, &tailed, &one_home, &ends];
        for (seed, (runs, codes)) in
            [(0, 5), (1, 700), (2, 1), (3, 400), (28, 100), (28, 3_000)].into_iter().enumerate()
        {
            for (which, pick) in picks.iter().enumerate() {
                let (mut all, largest) = runs_of(seed as u64, runs, codes, pick);
                assert_eq!(all.distinct(), largest.len(), "{runs} runs of {codes}, choice {which}");
                all.drop_repeated();
                assert_eq!(all.distinct(), largest.len());
                let kept: BTreeMap<_, _> = all.iter().map(|code| (code.index(), code.tail())).collect();
                assert_eq!((all.len(), kept), (largest.len(), largest));
            }
        }
    }

    #[test]
    fn codes_of_one_home_leave_the_table() {
        let (crowded, largest) = runs_of(1, 2, 2_000, |bits| (bits as u32) & 0x7ff);
        assert_eq!(crowded.distinct_in_table(), None);
        assert_eq!(crowded.distinct(), largest.len());
        let (random, largest) = runs_of(1, 2, 2_000, |bits| bits as u32);
        assert_eq!(random.distinct_in_table(), Some(largest.len()));
    }

    #[test]
    fn undoing_leaves_the_runs_before() {
        let (mut runs, largest) = runs_of(2, 3, 100, |bits| bits as u32);
        runs.extend(&[Code::from_parts(1 << 20, 0).unwrap().bits()]);
        runs.undo();
        runs.end();
        assert_eq!((runs.distinct(), runs.ends.len()), (largest.len(), 3));
    }
}
