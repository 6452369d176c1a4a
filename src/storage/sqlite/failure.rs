//! From SQLite's failures to the crate's errors.

use rusqlite::ErrorCode;

use crate::error::{Error, ErrorKind};

/// Says what is wrong and what to do; SQLite's own words stand behind, where they tell more, and are kept as the source.
#[cold]
pub(crate) fn failed(doing: &str, error: rusqlite::Error) -> Error {
    let (kind, message) = match error.sqlite_error_code() {
        // A lock of the log that is never free is reported as a failure of the protocol.
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed) => {
            (ErrorKind::StoreBusy, "another process holds the store; try again when it is done".to_owned())
        }
        Some(ErrorCode::NotADatabase) => {
            (ErrorKind::StoreDamaged, "the file is not a headcount store; name another one".to_owned())
        }
        Some(ErrorCode::DiskFull) => (ErrorKind::StoreFull, "the disk is full; free space on it".to_owned()),
        Some(ErrorCode::ReadOnly) => {
            let what = "the store, its folder, or the files -wal and -shm beside it cannot be written; check whose they are, \
                        and their permissions";
            (ErrorKind::ReadOnly, what.to_owned())
        }
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            let what = "the file cannot be opened; check that its folder exists, and the permissions of both";
            (ErrorKind::Io, what.to_owned())
        }
        // Without a code it is a row that does not decode: a value of a type that this crate never writes.
        Some(ErrorCode::DatabaseCorrupt) | None => (
            ErrorKind::StoreDamaged,
            format!("the store is damaged; restore a backup, or salvage what can be read ({doing}: {error})"),
        ),
        Some(_) => (ErrorKind::Io, format!("SQLite failed in {doing}: {error}; check the disk")),
    };
    Error::new(kind, message).with_source(error)
}

/// A value in the file that this crate never writes.
#[cold]
pub(crate) fn damaged(what: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::StoreDamaged,
        format!("the store is damaged: {what}; restore a backup, or salvage what can be read"),
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
