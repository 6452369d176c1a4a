//! Putting a whole store file in its place, where there may be another one.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::{Error, ErrorKind};
use crate::storage::ping::RestoredSending;
use crate::storage::sqlite::copy::sync_folder;
use crate::storage::sqlite::create::{BESIDE, lock_folder, set_orphans_aside};
use crate::storage::sqlite::narrow::narrow;
use crate::storage::sqlite::open::{io, wait_for_writer};
use crate::time::timestamp::Timestamp;

/// So many stores of one second are told apart.
const MAX_OF_ONE_SECOND: u32 = 1_000;

/// Gives a whole and synced file the name of a store where none is, durably.
pub(crate) fn put(unfinished: &Path, path: &Path, now: Timestamp) -> Result<(), Error> {
    exchange(unfinished, path, false, now, &mut |_| Ok(())).map(drop)
}

/// Gives a copy of a store the name of a store, as `exchange` says, and takes back in it what the operator has taken back in the
/// one that stands there.
pub(crate) fn restore(
    copy: &Path,
    path: &Path,
    sets_aside: bool,
    now: Timestamp,
) -> Result<(Option<PathBuf>, RestoredSending), Error> {
    let mut sending = RestoredSending::Off;
    let aside = exchange(copy, path, sets_aside, now, &mut |replaced| {
        sending = narrow(copy, replaced)?;
        Ok(())
    })?;
    Ok((aside, sending))
}

/// Gives a whole and synced file the name of a store, durably. What stands there is refused, or set aside with its log under the
/// name that is returned. Where that fails the old store is put back, if the system lets it be.
///
/// Whoever is killed in it leaves the old store or the new one at the place. Only where the log of the old one cannot be emptied
/// into it, as of one that is damaged, there is a moment at which nothing has the name: then both have the names that an error would
/// tell. The new file never stands beside the log of the old one, and after a power cut each file of the old one has a name.
///
/// `last` is called when nobody can write to the old store any more, with a connection to that if there is one that can be asked.
fn exchange(
    unfinished: &Path,
    path: &Path,
    sets_aside: bool,
    now: Timestamp,
    last: &mut dyn FnMut(Option<&Connection>) -> Result<(), Error>,
) -> Result<Option<PathBuf>, Error> {
    let _alone = lock_folder(path)?;
    if !is_there(path) {
        last(None)?;
        set_orphans_aside(path)?;
        place(unfinished, path).map_err(|error| unplaced(path, &error))?;
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
    let held = empty_log(path);
    last(held.as_ref())?;
    let has_log = beside(path, "-wal").metadata().is_ok_and(|log| log.len() > 0);
    let exchanged = set_aside(path, &aside, has_log).and_then(|()| {
        let placed = if is_there(path) { fs::rename(unfinished, path) } else { place(unfinished, path) };
        placed.map_err(|error| unplaced(path, &error))
    });
    if exchanged.is_err() {
        put_back(&aside, path);
    }
    exchanged.and_then(|()| sync_folder(path)).map_err(|error| {
        error.context(format_args!(
            "the store that was there is at {} if not in its place, the restored one at {} if neither is",
            aside.display(),
            unfinished.display()
        ))
    })?;
    Ok(Some(aside))
}

/// Where nothing is; the name that the file had goes when the new one is durable.
fn place(unfinished: &Path, path: &Path) -> std::io::Result<()> {
    fs::hard_link(unfinished, path).or_else(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Err(error),
        // Without links.
        _ => fs::rename(unfinished, path),
    })
}

/// Gives the old file and what is beside it other names, and takes the old ones of the log. Without a log the file keeps its old one
/// too, so that the new one takes its place in one step.
fn set_aside(path: &Path, aside: &Path, has_log: bool) -> Result<(), Error> {
    if fs::hard_link(path, aside).is_err() {
        return rename_aside(path, aside);
    }
    for suffix in BESIDE {
        if_there(fs::hard_link(beside(path, suffix), beside(aside, suffix)))
            .map_err(|error| kept(path, &error))?;
    }
    // Names are taken only where the other ones are durable.
    sync_folder(path)?;
    if has_log {
        // Nobody may find the old file without its log.
        fs::remove_file(path).map_err(|error| kept(path, &error))?;
        sync_folder(path)?;
    }
    for suffix in BESIDE {
        // Processes that have the old store open go on with these files.
        if_there(fs::remove_file(beside(path, suffix))).map_err(|error| kept(path, &error))?;
    }
    if has_log { sync_folder(path) } else { Ok(()) }
}

/// Where there are no links: the log goes after its file, and before the new one comes.
fn rename_aside(path: &Path, aside: &Path) -> Result<(), Error> {
    fs::rename(path, aside).map_err(|error| kept(path, &error))?;
    for suffix in BESIDE {
        if_there(fs::rename(beside(path, suffix), beside(aside, suffix)))
            .map_err(|error| kept(path, &error))?;
    }
    sync_folder(path)
}

/// Takes back what was begun, as far as the system does it. The log comes first, since nobody may find the file without it; and all
/// keeps its other names until all is back.
fn put_back(aside: &Path, path: &Path) {
    let names = BESIDE.into_iter().chain([""]).map(|suffix| (beside(aside, suffix), beside(path, suffix)));
    let names: Vec<(PathBuf, PathBuf)> = names.filter(|(from, _)| is_there(from)).collect();
    let is_back = names
        .iter()
        .all(|(from, to)| is_there(to) || fs::hard_link(from, to).or_else(|_| fs::rename(from, to)).is_ok());
    if is_back && sync_folder(path).is_ok() {
        for (from, _) in names.iter().filter(|(from, to)| is_same(from, to)) {
            let _ = fs::remove_file(from);
        }
    }
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn is_same(a: &Path, b: &Path) -> bool {
    let file = |path| fs::symlink_metadata(path).map(|file| (file.dev(), file.ino())).ok();
    file(a).is_some_and(|found| Some(found) == file(b))
}

/// What is not there needs nothing done to it.
fn if_there(done: std::io::Result<()>) -> std::io::Result<()> {
    match done {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cold]
fn kept(path: &Path, error: &std::io::Error) -> Error {
    io("setting the store aside", path, error)
}

#[cold]
fn unplaced(path: &Path, error: &std::io::Error) -> Error {
    io("putting the store in its place", path, error)
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
        let is_free = |suffix: &str| !is_there(&beside(&name, suffix));
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
