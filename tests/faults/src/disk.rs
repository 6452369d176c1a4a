//! A folder whose disk does what a test asks for: fails at a given call, is full, or writes down all that it is told.

use std::collections::BTreeMap;
use std::fs;
use std::os::raw::c_int;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use rusqlite::ffi;

use crate::shim;
use crate::tape::Tape;

/// The disk of one folder, as long as it is held.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    fault: Option<Fault>,
    eligible: u64,
    failed: u64,
    space: Option<u64>,
    drops_syncs: bool,
    tape: Option<Tape>,
}

/// Which calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub kind: Kind,
    /// The first of them, counted from 1 among those that this kind concerns.
    pub at: u64,
    /// So many of them, one after the other.
    pub calls: u64,
}

/// How calls fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Any call but giving up a lock, with its own error of input or output.
    Error,
    /// A write that stops half-way.
    ShortWrite,
    /// A write, a new file or a larger index of the log, for want of space.
    NoSpace,
    /// A sync.
    Sync,
    /// A lock, which somebody else has.
    Busy,
    /// A commit that is done, and then reported as failed.
    Applied,
}

impl Kind {
    pub const ALL: [Self; 6] =
        [Self::Error, Self::ShortWrite, Self::NoSpace, Self::Sync, Self::Busy, Self::Applied];
}

/// What SQLite, or the program itself, asks of the disk.
#[derive(Debug)]
pub(crate) enum Call<'a> {
    Open {
        creates: bool,
    },
    Delete,
    Access,
    Read,
    Write {
        at: u64,
        bytes: &'a [u8],
    },
    Truncate {
        size: u64,
    },
    Sync,
    Size,
    Lock,
    SharedLock,
    /// A file of at least so many bytes for the index of the log; 0 where what is there is enough.
    SharedMap {
        needed: u64,
    },
    /// A transaction is committed for good.
    Committed,
    /// A link or another name, by the program itself.
    Name,
    /// A new file, by the program itself.
    Make,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Go,
    /// It is not made, and this is the answer.
    Answer(c_int),
    /// Half of it is made, and this is the answer.
    Half(c_int),
}

static DISKS: RwLock<Vec<(PathBuf, Weak<Disk>)>> = RwLock::new(Vec::new());

/// The disk that a path is on, if it is watched.
pub(crate) fn disk_of(path: &Path) -> Option<Arc<Disk>> {
    let disks = DISKS.read().unwrap_or_else(PoisonError::into_inner);
    disks.iter().find(|(folder, _)| path.starts_with(folder)).and_then(|(_, disk)| disk.upgrade())
}

impl Disk {
    /// Watches a folder from now on. Files that are open already are not watched.
    pub fn watch(folder: &Path) -> Arc<Self> {
        shim::register();
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let disk = Arc::new(Self { folder: folder.clone(), state: Mutex::default() });
        DISKS.write().unwrap_or_else(PoisonError::into_inner).push((folder, Arc::downgrade(&disk)));
        disk
    }

    /// Lets calls fail from now on.
    pub fn fail(&self, fault: Fault) {
        let mut state = self.state();
        (state.fault, state.eligible, state.failed) = (Some(fault), 0, 0);
    }

    /// Lets no more calls fail; says how many did.
    pub fn heal(&self) -> u64 {
        let mut state = self.state();
        state.fault = None;
        state.failed
    }

    /// How many calls there were, since `fail`, of those that its fault concerns.
    pub fn eligible(&self) -> u64 {
        self.state().eligible
    }

    /// How many calls have failed since `fail`.
    pub fn failed(&self) -> u64 {
        self.state().failed
    }

    /// Gives all files together no more than so many bytes, or as many as they like.
    pub fn give_space(&self, bytes: Option<u64>) {
        self.state().space = bytes;
    }

    /// How many bytes all files have together.
    pub fn used(&self) -> u64 {
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let metadata = files.filter_map(|file| file.metadata().ok());
        metadata.map(|file| (file.ino(), file.len())).collect::<BTreeMap<_, _>>().values().sum()
    }

    /// From now on SQLite's syncs do nothing, as with `synchronous=OFF`.
    pub fn drop_syncs(&self) {
        self.state().drops_syncs = true;
    }

    /// Writes down everything from now on; what is there now counts as durable.
    pub fn record(&self) {
        self.state().tape = Some(Tape::of(&self.folder));
    }

    /// Something was promised to the caller: after a power cut from now on at least so many steps must be there.
    pub fn acknowledge(&self, steps: usize) {
        self.on_tape(|tape| tape.acknowledge(steps));
    }

    /// What was written down.
    pub fn take_tape(&self) -> Option<Tape> {
        self.state().tape.take()
    }

    pub(crate) fn keeps_syncs(&self) -> bool {
        !self.state().drops_syncs
    }

    /// What becomes of a call, before it is made.
    pub(crate) fn ask(&self, path: &Path, call: &Call<'_>) -> Verdict {
        let mut state = self.state();
        if let Some(fault) = state.fault
            && let Some(verdict) = failure(fault, call)
        {
            state.eligible += 1;
            if state.eligible >= fault.at && state.eligible - fault.at < fault.calls {
                state.failed += 1;
                return verdict;
            }
        }
        if let Some(space) = state.space
            && let Some(verdict) = self.refuse_growth(path, call, space)
        {
            return verdict;
        }
        if state.drops_syncs && matches!(call, Call::Sync) {
            return Verdict::Answer(ffi::SQLITE_OK);
        }
        Verdict::Go
    }

    fn refuse_growth(&self, path: &Path, call: &Call<'_>, space: u64) -> Option<Verdict> {
        let length = |path: &Path| path.metadata().map_or(0, |file| file.len());
        let (before, after, code) = match call {
            Call::Write { at, bytes } => (length(path), at + bytes.len() as u64, ffi::SQLITE_FULL),
            Call::SharedMap { needed } => {
                let mut index = path.as_os_str().to_owned();
                index.push("-shm");
                (length(Path::new(&index)), *needed, ffi::SQLITE_IOERR_SHMSIZE)
            }
            _ => return None,
        };
        let is_refused = after > before && self.used() + (after - before) > space;
        is_refused.then_some(Verdict::Answer(code))
    }

    /// SQLite has opened a file; returns its inode.
    pub(crate) fn opened(&self, path: &Path) -> u64 {
        self.names_changed();
        path.metadata().map_or(0, |file| file.ino())
    }

    /// A call was made on the file with this inode.
    pub(crate) fn done(&self, inode: u64, call: &Call<'_>) {
        self.on_tape(|tape| match call {
            Call::Write { at, bytes } => tape.write(inode, *at, bytes),
            Call::Truncate { size } => tape.truncate(inode, *size),
            _ => {}
        });
    }

    /// The file or folder with this inode was synced.
    pub(crate) fn synced(&self, inode: u64) {
        self.on_tape(|tape| tape.sync(inode));
    }

    /// Names in the folder may have come and gone.
    pub(crate) fn names_changed(&self) {
        self.on_tape(Tape::look);
    }

    fn on_tape(&self, note: impl FnOnce(&mut Tape)) {
        if let Some(tape) = &mut self.state().tape {
            note(tape);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let mut disks = DISKS.write().unwrap_or_else(PoisonError::into_inner);
        disks.retain(|(_, disk)| disk.strong_count() > 0);
    }
}

/// How a call fails, if the kind of fault concerns it.
fn failure(fault: Fault, call: &Call<'_>) -> Option<Verdict> {
    let code = match (fault.kind, call) {
        (Kind::Error, call) => error_of(call)?,
        (Kind::ShortWrite, Call::Write { .. }) => {
            // Once it is an error of the medium; for good it is a disk that is full.
            let code = if fault.calls == 1 { ffi::SQLITE_IOERR_WRITE } else { ffi::SQLITE_FULL };
            return Some(Verdict::Half(code));
        }
        (Kind::NoSpace, Call::Write { .. } | Call::Make) => ffi::SQLITE_FULL,
        (Kind::NoSpace, Call::Open { creates: true }) => ffi::SQLITE_CANTOPEN,
        (Kind::NoSpace, Call::SharedMap { needed: 1.. }) => ffi::SQLITE_IOERR_SHMSIZE,
        (Kind::Sync, Call::Sync) => ffi::SQLITE_IOERR_FSYNC,
        (Kind::Busy, Call::Lock | Call::SharedLock) => ffi::SQLITE_BUSY,
        (Kind::Applied, Call::Committed) => ffi::SQLITE_IOERR,
        _ => return None,
    };
    Some(Verdict::Answer(code))
}

fn error_of(call: &Call<'_>) -> Option<c_int> {
    Some(match call {
        Call::Open { .. } => ffi::SQLITE_CANTOPEN,
        Call::Delete => ffi::SQLITE_IOERR_DELETE,
        Call::Access => ffi::SQLITE_IOERR_ACCESS,
        Call::Read => ffi::SQLITE_IOERR_READ,
        Call::Write { .. } => ffi::SQLITE_IOERR_WRITE,
        Call::Truncate { .. } => ffi::SQLITE_IOERR_TRUNCATE,
        Call::Sync => ffi::SQLITE_IOERR_FSYNC,
        Call::Size => ffi::SQLITE_IOERR_FSTAT,
        Call::Lock => ffi::SQLITE_IOERR_LOCK,
        Call::SharedLock => ffi::SQLITE_IOERR_SHMLOCK,
        Call::SharedMap { .. } => ffi::SQLITE_IOERR_SHMMAP,
        Call::Name | Call::Make => ffi::SQLITE_IOERR,
        Call::Committed => return None,
    })
}
