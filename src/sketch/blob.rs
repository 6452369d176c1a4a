//! A sketch as bytes, as it stands in the store.
//!
//! | bytes | what |
//! |---|---|
//! | 0 | magic, `H` |
//! | 1 | version, 1 |
//! | 2 | kind in the upper three bits (1 codes, 2 registers), p = 14 in the lower five |
//! | 3 | hash id: 1 is MurmurHash64A with Redis's seed, 2 is reserved for a keyed hash |
//! | 4-5 | length of the body, little-endian |
//! | 6.. | body |
//! | last 4 | CRC-32C of all before, little-endian |
//!
//! Codes: for each, in ascending order of index, the gap to the index before (`index - previous - 1`, the first from -1) as
//! LEB128, then, where the index is below `2^14`, one byte with the tail (`1..=40`). Registers: three planes of 4,096
//! bytes, see [`Planes`]. A state has one encoding, and nothing else decodes.

use crate::error::{Error, ErrorKind};
use crate::sketch::code::{CODE_INDEX_BITS, Code, needs_tail};
use crate::sketch::registers::{INDEX_BITS, MAX_RANK, PACKED_BYTES, Planes, largest_rank};
use crate::sketch::{CODES_LIMIT, state::State};

const MAGIC: u8 = b'H';
const VERSION: u8 = 1;
const KIND_CODES: u8 = 1;
const KIND_REGISTERS: u8 = 2;
const PRECISION_BITS: u32 = 5;
const HASH_ID: u8 = 1;
const HEADER_BYTES: usize = 6;
const CHECKSUM_BYTES: usize = 4;
/// A gap below `2^25` takes 4 bytes; one before a tail is below `2^14` and takes 2.
const MAX_CODE_BYTES: usize = 4;
/// The most bytes of a blob.
pub(super) const MAX_BLOB_BYTES: usize = HEADER_BYTES + CODES_LIMIT * MAX_CODE_BYTES + CHECKSUM_BYTES;
const _: () = assert!(MAX_BLOB_BYTES >= HEADER_BYTES + PACKED_BYTES + CHECKSUM_BYTES);
const _: () = assert!(MAX_BLOB_BYTES <= u16::MAX as usize, "the length of a body has 16 bits");

/// The body of a blob; that one of these exists means that all of its bytes are valid.
pub(super) enum Body<'a> {
    Codes(CodesBody<'a>),
    Registers(&'a Planes),
}

impl<'a> Body<'a> {
    /// Validates a blob from the first to the last byte; allocates nothing.
    pub(super) fn parse(blob: &'a [u8]) -> Result<Self, Error> {
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
        let declared = usize::from(u16::from_le_bytes([low, high]));
        let Some((body, checksum)) = rest.split_last_chunk::<CHECKSUM_BYTES>() else {
            return Err(damaged(format_args!("it ends before its checksum")));
        };
        if body.len() != declared {
            return Err(damaged(format_args!(
                "its body has {} bytes, its header says {declared}",
                body.len()
            )));
        }
        let covered = blob.len().saturating_sub(CHECKSUM_BYTES);
        if crc32c::crc32c(blob.get(..covered).unwrap_or_default()) != u32::from_le_bytes(*checksum) {
            return Err(damaged(format_args!("its checksum does not match its content")));
        }
        match kind {
            KIND_CODES => CodesBody::parse(body).map(Self::Codes),
            KIND_REGISTERS => planes(body).map(Self::Registers),
            _ => Err(damaged(format_args!("it has the unknown kind {kind}; use a newer release"))),
        }
    }
}

/// Validated codes, in ascending order.
pub(super) struct CodesBody<'a> {
    bytes: &'a [u8],
    len: usize,
}

impl<'a> CodesBody<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let (mut rest, mut next, mut len) = (bytes, 0_u32, 0_usize);
        while !rest.is_empty() {
            let (gap, gap_bytes) = read_gap(rest);
            if gap_bytes == 0 {
                return Err(damaged(format_args!("a code is cut short or longer than four bytes")));
            }
            // A number whose last byte is 0 has a shorter form.
            if gap_bytes > 1 && gap >> (7 * (gap_bytes - 1)) == 0 {
                return Err(damaged(format_args!("a code is longer than it has to be")));
            }
            rest = rest.get(gap_bytes as usize..).unwrap_or_default();
            // Both are below 2^28.
            let index = next + gap;
            next = index + 1;
            let tail = if needs_tail(index) { take_tail(&mut rest) } else { Some(0) };
            if tail.and_then(|tail| Code::from_parts(index, tail)).is_none() {
                return Err(impossible(index, tail));
            }
            len += 1;
        }
        if len > CODES_LIMIT {
            return Err(damaged(format_args!(
                "it has {len} codes, more than {CODES_LIMIT} become registers"
            )));
        }
        Ok(Self { bytes, len })
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn iter(&self) -> CodesOf<'a> {
        CodesOf { rest: self.bytes, next: 0 }
    }
}

/// Reads validated codes.
pub(super) struct CodesOf<'a> {
    rest: &'a [u8],
    /// The smallest index that may follow.
    next: u32,
}

impl Iterator for CodesOf<'_> {
    type Item = Code;

    #[inline]
    fn next(&mut self) -> Option<Code> {
        if self.rest.is_empty() {
            return None;
        }
        let (gap, gap_bytes) = read_gap(self.rest);
        self.rest = self.rest.get(gap_bytes as usize..)?;
        let index = self.next + gap;
        self.next = index + 1;
        let tail = if needs_tail(index) { take_tail(&mut self.rest)? } else { 0 };
        Code::from_parts(index, tail)
    }
}

/// Reads a LEB128 number of at most four bytes, and how many it has: 0 if its end is missing.
#[inline]
fn read_gap(bytes: &[u8]) -> (u32, u32) {
    let window = match bytes.first_chunk::<4>() {
        Some(window) => *window,
        None => last_window(bytes),
    };
    let window = u32::from_le_bytes(window);
    let ends = !window & 0x8080_8080;
    if ends == 0 {
        return (0, 0);
    }
    // All bits up to the lowest that ends a byte.
    let taken = window & (ends ^ (ends - 1));
    let gap = (taken & 0x7f)
        | ((taken >> 1) & (0x7f << 7))
        | ((taken >> 2) & (0x7f << 14))
        | ((taken >> 3) & (0x7f << 21));
    (gap, ends.trailing_zeros() / 8 + 1)
}

#[cold]
fn take_tail(rest: &mut &[u8]) -> Option<u32> {
    let (tail, left) = rest.split_first()?;
    *rest = left;
    Some(u32::from(*tail))
}

#[cold]
fn impossible(index: u32, tail: Option<u32>) -> Error {
    match tail {
        None => damaged(format_args!("the tail of a code is missing")),
        Some(_) if index >> CODE_INDEX_BITS != 0 => {
            damaged(format_args!("the index of a code is beyond 2^25"))
        }
        Some(tail) => damaged(format_args!("the tail of a code is {tail}, not in 1..=40")),
    }
}

/// Fewer than four bytes, filled up with bytes that do not end a number.
#[cold]
fn last_window(rest: &[u8]) -> [u8; 4] {
    let mut window = [0x80; 4];
    for (byte, given) in window.iter_mut().zip(rest) {
        *byte = *given;
    }
    window
}

fn planes(body: &[u8]) -> Result<&Planes, Error> {
    let (chunks, []) = body.as_chunks::<{ PACKED_BYTES / 3 }>() else {
        return Err(registers_length(body.len()));
    };
    let planes: &Planes = chunks.try_into().map_err(|_| registers_length(body.len()))?;
    let largest = largest_rank(planes);
    if largest > MAX_RANK {
        return Err(damaged(format_args!("it has a register of rank {largest}, the largest is {MAX_RANK}")));
    }
    Ok(planes)
}

/// Appends the one encoding of a state.
pub(super) fn encode(state: &State<CODES_LIMIT>, blob: &mut Vec<u8>) {
    let start = blob.len();
    let kind = match state {
        State::Codes(_) => KIND_CODES,
        State::Registers(_) => KIND_REGISTERS,
    };
    let [precision, ..] = INDEX_BITS.to_le_bytes();
    blob.extend_from_slice(&[MAGIC, VERSION, (kind << PRECISION_BITS) | precision, HASH_ID, 0, 0]);
    let body = blob.len();
    match state {
        State::Codes(codes) => {
            // Gaps of more than a hundred random codes take three bytes or fewer on average.
            blob.reserve(codes.len() * 3 + 64);
            let mut next = 0;
            for code in codes.ascending() {
                push_gap(blob, code.index().saturating_sub(next));
                next = code.index() + 1;
                if needs_tail(code.index()) {
                    let [tail, ..] = code.tail().to_le_bytes();
                    blob.push(tail);
                }
            }
        }
        State::Registers(registers) => {
            blob.reserve(PACKED_BYTES + CHECKSUM_BYTES);
            blob.extend_from_slice(registers.to_planes().as_flattened());
        }
    }
    let [low, high, ..] = (blob.len() - body).to_le_bytes();
    if let Some([.., low_slot, high_slot]) = blob.get_mut(start..body) {
        (*low_slot, *high_slot) = (low, high);
    }
    let checksum = crc32c::crc32c(blob.get(start..).unwrap_or_default());
    blob.extend_from_slice(&checksum.to_le_bytes());
}

#[inline]
fn push_gap(blob: &mut Vec<u8>, mut gap: u32) {
    while gap > 0x7f {
        let [low, ..] = gap.to_le_bytes();
        blob.push(low | 0x80);
        gap >>= 7;
    }
    let [low, ..] = gap.to_le_bytes();
    blob.push(low);
}

#[cold]
fn registers_length(length: usize) -> Error {
    damaged(format_args!("its registers have {length} bytes instead of {PACKED_BYTES}"))
}

#[cold]
fn damaged(reason: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Sketch, format!("not a sketch: {reason}"))
}
