//! `fork(2)` for the tests of headcount: a copy of the running process does some work and ends.

use std::io::{Error, Result, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// A forked child of this process.
#[derive(Debug)]
#[must_use = "a child that nobody waits for stays as a zombie"]
pub struct Fork {
    pid: libc::pid_t,
}

/// Forks. The child does the work, says on stderr what was wrong with it, and ends without returning: with 0 when all was well.
///
/// Of the other threads of the process the child has only what they left in memory. What it may call then is what the tests ask.
///
/// # Errors
///
/// When the system makes no more processes.
pub fn fork(work: impl FnOnce() -> std::result::Result<(), String>) -> Result<Fork> {
    // SAFETY: the call has no arguments; the child runs the closure on its copy of memory and ends below.
    match unsafe { libc::fork() } {
        -1 => Err(Error::last_os_error()),
        0 => {
            let outcome = catch_unwind(AssertUnwindSafe(work));
            let fault = match outcome {
                Ok(Ok(())) => None,
                Ok(Err(fault)) => Some(fault),
                Err(panic) => {
                    Some(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "panicked".into()))
                }
            };
            if let Some(fault) = &fault {
                let _ = std::io::stderr().write_all(format!("a fork: {fault}\n").as_bytes());
            }
            // SAFETY: ends the child at once; nothing of it is used after.
            unsafe { libc::_exit(i32::from(fault.is_some())) }
        }
        pid => Ok(Fork { pid }),
    }
}

impl Fork {
    /// Whether the child ended well within the limit. One that did not end is killed.
    pub fn ends_well_within(self, limit: Duration) -> std::result::Result<(), String> {
        let deadline = Instant::now() + limit;
        let mut status = 0;
        loop {
            // SAFETY: the pointer is to a variable that outlives the call, and the child has not been waited for.
            let ended = unsafe { libc::waitpid(self.pid, &raw mut status, libc::WNOHANG) };
            match ended {
                0 if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(1)),
                0 => break,
                -1 => return Err(Error::last_os_error().to_string()),
                _ if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0 => return Ok(()),
                _ => return Err(format!("a fork ended with status {status:#x}")),
            }
        }
        // SAFETY: the child has not been waited for, so that the number is still its own.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            libc::waitpid(self.pid, &raw mut status, 0);
        }
        Err(format!("a fork hung for {limit:?}"))
    }
}
