//! The SQLite storage: one file, several processes. The only folder that speaks SQL to the store; rusqlite's door.

mod copy;
mod create;
mod failure;
mod identity;
mod marks;
mod migrate;
mod open;
mod reader;
mod reserve;
mod retention;
mod schema;
mod sketches;
mod spans;
mod survey;
mod writer;

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;

use crate::error::Error;
use crate::time::timestamp::Timestamp;

pub(crate) use copy::{link_into_place, unfinished_name};
pub(crate) use open::random;
pub(crate) use reader::SqliteReader;
pub(crate) use writer::SqliteWriter;

/// Opens a store for writing, creating it when there is none, with a connection of its own for reading.
pub(crate) fn open(path: &Path, now: Timestamp) -> Result<(SqliteWriter, SqliteReader), Error> {
    let writer = open::writing(path, now)?;
    let reader = open::reading_beside_writer(path)?;
    Ok((SqliteWriter::new(share(writer))?, SqliteReader::new(share(reader))?))
}

/// Opens an existing store for reading only.
pub(crate) fn open_reader(path: &Path) -> Result<SqliteReader, Error> {
    SqliteReader::new(share(open::reading(path)?))
}

/// Makes a store in memory: one private connection, for writing and reading.
pub(crate) fn in_memory(now: Timestamp) -> Result<(SqliteWriter, SqliteReader), Error> {
    let connection = share(open::in_memory(now)?);
    Ok((SqliteWriter::new(Arc::clone(&connection))?, SqliteReader::new(connection)?))
}

type SharedConnection = Arc<Mutex<Connection>>;

fn share(connection: Connection) -> SharedConnection {
    Arc::new(Mutex::new(connection))
}
