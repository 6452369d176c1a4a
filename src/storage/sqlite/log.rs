//! The write-ahead log, read as bytes: SQLite itself takes it up to the first page whose checksum fails, and says nothing of what
//! stands behind.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
const PAGE_BYTES: usize = 4_096;
/// The last bit of the first word says in which order bytes make the words of checksums.
const MAGIC: u32 = 0x377f_0682;

/// A commit is written only when the one before is synced; so a power cut may tear the last one, in any order of its pages, and behind a
/// page that it tore stands the end of one commit at the most.
const ENDS_BEHIND_DAMAGE: u32 = 2;

/// Finds a page that does not have its checksum and was synced, as later commits show. Returns the number of the page, from 1; `None` also
/// where there is no log, or it begins anew meanwhile.
pub(crate) fn damaged_page(log: &Path) -> std::io::Result<Option<u64>> {
    let read_header = || -> std::io::Result<[u8; HEADER_BYTES]> {
        let mut header = [0; HEADER_BYTES];
        File::open(log)?.read_exact(&mut header).map(|()| header)
    };
    let header = match read_header() {
        Ok(header) => header,
        // Shorter than its header it is empty.
        Err(_) => return Ok(None),
    };
    let is_big = word(&header, 0, true) & 1 == 1;
    let mut salt = [word(&header, 16, true), word(&header, 20, true)];
    let mut before = [word(&header, 24, true), word(&header, 28, true)];
    let is_sound = word(&header, 0, true) & !1 == MAGIC && sum([0, 0], header.get(..24), is_big) == before;
    let mut broken = (!is_sound).then_some(1);
    let mut reader = BufReader::new(File::open(log)?);
    reader.read_exact(&mut [0; HEADER_BYTES])?;
    let mut frame = vec![0; FRAME_HEADER_BYTES + PAGE_BYTES];
    let mut number = 0;
    let mut ends_behind = 0;
    while reader.read_exact(&mut frame).is_ok() {
        number += 1;
        let own = [word(&frame, 16, true), word(&frame, 20, true)];
        let of_frame = [word(&frame, 8, true), word(&frame, 12, true)];
        let is_of_run = of_frame == salt;
        if !is_sound {
            // Of what run it is only the page before can say.
            salt = of_frame;
        }
        let of_head = sum(before, frame.get(..8), is_big);
        let is_whole = is_of_run && sum(of_head, frame.get(FRAME_HEADER_BYTES..), is_big) == own;
        before = own;
        match (is_whole, broken) {
            (false, None) => broken = Some(number),
            // The last page of a commit has the size of the file in its head.
            (true, Some(_)) if word(&frame, 4, true) > 0 => ends_behind += 1,
            _ => {}
        }
    }
    let was_synced = ends_behind >= ENDS_BEHIND_DAMAGE;
    Ok(broken.filter(|_| was_synced && read_header().is_ok_and(|now| now == header)))
}

fn word(bytes: &[u8], at: usize, is_big: bool) -> u32 {
    let word = bytes.get(at..at + 4).and_then(|word| <[u8; 4]>::try_from(word).ok()).unwrap_or_default();
    if is_big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
}

/// SQLite's checksum of a log, which goes on from that of the page before.
fn sum([mut first, mut second]: [u32; 2], bytes: Option<&[u8]>, is_big: bool) -> [u32; 2] {
    for pair in bytes.unwrap_or_default().chunks_exact(8) {
        first = first.wrapping_add(word(pair, 0, is_big)).wrapping_add(second);
        second = second.wrapping_add(word(pair, 4, is_big)).wrapping_add(first);
    }
    [first, second]
}
