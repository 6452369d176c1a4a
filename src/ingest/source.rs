//! The bytes of an import source: in blocks of whole lines, with the digest of what is read.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Error as IoError, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind, plain};
use crate::storage::batch::SourceState;

/// The longest line; a longer one is counted as bad and passed over.
pub const MAX_LINE_BYTES: usize = 256 * 1024;
const READ_BUFFER_BYTES: usize = 256 * 1024;
/// A block ends after so many lines, or after the line that brings it to so many bytes.
pub(crate) const LINES_PER_BLOCK: usize = 1_024;
const BLOCK_BYTES: usize = 256 * 1024;
/// What is kept of a line that is too long, to show it.
const KEPT_OF_TOO_LONG: usize = 1_024;

/// A place in a source, with the digest of all bytes before it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    /// Whether the bytes before it end within a line.
    pub(crate) is_within_line: bool,
    digest: Sha256,
}

impl Place {
    fn pass(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.last() else { return };
        self.digest.update(bytes);
        self.offset += bytes.len() as u64;
        self.is_within_line = *last != b'\n';
    }

    pub(crate) fn digest(&self) -> [u8; 32] {
        self.digest.clone().finalize().into()
    }
}

/// How the last line of a block ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Last {
    /// As every line.
    #[default]
    Newline,
    /// The source ended first; the line is behind the whole ones.
    Missing,
    /// The line is longer than the limit; only its beginning is kept.
    TooLong,
    /// The same, and the source ended first: it may still grow.
    TooLongMissing,
}

/// Some lines of a source, in its order and without a gap.
#[derive(Debug, Default)]
pub(crate) struct Block {
    bytes: Vec<u8>,
    /// So many of the bytes are whole lines.
    whole: usize,
    pub(crate) last: Last,
    pub(crate) start: Place,
    /// The place behind the whole lines.
    pub(crate) after_whole: Place,
    pub(crate) end: Place,
}

impl Block {
    /// The lines that end, and behind them what there is of the last one if it does not end, or is too long.
    pub(crate) fn lines(&self) -> (&[u8], &[u8]) {
        self.bytes.split_at_checked(self.whole).unwrap_or_default()
    }

    /// Leaves out what lies before `offset`; says whether it could.
    pub(crate) fn begin_at(&mut self, offset: u64) -> bool {
        let head = offset.checked_sub(self.start.offset).and_then(|length| usize::try_from(length).ok());
        let Some(passed) = head.and_then(|head| self.bytes.get(..head)) else { return false };
        if passed.len() > self.whole && self.last != Last::Missing {
            return false;
        }
        self.start.pass(passed);
        if passed.len() > self.whole {
            self.after_whole = self.start.clone();
        }
        self.whole = self.whole.saturating_sub(passed.len());
        self.bytes.drain(..passed.len());
        true
    }
}

/// Why nothing more comes from a source.
#[derive(Debug)]
pub(crate) enum Ended {
    Input,
    /// The caller asked for it.
    Stopped,
    Failed(IoError),
}

/// The bytes of a source, with the digest of those that are read.
pub(crate) struct Source<'a, R> {
    input: BufReader<R>,
    /// Ends the source early.
    stop: &'a AtomicBool,
    pub(crate) place: Place,
    pub(crate) ended: Option<Ended>,
}

impl<'a, R: Read> Source<'a, R> {
    pub(crate) fn new(input: R, stop: &'a AtomicBool) -> Self {
        Self {
            input: BufReader::with_capacity(READ_BUFFER_BYTES, input),
            stop,
            place: Place::default(),
            ended: None,
        }
    }

    /// Reads over what lies before `offset`; says whether the source reaches to it.
    pub(crate) fn skip_to(&mut self, offset: u64) -> bool {
        while self.place.offset < offset && !self.is_stopped() {
            let left = usize::try_from(offset - self.place.offset).unwrap_or(usize::MAX);
            let bytes = match self.input.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.fail(error);
                    break;
                }
            };
            let known = bytes.get(..left).unwrap_or(bytes);
            if known.is_empty() {
                break;
            }
            self.place.pass(known);
            let length = known.len();
            self.input.consume(length);
        }
        self.place.offset == offset
    }

    /// Fills a block with the next lines. It has none when the source has ended; then [`Source::ended`] says how.
    pub(crate) fn fill(&mut self, block: &mut Block) {
        block.bytes.clear();
        block.whole = 0;
        block.last = Last::Newline;
        block.start = self.place.clone();
        let mut lines = 0;
        while lines < LINES_PER_BLOCK && block.whole < BLOCK_BYTES && !self.is_stopped() {
            match self.read_line(&mut block.bytes) {
                Err(error) => {
                    self.fail(error);
                    break;
                }
                Ok(0) => {
                    self.ended = Some(Ended::Input);
                    break;
                }
                Ok(_) if block.bytes.last() == Some(&b'\n') => {
                    lines += 1;
                    block.whole = block.bytes.len();
                }
                Ok(read) => {
                    block.last = if read > MAX_LINE_BYTES { Last::TooLong } else { Last::Missing };
                    break;
                }
            }
        }
        self.place.pass(block.lines().0);
        block.after_whole = self.place.clone();
        match block.last {
            Last::Newline => block.bytes.truncate(block.whole),
            Last::Missing => {
                self.ended = Some(Ended::Input);
                self.place.pass(block.lines().1);
            }
            Last::TooLong | Last::TooLongMissing => self.pass_too_long(block),
        }
        block.end = self.place.clone();
    }

    /// Reads over the rest of a line that is too long. One that does not end, or cannot be read to its end, is not passed.
    fn pass_too_long(&mut self, block: &mut Block) {
        self.place.pass(block.lines().1);
        block.bytes.truncate(block.whole + KEPT_OF_TOO_LONG);
        let mut rest = Vec::new();
        block.last = loop {
            rest.clear();
            if self.is_stopped() {
                break Last::Newline;
            }
            match self.read_line(&mut rest) {
                Err(error) => {
                    self.fail(error);
                    break Last::Newline;
                }
                Ok(0) => {
                    self.ended = Some(Ended::Input);
                    break Last::TooLongMissing;
                }
                Ok(_) => self.place.pass(&rest),
            }
            if !self.place.is_within_line {
                break Last::TooLong;
            }
        };
        if block.last != Last::TooLong {
            self.place = block.after_whole.clone();
        }
        if block.last == Last::Newline {
            block.bytes.truncate(block.whole);
        }
    }

    /// Reads to the end of the line, but no further than a byte behind the limit.
    fn read_line(&mut self, line: &mut Vec<u8>) -> std::io::Result<usize> {
        Read::take(&mut self.input, MAX_LINE_BYTES as u64 + 1).read_until(b'\n', line)
    }

    fn is_stopped(&mut self) -> bool {
        if self.stop.load(Ordering::Relaxed) {
            self.ended = Some(Ended::Stopped);
        }
        matches!(self.ended, Some(Ended::Stopped))
    }

    /// An input that waits can be called off only by an error of its own.
    fn fail(&mut self, error: IoError) {
        self.ended =
            Some(if self.stop.load(Ordering::Relaxed) { Ended::Stopped } else { Ended::Failed(error) });
    }
}

/// The known source whose bytes the input begins with, the one that is read furthest, and of several such the first: a log that
/// was rotated has a new name.
pub(crate) fn find(sources: Vec<(String, SourceState)>, input: impl Read) -> Result<Option<String>, Error> {
    let mut by_offset = BTreeMap::<u64, Vec<(String, [u8; 32])>>::new();
    for (name, state) in sources.into_iter().filter(|(_, state)| state.offset > 0) {
        by_offset.entry(state.offset).or_default().push((name, state.digest));
    }
    let never = AtomicBool::new(false);
    let mut source = Source::new(input, &never);
    let mut found = None;
    for (offset, known) in by_offset {
        let reaches = source.skip_to(offset);
        if let Some(Ended::Failed(error)) = &source.ended {
            return Err(Error::new(
                ErrorKind::Io,
                format!("the input cannot be read behind byte {}: {}", source.place.offset, plain(error)),
            ));
        }
        if !reaches {
            break;
        }
        let digest = source.place.digest();
        found = known.into_iter().find_map(|(name, of)| (of == digest).then_some(name)).or(found);
    }
    Ok(found)
}
