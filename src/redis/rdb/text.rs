//! Strings: plain, as a number, or compressed.

use crate::error::Error;

use super::input::{Input, damaged, refused};
use super::length::{self, Length};
use super::lzf;

/// What to do about a wanted value that no counter can be.
pub(super) const REMOVE_LONG: &str = "no counter and no sketch is so long: rename the key or leave it out";

/// What became of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Whole,
    /// Longer than was asked for.
    PassedOver {
        length: u64,
    },
}

/// A string without its bytes.
enum Head {
    Plain(u64),
    Number(i32),
    Compressed { bytes: u64, length: u64 },
}

/// A string of at most `max_bytes`; a longer one is refused.
pub(super) fn read(input: &mut Input, max_bytes: u64) -> Result<Vec<u8>, Error> {
    let at = input.offset();
    let mut text = Vec::new();
    match take(input, max_bytes, &mut text)? {
        Taken::Whole => Ok(text),
        Taken::PassedOver { length } => {
            let what = format_args!("a value has {length} bytes, more than {max_bytes}");
            Err(refused(at, what, REMOVE_LONG))
        }
    }
}

/// Puts a string of at most `max_bytes` into `to`, which is empty; a longer one is passed over.
pub(super) fn take(input: &mut Input, max_bytes: u64, to: &mut Vec<u8>) -> Result<Taken, Error> {
    match head(input)? {
        Head::Plain(length) if length <= max_bytes => input.take(length, to)?,
        Head::Number(number) => to.extend_from_slice(number.to_string().as_bytes()),
        Head::Compressed { bytes, length } if length <= max_bytes => {
            let at = input.offset();
            let mut compressed = Vec::new();
            input.take(bytes, &mut compressed)?;
            lzf::decompress(&compressed, length, to)
                .map_err(|broken| broken.at(at, "a compressed string"))?;
        }
        Head::Plain(length) => {
            input.skip(length)?;
            return Ok(Taken::PassedOver { length });
        }
        Head::Compressed { bytes, length } => {
            input.skip(bytes)?;
            return Ok(Taken::PassedOver { length });
        }
    }
    Ok(Taken::Whole)
}

/// Passes over a string of any length.
pub(super) fn skip(input: &mut Input) -> Result<(), Error> {
    match head(input)? {
        Head::Number(_) => Ok(()),
        Head::Plain(bytes) | Head::Compressed { bytes, .. } => input.skip(bytes),
    }
}

fn head(input: &mut Input) -> Result<Head, Error> {
    let at = input.offset();
    let form = match length::read(input)? {
        Length::Plain(length) => return Ok(Head::Plain(length)),
        Length::Form(form) => form,
    };
    Ok(match form {
        0 => Head::Number(i32::from(i8::from_le_bytes(input.array()?))),
        1 => Head::Number(i32::from(i16::from_le_bytes(input.array()?))),
        2 => Head::Number(i32::from_le_bytes(input.array()?)),
        3 => {
            let bytes = length::count(input)?;
            let length = length::count(input)?;
            if !lzf::is_possible(bytes, length) {
                let what = format_args!("{bytes} compressed bytes cannot be {length} bytes");
                return Err(damaged(at, what));
            }
            Head::Compressed { bytes, length }
        }
        _ => return Err(damaged(at, format_args!("no string has form {form}"))),
    })
}
