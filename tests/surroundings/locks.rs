//! A store that another process keeps locked.

use std::path::Path;
use std::time::{Duration, Instant};

use headcount::{Error, ErrorKind, Stats};
use rusqlite::{Connection, OpenFlags};

use crate::common::child::{Child, say};
use crate::common::figures::figure;
use crate::{FILE, open, total, track};

/// How long a transaction waits for others, at the least; each wait is a little longer than it says.
const DEADLINE: Duration = Duration::from_secs(9);

/// Holds the lock for writing until the parent says something.
pub(crate) fn child(path: &Path) {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    say("locked");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    connection.execute_batch("COMMIT").unwrap();
    say("unlocked");
}

fn lock(path: &Path) -> Child {
    let mut child = Child::start("locks", &[(FILE, path.to_str().unwrap())]);
    child.wait_for("locked");
    child
}

fn assert_busy(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::StoreBusy, "{error}");
}

fn assert_all_stored(stats: &Stats, events: u64) {
    assert_eq!((stats.accepted, stats.stored, stats.queued, stats.lost), (events, events, 0, 0));
}

/// 3 seconds, or the 20 of which the second half is past the deadline.
#[test]
fn a_lock_held_for_seconds_delays_flushes_and_opens_and_loses_nothing() {
    let held = Duration::from_secs(figure(3, 20));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let store = open(&path).unwrap();
    track(&store, 10);
    store.flush().unwrap();
    let mut locker = lock(&path);
    let began = Instant::now();
    std::thread::scope(|scope| {
        track(&store, 5);
        let flush = scope.spawn(|| store.flush());
        let opening = scope.spawn(|| open(&path));
        while began.elapsed() < held {
            // Callers and answers wait for nothing.
            track(&store, 1);
            assert_eq!(total(store.reader()).unwrap(), 10);
            std::thread::sleep(Duration::from_millis(20));
        }
        let is_patient = held < DEADLINE;
        assert_eq!(flush.is_finished(), !is_patient);
        assert_eq!(opening.is_finished(), !is_patient);
        locker.tell("enough");
        let (flushed, opened) = (flush.join().unwrap(), opening.join().unwrap());
        if is_patient {
            flushed.unwrap();
            opened.unwrap().close().unwrap();
        } else {
            assert_busy(&flushed.unwrap_err());
            assert_busy(&opened.unwrap_err());
        }
    });
    locker.succeeds();
    store.flush().unwrap();
    let offered = store.stats().accepted;
    assert!(offered > 15);
    assert_eq!(total(store.reader()).unwrap(), offered);
    assert_all_stored(&store.close().unwrap(), offered);
}

#[test]
fn past_the_deadline_a_flush_and_an_open_say_that_the_store_is_busy_and_the_events_stay() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let store = open(&path).unwrap();
    let mut locker = lock(&path);
    track(&store, 7);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let opening = scope.spawn(|| open(&path).map(drop));
        assert_busy(&store.flush().unwrap_err());
        let waited = began.elapsed();
        assert!(waited >= DEADLINE, "gave up after {waited:?}");
        println!("a flush gave up after {waited:?}");
        let refused = opening.join().unwrap().unwrap_err();
        assert_busy(&refused);
    });
    assert_eq!((store.stats().queued, store.stats().lost), (7, 0));
    locker.tell("enough");
    locker.succeeds();
    store.flush().unwrap();
    assert_eq!(total(store.reader()).unwrap(), 7);
    assert_all_stored(&store.close().unwrap(), 7);
}

#[test]
fn closing_a_locked_store_gives_up_in_time_and_counts_what_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let store = open(&path).unwrap();
    track(&store, 2);
    store.flush().unwrap();
    let mut locker = lock(&path);
    track(&store, 3);
    let refused = store.close_within(Duration::from_millis(100)).unwrap_err();
    assert!(refused.to_string().contains("lost 3 events"), "{refused}");
    let stats = store.stats();
    assert_eq!((stats.accepted, stats.stored, stats.lost), (5, 2, 3));
    drop(store);
    locker.tell("enough");
    locker.succeeds();
    // The commit that was given up may have been waiting still; what it does is all or nothing.
    let found = total(&headcount::Reader::open(&path).unwrap()).unwrap();
    assert!(found == 2 || found == 5, "{found}");
}
