//! The hash of an identifier: the one that Redis uses for HyperLogLog, so that registers can be handed over.

/// MurmurHash64A's seed in Redis's `hyperloglog.c`.
const REDIS_SEED: u64 = 0xadc8_3b19;
const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;

/// The hash of one identifier: MurmurHash64A (Austin Appleby) with Redis's seed over the exact bytes that Redis would have
/// received. A raw identifier never crosses from the caller's thread, only this does.
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
pub(crate) fn murmur64a(bytes: &[u8], seed: u64) -> u64 {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut hash = start(bytes.len() as u64, seed);
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word));
    }
    if !tail.is_empty() {
        let last = tail.iter().rev().fold(0_u64, |word, byte| (word << 8) | u64::from(*byte));
        hash = (hash ^ last).wrapping_mul(MULTIPLIER);
    }
    finish(hash)
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
/// multiplication and a shift divide by 100 and by 10 exactly for numbers below 10^4 and 10^2.
#[inline]
fn decimal_digits(number: u32) -> (u64, u64) {
    let (high, low) = (u64::from(number / 10_000), u64::from(number % 10_000));
    let fours = high | (low << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    let digits = tens | ((twos - tens * 10) << 8);
    // The last digit is written even if it is 0.
    let leading_zeros = u64::from((digits | (1 << 56)).trailing_zeros() / 8);
    ((digits | 0x3030_3030_3030_3030) >> (leading_zeros * 8), 8 - leading_zeros)
}

#[cfg(test)]
mod tests {
    use super::*;

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
