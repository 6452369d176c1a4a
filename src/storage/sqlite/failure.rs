//! From SQLite's failures to the crate's errors.

use rusqlite::ErrorCode;

use crate::error::{Error, ErrorKind};

/// Names what failed and what to do, and keeps SQLite's own words as the source.
#[cold]
pub(crate) fn failed(doing: &str, error: rusqlite::Error) -> Error {
    let (kind, remedy) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            (ErrorKind::StoreBusy, "another process holds the store; try again")
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            (ErrorKind::StoreDamaged, "the store is damaged; keep the file and restore a backup")
        }
        Some(ErrorCode::NotADatabase) => (ErrorKind::StoreDamaged, "the file is not a headcount store"),
        Some(ErrorCode::DiskFull) => (ErrorKind::StoreFull, "free space on the disk"),
        Some(ErrorCode::ReadOnly) => {
            (ErrorKind::ReadOnly, "the store or its folder cannot be written; check permissions")
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            (ErrorKind::Io, "the file cannot be opened; check that its folder exists and its permissions")
        }
        Some(_) => (ErrorKind::Io, "check the disk"),
        // A row that does not decode: a value of a type that this crate never writes.
        None => (ErrorKind::StoreDamaged, "the store is damaged; keep the file and restore a backup"),
    };
    Error::new(kind, format!("{doing} failed: {error}; {remedy}")).with_source(error)
}

/// A value in the file that this crate never writes.
#[cold]
pub(crate) fn damaged(what: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::StoreDamaged,
        format!("the store is damaged: {what}; keep the file and restore a backup"),
    )
}

/// Adds what was being done to a result of SQLite.
pub(crate) trait During<T> {
    fn during(self, doing: &str) -> Result<T, Error>;
}

impl<T> During<T> for rusqlite::Result<T> {
    fn during(self, doing: &str) -> Result<T, Error> {
        self.map_err(|error| failed(doing, error))
    }
}
