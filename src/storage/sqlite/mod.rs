//! The SQLite storage: one file, several processes. The only folder that speaks SQL to the store; rusqlite's door.

mod arrivals;
mod connection;
mod copy;
mod create;
mod failure;
mod identity;
mod log;
mod marks;
mod migrate;
mod narrow;
mod open;
mod pings;
mod reader;
mod replace;
mod reserve;
mod retention;
pub(crate) mod salvage;
mod schema;
mod sketches;
mod sources;
mod spans;
mod survey;
mod writer;

use std::path::Path;

use crate::error::Error;
use crate::storage::sqlite::connection::Permit;
use crate::time::timestamp::Timestamp;

pub(crate) use connection::SharedConnection;
pub(crate) use copy::{link_into_place, unfinished_name};
pub(crate) use open::{io, random};
pub(crate) use reader::SqliteReader;
pub(crate) use replace::{put, restore};
pub(crate) use writer::SqliteWriter;

/// Opens a store for writing, creating it when there is none, with a connection of its own for reading.
pub(crate) fn open(path: &Path, now: Timestamp) -> Result<(SqliteWriter, SqliteReader), Error> {
    let permits = (named(path)?, named(path)?);
    let writer = SharedConnection::new(permits.0, open::writing(path, now)?);
    let reader = SharedConnection::new(permits.1, open::reading_beside_writer(path)?);
    Ok((SqliteWriter::new(writer)?, SqliteReader::new(reader)?))
}

/// Opens an existing store for reading only.
pub(crate) fn open_reader(path: &Path) -> Result<SqliteReader, Error> {
    let permit = named(path)?;
    SqliteReader::new(SharedConnection::new(permit, open::reading(path)?))
}

/// Makes a store in memory: one private connection, for writing and reading.
pub(crate) fn in_memory(now: Timestamp) -> Result<(SqliteWriter, SqliteReader), Error> {
    let connection = SharedConnection::new(Permit::new()?, open::in_memory(now)?);
    Ok((SqliteWriter::new(connection.clone())?, SqliteReader::new(connection)?))
}

/// The version of SQLite that runs.
pub(crate) fn library_version() -> &'static str {
    rusqlite::version()
}

fn named(path: &Path) -> Result<Permit, Error> {
    Permit::new().map_err(|error| error.context(path.display()))
}
