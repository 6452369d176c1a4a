//! Restoring: the old store or the new one, whatever happens, and never the log of one beside the file of the other.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "the helpers of tests may fail as tests do, and a child speaks on stdout"
)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use headcount::{
    Consent, DataCategory, Definitions, DeliveryOutcome, Depth, ErrorKind, Event, EventDefinition, Existing,
    IsoWeek, KeptWeek, ManualClock, Mode, Ping, Query, Reader, RestoredSending, Store, Timestamp, Upkeep,
};

use common::dump;

/// The variable that makes the test `a_child` a child: the folder in which it restores.
const FOLDER: &str = "HEADCOUNT_TEST_CHILD_FOLDER";

fn open(path: &Path) -> Store {
    let viewed = EventDefinition::new("viewed").identifier("user");
    let definitions = Definitions::new().event(viewed).unwrap();
    Store::builder(path).definitions(definitions).mode(Mode::Inline).open().unwrap()
}

fn track(store: &Store, events: u32) {
    for user in 0..events {
        store.tracker().track(Event::new("viewed").user(user));
    }
    store.flush().unwrap();
}

fn viewed(path: &Path) -> Option<u64> {
    Reader::open(path).unwrap().value(&Query::total("viewed")).unwrap().count()
}

/// A store with 3 events and its backup with 2.
fn store_and_backup(folder: &Path) -> (PathBuf, PathBuf) {
    let (path, backup) = (folder.join("usage.db"), folder.join("backup.db"));
    let store = open(&path);
    track(&store, 2);
    store.reader().backup(&backup).unwrap();
    track(&store, 1);
    (path, backup)
}

#[test]
fn a_restored_store_has_every_row_of_its_backup_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backup) = store_and_backup(folder.path());
    let error = Upkeep::restore(&backup, &path, Existing::Refuse).unwrap_err();
    assert_eq!((error.kind(), viewed(&path)), (ErrorKind::Usage, Some(3)));
    let restored = Upkeep::restore(&backup, &path, Existing::SetAside).unwrap();
    assert_eq!(dump(&path), dump(&backup));
    assert_eq!(viewed(&restored.set_aside.unwrap()), Some(3));
    track(&open(&path), 5);
    assert_eq!((viewed(&path), viewed(&backup)), (Some(7), Some(2)));
    assert!(Reader::open(&path).unwrap().check(Depth::Plain).unwrap().is_sound());
}

#[test]
fn a_program_that_has_the_old_store_open_notices_and_leaves_the_new_one_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backup) = store_and_backup(folder.path());
    let old = open(&path);
    track(&old, 4);
    let restored = Upkeep::restore(&backup, &path, Existing::SetAside).unwrap();
    let new = open(&path);
    track(&new, 10);
    old.tracker().track(Event::new("viewed").user(1));
    assert_eq!(old.flush().unwrap_err().kind(), ErrorKind::StoreReplaced);
    let _ = old.close();
    // The last connection to the old file removes the log that it knows by name, unless it is told not to.
    drop(old);
    assert!(folder.path().join("usage.db-wal").exists());
    track(&new, 10);
    drop(new);
    assert_eq!(viewed(&path), Some(22));
    assert_eq!(viewed(&restored.set_aside.unwrap()), Some(7));
}

#[test]
fn a_damaged_store_is_set_aside_with_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backup) = store_and_backup(folder.path());
    let (file, log) = (vec![0x5a; 20_000], vec![0xa5; 9_000]);
    std::fs::write(&path, &file).unwrap();
    std::fs::write(folder.path().join("usage.db-wal"), &log).unwrap();
    let aside = Upkeep::restore(&backup, &path, Existing::SetAside).unwrap().set_aside.unwrap();
    assert_eq!(viewed(&path), Some(2));
    assert_eq!(std::fs::read(&aside).unwrap(), file);
    assert_eq!(std::fs::read(format!("{}-wal", aside.display())).unwrap(), log);
}

/// A copy is no file in WAL mode before it is first written to: whoever ends while it becomes one leaves a journal beside it, which is to
/// be rolled back before anybody can read.
#[test]
fn a_store_whose_first_writer_ended_too_early_opens_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backup) = store_and_backup(folder.path());
    for is_read in [true, false] {
        let half = folder.path().join(format!("half-{is_read}.db"));
        let connection = rusqlite::Connection::open(&backup).unwrap();
        // So small that pages go to the file before the transaction ends.
        connection.execute_batch("PRAGMA cache_size = 1; BEGIN IMMEDIATE; UPDATE counts SET count = 99; UPDATE ledger SET count = 99;
            CREATE TABLE filler (bytes BLOB); INSERT INTO filler SELECT zeroblob(20000) FROM counts").unwrap();
        for suffix in ["", "-journal"] {
            let name = |path: &Path| format!("{}{suffix}", path.display());
            std::fs::copy(name(&backup), name(&half)).unwrap();
        }
        connection.execute_batch("ROLLBACK").unwrap();
        drop(connection);
        if is_read {
            assert_eq!(viewed(&half), Some(2));
            assert!(Reader::open(&half).unwrap().check(Depth::Plain).unwrap().is_sound());
        } else {
            track(&open(&half), 3);
            assert_eq!(viewed(&half), Some(5));
        }
    }
    assert_eq!(viewed(&path), Some(3));
}

/// Does nothing, unless another test of this file has started it as a process of its own.
#[test]
fn a_child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let (path, backup) = (Path::new(&folder).join("usage.db"), Path::new(&folder).join("backup.db"));
    for number in 0.. {
        println!("begin {number}");
        std::io::stdout().flush().unwrap();
        Upkeep::restore(&backup, &path, Existing::SetAside).unwrap();
    }
}

#[test]
fn a_restore_that_is_killed_leaves_the_old_store_or_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = store_and_backup(folder.path());
    for round in 0_u32..12 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_child", "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while lines.next().unwrap().unwrap() != "begin 1" {}
        // Somewhere within the next ones; wherever that is, what follows must hold.
        std::thread::sleep(Duration::from_millis(u64::from(round) * 3));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(Reader::open(&path).unwrap().check(Depth::Plain).unwrap().is_sound());
        assert_eq!(viewed(&path), Some(2));
    }
    let mut counts = Vec::new();
    for entry in folder.path().read_dir().unwrap() {
        let name = entry.unwrap().path();
        let text = name.to_str().unwrap();
        if text.contains(".replaced-") && !text.ends_with("-wal") && !text.ends_with("-shm") {
            counts.push(viewed(&name));
        }
    }
    // The first one is kept, however often others took its place.
    assert_eq!(counts.iter().filter(|count| **count == Some(3)).count(), 1, "{counts:?}");
}

/// The operator's last word holds, and where nobody can say what it was nothing leaves.
#[test]
fn a_backup_permits_nothing_that_was_taken_back_since() {
    let (a, b) = ("https://a.example/pings", "https://b.example/pings");
    let off = Consent::default;
    let on = |url: &str| Consent::default().send_to(url);
    let narrow = |consent: Consent| consent.without(DataCategory::Optional).suppress_below(7);
    let off_at = |url: &str| on(url).without_sending();
    for (backed_up, at_the_place, expected, sending) in [
        (on(a), Some(off_at(a)), off_at(a), RestoredSending::TurnedOff),
        (on(a), Some(on(b)), off_at(a), RestoredSending::TurnedOff),
        (on(a), None, off_at(a), RestoredSending::TurnedOff),
        (on(a), Some(on(a)), on(a), RestoredSending::On),
        (on(a), Some(narrow(on(a))), narrow(on(a)), RestoredSending::On),
        (narrow(on(a)), Some(on(a)), narrow(on(a)), RestoredSending::On),
        (off(), Some(on(a)), off(), RestoredSending::Off),
        (off(), Some(narrow(on(a))), narrow(off()), RestoredSending::Off),
        (narrow(off()), None, narrow(off()), RestoredSending::Off),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (path, backup) = (folder.path().join("usage.db"), folder.path().join("backup.db"));
        let store = open(&path);
        store.ping().set_consent(&backed_up).unwrap();
        store.reader().backup(&backup).unwrap();
        match &at_the_place {
            Some(consent) => store.ping().set_consent(consent).unwrap(),
            None => {
                drop(store);
                std::fs::rename(&path, folder.path().join("elsewhere.db")).unwrap();
            }
        }
        let before = std::fs::read(&backup).unwrap();
        let restored = Upkeep::restore(&backup, &path, Existing::SetAside).unwrap();
        assert_eq!(restored.sending, sending, "{backed_up:?} {at_the_place:?}");
        assert_eq!(Ping::of(&Reader::open(&path).unwrap()).consent().unwrap(), expected);
        assert!(Reader::open(&path).unwrap().check(Depth::Plain).unwrap().is_sound());
        assert_eq!(std::fs::read(&backup).unwrap(), before);
        let left = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = left.filter(|name| name.to_str().unwrap().contains("unfinished")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// What lies at the place says nothing.
#[test]
fn sending_is_off_where_a_damaged_store_was() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backup) = (folder.path().join("usage.db"), folder.path().join("backup.db"));
    let store = open(&path);
    store.ping().set_consent(&Consent::default().send_to("https://a.example/")).unwrap();
    store.reader().backup(&backup).unwrap();
    drop(store);
    std::fs::write(&path, vec![0x5a; 20_000]).unwrap();
    let restored = Upkeep::restore(&backup, &path, Existing::SetAside).unwrap();
    assert_eq!(restored.sending, RestoredSending::TurnedOff);
    assert!(!Ping::of(&Reader::open(&path).unwrap()).consent().unwrap().sends());
}

/// Whoever has the ping of a week, or was to have none, gets no second one.
#[test]
fn what_became_of_pings_since_the_backup_is_not_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backup) = (folder.path().join("usage.db"), folder.path().join("backup.db"));
    let clock = ManualClock::new(Timestamp::parse("2026-10-26T09:00:00Z").unwrap());
    let definitions = Definitions::new().event(EventDefinition::new("viewed")).unwrap();
    let store = Store::builder(&path).definitions(definitions).clock(clock.clone()).open().unwrap();
    let ping = store.ping();
    let make = || {
        let week = ping.generate().unwrap().week;
        clock.set(clock.now().plus_seconds(7 * 86_400));
        week
    };
    // Weeks are counted from that of 1970-01-01, a Thursday.
    let number = |week: IsoWeek| (week.start().unix_seconds() + 3 * 86_400) / (7 * 86_400);
    let change = |sql: &str, week: IsoWeek| {
        let store = rusqlite::Connection::open(&path).unwrap();
        assert_eq!(store.execute(sql, [number(week)]).unwrap(), 1);
    };
    ping.set_consent(&Consent::default().send_to("http://127.0.0.1:9/")).unwrap();
    let [carried, forgotten, sent, damaged, removed, waiting] = std::array::from_fn(|_| make());
    store.reader().backup(&backup).unwrap();
    ping.mark_carried(&[carried]).unwrap();
    ping.forget(forgotten).unwrap();
    change(
        "UPDATE pings SET outcome = 'sent', attempts = 1, status = 200, response = 'yes' WHERE week = ?1",
        sent,
    );
    change("UPDATE pings SET outcome = 'sent', document = document || 'x' WHERE week = ?1", damaged);
    change("DELETE FROM pings WHERE week = ?1", removed);
    let (later, later_damaged) = (make(), make());
    ping.mark_carried(&[later]).unwrap();
    change("UPDATE pings SET document = document || 'x' WHERE week = ?1", later_damaged);
    let (stood, before) = (ping.weeks().unwrap(), std::fs::read(&backup).unwrap());
    let of = |weeks: &[KeptWeek], week| weeks.iter().find(|kept| kept.week == week).cloned();
    let restored = Upkeep::restore(&backup, &path, Existing::SetAside).unwrap();
    assert_eq!(restored.sending, RestoredSending::On);
    let aside = Ping::of(&Reader::open(restored.set_aside.unwrap()).unwrap());
    let reader = Reader::open(&path).unwrap();
    assert!(reader.check(Depth::Deep).unwrap().is_sound());
    let (old, new) = (Ping::of(&Reader::open(&backup).unwrap()), Ping::of(&reader));
    let weeks = new.weeks().unwrap();
    for week in [carried, forgotten, sent, waiting, later] {
        assert_eq!(of(&weeks, week), of(&stood, week));
        assert_eq!(new.kept(week).unwrap(), aside.kept(week).unwrap());
    }
    let mended = new.kept(damaged).unwrap().unwrap();
    assert_eq!(mended.delivery.outcome, DeliveryOutcome::Sent);
    assert_eq!(mended.document, old.kept(damaged).unwrap().unwrap().document);
    assert_eq!(of(&weeks, later_damaged).unwrap().delivery.outcome, DeliveryOutcome::Forgotten);
    assert_eq!(std::fs::read(&backup).unwrap(), before);
    let sends =
        "SELECT week FROM pings WHERE outcome = 'kept' AND agreement = (SELECT agreement FROM consent)";
    let connection = rusqlite::Connection::open(&path).unwrap();
    let goes: i64 = connection.query_row(sends, [], |row| row.get(0)).unwrap();
    assert_eq!(goes, number(waiting), "and not what may have been sent and removed");
    assert!(new.kept(removed).unwrap().is_some());
    // What is further in the backup stays so.
    drop((connection, reader, new, ping, store));
    let latest = folder.path().join("latest.db");
    Reader::open(&path).unwrap().backup(&latest).unwrap();
    let behind = folder.path().join("behind.db");
    Upkeep::restore(&backup, &behind, Existing::Refuse).unwrap();
    Upkeep::restore(&latest, &behind, Existing::SetAside).unwrap();
    let again = Ping::of(&Reader::open(&behind).unwrap()).weeks().unwrap();
    for week in [carried, forgotten, sent, later] {
        assert_eq!(of(&again, week), of(&weeks, week));
    }
}
