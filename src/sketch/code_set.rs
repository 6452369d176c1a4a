//! The codes of a small set: one sorted, open-addressed table.

use crate::sketch::code::{CODE_INDEX_BITS, Code};

/// A free slot; no code is 0.
const FREE: u32 = 0;
const FIRST_SLOTS: usize = 8;

/// A set of codes, one for each index, with the largest tail seen.
///
/// Open addressing with linear probing, where the home of a code is the top bits of its index and the codes of a run are kept
/// in ascending order. So the table as a whole is sorted but for the few codes that wrap from its end to its beginning:
/// encoding is one sweep without a sort, and codes that come in order (from a blob, from another set) meet each slot once.
/// What stands in the table depends on the codes and the number of slots, not on the order of inserts.
///
/// At most three quarters of the slots are taken. Known code: 3-5 ns; fresh one: 6-9 ns with its share of the growth.
#[derive(Clone, Debug)]
pub(super) struct CodeSet {
    /// A power of two, or none at all.
    slots: Box<[u32]>,
    len: usize,
    /// Index bits that do not take part in the home slot.
    shift: u32,
}

impl CodeSet {
    pub(super) fn new() -> Self {
        Self { slots: Box::default(), len: 0, shift: CODE_INDEX_BITS }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn heap_bytes(&self) -> usize {
        size_of_val(&*self.slots)
    }

    /// Adds a code; returns whether the set changed.
    #[inline]
    pub(super) fn insert(&mut self, code: Code) -> bool {
        let (floor, ceiling) = (code.floor(), code.ceiling());
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = self.home(code);
        while let Some(slot) = self.slots.get_mut(at) {
            // A free slot (0 wraps to the largest) or a larger index ends the search.
            if slot.wrapping_sub(1) >= ceiling {
                break;
            }
            if *slot >= floor {
                let raises = code.bits() > *slot;
                if raises {
                    *slot = code.bits();
                }
                return raises;
            }
            at = (at + 1) & mask;
        }
        self.insert_fresh(code, at);
        true
    }

    /// Which of up to 64 codes are not where their search begins or next to it, as bits: those that are known mostly are.
    ///
    /// A search ends where what it reads says, so that the next one's read does not begin before; these reads wait for memory
    /// together, and no branch hangs on them.
    #[inline]
    pub(super) fn not_at_home(&self, codes: &[Code]) -> u64 {
        let mut others = 0;
        for (place, code) in codes.iter().enumerate() {
            let home = self.home(*code);
            let is_at = |at| self.slots.get(at).is_some_and(|slot| *slot == code.bits());
            let is_here = is_at(home) | is_at(home + 1);
            others |= u64::from(!is_here) << place;
        }
        others
    }

    /// Makes room for `codes` more, so that adding them in ascending order never probes far.
    pub(super) fn reserve(&mut self, codes: usize) {
        let wanted = slots_for(self.len.saturating_add(codes));
        if wanted > self.slots.len() {
            self.grow_to(wanted);
        }
    }

    /// Adds distinct codes in ascending order to an empty set that has room for them, without a search.
    pub(super) fn fill(&mut self, codes: impl Iterator<Item = Code>) {
        let mut free = 0;
        for code in codes {
            free = self.append(code.bits(), free);
            self.len += 1;
        }
    }

    /// The codes in ascending order.
    pub(super) fn ascending(&self) -> impl Iterator<Item = Code> + '_ {
        let in_place = self.occupied().filter(|&(at, code)| self.home(code) <= at).map(|(_, code)| code);
        in_place.chain(self.wrapped())
    }

    /// The codes that wrapped from the end of the table, in ascending order: the largest, and all in the first run.
    fn wrapped(&self) -> impl Iterator<Item = Code> + '_ {
        let first_run = self.slots.iter().enumerate().take_while(|(_, slot)| **slot != FREE);
        first_run
            .map(|(at, slot)| (at, Code::from_bits(*slot)))
            .filter(|&(at, code)| self.home(code) > at)
            .map(|(_, code)| code)
    }

    /// The codes in no order that means anything; a little faster.
    pub(super) fn iter(&self) -> impl Iterator<Item = Code> + '_ {
        self.occupied().map(|(_, code)| code)
    }

    fn occupied(&self) -> impl Iterator<Item = (usize, Code)> + '_ {
        let taken = self.slots.iter().enumerate().filter(|(_, slot)| **slot != FREE);
        taken.map(|(at, slot)| (at, Code::from_bits(*slot)))
    }

    #[inline]
    fn home(&self, code: Code) -> usize {
        (code.index() >> self.shift) as usize
    }

    /// Adds a code that is not in the set; `at` is where the search for it ended.
    #[inline]
    fn insert_fresh(&mut self, code: Code, at: usize) {
        let wanted = slots_for(self.len + 1);
        if wanted > self.slots.len() {
            self.grow_to(wanted);
            self.place(code, self.home(code));
        } else {
            self.place(code, at);
        }
        self.len += 1;
    }

    /// Puts a code where it belongs from `at` on and moves larger ones up, to the next free slot, which must exist.
    #[inline]
    fn place(&mut self, code: Code, mut at: usize) {
        let mask = self.slots.len().wrapping_sub(1);
        let mut carried = code.bits();
        while let Some(slot) = self.slots.get_mut(at) {
            if *slot == FREE {
                *slot = carried;
                return;
            }
            if *slot > carried {
                std::mem::swap(slot, &mut carried);
            }
            at = (at + 1) & mask;
        }
    }

    #[cold]
    #[inline(never)]
    fn grow_to(&mut self, slots: usize) {
        let grown = Self {
            slots: vec![FREE; slots].into_boxed_slice(),
            len: self.len,
            shift: CODE_INDEX_BITS.saturating_sub(slots.trailing_zeros()),
        };
        let old = std::mem::replace(self, grown);
        let mut free = 0;
        for (at, slot) in old.slots.iter().enumerate() {
            let wrapped = old.home(Code::from_bits(*slot)) > at;
            free = self.append(if wrapped { FREE } else { *slot }, free);
        }
        for code in old.wrapped() {
            self.place(code, self.home(code));
        }
    }

    /// Puts a code, larger than all so far, at its home or at `free` behind them; returns what is free then. A free slot is
    /// taken as it is, which changes nothing, so that no branch hangs on it.
    #[inline]
    fn append(&mut self, slot: u32, free: usize) -> usize {
        let code = Code::from_bits(slot);
        let at = self.home(code).max(free);
        match self.slots.get_mut(at) {
            Some(place) => *place = slot,
            None if slot != FREE => self.place(code, self.home(code)),
            None => (),
        }
        at + usize::from(slot != FREE)
    }
}

impl PartialEq for CodeSet {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.ascending().eq(other.ascending())
    }
}

impl Eq for CodeSet {}

/// The number of slots of which `codes` but one are no more than three quarters: the last one may turn the sketch to registers.
#[inline]
fn slots_for(codes: usize) -> usize {
    codes.saturating_sub(1).saturating_mul(4).div_ceil(3).next_power_of_two().max(FIRST_SLOTS)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::hash::IdHash;
    use crate::sketch::CODES_LIMIT;
    use crate::sketch::testing::Random;

    fn codes() -> impl Strategy<Value = Vec<Code>> {
        // Few distinct indexes, crowded at both ends of the table, with tails: collisions, wraps and raises.
        let index =
            prop_oneof![0_u32..300, (1 << 25) - 300_u32..1 << 25, 0_u32..1 << 25, 5_000_000_u32..5_000_099];
        let code = (index, 1_u32..=40)
            .prop_map(|(index, tail)| Code::from_parts(index, 0).or(Code::from_parts(index, tail)).unwrap());
        prop::collection::vec(code, 0..400)
    }

    proptest! {
        #[test]
        fn holds_what_a_map_from_index_to_largest_tail_holds(codes in codes(), reserved in 0_usize..600) {
            let mut set = CodeSet::new();
            let mut map = BTreeMap::new();
            set.reserve(reserved);
            for code in codes {
                let known = map.get(&code.index()).copied();
                prop_assert_eq!(set.insert(code), known.is_none_or(|tail| tail < code.tail()));
                map.insert(code.index(), known.unwrap_or(0).max(code.tail()));
                prop_assert_eq!(set.len(), map.len());
            }
            let expected: Vec<_> = map.into_iter().map(|(index, tail)| Code::from_parts(index, tail).unwrap()).collect();
            prop_assert_eq!(set.ascending().collect::<Vec<_>>(), expected);
            prop_assert_eq!(set.iter().count(), set.len());
        }
    }

    #[test]
    fn equal_sets_of_different_capacity_are_equal() {
        let mut random = Random::from_seed(3);
        let codes: Vec<_> = (0..1_000).map(|_| Code::of(IdHash::from_bits(random.next()))).collect();
        let mut small = CodeSet::new();
        let mut large = CodeSet::new();
        large.reserve(10_000);
        for (forward, backward) in codes.iter().zip(codes.iter().rev()) {
            small.insert(*forward);
            large.insert(*backward);
        }
        assert!(large.heap_bytes() > small.heap_bytes());
        assert_eq!(small, large);
        large.insert(Code::from_parts(77, 40).unwrap());
        assert_ne!(small, large);
    }

    #[test]
    fn three_quarters_of_the_slots_are_used() {
        let mut random = Random::from_seed(4);
        let mut set = CodeSet::new();
        while set.len() < CODES_LIMIT + 1 {
            set.insert(Code::of(IdHash::from_bits(random.next())));
        }
        assert_eq!(set.heap_bytes(), 4_096 * 4);
    }
}
