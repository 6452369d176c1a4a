//! What a disk may have after a power cut.
//!
//! The model of files: what was written before a file's last sync is there; of what came later any part may be, in any order, and of
//! a write any of its sectors. The model of names is one of two. In order: a name that has come or gone is durable at once, as
//! file systems with a journal have it when the file itself is synced. Strict: names are durable when their folder is synced, and
//! of what came later any part may be, which is all that POSIX says.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::chance::Chance;
use crate::tape::{Entry, FileId, Names, Tape};

const SECTOR_BYTES: usize = 512;
/// What an index of the log may be after a power cut: anything.
const INDEX_BYTES: usize = 32 * 1024;

/// Which of the possible images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Style {
    /// What was synced and nothing else.
    Synced,
    /// Everything.
    Whole,
    /// What was synced, and the beginning of what came later.
    Prefix,
    /// What was synced, and some of what came later, in any order.
    Reordered,
    /// What was synced, and some sectors of what came later.
    Torn,
    /// The names of the last sync of the folder, and what was synced.
    StrictSynced,
    /// Some of the names that came later, and some of what was written.
    StrictReordered,
}

impl Style {
    pub const ALL: [Self; 7] = [
        Self::Synced,
        Self::Whole,
        Self::Prefix,
        Self::Reordered,
        Self::Torn,
        Self::StrictSynced,
        Self::StrictReordered,
    ];
}

/// A folder as a power cut leaves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    pub files: BTreeMap<String, Vec<u8>>,
    /// What was promised before.
    pub acknowledged: usize,
}

impl Image {
    /// Makes the folder, which must be empty.
    pub fn write_to(&self, folder: &Path) -> io::Result<()> {
        self.files.iter().try_for_each(|(name, bytes)| fs::write(folder.join(name), bytes))
    }
}

/// Plays a tape, and stops anywhere.
#[derive(Debug, Clone)]
pub struct Player<'a> {
    tape: &'a Tape,
    at: usize,
    synced: Vec<Vec<u8>>,
    /// What came after the last sync of its file, with its place on the tape.
    pending: Vec<(FileId, &'a Entry)>,
    names: Names,
    durable_names: Names,
    pending_names: Vec<&'a Entry>,
    acknowledged: usize,
    /// Whether syncs of the folder count, as they must.
    folder_syncs: bool,
}

impl<'a> Player<'a> {
    pub fn new(tape: &'a Tape) -> Self {
        let mut synced = vec![Vec::new(); tape.files()];
        for (file, bytes) in &tape.first_contents {
            synced[*file].clone_from(bytes);
        }
        Self {
            tape,
            at: 0,
            synced,
            pending: Vec::new(),
            names: tape.first_names.clone(),
            durable_names: tape.first_names.clone(),
            pending_names: Vec::new(),
            acknowledged: 0,
            folder_syncs: true,
        }
    }

    /// As if nobody had synced the folder.
    pub fn without_folder_syncs(mut self) -> Self {
        self.folder_syncs = false;
        self
    }

    /// How many entries were played.
    pub fn place(&self) -> usize {
        self.at
    }

    /// Plays one entry; `None` at the end.
    pub fn step(&mut self) -> Option<&'a Entry> {
        let entry = self.tape.entries.get(self.at)?;
        self.at += 1;
        match entry {
            Entry::Write { file, .. } | Entry::Truncate { file, .. } => self.pending.push((*file, entry)),
            Entry::Synced(synced) => {
                let content = &mut self.synced[*synced];
                self.pending.retain(|(file, entry)| {
                    if file == synced {
                        apply(content, entry);
                    }
                    file != synced
                });
            }
            Entry::Named { .. } | Entry::Unnamed { .. } => {
                rename(&mut self.names, entry);
                self.pending_names.push(entry);
            }
            Entry::FolderSynced if self.folder_syncs => {
                self.durable_names = self.names.clone();
                self.pending_names.clear();
            }
            Entry::FolderSynced => {}
            Entry::Acknowledged(steps) => self.acknowledged = *steps,
        }
        Some(entry)
    }

    /// What a power cut now may leave.
    pub fn image(&self, style: Style, chance: &mut Chance) -> Image {
        let mut contents = self.synced.clone();
        let mut later: Vec<&Entry> = self.pending.iter().map(|(_, entry)| *entry).collect();
        match style {
            Style::Synced | Style::StrictSynced => later.clear(),
            Style::Whole => {}
            Style::Prefix => later.truncate(chance.index(later.len() + 1)),
            Style::Reordered | Style::StrictReordered => {
                later.retain(|_| chance.coin());
                chance.shuffle(&mut later);
            }
            Style::Torn => chance.shuffle(&mut later),
        }
        for entry in later {
            let (Entry::Write { file, .. } | Entry::Truncate { file, .. }) = entry else { continue };
            match style {
                Style::Torn => tear(&mut contents[*file], entry, chance),
                _ => apply(&mut contents[*file], entry),
            }
        }
        let mut names = match style {
            Style::StrictSynced | Style::StrictReordered => self.durable_names.clone(),
            _ => self.names.clone(),
        };
        if style == Style::StrictReordered {
            self.pending_names.iter().filter(|_| chance.coin()).for_each(|entry| rename(&mut names, entry));
        }
        let mut files: BTreeMap<String, Vec<u8>> =
            names.into_iter().map(|(name, file)| (name, contents[file].clone())).collect();
        if style == Style::Torn {
            let logs: Vec<String> =
                files.keys().filter_map(|name| name.strip_suffix("-wal")).map(str::to_owned).collect();
            for store in logs {
                files.insert(format!("{store}-shm"), (0..INDEX_BYTES).map(|_| chance.any() as u8).collect());
            }
        }
        Image { files, acknowledged: self.acknowledged }
    }
}

fn rename(names: &mut Names, entry: &Entry) {
    match entry {
        Entry::Named { name, file } => drop(names.insert(name.clone(), *file)),
        Entry::Unnamed { name } => drop(names.remove(name)),
        _ => {}
    }
}

fn apply(content: &mut Vec<u8>, entry: &Entry) {
    match entry {
        Entry::Write { at, bytes, .. } => put(content, *at, bytes),
        Entry::Truncate { size, .. } => content.resize(*size, 0),
        _ => {}
    }
}

fn put(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if content.len() < at + bytes.len() {
        content.resize(at + bytes.len(), 0);
    }
    content[at..at + bytes.len()].copy_from_slice(bytes);
}

fn tear(content: &mut Vec<u8>, entry: &Entry, chance: &mut Chance) {
    let Entry::Write { at, bytes, .. } = entry else {
        if chance.coin() {
            apply(content, entry);
        }
        return;
    };
    let mut from = 0;
    while from < bytes.len() {
        let to = (from + SECTOR_BYTES - (at + from) % SECTOR_BYTES).min(bytes.len());
        if chance.coin() {
            put(content, at + from, &bytes[from..to]);
        }
        from = to;
    }
}
