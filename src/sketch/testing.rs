//! Random numbers that replay from a seed, and sketches made of them.
#![allow(clippy::cast_possible_truncation, reason = "limits in tests are small")]

use crate::hash::IdHash;
use crate::sketch::Sketch;

/// SplitMix64 (Steele, Lea and Flood, 2014): each output an ideal 64-bit hash.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn from_seed(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    pub(super) fn hash(&mut self) -> IdHash {
        IdHash::from_bits(self.next())
    }

    pub(super) fn sketch(&mut self, ids: usize) -> Sketch {
        let mut sketch = Sketch::new();
        for _ in 0..ids {
            sketch.insert(self.hash());
        }
        sketch
    }
}
