//! The file as a stream: the place in it, the checksum of what was read, and one block in memory.

use std::fmt::Display;
use std::io::{ErrorKind as Io, Read};

use crc::{CRC_64_REDIS, Crc, Digest, Table};

use crate::error::{Error, ErrorKind, plain};

const BLOCK_BYTES: usize = 64 << 10;

/// What to do about damage.
const AGAIN: &str = "make the file again with SAVE or BGSAVE, and copy it whole";
/// What to do about a good file that is not read here.
pub(super) const BY_NETWORK: &str = "read from the running server instead";

static CHECKSUM: Crc<u64, Table<16>> = Crc::<u64, Table<16>>::new(&CRC_64_REDIS);

pub(super) struct Input<'a> {
    source: &'a mut dyn Read,
    block: Box<[u8]>,
    /// What was taken of the block.
    start: usize,
    /// What the block has.
    end: usize,
    /// What of the block is in `digest`; at most `start`.
    summed: usize,
    /// The bytes of all earlier blocks.
    before: u64,
    digest: Digest<'static, u64, Table<16>>,
}

impl<'a> Input<'a> {
    pub(super) fn new(source: &'a mut dyn Read) -> Self {
        let block = vec![0; BLOCK_BYTES].into_boxed_slice();
        Self { source, block, start: 0, end: 0, summed: 0, before: 0, digest: CHECKSUM.digest() }
    }

    /// The place of the next byte.
    pub(super) fn offset(&self) -> u64 {
        self.before + self.start as u64
    }

    pub(super) fn byte(&mut self) -> Result<u8, Error> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut array = [0; N];
        let mut rest = array.as_mut_slice();
        while !rest.is_empty() {
            let part = self.part(rest.len() as u64)?;
            let (now, later) = rest.split_at_mut(part.len());
            now.copy_from_slice(part);
            rest = later;
        }
        Ok(array)
    }

    /// Appends so many bytes to `to`, which grows as they come and not by the promise of `count`.
    pub(super) fn take(&mut self, count: u64, to: &mut Vec<u8>) -> Result<(), Error> {
        let mut left = count;
        while left > 0 {
            let part = self.part(left)?;
            to.extend_from_slice(part);
            left -= part.len() as u64;
        }
        Ok(())
    }

    pub(super) fn skip(&mut self, count: u64) -> Result<(), Error> {
        let mut left = count;
        while left > 0 {
            left -= self.part(left)?.len() as u64;
        }
        Ok(())
    }

    /// The checksum of all bytes before the next.
    pub(super) fn checksum(&mut self) -> u64 {
        self.sum_up();
        self.digest.clone().finalize()
    }

    pub(super) fn is_at_end(&mut self) -> Result<bool, Error> {
        if self.start == self.end {
            self.refill()?;
        }
        Ok(self.start == self.end)
    }

    /// The next bytes, at least one and at most so many, which is not 0.
    fn part(&mut self, at_most: u64) -> Result<&[u8], Error> {
        if self.start == self.end && self.is_at_end()? {
            return Err(damaged(self.offset(), "the file ends here, without its end mark"));
        }
        let start = self.start;
        let held = self.end - start;
        self.start += usize::try_from(at_most).map_or(held, |at_most| held.min(at_most));
        Ok(self.block.get(start..self.start).unwrap_or_default())
    }

    fn sum_up(&mut self) {
        self.digest.update(self.block.get(self.summed..self.start).unwrap_or_default());
        self.summed = self.start;
    }

    /// Reads the next block; an empty one is the end.
    #[cold]
    fn refill(&mut self) -> Result<(), Error> {
        self.sum_up();
        self.before = self.offset();
        (self.start, self.end, self.summed) = (0, 0, 0);
        self.end = loop {
            match self.source.read(&mut self.block) {
                // A reader that claims more than the block has is believed for the block.
                Ok(count) => break count.min(BLOCK_BYTES),
                Err(error) if error.kind() == Io::Interrupted => {}
                Err(error) => {
                    let what = format!("byte {}: the file cannot be read: {}", self.before, plain(&error));
                    return Err(Error::new(ErrorKind::Io, what).with_source(error));
                }
            }
        };
        Ok(())
    }
}

/// Bytes that no whole file has.
#[cold]
pub(super) fn damaged(at: u64, what: impl Display) -> Error {
    refused(at, what, AGAIN)
}

/// A file that is not taken, and what to do: the one place that says which kind of error that is.
#[cold]
pub(super) fn refused(at: u64, what: impl Display, remedy: &str) -> Error {
    Error::new(ErrorKind::Redis, format!("byte {at}: {what}; {remedy}"))
}
