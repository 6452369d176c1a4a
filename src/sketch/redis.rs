//! Redis's HyperLogLog strings, dense and sparse, as `GET` answers them and `SET` takes them.
//!
//! A header of 16 bytes: `HYLL`, the encoding (0 dense, 1 sparse), three bytes of 0, the cached cardinality as a little-endian
//! 64-bit number whose top bit says that it is stale. Dense: 16,384 registers of six bits, lowest bits first. Sparse: runs,
//! `00xxxxxx` for 1-64 zeros, `01xxxxxx xxxxxxxx` for 1-16,384 zeros, `1vvvvvxx` for 1-4 registers of rank 1-32.

use crate::error::{Error, ErrorKind};
use crate::sketch::registers::{MAX_RANK, REGISTERS, Registers};

const MAGIC: [u8; 4] = *b"HYLL";
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
const HEADER_BYTES: usize = 16;
/// `hll-sparse-max-bytes`, as Redis ships it.
const SPARSE_MAX_BYTES: usize = 3_000;
const SPARSE_MAX_RANK: u8 = 32;
/// The registers packed into six bits each.
const PACKED_BYTES: usize = REGISTERS * 6 / 8;
const ZERO_MAX_RUN: usize = 64;
const VALUE_MAX_RUN: usize = 4;

pub(super) fn encode_dense(registers: &Registers) -> Vec<u8> {
    let mut string = header(DENSE, HEADER_BYTES + PACKED_BYTES);
    let (quads, _) = registers.as_slice().as_chunks::<4>();
    for &[a, b, c, d] in quads {
        string.extend_from_slice(&[a | (b << 6), (b >> 2) | (c << 4), (c >> 4) | (d << 2)]);
    }
    string
}

/// `None` where Redis would not hold these registers as runs.
pub(super) fn encode_sparse(registers: &Registers) -> Option<Vec<u8>> {
    let mut string = header(SPARSE, HEADER_BYTES);
    for run in registers.as_slice().chunk_by(|a, b| a == b) {
        let rank = run.first().copied().unwrap_or_default();
        if rank == 0 {
            push_zeros(&mut string, run.len());
        } else if rank <= SPARSE_MAX_RANK {
            for run in run.chunks(VALUE_MAX_RUN) {
                let [length, ..] = (run.len() - 1).to_le_bytes();
                string.push(0x80 | ((rank - 1) << 2) | length);
            }
        } else {
            return None;
        }
        if string.len() > SPARSE_MAX_BYTES {
            return None;
        }
    }
    Some(string)
}

/// The registers of a string; the cached cardinality is not looked at.
pub(super) fn decode(string: &[u8]) -> Result<Box<Registers>, Error> {
    let Some((header, body)) = string.split_first_chunk::<HEADER_BYTES>() else {
        return Err(refused(format_args!("it has {} bytes, less than a header", string.len())));
    };
    let [magic @ .., encoding, unused_a, unused_b, unused_c, _, _, _, _, _, _, _, _] = *header;
    if magic != MAGIC {
        return Err(refused(format_args!("it does not begin with HYLL")));
    }
    if [unused_a, unused_b, unused_c] != [0; 3] {
        return Err(refused(format_args!("bytes 5 to 7 are not 0, so a newer Redis wrote it")));
    }
    match encoding {
        DENSE => decode_dense(body),
        SPARSE => decode_sparse(body),
        _ => Err(refused(format_args!("it has the unknown encoding {encoding}; 0 and 1 are known"))),
    }
}

fn decode_dense(body: &[u8]) -> Result<Box<Registers>, Error> {
    if body.len() != PACKED_BYTES {
        return Err(refused(format_args!(
            "its registers have {} bytes instead of {PACKED_BYTES}",
            body.len()
        )));
    }
    let mut run = Runs::new();
    let (triples, _) = body.as_chunks::<3>();
    for &[a, b, c] in triples {
        for rank in [a & 63, (a >> 6) | ((b & 15) << 2), (b >> 4) | ((c & 3) << 4), c >> 2] {
            run.push(rank, 1)?;
        }
    }
    run.finish()
}

fn decode_sparse(mut body: &[u8]) -> Result<Box<Registers>, Error> {
    let mut runs = Runs::new();
    while let Some((&op, rest)) = body.split_first() {
        body = rest;
        if op & 0x80 != 0 {
            runs.push(((op >> 2) & 31) + 1, usize::from(op & 3) + 1)?;
        } else if op & 0x40 == 0 {
            runs.push(0, usize::from(op & 63) + 1)?;
        } else {
            let Some((&low, rest)) = body.split_first() else {
                return Err(refused(format_args!("its last run is cut short")));
            };
            body = rest;
            runs.push(0, usize::from(u16::from_be_bytes([op & 63, low])) + 1)?;
        }
    }
    runs.finish()
}

/// Registers, filled from the first on.
struct Runs {
    registers: Box<Registers>,
    filled: usize,
}

impl Runs {
    fn new() -> Self {
        Self { registers: Registers::new(), filled: 0 }
    }

    #[inline]
    fn push(&mut self, rank: u8, length: usize) -> Result<(), Error> {
        if rank > MAX_RANK {
            return Err(refused(format_args!("it has a register of rank {rank}, the largest is {MAX_RANK}")));
        }
        let end = self.filled + length;
        if end > REGISTERS {
            return Err(refused(format_args!("a run ends at register {end} of {REGISTERS}")));
        }
        if rank > 0 {
            for register in self.filled..end {
                self.registers.raise(register, rank);
            }
        }
        self.filled = end;
        Ok(())
    }

    fn finish(self) -> Result<Box<Registers>, Error> {
        match self.filled {
            REGISTERS => Ok(self.registers),
            filled => Err(refused(format_args!("its runs end at register {filled} of {REGISTERS}"))),
        }
    }
}

/// A header whose cardinality is stale, so that Redis computes it.
fn header(encoding: u8, capacity: usize) -> Vec<u8> {
    let mut string = Vec::with_capacity(capacity);
    string.extend_from_slice(&MAGIC);
    string.extend_from_slice(&[encoding, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80]);
    string
}

/// One run of zeros is one opcode; the short form reaches to 64.
fn push_zeros(string: &mut Vec<u8>, run: usize) {
    let [low, high, ..] = (run - 1).to_le_bytes();
    if run <= ZERO_MAX_RUN {
        string.push(low);
    } else {
        string.extend_from_slice(&[0x40 | high, low]);
    }
}

#[cold]
fn refused(reason: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Sketch, format!("not a Redis HyperLogLog: {reason}"))
}
