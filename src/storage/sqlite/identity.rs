//! Noticing that a store file was removed or replaced beneath its connections.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::error::{Error, ErrorKind};
use crate::storage::sqlite::open::io;

/// Which file a connection has open. Whoever has it open when its name is removed, or goes to another file, writes into what nobody
/// can find again, and SQLite says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Identity {
    /// The file of a connection that was opened just now; a store in memory has none.
    pub(super) fn of(connection: &Connection) -> Result<Option<Self>, Error> {
        let Some(path) = connection.path().filter(|path| !path.is_empty()).map(Path::new) else {
            return Ok(None);
        };
        let file = path.metadata().map_err(|error| io("looking at the store", path, &error))?;
        Ok(Some(Self { path: path.to_owned(), device: file.dev(), inode: file.ino() }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Fails unless the file still has its name. Costs a system call, about 1 µs.
    pub(super) fn check(&self) -> Result<(), Error> {
        let what = match self.path.metadata() {
            Ok(file) if file.dev() == self.device && file.ino() == self.inode => return Ok(()),
            Ok(_) => "another file is in the place of the store that was opened",
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "the store's file is gone",
            Err(error) => return Err(io("looking at the store", &self.path, &error)),
        };
        Err(Error::new(
            ErrorKind::StoreReplaced,
            format!("{}: {what}; put it back, or open the store again", self.path.display()),
        ))
    }
}
