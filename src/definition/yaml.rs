//! YAML as a tree of nodes that know their place; the door of the YAML parser.
//!
//! The input is untrusted: size, nodes, depth and the text that aliases repeat are limited, so that neither nesting nor an alias
//! bomb costs more than a bounded time and memory.

use std::collections::BTreeMap;

use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError};

use crate::definition::problems::{Position, excerpt};
use crate::definition::scalar::resolve;

/// Largest YAML file, in bytes.
pub(in crate::definition) const MAX_FILE_BYTES: usize = 1 << 20;
/// Most nodes of one file, those that aliases repeat included.
const MAX_NODES: usize = 100_000;
/// Most bytes of text of one file, that which aliases repeat included.
const MAX_TEXT_BYTES: usize = 4 << 20;
/// Deepest nesting of lists and mappings.
const MAX_DEPTH: usize = 32;
/// Most duplicate or unusable keys that are listed of one file.
const MAX_FAULTS: usize = 100;

/// A value and where it begins.
#[derive(Debug, Clone)]
pub(in crate::definition) struct Node {
    pub(in crate::definition) at: Position,
    pub(in crate::definition) value: Value,
}

/// A value of YAML's core schema. A plain `yes` is text, as in YAML 1.2.
#[derive(Debug, Clone)]
pub(in crate::definition) enum Value {
    Null,
    Bool(bool),
    /// A plain number, with the text that was written.
    Number(f64, String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a mapping, unique in it.
#[derive(Debug, Clone)]
pub(in crate::definition) struct Entry {
    pub(in crate::definition) at: Position,
    pub(in crate::definition) key: String,
    pub(in crate::definition) value: Node,
}

/// What is wrong with the YAML itself, and where.
#[derive(Debug)]
pub(in crate::definition) struct Fault {
    pub(in crate::definition) at: Position,
    pub(in crate::definition) message: String,
}

/// Reads the one document of a file. With faults the tree, if there is one, still says what can be said.
pub(in crate::definition) fn parse(text: &str) -> (Option<Node>, Vec<Fault>) {
    let mut tree = Tree::default();
    if let Err(fault) = tree.read(text) {
        tree.faults.push(fault);
        tree.root = None;
    }
    (tree.root, tree.faults)
}

impl Node {
    /// The value as JSON; numbers that JSON does not have become text.
    pub(in crate::definition) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Text(text) => Json::String(text.clone()),
            Value::Number(number, text) => {
                let integer =
                    text.parse::<i64>().map(Json::from).or_else(|_| text.parse::<u64>().map(Json::from));
                integer.unwrap_or_else(|_| {
                    serde_json::Number::from_f64(*number)
                        .map_or_else(|| Json::String(text.clone()), Json::Number)
                })
            }
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(entries) => {
                Json::Object(entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect())
            }
        }
    }
}

/// The tree while it is read. Every list and mapping that has begun and not ended is on the stack.
#[derive(Default)]
struct Tree {
    root: Option<Node>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Anchored>,
    size: Size,
    faults: Vec<Fault>,
    documents: usize,
}

struct Open {
    at: Position,
    anchor: usize,
    size_before: Size,
    deepest: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, places: BTreeMap<String, Position>, key: Option<Key> },
}

enum Key {
    Usable(Position, String),
    /// A duplicate, or a key that is no text: its value is read and dropped.
    Dropped,
}

struct Anchored {
    node: Node,
    size: Size,
    depth: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Size {
    nodes: usize,
    text_bytes: usize,
}

impl Tree {
    fn read(&mut self, text: &str) -> Result<(), Fault> {
        let mut options = granit_parser::Options::default();
        options.set_emit_comments(false);
        options.flow_nesting_limit = MAX_DEPTH;
        options.block_nesting_limit = MAX_DEPTH;
        let mut parser = Parser::new_from_str_with_options(text, options);
        while let Some(next) = parser.next_event() {
            let (event, span) = next.map_err(|error| syntax_fault(&error, text))?;
            let mut at = position(&span.start);
            if let Some(tag) = event.tag().filter(|tag| !is_core(tag)) {
                return Err(Fault {
                    at,
                    message: format!("the tag `{}` is not supported; remove it", tag.original()),
                });
            }
            match event {
                Event::DocumentStart(..) => {
                    self.documents += 1;
                    if self.documents > 1 {
                        return Err(Fault {
                            at,
                            message: "a second document begins here; give each definition a file of its own"
                                .to_owned(),
                        });
                    }
                }
                Event::Scalar(text, style, anchor, tag) => {
                    at.width = width(&span.start, &span.end);
                    let forced_text = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
                    let value = if style == ScalarStyle::Plain && !forced_text {
                        resolve(&text)
                    } else {
                        Value::Text(text.into_owned())
                    };
                    self.scalar(at, value, anchor)?;
                }
                Event::SequenceStart(_, anchor, _) => self.begin(at, anchor, Content::List(Vec::new()))?,
                Event::MappingStart(_, anchor, _) => {
                    let content = Content::Map { entries: Vec::new(), places: BTreeMap::new(), key: None };
                    self.begin(at, anchor, content)?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.end()?,
                Event::Alias(anchor) => {
                    at.width = width(&span.start, &span.end);
                    self.alias(at, anchor)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn begin(&mut self, at: Position, anchor: usize, content: Content) -> Result<(), Fault> {
        let size_before = self.size;
        self.grow(at, Size { nodes: 1, text_bytes: 0 })?;
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(at));
        }
        self.open.push(Open { at, anchor, size_before, deepest: 0, content });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fault> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.content {
            Content::List(items) => Value::List(items),
            Content::Map { entries, .. } => Value::Map(entries),
        };
        let size = Size {
            nodes: self.size.nodes - open.size_before.nodes,
            text_bytes: self.size.text_bytes - open.size_before.text_bytes,
        };
        let depth = open.deepest + 1;
        self.place(Node { at: open.at, value }, open.anchor, size, depth)
    }

    fn scalar(&mut self, at: Position, value: Value, anchor: usize) -> Result<(), Fault> {
        let text_bytes = match &value {
            Value::Text(text) | Value::Number(_, text) => text.len(),
            _ => 0,
        };
        let size = Size { nodes: 1, text_bytes };
        self.grow(at, size)?;
        self.place(Node { at, value }, anchor, size, 0)
    }

    fn alias(&mut self, at: Position, anchor: usize) -> Result<(), Fault> {
        let Some(Anchored { size, depth, .. }) = self.anchors.get(&anchor) else {
            return Err(Fault {
                at,
                message: "this alias refers to what it is part of; write it out".to_owned(),
            });
        };
        let (size, depth) = (*size, *depth);
        self.grow(at, size)?;
        if self.open.len() + depth > MAX_DEPTH {
            return Err(too_deep(at));
        }
        match self.anchors.get(&anchor) {
            Some(Anchored { node, .. }) => self.place(node.clone(), 0, size, depth),
            None => Ok(()),
        }
    }

    fn grow(&mut self, at: Position, size: Size) -> Result<(), Fault> {
        self.size.nodes = self.size.nodes.saturating_add(size.nodes);
        self.size.text_bytes = self.size.text_bytes.saturating_add(size.text_bytes);
        if self.size.nodes > MAX_NODES {
            return Err(Fault {
                at,
                message: format!(
                    "the file has more than {MAX_NODES} values, repeated ones included; split it"
                ),
            });
        }
        if self.size.text_bytes > MAX_TEXT_BYTES {
            return Err(Fault {
                at,
                message: format!(
                    "the file has more than {MAX_TEXT_BYTES} bytes of text, repeated text included"
                ),
            });
        }
        Ok(())
    }

    /// Puts a finished node where it belongs: into the innermost open list or mapping, as a key or as a value.
    fn place(&mut self, node: Node, anchor: usize, size: Size, depth: usize) -> Result<(), Fault> {
        if anchor != 0 {
            // The copy that aliases repeat counts like any other.
            self.grow(node.at, size)?;
            self.anchors.insert(anchor, Anchored { node: node.clone(), size, depth });
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.deepest = open.deepest.max(depth);
        match &mut open.content {
            Content::List(items) => items.push(node),
            Content::Map { entries, places, key } => match key.take() {
                Some(Key::Usable(at, key)) => entries.push(Entry { at, key, value: node }),
                Some(Key::Dropped) => {}
                None => *key = Some(as_key(node, places, &mut self.faults)),
            },
        }
        Ok(())
    }
}

fn syntax_fault(error: &ScanError, text: &str) -> Fault {
    let at = position(error.marker());
    match error.kind() {
        ErrorKind::RecursionLimitExceeded => too_deep(at),
        // The parser names where the text before the tab begins, perhaps lines above.
        ErrorKind::TabInPlainScalar | ErrorKind::TabInIndentation | ErrorKind::TabInBlockIndentation => {
            Fault {
                at: tab_after(error.marker(), text).unwrap_or(at),
                message: "this is not valid YAML: a tab indents the line; use spaces".to_owned(),
            }
        }
        ErrorKind::UnknownAnchor => Fault {
            at,
            message: "this is not valid YAML: no anchor has this name; quote a text that begins with `*`".to_owned(),
        },
        ErrorKind::MappingValueNotAllowed => Fault {
            at,
            message: "this is not valid YAML: a second `:` on the line; quote the value".to_owned(),
        },
        ErrorKind::ExpectedDocumentStart => Fault {
            at,
            message: "this is not valid YAML: the definition ends before this line; write one mapping of keys and values"
                .to_owned(),
        },
        _ => Fault { at, message: format!("this is not valid YAML: {}", error.info()) },
    }
}

/// The first tab in the indentation of a line at or after a place.
fn tab_after(marker: &Marker, text: &str) -> Option<Position> {
    let lines = text.split('\n').enumerate().skip(marker.line().saturating_sub(1));
    lines.into_iter().find_map(|(index, line)| {
        let indentation = line.len() - line.trim_start_matches([' ', '\t']).len();
        let column = line.get(..indentation)?.find('\t')?;
        Some(position(&Marker::new(0, index + 1, column)))
    })
}

fn as_key(node: Node, places: &mut BTreeMap<String, Position>, faults: &mut Vec<Fault>) -> Key {
    let at = node.at;
    let message = match node.value {
        Value::Text(text) | Value::Number(_, text) => match places.get(&text) {
            None => {
                places.insert(text.clone(), at);
                return Key::Usable(at, text);
            }
            Some(first) => format!(
                "the key `{}` is already in this mapping, at {}:{}; remove one of them",
                excerpt(&text),
                first.line,
                first.column
            ),
        },
        Value::Null => "a key is missing before the colon".to_owned(),
        Value::Bool(value) => format!("a key must be text; quote it as '{value}'"),
        Value::List(_) | Value::Map(_) => "a key must be text, not a list or a mapping".to_owned(),
    };
    if faults.len() < MAX_FAULTS {
        faults.push(Fault { at, message });
    }
    Key::Dropped
}

fn too_deep(at: Position) -> Fault {
    Fault { at, message: format!("lists and mappings are nested deeper than {MAX_DEPTH}") }
}

fn position(marker: &Marker) -> Position {
    Position { line: narrow(marker.line()), column: narrow(marker.col().saturating_add(1)), width: 0 }
}

/// The width of what ends on the line where it begins.
fn width(start: &Marker, end: &Marker) -> u32 {
    if start.line() == end.line() { narrow(end.col().saturating_sub(start.col())) } else { 0 }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn is_core(tag: &granit_parser::Tag) -> bool {
    ["str", "seq", "map", "int", "float", "bool", "null"].iter().any(|name| tag.is_yaml_core_schema_tag(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_know_their_place_in_characters() {
        let (root, faults) = parse("# c\nä: 'x'\nb:\n  - {é: 1, k: \"2\"}\n");
        assert!(faults.is_empty());
        let Some(Node { value: Value::Map(entries), .. }) = root else { panic!("a mapping") };
        let place = |at: Position| (at.line, at.column);
        assert_eq!(place(entries[0].at), (2, 1));
        assert_eq!(place(entries[0].value.at), (2, 4));
        let Value::List(items) = &entries[1].value.value else { panic!("a list") };
        let Value::Map(inner) = &items[0].value else { panic!("a mapping") };
        assert_eq!(place(items[0].at), (4, 5));
        assert_eq!(place(inner[1].at), (4, 12));
        assert_eq!(place(inner[1].value.at), (4, 15));
        assert!(matches!(inner[0].value.value, Value::Number(..)));
        assert!(matches!(inner[1].value.value, Value::Text(_)));
    }

    #[test]
    fn tags_force_text_and_a_byte_order_mark_is_skipped() {
        let (root, faults) = parse("\u{feff}a: !!str 5\n");
        assert!(faults.is_empty(), "{faults:?}");
        let Some(Node { value: Value::Map(entries), .. }) = root else { panic!("a mapping") };
        assert_eq!(entries[0].key, "a");
        assert!(matches!(&entries[0].value.value, Value::Text(text) if text == "5"));
    }
}
