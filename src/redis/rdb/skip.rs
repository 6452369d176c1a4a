//! Passes over values that nobody wants, by their lengths.
//!
//! Counts are not believed: each element takes at least a byte, so that a count of nonsense ends with the file.

use crate::error::Error;

use super::input::{Input, damaged};
use super::kind::{HashForm, Kind, Layout, StreamForm, Times};
use super::{length, text};

/// An entry of a stream is named by two numbers of eight bytes.
const STREAM_ID_BYTES: u64 = 16;
const TIME_BYTES: u64 = 8;
/// Lengths of a number in decimals from here on mean infinities and what is no number.
const FIRST_SPECIAL_SCORE: u8 = 253;

/// Between the parts of a module's value.
const MODULE_END: u64 = 0;
const MODULE_SIGNED: u64 = 1;
const MODULE_UNSIGNED: u64 = 2;
const MODULE_FLOAT: u64 = 3;
const MODULE_DOUBLE: u64 = 4;
const MODULE_TEXT: u64 = 5;

pub(super) fn value(input: &mut Input, kind: Kind) -> Result<(), Error> {
    match kind {
        Kind::Text => text::skip(input),
        Kind::Hash(form) => hash(input, form),
        Kind::Other(_, layout) => other(input, layout),
    }
}

fn hash(input: &mut Input, form: HashForm) -> Result<(), Error> {
    match form {
        HashForm::Zipmap | HashForm::Ziplist | HashForm::Listpack => text::skip(input),
        HashForm::Table => each(input, |input| {
            text::skip(input)?;
            text::skip(input)
        }),
        HashForm::ExpiringTable(times) => {
            earliest(input, times)?;
            each(input, |input| {
                length::pass(input, 1)?;
                text::skip(input)?;
                text::skip(input)
            })
        }
        HashForm::ExpiringListpack(times) => {
            earliest(input, times)?;
            text::skip(input)
        }
    }
}

fn earliest(input: &mut Input, times: Times) -> Result<(), Error> {
    match times {
        Times::Alone => Ok(()),
        Times::BehindEarliest => input.skip(TIME_BYTES),
    }
}

fn other(input: &mut Input, layout: Layout) -> Result<(), Error> {
    match layout {
        Layout::Packed => text::skip(input),
        Layout::Strings => each(input, text::skip),
        Layout::NumberedStrings => each(input, |input| {
            length::pass(input, 1)?;
            text::skip(input)
        }),
        Layout::DecimalScores => each(input, |input| {
            text::skip(input)?;
            match input.byte()? {
                FIRST_SPECIAL_SCORE.. => Ok(()),
                length => input.skip(u64::from(length)),
            }
        }),
        Layout::BinaryScores => each(input, |input| {
            text::skip(input)?;
            input.skip(8)
        }),
        Layout::Module => {
            length::pass(input, 1)?;
            module(input)
        }
        Layout::Stream(form) => stream(input, form),
    }
}

/// A count, and what stands so many times behind it.
fn each(input: &mut Input, one: impl Fn(&mut Input) -> Result<(), Error>) -> Result<(), Error> {
    let count = length::count(input)?;
    for _ in 0..count {
        one(input)?;
    }
    Ok(())
}

/// Listpacks behind the number of their first entry, then what the stream knows of itself, then groups of consumers.
fn stream(input: &mut Input, form: StreamForm) -> Result<(), Error> {
    each(input, |input| {
        text::skip(input)?;
        text::skip(input)
    })?;
    // The length and the last entry; then the first, the highest that was removed, and how many there ever were.
    length::pass(input, if form >= StreamForm::Second { 8 } else { 3 })?;
    each(input, |input| group(input, form))
}

fn group(input: &mut Input, form: StreamForm) -> Result<(), Error> {
    text::skip(input)?;
    // The last entry that was delivered; then how many were read.
    length::pass(input, if form >= StreamForm::Second { 3 } else { 2 })?;
    // Entries that wait for an answer, with the time and the number of deliveries.
    each(input, |input| {
        input.skip(STREAM_ID_BYTES + TIME_BYTES)?;
        length::pass(input, 1)
    })?;
    each(input, |input| {
        text::skip(input)?;
        // When the consumer was seen; then when it was active.
        input.skip(if form >= StreamForm::Third { 2 * TIME_BYTES } else { TIME_BYTES })?;
        each(input, |input| input.skip(STREAM_ID_BYTES))
    })
}

/// The parts of a module's value, each with its type, up to the end mark.
fn module(input: &mut Input) -> Result<(), Error> {
    loop {
        let at = input.offset();
        match length::count(input)? {
            MODULE_END => return Ok(()),
            MODULE_SIGNED | MODULE_UNSIGNED => length::pass(input, 1)?,
            MODULE_FLOAT => input.skip(4)?,
            MODULE_DOUBLE => input.skip(8)?,
            MODULE_TEXT => text::skip(input)?,
            part => return Err(damaged(at, format_args!("no part of a module's value has type {part}"))),
        }
    }
}

/// What a module keeps outside of keys: its name, when to load it, and parts.
pub(super) fn module_aux(input: &mut Input) -> Result<(), Error> {
    length::pass(input, 3)?;
    module(input)
}

/// A function as the candidates of Redis 7.0 wrote it: name, engine, perhaps a description, code.
pub(super) fn function_of_candidates(input: &mut Input) -> Result<(), Error> {
    text::skip(input)?;
    text::skip(input)?;
    if length::count(input)? != 0 {
        text::skip(input)?;
    }
    text::skip(input)
}
