//! Copying a store while it is written.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use crate::error::{Error, ErrorKind};
use crate::storage::sqlite::failure::During;
use crate::storage::sqlite::open::{absolute, hex, io, random, uncreatable};

/// Writes one moment of the store to `path`, which must not exist, and syncs it. The copy is compact and has no log beside it.
pub(crate) fn write(connection: &Connection, path: &Path) -> Result<(), Error> {
    // SQLite would read a name that begins with `file:` as something else than this file.
    let path = &absolute(path)?;
    let text = path.to_str().ok_or_else(|| {
        Error::new(ErrorKind::Usage, format!("{}: the path is not UTF-8; choose another", path.display()))
    })?;
    // SQLite takes an empty file as its target, so that nobody else can read what it writes.
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| uncreatable(path, &error))?;
    copy(connection, text).during("copying the store")?;
    file.sync_all().map_err(|error| io("syncing the copy", path, &error))
}

/// SQLite takes the new file for a part of the connection, so that one that may only ask could not write it; the store itself is
/// not written.
fn copy(connection: &Connection, path: &str) -> rusqlite::Result<()> {
    const QUERY_ONLY: &str = "query_only";
    let may_only_ask: bool = connection.pragma_query_value(None, QUERY_ONLY, |row| row.get(0))?;
    connection.pragma_update(None, QUERY_ONLY, false)?;
    let copied = connection.execute("VACUUM INTO ?1", params![path]);
    connection.pragma_update(None, QUERY_ONLY, may_only_ask)?;
    copied.map(drop)
}

/// A name beside `path` that nothing has, for a file that gets its own name when it is whole.
pub(crate) fn unfinished_name(path: &Path) -> Result<PathBuf, Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", hex(&random()?)));
    Ok(PathBuf::from(name))
}

/// Gives a whole file its name, durably, unless something has the name; returns its size. Where that fails nothing has the name.
pub(crate) fn link_into_place(unfinished: &Path, path: &Path) -> Result<u64, Error> {
    let length = unfinished.metadata().map_err(|error| io("reading the copy", unfinished, &error))?.len();
    let exists = || {
        Error::new(
            ErrorKind::Usage,
            format!("{}: it exists already; name a file that does not", path.display()),
        )
    };
    match std::fs::hard_link(unfinished, path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Err(exists()),
        // Some file systems of removable and shared disks have no links: there an empty file takes the name first.
        Err(_) => match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
            Ok(_) => {
                std::fs::rename(unfinished, path).map_err(|error| {
                    let _ = std::fs::remove_file(path);
                    io("naming the copy", path, &error)
                })?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Err(exists()),
            Err(error) => return Err(io("naming the copy", path, &error)),
        },
    }
    // Under its old name it would do no harm.
    let _ = std::fs::remove_file(unfinished);
    sync_folder(path).inspect_err(|_| {
        let _ = std::fs::remove_file(path);
    })?;
    Ok(length)
}

/// The size of the log beside the file of a connection; 0 where there is none.
pub(crate) fn log_bytes(connection: &Connection) -> u64 {
    let path = connection.path().filter(|path| !path.is_empty());
    let log = path.map(|path| PathBuf::from(format!("{path}-wal")));
    log.and_then(|log| log.metadata().ok()).map_or(0, |log| log.len())
}

pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the names in a folder as durable as what they name.
pub(crate) fn sync_folder(of: &Path) -> Result<(), Error> {
    let folder = folder_of(of);
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| io("syncing the folder", folder, &error))
}
