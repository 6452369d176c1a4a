//! `headcount backup`.

use std::fs;
use std::process::Command;

use rusqlite::Connection;

use crate::bench::{Bench, Ran, without_freshness};

#[test]
fn a_backup_answers_as_the_store_does_and_is_never_overwritten() {
    let bench = Bench::with_events();
    let document = bench.json(&["backup", "copy.db"]);
    assert_eq!(document["file"], "copy.db");
    assert_eq!(document["bytes"], fs::metadata(bench.path("copy.db")).unwrap().len());
    let ask = |store: &str| without_freshness(bench.json(&["query", "issue_created", "--store", store]));
    assert_eq!(ask("copy.db"), ask("headcount.db"));
    let before = fs::read(bench.path("copy.db")).unwrap();
    let ran = bench.run(&["backup", "copy.db", "--json"]);
    assert_eq!((ran.code, ran.error().0.as_str()), (2, "usage"));
    assert_eq!(fs::read(bench.path("copy.db")).unwrap(), before);
    assert_eq!(bench.run(&["backup", "no/such/copy.db"]).code, 1);
}

#[test]
fn a_backup_that_is_interrupted_leaves_nothing() {
    let bench = Bench::with_events();
    let store = Connection::open(bench.path("headcount.db")).unwrap();
    let large = "CREATE TABLE large AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 16000)
        SELECT randomblob(4000) AS bytes FROM n";
    store.execute_batch(large).unwrap();
    drop(store);
    let names = || {
        let names = fs::read_dir(bench.path("")).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with("copy.db")).collect::<Vec<_>>()
    };
    let mut child = bench.command(&["backup", "copy.db", "--json"]).spawn().unwrap();
    while names().is_empty() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    assert!(Command::new("kill").arg("-INT").arg(child.id().to_string()).status().unwrap().success());
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.error().0.as_str()), (130, "interrupted"));
    assert_eq!(names(), [""; 0]);
    assert_eq!(bench.run(&["backup", "copy.db"]).code, 0);
}

#[test]
fn a_damaged_store_exits_with_five_and_leaves_no_copy() {
    let bench = Bench::with_events();
    let connection = Connection::open(bench.path("headcount.db")).unwrap();
    connection.execute_batch("UPDATE ledger SET count = count + 1").unwrap();
    let ran = bench.run(&["backup", "copy.db", "--json"]);
    assert_eq!((ran.code, ran.error().0.as_str()), (5, "store_damaged"));
    assert!(!bench.path("copy.db").exists());
}
