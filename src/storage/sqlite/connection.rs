//! The connections of this process, and what a fork must not do with SQLite.
//!
//! A fork inherits SQLite's view of every open file, but not the locks behind it, and mutexes that threads of the parent held. A
//! connection that it opens beside inherited ones believes in locks that nobody has, and may lose what it commits; and a call may
//! wait for ever, also one that closes a connection.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rusqlite::Connection;

use crate::error::{Error, ErrorKind};

/// The process that has connections, in the upper half, and how many. No lock, which a fork might inherit too.
static OPEN: AtomicU64 = AtomicU64::new(0);
const PROCESS_SHIFT: u32 = 32;

/// Leave to open a connection; it lasts as long as the connection.
#[derive(Debug)]
pub(super) struct Permit {
    process: u32,
}

impl Permit {
    /// Refused in a fork of a process that had connections.
    pub(super) fn new() -> Result<Self, Error> {
        let process = std::process::id();
        let mine = u64::from(process) << PROCESS_SHIFT;
        let add = |open: u64| match open.wrapping_sub(mine) >> PROCESS_SHIFT {
            0 => Some(open + 1),
            // Nobody's, or those of a parent that had closed all.
            _ if open & u64::from(u32::MAX) == 0 => Some(mine + 1),
            _ => None,
        };
        match OPEN.fetch_update(Ordering::AcqRel, Ordering::Acquire, add) {
            Ok(_) => Ok(Self { process }),
            Err(_) => Err(Error::new(
                ErrorKind::Forked,
                "this process is a fork of one that had a store open, which SQLite cannot survive; open stores after \
                 the fork only, or start another program",
            )),
        }
    }

    fn is_of_fork(&self) -> bool {
        self.process != std::process::id()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.is_of_fork() {
            OPEN.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// A connection that several may use, one at a time. In a fork it is never closed.
#[derive(Clone)]
pub(crate) struct SharedConnection {
    connection: Arc<Mutex<Connection>>,
    /// Dropped behind the connection.
    permit: Arc<Permit>,
}

impl SharedConnection {
    pub(super) fn new(permit: Permit, connection: Connection) -> Self {
        Self { connection: Arc::new(Mutex::new(connection)), permit: Arc::new(permit) }
    }
}

impl Deref for SharedConnection {
    type Target = Mutex<Connection>;

    fn deref(&self) -> &Self::Target {
        &self.connection
    }
}

impl Drop for SharedConnection {
    fn drop(&mut self) {
        if self.permit.is_of_fork() {
            std::mem::forget(Arc::clone(&self.connection));
        }
    }
}
