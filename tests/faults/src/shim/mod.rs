//! Between SQLite and the system: the only unsafe code of the project.

mod file;
mod syscalls;
mod vfs;

pub(crate) use syscalls::is_taken_over;
pub(crate) use vfs::register;

use std::cell::Cell;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Does a call of SQLite's own, which was asked about already: what it calls itself is not asked about again.
fn inside<T>(call: impl FnOnce() -> T) -> T {
    let before = INSIDE.replace(true);
    let done = call();
    INSIDE.set(before);
    done
}

fn is_inside() -> bool {
    INSIDE.get()
}
