//! What the packed encodings share: bytes that are read within their bounds, and the pieces they hold.

use crate::error::Error;

use super::input::damaged;

/// Why packed bytes are none, and where in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken {
    at: usize,
    what: &'static str,
}

impl Broken {
    /// The error, for packed bytes of this name that begin at `start` of the file.
    #[cold]
    pub(super) fn at(self, start: u64, name: &str) -> Error {
        let Self { at, what } = self;
        damaged(start, format_args!("{name} {what}, at its byte {at}"))
    }
}

/// One element of a list, half of a pair of a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Text(&'a [u8]),
    Number(i64),
}

impl Piece<'_> {
    /// As Redis returns it: numbers in decimals.
    pub(super) fn bytes(self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.to_vec(),
            Self::Number(number) => number.to_string().into_bytes(),
        }
    }
}

/// A place in packed bytes.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn place(&self) -> usize {
        self.at
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(super) fn broken(&self, what: &'static str) -> Broken {
        Broken { at: self.at, what }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Broken> {
        let taken = self.at.checked_add(count).and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or_else(|| self.broken("ends too early"))?;
        self.at += count;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let broken = self.broken("ends too early");
        self.take(N)?.first_chunk().copied().ok_or(broken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, Broken> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// A text behind its length of four bytes.
    pub(super) fn text(&mut self, length: u32) -> Result<Piece<'a>, Broken> {
        let length = usize::try_from(length).map_err(|_| self.broken("is longer than memory"))?;
        self.take(length).map(Piece::Text)
    }

    /// A number of three bytes.
    pub(super) fn number_of_three(&mut self) -> Result<Piece<'a>, Broken> {
        let [low, middle, high] = self.array()?;
        // In the upper three bytes of four, from where the shift brings the sign.
        Ok(Piece::Number(i64::from(i32::from_le_bytes([0, low, middle, high]) >> 8)))
    }
}
