//! Space that is given up when the disk is full: SQLite needs some even to remove rows.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::time::timestamp::Timestamp;

/// Enough for the log of some ordinary flushes, and for a pass of retention.
const RESERVE_BYTES: usize = 2 * 1024 * 1024;
/// After the reserve was given up it is made again when commits have succeeded for so long.
const AGAIN_AFTER_SECONDS: i64 = 60;

/// A file beside the store, as long as somebody has it open for writing. That it cannot be made is no failure: then a full disk is full at
/// once.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    given_up: Option<Timestamp>,
}

impl Reserve {
    pub(super) fn beside(store: &Path) -> Self {
        let mut path = store.as_os_str().to_owned();
        path.push("-reserve");
        let reserve = Self { path: PathBuf::from(path), given_up: None };
        reserve.make();
        reserve
    }

    /// Gives the space up.
    pub(super) fn give_up(&mut self, now: Timestamp) {
        self.given_up = Some(now);
        self.remove();
    }

    /// Makes the reserve again, some time after it was given up, or when another process has removed it.
    pub(super) fn renew(&mut self, now: Timestamp) {
        let is_early = self.given_up.is_some_and(|at| (0..AGAIN_AFTER_SECONDS).contains(&age(at, now)));
        if !is_early {
            self.given_up = None;
            self.make();
        }
    }

    fn make(&self) {
        match self.found() {
            Found::Whole | Found::Foreign => return,
            // A part of the space is none.
            Found::Part => self.remove(),
            Found::Nothing => {}
        }
        match self.fill() {
            Ok(()) => {}
            // Another process was first.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            // What there is of it would be in the way of what is to be stored.
            Err(_) => self.remove(),
        }
    }

    /// What has the name. Whoever may write the folder can put anything there: a plain file of this name is the store's own, as its
    /// log is, and all else is left alone.
    fn found(&self) -> Found {
        match fs::symlink_metadata(&self.path) {
            Err(_) => Found::Nothing,
            Ok(named) if !named.is_file() => Found::Foreign,
            Ok(named) if named.len() == RESERVE_BYTES as u64 => Found::Whole,
            Ok(_) => Found::Part,
        }
    }

    fn remove(&self) {
        if matches!(self.found(), Found::Whole | Found::Part) {
            // It may be gone already.
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Bytes that no file system can pack, since what takes no space gives none back. Never through a link, and never into a file that is
    /// there.
    fn fill(&self) -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path)?;
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut noise = vec![0; RESERVE_BYTES];
        for word in noise.chunks_exact_mut(size_of::<u64>()) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        file.write_all(&noise)
    }
}

/// What has the name of a reserve.
enum Found {
    Nothing,
    Whole,
    Part,
    Foreign,
}

impl Drop for Reserve {
    fn drop(&mut self) {
        // One file is left of a store that is closed; other processes make the reserve again.
        self.remove();
    }
}

fn age(at: Timestamp, now: Timestamp) -> i64 {
    now.unix_seconds() - at.unix_seconds()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_else_put_there_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (store, precious) = (folder.path().join("usage.db"), folder.path().join("precious.txt"));
        fs::write(&precious, "precious").unwrap();
        let link = folder.path().join("usage.db-reserve");
        std::os::unix::fs::symlink(&precious, &link).unwrap();
        let mut reserve = Reserve::beside(&store);
        reserve.give_up(Timestamp::EPOCH);
        reserve.renew(Timestamp::EPOCH.plus_seconds(AGAIN_AFTER_SECONDS));
        drop(reserve);
        assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        // Without it there is a reserve, and none is left.
        fs::remove_file(&link).unwrap();
        let reserve = Reserve::beside(&store);
        assert_eq!(link.metadata().unwrap().len(), RESERVE_BYTES as u64);
        drop(reserve);
        assert!(!link.exists());
    }
}
