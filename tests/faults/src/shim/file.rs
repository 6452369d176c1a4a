//! An open file of a watched folder: the disk is asked, then the real file.
#![expect(unsafe_code, reason = "SQLite's interface to the system is C")]

use std::ffi::{c_int, c_void};
use std::mem::size_of;
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::Arc;

use rusqlite::ffi::{
    SQLITE_FCNTL_COMMIT_PHASETWO, SQLITE_IOERR, SQLITE_NOTFOUND, SQLITE_OK, SQLITE_SHM_LOCK, sqlite3_file,
    sqlite3_int64, sqlite3_io_methods,
};

use crate::disk::{Call, Disk, Verdict};
use crate::shim::inside;

/// What stands before the real file: SQLite's own first field, and what is known of the file.
#[repr(C)]
pub(super) struct File {
    base: sqlite3_file,
    /// From `Box::into_raw` in `adopt` until `close`.
    open: *mut Open,
}

struct Open {
    disk: Arc<Disk>,
    path: PathBuf,
    inode: u64,
}

/// By so much files are larger than those of the real VFS. A multiple of a pointer's size, so that the real file is aligned.
#[expect(clippy::cast_possible_wrap, reason = "it is the size of a few pointers")]
pub(super) const HEADER_BYTES: c_int = size_of::<File>() as c_int;

impl File {
    /// The real file, which stands behind the header.
    ///
    /// # Safety
    ///
    /// `file` has room for the header and a real file.
    pub(super) unsafe fn real(file: *mut sqlite3_file) -> *mut sqlite3_file {
        // SAFETY: by the contract of this function the result is inside, or one behind, the same allocation.
        unsafe { file.cast::<File>().add(1).cast() }
    }

    /// Makes a file of ours of one whose real part was just opened; none where that failed and left nothing to close.
    ///
    /// # Safety
    ///
    /// `file` has room for the header and a real file, and the real VFS has just tried to open the latter.
    pub(super) unsafe fn adopt(file: *mut sqlite3_file, path: &Path, disk: Arc<Disk>) {
        // SAFETY: by the contract of this function.
        unsafe {
            if (*Self::real(file)).pMethods.is_null() {
                return;
            }
            let inode = disk.opened(path);
            let open = Open { disk, path: path.to_owned(), inode };
            (*file.cast::<File>()).open = Box::into_raw(Box::new(open));
            (*file).pMethods = &raw const METHODS;
        }
    }
}

/// # Safety
///
/// `file` was adopted and is not closed.
unsafe fn parts<'a>(file: *mut sqlite3_file) -> (&'a Open, *mut sqlite3_file, &'a sqlite3_io_methods) {
    // SAFETY: `adopt` has set the pointer, and the real file has methods until it is closed.
    unsafe {
        let real = File::real(file);
        (&*(*file.cast::<File>()).open, real, &*(*real).pMethods)
    }
}

/// A method that asks the disk, and then the real file.
macro_rules! asking {
    ($name:ident => $method:ident($($argument:ident: $kind:ty),*), $call:expr) => {
        unsafe extern "C" fn $name(file: *mut sqlite3_file, $($argument: $kind),*) -> c_int {
            // SAFETY: SQLite calls this with files that `adopt` has given these methods.
            let (open, real, methods) = unsafe { parts(file) };
            if let Some(call) = $call
                && let Verdict::Answer(code) = open.disk.ask(&open.path, &call)
            {
                return code;
            }
            let Some(method) = methods.$method else { return SQLITE_IOERR };
            // SAFETY: the real method gets its own file, and what SQLite gave.
            inside(|| unsafe { method(real, $($argument),*) })
        }
    };
}

asking!(read => xRead(to: *mut c_void, bytes: c_int, at: sqlite3_int64), Some(Call::Read));
asking!(sync => xSync(flags: c_int), Some(Call::Sync));
asking!(file_size => xFileSize(size: *mut sqlite3_int64), Some(Call::Size));
asking!(lock => xLock(level: c_int), Some(Call::Lock));
asking!(unlock => xUnlock(level: c_int), None::<Call>);
asking!(check_reserved => xCheckReservedLock(out: *mut c_int), None::<Call>);
asking!(sector_size => xSectorSize(), None::<Call>);
asking!(characteristics => xDeviceCharacteristics(), None::<Call>);
asking!(shared_lock => xShmLock(offset: c_int, locks: c_int, flags: c_int),
    (flags & SQLITE_SHM_LOCK != 0).then_some(Call::SharedLock));
asking!(shared_unmap => xShmUnmap(delete: c_int), None::<Call>);

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite closes a file that `adopt` has made once, and uses it no more; so the box is dropped once.
    unsafe {
        let (_, real, methods) = parts(file);
        let closed = methods.xClose.map_or(SQLITE_IOERR, |close| inside(|| close(real)));
        drop(Box::from_raw((*file.cast::<File>()).open));
        closed
    }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    from: *const c_void,
    length: c_int,
    at: sqlite3_int64,
) -> c_int {
    // SAFETY: as in `asking`; SQLite gives `length` bytes at `from`.
    let ((open, real, methods), bytes) = unsafe {
        (parts(file), slice::from_raw_parts(from.cast::<u8>(), usize::try_from(length).unwrap_or(0)))
    };
    let Some(method) = methods.xWrite else { return SQLITE_IOERR };
    let call = Call::Write { at: at.cast_unsigned(), bytes };
    let (length, answer) = match open.disk.ask(&open.path, &call) {
        Verdict::Go => (length, None),
        Verdict::Half(code) => (length / 2, Some(code)),
        Verdict::Answer(code) => return code,
    };
    // SAFETY: the real method gets its own file, and a part of what SQLite gave.
    let written = inside(|| unsafe { method(real, from, length, at) });
    if written == SQLITE_OK {
        let written = &bytes[..usize::try_from(length).unwrap_or(0)];
        open.disk.done(open.inode, &Call::Write { at: at.cast_unsigned(), bytes: written });
    }
    answer.unwrap_or(written)
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: as in `asking`.
    let (open, real, methods) = unsafe { parts(file) };
    let call = Call::Truncate { size: size.cast_unsigned() };
    if let Verdict::Answer(code) = open.disk.ask(&open.path, &call) {
        return code;
    }
    let Some(method) = methods.xTruncate else { return SQLITE_IOERR };
    // SAFETY: the real method gets its own file, and what SQLite gave.
    let truncated = inside(|| unsafe { method(real, size) });
    if truncated == SQLITE_OK {
        open.disk.done(open.inode, &call);
    }
    truncated
}

unsafe extern "C" fn file_control(file: *mut sqlite3_file, operation: c_int, argument: *mut c_void) -> c_int {
    // SAFETY: as in `asking`.
    let (open, real, methods) = unsafe { parts(file) };
    // SQLite asks when a transaction has been committed for good: the moment to fail for what must succeed when it is repeated.
    if operation == SQLITE_FCNTL_COMMIT_PHASETWO
        && let Verdict::Answer(code) = open.disk.ask(&open.path, &Call::Committed)
    {
        return code;
    }
    let Some(method) = methods.xFileControl else { return SQLITE_NOTFOUND };
    // SAFETY: the real method gets its own file, and what SQLite gave.
    inside(|| unsafe { method(real, operation, argument) })
}

unsafe extern "C" fn shared_map(
    file: *mut sqlite3_file,
    region: c_int,
    bytes: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    // SAFETY: as in `asking`.
    let (open, real, methods) = unsafe { parts(file) };
    let needed = u64::from(region.unsigned_abs() + 1) * u64::from(bytes.unsigned_abs());
    let call = Call::SharedMap { needed: if extend == 0 { 0 } else { needed } };
    if let Verdict::Answer(code) = open.disk.ask(&open.path, &call) {
        return code;
    }
    let Some(method) = methods.xShmMap else { return SQLITE_IOERR };
    // SAFETY: the real method gets its own file, and what SQLite gave.
    inside(|| unsafe { method(real, region, bytes, extend, out) })
}

unsafe extern "C" fn shared_barrier(file: *mut sqlite3_file) {
    // SAFETY: as in `asking`.
    unsafe {
        let (_, real, methods) = parts(file);
        if let Some(method) = methods.xShmBarrier {
            method(real);
        }
    }
}

/// Of version 2: without memory maps of the file, every byte that is read and written passes by.
static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shared_map),
    xShmLock: Some(shared_lock),
    xShmBarrier: Some(shared_barrier),
    xShmUnmap: Some(shared_unmap),
    xFetch: None,
    xUnfetch: None,
};
