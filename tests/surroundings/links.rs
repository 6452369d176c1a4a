//! A store that is opened by the name of a link.

use std::os::unix::fs::symlink;

use headcount::{ErrorKind, Reader};

use crate::{names, open, total, track};

#[test]
fn a_link_and_the_file_are_one_store_with_one_log() {
    let folder = tempfile::tempdir().unwrap();
    let (real, other) = (folder.path().join("real"), folder.path().join("other"));
    [&real, &other].into_iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
    let (file, link) = (real.join("usage.db"), other.join("link.db"));
    let by_file = open(&file).unwrap();
    symlink("../real/usage.db", &link).unwrap();
    let by_link = open(&link).unwrap();
    for store in [&by_file, &by_link, &by_file] {
        track(store, 2);
        store.flush().unwrap();
    }
    // Two logs would be two truths.
    assert_eq!(names(&other), ["link.db"]);
    assert_eq!(names(&real), ["usage.db", "usage.db-reserve", "usage.db-shm", "usage.db-wal"]);
    for path in [&file, &link] {
        assert_eq!(total(&Reader::open(path).unwrap()).unwrap(), 6);
    }
    by_link.close().unwrap();
    by_file.close().unwrap();
}

#[test]
fn a_link_to_nothing_is_refused_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link.db");
    symlink(folder.path().join("gone.db"), &link).unwrap();
    let refused = open(&link).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Io, "{refused}");
    assert!(refused.to_string().contains(link.to_str().unwrap()), "{refused}");
    assert_eq!(Reader::open(&link).unwrap_err().kind(), ErrorKind::StoreMissing);
    assert_eq!(names(folder.path()), ["link.db"]);
}

#[test]
fn links_in_a_ring_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one.db"), folder.path().join("other.db"));
    symlink(&one, &other).unwrap();
    symlink(&other, &one).unwrap();
    let refused = open(&one).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Io, "{refused}");
    assert!(refused.to_string().contains("one.db"), "{refused}");
    assert_eq!(names(folder.path()), ["one.db", "other.db"]);
}
