//! Reading keys from a server: by scan, in pages, with limits.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::definition::rule::{Rule, RuleKind};
use crate::error::{Error, ErrorKind};
use crate::redis::link::{Node, Reply};
use crate::redis::names::{ANY_SLOT, OLDER, Places, SLOTS, is_named};
use crate::redis::patience::Patient;
use crate::redis::value::{Raw, limit, type_of};
use crate::storage::arrival::Frame;

/// The most keys of GitLab's form that one Redis may have.
pub(super) const MAX_KEYS: usize = 1_000_000;
/// A scan is begun anew so often.
const MAX_SCANS: u32 = 20;
/// Keys whose values are asked for together.
const PAGE: usize = 200;

/// What a key is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) key: String,
    /// The place of its rule.
    pub(super) rule: usize,
    pub(super) frame: Frame,
    pub(super) kind: RuleKind,
}

/// The keys that were found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) known: Vec<Place>,
    /// Keys of GitLab's form that no rule has.
    pub(super) unknown: BTreeSet<Vec<u8>>,
}

impl Found {
    /// Sorts a key in; the same one again changes nothing that matters.
    pub(super) fn take(&mut self, key: Vec<u8>, places: &Places, rules: &[Rule]) -> Result<(), Error> {
        if self.known.len() + self.unknown.len() >= MAX_KEYS {
            return Err(Error::new(
                ErrorKind::Redis,
                format!("there are more than {MAX_KEYS} keys with GitLab's names; this is no small install"),
            ));
        }
        if self.unknown.contains(&key) {
            return Ok(());
        }
        let place = std::str::from_utf8(&key).ok().and_then(|text| Some((text, places.find(text)?)));
        match place.and_then(|(text, (rule, frame))| Some((text, rule, frame, rules.get(rule)?.kind()))) {
            Some((text, rule, frame, kind)) => {
                self.known.push(Place { key: text.to_owned(), rule, frame, kind });
            }
            None => drop(self.unknown.insert(key)),
        }
        Ok(())
    }

    /// In the order of keys, each once: a scan may show one twice.
    fn sort(&mut self) {
        self.known.sort_by(|a, b| a.key.cmp(&b.key));
        self.known.dedup();
    }
}

/// Finds all keys by scans, at most so many a second. `told` hears of each step.
pub(super) fn find(
    server: &mut Patient,
    places: &Places,
    rules: &[Rule],
    pause: Duration,
    told: &mut dyn FnMut(usize),
) -> Result<Found, Error> {
    let mut found = Found::default();
    // On one node a scan passes all keys, whatever it looks for: one for all prefixes is enough. In a cluster older names are everywhere.
    let mut scans: Vec<(&str, Option<Node>)> = Vec::new();
    if server.call(|link| Ok(link.is_cluster()))? {
        scans.extend(SLOTS.map(|slot| (slot, None)));
        scans.extend(server.call(|link| link.masters())?.into_iter().map(|node| (OLDER, Some(node))));
    } else {
        scans.extend([ANY_SLOT, OLDER].map(|pattern| (pattern, None)));
    }
    for (pattern, node) in scans {
        let mut tries = 0;
        while !scan(server, pattern, node.as_ref(), pause, &mut |key| found.take(key, places, rules))? {
            tries += 1;
            if tries == MAX_SCANS {
                return Err(Error::new(
                    ErrorKind::Redis,
                    format!(
                        "{} was restarted, or moved its keys, {MAX_SCANS} times while they were looked for; import when it is at rest",
                        server.address()
                    ),
                ));
            }
        }
        told(found.known.len() + found.unknown.len());
    }
    // Older names have nothing in common, and are asked for one by one.
    for key in places.untagged() {
        if server.call(|link| link.call(&vec![b"EXISTS", key.as_bytes()]))? == Reply::Number(1) {
            found.take(key.as_bytes().to_vec(), places, rules)?;
        }
    }
    found.sort();
    Ok(found)
}

/// One scan over all keys of a pattern; says whether it saw every one. A cursor means nothing to a server that was started again, nor to
/// the node that a slot was moved to.
fn scan(
    server: &mut Patient,
    pattern: &str,
    node: Option<&Node>,
    pause: Duration,
    take: &mut dyn FnMut(Vec<u8>) -> Result<(), Error>,
) -> Result<bool, Error> {
    let owner = server.call(|link| link.owner(pattern))?;
    let connections = server.connections;
    let mut cursor = 0;
    loop {
        let (next, keys) = server.call(|link| link.scan(cursor, pattern, node))?;
        if server.connections != connections {
            return Ok(false);
        }
        keys.into_iter().filter(|key| is_named(key)).try_for_each(&mut *take)?;
        cursor = next;
        if cursor == 0 {
            let still = server.call(|link| link.owner(pattern))?;
            return Ok(still == owner && server.connections == connections);
        }
        std::thread::sleep(pause);
    }
}

/// Shows what the keys hold, in their order; one that is gone by now is passed over.
pub(super) fn read(
    server: &mut Patient,
    places: &[Place],
    pause: Duration,
    show: &mut dyn FnMut(&Place, Raw) -> Result<(), Error>,
) -> Result<(), Error> {
    for page in places.chunks(PAGE) {
        for (place, raw) in read_page(server, page)? {
            show(place, raw)?;
        }
        std::thread::sleep(pause);
    }
    Ok(())
}

fn read_page<'a>(server: &mut Patient, page: &'a [Place]) -> Result<Vec<(&'a Place, Raw)>, Error> {
    let types: Vec<_> = page.iter().map(|place| vec![b"TYPE".as_slice(), place.key.as_bytes()]).collect();
    let types = server.call(|link| link.call_all(&types))?;
    let mut values = Vec::with_capacity(page.len());
    let mut fitting = Vec::new();
    for (place, found) in page.iter().zip(types) {
        match found {
            Reply::Bytes(name) if name == b"none" => {}
            Reply::Bytes(name) if name == type_of(place.kind).as_bytes() => fitting.push(place),
            // What it holds is of no use, and may be huge.
            Reply::Bytes(name) => {
                values.push((place, Raw::Other(String::from_utf8_lossy(&name).into_owned())));
            }
            _ => return Err(strange(server, &place.key)),
        }
    }
    let lengths: Vec<_> = fitting
        .iter()
        .map(|place| {
            let command = if place.kind == RuleKind::PerValue { b"HLEN".as_slice() } else { b"STRLEN" };
            vec![command, place.key.as_bytes()]
        })
        .collect();
    let lengths = server.call(|link| link.call_all(&lengths))?;
    for (place, length) in fitting.iter().zip(lengths) {
        let Reply::Number(length) = length else { return Err(strange(server, &place.key)) };
        if usize::try_from(length).unwrap_or(usize::MAX) > limit(place.kind) {
            return Err(Error::new(
                ErrorKind::Redis,
                format!(
                    "the key {} has {length} {}; at most {} are read: mend or delete the key",
                    place.key,
                    if place.kind == RuleKind::PerValue { "fields" } else { "bytes" },
                    limit(place.kind)
                ),
            ));
        }
    }
    let gets: Vec<_> = fitting
        .iter()
        .map(|place| {
            let command = if place.kind == RuleKind::PerValue { b"HGETALL".as_slice() } else { b"GET" };
            vec![command, place.key.as_bytes()]
        })
        .collect();
    let gets = server.call(|link| link.call_all(&gets))?;
    for (place, answer) in fitting.into_iter().zip(gets) {
        match answer {
            Reply::Nothing => {}
            Reply::Bytes(bytes) => values.push((place, Raw::Text(bytes))),
            Reply::List(parts) if place.kind == RuleKind::PerValue => {
                let Some(fields) = pairs(parts) else { return Err(strange(server, &place.key)) };
                if !fields.is_empty() {
                    values.push((place, Raw::Hash(fields)));
                }
            }
            _ => return Err(strange(server, &place.key)),
        }
    }
    Ok(values)
}

fn pairs(parts: Vec<Reply>) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut parts = parts.into_iter();
    let mut pairs = Vec::with_capacity(parts.len() / 2);
    while let Some(field) = parts.next() {
        match (field, parts.next()?) {
            (Reply::Bytes(field), Reply::Bytes(value)) => pairs.push((field, value)),
            _ => return None,
        }
    }
    Some(pairs)
}

fn strange(server: &Patient, key: &str) -> Error {
    Error::new(
        ErrorKind::Redis,
        format!("{} answered for the key {key} with something else", server.address()),
    )
}
