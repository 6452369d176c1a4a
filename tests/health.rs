//! Health: what a store says of itself when its file fails, and that a program starts whatever the file is.
#![allow(clippy::unwrap_used, reason = "a test stops where it is wrong")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use headcount::{
    Builder, Definitions, ErrorKind, Event, EventDefinition, ManualClock, Mode, Query, Reader, Rule, Status,
    Store, Timestamp, TrackError,
};
use rusqlite::Connection;

const MODES: [Mode; 2] = [Mode::Background, Mode::Inline];
/// Nothing here takes longer, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

fn definitions() -> Definitions {
    Definitions::new().event(EventDefinition::new("viewed").identifier("user")).unwrap()
}

fn builder(path: &Path) -> Builder {
    Store::builder(path).definitions(definitions()).record(Rule::unique("viewed", "user"))
}

fn made(path: &Path) {
    builder(path).open().unwrap().close().unwrap();
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::yield_now();
    }
}

/// Every call of a disabled store answers, with the reason where there is something to say.
#[track_caller]
fn assert_disabled(store: &Store, kind: ErrorKind, named: &str) {
    let health = store.health();
    assert_eq!((health.status, health.oldest_unflushed), (Status::Disabled, None));
    let trouble = health.trouble.unwrap();
    assert_eq!(trouble.kind, kind, "{}", trouble.message);
    assert!(trouble.message.contains(named), "{}", trouble.message);
    let tracker = store.tracker();
    assert_eq!(tracker.try_track(Event::new("viewed").user(1)), Err(TrackError::Disabled));
    assert_eq!(tracker.event("viewed").unwrap().user(2).try_track(), Err(TrackError::Disabled));
    tracker.track(Event::new("viewed"));
    let stats = store.stats();
    assert_eq!((stats.offered, stats.accepted, stats.lost), (3, 0, 0));
    assert_eq!(stats.refused.get(&TrackError::Disabled), Some(&3));
    assert_eq!(store.flush().unwrap_err().kind(), kind);
    assert_eq!(store.value(&Query::total("viewed")).unwrap_err().kind(), kind);
    assert_eq!(store.mark("now").unwrap_err().kind(), kind);
    assert_eq!(store.import("source", &b"{}\n"[..]).unwrap_err().kind(), kind);
    assert_eq!(store.close().unwrap().offered, 3);
    assert_eq!(store.close().unwrap().offered, 3, "and again");
}

#[test]
fn a_store_that_cannot_be_opened_refuses_and_says_why() {
    for mode in MODES {
        let folder = tempfile::tempdir().unwrap();
        let named = |name: &str| folder.path().join(name);

        fs::write(named("empty.db"), "").unwrap();
        fs::write(named("other.db"), "no store, but a text of some length, as they lie around").unwrap();
        made(&named("newer.db"));
        Connection::open(named("newer.db")).unwrap().pragma_update(None, "user_version", 99).unwrap();
        made(&named("cut.db"));
        fs::OpenOptions::new().write(true).open(named("cut.db")).unwrap().set_len(5_000).unwrap();
        let cases = [
            ("empty.db", ErrorKind::StoreDamaged),
            ("other.db", ErrorKind::StoreDamaged),
            ("newer.db", ErrorKind::StoreNewer),
            ("cut.db", ErrorKind::StoreDamaged),
            ("no/folder/usage.db", ErrorKind::Io),
        ];
        for (name, kind) in cases {
            let store = builder(&named(name)).mode(mode).open_or_disabled().unwrap();
            assert_disabled(&store, kind, name);
        }
    }
}

#[test]
fn a_disabled_store_whose_definitions_are_in_the_damaged_file_takes_every_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    fs::write(&path, "damaged").unwrap();
    let store = Store::builder(&path).open_or_disabled().unwrap();
    assert_disabled(&store, ErrorKind::StoreDamaged, "usage.db");
    assert_eq!(fs::read(&path).unwrap(), b"damaged", "and leaves the file as it was");
}

#[test]
fn what_is_wrong_with_the_program_itself_is_an_error_also_then() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Store::builder(folder.path().join("usage.db")).open_or_disabled().unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Definitions);
    let undeclared = Store::builder(folder.path().join("usage.db"))
        .definitions(definitions())
        .record(Rule::unique("viewed", "planet"))
        .open_or_disabled()
        .unwrap_err();
    assert_eq!(undeclared.kind(), ErrorKind::Definitions);
}

#[test]
fn a_store_that_can_be_opened_is_not_disabled() {
    let folder = tempfile::tempdir().unwrap();
    let store = builder(&folder.path().join("usage.db")).open_or_disabled().unwrap();
    store.tracker().try_track(Event::new("viewed").user(1)).unwrap();
    store.flush().unwrap();
    assert_eq!(store.health().status, Status::Working);
}

/// What a store must do while `spoil` holds and after `mend`: fail, say so, keep all, and go on by itself.
fn fails_and_heals(mode: Mode, kind: ErrorKind, spoil: impl FnOnce(&Path), mend: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let clock = ManualClock::new(Timestamp::parse("2026-11-22T12:00:00Z").unwrap());
    let store =
        builder(&path).mode(mode).clock(clock.clone()).flush_every(Duration::from_millis(1)).open().unwrap();
    store.tracker().track(Event::new("viewed").user(1));
    store.flush().unwrap();
    assert_eq!((store.health().status, store.health().oldest_unflushed), (Status::Working, None));

    spoil(&path);
    store.tracker().track(Event::new("viewed").user(2));
    let error = store.flush().unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains("usage.db"), "{error}");
    let health = store.health();
    assert_eq!(health.status, Status::Failing);
    let trouble = health.trouble.unwrap();
    assert_eq!((trouble.kind, trouble.since), (kind, clock.now()));
    clock.advance(Duration::from_secs(100));
    store.flush().unwrap_err();
    assert_eq!(store.health().trouble.unwrap().since, trouble.since, "since it began");
    let waited = store.health().oldest_unflushed.unwrap();
    assert!(store.health().oldest_unflushed.unwrap() >= waited, "it grows");
    assert_eq!(store.stats().queued, 1);

    mend(&path);
    match mode {
        // By itself, without anybody asking.
        Mode::Background => wait_until("healing", || store.health().status == Status::Working),
        _ => store.flush().unwrap(),
    }
    wait_until("the event", || store.stats().stored == 2);
    assert_eq!((store.health().status, store.health().trouble), (Status::Working, None));
    assert_eq!(store.close().unwrap().stored, 2);
    let users = Reader::open(&path).unwrap().value(&Query::unique("viewed", "user")).unwrap();
    assert_eq!(users.count(), Some(2));
}

#[test]
fn a_store_whose_file_is_moved_away_fails_until_it_is_back() {
    let away = |path: &Path| path.with_extension("away");
    for mode in MODES {
        fails_and_heals(
            mode,
            ErrorKind::StoreReplaced,
            |path| fs::rename(path, away(path)).unwrap(),
            |path| fs::rename(away(path), path).unwrap(),
        );
    }
}

#[test]
fn a_store_in_whose_place_another_one_is_put_fails_until_it_is_back() {
    let away = |path: &Path| path.with_extension("away");
    let other = |path: &Path| path.with_file_name("other.db");
    for mode in MODES {
        fails_and_heals(
            mode,
            ErrorKind::StoreReplaced,
            |path| {
                made(&other(path));
                fs::rename(path, away(path)).unwrap();
                fs::rename(other(path), path).unwrap();
            },
            |path| fs::rename(away(path), path).unwrap(),
        );
    }
}

#[test]
fn answers_of_a_file_that_lost_its_name_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let store = builder(&path).open().unwrap();
    let reader = Reader::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    for reader in [store.reader(), &reader] {
        let error = reader.value(&Query::total("viewed")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StoreReplaced);
        assert_eq!(reader.backup(folder.path().join("b.db")).unwrap_err().kind(), ErrorKind::StoreReplaced);
    }
}

/// Without this the log of the store that is gone would be taken for that of the new one.
#[test]
fn a_store_made_where_one_was_deleted_begins_empty() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let gone = builder(&path).mode(Mode::Inline).open().unwrap();
    for user in 0..3_000 {
        gone.tracker().track(Event::new("viewed").user(user));
    }
    gone.flush().unwrap();
    fs::remove_file(&path).unwrap();
    let new = builder(&path).mode(Mode::Inline).open().unwrap();
    new.tracker().track(Event::new("viewed").user(1));
    new.flush().unwrap();
    gone.tracker().track(Event::new("viewed").user(7_000));
    assert_eq!(gone.flush().unwrap_err().kind(), ErrorKind::StoreReplaced);
    assert_eq!(gone.close().unwrap_err().kind(), ErrorKind::StoreReplaced);
    drop(gone);
    new.tracker().track(Event::new("viewed").user(2));
    new.flush().unwrap();
    drop(new);
    let reader = Reader::open(&path).unwrap();
    assert_eq!(reader.value(&Query::total("viewed")).unwrap().count(), Some(2));
    assert!(reader.check(headcount::Depth::Deep).unwrap().is_sound());
}
