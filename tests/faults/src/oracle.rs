//! What a store file holds, by plain SQL, and whether all who know it agree.

use std::collections::BTreeMap;
use std::path::Path;

use headcount::{Depth, Query, Reader, Value};
use rusqlite::{Connection, OpenFlags};

use crate::model::{Model, Tables, sketch};

/// The rows of a store whose structure and laws hold; none of a store that is not there.
pub fn sound_tables(store: &Path) -> Result<Option<Tables>, String> {
    Ok(sound(store)?.map(|(_, tables)| tables))
}

/// As [`sound_tables`], with a reader to ask.
pub fn sound(store: &Path) -> Result<Option<(Reader, Tables)>, String> {
    if !store.exists() {
        return Ok(None);
    }
    let reader = Reader::open(store).map_err(|error| format!("it does not open: {error}"))?;
    let check = reader.check(Depth::Deep).map_err(|error| format!("it cannot be checked: {error}"))?;
    if !check.is_sound() {
        return Err(format!("its own check finds {:?}", check.findings));
    }
    let connection = plain(store).map_err(|error| format!("plain SQL: {error}"))?;
    let integrity: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .map_err(|error| format!("integrity_check: {error}"))?;
    if integrity != "ok" {
        return Err(format!("integrity_check: {integrity}"));
    }
    let tables = tables(&connection).map_err(|error| format!("plain SQL: {error}"))?;
    Ok(Some((reader, tables)))
}

/// A connection that knows nothing of the crate.
pub fn plain(store: &Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

pub fn tables(connection: &Connection) -> rusqlite::Result<Tables> {
    Ok(Tables {
        counts: rows(
            connection,
            "SELECT bucket, key, count FROM counts JOIN series ON id = series",
            |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)),
        )?,
        sums: rows(connection, "SELECT bucket, key, sum FROM sums JOIN series ON id = series", |row| {
            Ok(((row.get(0)?, row.get(1)?), row.get(2)?))
        })?,
        sketches: rows(
            connection,
            "SELECT bucket, key, blob FROM sketches JOIN series ON id = series WHERE bucket <> 0",
            |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)),
        )?,
        values: rows(
            connection,
            "SELECT bucket, key, text, count FROM per_value JOIN series ON id = per_value.series
             JOIN value_names USING (series, value)",
            |row| Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get(3)?)),
        )?,
        ledger: rows(
            connection,
            "SELECT entry, reason, count FROM ledger WHERE entry <> 'noted' AND count > 0",
            |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)),
        )?,
        sources: rows(connection, "SELECT name, offset, lines FROM sources", |row| {
            Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))
        })?,
        kept_from: kept_from(connection)?,
    })
}

/// The first day whose hours are kept, and the first that is kept itself; 0 when all are.
pub fn kept_from(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    let select = "SELECT hours_from / 24, days_from FROM store";
    connection.query_row(select, [], |row| Ok((row.get(0)?, row.get(1)?)))
}

fn rows<K: Ord, V>(
    connection: &Connection,
    sql: &str,
    read: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<(K, V)>,
) -> rusqlite::Result<BTreeMap<K, V>> {
    connection.prepare(sql)?.query_map([], |row| read(row))?.collect()
}

/// Whether the store answers what the model says.
pub fn answers_agree(reader: &Reader, model: &Model) -> Result<(), String> {
    let ask = |query: &Query| reader.value(query).map_err(|error| format!("{query:?}: {error}"));
    for event in ["opened", "paid"] {
        let (total, expected) = (ask(&Query::total(event))?.count(), model.total(event));
        if total != Some(expected) {
            return Err(format!("{event}: {total:?} events, not {expected}"));
        }
        let users = model.users(event);
        let unique = ask(&Query::unique(event, "user"))?;
        // Codes of so few are exact but for chance, which the sketch in memory has too.
        let estimate = sketch(&users).estimate();
        if unique.value != Value::Unique(estimate.value)
            || estimate.rounded().abs_diff(users.len() as u64) > 1
        {
            return Err(format!("{event}: {:?} users, not {}", unique.value, users.len()));
        }
    }
    let sum = ask(&Query::sum("paid"))?.value;
    if sum != (Value::Sum { sum: model.sum("paid"), saturated: false }) {
        return Err(format!("paid: {sum:?}, not {}", model.sum("paid")));
    }
    let labels = ask(&Query::per_value("opened", "label"))?.value;
    let expected = Value::PerValue(BTreeMap::from([("label".to_owned(), model.labels())]));
    let is_empty = |value: &Value| match value {
        Value::PerValue(labels) => labels.values().all(BTreeMap::is_empty),
        _ => false,
    };
    if labels != expected && !(is_empty(&labels) && is_empty(&expected)) {
        return Err(format!("labels: {labels:?}, not {expected:?}"));
    }
    Ok(())
}
