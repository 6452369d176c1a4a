//! Backups: a copy of one moment, checked before it is called one.

use std::fs;
use std::path::{Path, PathBuf};
#[cfg(feature = "cli")]
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, ErrorKind};
use crate::report::check::{Check, Depth};
use crate::report::reader::Reader;
use crate::storage::sqlite;

/// A backup that was made and checked.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// # use headcount::{Definitions, Event, EventDefinition, Reader, Query, Store};
/// # let definitions = Definitions::new().event(EventDefinition::new("page_viewed"))?;
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("backup.db");
/// # let store = Store::builder_in_memory().definitions(definitions).open()?;
/// store.tracker().track(Event::new("page_viewed"));
/// store.flush()?;
/// let backup = store.reader().backup(&path)?;
/// assert!(backup.check.is_sound());
/// assert_eq!(Reader::open(&path)?.value(&Query::total("page_viewed"))?.count(), Some(1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Backup {
    /// The size of the file.
    pub bytes: u64,
    /// What the check of the copy looked at; it found nothing.
    pub check: Check,
}

impl Reader {
    /// Copies the store, as of one moment and while others write it, to a new file: compact, complete in itself, readable by its owner only.
    /// The copy is synced and checked, as [`Reader::check`] does, before it gets its name; where that fails there is no file.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] when there is something at `path` already; [`ErrorKind::StoreDamaged`] with the first findings when the store,
    /// and with it the copy, is not sound; [`ErrorKind::StoreFull`], [`ErrorKind::ReadOnly`] and [`ErrorKind::Io`].
    pub fn backup(&self, path: impl AsRef<Path>) -> Result<Backup, Error> {
        let path = path.as_ref();
        let unfinished = Unfinished::beside(path)?;
        self.copy_to(&unfinished.0).map_err(|error| error.context(path.display()))?;
        unfinished.finish(Self::open(&unfinished.0)?.check(Depth::Plain)?, path)
    }

    /// As [`Reader::backup`], and gives up when `stop` is set: then there is no file, and no backup.
    #[cfg(feature = "cli")]
    pub(crate) fn backup_until(&self, path: &Path, stop: &AtomicBool) -> Result<Option<Backup>, Error> {
        let unfinished = Unfinished::beside(path)?;
        let copied = self.until(stop, || self.copy_to(&unfinished.0));
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        copied.map_err(|error| error.context(path.display()))?;
        let copy = Self::open(&unfinished.0)?;
        let check = copy.until(stop, || copy.check(Depth::Plain));
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        unfinished.finish(check?, path).map(Some)
    }
}

/// A file that is removed, unless it got its name.
pub(crate) struct Unfinished(PathBuf);

impl Unfinished {
    /// For a file at a place where nothing is yet.
    pub(crate) fn beside(path: &Path) -> Result<Self, Error> {
        if fs::symlink_metadata(path).is_ok() {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("{}: it exists already; name a file that does not", path.display()),
            ));
        }
        Self::replacing(path)
    }

    /// For a file at a place where there may be one.
    pub(crate) fn replacing(path: &Path) -> Result<Self, Error> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Err(Error::new(
                ErrorKind::Io,
                format!("{}: there is no folder {}; make it first", path.display(), folder.display()),
            ));
        }
        sqlite::unfinished_name(path).map(Self)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Keeps the file where it is.
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }

    /// Gives a copy that is sound its name.
    fn finish(&self, check: Check, path: &Path) -> Result<Backup, Error> {
        if let Some(first) = check.findings.first() {
            return Err(Error::new(
                ErrorKind::StoreDamaged,
                format!(
                    "the copy is not sound, so it was not kept; the store has the same faults, {} of them; the first: {}",
                    check.findings.len(),
                    first.message
                ),
            ));
        }
        let bytes = sqlite::link_into_place(&self.0, path)?;
        Ok(Backup { bytes, check })
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Under this name it is nothing to anybody; that it stays behind would do no harm.
        let _ = fs::remove_file(&self.0);
        for suffix in ["-journal", "-wal", "-shm"] {
            let mut beside = self.0.as_os_str().to_owned();
            beside.push(suffix);
            let _ = fs::remove_file(beside);
        }
    }
}
