//! The codes of a small set as bytes: Elias and Fano's code for ascending numbers.
//!
//! `n` indexes of 25 bits are split at `l = 24 - floor(log2 n)`. A stream of bits, the lowest of each byte first, holds
//!
//! - `n + 2^(25 - l) - 1` bits, of which bit `(index >> l) + i` is 1 for the `i`-th index (from 0): each 0 is a step to the next
//!   value of the upper parts, each 1 an index with that value,
//! - the lower `l` bits of each index, in order,
//! - zeros up to a whole byte.
//!
//! Behind it follows one byte for each index below `2^14`: its tail. Random indexes take half a bit more than the least that
//! tells such sets apart, and reading one is a shift and a mask.

use crate::error::Error;
use crate::sketch::CODES_LIMIT;
use crate::sketch::blob::{CHECKSUM_BYTES, damaged};
use crate::sketch::code::{CODE_INDEX_BITS, Code, MAX_TAIL, TAIL_BITS, needs_tail};
use crate::sketch::code_set::CodeSet;

/// The lower part of an index is read in a window of this many bits, which begin within the first byte.
const WINDOW_BITS: u32 = 32;
const _: () = assert!(CODE_INDEX_BITS - 1 + 7 <= WINDOW_BITS);
/// A window may reach so far behind the codes; the checksum is there.
const _: () = assert!(WINDOW_BITS as usize / 8 <= CHECKSUM_BYTES);
/// The most bytes of the codes of a sketch, all with tails.
#[cfg(test)]
pub(super) const MAX_CODES_BYTES: usize = Layout::of(CODES_LIMIT).bytes() + CODES_LIMIT;

/// Validated codes, in ascending order.
pub(super) struct CodesBody<'a> {
    layout: Layout,
    /// The stream of bits, the tails, and bytes behind them.
    bytes: &'a [u8],
}

impl<'a> CodesBody<'a> {
    /// Validates `len` codes that fill all but the last [`CHECKSUM_BYTES`] bytes, and shows their bits as it reads them, in order: they
    /// hold only if it succeeds.
    pub(super) fn parse(len: usize, bytes: &'a [u8], mut show: impl FnMut(&[u32])) -> Result<Self, Error> {
        if len > CODES_LIMIT {
            return Err(damaged(format_args!(
                "it has {len} codes, more than {CODES_LIMIT} become registers"
            )));
        }
        let layout = Layout::of(len);
        let end = bytes.len().saturating_sub(CHECKSUM_BYTES);
        let Some(tails) = bytes.get(layout.bytes()..end) else {
            return Err(damaged(format_args!(
                "its {len} codes have {end} bytes instead of {}",
                layout.bytes()
            )));
        };
        let unused = layout.bytes() * 8 - layout.bits();
        if layout
            .bytes()
            .checked_sub(1)
            .and_then(|last| bytes.get(last))
            .is_some_and(|last| last.leading_zeros() < u32::try_from(unused).unwrap_or(0))
        {
            return Err(damaged(format_args!("the bits behind its codes are not 0")));
        }
        let body = Self { layout, bytes };
        let (mut next, mut found, mut tailed, mut ascends) = (0, 0, 0, true);
        let mut indexes = body.indexes();
        while let Some(some) = indexes.refill() {
            let steps = some.iter().zip(some.iter().skip(1));
            ascends &=
                steps.fold(some.first().is_none_or(|first| *first >= next), |all, (a, b)| all & (a < b));
            next = some.last().map_or(next, |last| last.saturating_add(1));
            found += some.len();
            let first_tailed = tailed;
            if some.first().is_some_and(|first| needs_tail(*first)) {
                tailed += some.iter().filter(|index| needs_tail(**index)).count();
            }
            for bits in &mut *some {
                *bits <<= TAIL_BITS;
            }
            for (bits, tail) in some.iter_mut().zip(tails.get(first_tailed..tailed).unwrap_or_default()) {
                *bits |= u32::from(*tail);
            }
            show(some);
        }
        if found != len {
            return Err(damaged(format_args!("it has {found} codes, its header says {len}")));
        }
        if indexes.word_at < layout.upper_bits {
            return Err(damaged(format_args!("it has more codes than its header says, {len}")));
        }
        if !ascends {
            return Err(damaged(format_args!("its codes do not ascend")));
        }
        if tails.len() != tailed {
            return Err(damaged(format_args!("it has {} tails for {tailed} codes", tails.len())));
        }
        if let Some(tail) = tails.iter().find(|tail| !(1..=MAX_TAIL).contains(&u32::from(**tail))) {
            return Err(damaged(format_args!("the tail of a code is {tail}, not in 1..=40")));
        }
        Ok(body)
    }

    pub(super) fn len(&self) -> usize {
        self.layout.len
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Code> + use<'a> {
        let mut tails = self.bytes.get(self.layout.bytes()..).unwrap_or_default().iter();
        self.indexes().map_while(move |index| {
            let tail = if needs_tail(index) { u32::from(*tails.next()?) } else { 0 };
            Code::from_parts(index, tail)
        })
    }

    fn indexes(&self) -> Indexes<'a> {
        Indexes {
            layout: self.layout,
            bytes: self.bytes,
            word_at: 0,
            read: 0,
            some: [0; 64],
            at: 0,
            filled: 0,
        }
    }
}

/// Appends the codes of a set.
pub(super) fn encode(codes: &CodeSet, blob: &mut Vec<u8>) {
    let layout = Layout::of(codes.len());
    let start = blob.len();
    // Room for the windows too.
    blob.resize(start + layout.bytes() + CHECKSUM_BYTES, 0);
    let body = blob.get_mut(start..).unwrap_or_default();
    let mut lower_at = layout.upper_bits;
    for (place, code) in codes.ascending().enumerate() {
        let upper_at = (code.index() >> layout.lower_bits) as usize + place;
        if let Some(byte) = body.get_mut(upper_at / 8) {
            *byte |= 1 << (upper_at % 8);
        }
        let lower = (code.index() & layout.lower_mask()) << (lower_at % 8);
        if let Some(window) = body.get_mut(lower_at / 8..).and_then(|rest| rest.first_chunk_mut()) {
            *window = (u32::from_le_bytes(*window) | lower).to_le_bytes();
        }
        lower_at += layout.lower_bits as usize;
    }
    blob.truncate(start + layout.bytes());
    let tailed = codes.ascending().take_while(|code| needs_tail(code.index()));
    blob.extend(tailed.map(|code| {
        let [tail, ..] = code.tail().to_le_bytes();
        tail
    }));
}

/// Where the parts of the stream lie: it follows from the number of codes.
#[derive(Clone, Copy)]
struct Layout {
    len: usize,
    /// l
    lower_bits: u32,
    upper_bits: usize,
}

impl Layout {
    const fn of(len: usize) -> Self {
        let Some(log) = len.checked_ilog2() else { return Self { len, lower_bits: 0, upper_bits: 0 } };
        let lower_bits = (CODE_INDEX_BITS - 1).saturating_sub(log);
        Self { len, lower_bits, upper_bits: len + (1 << (CODE_INDEX_BITS - lower_bits)) - 1 }
    }

    const fn bits(self) -> usize {
        self.upper_bits + self.len * self.lower_bits as usize
    }

    const fn bytes(self) -> usize {
        self.bits().div_ceil(8)
    }

    fn lower_mask(self) -> u32 {
        (1 << self.lower_bits) - 1
    }
}

/// The indexes that a stream holds; below `2^25` if there are as many as the layout says.
struct Indexes<'a> {
    layout: Layout,
    bytes: &'a [u8],
    /// The upper bits and the indexes that are read.
    word_at: usize,
    read: usize,
    /// The indexes of one word of upper bits, from `at` on not yet taken.
    some: [u32; 64],
    at: usize,
    filled: usize,
}

impl Indexes<'_> {
    /// The next indexes, as many as one word of upper bits has.
    #[inline]
    fn refill(&mut self) -> Option<&mut [u32]> {
        let Layout { lower_bits, upper_bits, .. } = self.layout;
        let mut filled = 0;
        while filled == 0 && self.word_at < upper_bits {
            let mut word = word(self.bytes, self.word_at, upper_bits);
            let mut lower_at = upper_bits + self.read * lower_bits as usize;
            while word != 0 {
                let place = self.word_at + word.trailing_zeros() as usize;
                word &= word - 1;
                let window = self.bytes.get(lower_at / 8..).and_then(|rest| rest.first_chunk())?;
                let lower = (u32::from_le_bytes(*window) >> (lower_at % 8)) & self.layout.lower_mask();
                #[expect(clippy::cast_possible_truncation, reason = "there are fewer than 2^14 upper bits")]
                let upper = (place - self.read - filled) as u32;
                *self.some.get_mut(filled)? = (upper << lower_bits) | lower;
                lower_at += lower_bits as usize;
                filled += 1;
            }
            self.word_at += 64;
            self.read += filled;
        }
        (self.at, self.filled) = (0, filled);
        self.some.get_mut(..filled).filter(|some| !some.is_empty())
    }
}

impl Iterator for Indexes<'_> {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        if self.at == self.filled {
            self.refill()?;
        }
        let index = self.some.get(self.at).copied();
        self.at += 1;
        index
    }
}

/// The 64 bits from bit `at` on, a multiple of 64; those from `end` on are 0.
#[inline]
fn word(bytes: &[u8], at: usize, end: usize) -> u64 {
    let rest = bytes.get(at / 8..).unwrap_or_default();
    let word = match rest.first_chunk() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => rest.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte)),
    };
    if end - at < 64 { word & ((1 << (end - at)) - 1) } else { word }
}
