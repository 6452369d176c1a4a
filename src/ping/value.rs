//! The value of a metric as the ping has it.

use std::collections::BTreeMap;

use serde::ser::{Serialize, Serializer};

/// The deepest nesting of lists and objects in one value.
const MAX_DEPTH: usize = 16;
/// The most texts, numbers, lists and objects in one value.
const MAX_PARTS: usize = 10_000;
/// The longest text, and the longest key of an object, in bytes.
const MAX_TEXT_BYTES: usize = 64 * 1024;
/// The most that one value takes, by [`PingValue::bytes`].
const MAX_BYTES: usize = 1024 * 1024;
/// What a value takes besides its texts.
const PART_BYTES: usize = 16;

/// What a metric has for a value: JSON, with the keys of objects in their order.
///
/// ```
/// use headcount::PingValue;
///
/// assert_eq!(PingValue::from(42_u32), PingValue::Integer(42));
/// assert_eq!(PingValue::from("omnibus"), PingValue::Text("omnibus".to_owned()));
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PingValue {
    /// Known to be nothing.
    Null,
    /// Yes or no.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number that need not be whole; one that is infinite or none makes the metric fail.
    Number(f64),
    /// A text of up to 64 KiB.
    Text(String),
    /// Several values, up to 10,000 and 1 MiB in all.
    List(Vec<Self>),
    /// Values by name, up to 10,000 and 1 MiB in all.
    Object(BTreeMap<String, Self>),
}

impl PingValue {
    /// The number that it is, if it is one.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "a whole number above 2^53 is rounded, as JSON readers do"
    )]
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(*number as f64),
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// Why it cannot stand in a ping.
    pub(crate) fn fault(&self) -> Option<String> {
        let mut parts = 0;
        let fault = self.fault_within(MAX_DEPTH, &mut parts);
        fault.or_else(|| {
            (self.bytes() > MAX_BYTES).then(|| format!("the value has more than {MAX_BYTES} bytes"))
        })
    }

    /// About how much it takes.
    pub(crate) fn bytes(&self) -> usize {
        PART_BYTES
            + match self {
                Self::Text(text) => text.len(),
                Self::List(list) => list.iter().map(Self::bytes).sum(),
                Self::Object(object) => object.iter().map(|(key, value)| key.len() + value.bytes()).sum(),
                Self::Null | Self::Boolean(_) | Self::Integer(_) | Self::Number(_) => 0,
            }
    }

    fn fault_within(&self, depth: usize, parts: &mut usize) -> Option<String> {
        *parts += 1;
        if *parts > MAX_PARTS {
            return Some(format!("the value has more than {MAX_PARTS} parts"));
        }
        let Some(below) = depth.checked_sub(1) else {
            return Some(format!("the value is nested deeper than {MAX_DEPTH}"));
        };
        match self {
            Self::Number(number) if !number.is_finite() => Some(format!("the value is {number}")),
            Self::Text(text) => too_long(text),
            Self::List(list) => list.iter().find_map(|value| value.fault_within(below, parts)),
            Self::Object(object) => object
                .iter()
                .find_map(|(key, value)| too_long(key).or_else(|| value.fault_within(below, parts))),
            _ => None,
        }
    }

    pub(crate) fn of_json(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(is) => Self::Boolean(*is),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(whole) => Self::Integer(whole),
                None => Self::Number(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Self::Text(text.clone()),
            serde_json::Value::Array(list) => Self::List(list.iter().map(Self::of_json).collect()),
            serde_json::Value::Object(object) => {
                Self::Object(object.iter().map(|(key, value)| (key.clone(), Self::of_json(value))).collect())
            }
        }
    }
}

fn too_long(text: &str) -> Option<String> {
    let is_long = text.len() > MAX_TEXT_BYTES;
    is_long.then(|| format!("the value has a text of {} bytes, more than {MAX_TEXT_BYTES}", text.len()))
}

/// By hand, so that the order of keys does not depend on how other crates of a program build serde_json.
impl Serialize for PingValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Boolean(is) => serializer.serialize_bool(*is),
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(list) => serializer.collect_seq(list),
            Self::Object(object) => serializer.collect_map(object),
        }
    }
}

impl From<bool> for PingValue {
    fn from(is: bool) -> Self {
        Self::Boolean(is)
    }
}

impl From<i64> for PingValue {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<i32> for PingValue {
    fn from(number: i32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u32> for PingValue {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

/// Above 2^63 - 1 that stands for it, as for every count of the store.
impl From<u64> for PingValue {
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<f64> for PingValue {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for PingValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for PingValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_cannot_stand_in_a_ping_are_told_apart() {
        let deep = |depth| (0..depth).fold(PingValue::Null, |inner, _| PingValue::List(vec![inner]));
        for (value, fault) in [
            (PingValue::from(f64::NAN), "NaN"),
            (PingValue::from(f64::INFINITY), "inf"),
            (PingValue::from("x".repeat(MAX_TEXT_BYTES + 1)), "65537 bytes"),
            (deep(MAX_DEPTH), "deeper"),
            (
                PingValue::List(vec!["x".repeat(MAX_TEXT_BYTES).into(); MAX_BYTES / MAX_TEXT_BYTES]),
                "1048576 bytes",
            ),
            (PingValue::List(vec![PingValue::Null; MAX_PARTS]), "parts"),
            (PingValue::Object([("x".repeat(MAX_TEXT_BYTES + 1), PingValue::Null)].into()), "bytes"),
        ] {
            assert!(value.fault().unwrap_or_default().contains(fault), "{fault}");
        }
        for value in [deep(MAX_DEPTH - 1), PingValue::List(vec![PingValue::Null; MAX_PARTS - 1])] {
            assert_eq!(value.fault(), None);
        }
    }

    #[test]
    fn objects_are_written_in_the_order_of_their_keys() {
        let object = [("b", 1), ("a", 2), ("c", 3)].map(|(key, value)| (key.to_owned(), value.into()));
        let json = serde_json::to_string(&PingValue::Object(object.into())).unwrap();
        assert_eq!(json, r#"{"a":2,"b":1,"c":3}"#);
    }
}
