//! A sketch as bytes, as it stands in the store.
//!
//! | bytes | what |
//! |---|---|
//! | 0 | magic, `H` |
//! | 1 | version, 1 |
//! | 2 | kind in the upper three bits (1 codes, 2 registers), p = 14 in the lower five |
//! | 3 | hash id: 1 is MurmurHash64A with Redis's seed, 2 is reserved for a keyed hash |
//! | 4-5 | number of codes, or of registers apart, little-endian |
//! | 6.. | body: `codes_body.rs`, `registers_body.rs` |
//! | last 4 | CRC-32C of all before, little-endian |
//!
//! A state has one encoding, and nothing else decodes.

use crate::error::{Error, ErrorKind};
use crate::sketch::codes_body::{self, CodesBody};
use crate::sketch::registers::INDEX_BITS;
use crate::sketch::registers_body::{self, RegistersBody};
use crate::sketch::state::State;

const MAGIC: u8 = b'H';
const VERSION: u8 = 1;
const KIND_CODES: u8 = 1;
const KIND_REGISTERS: u8 = 2;
const PRECISION_BITS: u32 = 5;
const HASH_ID: u8 = 1;
const HEADER_BYTES: usize = 6;
pub(super) const CHECKSUM_BYTES: usize = 4;

/// The most bytes of a blob.
#[cfg(test)]
pub(super) const MAX_BLOB_BYTES: usize = {
    let (codes, registers) = (codes_body::MAX_CODES_BYTES, registers_body::MAX_REGISTERS_BYTES);
    HEADER_BYTES + if codes > registers { codes } else { registers } + CHECKSUM_BYTES
};

/// The body of a blob; that one of these exists means that all of its bytes are valid.
pub(super) enum Body<'a> {
    Codes(CodesBody<'a>),
    Registers(RegistersBody<'a>),
}

impl<'a> Body<'a> {
    /// Validates a blob from the first to the last byte; allocates nothing. The bits of codes are shown as they are read, in
    /// ascending order: they hold only if it succeeds.
    pub(super) fn parse(blob: &'a [u8], show: impl FnMut(&[u32])) -> Result<Self, Error> {
        let Some((&[magic, version, form, hash_id, low, high], rest)) =
            blob.split_first_chunk::<HEADER_BYTES>()
        else {
            return Err(damaged(format_args!("it has {} bytes, less than a header", blob.len())));
        };
        if magic != MAGIC {
            return Err(damaged(format_args!("it begins with {magic:#04x} instead of {MAGIC:#04x}")));
        }
        if version != VERSION {
            return Err(damaged(format_args!(
                "it has version {version}, this program reads {VERSION}; use a newer release"
            )));
        }
        let (kind, precision) = (form >> PRECISION_BITS, form & ((1 << PRECISION_BITS) - 1));
        if u32::from(precision) != INDEX_BITS {
            return Err(damaged(format_args!("it has precision {precision} instead of {INDEX_BITS}")));
        }
        if hash_id != HASH_ID {
            return Err(damaged(format_args!(
                "its hash has number {hash_id} instead of {HASH_ID}; sketches of different hashes cannot be united"
            )));
        }
        let Some((body, checksum)) = rest.split_last_chunk::<CHECKSUM_BYTES>() else {
            return Err(damaged(format_args!("it ends before its checksum")));
        };
        let covered = blob.len().saturating_sub(CHECKSUM_BYTES);
        if crc32c::crc32c(blob.get(..covered).unwrap_or_default()) != u32::from_le_bytes(*checksum) {
            return Err(damaged(format_args!("its checksum does not match its content")));
        }
        let count = usize::from(u16::from_le_bytes([low, high]));
        match kind {
            KIND_CODES => CodesBody::parse(count, rest, show).map(Self::Codes),
            KIND_REGISTERS => RegistersBody::parse(count, body).map(Self::Registers),
            _ => Err(damaged(format_args!("it has the unknown kind {kind}; use a newer release"))),
        }
    }
}

/// Appends the one encoding of a state.
pub(super) fn encode(state: &State, blob: &mut Vec<u8>) {
    let start = blob.len();
    let kind = match state {
        State::Codes(_) => KIND_CODES,
        State::Registers(_) => KIND_REGISTERS,
    };
    let [precision, ..] = INDEX_BITS.to_le_bytes();
    blob.extend_from_slice(&[MAGIC, VERSION, (kind << PRECISION_BITS) | precision, HASH_ID, 0, 0]);
    let body = blob.len();
    let count = match state {
        State::Codes(codes) => {
            codes_body::encode(codes, blob);
            codes.len()
        }
        State::Registers(registers) => registers_body::encode(registers, blob),
    };
    let [low, high, ..] = count.to_le_bytes();
    if let Some([.., low_slot, high_slot]) = blob.get_mut(start..body) {
        (*low_slot, *high_slot) = (low, high);
    }
    let checksum = crc32c::crc32c(blob.get(start..).unwrap_or_default());
    blob.extend_from_slice(&checksum.to_le_bytes());
}

#[cold]
pub(super) fn damaged(reason: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Sketch, format!("not a sketch: {reason}"))
}
