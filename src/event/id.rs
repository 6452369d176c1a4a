//! Identifiers and property values, and the exact bytes that are hashed for them.

use std::fmt::Write;

use crate::hash::IdHash;

/// Whole numbers below this are hashed as integers; from here on a double no longer holds every integer.
const EXACT_INTEGERS_BELOW: f64 = 9_007_199_254_740_992.0;
/// Non-negative integers below this are hashed without writing out their digits.
const SHORT_DECIMALS_BELOW: u64 = 100_000_000;
/// The longest decimal form of a 64-bit integer, with its sign.
const MAX_INTEGER_BYTES: usize = 20;
/// The longest plain decimal form of a double: sign, `0.` and 1,074 fraction digits at the most.
const MAX_FLOAT_BYTES: usize = 1_100;

/// Who or what an event happened to: text, an integer, or nobody.
///
/// An integer is the same identifier as the text of its shortest decimal form (`42` and `"42"`); texts are taken as they
/// are (`"042"` differs). `None` and the empty text mean absent: rules that need the identifier are skipped and counted.
///
/// ```
/// use headcount::Event;
///
/// let _ = Event::new("issue_created").user(42);
/// let _ = Event::new("issue_created").user("u-42");
/// let _ = Event::new("issue_created").user(None::<u64>);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Id<'a>(pub(crate) Scalar<'a>);

/// The value of a custom property: text or a finite number; `None` and the empty text mean absent.
///
/// ```
/// use headcount::Event;
///
/// let _ = Event::new("command_used").custom("platform", "linux").custom("seconds", 1.5).custom("retries", 3);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct PropertyValue<'a>(pub(crate) Scalar<'a>);

/// A text, a number, or nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) enum Scalar<'a> {
    #[default]
    Absent,
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(&'a str),
}

impl<'a> Scalar<'a> {
    /// The scalar as the rules see it: the empty text is nothing.
    #[inline]
    pub(crate) fn present(self) -> Option<Self> {
        match self {
            Self::Absent | Self::Text("") => None,
            scalar => Some(scalar),
        }
    }

    /// The number, where it is one.
    #[inline]
    #[expect(
        clippy::cast_precision_loss,
        reason = "filters compare as doubles, as the definitions' numbers are"
    )]
    pub(crate) fn number(self) -> Option<f64> {
        match self {
            Self::Signed(number) => Some(number as f64),
            Self::Unsigned(number) => Some(number as f64),
            Self::Float(number) => Some(number),
            Self::Absent | Self::Text(_) => None,
        }
    }

    /// Hands the bytes that stand for this scalar to `f`: text as it is, integers as shortest decimal, other numbers as
    /// integers when whole and below 2^53, else as shortest round-trip decimal.
    #[inline]
    pub(crate) fn with_bytes<R>(self, f: impl FnOnce(&str) -> R) -> R {
        match self {
            Self::Absent => f(""),
            Self::Text(text) => f(text),
            Self::Unsigned(number) => with_decimal(number, false, f),
            Self::Signed(number) => with_decimal(number.unsigned_abs(), number < 0, f),
            Self::Float(number) if number.fract() == 0.0 && number.abs() < EXACT_INTEGERS_BELOW =>
            {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "whole and below 2^53, as the guard says"
                )]
                with_decimal(number.abs() as u64, number < 0.0, f)
            }
            Self::Float(number) => {
                let mut decimal = Decimal { bytes: [0; MAX_FLOAT_BYTES], len: 0 };
                // A double's plain decimal form always fits; a cut one would still be deterministic.
                let _ = write!(decimal, "{number}");
                f(decimal.as_str())
            }
        }
    }

    /// The hash that sketches keep for this scalar.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "where it is called is known which of these it is")]
    pub(crate) fn hash(self) -> IdHash {
        match self {
            Self::Text(text) => hash_text(text),
            Self::Unsigned(number) if number < SHORT_DECIMALS_BELOW => hash_short(number),
            Self::Signed(number) if (0..SHORT_DECIMALS_BELOW.cast_signed()).contains(&number) => {
                hash_short(number.cast_unsigned())
            }
            scalar => scalar.hash_long(),
        }
    }

    /// The hash of what has to be written out first.
    #[inline(never)]
    fn hash_long(self) -> IdHash {
        self.with_bytes(|text| IdHash::of(text.as_bytes()))
    }

    /// The length of a text in bytes; numbers are always short enough.
    #[inline]
    pub(crate) fn text_len(self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            _ => 0,
        }
    }
}

/// Apart, so that what is left of hashing is small enough to become part of its callers.
#[inline(never)]
fn hash_text(text: &str) -> IdHash {
    IdHash::of(text.as_bytes())
}

#[inline(never)]
#[expect(clippy::cast_possible_truncation, reason = "the caller has checked that it is below 10^8")]
fn hash_short(number: u64) -> IdHash {
    IdHash::of_short_decimal(number as u32)
}

#[inline]
fn with_decimal<R>(mut magnitude: u64, negative: bool, f: impl FnOnce(&str) -> R) -> R {
    let mut bytes = [b'0'; MAX_INTEGER_BYTES];
    let mut start = MAX_INTEGER_BYTES;
    for place in bytes.iter_mut().rev() {
        let digit = (magnitude % 10) as u8;
        *place = b'0' + digit;
        start -= 1;
        magnitude /= 10;
        if magnitude == 0 {
            break;
        }
    }
    // A negative magnitude is at most 2^63, 19 digits, so there is a place for the sign.
    if negative && start > 0 {
        start -= 1;
        if let Some(place) = bytes.get_mut(start) {
            *place = b'-';
        }
    }
    f(bytes.get(start..).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default())
}

/// A text on the stack that a number is written into.
struct Decimal {
    bytes: [u8; MAX_FLOAT_BYTES],
    len: usize,
}

impl Decimal {
    fn as_str(&self) -> &str {
        self.bytes.get(..self.len).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl Write for Decimal {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.len + text.len();
        let place = self.bytes.get_mut(self.len..end).ok_or(std::fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

macro_rules! from_integers {
    ($($target:ident: $($integer:ty => $variant:ident),+;)+) => {$($(
        impl From<$integer> for $target<'_> {
            #[inline]
            fn from(number: $integer) -> Self {
                Self(Scalar::$variant(number.into()))
            }
        }
    )+)+};
}

from_integers! {
    Id: u8 => Unsigned, u16 => Unsigned, u32 => Unsigned, u64 => Unsigned, i8 => Signed, i16 => Signed, i32 => Signed, i64 => Signed;
    PropertyValue: u8 => Unsigned, u16 => Unsigned, u32 => Unsigned, u64 => Unsigned, i8 => Signed, i16 => Signed, i32 => Signed, i64 => Signed, f32 => Float, f64 => Float;
}

macro_rules! from_texts_and_options {
    ($($target:ident),+) => {$(
        impl From<usize> for $target<'_> {
            #[inline]
            fn from(number: usize) -> Self {
                Self(Scalar::Unsigned(number as u64))
            }
        }

        impl From<isize> for $target<'_> {
            #[inline]
            fn from(number: isize) -> Self {
                Self(Scalar::Signed(number as i64))
            }
        }

        impl<'a> From<&'a str> for $target<'a> {
            #[inline]
            fn from(text: &'a str) -> Self {
                Self(Scalar::Text(text))
            }
        }

        impl<'a> From<&'a String> for $target<'a> {
            #[inline]
            fn from(text: &'a String) -> Self {
                Self(Scalar::Text(text))
            }
        }

        impl<'a, T: Into<$target<'a>>> From<Option<T>> for $target<'a> {
            #[inline]
            fn from(value: Option<T>) -> Self {
                value.map_or(Self(Scalar::Absent), Into::into)
            }
        }
    )+};
}

from_texts_and_options!(Id, PropertyValue);

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(scalar: Scalar<'_>) -> String {
        scalar.with_bytes(str::to_owned)
    }

    #[test]
    fn numbers_are_written_in_their_shortest_decimal_form() {
        assert_eq!(bytes(Scalar::Unsigned(0)), "0");
        assert_eq!(bytes(Scalar::Unsigned(u64::MAX)), u64::MAX.to_string());
        assert_eq!(bytes(Scalar::Signed(i64::MIN)), i64::MIN.to_string());
        assert_eq!(bytes(Scalar::Float(60.0)), "60");
        assert_eq!(bytes(Scalar::Float(-0.0)), "0");
        assert_eq!(bytes(Scalar::Float(-12.5)), "-12.5");
        assert_eq!(bytes(Scalar::Float(0.1)), "0.1");
        assert_eq!(bytes(Scalar::Float(9_007_199_254_740_991.0)), "9007199254740991");
        assert_eq!(bytes(Scalar::Float(f64::MAX)).parse(), Ok(f64::MAX));
        assert_eq!(bytes(Scalar::Float(f64::MIN_POSITIVE)).parse(), Ok(f64::MIN_POSITIVE));
        assert_eq!(bytes(Scalar::Float(5e-324)).parse(), Ok(5e-324));
    }

    #[test]
    fn an_integer_and_its_text_are_the_same_identifier() {
        for number in [0_u64, 7, 10, 42, 123_456, 99_999_999, 100_000_000, 100_000_001, u64::MAX] {
            assert_eq!(Id::from(number).0.hash(), Id::from(number.to_string().as_str()).0.hash());
        }
        assert_eq!(Id::from(-42).0.hash(), Id::from("-42").0.hash());
        assert_eq!(Id::from(42_i64).0.hash(), Id::from("42").0.hash());
        assert_ne!(Id::from("042").0.hash(), Id::from(42).0.hash());
    }

    #[test]
    fn nothing_and_the_empty_text_are_absent() {
        assert!(Id::from(None::<u64>).0.present().is_none());
        assert!(Id::from("").0.present().is_none());
        assert!(Id::from(0).0.present().is_some());
    }
}
