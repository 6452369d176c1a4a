//! Ctrl-C: the first one asks the command to stop in good order, the second one ends it at once.

use std::cell::Cell;
use std::fs::File;
use std::io::{Error as IoError, Read, Result as IoResult};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::low_level::pipe;

/// Listens for SIGINT and SIGTERM. When it is dropped they end the program again, as they do by default.
pub(super) struct Interrupt {
    came: Arc<AtomicBool>,
    /// Has something to read when a signal has come, so that waiting for an input ends without a race.
    bell: UnixStream,
    /// Whether reading an input has failed for a signal, and for nothing else.
    has_called_off: Cell<bool>,
}

impl Interrupt {
    pub(super) fn listen() -> IoResult<Self> {
        let came = Arc::new(AtomicBool::new(false));
        let (bell, rope) = UnixStream::pair()?;
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds that none has come, the second one that one has.
            flag::register_conditional_default(signal, Arc::clone(&came))?;
            flag::register(signal, Arc::clone(&came))?;
            pipe::register(signal, rope.try_clone()?)?;
        }
        Ok(Self { came, bell, has_called_off: Cell::new(false) })
    }

    /// Is set when a signal has come.
    pub(super) fn flag(&self) -> &AtomicBool {
        &self.came
    }

    pub(super) fn has_come(&self) -> bool {
        self.came.load(Ordering::Relaxed)
    }

    /// Whether reading a [`Watched`] file has failed for a signal.
    pub(super) fn has_called_off(&self) -> bool {
        self.has_called_off.get()
    }

    /// The file, whose reading fails once a signal has come, also while it waits.
    pub(super) fn watch(&self, file: File) -> IoResult<Watched<'_>> {
        let waits = !file.metadata()?.is_file();
        Ok(Watched { interrupt: self, file, waits })
    }

    /// Waits until there is something to read, or a signal has come.
    fn wait_for(&self, file: &File) -> IoResult<()> {
        while !self.has_come() {
            let bell = PollFd::from_borrowed_fd(self.bell.as_fd(), PollFlags::IN);
            let mut both = [PollFd::from_borrowed_fd(file.as_fd(), PollFlags::IN), bell];
            match poll(&mut both, None) {
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok(_) => {
                    let [file, _] = &both;
                    if !file.revents().is_empty() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.came.store(true, Ordering::Relaxed);
    }
}

/// A file that is read until a signal comes.
pub(super) struct Watched<'a> {
    interrupt: &'a Interrupt,
    file: File,
    /// Whether reading may take any time, as of a pipe or a terminal.
    waits: bool,
}

impl Read for Watched<'_> {
    fn read(&mut self, into: &mut [u8]) -> IoResult<usize> {
        if self.waits {
            self.interrupt.wait_for(&self.file)?;
        }
        if self.interrupt.has_come() {
            self.interrupt.has_called_off.set(true);
            return Err(IoError::other("interrupted"));
        }
        self.file.read(into)
    }
}
