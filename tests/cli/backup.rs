//! `headcount backup`.

use std::fs;

use rusqlite::Connection;

use crate::bench::{Bench, without_freshness};

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
fn a_damaged_store_exits_with_five_and_leaves_no_copy() {
    let bench = Bench::with_events();
    let connection = Connection::open(bench.path("headcount.db")).unwrap();
    connection.execute_batch("UPDATE ledger SET count = count + 1").unwrap();
    let ran = bench.run(&["backup", "copy.db", "--json"]);
    assert_eq!((ran.code, ran.error().0.as_str()), (5, "store_damaged"));
    assert!(!bench.path("copy.db").exists());
}
