//! The definition files below a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::definition::problems::{Place, Position, Problems};
use crate::error::{Error, ErrorKind, plain};

/// Most definition files below one folder.
const MAX_FILES: usize = 10_000;
/// Most entries of all kinds below one folder: a mistyped path must not read a whole disk.
const MAX_ENTRIES: usize = 250_000;
/// Deepest folder below the one that was named.
const MAX_FOLDER_DEPTH: usize = 32;

/// The definition files below a folder.
pub(in crate::definition) struct Walk<'a> {
    problems: &'a mut Problems,
    files: Vec<PathBuf>,
    seen: BTreeSet<PathBuf>,
    entries: usize,
}

impl<'a> Walk<'a> {
    pub(in crate::definition) fn new(problems: &'a mut Problems) -> Self {
        Self { problems, files: Vec::new(), seen: BTreeSet::new(), entries: 0 }
    }

    /// The files in the order of their paths.
    pub(in crate::definition) fn files(mut self, folder: &Path) -> Result<Vec<PathBuf>, Error> {
        self.folder(folder, 0)?;
        self.files.sort();
        Ok(self.files)
    }

    fn folder(&mut self, folder: &Path, depth: usize) -> Result<(), Error> {
        if depth > MAX_FOLDER_DEPTH {
            self.unreadable(folder, format!("folders are nested deeper than {MAX_FOLDER_DEPTH}"));
            return Ok(());
        }
        let entries = fs::canonicalize(folder)
            .map(|real| self.seen.insert(real))
            .and_then(|is_new| if is_new { fs::read_dir(folder).map(Some) } else { Ok(None) });
        let entries = match entries {
            Ok(Some(entries)) => entries,
            // A link to a folder that is read already, perhaps one that this folder is in.
            Ok(None) => return Ok(()),
            Err(error) => {
                self.unreadable(folder, format!("the folder cannot be read: {}", plain(&error)));
                return Ok(());
            }
        };
        // Sorted, so that of two ways to one folder the same one is always taken.
        let mut paths = BTreeMap::new();
        for entry in entries {
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return Err(too_many(folder, format!("more than {MAX_ENTRIES} files and folders")));
            }
            match entry {
                Ok(entry) => drop(paths.insert(entry.file_name(), entry.path())),
                Err(error) => {
                    self.unreadable(folder, format!("the folder cannot be read: {}", plain(&error)));
                }
            }
        }
        for (name, path) in paths {
            if name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let extension = path.extension().map(std::ffi::OsStr::as_encoded_bytes);
            let is_yaml = matches!(extension, Some(b"yml" | b"yaml"));
            match fs::metadata(&path) {
                Ok(kind) if kind.is_dir() => self.folder(&path, depth + 1)?,
                Ok(_) if is_yaml => {
                    if self.files.len() == MAX_FILES {
                        return Err(too_many(folder, format!("more than {MAX_FILES} definition files")));
                    }
                    self.files.push(path);
                }
                Err(error) if is_yaml && error.kind() == std::io::ErrorKind::NotFound => {
                    self.unreadable(&path, "this is a link to nothing; remove it".to_owned());
                }
                Err(error) if is_yaml => {
                    self.unreadable(&path, format!("the file cannot be read: {}", plain(&error)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn unreadable(&mut self, path: &Path, reason: String) {
        let place = Place { file: Arc::from(path.to_string_lossy()), at: Position::default() };
        self.problems.error(&place, reason);
    }
}

fn too_many(folder: &Path, what: String) -> Error {
    let message = format!("{what}, counted up to {}; name the folder of the definitions", folder.display());
    Error::new(ErrorKind::Definitions, message)
}
