//! Stores that a user may not write, or that belong to somebody else. Root may everything, so that other users do the work.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use crate::common::child::Child;
use crate::{FILE, count_one, names};

const OWNER: u32 = 65_534;
const OTHER: u32 = 65_533;

/// A folder for stores, and a copy of this program that every user may run.
struct Place {
    folder: tempfile::TempDir,
    program: PathBuf,
    stores: PathBuf,
}

impl Place {
    /// Nothing where users cannot be chosen; it is said that the test did nothing.
    fn new(owner: u32, mode: u32) -> Option<Self> {
        let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
        if !is_root || std::process::Command::new("setpriv").arg("--version").output().is_err() {
            println!("skipped: needs root, and setpriv of util-linux");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        set_mode(folder.path(), 0o755);
        let program = folder.path().join("program");
        std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        set_mode(&program, 0o755);
        let stores = folder.path().join("stores");
        std::fs::create_dir(&stores).unwrap();
        chown(&stores, Some(owner), Some(owner)).unwrap();
        set_mode(&stores, mode);
        Some(Self { folder, program, stores })
    }

    fn store(&self) -> PathBuf {
        self.stores.join("usage.db")
    }

    fn start(&self, user: u32, role: &str) -> Child {
        Child::start_as(user, &self.program, role, &[(FILE, self.store().to_str().unwrap())])
    }

    /// What comes of it when a user does this.
    fn outcome(&self, user: u32, role: &str) -> String {
        let mut child = self.start(user, role);
        let outcome = child.wait_for("outcome: ");
        child.succeeds();
        outcome
    }

    /// A store of the owner with one event.
    fn with_store(self) -> Self {
        assert_eq!(self.outcome(OWNER, "counts one"), "1");
        assert_eq!(self.store().metadata().unwrap().uid(), OWNER);
        self
    }

    fn assert_refused(&self, user: u32, role: &str, kind: &str) {
        let outcome = self.outcome(user, role);
        assert!(outcome.starts_with(kind), "{role}: {outcome}");
        let path = self.stores.to_str().unwrap();
        assert!(outcome.contains(path) && outcome.contains("permission"), "{role}: {outcome}");
    }
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_read_only_file_answers_and_takes_nothing_until_it_may_be_written() {
    let Some(place) = Place::new(OWNER, 0o755).map(Place::with_store) else { return };
    let before = std::fs::read(place.store()).unwrap();
    set_mode(&place.store(), 0o444);
    place.assert_refused(OWNER, "counts one", "ReadOnly");
    assert_eq!(place.outcome(OWNER, "reads"), "1");
    place.assert_refused(OWNER, "counts one", "ReadOnly");
    assert!(std::fs::read(place.store()).unwrap() == before, "the file changed");
    set_mode(&place.store(), 0o600);
    // What the reader may have left beside it is as read-only as the file was.
    for beside in names(&place.stores) {
        println!("beside: {beside} {:o}", place.stores.join(&beside).metadata().unwrap().mode());
        set_mode(&place.stores.join(beside), 0o600);
    }
    assert_eq!(place.outcome(OWNER, "counts one"), "2");
}

#[test]
fn a_read_only_folder_is_named_to_writers_readers_and_creators_and_nothing_is_left_in_it() {
    let Some(place) = Place::new(OWNER, 0o755).map(Place::with_store) else { return };
    set_mode(&place.stores, 0o555);
    for role in ["counts one", "reads"] {
        place.assert_refused(OWNER, role, "ReadOnly");
    }
    assert_eq!(names(&place.stores), ["usage.db"]);
    set_mode(&place.stores, 0o755);
    assert_eq!(place.outcome(OWNER, "counts one"), "2");
    let Some(empty) = Place::new(OWNER, 0o555) else { return };
    empty.assert_refused(OWNER, "counts one", "ReadOnly");
    assert!(names(&empty.stores).is_empty());
}

#[test]
fn a_store_of_somebody_else_is_refused_and_left_as_it_is() {
    let Some(place) = Place::new(OWNER, 0o777).map(Place::with_store) else { return };
    let before = std::fs::read(place.store()).unwrap();
    assert_eq!(place.store().metadata().unwrap().mode() & 0o777, 0o600);
    for role in ["counts one", "reads"] {
        place.assert_refused(OTHER, role, "Io");
    }
    assert_eq!(names(&place.stores), ["usage.db"]);
    assert!(std::fs::read(place.store()).unwrap() == before, "the file changed");
    assert_eq!(place.outcome(OWNER, "counts one"), "2");
    // Root may, and leaves nothing behind that would be in the owner's way.
    assert_eq!(count_one(&place.store()), Ok(3));
    assert_eq!(place.outcome(OWNER, "counts one"), "4");
}

/// SQLite makes the files beside a store with the store's mode, so that whoever may write the one may write the others.
#[test]
fn a_store_that_all_may_write_counts_what_each_of_them_tracks() {
    let Some(place) = Place::new(OWNER, 0o777).map(Place::with_store) else { return };
    set_mode(&place.store(), 0o666);
    let mut stays = place.start(OWNER, "reads and stays");
    assert_eq!(stays.wait_for("outcome: "), "1");
    assert_eq!(place.outcome(OTHER, "counts one"), "2");
    assert_eq!(place.outcome(OWNER, "counts one"), "3");
    stays.tell("enough");
    stays.succeeds();
    for name in names(&place.stores) {
        assert_eq!(place.stores.join(&name).metadata().unwrap().mode() & 0o777, 0o666, "{name}");
    }
    assert_eq!(place.outcome(OTHER, "counts one"), "4");
    drop(place.folder);
}

/// A reader of another user makes files beside the store that the owner cannot write. Then the owner is told; nothing is taken
/// that is not stored.
#[test]
fn what_a_foreign_reader_left_behind_is_told_to_the_owner() {
    let Some(place) = Place::new(OWNER, 0o777).map(Place::with_store) else { return };
    set_mode(&place.store(), 0o644);
    let mut reader = place.start(OTHER, "reads and stays");
    assert_eq!(reader.wait_for("outcome: "), "1");
    reader.kill();
    let outcome = place.outcome(OWNER, "counts one");
    println!("the owner: {outcome}; beside: {:?}", names(&place.stores));
    if outcome != "2" {
        assert!(outcome.starts_with("ReadOnly"), "{outcome}");
        assert!(outcome.contains("permission"), "{outcome}");
    }
}
