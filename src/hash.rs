//! The hash of an identifier, the one that Redis uses for HyperLogLog, so that registers can be handed over; and of names in tables.

use std::hash::{BuildHasher, Hasher};

/// MurmurHash64A's seed in Redis's `hyperloglog.c`.
const REDIS_SEED: u64 = 0xadc8_3b19;
const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;

/// The hash of one identifier: MurmurHash64A (Austin Appleby) with Redis's seed over the exact bytes that Redis would have
/// received. A raw identifier never crosses from the caller's thread, only what a sketch keeps
/// of this does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct IdHash(u64);

impl IdHash {
    /// Hashes the bytes of an identifier.
    #[inline]
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(murmur64a(bytes, REDIS_SEED))
    }

    /// Hashes a number below 10^8 as its decimal digits, without writing them out: the same as [`IdHash::of`] of its text.
    #[inline]
    pub(crate) fn of_short_decimal(number: u32) -> Self {
        let (digits, len) = decimal_digits(number);
        Self(finish(if len == 8 {
            mix(start(8, REDIS_SEED), digits)
        } else {
            (start(len, REDIS_SEED) ^ digits).wrapping_mul(MULTIPLIER)
        }))
    }

    /// Takes a hash that was made by [`IdHash::of`] back from its bits.
    #[inline]
    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The 64 bits.
    #[inline]
    pub(crate) fn bits(self) -> u64 {
        self.0
    }
}

/// MurmurHash64A for little-endian reads, as Redis computes it on every machine.
#[inline]
fn murmur64a(bytes: &[u8], seed: u64) -> u64 {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut hash = start(bytes.len() as u64, seed);
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word));
    }
    if !tail.is_empty() {
        hash = (hash ^ last_word(bytes, tail)).wrapping_mul(MULTIPLIER);
    }
    finish(hash)
}

/// The 1 to 7 bytes behind the last whole word, as a word of their own. They are read together with bytes before them, or
/// twice, which costs less than one by one.
#[inline]
fn last_word(bytes: &[u8], tail: &[u8]) -> u64 {
    let bits = tail.len() * 8;
    match (bytes.last_chunk::<8>(), tail.first_chunk::<4>(), tail.last_chunk::<4>(), tail) {
        (Some(last), ..) => u64::from_le_bytes(*last) >> (64 - bits),
        (_, Some(first), Some(last), _) => {
            u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << (bits - 32)
        }
        (.., [a]) => u64::from(*a),
        (.., [a, b]) => u64::from(*a) | u64::from(*b) << 8,
        (.., [a, b, c, ..]) => u64::from(*a) | u64::from(*b) << 8 | u64::from(*c) << 16,
        (.., []) => 0,
    }
}

#[inline]
fn start(len: u64, seed: u64) -> u64 {
    seed ^ len.wrapping_mul(MULTIPLIER)
}

#[inline]
fn mix(hash: u64, word: u64) -> u64 {
    let word = word.wrapping_mul(MULTIPLIER);
    (hash ^ (word ^ (word >> 47)).wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER)
}

#[inline]
fn finish(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 47)).wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 47)
}

/// The text of a number below 10^8 as little-endian bytes of a word, the first digit lowest, and its length.
///
/// The digits come apart in three steps, each on all lanes of the word at once: four and four, two and two, one and one. A
/// multiplication and a shift divide by 100 and by 10 exactly for numbers below 10^4 and 10^2. With the quotient `q` of a lane `x`
/// the two lanes `q` and `x - q d` above it are `(x << bits) - q ((d << bits) - 1)`.
#[inline]
fn decimal_digits(number: u32) -> (u64, u64) {
    let high = u64::from(number / 10_000);
    let fours = (u64::from(number) << 32).wrapping_sub(high.wrapping_mul((10_000 << 32) - 1));
    let hundreds = (fours.wrapping_mul(10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = (fours << 16).wrapping_sub(hundreds.wrapping_mul((100 << 16) - 1));
    let tens = (twos.wrapping_mul(103) >> 10) & 0x000f_000f_000f_000f;
    let digits = (twos << 8).wrapping_sub(tens.wrapping_mul((10 << 8) - 1));
    // The last digit is written even if it is 0.
    let leading_zeros = u64::from((digits | (1 << 56)).trailing_zeros() / 8);
    ((digits | 0x3030_3030_3030_3030) >> (leading_zeros * 8), 8 - leading_zeros)
}

/// Hashes event names: short texts that no stranger chooses.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NameHash;

impl BuildHasher for NameHash {
    type Hasher = NameHasher;

    #[inline]
    fn build_hasher(&self) -> NameHasher {
        NameHasher(0)
    }
}

/// MurmurHash64A over what is written, piece by piece.
#[derive(Debug)]
pub(crate) struct NameHasher(u64);

impl Hasher for NameHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0 = murmur64a(bytes, self.0);
    }

    /// `str` ends its hash with a byte that tells `("a", "b")` from `("ab", "")`; a name alone needs none.
    #[inline]
    fn write_u8(&mut self, _: u8) {}

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bytes_are_read_whatever_stands_before_them() {
        let bytes: Vec<u8> = (1..=40).map(|n: u8| n.wrapping_mul(37)).collect();
        for begin in 0..8 {
            for end in begin..bytes.len() {
                let text = &bytes[begin..end];
                let (words, tail) = text.as_chunks::<8>();
                let slow = tail.iter().rev().fold(0_u64, |word, byte| (word << 8) | u64::from(*byte));
                if !tail.is_empty() {
                    assert_eq!(last_word(text, tail), slow, "{begin}..{end}, {} words", words.len());
                }
            }
        }
    }

    #[test]
    fn short_decimals_hash_as_their_text() {
        let edges = (0..9).flat_map(|digits| {
            let power = 10_u32.pow(digits.min(8));
            [power.saturating_sub(1), power, power + 1, power / 2, power * 3 / 7]
        });
        let spread = (0..200_000_u32).map(|n| n.wrapping_mul(2_654_435_761) % 100_000_000);
        for number in edges.chain(spread).chain(0..20_000).filter(|number| *number < 100_000_000) {
            assert_eq!(
                IdHash::of_short_decimal(number),
                IdHash::of(number.to_string().as_bytes()),
                "{number}"
            );
        }
    }
}
