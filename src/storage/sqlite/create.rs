//! Making new store files: whole and durable before they have their name.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, params};

use crate::error::{Error, ErrorKind};
use crate::storage::sqlite::copy::{folder_of, sync_folder, unfinished_name};
use crate::storage::sqlite::failure::{During, failed};
use crate::storage::sqlite::open::{io, prepare_to_write, random, uncreatable, use_wal, wait_for_writer};
use crate::storage::sqlite::schema;
use crate::time::bucket::Granularity;
use crate::time::timestamp::Timestamp;

/// What SQLite keeps beside a file in use.
pub(super) const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// Builds the store under a name of its own and gives it its place: of several processes that do so at once one wins,
/// and no process ever sees half a store. The folder is synced, else a power cut could bring the old state back.
pub(super) fn create(path: &Path, now: Timestamp) -> Result<(), Error> {
    let unfinished = unfinished_name(path)?;
    let built = create_at(&unfinished, now).and_then(|()| put_in_place(&unfinished, path));
    // Leaving the scratch names behind would do no harm, so their removal may fail. Those beside it are there when building failed.
    for suffix in ["", "-journal", "-wal", "-shm"] {
        let mut name = unfinished.as_os_str().to_owned();
        name.push(suffix);
        let _ = std::fs::remove_file(name);
    }
    built?;
    sync_folder(path)
}

/// The log of a store that was deleted would be taken for that of the new one, so it gets another name first; that is done
/// by one process at a time, before there is a store, since the log of a new store must keep its name.
fn put_in_place(unfinished: &Path, path: &Path) -> Result<(), Error> {
    let _alone = lock_folder(path)?;
    if path.exists() {
        return Ok(());
    }
    set_orphans_aside(path)?;
    match std::fs::hard_link(unfinished, path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(io("creating the store", path, &error)),
    }
}

/// Gives what is left of a store that is gone other names.
pub(super) fn set_orphans_aside(path: &Path) -> Result<(), Error> {
    for suffix in BESIDE {
        let mut orphan = path.as_os_str().to_owned();
        orphan.push(suffix);
        let mut aside = unfinished_name(path)?.into_os_string();
        aside.push(suffix);
        match std::fs::rename(&orphan, &aside) {
            Ok(()) => {
                let orphan = Path::new(&orphan).display();
                tracing::warn!(%orphan, aside = %Path::new(&aside).display(), "set aside what is left of a store that is gone");
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(io("setting aside what is left of a store that is gone", path, &error)),
        }
    }
    Ok(())
}

/// Held while a store is put in its place; a process that ends lets go of it. File systems without locks do without.
pub(super) fn lock_folder(of: &Path) -> Result<Option<File>, Error> {
    let folder = File::open(folder_of(of)).map_err(|error| uncreatable(of, &error))?;
    for tries in 0.. {
        match folder.try_lock() {
            Ok(()) => return Ok(Some(folder)),
            Err(TryLockError::Error(_)) => return Ok(None),
            Err(TryLockError::WouldBlock) if wait_for_writer(tries) => {}
            Err(TryLockError::WouldBlock) => break,
        }
    }
    Err(Error::new(ErrorKind::StoreBusy, "another process is creating the store; try again when it is done"))
}

pub(super) fn create_at(path: &Path, now: Timestamp) -> Result<(), Error> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| uncreatable(path, &error))?;
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).during("creating the store")?;
    prepare_to_write(&connection)?;
    // So that what retention removes is given back piece by piece. It can be chosen before there are tables only.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").during("creating the store")?;
    build(&connection, now)?;
    use_wal(&connection)?;
    connection.close().map_err(|(_, error)| failed("closing the new store", error))?;
    file.sync_all().map_err(|error| io("syncing the new store", path, &error))
}

pub(super) fn build(connection: &Connection, now: Timestamp) -> Result<(), Error> {
    connection.execute_batch("BEGIN IMMEDIATE").during("building the store")?;
    connection.execute_batch(schema::CREATE).during("creating the tables")?;
    connection.execute_batch(schema::CREATE_SINCE_2).during("creating the tables")?;
    connection.execute_batch(schema::CREATE_SINCE_3).during("creating the tables")?;
    connection.pragma_update(None, "application_id", schema::APPLICATION_ID).during("marking the file")?;
    connection.pragma_update(None, "user_version", schema::USER_VERSION).during("marking the file")?;
    connection
        .execute(
            "INSERT INTO store (one, uuid, created, united_bucket) VALUES (1, ?1, ?2, ?3)",
            params![random()?.as_slice(), now.unix_seconds(), Granularity::Day.first().number()],
        )
        .during("naming the store")?;
    connection.execute_batch("COMMIT").during("building the store")
}
