//! Salvaging: what can be read of a damaged store goes into a new one, what follows from it is made again, and what is lost is named.

mod buckets;
mod harvest;
mod laws;
mod mend;
mod sketches;
mod source;
mod tables;
mod values;

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use crate::error::Error;
use crate::storage::salvaged::Salvage;
use crate::storage::sqlite::create::create_at;
use crate::storage::sqlite::failure::{During, failed};
use crate::storage::sqlite::open::prepare_to_write;
use crate::storage::sqlite::salvage::buckets::Places;
use crate::storage::sqlite::salvage::mend::Mending;
use crate::storage::sqlite::salvage::source::Source;
use crate::time::timestamp::Timestamp;

pub(super) const SALVAGING: &str = "salvaging the store";
const WRITING: &str = "writing the new store";

/// Reads what can be read of `damaged`, which stays as it is to the byte, into a new store at `new`. The copy that is read is made at
/// `copy`; that and what SQLite makes beside it is for the caller to remove.
pub(crate) fn salvage(damaged: &Path, copy: &Path, new: &Path, now: Timestamp) -> Result<Salvage, Error> {
    let source = Source::copied(damaged, copy).map_err(|error| error.context(damaged.display()))?;
    create_at(new, now)?;
    let store = Connection::open_with_flags(new, OpenFlags::SQLITE_OPEN_READ_WRITE).during(WRITING)?;
    prepare_to_write(&store)?;
    let mut salvage = Salvage::default();
    if source.is_head_mended {
        salvage.lose(
            "store",
            None,
            None,
            "the first bytes of the file were damaged; they are the same in every store",
        );
    }
    if source.log_pages_lost > 0 {
        let message = format!(
            "{} pages of the log (-wal) could not be read: the newest commits are lost, of the last seconds as a rule",
            source.log_pages_lost
        );
        salvage.lose("store", None, None, message);
    }
    store.execute_batch("BEGIN IMMEDIATE").during(WRITING)?;
    copy_store(&source.connection, &store, &mut salvage)?;
    copy_retention(&source.connection, &store, &mut salvage);
    tables::copy_small(&source.connection, &store, &mut salvage)?;
    let places = Places::new(&store, now)?;
    let counts = buckets::copy(&buckets::COUNTS, &source.connection, &store, &places, &mut salvage)?;
    let sums = buckets::copy(&buckets::SUMS, &source.connection, &store, &places, &mut salvage)?;
    let values = buckets::copy(&buckets::VALUES, &source.connection, &store, &places, &mut salvage)?;
    let mut mending = Mending::new(&store, &places, &mut salvage, now)?;
    mending.mend_counts(&counts)?;
    mending.mend_sums(&sums)?;
    mending.mend_values(&values)?;
    sketches::copy(&source.connection, &mut mending)?;
    laws::refuse_exceeding(&mut mending)?;
    mending.mend_ledger()?;
    mending.mend_recorded()?;
    store.execute_batch("COMMIT").during(WRITING)?;
    store.close().map_err(|(_, error)| failed(WRITING, error))?;
    Ok(salvage)
}

const SELECT_STORE: &str =
    "SELECT uuid, created, committed, united_bucket, united_series, hours_from, days_from FROM store";
const PUT_STORE: &str =
    "UPDATE store SET uuid = ?1, created = ?2, committed = ?3, united_bucket = ?4, united_series = ?5,
     hours_from = ?6, days_from = ?7";
const SELECT_DEFINITIONS: &str = "SELECT definitions, recorded FROM store";
const PUT_DEFINITIONS: &str = "UPDATE store SET definitions = ?1, recorded = ?2";
const SELECT_RETENTION: &str =
    "SELECT hours_kept, days_kept, bytes_kept, trusted, leap, leap_confirmed FROM retention";
const PUT_RETENTION: &str =
    "UPDATE retention SET hours_kept = ?1, days_kept = ?2, bytes_kept = ?3, trusted = ?4, leap = ?5,
     leap_confirmed = ?6";

/// The one row of `store`; what it says in small fields apart from the definitions, which are pages of their own.
fn copy_store(from: &Connection, to: &Connection, salvage: &mut Salvage) -> Result<(), Error> {
    type Row = (Vec<u8>, i64, Option<i64>, i64, i64, u32, u32);
    let row: rusqlite::Result<Option<Row>> = from
        .query_row(SELECT_STORE, [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
        })
        .optional();
    match row {
        Ok(Some((uuid, created, committed, bucket, series, hours, days))) if uuid.len() == 16 => {
            to.execute(PUT_STORE, params![uuid, created, committed, bucket, series, hours, days])
                .during(WRITING)?;
            salvage.count_read("store", 1);
        }
        _ => {
            let message = "the store's identity and the time of its newest batch; it gets a new identity, and all days are taken as kept";
            salvage.lose("store", None, None, message);
        }
    }
    let definitions: rusqlite::Result<(Option<String>, Option<String>)> =
        from.query_row(SELECT_DEFINITIONS, [], |row| Ok((row.get(0)?, row.get(1)?)));
    match definitions {
        Ok((definitions, recorded)) if both_read(definitions.as_deref(), recorded.as_deref()) => {
            to.execute(PUT_DEFINITIONS, params![definitions, recorded]).during(WRITING)?;
        }
        _ => salvage.lose(
            "store",
            None,
            None,
            "the definitions; a program that opens the store with its own puts them back, or name a folder with --definitions",
        ),
    }
    Ok(())
}

/// Whether these are definitions and rules, or nothing.
fn both_read(definitions: Option<&str>, recorded: Option<&str>) -> bool {
    use crate::definition::{Definitions, stored};
    definitions.is_none_or(|text| Definitions::from_json(text).is_ok())
        && recorded.is_none_or(|text| stored::rules_from_json(text).is_ok())
}

fn copy_retention(from: &Connection, to: &Connection, salvage: &mut Salvage) {
    type Row = (Option<u32>, Option<u32>, Option<i64>, Option<i64>, Option<i64>, u8);
    let version: rusqlite::Result<i32> = from.pragma_query_value(None, "user_version", |row| row.get(0));
    if version.is_ok_and(|version| version == 1) {
        return;
    }
    let row: rusqlite::Result<Row> = from.query_row(SELECT_RETENTION, [], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
    });
    let put =
        row.and_then(|row| to.execute(PUT_RETENTION, params![row.0, row.1, row.2, row.3, row.4, row.5]));
    match put {
        Ok(_) => salvage.count_read("retention", 1),
        Err(_) => salvage.lose(
            "retention",
            None,
            None,
            "how long buckets are kept; all are kept until it is set again",
        ),
    }
}
