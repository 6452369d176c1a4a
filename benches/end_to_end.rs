//! How many events a second reach the disk? With plain SQLite in turns.
//!
//! From the first event until all are durable. Each event adds to one count and two uniques, and what is stored is held against
//! what was tracked.
#![allow(
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops where it is wrong"
)]

mod rounds;

use std::path::Path;
use std::time::Duration;

use headcount::{Definitions, EventDefinition, Overflow, Query, Rule, Store};
use rusqlite::{Connection, params};

use rounds::{SplitMix, Table, nanoseconds, scale};

const ROUNDS: usize = 5;
const EVENTS: usize = 3_000_000;
/// Plain SQLite is slower by hundreds of times.
const RIVAL_EVENTS: usize = 200_000;
/// Different pairs of identifiers; then they begin again.
const PAIRS: usize = 1_000_000;
const ROWS_PER_TRANSACTION: usize = 1_000;
const USERS: u64 = 100_000;
const PROJECTS: u64 = 2_000;

fn main() {
    let (events, rival_events) = scale((EVENTS, RIVAL_EVENTS), (20_000, 2_000));
    let ids = identifiers(events.min(PAIRS));
    let mut table = Table::new("events/s from the first until all are on disk", &["median"]);
    table.row("headcount, 1 producer").case(|| per_second(events, |path| ours(path, events, &ids)));
    table
        .row("plain SQLite, exact, 1,000 a transaction")
        .case(|| per_second(rival_events, |path| plain_sqlite(path, rival_events, &ids)));
    table.run(ROUNDS);
}

fn per_second(events: usize, run: impl FnOnce(&Path) -> f64) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    events as f64 / run(&folder.path().join("events.db")) * 1e9
}

fn ours(path: &Path, events: usize, ids: &[(u64, u64)]) -> f64 {
    let store = Store::builder(path)
        .definitions(
            Definitions::new()
                .event(EventDefinition::new("page_viewed").identifier("user").identifier("project"))
                .unwrap(),
        )
        .record(Rule::unique("page_viewed", "user"))
        .record(Rule::unique("page_viewed", "project"))
        .on_overflow(Overflow::Wait(Duration::from_secs(60)))
        .open()
        .unwrap();
    let viewed = store.tracker().event("page_viewed").unwrap();
    let took = nanoseconds(|| {
        for (user, project) in ids.iter().cycle().take(events) {
            viewed.user(*user).project(*project).track();
        }
        store.close().unwrap();
    });
    assert_eq!(store.stats().stored, events as u64);
    assert_eq!(store.value(&Query::total("page_viewed")).unwrap().count(), Some(events as u64));
    took
}

/// What a program without this crate would do: the same three rows an event, exact, in transactions of many events.
fn plain_sqlite(path: &Path, events: usize, ids: &[(u64, u64)]) -> f64 {
    let mut connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "synchronous", "FULL").unwrap();
    connection
        .execute_batch(
            "CREATE TABLE counts (day INTEGER, name TEXT, count INTEGER, PRIMARY KEY (day, name)) WITHOUT ROWID;
             CREATE TABLE uniques (day INTEGER, name TEXT, id INTEGER, PRIMARY KEY (day, name, id)) WITHOUT ROWID;",
        )
        .unwrap();
    let pairs: Vec<_> = ids.iter().cycle().take(events).collect();
    let took = nanoseconds(|| {
        for pairs in pairs.chunks(ROWS_PER_TRANSACTION) {
            let transaction = connection.transaction().unwrap();
            let mut count = transaction
                .prepare_cached(
                    "INSERT INTO counts VALUES (?1, ?2, 1) ON CONFLICT DO UPDATE SET count = count + 1",
                )
                .unwrap();
            let mut unique =
                transaction.prepare_cached("INSERT OR IGNORE INTO uniques VALUES (?1, ?2, ?3)").unwrap();
            for (user, project) in pairs {
                count.execute(params![1, "page_viewed"]).unwrap();
                unique.execute(params![1, "page_viewed-user", user.cast_signed()]).unwrap();
                unique.execute(params![1, "page_viewed-project", project.cast_signed()]).unwrap();
            }
            drop((count, unique));
            transaction.commit().unwrap();
        }
    });
    let counted: i64 = connection.query_row("SELECT count FROM counts", [], |row| row.get(0)).unwrap();
    assert_eq!(counted.cast_unsigned(), events as u64);
    took
}

/// Users and projects of six digits.
fn identifiers(count: usize) -> Vec<(u64, u64)> {
    let mut random = SplitMix::new(100);
    (0..count).map(|_| (100_000 + random.below(USERS), 100_000 + random.below(PROJECTS))).collect()
}
