//! Ziplists, in which Redis 2.6 to 6.2 kept small hashes: `<bytes: u32> <last element: u32> <elements: u16> <element>... <255>`.

use super::packed::{Broken, Cursor, Piece};

const HEADER_BYTES: usize = 10;
const TERMINATOR: u8 = 0xff;
/// The length of the element before is in four bytes behind this one.
const LONG: u8 = 0xfe;
/// The header's count when there are too many elements for it.
const UNCOUNTED: u16 = u16::MAX;

/// The elements, one after the other, each checked. Ends with an error unless the whole is in order.
pub(super) struct Ziplist<'a> {
    cursor: Cursor<'a>,
    last: u32,
    counted: u16,
    seen: usize,
    /// Where the element before begins, or the first will.
    before: usize,
}

impl<'a> Ziplist<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Broken> {
        let mut cursor = Cursor::new(bytes);
        let length = u32::from_le_bytes(cursor.array()?);
        if usize::try_from(length) != Ok(bytes.len()) {
            return Err(cursor.broken("has another length than it says"));
        }
        let last = u32::from_le_bytes(cursor.array()?);
        let counted = u16::from_le_bytes(cursor.array()?);
        Ok(Self { cursor, last, counted, seen: 0, before: HEADER_BYTES })
    }

    fn element(&mut self) -> Result<Option<Piece<'a>>, Broken> {
        let cursor = &mut self.cursor;
        let start = cursor.place();
        let length_before = match cursor.byte()? {
            TERMINATOR => return self.end().map(|()| None),
            LONG => u32::from_le_bytes(cursor.array()?),
            short => u32::from(short),
        };
        if usize::try_from(length_before) != Ok(start - self.before) {
            return Err(cursor.broken("has an element whose two lengths differ"));
        }
        let first = cursor.byte()?;
        let piece = match first {
            0..=0x3f => cursor.text(u32::from(first))?,
            0x40..=0x7f => {
                let length = u16::from_be_bytes([first & 0x3f, cursor.byte()?]);
                cursor.text(u32::from(length))?
            }
            0x80 => {
                let length = u32::from_be_bytes(cursor.array()?);
                cursor.text(length)?
            }
            0xc0 => Piece::Number(i64::from(i16::from_le_bytes(cursor.array()?))),
            0xd0 => Piece::Number(i64::from(i32::from_le_bytes(cursor.array()?))),
            0xe0 => Piece::Number(i64::from_le_bytes(cursor.array()?)),
            0xf0 => cursor.number_of_three()?,
            0xf1..=0xfd => Piece::Number(i64::from(first & 0x0f) - 1),
            0xfe => Piece::Number(i64::from(i8::from_le_bytes(cursor.array()?))),
            _ => return Err(cursor.broken("has an element of no known form")),
        };
        self.before = start;
        self.seen += 1;
        Ok(Some(piece))
    }

    fn end(&mut self) -> Result<(), Broken> {
        if !self.cursor.is_at_end() {
            return Err(self.cursor.broken("has bytes behind its end"));
        }
        if self.counted != UNCOUNTED && usize::from(self.counted) != self.seen {
            return Err(self.cursor.broken("has another number of elements than it says"));
        }
        if usize::try_from(self.last) != Ok(self.before) {
            return Err(self.cursor.broken("has its last element elsewhere than it says"));
        }
        Ok(())
    }
}

impl<'a> Iterator for Ziplist<'a> {
    type Item = Result<Piece<'a>, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        self.element().transpose()
    }
}
