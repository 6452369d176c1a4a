//! Backups: one moment of a store, whole or not at all.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "the helpers of tests may fail as tests do, and a child speaks on stdout"
)]

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use headcount::{
    Definitions, Depth, ErrorKind, Event, EventDefinition, ManualClock, Mode, Query, Reader, Rule, Store,
    Timestamp, Upkeep,
};
use rusqlite::Connection;

use common::{Chance, connect, contents, counted, dump, ledger};

/// The variable that makes the test `a_child` a child: the folder in which it backs up.
const FOLDER: &str = "HEADCOUNT_TEST_CHILD_FOLDER";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn definitions() -> Definitions {
    let viewed = EventDefinition::new("viewed").identifier("user").label().value();
    Definitions::new().event(viewed).unwrap()
}

fn opened(builder: headcount::Builder) -> Store {
    builder
        .definitions(definitions())
        .clock(ManualClock::new(at("2026-11-22T12:00:00Z")))
        .record(Rule::unique("viewed", "user"))
        .record(Rule::sum("viewed"))
        .record(Rule::per_value("viewed", "label"))
        .flush_every(Duration::from_millis(1))
        .open()
        .unwrap()
}

fn track(store: &Store, chance: &mut Chance, events: u32) {
    for _ in 0..events {
        let event = Event::new("viewed").user(chance.below(20_000)).value(0.25);
        let back = i64::try_from(chance.below(500_000)).unwrap();
        let label = format!("label-{}", chance.below(50));
        store.tracker().track(event.label(&label).at(at("2026-11-22T12:00:00Z").plus_seconds(-back)));
    }
}

/// All names but those of the log of a store, which readers must leave.
fn names(folder: &Path) -> BTreeSet<String> {
    let names = folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !["usage.db-wal", "usage.db-shm"].contains(&name.as_str())).collect()
}

/// A store on disk with three thousand events, closed.
fn store_file(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("usage.db");
    let store = opened(Store::builder(&path));
    track(&store, &mut Chance::new(1), 3_000);
    store.close().unwrap();
    path
}

#[test]
fn a_backup_while_four_threads_track_is_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let store = opened(Store::builder(&path));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (store, is_over) = (&store, &is_over);
            scope.spawn(move || {
                let mut chance = Chance::new(thread);
                while !is_over.load(Ordering::Relaxed) {
                    track(store, &mut chance, 100);
                    store.flush().unwrap();
                }
            });
        }
        let other = Reader::open(&path).unwrap();
        for number in 0..12 {
            let copy = folder.path().join(format!("{number}.db"));
            let before = counted(&connect(&path));
            let reader = if number % 2 == 0 { store.reader() } else { &other };
            let made = reader.backup(&copy);
            let after = counted(&connect(&path));
            let is_one = made.as_ref().is_ok_and(|backup| {
                let stored = ledger(&copy).get("stored").copied().unwrap_or_default();
                let counted = counted(&connect(&copy));
                let check = Reader::open(&copy).unwrap().check(Depth::Deep).unwrap();
                backup.check.is_sound()
                    && check.is_sound()
                    && check.rows == backup.check.rows
                    && backup.bytes == copy.metadata().unwrap().len()
                    && counted == stored
                    && (before..=after).contains(&counted)
            });
            if !is_one {
                is_over.store(true, Ordering::Relaxed);
                panic!("backup {number} is not one moment: {made:?}");
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    store.close().unwrap();
}

#[test]
fn a_backup_has_every_row_and_is_private_and_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = store_file(folder.path());
    Upkeep::open(&path).unwrap().mark("v1").unwrap();
    let copy = folder.path().join("copy.db");
    let backup = Reader::open(&path).unwrap().backup(&copy).unwrap();
    assert_eq!(dump(&copy), dump(&path));
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!((copy.metadata().unwrap().nlink(), copy.metadata().unwrap().len()), (1, backup.bytes));
    assert_eq!(names(folder.path()), BTreeSet::from(["copy.db", "usage.db"].map(str::to_owned)));
}

#[test]
fn a_store_in_memory_is_backed_up_and_goes_on_as_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    let store = opened(Store::builder_in_memory());
    let log = "{\"event\":\"viewed\",\"time\":\"2026-11-20T10:00:00Z\",\"user\":1}\n";
    store.import("access.log", log.repeat(10).as_bytes()).unwrap();
    store.mark("v1").unwrap();
    assert!(store.reader().backup(&copy).unwrap().check.is_sound());
    // It counts on where it was: the import after its offset, events beside those that there are.
    let store = opened(Store::builder(&copy));
    let report = store.import("access.log", log.repeat(15).as_bytes()).unwrap();
    assert_eq!((report.accepted, report.already_read), (5, 10));
    store.tracker().track(Event::new("viewed").user(2));
    store.flush().unwrap();
    assert_eq!(store.value(&Query::total("viewed")).unwrap().count(), Some(16));
    assert_eq!(store.value(&Query::unique("viewed", "user")).unwrap().count(), Some(2));
    assert_eq!(store.reader().find_mark("v1").unwrap().at, at("2026-11-22T12:00:00Z"));
    assert!(store.reader().check(Depth::Plain).unwrap().is_sound());
    let mode: String =
        Connection::open(&copy).unwrap().pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

#[test]
fn a_target_that_cannot_be_is_named_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = store_file(folder.path());
    let inside = |name: &str| folder.path().join(name);
    std::fs::write(inside("taken"), "text").unwrap();
    std::fs::create_dir(inside("folder")).unwrap();
    std::os::unix::fs::symlink("nowhere", inside("dangling")).unwrap();
    let before = names(folder.path());
    let reader = Reader::open(&path).unwrap();
    for (target, kind, words) in [
        ("taken", ErrorKind::Usage, "it exists already"),
        ("folder", ErrorKind::Usage, "it exists already"),
        ("dangling", ErrorKind::Usage, "it exists already"),
        ("usage.db", ErrorKind::Usage, "it exists already"),
        ("missing/copy.db", ErrorKind::Io, "there is no folder"),
        ("taken/copy.db", ErrorKind::Io, "there is no folder"),
    ] {
        let error = reader.backup(inside(target)).unwrap_err();
        let message = error.to_string();
        assert!(error.kind() == kind && message.contains(words), "{target}: {error:?}");
        assert!(message.starts_with(inside(target).to_str().unwrap()), "{message}");
        assert_eq!(names(folder.path()), before, "{target}");
    }
    assert_eq!(std::fs::read(inside("taken")).unwrap(), b"text");
    // Names that end in nothing.
    for target in [String::new(), format!("{}/", inside("missing").display())] {
        assert!(reader.backup(&target).is_err(), "{target}");
        assert_eq!(names(folder.path()), before, "{target}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = store_file(folder.path());
    let closed = folder.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o500)).unwrap();
    if std::fs::write(closed.join("probe"), "").is_ok() {
        println!("skipped: permissions do not bind this user");
        return;
    }
    let error = Reader::open(&path).unwrap().backup(closed.join("copy.db")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ReadOnly);
    assert!(names(&closed).is_empty());
}

#[test]
fn a_damaged_store_has_no_backup() {
    for sql in [
        "UPDATE counts SET count = count + 1 WHERE bucket = 0",
        "UPDATE sketches SET blob = substr(blob, 1, 50) WHERE bucket = (SELECT min(bucket) FROM sketches)",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = store_file(folder.path());
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let error = Reader::open(&path).unwrap().backup(folder.path().join("copy.db")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StoreDamaged);
        assert!(error.to_string().contains("series `viewed"), "{error}");
        assert_eq!(names(folder.path()), BTreeSet::from(["usage.db".to_owned()]));
    }
    // Pages that cannot be read end the copy itself.
    let folder = tempfile::tempdir().unwrap();
    let path = store_file(folder.path());
    let root: usize = Connection::open(&path)
        .unwrap()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'counts'", [], |row| row.get::<_, i64>(0))
        .map(|page| usize::try_from(page).unwrap())
        .unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[(root - 1) * 4_096..root * 4_096].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    let error = Reader::open(&path).unwrap().backup(folder.path().join("copy.db")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreDamaged, "{error}");
    assert_eq!(names(folder.path()), BTreeSet::from(["usage.db".to_owned()]));
}

#[test]
fn of_many_that_back_up_to_one_name_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let path = store_file(folder.path());
    let copy = folder.path().join("copy.db");
    let made = std::thread::scope(|scope| {
        let run = || Reader::open(&path).unwrap().backup(&copy);
        let running: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1);
    for error in made.into_iter().filter_map(Result::err) {
        assert!(error.kind() == ErrorKind::Usage && error.to_string().contains("already"), "{error}");
    }
    assert_eq!(contents(&copy), contents(&path));
    assert_eq!(names(folder.path()), BTreeSet::from(["copy.db", "usage.db"].map(str::to_owned)));
}

/// Does nothing, unless another test of this file has started it as a process of its own.
#[test]
fn a_child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let reader = Reader::open(Path::new(&folder).join("usage.db")).unwrap();
    for number in 0.. {
        println!("begin {number}");
        std::io::stdout().flush().unwrap();
        reader.backup(Path::new(&folder).join(format!("{number}.db"))).unwrap();
    }
}

#[test]
fn a_backup_that_is_killed_has_no_name_or_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let store = opened(Store::builder_in_memory());
    track(&store, &mut Chance::new(2), 30_000);
    store.flush().unwrap();
    store.reader().backup(&path).unwrap();
    for round in 0_u32..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_child", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while lines.next().unwrap().unwrap() != "begin 1" {}
        // Somewhere within the second backup; wherever that is, what follows must hold.
        std::thread::sleep(Duration::from_millis(u64::from(round) * 4));
        child.kill().unwrap();
        child.wait().unwrap();
        for name in names(folder.path()) {
            let file = folder.path().join(&name);
            if name.ends_with(".db") && name != "usage.db" {
                assert!(Reader::open(&file).unwrap().check(Depth::Plain).unwrap().is_sound(), "{name}");
                assert_eq!(contents(&file), contents(&path));
            }
            if name != "usage.db" {
                std::fs::remove_file(file).unwrap();
            }
        }
    }
}

#[test]
fn an_inline_store_is_backed_up_between_its_calls() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(Store::builder(folder.path().join("usage.db")).mode(Mode::Inline));
    for number in 1..4 {
        store.tracker().track(Event::new("viewed").user(number));
        store.flush().unwrap();
        let copy = folder.path().join(format!("{number}.db"));
        store.reader().backup(&copy).unwrap();
        assert_eq!(counted(&connect(&copy)), number);
    }
}
