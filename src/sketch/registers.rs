//! The registers of a large set: Redis's, as bytes in memory.

use crate::hash::IdHash;

/// p: the hash bits that choose a register.
pub(super) const INDEX_BITS: u32 = 14;
/// The number of registers.
pub(super) const REGISTERS: usize = 1 << INDEX_BITS;
/// The largest rank that a register can hold.
pub(super) const MAX_RANK: u8 = 51;
/// Half of the registers, which share bytes with the other half when encoded.
pub(super) const HALF: usize = REGISTERS / 2;

const LOW_SIX: u8 = 0x3f;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;

/// 16,384 registers; each holds the largest rank seen, or 0.
///
/// `register = hash & 0x3fff` and `rank = 1 + trailing zeros of the other 50 bits`, as in Redis's `hyperloglog.c`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Registers([[u8; HALF]; 2]);

impl Registers {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self([[0; HALF]; 2]))
    }

    /// Adds a hash; returns whether its register rose.
    #[inline]
    pub(super) fn insert(&mut self, hash: IdHash) -> bool {
        let bits = hash.bits();
        let [rank, ..] = (((bits >> INDEX_BITS) | (1 << 50)).trailing_zeros() + 1).to_le_bytes();
        self.raise_rarely((bits & INDEX_MASK) as usize, rank)
    }

    /// What [`Registers::raise`] does, for single identifiers: nearly all find their register high enough; then nothing is written,
    /// and its cache line stays clean.
    #[inline]
    pub(super) fn raise_rarely(&mut self, register: usize, rank: u8) -> bool {
        match self.0.as_flattened_mut().get_mut(register) {
            Some(slot) if *slot < rank => {
                *slot = rank;
                true
            }
            _ => false,
        }
    }

    /// Raises a register to `rank` if it is lower; returns whether it was.
    #[inline]
    pub(super) fn raise(&mut self, register: usize, rank: u8) -> bool {
        // Whether it rises is often a coin's toss, so no branch hangs on it.
        self.0.as_flattened_mut().get_mut(register).is_some_and(|slot| raise_to(slot, rank) != 0)
    }

    /// Raises each register to the other's; returns whether one rose.
    pub(super) fn unite(&mut self, other: &Self) -> bool {
        let mut rose = 0;
        for (mine, theirs) in self.0.as_flattened_mut().iter_mut().zip(other.0.as_flattened()) {
            rose |= raise_to(mine, *theirs);
        }
        rose != 0
    }

    /// The lower and the upper registers.
    pub(super) fn halves(&self) -> &[[u8; HALF]; 2] {
        &self.0
    }

    pub(super) fn halves_mut(&mut self) -> &mut [[u8; HALF]; 2] {
        &mut self.0
    }

    /// The registers in order.
    pub(super) fn as_slice(&self) -> &[u8] {
        self.0.as_flattened()
    }

    /// How many registers hold each rank.
    pub(super) fn histogram(&self) -> [u32; 64] {
        // One count for each of four: neighbours of equal rank would wait for each other.
        let mut counts = [[0_u32; 64]; 4];
        let [in_first, in_second, in_third, in_fourth] = &mut counts;
        let (fours, _) = self.as_slice().as_chunks::<4>();
        for [a, b, c, d] in fours {
            count(in_first, *a);
            count(in_second, *b);
            count(in_third, *c);
            count(in_fourth, *d);
        }
        let [mut sum, rest @ ..] = counts;
        for counts in rest {
            for (sum, count) in sum.iter_mut().zip(counts) {
                *sum += count;
            }
        }
        sum
    }
}

#[inline]
fn raise_to(slot: &mut u8, rank: u8) -> u8 {
    let raised = rank.max(*slot);
    let rose = raised ^ *slot;
    *slot = raised;
    rose
}

#[inline]
fn count(counts: &mut [u32; 64], rank: u8) {
    if let Some(count) = counts.get_mut(usize::from(rank & LOW_SIX)) {
        *count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sketch::testing::Random;

    fn random_registers(seed: u64) -> Box<Registers> {
        let mut random = Random::from_seed(seed);
        let mut registers = Registers::new();
        for register in 0..REGISTERS {
            registers.raise(register, random.below(52).to_le_bytes()[0]);
        }
        registers
    }

    #[test]
    fn union_takes_the_larger_of_each_register() {
        let (a, b) = (random_registers(2), random_registers(3));
        let expected: Vec<_> = a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| *a.max(b)).collect();
        let mut united = a.clone();
        assert!(united.unite(&b));
        assert_eq!(united.as_slice(), expected);
        assert!(!united.unite(&a) && !united.unite(&b));
    }

    #[test]
    fn histogram_counts_every_register() {
        let registers = random_registers(4);
        let histogram = registers.histogram();
        assert_eq!(histogram.iter().sum::<u32>(), 16_384);
        for (rank, count) in (0_u8..).zip(histogram) {
            assert_eq!(registers.as_slice().iter().filter(|r| **r == rank).count(), count as usize);
        }
    }
}
