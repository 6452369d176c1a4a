//! The registers of a large set as bytes: four bits each, and a few apart.
//!
//! | bytes | what |
//! |---|---|
//! | 0 | base: the mean of the registers, rounded down, less 5, but at least 0 |
//! | 1-8192 | four bits a register: the low ones of byte `1 + i` are of register `i`, the high ones of register `8192 + i` |
//! | 3 each | registers apart, ascending: the number of the register, little-endian, and its rank |
//!
//! Four bits `b` above 0 are the rank `base + b`; 0 is the rank 0, or that of a register apart. So those are apart that are not 0
//! and outside of `base + 1 ..= base + 15`: 6 to 13 of random ones. All loops are the same work on neighbouring bytes, which the
//! compiler turns into vector code.

use crate::error::Error;
use crate::sketch::blob::{CHECKSUM_BYTES, damaged};
use crate::sketch::registers::{HALF, MAX_RANK, REGISTERS, Registers};

/// Below the mean by this much, random registers are fewer than one in 300,000; above the window, one in 1,300 or fewer.
const BASE_BELOW_MEAN: u8 = 5;
const LARGEST_NIBBLE: u8 = 15;
const APART_BYTES: usize = 3;
/// Random registers have hardly ever more of them.
const USUALLY_APART: usize = 32;
/// The most bytes of registers, all apart, which random ones never are.
#[cfg(test)]
pub(super) const MAX_REGISTERS_BYTES: usize = 1 + HALF + REGISTERS * APART_BYTES;
/// Nibbles are added up in bytes, and one byte takes so many pairs of them.
const PAIRS_IN_A_BYTE: usize = (u8::MAX / (2 * LARGEST_NIBBLE)) as usize;
const LANES: usize = 32;
const _: () = assert!(HALF.is_multiple_of(LANES * PAIRS_IN_A_BYTE));

/// Validated registers.
pub(super) struct RegistersBody<'a> {
    base: u8,
    nibbles: &'a [u8; HALF],
    apart: &'a [[u8; APART_BYTES]],
}

impl<'a> RegistersBody<'a> {
    /// Validates bytes with `apart` registers apart.
    pub(super) fn parse(apart: usize, bytes: &'a [u8]) -> Result<Self, Error> {
        let length = || {
            let expected = 1 + HALF + apart * APART_BYTES;
            damaged(format_args!("its registers have {} bytes instead of {expected}", bytes.len()))
        };
        let (&base, rest) = bytes.split_first().ok_or_else(length)?;
        let (nibbles, rest) = rest.split_first_chunk().ok_or_else(length)?;
        let (listed, []) = rest.as_chunks() else { return Err(length()) };
        if listed.len() != apart {
            return Err(length());
        }
        if base > MAX_RANK - BASE_BELOW_MEAN {
            return Err(damaged(format_args!(
                "its registers have the base {base}, more than any mean gives"
            )));
        }
        let body = Self { base, nibbles, apart: listed };
        body.check_apart()?;
        let expected = base_of(body.sum());
        if base != expected {
            return Err(damaged(format_args!("its registers have the base {base} instead of {expected}")));
        }
        let largest = MAX_RANK.saturating_sub(base);
        if largest < LARGEST_NIBBLE
            && let Some(byte) = nibbles.iter().find(|byte| **byte & 15 > largest || **byte >> 4 > largest)
        {
            let rank = base + (byte & 15).max(byte >> 4);
            return Err(damaged(format_args!("it has a register of rank {rank}, the largest is {MAX_RANK}")));
        }
        Ok(body)
    }

    fn check_apart(&self) -> Result<(), Error> {
        let mut next = 0;
        for (register, rank) in self.apart() {
            if register >= REGISTERS {
                return Err(damaged(format_args!(
                    "it has a register {register}, the last is {}",
                    REGISTERS - 1
                )));
            }
            if register < next {
                return Err(damaged(format_args!("its registers apart do not ascend")));
            }
            next = register + 1;
            if rank > MAX_RANK {
                return Err(damaged(format_args!(
                    "it has a register of rank {rank}, the largest is {MAX_RANK}"
                )));
            }
            let byte = self.nibbles.get(register % HALF).copied().unwrap_or_default();
            let nibble = if register < HALF { byte & 15 } else { byte >> 4 };
            if nibble != 0 || !is_apart(rank, self.base) {
                return Err(damaged(format_args!("register {register} is apart and need not be")));
            }
        }
        Ok(())
    }

    fn apart(&self) -> impl Iterator<Item = (usize, u8)> + '_ {
        self.apart.iter().map(|&[low, high, rank]| (usize::from(u16::from_le_bytes([low, high])), rank))
    }

    /// The sum of all ranks.
    fn sum(&self) -> u32 {
        let (mut sum, mut above_zero) = (0, 0);
        let (lanes, _) = self.nibbles.as_chunks::<LANES>();
        for lanes in lanes.chunks(PAIRS_IN_A_BYTE) {
            let (mut sums, mut counts) = ([0_u8; LANES], [0_u8; LANES]);
            for lanes in lanes {
                for ((sum, count), byte) in sums.iter_mut().zip(&mut counts).zip(lanes) {
                    let (low, high) = (byte & 15, byte >> 4);
                    *sum += low + high;
                    *count += u8::from(low != 0) + u8::from(high != 0);
                }
            }
            sum += sums.iter().map(|sum| u32::from(*sum)).sum::<u32>();
            above_zero += counts.iter().map(|count| u32::from(*count)).sum::<u32>();
        }
        let apart: u32 = self.apart().map(|(_, rank)| u32::from(rank)).sum();
        sum + above_zero * u32::from(self.base) + apart
    }

    /// Raises each register to what stands here; returns whether one rose.
    pub(super) fn raise(&self, registers: &mut Registers) -> bool {
        let [first, second] = registers.halves_mut();
        let base = self.base;
        let mut rose = 0;
        for ((low, high), byte) in first.iter_mut().zip(second).zip(self.nibbles) {
            rose |= raise_to(low, rank_of(byte & 15, base));
            rose |= raise_to(high, rank_of(byte >> 4, base));
        }
        self.apart().fold(rose != 0, |rose, (register, rank)| registers.raise(register, rank) | rose)
    }

    /// The same without telling, which is most of the work.
    pub(super) fn raise_silently(&self, registers: &mut Registers) {
        let [first, second] = registers.halves_mut();
        let base = self.base;
        for ((low, high), byte) in first.iter_mut().zip(second).zip(self.nibbles) {
            *low = rank_of(byte & 15, base).max(*low);
            *high = rank_of(byte >> 4, base).max(*high);
        }
        self.apart().for_each(|(register, rank)| {
            registers.raise(register, rank);
        });
    }
}

/// Appends registers; returns how many are apart.
pub(super) fn encode(registers: &Registers, blob: &mut Vec<u8>) -> usize {
    let base = base_of(registers.as_slice().iter().map(|rank| u32::from(*rank)).sum());
    blob.reserve(1 + HALF + USUALLY_APART * APART_BYTES + CHECKSUM_BYTES);
    blob.push(base);
    let [first, second] = registers.halves();
    let mut nibbles = [0; HALF];
    for ((byte, low), high) in nibbles.iter_mut().zip(first).zip(second) {
        *byte = nibble_of(*low, base) | (nibble_of(*high, base) << 4);
    }
    blob.extend_from_slice(&nibbles);
    let mut apart = 0;
    let (lanes, _) = registers.as_slice().as_chunks::<LANES>();
    for (at, lanes) in (0_u16..).step_by(LANES).zip(lanes) {
        // Few lanes have one, and this loop becomes a few vector instructions.
        if !lanes.iter().fold(false, |any, rank| any | is_apart(*rank, base)) {
            continue;
        }
        for (register, rank) in (at..).zip(lanes).filter(|(_, rank)| is_apart(**rank, base)) {
            let [low, high] = register.to_le_bytes();
            blob.extend_from_slice(&[low, high, *rank]);
            apart += 1;
        }
    }
    apart
}

fn base_of(sum: u32) -> u8 {
    let mean = sum >> REGISTERS.ilog2();
    let [mean, ..] = mean.to_le_bytes();
    mean.saturating_sub(BASE_BELOW_MEAN)
}

#[inline]
fn nibble_of(rank: u8, base: u8) -> u8 {
    // A rank below the base wraps to a large number.
    let above = rank.wrapping_sub(base);
    if above > LARGEST_NIBBLE { 0 } else { above }
}

#[inline]
fn rank_of(nibble: u8, base: u8) -> u8 {
    if nibble == 0 { 0 } else { nibble + base }
}

#[inline]
fn is_apart(rank: u8, base: u8) -> bool {
    (rank != 0) & (nibble_of(rank, base) == 0)
}

#[inline]
fn raise_to(slot: &mut u8, rank: u8) -> u8 {
    let raised = rank.max(*slot);
    let rose = raised ^ *slot;
    *slot = raised;
    rose
}
