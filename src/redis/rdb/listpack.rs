//! Listpacks, in which Redis 7 keeps small hashes: `<bytes: u32> <elements: u16> <element>... <255>`.

use super::packed::{Broken, Cursor, Piece};

const TERMINATOR: u8 = 0xff;
/// The header's count when there are too many elements for it.
const UNCOUNTED: u16 = u16::MAX;
/// Elements below these lengths have so many bytes of length behind them: the first 1, the last 4, others 5.
const BACKWARD_LENGTHS: [usize; 4] = [128, 16_383, 2_097_151, 268_435_455];

/// The elements, one after the other, each checked. Ends with an error unless the whole is in order.
pub(super) struct Listpack<'a> {
    cursor: Cursor<'a>,
    counted: u16,
    seen: usize,
}

impl<'a> Listpack<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Broken> {
        let mut cursor = Cursor::new(bytes);
        let length = u32::from_le_bytes(cursor.array()?);
        if usize::try_from(length) != Ok(bytes.len()) {
            return Err(cursor.broken("has another length than it says"));
        }
        let counted = u16::from_le_bytes(cursor.array()?);
        Ok(Self { cursor, counted, seen: 0 })
    }

    fn element(&mut self) -> Result<Option<Piece<'a>>, Broken> {
        let cursor = &mut self.cursor;
        let start = cursor.place();
        let first = cursor.byte()?;
        let piece = match first {
            0..=0x7f => Piece::Number(i64::from(first)),
            0x80..=0xbf => Piece::Text(cursor.take(usize::from(first & 0x3f))?),
            0xc0..=0xdf => {
                // 13 bits, at the upper end of 16, from where the shift brings the sign.
                let bits = i16::from_be_bytes([first & 0x1f, cursor.byte()?]) << 3;
                Piece::Number(i64::from(bits >> 3))
            }
            0xe0..=0xef => {
                let length = u16::from_be_bytes([first & 0x0f, cursor.byte()?]);
                cursor.text(u32::from(length))?
            }
            0xf0 => {
                let length = u32::from_le_bytes(cursor.array()?);
                cursor.text(length)?
            }
            0xf1 => Piece::Number(i64::from(i16::from_le_bytes(cursor.array()?))),
            0xf2 => cursor.number_of_three()?,
            0xf3 => Piece::Number(i64::from(i32::from_le_bytes(cursor.array()?))),
            0xf4 => Piece::Number(i64::from_le_bytes(cursor.array()?)),
            TERMINATOR => return self.end().map(|()| None),
            _ => return Err(cursor.broken("has an element of no known form")),
        };
        let length = cursor.place() - start;
        check_backward(cursor, length)?;
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
        Ok(())
    }
}

impl<'a> Iterator for Listpack<'a> {
    type Item = Result<Piece<'a>, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        self.element().transpose()
    }
}

/// Behind each element stands its length, seven bits to a byte, to be read from the end: the high bit says that more come.
fn check_backward(cursor: &mut Cursor<'_>, length: usize) -> Result<(), Broken> {
    let bytes = BACKWARD_LENGTHS.iter().filter(|bound| length >= **bound).count() + 1;
    let mut read = 0_u64;
    for (place, byte) in cursor.take(bytes)?.iter().enumerate() {
        if (place > 0) != (byte & 0x80 != 0) {
            return Err(cursor.broken("has an element whose two lengths differ"));
        }
        read = read << 7 | u64::from(byte & 0x7f);
    }
    if read == length as u64 { Ok(()) } else { Err(cursor.broken("has an element whose two lengths differ")) }
}
