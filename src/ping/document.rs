//! The document: values nested by their key paths, as bytes that depend on nothing else.

use std::collections::BTreeMap;

use serde::ser::{Serialize, Serializer};

use crate::error::{Error, ErrorKind};
use crate::ping::value::PingValue;

/// What the document's form is; it changes when a reader of the form before could misread it.
pub(crate) const SCHEMA_VERSION: i64 = 1;
/// The deepest nesting of key paths.
const MAX_SEGMENTS: usize = 32;
/// The most that all values take together.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// What takes no more always has room: numbers, also those that stand for failures.
const SMALL_BYTES: usize = 1024;

/// Values by key path. Of equal values the bytes are equal: objects are in the order of their keys, two spaces a level, one
/// newline at the end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Document {
    nodes: BTreeMap<String, Node>,
    bytes: usize,
}

#[derive(Debug, Clone)]
enum Node {
    Value(PingValue),
    Below(BTreeMap<String, Node>),
}

/// Why a value has no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clash {
    /// Another value stands here, or where an object around this one would be; or this one is to stand where an object is.
    Taken,
    TooDeep,
    /// The values that were put before leave no room for it.
    Full,
}

impl Document {
    /// Puts a value where its key path says. What is there already stays.
    pub(crate) fn put(&mut self, key_path: &str, value: PingValue) -> Result<(), Clash> {
        if key_path.split('.').count() > MAX_SEGMENTS {
            return Err(Clash::TooDeep);
        }
        let bytes = self.bytes + value.bytes();
        if bytes > MAX_BYTES && value.bytes() > SMALL_BYTES {
            return Err(Clash::Full);
        }
        put(&mut self.nodes, key_path, value)?;
        self.bytes = bytes;
        Ok(())
    }

    pub(crate) fn render(&self) -> Result<String, Error> {
        render(&self.nodes)
    }
}

/// JSON as a ping has it: two spaces a level, a newline at the end, and nothing in it that could steer a terminal, so that people
/// can look at the very bytes.
pub(crate) fn render(value: &impl Serialize) -> Result<String, Error> {
    let json = serde_json::to_string_pretty(value)
        .map_err(|error| Error::new(ErrorKind::Internal, format!("the ping is no JSON: {error}")))?;
    Ok(escaped(&json) + "\n")
}

/// JSON without characters that could steer a terminal. They stand in texts only, where JSON allows to write any character by its
/// number.
pub(crate) fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len() + 1);
    for character in json.chars() {
        match u32::from(character) {
            code @ 0x7f..=0xffff if is_unseen(character) => escaped.push_str(&format!("\\u{code:04x}")),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Controls, and what changes the order or the look of the text around it without being seen.
fn is_unseen(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn put(nodes: &mut BTreeMap<String, Node>, key_path: &str, value: PingValue) -> Result<(), Clash> {
    match key_path.split_once('.') {
        None if nodes.contains_key(key_path) => Err(Clash::Taken),
        None => {
            nodes.insert(key_path.to_owned(), Node::Value(value));
            Ok(())
        }
        Some((first, rest)) => {
            match nodes.entry(first.to_owned()).or_insert_with(|| Node::Below(BTreeMap::new())) {
                Node::Below(below) => put(below, rest, value),
                Node::Value(_) => Err(Clash::Taken),
            }
        }
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(value) => value.serialize(serializer),
            Self::Below(below) => serializer.collect_map(below),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_paths_nest_and_a_value_is_never_overwritten() {
        let mut document = Document::default();
        for (key_path, fits) in
            [("a.c.d", true), ("a.b", true), ("e", true), ("a.b.x", false), ("a", false), ("e", false)]
        {
            assert_eq!(document.put(key_path, key_path.into()).is_ok(), fits, "{key_path}");
        }
        let json = document.render().unwrap();
        assert_eq!(
            json,
            "{\n  \"a\": {\n    \"b\": \"a.b\",\n    \"c\": {\n      \"d\": \"a.c.d\"\n    }\n  },\n  \"e\": \"e\"\n}\n"
        );
        assert_eq!(document.put(&"x.".repeat(MAX_SEGMENTS), PingValue::Null), Err(Clash::TooDeep));
    }

    #[test]
    fn what_could_steer_a_terminal_is_escaped_and_reads_back() {
        let text = "a\u{1b}[2J\u{9b}2J\u{202e}b\u{e9}\u{1f600}";
        let mut document = Document::default();
        document.put("a", text.into()).unwrap();
        let json = document.render().unwrap();
        assert!(json.contains(r"\u001b[2J\u009b2J\u202eb") && json.contains("\u{e9}\u{1f600}"), "{json}");
        let read: BTreeMap<String, String> = serde_json::from_str(&json).unwrap();
        assert_eq!(read["a"], text);
    }

    #[test]
    fn bytes_do_not_depend_on_the_order_of_putting() {
        let keys = ["b", "a.z", "a.b", "c.x.y", "c.x.a"];
        let render = |keys: &mut dyn Iterator<Item = &&str>| {
            let mut document = Document::default();
            keys.for_each(|key| document.put(key, 1.5.into()).unwrap());
            document.render().unwrap()
        };
        assert_eq!(render(&mut keys.iter()), render(&mut keys.iter().rev()));
    }
}
