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
    let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(MULTIPLIER);
    let (words, tail) = bytes.as_chunks::<8>();
    for word in words {
        let mut k = u64::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        k ^= k >> 47;
        hash = (hash ^ k.wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER);
    }
    if !tail.is_empty() {
        let last = tail.iter().rev().fold(0_u64, |word, byte| (word << 8) | u64::from(*byte));
        hash = (hash ^ last).wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 47;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 47)
}
