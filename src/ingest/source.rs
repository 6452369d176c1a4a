//! The bytes of an import source: line by line, with the digest of what is read.

use std::io::{BufRead, BufReader, Read};

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind};
use crate::storage::batch::SourceState;

/// The longest line; a longer one is counted as bad and passed over.
pub const MAX_LINE_BYTES: usize = 256 * 1024;
const READ_BUFFER_BYTES: usize = 256 * 1024;

/// How a line ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineEnd {
    Newline,
    /// The source ended first.
    Missing,
    /// The line was longer than the limit; its bytes are read and gone.
    TooLong,
}

/// The bytes of a source, with the digest of those that are read.
pub(crate) struct Source<R> {
    input: BufReader<R>,
    digest: Sha256,
    pub(crate) offset: u64,
    /// Whether what is read ends within a line.
    pub(crate) is_within_line: bool,
}

impl<R: Read> Source<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input: BufReader::with_capacity(READ_BUFFER_BYTES, input),
            digest: Sha256::new(),
            offset: 0,
            is_within_line: false,
        }
    }

    /// Reads over so many bytes; returns how many there were.
    pub(crate) fn skip(&mut self, length: u64) -> std::io::Result<u64> {
        let mut left = length;
        while left > 0 {
            let bytes = self.input.fill_buf()?;
            let take = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let Some(known) = bytes.get(..take).filter(|known| !known.is_empty()) else { break };
            self.digest.update(known);
            self.is_within_line = known.last() != Some(&b'\n');
            self.input.consume(take);
            self.offset += take as u64;
            left -= take as u64;
        }
        Ok(length - left)
    }

    /// Reads the next line; it counts as read only with [`Source::consume`]. `None` at the end.
    pub(crate) fn read_line(&mut self, line: &mut Vec<u8>) -> std::io::Result<Option<LineEnd>> {
        line.clear();
        let limit = MAX_LINE_BYTES as u64 + 1;
        let read = Read::take(&mut self.input, limit).read_until(b'\n', line)?;
        if read == 0 {
            return Ok(None);
        }
        if line.last() == Some(&b'\n') {
            return Ok(Some(LineEnd::Newline));
        }
        if read <= MAX_LINE_BYTES {
            return Ok(Some(LineEnd::Missing));
        }
        self.digest.update(&*line);
        self.offset += read as u64;
        loop {
            line.clear();
            let read = Read::take(&mut self.input, limit).read_until(b'\n', line)?;
            self.digest.update(&*line);
            self.offset += read as u64;
            if read == 0 || line.last() == Some(&b'\n') {
                return Ok(Some(LineEnd::TooLong));
            }
        }
    }

    pub(crate) fn consume(&mut self, line: &[u8], end: LineEnd) {
        if end != LineEnd::TooLong {
            self.digest.update(line);
            self.offset += line.len() as u64;
        }
        self.is_within_line = end == LineEnd::Missing;
    }

    pub(crate) fn digest(&self) -> [u8; 32] {
        self.digest.clone().finalize().into()
    }
}

/// The known source whose bytes the input begins with, the one that is read furthest: a log that was rotated has a new name.
pub(crate) fn find(sources: Vec<(String, SourceState)>, input: impl Read) -> Result<Option<String>, Error> {
    let mut by_offset: Vec<_> = sources.into_iter().filter(|(_, state)| state.offset > 0).collect();
    by_offset.sort_by_key(|(_, state)| state.offset);
    let mut source = Source::new(input);
    let mut found = None;
    for (name, state) in by_offset {
        let length = state.offset - source.offset;
        let skipped = source.skip(length).map_err(|error| {
            Error::new(
                ErrorKind::Io,
                format!("reading the source failed after byte {}: {error}", source.offset),
            )
        })?;
        if skipped < length {
            break;
        }
        if source.digest() == state.digest {
            found = Some(name);
        }
    }
    Ok(found)
}
