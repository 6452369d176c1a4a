//! Stores that take a program to make them, or a second process to be in the way.

use std::thread;

use rusqlite::Connection;

use crate::bench::Bench;

/// Beside the sound store: one of another program, and one that keeps no definitions.
pub(crate) fn make(bench: &Bench) {
    let foreign = Connection::open(bench.path("foreign.db")).unwrap();
    foreign.execute_batch("CREATE TABLE orders (id INTEGER)").unwrap();
    std::fs::copy(bench.path("headcount.db"), bench.path("bare.db")).unwrap();
    let bare = Connection::open(bench.path("bare.db")).unwrap();
    bare.execute("UPDATE store SET definitions = NULL", []).unwrap();
}

/// A writer waits ten seconds for another one.
#[test]
fn a_store_that_another_process_writes_is_busy() {
    let bench = Bench::new();
    let mut other = Connection::open(bench.path("headcount.db")).unwrap();
    let writing = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    let reads = bench.row("headcount query issue_created");
    assert!(reads.starts_with("| 2  issue_created\n"), "{reads}");
    let waits = |form| bench.run("headcount mark v1", form);
    let (text, json) = thread::scope(|scope| {
        let text = scope.spawn(|| waits("text"));
        (waits("json"), text.join().unwrap())
    });
    let (json, text) = (text, json);
    drop(writing);
    let message = "/srv/acme/headcount.db: another process holds the store; try again when it is done";
    assert_eq!((text.code, text.err), (4, format!("error: {message}\n")));
    let error = serde_json::json!({ "error": { "kind": "store_busy", "message": message } });
    assert_eq!((json.code, json.err), (4, format!("{error}\n")));
}
