//! Space that is given up when the disk is full: SQLite needs some even to remove rows.

use std::fs::{self, OpenOptions};
use std::io::Write;
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
        // It may be gone already.
        let _ = fs::remove_file(&self.path);
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
        let is_there = self.path.metadata().is_ok_and(|file| file.len() == RESERVE_BYTES as u64);
        if !is_there && self.fill().is_err() {
            // A part of the space is none, and would be in the way of what is to be stored.
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Bytes that no file system can pack, since what takes no space gives none back.
    fn fill(&self) -> std::io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&self.path)?;
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

impl Drop for Reserve {
    fn drop(&mut self) {
        // One file is left of a store that is closed; other processes make the reserve again.
        let _ = fs::remove_file(&self.path);
    }
}

fn age(at: Timestamp, now: Timestamp) -> i64 {
    now.unix_seconds() - at.unix_seconds()
}
