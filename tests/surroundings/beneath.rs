//! A store that is deleted, replaced or moved beneath a running process: nothing is acknowledged into a file that is gone.

use std::path::Path;

use headcount::{Error, Reader, Store};

use crate::{names, open, total, track};

/// A store with five flushed events and three that are not.
fn store(path: &Path) -> Store {
    let store = open(path).unwrap();
    track(&store, 5);
    store.flush().unwrap();
    track(&store, 3);
    store
}

fn assert_replaced(error: &Error, path: &Path) {
    assert_eq!(format!("{:?}", error.kind()), "StoreReplaced", "{error}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
}

/// What was not stored stays in memory, and is lost with the process, counted.
fn assert_kept_then_lost(store: &Store) {
    let stats = store.stats();
    assert_eq!((stats.accepted, stats.stored, stats.queued, stats.lost), (8, 5, 3, 0));
    let lost = store.close().unwrap_err();
    assert!(lost.to_string().contains("lost 3 events"), "{lost}");
    assert_eq!((store.stats().stored, store.stats().lost), (5, 3));
}

#[test]
fn a_store_deleted_beneath_takes_nothing_more_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let store = store(&path);
    std::fs::remove_file(&path).unwrap();
    for _ in 0..2 {
        assert_replaced(&store.flush().unwrap_err(), &path);
    }
    assert_kept_then_lost(&store);
    assert!(!names(folder.path()).contains(&"usage.db".to_owned()), "it was made again");
}

#[test]
fn a_store_replaced_beneath_is_noticed_and_the_new_one_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("usage.db"), folder.path().join("other.db"));
    let fresh = open(&other).unwrap();
    track(&fresh, 40);
    fresh.close().unwrap();
    drop(fresh);
    let store = store(&path);
    std::fs::rename(&other, &path).unwrap();
    assert_replaced(&store.flush().unwrap_err(), &path);
    assert_kept_then_lost(&store);
    drop(store);
    let copy = folder.path().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    assert_eq!(total(&Reader::open(&copy).unwrap()).unwrap(), 40);
}

#[test]
fn a_store_moved_away_and_back_goes_on_with_what_it_had_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (path, away) = (folder.path().join("usage.db"), folder.path().join("away.db"));
    let store = store(&path);
    std::fs::rename(&path, &away).unwrap();
    assert_replaced(&store.flush().unwrap_err(), &path);
    std::fs::rename(&away, &path).unwrap();
    store.flush().unwrap();
    assert_eq!(total(store.reader()).unwrap(), 8);
    assert_eq!(store.close().unwrap().lost, 0);
}
