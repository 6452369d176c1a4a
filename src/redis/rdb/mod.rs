//! Reads a dump of Redis (an RDB file) from front to back: the wanted keys are shown, everything else is passed over.
//!
//! The format is known up to version 12, which is what Redis 2 to 7.4 and Valkey up to 8 write. Memory is one block of the file,
//! one key and one wanted value; lengths in the file are believed only as far as the file has bytes for them. Values that
//! nobody wants are passed over by their lengths and not looked into.

mod hash;
mod input;
mod kind;
mod length;
mod listpack;
mod lzf;
mod packed;
mod skip;
#[cfg(test)]
mod tests;
mod text;
mod ziplist;
mod zipmap;

use std::collections::HashSet;
use std::io::Read;

use crate::error::Error;

pub(crate) use hash::Field;
use input::{BY_NETWORK, Input, damaged, refused};
use kind::Kind;
use text::Taken;

/// The oldest and the newest version that is read.
const VERSIONS: std::ops::RangeInclusive<u32> = 1..=12;
/// From this version on the file ends with its checksum.
const FIRST_CHECKED_VERSION: u32 = 5;
const MAGIC: [u8; 5] = *b"REDIS";

/// Longer keys are passed over unseen: nobody asks for them.
const MAX_KEY_BYTES: u64 = 64 << 10;
/// The longest string that is handed over; a dense HyperLogLog takes 12 KiB.
const MAX_TEXT_BYTES: u64 = 1 << 20;
/// Longer notes of the writer about itself are passed over.
const MAX_NOTE_BYTES: u64 = 1 << 10;
/// Redis counts its databases in an `int`.
const MAX_DATABASE: u64 = i32::MAX as u64;
/// So much of a key stands in a message.
const SHOWN_KEY_BYTES: usize = 100;

const SLOT_INFO: u8 = 244;
const FUNCTION: u8 = 245;
const FUNCTION_OF_CANDIDATES: u8 = 246;
const MODULE_AUX: u8 = 247;
const IDLE: u8 = 248;
const FREQUENCY: u8 = 249;
const NOTE: u8 = 250;
const SIZES: u8 = 251;
const EXPIRES_AT_MS: u8 = 252;
const EXPIRES_AT_SECONDS: u8 = 253;
const DATABASE: u8 = 254;
const END: u8 = 255;

/// A wanted key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) database: u64,
    pub(crate) key: Vec<u8>,
    /// Milliseconds since 1970 in UTC; may lie in the past, as Redis removes what has expired when it pleases.
    pub(crate) expires_at_ms: Option<i64>,
    pub(crate) value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// A string, as `GET` returns it: numbers are in decimals.
    Text(Vec<u8>),
    /// A hash in the order of the file; no field is there twice.
    Hash(Vec<Field>),
    /// The name of another type, as `TYPE` returns it, or `module`; the value was passed over.
    Other(&'static str),
}

/// What a whole file said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Summary {
    /// The version of the format.
    pub(crate) version: u32,
    /// All keys, the wanted ones among them.
    pub(crate) keys: u64,
    /// The keys that were shown.
    pub(crate) wanted: u64,
    /// Keys longer than 64 KiB, which were passed over without asking.
    pub(crate) too_long: u64,
    pub(crate) bytes: u64,
    pub(crate) checksum: Checksum,
    /// The version of the server that wrote the file, if it said so (Redis 3.2 and later).
    pub(crate) server: Option<String>,
    /// The writer's clock, in Unix seconds, if it said so: what the file holds is as of then.
    pub(crate) made_at: Option<i64>,
    /// The file begins an append-only file: what was written later stands in other files.
    pub(crate) is_base_of_aof: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checksum {
    Right,
    /// The writer was told `rdbchecksum no`: damage may have gone unnoticed.
    SwitchedOff,
    /// Versions before 5 have none.
    None,
}

/// Reads the whole of `source` and shows the keys for which `is_wanted` (database, key) holds, in the order of the file.
///
/// What was shown is good only if the result is `Ok`: the checksum stands at the end. Each wanted key is shown once.
/// Takes 64 KiB, and the keys that were wanted, next to one value. `source` needs no buffer.
///
/// # Errors
///
/// Anything but a whole file of a known version: damage, bytes after the end, a wrong checksum. A wanted value that is longer
/// than a counter, a sketch or a hash of counters can be. What `show` returns, which ends the reading.
pub(crate) fn read(
    mut source: impl Read,
    is_wanted: &mut dyn FnMut(u64, &[u8]) -> bool,
    show: &mut dyn FnMut(Entry) -> Result<(), Error>,
) -> Result<Summary, Error> {
    let mut input = Input::new(&mut source);
    let mut summary = Summary {
        version: version(&mut input)?,
        keys: 0,
        wanted: 0,
        too_long: 0,
        bytes: 0,
        checksum: Checksum::None,
        server: None,
        made_at: None,
        is_base_of_aof: false,
    };
    let mut database = 0;
    let mut key = Vec::new();
    let mut shown = HashSet::new();
    loop {
        let at = input.offset();
        let first = input.byte()?;
        match first {
            END => break,
            DATABASE => {
                database = length::count(&mut input)?;
                if database > MAX_DATABASE {
                    return Err(damaged(at, format_args!("no Redis has a database {database}")));
                }
                continue;
            }
            NOTE => {
                note(&mut input, &mut summary)?;
                continue;
            }
            SIZES => {
                length::pass(&mut input, 2)?;
                continue;
            }
            SLOT_INFO => {
                length::pass(&mut input, 3)?;
                continue;
            }
            FUNCTION => {
                text::skip(&mut input)?;
                continue;
            }
            FUNCTION_OF_CANDIDATES => {
                skip::function_of_candidates(&mut input)?;
                continue;
            }
            MODULE_AUX => {
                skip::module_aux(&mut input)?;
                continue;
            }
            _ => {}
        }
        let (first, expires_at_ms) = attributes(&mut input, first)?;
        let at = input.offset() - 1;
        let kind = Kind::of(first).ok_or_else(|| unknown(at, first))?;
        key.clear();
        let taken = text::take(&mut input, MAX_KEY_BYTES, &mut key)?;
        summary.keys += 1;
        let place = |error: Error| error.context(format_args!("key {}", Shown(&key)));
        if let Taken::PassedOver { .. } = taken {
            summary.too_long += 1;
            skip::value(&mut input, kind)?;
        } else if is_wanted(database, &key) {
            if !shown.insert((database, key.clone())) {
                return Err(place(damaged(at, format_args!("the key is in database {database} twice"))));
            }
            summary.wanted += 1;
            let value = value(&mut input, kind).map_err(place)?;
            show(Entry { database, key: key.clone(), expires_at_ms, value })?;
        } else {
            skip::value(&mut input, kind).map_err(place)?;
        }
    }
    summary.checksum = end(&mut input, summary.version)?;
    summary.bytes = input.offset();
    Ok(summary)
}

fn version(input: &mut Input) -> Result<u32, Error> {
    let magic: [u8; 5] = input.array()?;
    let digits: [u8; 4] = input.array()?;
    if magic == *b"VALKE" {
        return Err(refused(0, "this is a file of Valkey 9 or later, which is not known here", BY_NETWORK));
    }
    if magic != MAGIC {
        let remedy = "name the file that `CONFIG GET dir` and `CONFIG GET dbfilename` tell, and unpack it first if it is packed";
        return Err(refused(0, "this is no RDB file: it does not begin with `REDIS`", remedy));
    }
    let number = digits.iter().try_fold(0, |number, digit| match digit {
        b'0'..=b'9' => Some(number * 10 + u32::from(digit - b'0')),
        _ => None,
    });
    match number {
        Some(version) if VERSIONS.contains(&version) => Ok(version),
        Some(version) if version > *VERSIONS.end() => {
            let newest = VERSIONS.end();
            let what =
                format_args!("the file has version {version} of the format; known are those up to {newest}");
            Err(refused(5, what, BY_NETWORK))
        }
        _ => Err(damaged(5, format_args!("`{}` is no version", digits.escape_ascii()))),
    }
}

/// What stands between the expiry and the type of a key; returns the type.
fn attributes(input: &mut Input, first: u8) -> Result<(u8, Option<i64>), Error> {
    let mut first = first;
    let mut expires_at_ms = None;
    loop {
        let at = input.offset() - 1;
        let expiry = match first {
            EXPIRES_AT_MS => i64::from_le_bytes(input.array()?),
            EXPIRES_AT_SECONDS => i64::from(i32::from_le_bytes(input.array()?)) * 1_000,
            IDLE => {
                length::pass(input, 1)?;
                first = input.byte()?;
                continue;
            }
            FREQUENCY => {
                input.byte()?;
                first = input.byte()?;
                continue;
            }
            _ => return Ok((first, expires_at_ms)),
        };
        if expires_at_ms.replace(expiry).is_some() {
            return Err(damaged(at, "a key has two expiries"));
        }
        first = input.byte()?;
    }
}

fn unknown(at: u64, first: u8) -> Error {
    match first {
        kind::FIRST_MODULE => {
            let remedy = "the value of a module from before Redis 4.0, which only that module can read; remove the key";
            refused(at, "this value cannot be passed over", remedy)
        }
        SLOT_INFO.. => damaged(at, "an expiry, an idle time or a frequency is not followed by a key"),
        _ => damaged(at, format_args!("no value has type {first}")),
    }
}

fn value(input: &mut Input, kind: Kind) -> Result<Value, Error> {
    match kind {
        Kind::Text => text::read(input, MAX_TEXT_BYTES).map(Value::Text),
        Kind::Hash(form) => hash::read(input, form).map(Value::Hash),
        Kind::Other(name, _) => {
            skip::value(input, kind)?;
            Ok(Value::Other(name))
        }
    }
}

/// A pair of strings that the writer noted about itself. Unknown ones mean nothing.
fn note(input: &mut Input, summary: &mut Summary) -> Result<(), Error> {
    let (mut name, mut value) = (Vec::new(), Vec::new());
    text::take(input, MAX_NOTE_BYTES, &mut name)?;
    if let Taken::PassedOver { .. } = text::take(input, MAX_NOTE_BYTES, &mut value)? {
        return Ok(());
    }
    let value = String::from_utf8_lossy(&value);
    match name.as_slice() {
        b"redis-ver" | b"valkey-ver" => summary.server = Some(value.into_owned()),
        b"ctime" => summary.made_at = value.parse().ok(),
        b"aof-base" | b"aof-preamble" => summary.is_base_of_aof = value == "1",
        _ => {}
    }
    Ok(())
}

fn end(input: &mut Input, version: u32) -> Result<Checksum, Error> {
    let mut checksum = Checksum::None;
    if version >= FIRST_CHECKED_VERSION {
        let at = input.offset();
        let sum = input.checksum();
        checksum = match u64::from_le_bytes(input.array()?) {
            0 => Checksum::SwitchedOff,
            stored if stored == sum => Checksum::Right,
            stored => {
                let what = format_args!("the checksum is {stored:016x}, and that of the bytes is {sum:016x}");
                return Err(damaged(at, what));
            }
        };
    }
    let at = input.offset();
    if !input.is_at_end()? {
        return Err(damaged(
            at,
            "there are bytes behind the end, as in an append-only file that begins with a dump",
        ));
    }
    Ok(checksum)
}

/// The begin of a key, readable in a message.
struct Shown<'a>(&'a [u8]);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.split_at_checked(SHOWN_KEY_BYTES) {
            Some((begin, rest)) if !rest.is_empty() => write!(f, "`{}...`", begin.escape_ascii()),
            _ => write!(f, "`{}`", self.0.escape_ascii()),
        }
    }
}
