//! The difference of two documents, value by value.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind};
use crate::ping::value::PingValue;

/// A value that two documents do not both have, or that differs.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// use headcount::{PingValue, ping_difference};
///
/// let changes = ping_difference(r#"{"a": {"b": 1}}"#, r#"{"a": {"b": 2}}"#)?;
/// assert_eq!(changes[0].key_path, "a.b");
/// assert_eq!(changes[0].after, Some(PingValue::Integer(2)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PingChange {
    /// The place of the value; the keys of an object that is a value go on with dots.
    pub key_path: String,
    /// What the first document has; `None` if nothing.
    pub before: Option<PingValue>,
    /// What the second document has; `None` if nothing.
    pub after: Option<PingValue>,
}

/// What differs between two documents, by key path.
///
/// # Errors
///
/// [`ErrorKind::Usage`] when one of them is no JSON object.
pub fn ping_difference(before: &str, after: &str) -> Result<Vec<PingChange>, Error> {
    let (mut before, mut after) = (values(before)?, values(after)?);
    let mut changes = Vec::new();
    for (key_path, before) in std::mem::take(&mut before) {
        let after = after.remove(&key_path);
        if after.as_ref() != Some(&before) {
            changes.push(PingChange { key_path, before: Some(before), after });
        }
    }
    changes.extend(after.into_iter().map(|(key_path, after)| PingChange {
        key_path,
        before: None,
        after: Some(after),
    }));
    changes.sort_by(|a, b| a.key_path.cmp(&b.key_path));
    Ok(changes)
}

/// The values of a document by key path; empty objects are values.
fn values(document: &str) -> Result<BTreeMap<String, PingValue>, Error> {
    let refused =
        |what: String| Error::new(ErrorKind::Usage, format!("this is no document of a ping: {what}"));
    let json: serde_json::Value =
        serde_json::from_str(document).map_err(|error| refused(error.to_string()))?;
    let PingValue::Object(object) = PingValue::of_json(&json) else {
        return Err(refused("it is no JSON object".to_owned()));
    };
    let mut values = BTreeMap::new();
    for (key, value) in object {
        flatten(key, value, &mut values);
    }
    Ok(values)
}

/// The reader of JSON has refused what is nested too deep.
fn flatten(key_path: String, value: PingValue, into: &mut BTreeMap<String, PingValue>) {
    match value {
        PingValue::Object(object) if !object.is_empty() => {
            for (key, value) in object {
                flatten(format!("{key_path}.{key}"), value, into);
            }
        }
        value => drop(into.insert(key_path, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_came_went_and_changed_are_told_by_key_path() {
        let before = r#"{"a": {"b": 1, "c": 2}, "gone": "x", "same": [1, 2], "empty": {}}"#;
        let after = r#"{"a": {"b": 1, "c": 2.5}, "new": {"d": true}, "same": [1, 2], "empty": {"e": null}}"#;
        let told: Vec<_> = ping_difference(before, after)
            .unwrap()
            .into_iter()
            .map(|change| (change.key_path, change.before, change.after))
            .collect();
        let object = || PingValue::Object(BTreeMap::new());
        assert_eq!(
            told,
            [
                ("a.c".to_owned(), Some(2.into()), Some(2.5.into())),
                ("empty".to_owned(), Some(object()), None),
                ("empty.e".to_owned(), None, Some(PingValue::Null)),
                ("gone".to_owned(), Some("x".into()), None),
                ("new.d".to_owned(), None, Some(true.into())),
            ]
        );
        assert!(ping_difference("[]", "{}").is_err());
        assert!(ping_difference("{}", &"[".repeat(1_000)).is_err());
    }
}
