//! Bringing a store of an older version to the current one.

use rusqlite::Connection;

use crate::error::{Error, ErrorKind};
use crate::storage::sqlite::failure::During;
use crate::storage::sqlite::schema;

/// What brings a store from the version before to `to`. It keeps every row, so that a program of the version before, which has
/// the store open meanwhile, goes on; and readers need nothing of it, since they cannot take it.
struct Step {
    to: i32,
    sql: &'static str,
}

const STEPS: &[Step] =
    &[Step { to: 2, sql: schema::CREATE_SINCE_2 }, Step { to: 3, sql: schema::CREATE_SINCE_3 }];

/// Brings the store to the current version, in one transaction: what ends in the middle leaves it as it was. Of several processes
/// that do so at once one does it.
pub(super) fn to_current(connection: &Connection) -> Result<(), Error> {
    migrate(connection, STEPS)
}

/// The version of the store, as of the transaction that runs, if one does.
pub(super) fn version(connection: &Connection) -> Result<i32, Error> {
    connection
        .prepare_cached("PRAGMA user_version")
        .and_then(|mut select| select.query_row([], |row| row.get(0)))
        .during("reading the version")
}

pub(super) fn refuse_newer(version: i32) -> Result<(), Error> {
    if version <= schema::USER_VERSION {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::StoreNewer,
        format!(
            "the store has version {version}, this program knows up to {}; use a newer program",
            schema::USER_VERSION
        ),
    ))
}

fn migrate(connection: &Connection, steps: &[Step]) -> Result<(), Error> {
    let Some(newest) = steps.last().map(|step| step.to) else { return Ok(()) };
    if version(connection)? >= newest {
        return Ok(());
    }
    connection.execute_batch("BEGIN IMMEDIATE").during("beginning to migrate")?;
    let migrated = take(connection, steps)
        .and_then(|()| connection.pragma_update(None, "user_version", newest).during("migrating"))
        .and_then(|()| connection.execute_batch("COMMIT").during("ending to migrate"));
    if migrated.is_err() && !connection.is_autocommit() {
        // The error of the migration says more than one of its rollback, which closing the connection does too.
        let _ = connection.execute_batch("ROLLBACK");
    }
    migrated
}

fn take(connection: &Connection, steps: &[Step]) -> Result<(), Error> {
    // Another process may have been first.
    let from = version(connection)?;
    for step in steps.iter().filter(|step| step.to > from) {
        connection.execute_batch(step.sql).during("migrating")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TO_FIVE: &[Step] = &[
        Step { to: 2, sql: schema::CREATE_SINCE_2 },
        Step { to: 3, sql: schema::CREATE_SINCE_3 },
        Step { to: 4, sql: "ALTER TABLE series ADD COLUMN unit TEXT" },
        Step { to: 5, sql: "UPDATE series SET unit = 'events' WHERE kind = 1" },
    ];

    /// A store of version 1, with a series.
    fn old_store() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(schema::CREATE).unwrap();
        connection.execute_batch("INSERT INTO series (key, kind) VALUES ('a', 1), ('b', 3)").unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        connection
    }

    fn units(connection: &Connection) -> Vec<Option<String>> {
        let mut select = connection.prepare("SELECT unit FROM series ORDER BY key").unwrap();
        select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn steps_are_taken_in_order_and_once() {
        let store = old_store();
        migrate(&store, STEPS).unwrap();
        assert_eq!(version(&store).unwrap(), schema::USER_VERSION);
        migrate(&store, TO_FIVE).unwrap();
        migrate(&store, TO_FIVE).unwrap();
        assert_eq!(version(&store).unwrap(), 5);
        assert_eq!(units(&store), [Some("events".to_owned()), None]);
    }

    #[test]
    fn a_step_that_fails_leaves_the_old_version_whole() {
        const BROKEN: &[Step] = &[
            Step { to: 2, sql: schema::CREATE_SINCE_2 },
            Step { to: 3, sql: "UPDATE no_such_table SET unit = 1" },
        ];
        let store = old_store();
        assert!(migrate(&store, BROKEN).is_err());
        assert_eq!(version(&store).unwrap(), 1);
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'retention'";
        assert_eq!(store.query_row(tables, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
        migrate(&store, TO_FIVE).unwrap();
        assert_eq!(version(&store).unwrap(), 5);
    }

    #[test]
    fn the_steps_lead_from_the_oldest_version_to_the_newest_one_by_one() {
        let versions: Vec<i32> = STEPS.iter().map(|step| step.to).collect();
        assert_eq!(versions, (schema::OLDEST_VERSION + 1..=schema::USER_VERSION).collect::<Vec<_>>());
    }
}
