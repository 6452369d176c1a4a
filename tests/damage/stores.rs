//! Stores with known content, and what must be true of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use headcount::{
    Definitions, ErrorKind, EventDefinition, ManualClock, Mode, Query, Reader, Rule, Store, TimeRange,
    Timestamp, Value,
};

use crate::common::Chance;

pub(crate) const FIRST: &str = "2026-09-20T00:00:00Z";
/// From the first day to today.
const DAYS: u32 = 64;
pub(crate) const NOW: &str = "2026-11-22T12:00:00Z";

pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// A store on disk, and the answers that it must give.
pub(crate) struct Known {
    pub(crate) file: Vec<u8>,
    pub(crate) log: Option<Vec<u8>>,
    pub(crate) truth: Truth,
}

/// Every answer of a store by its question, in a form that compares.
pub(crate) type Truth = BTreeMap<String, String>;

fn definitions() -> Definitions {
    let viewed = EventDefinition::new("viewed").identifier("user").label().value();
    let clicked = EventDefinition::new("clicked").identifier("user").identifier("project");
    Definitions::new().event(viewed).unwrap().event(clicked).unwrap()
}

/// Months of events; with a log that was left behind, as by a program that was killed.
pub(crate) fn known(folder: &Path, seed: u64, has_log: bool) -> Known {
    let path = folder.join(format!("known-{seed}.db"));
    let mut chance = Chance::new(seed);
    let store = Store::builder(&path)
        .definitions(definitions())
        .clock(ManualClock::new(at(NOW)))
        .mode(Mode::Inline)
        .record(Rule::unique("viewed", "user"))
        .record(Rule::unique("clicked", "user"))
        .record(Rule::unique("clicked", "project"))
        .record(Rule::sum("viewed"))
        .record(Rule::per_value("viewed", "label"))
        .record(Rule::count("viewed").filter("label", "label-1"))
        .open()
        .unwrap();
    let span = at(NOW).unix_seconds() - at(FIRST).unix_seconds();
    let mut lines = BTreeMap::new();
    for number in 0..12_000 + chance.below(6_000) {
        let time = at(NOW).plus_seconds(-i64::try_from(chance.below(span.unsigned_abs())).unwrap());
        let line = if chance.below(3) == 0 {
            format!(
                "{{\"event\":\"clicked\",\"time\":\"{time}\",\"user\":{},\"project\":{}}}\n",
                chance.below(400),
                chance.below(60)
            )
        } else {
            let value = (chance.below(4_000) as f64) / 8.0;
            let label = chance.below(30);
            let user = chance.below(9_000);
            format!(
                "{{\"event\":\"viewed\",\"time\":\"{time}\",\"user\":{user},\"value\":{value},\"label\":\"label-{label}\"}}\n"
            )
        };
        lines.insert((time.unix_seconds(), number), line);
    }
    let lines: Vec<String> = lines.into_values().collect();
    // In pieces, as in life: pages are written again and again, and rows are in the order of time.
    for (number, piece) in lines.chunks(lines.len() / 6).enumerate() {
        store.import(&format!("piece-{number}"), piece.concat().as_bytes()).unwrap();
    }
    store.mark("v1").unwrap();
    store.flush().unwrap();
    let mut known = Known { file: Vec::new(), log: None, truth: Truth::new() };
    let log = folder.join(format!("known-{seed}.db-wal"));
    if has_log {
        // A commit or two behind the last time that the log was emptied.
        rusqlite::Connection::open(&path)
            .unwrap()
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .unwrap();
        let piece: String = lines.iter().rev().take(300).map(String::as_str).collect();
        store.import("later", piece.as_bytes()).unwrap();
        known.file = std::fs::read(&path).unwrap();
        known.log = Some(std::fs::read(&log).unwrap());
    } else {
        store.close().unwrap();
        // Its connections close with it, and empty the log.
        drop(store);
        known.file = std::fs::read(&path).unwrap();
    }
    known.truth = answers(&Reader::open(&path).unwrap(), None).unwrap();
    assert!(known.truth.values().all(|answer| !answer.starts_with("error")), "{:?}", known.truth);
    known
}

/// The answers to all that a store of this kind can be asked: over all time, each day and each hour of some.
///
/// With `refused`, an answer that fails is noted there instead.
pub(crate) fn answers(
    reader: &Reader,
    mut refused: Option<&mut BTreeSet<String>>,
) -> Result<Truth, headcount::Error> {
    let reader = reader.clone().with_clock(ManualClock::new(at(NOW)));
    let days = i64::from(DAYS);
    let piece = |step: i64, number: i64| {
        TimeRange::new(at(FIRST).plus_seconds(step * number), at(FIRST).plus_seconds(step * (number + 1)))
            .unwrap()
    };
    let mut truth = Truth::new();
    let mut ask =
        |name: String, asked: Result<String, headcount::Error>| match (asked, refused.as_deref_mut()) {
            (Ok(answer), _) => {
                truth.insert(name, answer);
                Ok(())
            }
            (Err(error), Some(refused)) => {
                assert!(
                    matches!(
                        error.kind(),
                        ErrorKind::StoreDamaged
                            | ErrorKind::Io
                            | ErrorKind::UnknownEvent
                            | ErrorKind::NotRecorded
                            | ErrorKind::NotKept
                            | ErrorKind::Definitions
                            | ErrorKind::UnknownMark
                            | ErrorKind::Usage
                    ),
                    "{name}: {error:?}"
                );
                refused.insert(name);
                Ok(())
            }
            (Err(error), None) => Err(error),
        };
    let queries = [
        ("viewed", Query::total("viewed")),
        ("clicked", Query::total("clicked")),
        ("label-1", Query::total("viewed").filter("label", "label-1")),
        ("sum", Query::sum("viewed")),
        ("labels", Query::per_value("viewed", "label")),
        ("viewers", Query::unique("viewed", "user")),
        ("clickers", Query::unique("clicked", "user")),
        ("projects", Query::unique("clicked", "project")),
    ];
    let mut asked = Vec::new();
    for (name, query) in queries {
        asked.push((format!("{name} of all time"), query.clone()));
        for piece in (0..days).map(|day| piece(86_400, day)) {
            asked.push((format!("{name} of {piece}"), query.clone().range(piece)));
        }
        if matches!(name, "viewed" | "clicked" | "label-1" | "sum") {
            // Every hour of some days, and all of the last two.
            let some = |day: &i64| day % 7 == 0 || *day >= days - 2;
            for hour in (0..days).filter(some).flat_map(|day| day * 24..(day + 1) * 24) {
                let piece = piece(3_600, hour);
                asked.push((format!("{name} of the hour {piece}"), query.clone().range(piece)));
            }
        }
    }
    let (names, queries): (Vec<String>, Vec<Query>) = asked.into_iter().unzip();
    let answers: Vec<_> = match reader.values(&queries) {
        Ok(answers) => answers,
        // The store cannot be read at all: each says so.
        Err(_) => queries.iter().map(|query| reader.value(query)).collect(),
    };
    for (name, answer) in names.into_iter().zip(answers) {
        ask(name, answer.map(|answer| shown(&answer.value)))?;
    }
    ask("ledger".to_owned(), reader.ledger().map(|ledger| format!("{ledger:?}")))?;
    ask("marks".to_owned(), reader.marks().map(|marks| format!("{marks:?}")))?;
    ask("definitions".to_owned(), reader.definitions().map(|all| all.events().count().to_string()))?;
    Ok(truth)
}

/// Sums to 10 digits: those that were made again may differ in their last ones.
fn shown(value: &Value) -> String {
    match value {
        Value::Sum { sum, .. } => format!("{sum:.6}"),
        other => format!("{other:?}"),
    }
}
