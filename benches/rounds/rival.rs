//! The sketch of `hyperloglogplus` with the precision of ours, for identifiers that are random and stand for their own hash.

#![allow(dead_code, reason = "each bench uses its own part")]

use std::hash::{BuildHasher, Hasher};

use headcount::Sketch;
use hyperloglogplus::{HyperLogLog, HyperLogLogPlus};
use serde::{Deserialize, Serialize};

pub(crate) type Rival = HyperLogLogPlus<u64, AsGiven>;

/// Ours over the same identifiers; it hashes them (MurmurHash64A, 1-2 ns).
pub(crate) fn ours_of(ids: &[u64]) -> Sketch {
    let mut sketch = Sketch::new();
    for id in ids {
        sketch.add(&id.to_le_bytes());
    }
    sketch
}

pub(crate) fn rival_of(ids: &[u64]) -> Rival {
    let mut sketch = HyperLogLogPlus::new(14, AsGiven(0)).unwrap();
    ids.iter().for_each(|id| sketch.insert(id));
    sketch
}

/// Takes a random number for its own hash.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct AsGiven(u64);

impl BuildHasher for AsGiven {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for AsGiven {
    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
