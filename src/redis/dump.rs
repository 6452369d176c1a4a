//! The keys of a dump, instead of those of a server.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use crate::definition::rule::Rule;
use crate::error::{Error, ErrorKind, plain};
use crate::redis::keys::{Found, Place};
use crate::redis::names::{Places, is_named};
use crate::redis::rdb::{self, Checksum, Value};
use crate::redis::value::{Raw, limit};
use crate::time::timestamp::Timestamp;

/// What a dump has of interest.
#[derive(Debug, Default)]
pub(super) struct Dumped {
    pub(super) found: Found,
    pub(super) values: Vec<(Place, Raw)>,
    pub(super) doubts: Vec<String>,
}

/// Reads all of it: what it has is good only then. Keys that have expired are none.
pub(super) fn read(
    path: &Path,
    database: u64,
    places: &Places,
    rules: &[Rule],
    now: Timestamp,
    most_bytes: usize,
) -> Result<Dumped, Error> {
    let failed = |error: Error| error.context(path.display());
    let file = File::open(path).map_err(|error| {
        Error::new(ErrorKind::Io, format!("{}: {}", path.display(), plain(&error))).with_source(error)
    })?;
    let mut elsewhere = BTreeMap::<u64, u64>::new();
    let mut is_wanted = |of: u64, key: &[u8]| {
        let is_ours = is_named(key) || std::str::from_utf8(key).is_ok_and(|key| places.find(key).is_some());
        if is_ours && of != database {
            *elsewhere.entry(of).or_default() += 1;
        }
        is_ours && of == database
    };
    let (mut dumped, mut held_bytes) = (Dumped::default(), 0);
    let mut show = |entry: rdb::Entry| {
        if entry.expires_at_ms.is_some_and(|at| at / 1_000 < now.unix_seconds()) {
            return Ok(());
        }
        let known = dumped.found.known.len();
        dumped.found.take(entry.key, places, rules)?;
        let Some(place) = dumped.found.known.get(known) else { return Ok(()) };
        let raw = match entry.value {
            Value::Text(text) => Raw::Text(text),
            Value::Hash(fields) => {
                let is_there = |field: &rdb::Field| {
                    field.expires_at_ms.is_none_or(|at| at / 1_000 >= now.unix_seconds())
                };
                let fields = fields.into_iter().filter(is_there);
                Raw::Hash(fields.map(|field| (field.name, field.value)).collect())
            }
            Value::Other(name) => Raw::Other(name.to_owned()),
        };
        let (length, bytes) = match &raw {
            Raw::Text(text) => (text.len(), text.len()),
            Raw::Hash(fields) => {
                (fields.len(), fields.iter().map(|(field, value)| field.len() + value.len()).sum())
            }
            Raw::Other(_) => (0, 0),
        };
        held_bytes += bytes;
        if length > limit(place.kind) || held_bytes > most_bytes {
            return Err(Error::new(
                ErrorKind::Redis,
                format!(
                    "the key {} is longer than a counter or a sketch can be, or all of them are; nothing was imported",
                    place.key
                ),
            ));
        }
        dumped.values.push((place.clone(), raw));
        Ok(())
    };
    let summary = rdb::read(file, &mut is_wanted, &mut show).map_err(failed)?;
    if summary.checksum == Checksum::SwitchedOff {
        dumped
            .doubts
            .push("the dump has no checksum, so that damage may go unseen (rdbchecksum no)".to_owned());
    }
    if summary.is_base_of_aof {
        dumped.doubts.push(
            "the dump begins an append-only file: what was counted later stands in other files".to_owned(),
        );
    }
    if dumped.values.is_empty()
        && let Some((of, keys)) = elsewhere.into_iter().max_by_key(|(_, keys)| *keys)
    {
        return Err(failed(Error::new(
            ErrorKind::Usage,
            format!(
                "there is nothing in its database {database}, and {keys} of GitLab's keys in its database {of}; name that one"
            ),
        )));
    }
    Ok(dumped)
}
