//! The one way to write a JSON object: keys in their order, two spaces a level, numbers as they stand, one newline at the end.
//!
//! Numbers are not read, because two versions of a library may write one number in two ways.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ping::document::escaped;

/// Nothing is nested deeper.
const MAX_DEPTH: usize = 64;

/// Reads an object and writes it in its one way; why that fails, in words.
pub(super) fn canonical(json: &str) -> Result<String, String> {
    if !json.starts_with('{') {
        return Err("it is no JSON object".to_owned());
    }
    let mut text = String::with_capacity(json.len());
    put(json, 0, &mut text)?;
    text.push('\n');
    Ok(text)
}

/// Of a key that stands twice the last value is kept, as most readers do; then the text is not what it was.
fn put(json: &str, depth: usize, text: &mut String) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err(format!("it is nested deeper than {MAX_DEPTH}"));
    }
    match json.as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> = read(json)?;
            let members = members.iter().map(|(key, value)| (Some(key.as_str()), *value));
            put_all(members, ['{', '}'], depth, text)
        }
        Some(b'[') => {
            let members: Vec<&RawValue> = read(json)?;
            put_all(members.into_iter().map(|value| (None, value)), ['[', ']'], depth, text)
        }
        Some(b'"') => put_text(&read::<String>(json)?, text),
        _ => {
            text.push_str(json);
            Ok(())
        }
    }
}

fn put_all<'j>(
    members: impl Iterator<Item = (Option<&'j str>, &'j RawValue)>,
    [open, close]: [char; 2],
    depth: usize,
    text: &mut String,
) -> Result<(), String> {
    text.push(open);
    let begun = text.len();
    for (key, value) in members {
        if text.len() > begun {
            text.push(',');
        }
        break_line(depth + 1, text);
        if let Some(key) = key {
            put_text(key, text)?;
            text.push_str(": ");
        }
        put(value.get(), depth + 1, text)?;
    }
    if text.len() > begun {
        break_line(depth, text);
    }
    text.push(close);
    Ok(())
}

fn put_text(value: &str, text: &mut String) -> Result<(), String> {
    text.push_str(&escaped(&serde_json::to_string(value).map_err(|error| error.to_string())?));
    Ok(())
}

fn break_line(depth: usize, text: &mut String) {
    text.push('\n');
    (0..depth).for_each(|_| text.push_str("  "));
}

fn read<'j, T: Deserialize<'j>>(json: &'j str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| format!("it is no JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_has_one_form_and_keeps_its_numbers() {
        let json =
            r#" {"b" : [1.50,-1,18446744073709551616, 1e300,-0.0,{ },null], "a":{"d":"ü\n\u00fc","c":[ ]}} "#;
        let form = canonical(json.trim());
        let expected = "{\n  \"a\": {\n    \"c\": [],\n    \"d\": \"ü\\nü\"\n  },\n  \"b\": [\n    1.50,\n    -1,\n    \
                        18446744073709551616,\n    1e300,\n    -0.0,\n    {},\n    null\n  ]\n}\n";
        assert_eq!(form.as_deref(), Ok(expected));
        assert_eq!(canonical(expected).as_deref(), Ok(expected));
        assert_eq!(canonical("{}").as_deref(), Ok("{}\n"));
    }

    #[test]
    fn of_plain_values_it_is_the_form_of_a_ping() {
        let json = r#"{"z":{"k":[[],[1,[true,false]],"\u0001\u007f\"\\/"],"\t":{}},"a":null,"A":-5}"#;
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(canonical(json).unwrap(), crate::ping::document::render(&value).unwrap());
    }

    #[test]
    fn what_is_no_object_has_no_form() {
        let deep = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        assert!(canonical(&deep(MAX_DEPTH)).is_ok());
        for json in
            ["", "[]", "1", "{", "{} {}", "{\"a\":1,}", "{\"a\":NaN}", "{\"a\":01}", &deep(MAX_DEPTH + 1)]
        {
            assert!(canonical(json).is_err(), "{json}");
        }
        assert!(canonical(&deep(100_000)).is_err());
    }
}
