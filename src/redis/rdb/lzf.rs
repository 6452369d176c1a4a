//! LZF, the compression of strings: runs of plain bytes, and references to bytes that were written before.

use super::packed::{Broken, Cursor};

/// The longest reference takes 3 bytes and stands for 264.
const MAX_BYTES_FROM_ONE: u64 = 88;
/// The worst run takes 2 bytes for one.
const MAX_BYTES_FOR_ONE: u64 = 2;
/// First bytes below are runs of plain bytes, one more than the number says.
const FIRST_REFERENCE: u8 = 32;
/// A reference stands for two bytes more than its number says.
const SHORTEST_REFERENCE: usize = 2;
/// A reference of this number has the rest of it in another byte.
const LONG_REFERENCE: usize = 7;

/// Whether so many compressed bytes can stand for `length` bytes. Asked before anything is allocated.
pub(super) fn is_possible(compressed: u64, length: u64) -> bool {
    length.div_ceil(MAX_BYTES_FROM_ONE) <= compressed && compressed.div_ceil(MAX_BYTES_FOR_ONE) <= length
}

/// Appends exactly `length` bytes to `to`. Holds `is_possible` for the two lengths.
pub(super) fn decompress(compressed: &[u8], length: u64, to: &mut Vec<u8>) -> Result<(), Broken> {
    let mut cursor = Cursor::new(compressed);
    let begin = to.len();
    let length = usize::try_from(length).map_err(|_| cursor.broken("is longer than memory"))?;
    to.reserve_exact(length);
    while !cursor.is_at_end() {
        let first = cursor.byte()?;
        let left = length - (to.len() - begin);
        if first < FIRST_REFERENCE {
            let run = cursor.take(usize::from(first) + 1)?;
            if run.len() > left {
                return Err(cursor.broken("is longer than it says"));
            }
            to.extend_from_slice(run);
            continue;
        }
        let mut count = usize::from(first >> 5);
        if count == LONG_REFERENCE {
            count += usize::from(cursor.byte()?);
        }
        count += SHORTEST_REFERENCE;
        let distance = (usize::from(first & 0x1f) << 8 | usize::from(cursor.byte()?)) + 1;
        if count > left {
            return Err(cursor.broken("is longer than it says"));
        }
        if distance > to.len() - begin {
            return Err(cursor.broken("refers to bytes before its begin"));
        }
        // The bytes may be their own source: what was copied is copied again, twice as much each time.
        let source = to.len() - distance;
        while count > 0 {
            let now = count.min(to.len() - source);
            to.extend_from_within(source..source + now);
            count -= now;
        }
    }
    if to.len() - begin != length {
        return Err(cursor.broken("is shorter than it says"));
    }
    Ok(())
}
