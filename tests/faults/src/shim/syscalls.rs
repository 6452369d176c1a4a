//! What a program asks of the disk without SQLite: new files, writes, syncs, links and renames. The functions of the C library are taken over by their
//! names, for the whole program; outside of watched folders they do what they always do.
#![expect(unsafe_code, reason = "functions of the C library are defined and called")]

use std::ffi::{CStr, OsStr, c_char, c_int, c_long, c_void};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::ffi::{SQLITE_FULL, SQLITE_OK};

use crate::disk::{Call, Disk, Verdict, disk_of};
use crate::shim::is_inside;
use crate::tape::is_never_read;

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

/// A file that is to be made; others are opened as always. Its variable arguments are taken as they are passed: by position.
///
/// # Safety
///
/// `path` is a C string.
#[unsafe(no_mangle)]
unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: libc::mode_t) -> c_int {
    let is_new = flags & libc::O_CREAT != 0 && !is_inside();
    // SAFETY: by the contract of this function.
    let watched = if is_new { unsafe { watched(path) } } else { None };
    if let Some((path, disk)) = &watched
        && !path.exists()
        && let Verdict::Answer(code) = disk.ask(path, &Call::Make)
    {
        return refuse(code);
    }
    // SAFETY: the caller's own arguments.
    let opened = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags, mode) } as c_int;
    if let Some((_, disk)) = watched {
        noting(&disk);
    }
    opened
}

/// # Safety
///
/// There are `length` bytes at `from`.
#[unsafe(no_mangle)]
unsafe extern "C" fn write(descriptor: c_int, from: *const c_void, length: usize) -> isize {
    let write = |length: usize| {
        // SAFETY: the caller's own arguments, or a part of them.
        unsafe { libc::syscall(libc::SYS_write, descriptor, from, length) as isize }
    };
    if descriptor <= libc::STDERR_FILENO || is_inside() {
        return write(length);
    }
    let Some((path, disk)) = watched_file(descriptor) else { return write(length) };
    // SAFETY: the call takes numbers; by the contract of this function there are `length` bytes at `from`.
    let (at, bytes) = unsafe {
        (libc::lseek(descriptor, 0, libc::SEEK_CUR), std::slice::from_raw_parts(from.cast::<u8>(), length))
    };
    match disk.ask(&path, &Call::Write { at: at.cast_unsigned(), bytes }) {
        // It takes its room, and no time.
        Verdict::Go if is_never_read(&path) => {
            let end = at + length.cast_signed() as i64;
            // SAFETY: both calls take numbers.
            let is_done = unsafe {
                libc::ftruncate(descriptor, end) == 0 && libc::lseek(descriptor, end, libc::SEEK_SET) == end
            };
            if is_done { length.cast_signed() } else { -1 }
        }
        Verdict::Go => write(length),
        Verdict::Half(_) => write(length / 2),
        Verdict::Answer(code) => refuse(code) as isize,
    }
}

/// The file with this descriptor, if its disk is watched.
fn watched_file(descriptor: c_int) -> Option<(PathBuf, Arc<Disk>)> {
    let path = std::fs::read_link(format!("/proc/self/fd/{descriptor}")).ok()?;
    let disk = disk_of(&path)?;
    Some((path, disk))
}

/// In watched folders nothing is really synced: what would be lost without it is worked out, and tests are quick.
fn sync(descriptor: c_int, number: c_long) -> c_int {
    TAKEN_OVER.store(true, Ordering::Relaxed);
    let Some((path, disk)) = watched_file(descriptor) else {
        // SAFETY: the call takes a number, whatever it is.
        return unsafe { libc::syscall(number, descriptor) } as c_int;
    };
    if !is_inside()
        && let Verdict::Answer(code) = disk.ask(&path, &Call::Sync)
    {
        return if code == SQLITE_OK { 0 } else { refuse(code) };
    }
    if let Ok(metadata) = path.metadata() {
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
    if !is_inside()
        && let Verdict::Answer(code) = disk.ask(path, &Call::Name)
    {
        return refuse(code);
    }
    let named = call();
    noting(&disk);
    named as c_int
}

/// Looks at the names, and leaves the error of the call before as it was.
fn noting(disk: &Disk) {
    let error = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
    disk.names_changed();
    set_error(error);
}

fn set_error(error: c_int) {
    // SAFETY: the pointer is to this thread's own variable.
    unsafe { *libc::__errno_location() = error };
}

/// Fails as the system does where SQLite would fail with this code.
fn refuse(code: c_int) -> c_int {
    set_error(if code == SQLITE_FULL { libc::ENOSPC } else { libc::EIO });
    -1
}
