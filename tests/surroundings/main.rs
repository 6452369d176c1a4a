//! What surrounds a store: permissions, owners, links, locks, and others that create it at the same moment. No success that is
//! none, and no failure where there is no cause.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of tests may fail as tests do, and say what they skip"
)]

mod beneath;
#[path = "../common/mod.rs"]
mod common;
mod creating;
mod links;
mod locks;
mod permissions;

use std::path::{Path, PathBuf};
use std::time::Duration;

use headcount::{Definitions, Error, Event, EventDefinition, Query, Reader, Store};

use common::child::{self, say};

const FILE: &str = "HEADCOUNT_TEST_FILE";

fn open(path: &Path) -> Result<Store, Error> {
    let definitions =
        Definitions::new().event(EventDefinition::new("page_viewed").identifier("user")).unwrap();
    // An hour without a commit, so that only flushes decide.
    Store::builder(path).definitions(definitions).flush_every(Duration::from_secs(3_600)).open()
}

fn track(store: &Store, events: u64) {
    (0..events).for_each(|user| store.tracker().track(Event::new("page_viewed").user(user)));
}

fn total(reader: &Reader) -> Result<u64, Error> {
    Ok(reader.value(&Query::total("page_viewed"))?.count().unwrap())
}

/// Does nothing, unless another test of this program has started it as a process of its own.
#[test]
fn a_child() {
    let file = std::env::var(FILE).map(PathBuf::from).unwrap_or_default();
    match child::role().as_deref() {
        None => {}
        Some("counts one") => report(count_one(&file)),
        Some("reads") => report(read(&file).map(|read| read.0)),
        Some("reads and stays") => {
            let read = read(&file);
            report(read.as_ref().map(|read| read.0).map_err(Clone::clone));
            std::io::stdin().read_line(&mut String::new()).unwrap();
        }
        Some("creates") => creating::child(),
        Some("locks") => locks::child(&file),
        Some(other) => panic!("{other}"),
    }
}

/// Opens the store, counts one event, and says how many there are then.
fn count_one(path: &Path) -> Result<u64, String> {
    let told = |error: Error| format!("{:?} {error}", error.kind());
    let store = open(path).map_err(told)?;
    track(&store, 1);
    store.flush().map_err(told)?;
    let count = total(store.reader()).map_err(told)?;
    store.close().map_err(told)?;
    Ok(count)
}

/// The reader stays open as long as the answer is kept.
fn read(path: &Path) -> Result<(u64, Reader), String> {
    let told = |error: Error| format!("{:?} {error}", error.kind());
    let reader = Reader::open(path).map_err(told)?;
    Ok((total(&reader).map_err(told)?, reader))
}

fn report(outcome: Result<u64, String>) {
    match outcome {
        Ok(count) => say(format_args!("outcome: {count}")),
        Err(error) => say(format_args!("outcome: {}", error.replace('\n', " "))),
    }
}

/// Every name in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
