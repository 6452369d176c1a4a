//! What a program asks of the disk without SQLite: syncs, links and renames. The functions of the C library are taken over by their
//! names, for the whole program; outside of watched folders they do what they always do.
#![expect(unsafe_code, reason = "functions of the C library are defined and called")]

use std::ffi::{CStr, OsStr, c_char, c_int, c_long};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::disk::{Call, Disk, Verdict, disk_of};
use crate::shim::is_inside;

static TAKEN_OVER: AtomicBool = AtomicBool::new(false);

/// Whether a sync of the standard library's has come by here.
pub(crate) fn is_taken_over() -> bool {
    TAKEN_OVER.load(Ordering::Relaxed)
}

#[unsafe(no_mangle)]
extern "C" fn fsync(descriptor: c_int) -> c_int {
    sync(descriptor, libc::SYS_fsync)
}

#[unsafe(no_mangle)]
extern "C" fn fdatasync(descriptor: c_int) -> c_int {
    sync(descriptor, libc::SYS_fdatasync)
}

/// In watched folders nothing is really synced: what would be lost without it is worked out, and tests are quick.
fn sync(descriptor: c_int, number: c_long) -> c_int {
    TAKEN_OVER.store(true, Ordering::Relaxed);
    let link = PathBuf::from(format!("/proc/self/fd/{descriptor}"));
    let watched = std::fs::read_link(&link).ok().and_then(|path| Some((disk_of(&path)?, path)));
    let Some((disk, path)) = watched else {
        // SAFETY: the call takes a number, whatever it is.
        return unsafe { libc::syscall(number, descriptor) } as c_int;
    };
    if !is_inside()
        && let Verdict::Answer(code) = disk.ask(&path, &Call::Sync)
    {
        return if code == rusqlite::ffi::SQLITE_OK { 0 } else { fail(libc::EIO) };
    }
    if let Ok(metadata) = link.metadata() {
        disk.synced(metadata.ino());
    }
    0
}

/// # Safety
///
/// `from` and `to` are C strings.
#[unsafe(no_mangle)]
unsafe extern "C" fn linkat(
    from_folder: c_int,
    from: *const c_char,
    to_folder: c_int,
    to: *const c_char,
    flags: c_int,
) -> c_int {
    let link = || {
        // SAFETY: the caller's own arguments.
        unsafe { libc::syscall(libc::SYS_linkat, from_folder, from, to_folder, to, flags) }
    };
    // SAFETY: by the contract of this function.
    name(unsafe { watched(to) }, link)
}

/// # Safety
///
/// `from` and `to` are C strings.
#[unsafe(no_mangle)]
unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    let rename = || {
        // SAFETY: the caller's own arguments.
        unsafe { libc::syscall(libc::SYS_renameat2, libc::AT_FDCWD, from, libc::AT_FDCWD, to, 0) }
    };
    // SAFETY: by the contract of this function.
    name(unsafe { watched(to) }, rename)
}

/// # Safety
///
/// `name` is a C string that lives as long as the result is used.
unsafe fn watched<'a>(name: *const c_char) -> Option<(&'a Path, Arc<Disk>)> {
    // SAFETY: by the contract of this function.
    let path = Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(name) }.to_bytes()));
    Some((path, disk_of(path)?))
}

fn name(watched: Option<(&Path, Arc<Disk>)>, call: impl FnOnce() -> c_long) -> c_int {
    let Some((path, disk)) = watched else { return call() as c_int };
    if !is_inside() && disk.ask(path, &Call::Name) != Verdict::Go {
        return fail(libc::EIO);
    }
    let named = call();
    disk.names_changed();
    named as c_int
}

fn fail(error: c_int) -> c_int {
    // SAFETY: the pointer is to this thread's own variable.
    unsafe { *libc::__errno_location() = error };
    -1
}
