//! A store of version 1 is opened for writing, goes on, and is written anew so that it can shrink.

use std::path::Path;

use rusqlite::Connection;

use crate::model::{Model, Tables};
use crate::oracle;
use crate::run::store_in;
use crate::workload::{Outcome, State, Workload, flush, leaves_nothing};

/// As the release wrote it that knew no other version.
const VERSION_1: &str = include_str!("../../../migrations/version_1.sql");
const STEPS: usize = 4;
const WRITTEN_ANEW: usize = 3;

pub(super) const MIGRATION: Workload = Workload {
    name: "migration",
    steps: STEPS,
    prepare: old_store,
    step: |session, step| match step {
        0 => Ok(session.store().map(drop)?),
        2 => {
            // Nobody else has it open, as when an operator does it.
            session.close()?;
            session.upkeep()?.retain()?;
            Ok(())
        }
        _ => flush::step(session, step / 2),
    },
    state: |steps| {
        let batches = steps / 2;
        let before = Connection::open_in_memory().and_then(|store| {
            store.execute_batch(VERSION_1)?;
            oracle::tables(&store)
        });
        State::Holds(Model {
            before: before.unwrap_or_else(|_| Tables::default()),
            ..Model::tracked(batches)
        })
    },
    beside: is_old_or_new,
    leaves: leaves_nothing,
    has_threads: false,
};

fn old_store(folder: &Path) -> Outcome {
    let store = Connection::open(store_in(folder))?;
    store.pragma_update(None, "journal_mode", "wal")?;
    store.execute_batch(VERSION_1)?;
    Ok(())
}

/// The version is that of the tables, and nothing is between.
fn is_old_or_new(folder: &Path, steps: usize) -> Result<(), String> {
    let found = || -> rusqlite::Result<(i64, i64, i64, i64)> {
        let store = oracle::plain(&store_in(folder))?;
        let has_table = "SELECT count(*) FROM sqlite_schema WHERE name = 'retention'";
        let tables = store.query_row(has_table, [], |row| row.get(0))?;
        let rows = if tables == 0 {
            0
        } else {
            store.query_row("SELECT count(*) FROM retention", [], |row| row.get(0))?
        };
        let pragma = |name: &str| store.pragma_query_value(None, name, |row| row.get(0));
        Ok((pragma("user_version")?, tables, rows, pragma("auto_vacuum")?))
    };
    match found().map_err(|error| error.to_string())? {
        (1, 0, 0, 0) if steps == 0 => Ok(()),
        (3, 1, 1, 0) if steps < WRITTEN_ANEW => Ok(()),
        (3, 1, 1, 2) if steps + 1 >= WRITTEN_ANEW => Ok(()),
        found => Err(format!("after {steps} steps version, tables, rows and auto_vacuum are {found:?}")),
    }
}
