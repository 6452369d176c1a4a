//! Putting a whole store file in its place, where there may be another one.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::{Error, ErrorKind};
use crate::storage::sqlite::copy::sync_folder;
use crate::storage::sqlite::create::{BESIDE, lock_folder, set_orphans_aside};
use crate::storage::sqlite::open::{io, wait_for_writer};
use crate::time::timestamp::Timestamp;

/// So many stores of one second are told apart.
const MAX_OF_ONE_SECOND: u32 = 1_000;

/// Gives a whole and synced file the name of a store, durably. What stands there is refused, or set aside with its log under the
/// name that is returned.
///
/// Whoever is killed in it leaves the old store or the new one at the place. Only where the log of the old one cannot be emptied
/// into it, as of one that is damaged, there is a moment at which nothing has the name: then both have the names that an error would
/// tell. The new file never stands beside the log of the old one.
pub(crate) fn put(
    unfinished: &Path,
    path: &Path,
    sets_aside: bool,
    now: Timestamp,
) -> Result<Option<PathBuf>, Error> {
    let _alone = lock_folder(path)?;
    if fs::symlink_metadata(path).is_err() {
        set_orphans_aside(path)?;
        fs::hard_link(unfinished, path)
            .or_else(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => Err(error),
                // Without links.
                _ => fs::rename(unfinished, path),
            })
            .map_err(|error| io("putting the store in its place", path, &error))?;
        sync_folder(path)?;
        return Ok(None);
    }
    if !sets_aside {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("{}: there is a store already; name another place, or have it replaced", path.display()),
        ));
    }
    let aside = free_name(path, now)?;
    // Held to the end, so that nobody writes to the log meanwhile.
    let _held = empty_log(path);
    let has_log = beside(path, "-wal").metadata().is_ok_and(|log| log.len() > 0);
    let done = if has_log {
        exchange_in_steps(unfinished, path, &aside)
    } else {
        exchange(unfinished, path, &aside)
    };
    done.and_then(|()| sync_folder(path)).map_err(|error| {
        error.context(format_args!(
            "the store that was there is at {} if not in its place, the restored one at {}",
            aside.display(),
            unfinished.display()
        ))
    })?;
    Ok(Some(aside))
}

/// The old file is whole without its log: it has both names before the new one takes its place in one step.
fn exchange(unfinished: &Path, path: &Path, aside: &Path) -> Result<(), Error> {
    if fs::hard_link(path, aside).is_err() {
        return exchange_in_steps(unfinished, path, aside);
    }
    // Processes that have the old store open go on with these files.
    for suffix in BESIDE {
        rename_if_there(&beside(path, suffix), &beside(aside, suffix))?;
    }
    fs::rename(unfinished, path).map_err(|error| io("putting the store in its place", path, &error))
}

/// The old file and its log have both names before the first of them loses its own; and the log goes before the new file comes.
fn exchange_in_steps(unfinished: &Path, path: &Path, aside: &Path) -> Result<(), Error> {
    for suffix in BESIDE {
        // Without links it follows below.
        let _ = fs::hard_link(beside(path, suffix), beside(aside, suffix));
    }
    fs::rename(path, aside).map_err(|error| io("setting the store aside", path, &error))?;
    for suffix in BESIDE {
        rename_if_there(&beside(path, suffix), &beside(aside, suffix))?;
        // Between two names of one file renaming does nothing.
        let _ = fs::remove_file(beside(path, suffix));
    }
    fs::rename(unfinished, path).map_err(|error| io("putting the store in its place", path, &error))
}

fn rename_if_there(from: &Path, to: &Path) -> Result<(), Error> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(io("setting the store's log aside", from, &error))
        }
        _ => Ok(()),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// `usage.db.replaced-20261122T100000Z`, or with a number behind it.
fn free_name(path: &Path, now: Timestamp) -> Result<PathBuf, Error> {
    let time: String = now.to_string().chars().filter(|c| !matches!(c, '-' | ':')).collect();
    for number in 0..MAX_OF_ONE_SECOND {
        let suffix = if number == 0 { String::new() } else { format!("-{number}") };
        let name = beside(path, &format!(".replaced-{time}{suffix}"));
        let is_free = |suffix: &str| fs::symlink_metadata(beside(&name, suffix)).is_err();
        if is_free("") && BESIDE.into_iter().all(is_free) {
            return Ok(name);
        }
    }
    Err(Error::new(ErrorKind::Io, format!("{}: no name is free to set the store aside", path.display())))
}

/// Empties the log of a store into it, and keeps others from writing to it until the connection closes. What is damaged, or is no
/// store, stays as it is.
fn empty_log(path: &Path) -> Option<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).ok()?;
    // By the time it closes another store may have the name of its log.
    leave_log(&connection);
    connection.busy_handler(Some(wait_for_writer)).ok()?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).ok()?;
    connection.execute_batch("BEGIN IMMEDIATE").ok()?;
    Some(connection)
}

/// Makes a connection close without emptying and removing the log that has the name of its own by then.
pub(super) fn leave_log(connection: &Connection) {
    // A failure leaves it at what SQLite does otherwise.
    let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
}
