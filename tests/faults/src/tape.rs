//! What a folder's disk was told, in order: enough to work out what a power cut could have left of it.
//!
//! Files are inodes, and names are looked at whenever something may have changed them, so that links, renames and removals that
//! the program makes itself are seen too. The content of a file that comes from elsewhere counts as written when it is first seen.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A file, by its number on the tape.
pub type FileId = usize;
/// Which file has which name.
pub type Names = BTreeMap<String, FileId>;

/// The tape of one folder.
#[derive(Debug, Clone)]
pub struct Tape {
    folder: PathBuf,
    folder_inode: u64,
    files: usize,
    inodes: BTreeMap<u64, FileId>,
    names: Names,
    /// The names at the beginning, and what their files had; durable.
    pub(crate) first_names: Names,
    pub(crate) first_contents: BTreeMap<FileId, Vec<u8>>,
    pub entries: Vec<Entry>,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Write { file: FileId, at: usize, bytes: Vec<u8> },
    Truncate { file: FileId, size: usize },
    Synced(FileId),
    Named { name: String, file: FileId },
    Unnamed { name: String },
    FolderSynced,
    Acknowledged(usize),
}

/// Nobody reads a reserve: what is in it is of no interest, and would be most of what is written, and of what a tape has to keep.
pub(crate) fn is_never_read(path: &Path) -> bool {
    path.as_os_str().as_bytes().ends_with(b"-reserve")
}

/// The index of the log is never synced, and SQLite makes it anew.
fn is_volatile(name: &str) -> bool {
    name.ends_with("-shm")
}

impl Tape {
    pub(crate) fn of(folder: &Path) -> Self {
        let mut tape = Self {
            folder: folder.to_owned(),
            folder_inode: folder.metadata().map_or(0, |folder| folder.ino()),
            files: 0,
            inodes: BTreeMap::new(),
            names: Names::new(),
            first_names: Names::new(),
            first_contents: BTreeMap::new(),
            entries: Vec::new(),
        };
        tape.look();
        for entry in std::mem::take(&mut tape.entries) {
            if let Entry::Write { file, bytes, .. } = entry {
                tape.first_contents.insert(file, bytes);
            }
        }
        tape.first_names = tape.names.clone();
        tape
    }

    /// How many files there ever were.
    pub(crate) fn files(&self) -> usize {
        self.files
    }

    /// Notes the names that have come and gone.
    pub(crate) fn look(&mut self) {
        let mut found = BTreeMap::new();
        for file in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            if !is_volatile(&name) {
                found.insert(name, file.ino());
            }
        }
        // A number without a name at the last look may be given to another file.
        let named: Vec<FileId> = self.names.values().copied().collect();
        self.inodes.retain(|_, file| named.contains(file));
        let mut names = Names::new();
        for (name, inode) in found {
            let file = self.inodes.get(&inode).copied().unwrap_or_else(|| self.begin(&name, inode));
            names.insert(name, file);
        }
        for (name, file) in &names {
            if self.names.get(name) != Some(file) {
                self.entries.push(Entry::Named { name: name.clone(), file: *file });
            }
        }
        for name in self.names.keys().filter(|name| !names.contains_key(*name)) {
            self.entries.push(Entry::Unnamed { name: name.clone() });
        }
        self.names = names;
    }

    fn begin(&mut self, name: &str, inode: u64) -> FileId {
        let file = self.files;
        self.files += 1;
        self.inodes.insert(inode, file);
        let bytes = if is_never_read(Path::new(name)) {
            Vec::new()
        } else {
            fs::read(self.folder.join(name)).unwrap_or_default()
        };
        if !bytes.is_empty() {
            self.entries.push(Entry::Write { file, at: 0, bytes });
        }
        file
    }

    pub(crate) fn write(&mut self, inode: u64, at: u64, bytes: &[u8]) {
        if let Some(file) = self.inodes.get(&inode).copied() {
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            self.entries.push(Entry::Write { file, at, bytes: bytes.to_vec() });
        }
    }

    pub(crate) fn truncate(&mut self, inode: u64, size: u64) {
        if let Some(file) = self.inodes.get(&inode).copied() {
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            self.entries.push(Entry::Truncate { file, size });
        }
    }

    pub(crate) fn sync(&mut self, inode: u64) {
        self.look();
        if inode == self.folder_inode {
            self.entries.push(Entry::FolderSynced);
        } else if let Some(file) = self.inodes.get(&inode) {
            self.entries.push(Entry::Synced(*file));
        }
    }

    pub(crate) fn acknowledge(&mut self, steps: usize) {
        self.look();
        self.entries.push(Entry::Acknowledged(steps));
    }
}
