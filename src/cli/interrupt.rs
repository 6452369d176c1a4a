//! Ctrl-C: the first one asks the command to stop in good order, the second one ends it at once.

use std::cell::Cell;
use std::fs::File;
use std::io::{Error as IoError, Read, Result as IoResult};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::{pipe, unregister};
use signal_hook::{SigId, flag};

const SIGNALS: [i32; 2] = [SIGINT, SIGTERM];

/// Those that listen now. The system's handler stays when the last one has gone, and would pass signals over: where they ended the
/// program before the first one listened, they do so again while none listens.
static LISTENERS: Mutex<Listeners> = Mutex::new(Listeners { count: 0, are_none: None });

struct Listeners {
    count: usize,
    are_none: Option<Arc<AtomicBool>>,
}

impl Listeners {
    fn enter(&mut self) -> IoResult<()> {
        if let Some(are_none) = &self.are_none {
            are_none.store(false, Ordering::SeqCst);
        } else {
            let are_none = Arc::new(AtomicBool::new(false));
            for signal in SIGNALS {
                if ends_the_program(signal) {
                    flag::register_conditional_default(signal, Arc::clone(&are_none))?;
                }
            }
            self.are_none = Some(are_none);
        }
        self.count += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.count = self.count.saturating_sub(1);
        if let (0, Some(are_none)) = (self.count, &self.are_none) {
            are_none.store(true, Ordering::SeqCst);
        }
    }
}

/// Whether nobody has said that a signal be ignored or do something else. Where the system does not tell, as most programs have it.
fn ends_the_program(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let is_in = |key: &str| {
        let mask = status.lines().find_map(|line| line.strip_prefix(key));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
            .is_some_and(|mask| mask.checked_shr(signal.unsigned_abs() - 1).unwrap_or_default() & 1 == 1)
    };
    !is_in("SigIgn:") && !is_in("SigCgt:")
}

/// Listens for SIGINT and SIGTERM. When it is dropped they do again what they did before.
pub(super) struct Interrupt {
    came: Arc<AtomicBool>,
    registered: Vec<SigId>,
    /// Has something to read when a signal has come, so that waiting for an input ends without a race.
    bell: UnixStream,
    /// Whether reading an input has failed for a signal, and for nothing else.
    has_called_off: Cell<bool>,
}

impl Interrupt {
    pub(super) fn listen() -> IoResult<Self> {
        let came = Arc::new(AtomicBool::new(false));
        let (bell, rope) = UnixStream::pair()?;
        LISTENERS.lock().enter()?;
        let mut listening = Self { came, registered: Vec::new(), bell, has_called_off: Cell::new(false) };
        for signal in SIGNALS {
            let came = &listening.came;
            // In this order: the first signal finds that none has come, the second one that one has.
            let registered = [
                flag::register_conditional_default(signal, Arc::clone(came)),
                flag::register(signal, Arc::clone(came)),
                rope.try_clone().and_then(|rope| pipe::register(signal, rope)),
            ];
            for id in registered {
                listening.registered.push(id?);
            }
        }
        Ok(listening)
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
        // First, so that a signal in between is not passed over.
        LISTENERS.lock().leave();
        for id in self.registered.drain(..) {
            unregister(id);
        }
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
