//! The tables of a store that are read from both ends: few rows each, in trees of a page or some.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::definition::words::DataCategory;
use crate::error::Error;
use crate::sketch::Sketch;
use crate::storage::ping::PingDigest;
use crate::storage::salvaged::Salvage;
use crate::storage::sqlite::failure::During;
use crate::storage::sqlite::schema::{OLDEST_VERSION, USER_VERSION, is_reserved_kind, kind_of};

/// Damage must not make a scan endless.
const MAX_ROWS: u64 = 4_000_000;
/// No series has a number as large as this.
pub(super) const SERIES_END: i64 = 1 << 40;

/// A table, the ways to read all of it, and what becomes of rows.
struct Table {
    name: &'static str,
    /// The first version of stores that has it.
    since: i32,
    /// Each order, one pair for each tree that has all columns.
    ways: &'static [[&'static str; 2]],
    put: &'static str,
    /// Removes the rows that say something else than a row that could not be put beside them.
    drop: Option<&'static str>,
    is_sound: fn(&[Value]) -> bool,
    /// What follows when some of it is lost.
    consequence: &'static str,
}

const TABLES: [Table; 12] = [
    Table {
        name: "series",
        since: 1,
        ways: &[
            [
                "SELECT id, key, kind FROM series ORDER BY id",
                "SELECT id, key, kind FROM series ORDER BY id DESC",
            ],
            [
                "SELECT id, key, kind FROM series INDEXED BY sqlite_autoindex_series_1 ORDER BY key, kind",
                "SELECT id, key, kind FROM series INDEXED BY sqlite_autoindex_series_1 ORDER BY key DESC, kind DESC",
            ],
        ],
        put: "INSERT OR IGNORE INTO series (id, key, kind) VALUES (?1, ?2, ?3)",
        drop: Some(
            "DELETE FROM series WHERE (id = ?1 OR key = ?2 AND kind = ?3) AND NOT (id = ?1 AND key = ?2 AND kind = ?3)",
        ),
        is_sound: |row| match row {
            [Value::Integer(id), Value::Text(key), Value::Integer(kind)] => {
                let is_kind = kind_of(*kind).is_some() || is_reserved_kind(*kind);
                (1..SERIES_END).contains(id) && is_kind && !key.is_empty()
            }
            _ => false,
        },
        consequence: "rows of series without a name are lost with it",
    },
    Table {
        name: "recorded",
        since: 1,
        ways: &[[
            "SELECT series, since, until FROM recorded ORDER BY series, since",
            "SELECT series, since, until FROM recorded ORDER BY series DESC, since DESC",
        ]],
        put: "INSERT OR IGNORE INTO recorded (series, since, until) VALUES (?1, ?2, ?3)",
        drop: None,
        is_sound: |row| match row {
            [Value::Integer(_), Value::Integer(since), Value::Integer(until)] => until >= since,
            [Value::Integer(_), Value::Integer(_), Value::Null] => true,
            _ => false,
        },
        consequence: "answers about such times may be called partial",
    },
    Table {
        name: "value_names",
        since: 1,
        ways: &[
            [
                "SELECT series, text, value FROM value_names ORDER BY series, text",
                "SELECT series, text, value FROM value_names ORDER BY series DESC, text DESC",
            ],
            [
                "SELECT series, text, value FROM value_names INDEXED BY sqlite_autoindex_value_names_2 ORDER BY series, value",
                "SELECT series, text, value FROM value_names INDEXED BY sqlite_autoindex_value_names_2
                 ORDER BY series DESC, value DESC",
            ],
        ],
        put: "INSERT OR IGNORE INTO value_names (series, text, value) VALUES (?1, ?2, ?3)",
        drop: Some(
            "DELETE FROM value_names WHERE series = ?1 AND (text = ?2 OR value = ?3) AND NOT (text = ?2 AND value = ?3)",
        ),
        is_sound: |row| match row {
            [Value::Integer(_), Value::Text(text), Value::Integer(value)] => {
                (1..=1_000).contains(value) && !text.is_empty()
            }
            _ => false,
        },
        consequence: "values without a name are lost with it",
    },
    Table {
        name: "producers",
        since: 1,
        ways: &[[
            "SELECT id, sequence, seen FROM producers ORDER BY id",
            "SELECT id, sequence, seen FROM producers ORDER BY id DESC",
        ]],
        put: "INSERT OR IGNORE INTO producers (id, sequence, seen) VALUES (?1, ?2, ?3)",
        drop: None,
        is_sound: |row| matches!(row, [Value::Blob(_), Value::Integer(0..), Value::Integer(_)]),
        consequence: "of use to programs alone that are running, and none is",
    },
    Table {
        name: "sources",
        since: 1,
        ways: &[[
            "SELECT name, offset, digest, lines, accepted, latest, seen FROM sources ORDER BY name",
            "SELECT name, offset, digest, lines, accepted, latest, seen FROM sources ORDER BY name DESC",
        ]],
        put: "INSERT OR IGNORE INTO sources (name, offset, digest, lines, accepted, latest, seen) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        drop: None,
        is_sound: |row| match row {
            [
                Value::Text(_),
                Value::Integer(0..),
                Value::Blob(digest),
                Value::Integer(0..),
                Value::Integer(0..),
                ..,
            ] => digest.len() == 32,
            _ => false,
        },
        consequence: "their files would count a second time: import none that was imported before",
    },
    Table {
        name: "marks",
        since: 1,
        ways: &[[
            "SELECT name, at, made FROM marks ORDER BY name",
            "SELECT name, at, made FROM marks ORDER BY name DESC",
        ]],
        put: "INSERT OR IGNORE INTO marks (name, at, made) VALUES (?1, ?2, ?3)",
        drop: None,
        is_sound: |row| matches!(row, [Value::Text(_), Value::Integer(_), Value::Integer(_)]),
        consequence: "make the marks again",
    },
    Table {
        name: "ledger",
        since: 1,
        ways: &[[
            "SELECT entry, reason, count FROM ledger ORDER BY entry, reason",
            "SELECT entry, reason, count FROM ledger ORDER BY entry DESC, reason DESC",
        ]],
        put: "INSERT OR IGNORE INTO ledger (entry, reason, count) VALUES (?1, ?2, ?3)",
        drop: None,
        is_sound: |row| matches!(row, [Value::Text(_), Value::Text(_), Value::Integer(0..)]),
        consequence: "what was refused and lost is no longer known; what is stored follows from the totals",
    },
    Table {
        name: "damaged",
        since: 1,
        ways: &[[
            "SELECT series, bucket, found, united, blob FROM damaged NOT INDEXED ORDER BY rowid",
            "SELECT series, bucket, found, united, blob FROM damaged NOT INDEXED ORDER BY rowid DESC",
        ]],
        put: "INSERT OR IGNORE INTO damaged (series, bucket, found, united, blob) VALUES (?1, ?2, ?3, ?4, ?5)",
        drop: None,
        is_sound: |row| {
            matches!(row, [Value::Integer(_), Value::Integer(_), Value::Integer(_), Value::Integer(0..=1), _])
        },
        consequence: "days that were known to be damaged may look whole",
    },
    Table {
        name: "pings",
        since: 2,
        ways: &[[
            "SELECT week, recorded, document, beside, digest, partial, outcome, attempts, tried, next, status, response
             FROM pings ORDER BY week",
            "SELECT week, recorded, document, beside, digest, partial, outcome, attempts, tried, next, status, response
             FROM pings ORDER BY week DESC",
        ]],
        put: "INSERT OR IGNORE INTO pings
             (week, recorded, document, beside, digest, partial, outcome, attempts, tried, next, status, response)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        drop: None,
        is_sound: |row| match row {
            [Value::Integer(0..), Value::Integer(_), Value::Text(document), Value::Text(_), Value::Blob(digest), ..] => {
                PingDigest::of(document.as_bytes()).0.as_slice() == digest.as_slice()
            }
            _ => false,
        },
        consequence: "the documents of their weeks are gone, and one that was not sent yet is made anew",
    },
    Table {
        name: "agreements",
        since: 3,
        ways: &[[
            "SELECT week, agreement = (SELECT agreement FROM consent) FROM pings ORDER BY week",
            "SELECT week, agreement = (SELECT agreement FROM consent) FROM pings ORDER BY week DESC",
        ]],
        // The new store begins to count anew.
        put: "UPDATE pings SET agreement = ?2 WHERE week = ?1",
        drop: None,
        is_sound: |row| matches!(row, [Value::Integer(0..), Value::Integer(0..=1)]),
        consequence: "their pings are sent only by name",
    },
    Table {
        name: "arrived",
        since: 3,
        ways: &[[
            "SELECT series, bucket, value, count, sum, blob FROM arrived NOT INDEXED ORDER BY rowid",
            "SELECT series, bucket, value, count, sum, blob FROM arrived NOT INDEXED ORDER BY rowid DESC",
        ]],
        put: "INSERT OR IGNORE INTO arrived (series, bucket, value, count, sum, blob) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        drop: None,
        is_sound: |row| match row {
            [Value::Integer(_), Value::Integer(0..), Value::Text(_), amount @ ..] => match amount {
                [Value::Integer(0..), Value::Null, Value::Null] | [Value::Null, Value::Real(_), Value::Null] => true,
                [Value::Null, Value::Null, Value::Blob(blob)] => Sketch::decode(blob).is_ok(),
                _ => false,
            },
            _ => false,
        },
        consequence: "answers about weeks that were imported as such are too small until they are imported again",
    },
    Table {
        name: "consent",
        since: 2,
        ways: &[[SELECT_CONSENT, SELECT_CONSENT]],
        put: "UPDATE consent SET sending = ?1, url = ?2, categories = ?3, suppress_below = ?4, weeks_kept = ?5",
        drop: None,
        is_sound: |row| match row {
            [Value::Integer(0..=1), Value::Text(_) | Value::Null, Value::Text(categories), Value::Integer(0..), Value::Integer(1..)] => {
                categories.split_whitespace().all(|word| DataCategory::from_word(word).is_some())
            }
            _ => false,
        },
        consequence: "nothing is sent until it is turned on again",
    },
];

const SELECT_CONSENT: &str = "SELECT sending, url, categories, suppress_below, weeks_kept FROM consent";

/// Copies all that can be read of the tables without buckets.
pub(super) fn copy_small(from: &Connection, to: &Connection, salvage: &mut Salvage) -> Result<(), Error> {
    // A damaged number says nothing of what is there.
    let version = from
        .pragma_query_value(None, "user_version", |row| row.get::<_, i32>(0))
        .ok()
        .filter(|version| (OLDEST_VERSION..=USER_VERSION).contains(version))
        .unwrap_or(USER_VERSION);
    for table in TABLES.iter().filter(|table| table.since <= version) {
        let mut put = to.prepare(table.put).during("writing the new store")?;
        let (mut met_again, mut drop) =
            (Vec::new(), table.drop.map(|sql| to.prepare(sql).during("writing the new store")).transpose()?);
        let (mut rows, mut unsound, mut is_whole) = (0, 0, false);
        for way in table.ways {
            let mut visit = |row: &[Value]| {
                if !(table.is_sound)(row) {
                    unsound += 1;
                    return;
                }
                match put.execute(params_from_iter(row)) {
                    Ok(0) if drop.is_some() => met_again.push(row.to_vec()),
                    Ok(new) => rows += new as u64,
                    // The types of the new table take what the old one can have.
                    Err(_) => unsound += 1,
                }
            };
            is_whole |= both_ways(from, way, &mut visit);
        }
        // What two trees say differently is not known.
        for row in met_again {
            if let Some(drop) = &mut drop {
                let dropped = drop.execute(params_from_iter(&row)).during("writing the new store")? as u64;
                (rows, unsound) = (rows - dropped, unsound + dropped);
            }
        }
        salvage.count_read(table.name, rows);
        if !is_whole || unsound > 0 {
            let what = if is_whole { "some rows are none" } else { "some rows could not be read" };
            salvage.lose(table.name, None, None, format!("{what}; {}", table.consequence));
        }
    }
    Ok(())
}

/// Shows the rows from the first one on, and if that breaks off, from the last one back; says whether these are all.
fn both_ways(from: &Connection, way: &[&str; 2], visit: &mut dyn FnMut(&[Value])) -> bool {
    way.iter().any(|sql| {
        let scan = || -> rusqlite::Result<bool> {
            let mut select = from.prepare(sql)?;
            let columns = select.column_count();
            let mut rows = select.query([])?;
            let (mut values, mut met) = (Vec::with_capacity(columns), 0);
            while let Some(row) = rows.next()? {
                values.clear();
                for column in 0..columns {
                    values.push(row.get::<_, Value>(column)?);
                }
                visit(&values);
                met += 1;
                if met > MAX_ROWS {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let mut scan = scan;
        scan().unwrap_or(false)
    })
}
