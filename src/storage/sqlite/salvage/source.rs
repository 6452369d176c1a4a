//! A copy of a damaged store that can be read: the store itself is never opened by SQLite, which might write to it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::error::{Error, ErrorKind};
use crate::storage::sqlite::failure::During;
use crate::storage::sqlite::migrate::refuse_newer;
use crate::storage::sqlite::open::{io, uncreatable};
use crate::storage::sqlite::schema;

/// Every store has pages of this size.
const PAGE_BYTES: u64 = 4_096;
/// A version above this is no version of a later release, but damage.
const LARGEST_VERSION: i32 = 255;
/// What every store begins with: SQLite's name, pages of 4,096 bytes, and what SQLite has fixed.
const HEAD: &[u8; 16] = b"SQLite format 3\0";
const PAGE_SIZE: [u8; 2] = [0x10, 0x00];
const FRACTIONS: [u8; 4] = [0, 64, 32, 32];
/// In the log: its own header, and that of each page in it.
const LOG_HEADER_BYTES: u64 = 32;
const FRAME_HEADER_BYTES: u64 = 24;
const SALT_BYTES: usize = 8;

/// A readable copy; its files go with the folder or the names that the caller removes.
pub(super) struct Source {
    pub(super) connection: Connection,
    /// Pages of the log that are of the same run as its first one, but could not be read.
    pub(super) log_pages_lost: u64,
    pub(super) is_head_mended: bool,
}

impl Source {
    /// Copies the file and its log to `copy` and `copy-wal`, and opens these.
    pub(super) fn copied(damaged: &Path, copy: &Path) -> Result<Self, Error> {
        refuse_open_here(damaged)?;
        let (log, copied_log) = (with_suffix(damaged, "-wal"), with_suffix(copy, "-wal"));
        let before = states(damaged, &log);
        let length = copy_file(damaged, copy)?;
        let has_log = log.metadata().is_ok_and(|log| log.len() > 0);
        if has_log {
            copy_file(&log, &copied_log)?;
        }
        if states(damaged, &log) != before {
            return Err(Error::new(
                ErrorKind::StoreBusy,
                format!("{}: a program writes to it; stop the programs that use it first", damaged.display()),
            ));
        }
        let is_head_mended = mend_head(copy, length, has_log)?;
        let written = if has_log { frames(&copied_log).unwrap_or_default() } else { 0 };
        let (connection, read) = match open(copy) {
            Ok(opened) => opened,
            // Perhaps without its log.
            Err(_) if has_log => {
                for suffix in ["-wal", "-shm"] {
                    let _ = std::fs::remove_file(with_suffix(copy, suffix));
                }
                open(copy).map(|(connection, _)| (connection, 0))?
            }
            Err(error) => return Err(error),
        };
        Ok(Self { connection, log_pages_lost: written.saturating_sub(read), is_head_mended })
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// What changes when somebody writes.
fn states(file: &Path, log: &Path) -> [Option<(u64, i64, i64)>; 2] {
    [file, log].map(|path| path.metadata().ok().map(|file| (file.len(), file.mtime(), file.mtime_nsec())))
}

/// Reading a file and closing it would take the locks from the connections that this process has to it, if it has any. Another
/// thread that opens the store just now is not noticed.
fn refuse_open_here(damaged: &Path) -> Result<(), Error> {
    let file = damaged.metadata().map_err(|error| io("looking at the damaged store", damaged, &error))?;
    // Where the system does not tell what is open it is for the caller to know.
    let Ok(open) = std::fs::read_dir("/dev/fd") else { return Ok(()) };
    let is_it = |open: std::fs::Metadata| (open.dev(), open.ino()) == (file.dev(), file.ino());
    if open.flatten().any(|open| std::fs::metadata(open.path()).is_ok_and(is_it)) {
        return Err(Error::new(
            ErrorKind::StoreBusy,
            "this process has the store open itself; close it before it is salvaged",
        ));
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<u64, Error> {
    let mut source = File::open(from).map_err(|error| io("reading the damaged store", from, &error))?;
    let mut target = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(|error| uncreatable(to, &error))?;
    let copied = std::io::copy(&mut source, &mut target);
    copied.map_err(|error| io("copying the damaged store", to, &error))
}

/// Puts back what is the same in the first bytes of every store; says whether any of it was wrong.
fn mend_head(copy: &Path, length: u64, has_log: bool) -> Result<bool, Error> {
    let failed = |error: std::io::Error| io("mending the copy", copy, &error);
    let mut file = OpenOptions::new().read(true).write(true).open(copy).map_err(failed)?;
    let mut head = [0; 100];
    if file.read_exact(&mut head).is_err() {
        return Err(Error::new(
            ErrorKind::StoreDamaged,
            "the file ends within its first page, so that nothing can be read from it",
        ));
    }
    let before = head;
    let version = if has_log { 2 } else { 1 };
    let pages = u32::try_from(length / PAGE_BYTES).unwrap_or(u32::MAX);
    let parts: [(usize, &[u8]); 8] = [
        (0, HEAD),
        (16, &PAGE_SIZE),
        (20, &FRACTIONS),
        (44, &[0, 0, 0, 4]),
        (56, &[0, 0, 0, 1]),
        (68, &schema::APPLICATION_ID.to_be_bytes()),
        (18, &[version, version]),
        (28, &pages.to_be_bytes()),
    ];
    let mut is_mended = false;
    for (number, (at, bytes)) in parts.into_iter().enumerate() {
        if let Some(place) = head.get_mut(at..at + bytes.len()) {
            // The last two depend on how the store was left, and are no damage.
            is_mended |= number < 6 && place != bytes;
            place.copy_from_slice(bytes);
        }
    }
    if head != before {
        file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(&head)).map_err(failed)?;
        // The size in the header counts where these two are equal.
        let changes = head.get(24..28).unwrap_or_default();
        file.seek(SeekFrom::Start(92)).and_then(|_| file.write_all(changes)).map_err(failed)?;
    }
    Ok(is_mended)
}

/// Opens the copy; with how many pages of its log were read.
fn open(copy: &Path) -> Result<(Connection, u64), Error> {
    const OPENING: &str = "opening a copy of it";
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(copy, flags).during(OPENING)?;
    // Nobody else has the copy. Locking it for each of the many statements that look for what can be read takes longer than they do.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE").during(OPENING)?;
    connection.pragma_update(None, "trusted_schema", false).during(OPENING)?;
    // A table whose definition is damaged is none, and the others are read all the same.
    connection.pragma_update(None, "writable_schema", true).during(OPENING)?;
    connection.pragma_update(None, "cell_size_check", true).during(OPENING)?;
    connection.pragma_update(None, "automatic_index", false).during(OPENING)?;
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0)).during(OPENING)?;
    if version <= LARGEST_VERSION {
        refuse_newer(version)?;
    }
    // The first statement about tables reads them all.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).during(OPENING)?;
    let read: i64 =
        connection.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| row.get(1)).unwrap_or_default();
    Ok((connection, u64::try_from(read).unwrap_or_default()))
}

/// How many pages a log has that are of the same run as the first one; behind them may be those of runs before.
fn frames(log: &Path) -> std::io::Result<u64> {
    let mut file = File::open(log)?;
    let mut header = [0; 32];
    file.read_exact(&mut header)?;
    let salt = header.get(16..16 + SALT_BYTES).map(<[u8]>::to_vec).unwrap_or_default();
    let frame_bytes = FRAME_HEADER_BYTES + PAGE_BYTES;
    let all = file.metadata()?.len().saturating_sub(LOG_HEADER_BYTES) / frame_bytes;
    let mut last = 0;
    for frame in 0..all {
        let mut head = [0; 24];
        file.seek(SeekFrom::Start(LOG_HEADER_BYTES + frame * frame_bytes))?;
        file.read_exact(&mut head)?;
        if head.get(8..8 + SALT_BYTES).is_some_and(|own| own == salt) {
            last = frame + 1;
        }
    }
    Ok(last)
}
