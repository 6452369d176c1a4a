//! Lengths, counts and small numbers, and the mark that a string has another form.

use crate::error::Error;

use super::input::{Input, damaged};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Plain(u64),
    /// A string in the form of this number.
    Form(u8),
}

/// The two high bits of the first byte say how many bytes follow.
pub(super) fn read(input: &mut Input) -> Result<Length, Error> {
    let at = input.offset();
    let first = input.byte()?;
    let low = first & 0x3f;
    Ok(match first >> 6 {
        0 => Length::Plain(u64::from(low)),
        1 => Length::Plain(u64::from(u16::from_be_bytes([low, input.byte()?]))),
        2 => match low {
            0 => Length::Plain(u64::from(u32::from_be_bytes(input.array()?))),
            1 => Length::Plain(u64::from_be_bytes(input.array()?)),
            _ => return Err(damaged(at, format_args!("no length begins with {first:#04x}"))),
        },
        _ => Length::Form(low),
    })
}

/// A number that is no string's length.
pub(super) fn count(input: &mut Input) -> Result<u64, Error> {
    let at = input.offset();
    match read(input)? {
        Length::Plain(count) => Ok(count),
        Length::Form(_) => Err(damaged(at, "a string stands where a number must")),
    }
}

/// Passes over so many numbers.
pub(super) fn pass(input: &mut Input, numbers: u32) -> Result<(), Error> {
    (0..numbers).try_for_each(|_| count(input).map(drop))
}
