//! Zipmaps, in which Redis 2.0 to 2.4 kept small hashes: `<pairs: u8> (<length> <name> <length> <unused: u8> <value> ...)... <255>`.

use super::packed::{Broken, Cursor, Piece};

const TERMINATOR: u8 = 0xff;
/// A length of four bytes follows; as the number of pairs, that there are too many for one byte.
const LONG: u8 = 0xfe;

/// Names and values in turn, each checked. Ends with an error unless the whole is in order.
pub(super) struct Zipmap<'a> {
    cursor: Cursor<'a>,
    counted: u8,
    names: usize,
    next: Half,
}

#[derive(Clone, Copy)]
enum Half {
    Name,
    Value,
}

impl<'a> Zipmap<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Broken> {
        let mut cursor = Cursor::new(bytes);
        let counted = cursor.byte()?;
        Ok(Self { cursor, counted, names: 0, next: Half::Name })
    }

    fn half(&mut self) -> Result<Option<Piece<'a>>, Broken> {
        let cursor = &mut self.cursor;
        let length = match (cursor.byte()?, self.next) {
            (TERMINATOR, Half::Name) => return self.end().map(|()| None),
            (TERMINATOR, Half::Value) => return Err(cursor.broken("has a name without a value")),
            (LONG, _) => u32::from_le_bytes(cursor.array()?),
            (short, _) => u32::from(short),
        };
        let piece;
        (piece, self.next) = match self.next {
            Half::Name => {
                self.names += 1;
                (cursor.text(length)?, Half::Value)
            }
            Half::Value => {
                // Bytes that an earlier, longer value left behind.
                let unused = cursor.byte()?;
                let value = cursor.text(length)?;
                cursor.take(usize::from(unused))?;
                (value, Half::Name)
            }
        };
        Ok(Some(piece))
    }

    fn end(&mut self) -> Result<(), Broken> {
        if !self.cursor.is_at_end() {
            return Err(self.cursor.broken("has bytes behind its end"));
        }
        if self.counted < LONG && usize::from(self.counted) != self.names {
            return Err(self.cursor.broken("has another number of pairs than it says"));
        }
        Ok(())
    }
}

impl<'a> Iterator for Zipmap<'a> {
    type Item = Result<Piece<'a>, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        self.half().transpose()
    }
}
