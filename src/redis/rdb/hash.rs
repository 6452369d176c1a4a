//! Hashes out of every form that Redis has written them in.

use crate::error::Error;

use super::input::{Input, damaged, refused};
use super::kind::{HashForm, Times};
use super::listpack::Listpack;
use super::packed::{Broken, Piece};
use super::text::{self, REMOVE_LONG};
use super::ziplist::Ziplist;
use super::zipmap::Zipmap;
use super::{MAX_TEXT_BYTES, length};

/// The longest packed hash; by default Redis packs hashes of up to some 64 KiB.
const MAX_PACKED_BYTES: u64 = 8 << 20;
const MAX_FIELDS: usize = 1 << 20;
/// Names and values of one hash together.
const MAX_HASH_BYTES: usize = 64 << 20;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: Vec<u8>,
    pub(crate) value: Vec<u8>,
    /// Milliseconds since 1970 in UTC (Redis 7.4 and later).
    pub(crate) expires_at_ms: Option<i64>,
}

/// The fields in the order of the file. Empty hashes, fields that are there twice and more than the limits are refused.
pub(super) fn read(input: &mut Input, form: HashForm) -> Result<Vec<Field>, Error> {
    let at = input.offset();
    let mut fields = Fields { at, all: Vec::new(), bytes: 0 };
    match form {
        HashForm::Table => {
            for _ in 0..length::count(input)? {
                fields.push(text::read(input, MAX_TEXT_BYTES)?, text::read(input, MAX_TEXT_BYTES)?, None)?;
            }
        }
        HashForm::ExpiringTable(times) => {
            let earliest = earliest(input, times)?;
            for _ in 0..length::count(input)? {
                let expires_at_ms = expiry(input, times, earliest)?;
                let (name, value) = (text::read(input, MAX_TEXT_BYTES)?, text::read(input, MAX_TEXT_BYTES)?);
                fields.push(name, value, expires_at_ms)?;
            }
        }
        HashForm::Zipmap => {
            let bytes = text::read(input, MAX_PACKED_BYTES)?;
            fields.unpack(Zipmap::new(&bytes), "a zipmap", Expiries::None)?;
        }
        HashForm::Ziplist => {
            let bytes = text::read(input, MAX_PACKED_BYTES)?;
            fields.unpack(Ziplist::new(&bytes), "a ziplist", Expiries::None)?;
        }
        HashForm::Listpack => {
            let bytes = text::read(input, MAX_PACKED_BYTES)?;
            fields.unpack(Listpack::new(&bytes), "a listpack", Expiries::None)?;
        }
        HashForm::ExpiringListpack(times) => {
            earliest(input, times)?;
            let bytes = text::read(input, MAX_PACKED_BYTES)?;
            fields.unpack(Listpack::new(&bytes), "a listpack", Expiries::Third)?;
        }
    }
    fields.check()
}

fn earliest(input: &mut Input, times: Times) -> Result<i64, Error> {
    match times {
        Times::Alone => Ok(0),
        Times::BehindEarliest => input.array().map(i64::from_le_bytes),
    }
}

/// 0 is none. Behind the earliest of all stands how much later each is, and one more.
fn expiry(input: &mut Input, times: Times, earliest: i64) -> Result<Option<i64>, Error> {
    let at = input.offset();
    let number = length::count(input)?;
    if number == 0 {
        return Ok(None);
    }
    let number = i64::try_from(number).ok();
    let time = match times {
        Times::Alone => number,
        Times::BehindEarliest => number.and_then(|number| earliest.checked_add(number - 1)),
    };
    time.map(Some).ok_or_else(|| damaged(at, "a field expires when no clock can tell"))
}

/// Whether an expiry stands behind each pair.
#[derive(Clone, Copy)]
enum Expiries {
    None,
    Third,
}

struct Fields {
    at: u64,
    all: Vec<Field>,
    bytes: usize,
}

impl Fields {
    fn push(&mut self, name: Vec<u8>, value: Vec<u8>, expires_at_ms: Option<i64>) -> Result<(), Error> {
        self.bytes += name.len() + value.len();
        if self.all.len() == MAX_FIELDS || self.bytes > MAX_HASH_BYTES {
            let what = format_args!("the hash has more than {MAX_FIELDS} fields or {MAX_HASH_BYTES} bytes");
            return Err(refused(self.at, what, REMOVE_LONG));
        }
        self.all.push(Field { name, value, expires_at_ms });
        // Now and then, as a name that is repeated may take next to nothing of the file, and all this memory.
        if self.all.len().is_power_of_two() { self.check_names() } else { Ok(()) }
    }

    fn unpack<'a>(
        &mut self,
        pieces: Result<impl Iterator<Item = Result<Piece<'a>, Broken>>, Broken>,
        form: &str,
        expiries: Expiries,
    ) -> Result<(), Error> {
        let at = self.at;
        let broken = |broken: Broken| broken.at(at, form);
        let mut pieces = pieces.map_err(broken)?;
        while let Some(name) = pieces.next() {
            let name = name.map_err(broken)?;
            let mut next = || match pieces.next() {
                Some(piece) => piece.map_err(broken),
                None => Err(damaged(at, format_args!("{form} ends within a field"))),
            };
            let value = next()?;
            let expires_at_ms = match expiries {
                Expiries::None => None,
                Expiries::Third => match next()? {
                    Piece::Number(0) => None,
                    Piece::Number(time) => Some(time),
                    Piece::Text(_) => return Err(damaged(at, format_args!("{form} has a text for a time"))),
                },
            };
            self.push(name.bytes(), value.bytes(), expires_at_ms)?;
        }
        Ok(())
    }

    fn check(self) -> Result<Vec<Field>, Error> {
        if self.all.is_empty() {
            return Err(damaged(self.at, "the hash is empty, which no hash of Redis is"));
        }
        self.check_names()?;
        Ok(self.all)
    }

    fn check_names(&self) -> Result<(), Error> {
        let mut names: Vec<&[u8]> = self.all.iter().map(|field| field.name.as_slice()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| matches!(pair, [one, next] if one == next)) {
            return Err(damaged(self.at, "a field is there twice"));
        }
        Ok(())
    }
}
