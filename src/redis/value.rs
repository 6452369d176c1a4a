//! What a key holds, read as what its name says that it is.

use crate::definition::rule::RuleKind;
use crate::error::{Error, ErrorKind};
use crate::sketch::Sketch;
use crate::storage::arrival::Arrived;

/// The longest text that is read as a number: doubles have at most 326 digits before the point, and Redis writes 17 behind it.
const MAX_NUMBER_BYTES: usize = 400;
/// The longest string of a HyperLogLog that Redis makes has 12,304 bytes; a sparse one of another make may have some more.
const MAX_SKETCH_BYTES: usize = 64 << 10;
/// The most fields that counts by value may have, and the longest of them.
const MAX_FIELDS: usize = 65_536;
const MAX_FIELD_BYTES: usize = 1_024;

/// What a key of a kind may have: bytes of a string, or fields of a hash.
pub(super) fn limit(kind: RuleKind) -> usize {
    match kind {
        RuleKind::Count | RuleKind::Sum => MAX_NUMBER_BYTES,
        RuleKind::Unique => MAX_SKETCH_BYTES,
        RuleKind::PerValue => MAX_FIELDS,
    }
}

/// Redis's type for values of a kind.
pub(super) fn type_of(kind: RuleKind) -> &'static str {
    if kind == RuleKind::PerValue { "hash" } else { "string" }
}

/// What a key holds, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Raw {
    Text(Vec<u8>),
    Hash(Vec<(Vec<u8>, Vec<u8>)>),
    /// Another type, by its name.
    Other(String),
}

impl Raw {
    /// Reads it as what its key is about.
    pub(super) fn read(&self, key: &str, kind: RuleKind) -> Result<Arrived, Error> {
        match (self, kind) {
            (Self::Text(text), RuleKind::Count) => count(text).map(Arrived::Count),
            (Self::Text(text), RuleKind::Sum) => sum(text).map(Arrived::Sum),
            (Self::Text(text), RuleKind::Unique) => {
                if text.len() > MAX_SKETCH_BYTES {
                    Err(format!("has {} bytes, more than any HyperLogLog", text.len()))
                } else {
                    Sketch::from_redis(text)
                        .map(|_| Arrived::Unique(text.clone()))
                        .map_err(|error| error.to_string())
                }
            }
            (Self::Hash(fields), RuleKind::PerValue) => per_value(fields).map(Arrived::PerValue),
            (Self::Text(_), _) => Err("is a string, where a hash of counts belongs".to_owned()),
            (Self::Hash(_), _) => Err("is a hash, where a string belongs".to_owned()),
            (Self::Other(name), _) => {
                Err(format!("is of the type {name}, where a {} belongs", type_of(kind)))
            }
        }
        .map_err(|why| refused(key, &why))
    }
}

/// A key that holds what it should not.
pub(super) fn refused(key: &str, why: &str) -> Error {
    Error::new(
        ErrorKind::Redis,
        format!("the key {key} {why}; nothing was imported: mend or delete the key, and import again"),
    )
}

fn count(text: &[u8]) -> Result<u64, String> {
    let number = std::str::from_utf8(text).ok().filter(|text| is_plain(text, "-0123456789"));
    let number = number.and_then(|text| text.parse::<i64>().ok());
    match number.map(u64::try_from) {
        Some(Ok(count)) => Ok(count),
        Some(Err(_)) => Err(format!("holds {}, and a count is not below zero", shown(text))),
        None => Err(format!("holds {}, which is no count", shown(text))),
    }
}

fn sum(text: &[u8]) -> Result<f64, String> {
    let number = std::str::from_utf8(text).ok().filter(|text| is_plain(text, "+-0123456789.eE"));
    let number = number.and_then(|text| text.parse::<f64>().ok()).filter(|number| number.is_finite());
    number.ok_or_else(|| format!("holds {}, which is no finite number", shown(text)))
}

fn is_plain(text: &str, alphabet: &str) -> bool {
    (1..=MAX_NUMBER_BYTES).contains(&text.len()) && text.chars().all(|each| alphabet.contains(each))
}

fn per_value(fields: &[(Vec<u8>, Vec<u8>)]) -> Result<Vec<(String, u64)>, String> {
    if fields.len() > MAX_FIELDS {
        return Err(format!("has {} fields; at most {MAX_FIELDS} are taken", fields.len()));
    }
    fields
        .iter()
        .map(|(field, text)| {
            let name = std::str::from_utf8(field).ok();
            let name = name.filter(|name| name.len() <= MAX_FIELD_BYTES);
            let name = name.ok_or_else(|| {
                format!("has a field {} that is no text of at most {MAX_FIELD_BYTES} bytes", shown(field))
            })?;
            let count = count(text).map_err(|why| format!("has a field {} that {why}", shown(field)))?;
            Ok((name.to_owned(), count))
        })
        .collect()
}

/// A key as text, whatever bytes it has.
pub(super) fn shown_key(key: &[u8]) -> String {
    std::str::from_utf8(key).map_or_else(|_| key.escape_ascii().to_string(), str::to_owned)
}

/// Some of what was found, for a message.
pub(super) fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 40;
    let text = bytes.get(..MOST).unwrap_or(bytes).escape_ascii();
    let more = if bytes.len() > MOST { format!("... of {} bytes", bytes.len()) } else { String::new() };
    format!("`{text}`{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str, kind: RuleKind) -> Result<Arrived, Error> {
        Raw::Text(text.into()).read("k", kind)
    }

    #[test]
    fn counts_are_whole_and_not_below_zero() {
        assert!(matches!(
            text("9223372036854775807", RuleKind::Count),
            Ok(Arrived::Count(9_223_372_036_854_775_807))
        ));
        for wrong in ["", "-1", "1.5", " 1", "1 ", "+1", "9223372036854775808", "0x10", "1e3", "NaN", "1\n"] {
            let error = text(wrong, RuleKind::Count).unwrap_err();
            assert!(error.to_string().contains("the key k holds"), "{error}");
            assert_eq!(error.kind(), ErrorKind::Redis);
        }
    }

    #[test]
    fn sums_are_finite() {
        for (written, read) in
            [("0.5", 0.5), ("-12.25", -12.25), ("3.25000000000000012", 3.25), ("1e3", 1_000.0)]
        {
            assert!(matches!(text(written, RuleKind::Sum), Ok(Arrived::Sum(sum)) if sum == read));
        }
        let long = "1".repeat(MAX_NUMBER_BYTES + 1);
        for wrong in ["", "inf", "nan", "-infinity", "1e999", "abc", "1,5", &long] {
            assert!(text(wrong, RuleKind::Sum).is_err(), "{wrong}");
        }
    }

    #[test]
    fn hashes_hold_counts_by_value() {
        let hash = |field: &[u8], count: &str| Raw::Hash(vec![(field.to_vec(), count.into())]);
        assert!(hash("é b".as_bytes(), "3").read("k", RuleKind::PerValue).is_ok());
        for wrong in [hash(b"\xff", "3"), hash(&[b'a'; 1_025], "3"), hash(b"a", "x"), Raw::Text("3".into())] {
            assert!(wrong.read("k", RuleKind::PerValue).is_err(), "{wrong:?}");
        }
        assert!(hash(b"a", "3").read("k", RuleKind::Count).unwrap_err().to_string().contains("is a hash"));
        assert!(
            Raw::Other("zset".into()).read("k", RuleKind::Unique).unwrap_err().to_string().contains("zset")
        );
    }
}
