//! YAML as a tree of nodes that know their place; the door of the YAML parser.
//!
//! The input is untrusted: size, nodes, depth and the text that aliases repeat are limited, so that neither nesting nor an alias
//! bomb costs more than a bounded time and memory.

use std::collections::BTreeMap;

use granit_parser::{Event, Marker, Parser, ScalarStyle};

use crate::definition::problems::{Position, excerpt};

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
            let (event, span) = next.map_err(|error| Fault {
                at: position(error.marker()),
                message: format!("this is not valid YAML: {}", error.info()),
            })?;
            let at = position(&span.start);
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
                Event::Alias(anchor) => self.alias(at, anchor)?,
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
    let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Position { line: narrow(marker.line()), column: narrow(marker.col().saturating_add(1)) }
}

fn is_core(tag: &granit_parser::Tag) -> bool {
    ["str", "seq", "map", "int", "float", "bool", "null"].iter().any(|name| tag.is_yaml_core_schema_tag(name))
}

/// Resolves a plain scalar by the core schema of YAML 1.2.
fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    match number(text) {
        Some(number) => Value::Number(number, text.to_owned()),
        None => Value::Text(text.to_owned()),
    }
}

fn number(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    if matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(f64::NAN);
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            let digits = digits.bytes().all(|byte| byte.is_ascii_alphanumeric()).then_some(digits)?;
            return u32::from_str_radix(digits, radix).ok().map(f64::from);
        }
    }
    // What is left of Rust's syntax for floats is YAML's, but for the words `inf`, `infinity` and `nan`.
    let decimal = unsigned.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte))
        && unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if decimal { text.parse().ok() } else { None }
}
