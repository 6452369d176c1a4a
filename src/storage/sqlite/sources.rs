//! Writing how far import sources are read.

use rusqlite::{OptionalExtension, Transaction, params};

use crate::error::Error;
use crate::storage::batch::{Continued, SourceAdvance};
use crate::storage::sqlite::failure::During;
use crate::storage::sqlite::writer::stored_count;
use crate::time::timestamp::Timestamp;

const SELECT_OFFSET: &str = "SELECT offset FROM sources WHERE name = ?1";
const ADVANCE_SOURCE: &str = "INSERT INTO sources (name, offset, digest, lines, accepted, latest, seen)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
     ON CONFLICT (name) DO UPDATE SET offset = excluded.offset, digest = excluded.digest,
         lines = excluded.lines, accepted = excluded.accepted, latest = excluded.latest,
         seen = excluded.seen";

/// Moves a source on, unless it is elsewhere than the batch expects; says whether it did.
pub(super) fn advance(
    transaction: &Transaction<'_>,
    source: &SourceAdvance,
    now: Timestamp,
) -> Result<bool, Error> {
    let known: Option<i64> = transaction
        .prepare_cached(SELECT_OFFSET)
        .and_then(|mut select| select.query_row(params![source.name], |row| row.get(0)).optional())
        .during("reading the source")?;
    if known.unwrap_or(0) != stored_count(source.expected_offset) {
        return Ok(false);
    }
    let state = &source.state;
    transaction
        .prepare_cached(ADVANCE_SOURCE)
        .and_then(|mut advance| {
            advance.execute(params![
                source.name,
                stored_count(state.offset),
                state.digest.as_slice(),
                stored_count(state.lines),
                stored_count(state.accepted),
                state.latest.map(Timestamp::unix_seconds),
                now.unix_seconds()
            ])
        })
        .during("advancing the source")?;
    Ok(true)
}

const RENAME_SOURCE: &str = "UPDATE OR IGNORE sources SET name = ?2 WHERE name = ?1";
const COPY_SOURCE: &str =
    "INSERT OR IGNORE INTO sources (name, offset, digest, lines, accepted, latest, seen)
     SELECT ?2, offset, digest, lines, accepted, latest, seen FROM sources WHERE name = ?1";

/// Makes a source known under another name too, or instead; says whether that was free.
pub(super) fn continue_under(transaction: &Transaction<'_>, continued: &Continued) -> Result<bool, Error> {
    let sql = if continued.is_kept { COPY_SOURCE } else { RENAME_SOURCE };
    let rows = transaction
        .execute(sql, params![continued.from, continued.to])
        .during("continuing a source under another name")?;
    Ok(rows == 1)
}
