//! The VFS: the system's, with the files of a watched folder in between.
#![expect(unsafe_code, reason = "SQLite's interface to the system is C")]

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::OnceLock;

use rusqlite::ffi::{
    SQLITE_CANTOPEN, SQLITE_IOERR, SQLITE_OK, SQLITE_OPEN_CREATE, sqlite3_file, sqlite3_vfs,
    sqlite3_vfs_find, sqlite3_vfs_register,
};

use crate::disk::{Call, Verdict, disk_of};
use crate::shim::file::{self, File};
use crate::shim::inside;

/// The system's VFS, and ours. Both live as long as the program, and nobody writes them after registration.
struct Registered {
    real: *mut sqlite3_vfs,
}

// SAFETY: SQLite itself shares its VFS objects between threads; ours only reads this pointer.
unsafe impl Send for Registered {}
// SAFETY: as above.
unsafe impl Sync for Registered {}

static REGISTERED: OnceLock<Registered> = OnceLock::new();

/// Makes the VFS that watches the default one, once.
pub(crate) fn register() {
    REGISTERED.get_or_init(|| {
        // SAFETY: a null name asks for the default VFS; SQLite initializes itself in this call.
        let real = unsafe { sqlite3_vfs_find(ptr::null()) };
        assert!(!real.is_null(), "SQLite has no VFS");
        // SAFETY: the VFS that SQLite returned is valid for good. All of its functions but those replaced below take any VFS with
        // the same length of names and the same application pointer, which the copy has.
        let mut ours = unsafe { *real };
        ours.szOsFile += file::HEADER_BYTES;
        ours.pNext = ptr::null_mut();
        ours.zName = c"faults".as_ptr();
        ours.xOpen = Some(open);
        ours.xDelete = Some(delete);
        ours.xAccess = Some(access);
        // SAFETY: the copy is leaked, so that it lives as long as SQLite may use it.
        let registered = unsafe { sqlite3_vfs_register(Box::leak(Box::new(ours)), 1) };
        assert_eq!(registered, SQLITE_OK, "the VFS was not registered");
        Registered { real }
    });
}

/// The system's VFS, valid for good.
fn real() -> *mut sqlite3_vfs {
    REGISTERED.get().map_or(ptr::null_mut(), |registered| registered.real)
}

/// # Safety
///
/// `name` is null, or a C string that lives as long as the result is used.
unsafe fn path<'a>(name: *const c_char) -> Option<&'a Path> {
    if name.is_null() {
        return None;
    }
    // SAFETY: by the contract of this function.
    let name = unsafe { CStr::from_ptr(name) };
    Some(Path::new(OsStr::from_bytes(name.to_bytes())))
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let real = real();
    // SAFETY: the real VFS is valid for good; SQLite gives null or a C string, and room for a file of ours, which is larger than
    // one of the real VFS.
    unsafe {
        let Some(real_open) = (*real).xOpen else { return SQLITE_CANTOPEN };
        let watched = path(name).and_then(|path| Some((path, disk_of(path)?)));
        let Some((path, disk)) = watched else { return real_open(real, name, file, flags, out) };
        (*file).pMethods = ptr::null();
        let call = Call::Open { creates: flags & SQLITE_OPEN_CREATE != 0 && !path.exists() };
        if let Verdict::Answer(code) = disk.ask(path, &call) {
            return code;
        }
        let opened = inside(|| real_open(real, name, File::real(file), flags, out));
        File::adopt(file, path, disk);
        opened
    }
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, sync_folder: c_int) -> c_int {
    let real = real();
    // SAFETY: as in `open`.
    unsafe {
        let Some(real_delete) = (*real).xDelete else { return SQLITE_IOERR };
        let watched = path(name).and_then(|path| Some((path, disk_of(path)?)));
        let Some((path, disk)) = watched else { return real_delete(real, name, sync_folder) };
        if let Verdict::Answer(code) = disk.ask(path, &Call::Delete) {
            return code;
        }
        let sync_folder = if disk.keeps_syncs() { sync_folder } else { 0 };
        let deleted = inside(|| real_delete(real, name, sync_folder));
        disk.names_changed();
        deleted
    }
}

unsafe extern "C" fn access(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    let real = real();
    // SAFETY: as in `open`.
    unsafe {
        let Some(real_access) = (*real).xAccess else { return SQLITE_IOERR };
        if let Some(path) = path(name)
            && let Some(disk) = disk_of(path)
            && let Verdict::Answer(code) = disk.ask(path, &Call::Access)
        {
            return code;
        }
        real_access(real, name, flags, out)
    }
}
