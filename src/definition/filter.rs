//! What a rule compares the properties of an event with.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::definition::problems::excerpt;

/// Longest text of a filter, in bytes: no longer text is ever tracked, so a longer one could not match.
pub(crate) const MAX_FILTER_TEXT_BYTES: usize = 256;

/// What a filter compares a property with: a text or a number.
///
/// Numbers compare as numbers: 60 equals 60.0, and -0 equals 0. A number never equals a text.
///
/// ```
/// use headcount::FilterValue;
///
/// assert_eq!(FilterValue::from(60), FilterValue::from(60.0));
/// assert_ne!(FilterValue::from(60), FilterValue::from("60"));
/// assert_eq!(FilterValue::number(f64::NAN), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FilterValue(FilterOperand);

impl FilterValue {
    /// A text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self(FilterOperand::Text(text.into()))
    }

    /// A number; `None` for infinity and what is not a number, which no event carries.
    #[must_use]
    pub fn number(number: f64) -> Option<Self> {
        number.is_finite().then(|| Self::from(number))
    }

    /// The text, unless it is a number.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match &self.0 {
            FilterOperand::Text(text) => Some(text),
            FilterOperand::Number(_) => None,
        }
    }

    /// The number, unless it is a text.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self.0 {
            FilterOperand::Text(_) => None,
            FilterOperand::Number(number) => Some(number.0),
        }
    }
}

impl FilterValue {
    /// Appends the value to a key.
    pub(in crate::definition) fn write_key(&self, key: &mut String) {
        match &self.0 {
            FilterOperand::Number(number) => key.push_str(&number.0.to_string()),
            FilterOperand::Text(text) => {
                let reads_as_number = text.parse::<f64>().is_ok_and(f64::is_finite);
                for (position, byte) in text.bytes().enumerate() {
                    let plain = byte.is_ascii_alphanumeric() || b"_.@/+-".contains(&byte);
                    escape_byte(key, byte, plain && !(reads_as_number && position == 0));
                }
            }
        }
    }
}

impl From<&str> for FilterValue {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for FilterValue {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

/// Definitions and stores refuse a rule whose number is not finite; [`FilterValue::number`] refuses it at once.
impl From<f64> for FilterValue {
    fn from(number: f64) -> Self {
        Self(FilterOperand::Number(Number::new(number)))
    }
}

impl From<i32> for FilterValue {
    fn from(number: i32) -> Self {
        Self::from(f64::from(number))
    }
}

impl From<u32> for FilterValue {
    fn from(number: u32) -> Self {
        Self::from(f64::from(number))
    }
}

/// Integers beyond 2^53 become the nearest number that an event's `value` can be.
impl From<i64> for FilterValue {
    #[expect(clippy::cast_precision_loss, reason = "an event's value is rounded in the same way")]
    fn from(number: i64) -> Self {
        Self::from(number as f64)
    }
}

impl fmt::Display for FilterValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            FilterOperand::Text(text) => f.write_str(text),
            FilterOperand::Number(number) => write!(f, "{}", number.0),
        }
    }
}

/// Why a filter can never match, if so. `label` and `property` are texts and `value` is a number wherever events are tracked.
pub(in crate::definition) fn fault(key: &str, value: &FilterValue) -> Option<String> {
    match (key, &value.0) {
        (_, FilterOperand::Number(number)) if !number.0.is_finite() => {
            Some("must be a finite number".to_owned())
        }
        ("label" | "property", FilterOperand::Number(number)) => {
            Some(format!("must be text, found the number {}; quote it", number.0))
        }
        ("value", FilterOperand::Text(text)) => {
            Some(format!("must be a number, found the text `{}`", excerpt(text)))
        }
        (_, FilterOperand::Text(text)) if text.len() > MAX_FILTER_TEXT_BYTES => Some(format!(
            "has {} bytes, but no text longer than {MAX_FILTER_TEXT_BYTES} is tracked; shorten it",
            text.len()
        )),
        _ => None,
    }
}

/// Appends the name of an event, an identifier or a property to a key.
pub(in crate::definition) fn escape_name(key: &mut String, name: &str) {
    for byte in name.bytes() {
        escape_byte(key, byte, byte.is_ascii_alphanumeric() || b"_.".contains(&byte));
    }
}

fn escape_byte(key: &mut String, byte: u8, plain: bool) {
    use fmt::Write as _;
    if plain {
        key.push(char::from(byte));
    } else {
        // Writing to a String cannot fail.
        let _ = write!(key, "%{byte:02X}");
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FilterOperand {
    Text(String),
    Number(Number),
}

/// A number with one representation: no negative zero, one NaN. So its order and hash agree with its equality.
#[derive(Debug, Clone, Copy)]
struct Number(f64);

impl Number {
    fn new(number: f64) -> Self {
        Self(if number == 0.0 {
            0.0
        } else if number.is_nan() {
            f64::NAN
        } else {
            number
        })
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl std::hash::Hash for Number {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// Stored as the decimal text: a JSON reader may round a number, and a rule that changes in the file is another rule.
impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Self::new(number)),
            _ => Err(serde::de::Error::custom("a filter's number that is none")),
        }
    }
}

/// The stored shape of a rule's filters: private, so that serde is not part of the public type.
pub(in crate::definition) mod stored {
    use super::{BTreeMap, Deserialize, Deserializer, FilterOperand, FilterValue, Serializer};

    pub(in crate::definition) fn serialize<S: Serializer>(
        filter: &BTreeMap<String, FilterValue>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(filter.iter().map(|(key, value)| (key, &value.0)))
    }

    pub(in crate::definition) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<String, FilterValue>, D::Error> {
        let filter = BTreeMap::<String, FilterOperand>::deserialize(deserializer)?;
        Ok(filter.into_iter().map(|(key, operand)| (key, FilterValue(operand))).collect())
    }
}
