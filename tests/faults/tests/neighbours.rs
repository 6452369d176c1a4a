//! What one process does to a store must not take away what it, or another, holds.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops where it is wrong")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use headcount::Reader;
use headcount_faults::run::{Session, scratch, store_in};

/// The system takes all locks that a process has on a file from it when it closes any descriptor of it. A store that lost its lock
/// like that looks unused to a program with an older SQLite (seen with 3.40) that closes it, and that then removes the log beneath
/// it, and with it what is flushed later.
#[test]
fn opening_a_store_again_keeps_the_locks_of_the_first() {
    for open_again in [open_reader as fn(&Path), open_store, back_up] {
        let folder = scratch().unwrap();
        let path = folder.path().canonicalize().unwrap();
        let mut session = Session::new(&path, None, 0);
        session.track(0).unwrap();
        session.store().unwrap().flush().unwrap();
        let before = locks(&path);
        assert!(!before.is_empty(), "an open store has no lock");
        open_again(&path);
        assert_eq!(locks(&path), before);
        session.close().unwrap();
    }
}

fn open_reader(folder: &Path) {
    drop(Reader::open(store_in(folder)).unwrap());
}

fn open_store(folder: &Path) {
    let mut session = Session::new(folder, None, 0);
    session.store().unwrap();
    session.close().unwrap();
}

fn back_up(folder: &Path) {
    let reader = Reader::open(store_in(folder)).unwrap();
    reader.backup(folder.join("backup.db")).unwrap();
}

/// The locks that this process has on the store's file, as the system tells them.
fn locks(folder: &Path) -> Vec<String> {
    let inode = format!(":{} ", store_in(folder).metadata().unwrap().ino());
    let process = format!(" {} ", std::process::id());
    let all = fs::read_to_string("/proc/locks").unwrap();
    let own = all.lines().filter(|lock| lock.contains(&inode) && lock.contains(&process));
    // The first word numbers the locks of the whole system.
    own.filter_map(|lock| lock.split_once(": ")).map(|(_, lock)| lock.to_owned()).collect()
}
