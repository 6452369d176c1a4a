//! The bench itself bites: what it would have to find is put there, and must be found.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops where it is wrong")]

use std::path::Path;
use std::time::{Duration, Instant};

use headcount_faults::disk::{Disk, Fault, Kind};
use headcount_faults::model::{Model, Tables};
use headcount_faults::oracle;
use headcount_faults::run::{Expected, Session, scratch, sees_own_syncs, session_after, store_in};
use headcount_faults::workload::{ALL, State, Workload};
use rusqlite::{ErrorCode, TransactionBehavior};

/// SQLite would wait so long for a lock, if waiting helped.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// What does not wait takes less.
const AT_ONCE: Duration = Duration::from_secs(2);

fn workload(name: &str) -> &'static Workload {
    ALL.iter().find(|workload| workload.name == name).unwrap()
}

/// What the tables have after the first step failed although it was applied, after `between`, and after it was done again.
fn applied_and_repeated(name: &str, between: impl Fn(&Path)) -> (Tables, Tables) {
    let workload = workload(name);
    let folder = scratch().unwrap();
    let path = folder.path().canonicalize().unwrap();
    (workload.prepare)(&path).unwrap();
    let disk = Disk::watch(&path);
    let mut session = Session::new(&path, Some(&disk), 0);
    session.store().unwrap();
    disk.fail(Fault { kind: Kind::Applied, at: 1, calls: 1 });
    (workload.step)(&mut session, 0).expect_err("the first commit fails");
    assert_eq!(disk.heal(), 1);
    let tables = || oracle::tables(&oracle::plain(&store_in(&path)).unwrap()).unwrap();
    let applied = tables();
    between(&store_in(&path));
    // It goes on with what it has in memory, and says that something is wrong when it asks for the totals.
    let _ = (workload.step)(&mut session, 0);
    (applied, tables())
}

fn plain_sql(store: &Path, sql: &str) {
    assert!(oracle::plain(store).unwrap().execute(sql, []).unwrap() > 0, "{sql}: nothing to do");
}

#[test]
fn a_commit_that_failed_and_was_applied_is_repeated_without_harm() {
    for name in ["flush", "import"] {
        let State::Holds(model) = (workload(name).state)(1) else { panic!("{name} holds nothing") };
        let expected = model.tables();
        let (applied, repeated) = applied_and_repeated(name, |_| {});
        assert_eq!(applied, expected, "{name}: the commit was applied");
        assert_eq!(repeated, expected, "{name}: and counts once");
    }
}

#[test]
fn without_the_number_of_the_producer_it_counts_twice() {
    let (applied, repeated) =
        applied_and_repeated("flush", |store| plain_sql(store, "DELETE FROM producers"));
    let total = |tables: &Tables| tables.counts[&(0, "opened".to_owned())];
    println!("without the producer's number: {} events became {}", total(&applied), total(&repeated));
    assert_eq!(total(&repeated), 2 * total(&applied));
}

#[test]
fn without_the_offset_of_the_source_it_counts_twice() {
    let (applied, repeated) = applied_and_repeated("import", |store| plain_sql(store, "DELETE FROM sources"));
    let total = |tables: &Tables| tables.counts[&(0, "opened".to_owned())];
    println!("without the source's offset: {} events became {}", total(&applied), total(&repeated));
    assert_eq!(total(&repeated), 2 * total(&applied));
}

#[test]
fn one_count_too_many_is_seen() {
    let flush = workload("flush");
    let expected = Expected::of(flush);
    let folder = scratch().unwrap();
    let path = folder.path().canonicalize().unwrap();
    (flush.prepare)(&path).unwrap();
    session_after(flush, &path, None, 0).run(flush).unwrap();
    assert_eq!(expected.steps_of(&path, flush.steps), Ok(flush.steps));
    // In all rows of one event at once, and where the ledger says it too, the laws of the store hold.
    for sql in ["UPDATE counts SET count = count + 1 WHERE series = (SELECT id FROM series WHERE key = 'paid')
                 AND bucket IN (0, (SELECT max(bucket) FROM counts), (SELECT max(bucket) FROM counts WHERE bucket < 2 << 40))",
        "UPDATE ledger SET count = count + 1 WHERE entry = 'stored'"] {
        plain_sql(&store_in(&path), sql);
        let seen = expected.steps_of(&path, flush.steps);
        assert!(seen.is_err(), "{seen:?}");
    }
}

#[test]
fn a_deferred_transaction_beside_a_store_meets_busy() {
    let folder = scratch().unwrap();
    let mut session = Session::new(folder.path(), None, 0);
    let store = session.store().unwrap();
    let mut beside = oracle::plain(&store_in(folder.path())).unwrap();
    beside.busy_timeout(BUSY_TIMEOUT).unwrap();
    let count_one = "UPDATE ledger SET count = count + 1";
    for (number, behavior) in
        [TransactionBehavior::Deferred, TransactionBehavior::Immediate].into_iter().enumerate()
    {
        session.track(number).unwrap();
        let began = Instant::now();
        let transaction = beside.transaction_with_behavior(behavior).unwrap();
        let _: i64 = transaction.query_row("SELECT count(*) FROM ledger", [], |row| row.get(0)).unwrap();
        if matches!(behavior, TransactionBehavior::Deferred) {
            store.flush().unwrap();
            let error = transaction.execute(count_one, []).unwrap_err();
            println!("a deferred transaction: {error}, after {:?}", began.elapsed());
            assert_eq!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy), "{error}");
            assert!(began.elapsed() < AT_ONCE, "waiting does not help it");
        } else {
            // The store's own flush waits for it, and it for nobody.
            std::thread::scope(|scope| {
                let flush = scope.spawn(|| store.flush());
                transaction.execute(count_one, []).unwrap();
                transaction.rollback().unwrap();
                flush.join().unwrap().unwrap();
            });
        }
    }
    assert_eq!(oracle::tables(&beside).unwrap(), Model::tracked(2).tables());
}

#[test]
fn the_bench_sees_what_the_program_syncs_itself() {
    assert!(sees_own_syncs());
}
