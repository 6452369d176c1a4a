//! The registers of a large set: Redis's, as bytes in memory and as six-bit planes on disk.

use crate::hash::IdHash;

/// p: the hash bits that choose a register.
pub(super) const INDEX_BITS: u32 = 14;
/// The number of registers.
pub(super) const REGISTERS: usize = 1 << INDEX_BITS;
/// The largest rank that a register can hold.
pub(super) const MAX_RANK: u8 = 51;
/// The registers packed into six bits each.
pub(super) const PACKED_BYTES: usize = REGISTERS * 6 / 8;

const PLANE: usize = REGISTERS / 4;
const LOW_SIX: u8 = 0x3f;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;

/// Three planes of 4,096 bytes. The low six bits of byte `i` of plane `k` are register `4096 k + i`; the top two bits of the three
/// bytes `i` are, from the lowest, register `12288 + i`. Every loop over planes is the same work on neighbouring bytes, which
/// the compiler turns into vector code: 13 times faster than packed side by side.
pub(super) type Planes = [[u8; PLANE]; 3];

/// 16,384 registers; each holds the largest rank seen, or 0.
///
/// `register = hash & 0x3fff` and `rank = 1 + trailing zeros of the other 50 bits`, as in Redis's `hyperloglog.c`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Registers([[u8; PLANE]; 4]);

impl Registers {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self([[0; PLANE]; 4]))
    }

    /// Adds a hash; returns whether its register rose.
    #[inline]
    pub(super) fn insert(&mut self, hash: IdHash) -> bool {
        let bits = hash.bits();
        let [rank, ..] = (((bits >> INDEX_BITS) | (1 << 50)).trailing_zeros() + 1).to_le_bytes();
        // Nearly all hashes find their register high enough; then nothing is written, and its cache line stays clean.
        match self.0.as_flattened_mut().get_mut((bits & INDEX_MASK) as usize) {
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

    /// Raises each register to what the planes hold; returns whether one rose.
    pub(super) fn unite_planes(&mut self, planes: &Planes) -> bool {
        let [first, second, third, fourth] = &mut self.0;
        let [a, b, c] = planes;
        let mut rose = 0;
        let registers = first.iter_mut().zip(second).zip(third).zip(fourth);
        for ((((first, second), third), fourth), ((a, b), c)) in registers.zip(a.iter().zip(b).zip(c)) {
            rose |= raise_to(first, a & LOW_SIX);
            rose |= raise_to(second, b & LOW_SIX);
            rose |= raise_to(third, c & LOW_SIX);
            rose |= raise_to(fourth, spread(*a, *b, *c));
        }
        rose != 0
    }

    /// The registers as planes.
    pub(super) fn to_planes(&self) -> Planes {
        let [first, second, third, fourth] = &self.0;
        let mut planes = [[0; PLANE]; 3];
        let [a, b, c] = &mut planes;
        let registers = first.iter().zip(second).zip(third).zip(fourth);
        for ((((first, second), third), fourth), ((a, b), c)) in registers.zip(a.iter_mut().zip(b).zip(c)) {
            *a = first | (fourth << 6);
            *b = second | ((fourth >> 2) << 6);
            *c = third | ((fourth >> 4) << 6);
        }
        planes
    }

    /// The registers in order.
    pub(super) fn as_slice(&self) -> &[u8] {
        self.0.as_flattened()
    }

    /// How many registers hold each rank.
    pub(super) fn histogram(&self) -> [u32; 64] {
        // One count for each plane: neighbours of equal rank would wait for each other.
        let mut counts = [[0_u32; 64]; 4];
        let [first, second, third, fourth] = &self.0;
        let [in_first, in_second, in_third, in_fourth] = &mut counts;
        for (((a, b), c), d) in first.iter().zip(second).zip(third).zip(fourth) {
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

/// The largest rank in the planes, which may be more than [`MAX_RANK`] in bytes that are no registers.
pub(super) fn largest_rank(planes: &Planes) -> u8 {
    let [a, b, c] = planes;
    let mut largest = 0;
    for ((a, b), c) in a.iter().zip(b).zip(c) {
        largest = largest.max(a & LOW_SIX).max(b & LOW_SIX).max(c & LOW_SIX).max(spread(*a, *b, *c));
    }
    largest
}

/// The register that the top bits of three bytes hold.
#[inline]
fn spread(a: u8, b: u8, c: u8) -> u8 {
    (a >> 6) | ((b >> 6) << 2) | ((c >> 6) << 4)
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
    fn planes_hold_every_register() {
        let registers = random_registers(1);
        let planes = registers.to_planes();
        let mut back = Registers::new();
        assert!(back.unite_planes(&planes));
        assert_eq!(back, registers);
        assert!(!back.unite_planes(&planes));
        for (register, &rank) in registers.as_slice().iter().enumerate() {
            let (plane, at) = (register / 4096, register % 4096);
            let stored = match plane {
                3 => planes.iter().rev().fold(0, |bits, plane| (bits << 2) | (plane[at] >> 6)),
                plane => planes[plane][at] & 63,
            };
            assert_eq!(stored, rank);
        }
    }

    #[test]
    fn union_takes_the_larger_of_each_register() {
        let (a, b) = (random_registers(2), random_registers(3));
        let expected: Vec<_> = a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| *a.max(b)).collect();
        let mut united = a.clone();
        assert!(united.unite(&b));
        assert_eq!(united.as_slice(), expected);
        assert!(!united.unite(&a) && !united.unite(&b));
        let mut from_planes = a;
        assert!(from_planes.unite_planes(&b.to_planes()));
        assert_eq!(from_planes, united);
    }

    #[test]
    fn largest_rank_sees_every_register() {
        for register in [0, 1, 4_095, 4_096, 9_000, 12_287, 12_288, 16_383] {
            let mut registers = Registers::new();
            registers.raise(register, 63);
            assert_eq!(largest_rank(&registers.to_planes()), 63);
        }
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
