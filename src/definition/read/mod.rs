//! From a YAML tree to a definition: which of the two kinds a file is, and what both have in common.

mod event;
mod legacy;
pub(in crate::definition) mod metric;
pub(in crate::definition) mod rule;
mod strict;
mod time_frame;
mod url;

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::definition::event::EventDefinition;
use crate::definition::nearest::{hint, nearest};
use crate::definition::problems::{Place, Position, Problems, excerpt};
use crate::definition::read::metric::ReadMetric;
use crate::definition::yaml::{self, Entry, Node, Value};

/// Most errors, and most warnings, that are listed of one file.
const MAX_FILE_PROBLEMS: usize = 100;

/// What one file defines, as far as it could be read. With errors in the file it serves only to check other files against.
pub(in crate::definition) enum Read {
    Event { event: Box<EventDefinition>, place: Place, sound: bool },
    Metric(Box<ReadMetric>),
}

/// How much is said about a file that means something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::definition) enum Level {
    /// What is odd.
    #[default]
    Usual,
    /// Also whatever GitLab's schemas would refuse.
    Strict,
}

/// Reads one file; everything that is wrong with it goes to `problems`.
pub(in crate::definition) fn read(
    file: &Arc<str>,
    text: &str,
    level: Level,
    problems: &mut Problems,
) -> Option<Read> {
    let mut report = Report { file, problems, level, errors: 0, warnings: 0, said: BTreeSet::new() };
    let (root, faults) = yaml::parse(text);
    let broken = root.is_none() && !faults.is_empty();
    for fault in faults {
        report.error(fault.at, fault.message);
    }
    if broken {
        return None;
    }
    let entries = match root.as_ref().map(|node| (&node.value, node.at)) {
        Some((Value::Map(entries), _)) => entries,
        None | Some((Value::Null, _)) => {
            report.error(
                Position::default(),
                "the file is empty; an event has an `action`, a metric a `key_path`".to_owned(),
            );
            return None;
        }
        Some((value, at)) => {
            report.error(at, format!("a definition must be a mapping, found {}", describe(value)));
            return None;
        }
    };
    let fields = Fields { entries, at: root.as_ref().map(|node| node.at).unwrap_or_default() };
    match (fields.find("action"), fields.find("key_path")) {
        (Some(action), None) => {
            let read = event::read(fields, action, &mut report);
            if level == Level::Strict {
                strict::event(fields, &mut report);
            }
            read
        }
        (None, Some(key_path)) => {
            let read = metric::read(fields, key_path, &mut report);
            if level == Level::Strict {
                strict::metric(fields, &mut report);
            }
            read
        }
        (Some(_), Some(key_path)) => {
            let message = "a file defines either an event (`action`) or a metric (`key_path`), this one has both; split it";
            report.error(key_path.at, message.to_owned());
            None
        }
        (None, None) => {
            let misspelt =
                entries.iter().find_map(|entry| Some((entry, nearest(&entry.key, ["action", "key_path"])?)));
            let missing =
                "the file has neither `action` (then it is an event) nor `key_path` (then it is a metric)";
            match misspelt {
                Some((entry, known)) => {
                    let message = format!("{missing}; by `{}`, did you mean `{known}`?", excerpt(&entry.key));
                    report.error(entry.at, message);
                }
                None => report.error(fields.at, format!("{missing}; add one")),
            }
            None
        }
    }
}

/// The problems of one file.
pub(in crate::definition) struct Report<'a> {
    file: &'a Arc<str>,
    problems: &'a mut Problems,
    level: Level,
    errors: usize,
    warnings: usize,
    /// Where something was said already.
    said: BTreeSet<Position>,
}

impl Report<'_> {
    pub(in crate::definition) fn error(&mut self, at: Position, message: String) {
        self.errors += 1;
        self.said.insert(at);
        if let Some(message) = within_limit(self.errors, "errors", message) {
            self.problems.error(&self.place(at), message);
        }
    }

    pub(in crate::definition) fn warning(&mut self, at: Position, message: String) {
        self.warnings += 1;
        self.said.insert(at);
        if let Some(message) = within_limit(self.warnings, "warnings", message) {
            self.problems.warning(&self.place(at), message);
        }
    }

    /// A warning of the strict reading, unless something was said of this place already.
    fn strict(&mut self, at: Position, message: String) {
        if !self.said.contains(&at) {
            self.warning(at, message);
        }
    }

    pub(in crate::definition) fn place(&self, at: Position) -> Place {
        Place { file: Arc::clone(self.file), at }
    }

    pub(in crate::definition) fn is_sound(&self) -> bool {
        self.errors == 0
    }
}

fn within_limit(count: usize, what: &str, message: String) -> Option<String> {
    match count.cmp(&MAX_FILE_PROBLEMS) {
        Ordering::Less => Some(message),
        Ordering::Equal => {
            Some(format!("{message} (the file has more {what}; from here on they are not listed)"))
        }
        Ordering::Greater => None,
    }
}

/// The entries of one mapping, read by key.
#[derive(Clone, Copy)]
pub(in crate::definition) struct Fields<'n> {
    pub(in crate::definition) entries: &'n [Entry],
    pub(in crate::definition) at: Position,
}

/// The keys that a definition may have.
pub(in crate::definition) struct Keys {
    pub(in crate::definition) known: &'static [&'static str],
    /// Keys of older versions of GitLab's schema: ignored with a warning.
    pub(in crate::definition) historic: &'static [&'static str],
}

impl<'n> Fields<'n> {
    /// The entry of this key; an entry without a value is absent, as it is in GitLab.
    pub(in crate::definition) fn find(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key == key && !matches!(entry.value.value, Value::Null))
    }

    /// Reports unknown and historic keys.
    pub(in crate::definition) fn check_keys(&self, keys: &Keys, report: &mut Report<'_>) {
        for entry in self.entries {
            let key = entry.key.as_str();
            if keys.historic.contains(&key) {
                let message = format!("`{key}` is of an older schema and has no effect; remove it");
                report.warning(entry.at, message);
            } else if !keys.known.contains(&key) && !key.starts_with("x-") {
                let remedy = match key {
                    "<<" => "; merge keys are not supported, write the keys out".to_owned(),
                    _ => match hint(key, keys.known.iter().copied()) {
                        none if none.is_empty() => "; remove it, or begin its name with `x-`".to_owned(),
                        hint => hint,
                    },
                };
                report.error(entry.at, format!("unknown key `{}`{remedy}", excerpt(key)));
            }
        }
    }

    /// Reports keys that are missing although GitLab's schema asks for them, to those who want to hear it: a definition works without them.
    pub(in crate::definition) fn check_expected<'k>(
        &self,
        expected: impl IntoIterator<Item = &'k str>,
        report: &mut Report<'_>,
    ) {
        let missing: Vec<String> = expected
            .into_iter()
            .filter(|key| self.find(key).is_none() && !self.is_null_allowed(key))
            .map(|key| format!("`{key}`"))
            .collect();
        if report.level == Level::Strict && !missing.is_empty() {
            let message = format!("GitLab's schema also asks for {}; add what is known", missing.join(", "));
            report.warning(self.at, message);
        }
    }

    /// Fields that GitLab's schema wants to be present but takes without a value.
    fn is_null_allowed(&self, key: &str) -> bool {
        ["milestone", "introduced_by_url"].contains(&key) && self.entries.iter().any(|entry| entry.key == key)
    }

    pub(in crate::definition) fn text(&self, key: &str, report: &mut Report<'_>) -> Option<&'n str> {
        let entry = self.find(key)?;
        match &entry.value.value {
            Value::Text(text) => Some(text),
            value => {
                report.error(entry.value.at, not_text(key, value));
                None
            }
        }
    }

    pub(in crate::definition) fn owned_text(&self, key: &str, report: &mut Report<'_>) -> Option<String> {
        self.text(key, report).map(str::to_owned)
    }

    /// A list of texts; a value that is no list, and items that are no texts, are reported and left out.
    pub(in crate::definition) fn texts(
        &self,
        key: &str,
        example: &str,
        report: &mut Report<'_>,
    ) -> Vec<(Position, &'n str)> {
        let Some(entry) = self.find(key) else { return Vec::new() };
        let Value::List(items) = &entry.value.value else {
            let found = describe(&entry.value.value);
            report.error(entry.value.at, format!("`{key}` must be a list such as {example}, found {found}"));
            return Vec::new();
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            match &item.value {
                Value::Text(text) => texts.push((item.at, text.as_str())),
                value => {
                    let message = format!(
                        "`{key}` must be a list of texts such as {example}, found {} in it",
                        describe(value)
                    );
                    report.error(item.at, message);
                }
            }
        }
        texts
    }

    pub(in crate::definition) fn owned_texts(
        &self,
        key: &str,
        example: &str,
        report: &mut Report<'_>,
    ) -> Vec<String> {
        self.texts(key, example, report).into_iter().map(|(_, text)| text.to_owned()).collect()
    }

    /// A list of words of a closed set; others are kept with a warning.
    pub(in crate::definition) fn words(
        &self,
        key: &str,
        known: &[&str],
        example: &str,
        report: &mut Report<'_>,
    ) -> Vec<String> {
        let texts = self.texts(key, example, report);
        for (at, text) in texts.iter().filter(|(_, text)| !known.contains(text)) {
            report.warning(*at, unknown_word(key, text, known));
        }
        texts.into_iter().map(|(_, text)| text.to_owned()).collect()
    }

    /// A version such as 17.2, which must be quoted: as a number 17.10 would be 17.1.
    pub(in crate::definition) fn milestone(&self, key: &str, report: &mut Report<'_>) -> Option<String> {
        let text = self.text(key, report)?;
        let number = text.strip_prefix('<').unwrap_or(text);
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !number.split_once('.').is_some_and(|(major, minor)| digits(major) && digits(minor)) {
            let at = self.find(key).map(|entry| entry.value.at).unwrap_or_default();
            report.warning(
                at,
                format!("`{key}` should be a version such as '17.2', found `{}`", excerpt(text)),
            );
        }
        Some(text.to_owned())
    }

    /// Any value, as the JSON that it is kept as.
    pub(in crate::definition) fn json(&self, key: &str) -> Option<serde_json::Value> {
        self.find(key).map(|entry| entry.value.to_json())
    }
}

/// The entries of a node that must be a mapping.
pub(in crate::definition) fn mapping(node: &Node) -> Option<Fields<'_>> {
    match &node.value {
        Value::Map(entries) => Some(Fields { entries, at: node.at }),
        _ => None,
    }
}

fn not_text(key: &str, value: &Value) -> String {
    let remedy = match value {
        Value::Number(_, text) => format!("; quote it as '{text}'"),
        Value::Bool(value) => format!("; quote it as '{value}'"),
        _ => String::new(),
    };
    format!("`{key}` must be text, found {}{remedy}", describe(value))
}

/// What a reader sees at this place.
pub(in crate::definition) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("the boolean {value}"),
        Value::Number(_, text) => format!("the number {}", excerpt(text)),
        Value::Text(text) => format!("the text `{}`", excerpt(text)),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
    }
}

/// `tier` holds a word that is not one of the known ones.
pub(in crate::definition) fn unknown_word(key: &str, word: &str, known: &[&str]) -> String {
    let lower = word.to_lowercase();
    let near = match known.iter().find(|known| **known == lower) {
        Some(known) => format!("; did you mean `{known}`?"),
        None => hint(word, known.iter().copied()),
    };
    format!("`{key}` must be one of {}, found `{}`{near}", known.join(", "), excerpt(word))
}
