//! One small-set code: what 25 bits of index and a rank say about one identifier.

use crate::hash::IdHash;
use crate::sketch::registers::INDEX_BITS;

/// Bits of index in a code; linear counting over `2^25` cells is what makes small sets precise.
pub(super) const CODE_INDEX_BITS: u32 = 25;
/// The low bits of a code, which hold the tail.
pub(super) const TAIL_BITS: u32 = 7;
const TAIL_MASK: u32 = (1 << TAIL_BITS) - 1;
/// Hash bits above the index; the zeros that they end in, plus one, are a tail.
const REST_BITS: u32 = 64 - CODE_INDEX_BITS;
/// The largest tail: all bits above the index are 0.
pub(super) const MAX_TAIL: u32 = REST_BITS + 1;

/// The low 25 bits of the hash, its index, and a tail: what HyperLogLog++'s sparse encoding keeps at p' = 25 and p = 14 (Heule,
/// Nunkesser and Hall, 2013), read from the low end as Redis reads a hash, and laid out so that codes sort by index.
///
/// The low 14 bits of the index name the register. Where the other 11 are not all 0 they settle its rank and the tail is 0;
/// else the tail is the number of zeros above the index, plus one, `1..=40`. So no code is 0, which marks a free slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Code(u32);

impl Code {
    #[inline]
    pub(crate) fn of(hash: IdHash) -> Self {
        let bits = hash.bits();
        let index = (bits & ((1 << CODE_INDEX_BITS) - 1)) as u32;
        let tail = if needs_tail(index) { tail_of(bits) } else { 0 };
        Self((index << TAIL_BITS) | tail)
    }

    /// The code of an index below `2^25` and its tail; `None` where no hash gives such a pair.
    #[inline]
    pub(super) fn from_parts(index: u32, tail: u32) -> Option<Self> {
        let tail_fits = if needs_tail(index) { (1..=MAX_TAIL).contains(&tail) } else { tail == 0 };
        (index >> CODE_INDEX_BITS == 0 && tail_fits).then_some(Self((index << TAIL_BITS) | tail))
    }

    /// Takes back what [`Code::bits`] gave.
    #[inline]
    pub(crate) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    #[inline]
    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    /// The 25 bits of index. Two codes of one index say the same but for the larger tail, which wins.
    #[inline]
    pub(super) fn index(self) -> u32 {
        self.0 >> TAIL_BITS
    }

    #[inline]
    pub(super) fn tail(self) -> u32 {
        self.0 & TAIL_MASK
    }

    /// The smallest bits that a code of this index can have.
    #[inline]
    pub(super) fn floor(self) -> u32 {
        self.0 & !TAIL_MASK
    }

    /// The largest bits that a code of this index can have.
    #[inline]
    pub(super) fn ceiling(self) -> u32 {
        self.0 | TAIL_MASK
    }

    /// The register that this code belongs to, as Redis numbers them.
    #[inline]
    pub(super) fn register(self) -> usize {
        (self.index() & ((1 << INDEX_BITS) - 1)) as usize
    }

    /// The rank that this code gives its register, `1..=51`.
    #[inline]
    pub(super) fn rank(self) -> u8 {
        let rank = match self.tail() {
            0 => (self.index() >> INDEX_BITS).trailing_zeros() + 1,
            tail => CODE_INDEX_BITS - INDEX_BITS + tail,
        };
        let [rank, ..] = rank.to_le_bytes();
        rank
    }

    /// Some hash that has this code.
    pub(super) fn sample_hash(self) -> IdHash {
        let index = u64::from(self.index());
        let rest = match self.tail() {
            0 => 0,
            tail => (1_u64 << (tail - 1)) & ((1 << REST_BITS) - 1),
        };
        IdHash::from_bits(index | (rest << CODE_INDEX_BITS))
    }
}

/// Whether the index leaves its register's rank open, so that the code carries a tail.
#[inline]
pub(super) fn needs_tail(index: u32) -> bool {
    index >> INDEX_BITS == 0
}

#[cold]
fn tail_of(bits: u64) -> u32 {
    ((bits >> CODE_INDEX_BITS) | (1 << REST_BITS)).trailing_zeros() + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sketch::registers::MAX_RANK;
    use crate::sketch::testing::Random;

    /// What Redis's `hllPatLen` computes, written from its description.
    fn redis_register(hash: u64) -> (usize, u8) {
        let mut rank = 1;
        let mut rest = (hash >> 14) | (1 << 50);
        while rest & 1 == 0 {
            rank += 1;
            rest >>= 1;
        }
        ((hash & 0x3fff) as usize, rank)
    }

    #[test]
    fn code_gives_the_register_that_redis_computes_from_the_hash() {
        let mut random = Random::from_seed(1);
        for _ in 0..300_000 {
            // Half of the hashes have long runs of zeros, which random ones never show.
            let hash = match random.next() % 4 {
                0 => random.next() & !(u64::MAX >> (random.next() % 64) << (14 + random.next() % 4)),
                1 => (random.next() & 0x3fff) | (random.next() << (14 + random.next() % 50)),
                _ => random.next(),
            };
            let code = Code::of(IdHash::from_bits(hash));
            assert_eq!((code.register(), code.rank()), redis_register(hash), "{hash:#x}");
            assert_eq!(Code::from_parts(code.index(), code.tail()), Some(code), "{hash:#x}");
            assert_eq!(Code::of(code.sample_hash()), code, "{hash:#x}");
            assert!(code.bits() != 0);
        }
    }

    #[test]
    fn hash_of_zeros_has_the_largest_rank() {
        let code = Code::of(IdHash::from_bits(0));
        assert_eq!((code.register(), code.rank(), code.tail()), (0, MAX_RANK, MAX_TAIL));
        let code = Code::of(IdHash::from_bits(0x3fff));
        assert_eq!((code.register(), code.rank()), (0x3fff, MAX_RANK));
    }

    #[test]
    fn parts_that_no_hash_gives_are_refused() {
        assert_eq!(Code::from_parts(0, 0), None);
        assert_eq!(Code::from_parts(0, MAX_TAIL + 1), None);
        assert_eq!(Code::from_parts(1 << INDEX_BITS, 1), None);
        assert_eq!(Code::from_parts(1 << CODE_INDEX_BITS, 1), None);
        assert!(Code::from_parts((1 << INDEX_BITS) - 1, 1).is_some());
    }
}
