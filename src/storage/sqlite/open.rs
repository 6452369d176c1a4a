//! Opening and creating store files.

use std::cell::Cell;
use std::ffi::c_int;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::error::{Error, ErrorKind, plain};
use crate::storage::sqlite::create::{build, create};
use crate::storage::sqlite::failure::{During, damaged, failed};
use crate::storage::sqlite::{migrate, schema};
use crate::time::timestamp::Timestamp;

/// SQLite before this version can damage a WAL file that several processes write.
const OLDEST_SQLITE: i32 = 3_051_003;
/// How long a writer waits for another one.
const BUSY_DEADLINE: Duration = Duration::from_secs(10);
/// Waits are spread over 1 to this many milliseconds, so that writers do not meet again at once.
const MAX_BUSY_SLEEP_MILLISECONDS: i32 = 5;
/// The length of the header of every SQLite file.
const HEADER_BYTES: u64 = 100;
/// SQLite's code for a file with a journal that whoever has opened it may not roll back.
const ROLL_BACK_FIRST: c_int = rusqlite::ffi::SQLITE_READONLY_ROLLBACK;
const PREPARED_STATEMENTS: usize = 64;
const PAGE_CACHE_KIBIBYTES: i64 = 8 * 1024;
const WAL_SIZE_LIMIT_BYTES: i64 = 4 * 1024 * 1024;

pub(crate) fn writing(path: &Path, now: Timestamp) -> Result<Connection, Error> {
    check_library()?;
    let path = absolute(path)?;
    if !path.exists() {
        create(&path, now).map_err(|error| error.context(path.display()))?;
    }
    refuse_foreign(&path)?;
    let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // SQLite opens what may not be written for reading instead, and says so with the first commit only.
    if connection.is_readonly(rusqlite::MAIN_DB).during("opening the store")? {
        return Err(Error::new(
            ErrorKind::ReadOnly,
            format!("{}: the store cannot be written; check permissions", path.display()),
        ));
    }
    use_wal(&connection).map_err(|error| error.context(path.display()))?;
    prepare_to_write(&connection).map_err(|error| error.context(path.display()))?;
    migrate::to_current(&connection).map_err(|error| error.context(path.display()))?;
    Ok(connection)
}

pub(crate) fn reading(path: &Path) -> Result<Connection, Error> {
    check_library()?;
    let path = absolute(path)?;
    // A folder on the way that may not be looked into does not say that there is none.
    match path.try_exists() {
        Ok(true) => {}
        Err(error) if error.kind() != std::io::ErrorKind::NotADirectory => {
            return Err(unreadable(&path, &error));
        }
        Ok(false) | Err(_) => {
            return Err(Error::new(
                ErrorKind::StoreMissing,
                format!(
                    "{}: there is no store; name another one, or create it by tracking or importing",
                    path.display()
                ),
            ));
        }
    }
    refuse_foreign(&path)?;
    connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// For a process that writes too: the last of its connections that closes empties and removes the log, which one that may only
/// read cannot.
pub(crate) fn reading_beside_writer(path: &Path) -> Result<Connection, Error> {
    let path = absolute(path)?;
    let connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "query_only", true).during("setting query_only")?;
    Ok(connection)
}

pub(crate) fn in_memory(now: Timestamp) -> Result<Connection, Error> {
    check_library()?;
    let mut connection = Connection::open_in_memory().during("making a store in memory")?;
    build(&connection, now)?;
    harden(&mut connection)?;
    Ok(connection)
}

fn check_library() -> Result<(), Error> {
    let version = rusqlite::version_number();
    if version >= OLDEST_SQLITE {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Internal,
        format!(
            "SQLite {} can damage files that several processes write; link 3.51.3 or newer, or use the feature `bundled`",
            rusqlite::version()
        ),
    ))
}

/// SQLite reads names that begin with `file:` as URIs; an absolute path never does.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path)
        .map_err(|error| Error::new(ErrorKind::Usage, format!("the store's path is no path: {error}")))
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, Error> {
    let connected = try_connect(path, access);
    if connected.as_ref().is_err_and(is_half_written) && roll_back(path).is_ok() {
        return try_connect(path, access);
    }
    connected
}

/// Whether somebody ended while a file became a store in WAL mode, as the copy of a backup does when it is first written to. Who only
/// reads cannot undo it.
fn is_half_written(error: &Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<rusqlite::Error>());
    cause.and_then(rusqlite::Error::sqlite_error).is_some_and(|cause| cause.extended_code == ROLL_BACK_FIRST)
}

/// SQLite undoes it by itself when it may write.
fn roll_back(path: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.busy_handler(Some(wait_for_writer))?;
    connection.pragma_query_value(None, "user_version", |_| Ok(()))
}

fn try_connect(path: &Path, access: OpenFlags) -> Result<Connection, Error> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)
        .map_err(|error| failed("opening it", error).context(path.display()))?;
    harden(&mut connection).map_err(|error| error.context(path.display()))?;
    Ok(connection)
}

fn harden(connection: &mut Connection) -> Result<(), Error> {
    connection.busy_handler(Some(wait_for_writer)).during("opening it")?;
    connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    // Plans must not depend on what is bound: such a statement is prepared again for each answer.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).during("opening it")?;
    connection.pragma_update(None, "trusted_schema", false).during("opening it")?;
    connection.pragma_update(None, "cell_size_check", true).during("opening it")?;
    // What has no index is a fault of ours; building one for a single statement would hide it and cost more than the answer.
    connection.pragma_update(None, "automatic_index", false).during("opening it")?;
    connection.pragma_update(None, "cache_size", -PAGE_CACHE_KIBIBYTES).during("opening it")
}

pub(super) fn prepare_to_write(connection: &Connection) -> Result<(), Error> {
    connection.pragma_update(None, "synchronous", "FULL").during("setting synchronous")?;
    connection
        .pragma_update(None, "journal_size_limit", WAL_SIZE_LIMIT_BYTES)
        .during("setting journal_size_limit")
}

thread_local! {
    /// When the wait that goes on began: a busy machine makes each try take longer than its sleep.
    static WAITING_SINCE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Called by SQLite before its `tries`-th new try for a lock, from 0 on.
pub(super) fn wait_for_writer(tries: i32) -> bool {
    let since = WAITING_SINCE.get().filter(|_| tries > 0).unwrap_or_else(Instant::now);
    WAITING_SINCE.set(Some(since));
    if since.elapsed() > BUSY_DEADLINE {
        return false;
    }
    // Processes that wait for the same lock must not sleep in step.
    let spread = tries.wrapping_mul(7).wrapping_add(std::process::id().cast_signed());
    let milliseconds = 1 + spread.rem_euclid(MAX_BUSY_SLEEP_MILLISECONDS);
    std::thread::sleep(Duration::from_millis(u64::from(milliseconds.unsigned_abs())));
    true
}

/// Switching to WAL does not wait for other processes by itself.
pub(super) fn use_wal(connection: &Connection) -> Result<(), Error> {
    for tries in 0.. {
        let mode = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0));
        match mode {
            Ok(mode) if mode.eq_ignore_ascii_case("wal") => return Ok(()),
            Ok(mode) => {
                return Err(Error::new(
                    ErrorKind::Io,
                    format!(
                        "this file system allows only journal mode `{mode}`; put the store on a local disk"
                    ),
                ));
            }
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                if !wait_for_writer(tries) {
                    return Err(failed("switching to WAL", error));
                }
            }
            Err(error) => return Err(failed("switching to WAL", error)),
        }
    }
    Ok(())
}

/// Refuses what is not a store of a version that we know, through a read-only connection: nothing is written before.
fn refuse_foreign(path: &Path) -> Result<(), Error> {
    let named = |error: Error| error.context(path.display());
    let length = path.metadata().map_err(|error| unreadable(path, &error))?;
    if !length.is_file() {
        let what = if length.is_dir() { "this is a folder" } else { "this is no regular file" };
        return Err(named(Error::new(
            ErrorKind::StoreDamaged,
            format!("{what}, and so not a headcount store; name another one"),
        )));
    }
    if length.len() == 0 {
        return Err(Error::new(
            ErrorKind::StoreDamaged,
            format!(
                "{}: the file is empty, which no store ever is; remove it or name another",
                path.display()
            ),
        ));
    }
    // SQLite takes what is shorter than its header for a new file.
    if length.len() < HEADER_BYTES {
        return Err(no_sqlite_file(path));
    }
    // The file is opened by SQLite alone: the system takes all locks that a process has on a file from it when it closes any
    // descriptor of it, and another connection of this process may hold some.
    let connection =
        connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|error| unopened(path, error))?;
    let pragma = |name: &str| {
        connection
            .pragma_query_value(None, name, |row| row.get::<_, i32>(0))
            .map_err(|error| named(failed("reading its header", error)))
    };
    if pragma("application_id")? != schema::APPLICATION_ID {
        return Err(named(Error::new(
            ErrorKind::StoreDamaged,
            "this is an SQLite file of another program, not a headcount store",
        )));
    }
    let version = pragma("user_version")?;
    migrate::refuse_newer(version).map_err(named)?;
    if version < schema::OLDEST_VERSION {
        return Err(named(damaged(format_args!("its version is {version}, which no release ever wrote"))));
    }
    Ok(())
}

/// 128 random bits from the system.
pub(crate) fn random() -> Result<[u8; 16], Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(ErrorKind::Internal, format!("the system gives no random bytes: {error}"))
    })?;
    Ok(bytes)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cold]
fn no_sqlite_file(path: &Path) -> Error {
    let what = "the file is no SQLite file, and so not a headcount store; name another one";
    Error::new(ErrorKind::StoreDamaged, what).context(path.display())
}

/// Why SQLite could not open a file.
#[cold]
fn unopened(path: &Path, error: Error) -> Error {
    let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<rusqlite::Error>());
    match cause.and_then(rusqlite::Error::sqlite_error_code) {
        Some(ErrorCode::NotADatabase) => no_sqlite_file(path),
        Some(ErrorCode::CannotOpen) => match File::open(path) {
            Err(error) => unreadable(path, &error),
            Ok(file) => {
                // Closing it would let go of the locks that this process has on it. It stays open, for once.
                std::mem::forget(file);
                beside(path, error)
            }
        },
        _ => beside(path, error),
    }
}

/// Why a store that can be read cannot be opened: also readers share its log.
#[cold]
fn beside(path: &Path, error: Error) -> Error {
    if !matches!(error.kind(), ErrorKind::ReadOnly | ErrorKind::Io) {
        return error;
    }
    let what = "its folder cannot be written, which also reading needs, for the files -wal and -shm beside the store; \
                check the permissions";
    Error::new(ErrorKind::ReadOnly, what).context(path.display()).with_source(error)
}

#[cold]
fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    let what = match error.kind() {
        std::io::ErrorKind::NotFound => {
            "this is a link to nothing; remove it, or name another store".to_owned()
        }
        std::io::ErrorKind::PermissionDenied => {
            "no permission to read it; check that of the file and of its folders".to_owned()
        }
        _ => format!("it cannot be read: {}; name another store", plain(error)),
    };
    Error::new(ErrorKind::Io, format!("{}: {what}", path.display()))
}

/// A new file is refused because of the folder that it would be in.
#[cold]
pub(crate) fn uncreatable(path: &Path, error: &std::io::Error) -> Error {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match error.kind() {
        std::io::ErrorKind::NotFound => Error::new(
            ErrorKind::Io,
            format!("there is no folder {}; make it, or name another one", folder.display()),
        ),
        std::io::ErrorKind::NotADirectory => {
            Error::new(ErrorKind::Io, format!("{} is no folder; name another one", folder.display()))
        }
        std::io::ErrorKind::PermissionDenied => Error::new(
            ErrorKind::ReadOnly,
            format!(
                "the folder {} cannot be written; check its permissions, or name another one",
                folder.display()
            ),
        ),
        _ => io("making a file", folder, error),
    }
}

#[cold]
pub(crate) fn io(doing: &str, path: &Path, error: &std::io::Error) -> Error {
    let kind = match error.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => ErrorKind::ReadOnly,
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::StoreFull,
        _ => ErrorKind::Io,
    };
    Error::new(
        kind,
        format!(
            "{}: {doing} failed: {}; check the disk and the permissions of the folder",
            path.display(),
            plain(error)
        ),
    )
}
