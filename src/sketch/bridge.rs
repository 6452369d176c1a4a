//! A second opinion: the estimate of the `hyperloglogplus` crate for the same set.

use std::hash::{BuildHasher, Hasher};

use hyperloglogplus::{HyperLogLog, HyperLogLogPlus};
use serde::Deserialize;
use serde_json::json;

use crate::error::{Error, ErrorKind};
use crate::hash::IdHash;
use crate::sketch::Sketch;
use crate::sketch::registers::{INDEX_BITS, REGISTERS};
use crate::sketch::state::State;

/// Registers in one of the crate's words.
const REGISTERS_PER_WORD: usize = 5;
/// The cells of the crate's linear counting, and the bytes of codes above which it turns to registers.
const LINEAR_COUNTING_CELLS: usize = 1 << 24;
const CODES_BYTES: usize = 4 * REGISTERS / REGISTERS_PER_WORD;

/// The estimate of `hyperloglogplus` for what a sketch stands for.
///
/// The crate is handed one hash for each code or register and counts for itself; no byte of a store gets to its
/// `Deserialize`, which does not validate. It cannot be made to begin with registers through its API, so an empty sketch in
/// that state is read from a constant.
///
/// Known differences to [`Sketch::estimate`]: for codes `+n²/2^26`, as the crate counts over `2^24` cells where there are
/// `2^25`; for registers other estimators (the crate's with a bias of +0.1 % up to 80,000); `Sketch::known_difference` has the figures.
///
/// # Errors
///
/// [`ErrorKind::Internal`] if the crate no longer has the layout that version 0.4.1 has.
pub(crate) fn second_opinion(sketch: &Sketch) -> Result<f64, Error> {
    let mut plus = match &sketch.0 {
        State::Codes(codes) => {
            let mut plus = HyperLogLogPlus::new(precision(), Reversed).map_err(changed)?;
            codes.iter().for_each(|code| plus.insert(&code.sample_hash().bits()));
            plus
        }
        State::Registers(registers) => {
            let mut plus = empty_registers()?;
            for (register, rank) in (0_u64..).zip(registers.as_slice()).filter(|(_, rank)| **rank > 0) {
                plus.insert(&sample_hash(register, *rank).bits());
            }
            plus
        }
    };
    Ok(plus.count())
}

type Plus = HyperLogLogPlus<u64, Reversed>;

fn precision() -> u8 {
    let [precision, ..] = INDEX_BITS.to_le_bytes();
    precision
}

fn empty_registers() -> Result<Plus, Error> {
    let words = vec![0_u32; REGISTERS.div_ceil(REGISTERS_PER_WORD)];
    let empty = json!({
        "builder": null,
        "precision": precision(),
        "counts": [REGISTERS, LINEAR_COUNTING_CELLS, CODES_BYTES],
        "tmpset": [],
        "sparse": { "count": 0, "last": 0, "buf": [] },
        "registers": { "buf": words, "count": REGISTERS, "zeros": REGISTERS },
        "phantom": null,
    });
    Plus::deserialize(empty).map_err(changed)
}

/// Some hash with this register and rank.
fn sample_hash(register: u64, rank: u8) -> IdHash {
    let rest = 1_u64.checked_shl(u32::from(rank).saturating_sub(1)).unwrap_or(0) & ((1 << 50) - 1);
    IdHash::from_bits(register | (rest << INDEX_BITS))
}

fn changed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Internal, "the second opinion needs hyperloglogplus 0.4.1").with_source(error)
}

/// Hands a hash over with its bits reversed: the crate reads registers from the top, Redis from the bottom.
#[derive(Clone, Debug, Deserialize)]
struct Reversed;

impl BuildHasher for Reversed {
    type Hasher = ReversedHash;

    fn build_hasher(&self) -> ReversedHash {
        ReversedHash(0)
    }
}

struct ReversedHash(u64);

impl Hasher for ReversedHash {
    fn write(&mut self, bytes: &[u8]) {
        // Only `u64`, which has its own method, is ever inserted.
        debug_assert!(bytes.is_empty());
    }

    fn write_u64(&mut self, bits: u64) {
        self.0 = bits.reverse_bits();
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
