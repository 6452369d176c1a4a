//! `headcount restore`.

use std::fs;

use serde_json::{Value, json};

use crate::bench::{Bench, without_freshness};

#[test]
fn a_backup_takes_an_empty_place_and_answers_as_the_store_did() {
    let bench = Bench::with_events();
    bench.json(&["backup", "copy.db"]);
    let before = fs::read(bench.path("copy.db")).unwrap();
    let document = bench.json(&["restore", "copy.db", "--store", "new.db"]);
    assert_eq!((&document["store"], &document["set_aside"]), (&json!("new.db"), &Value::Null));
    let ask = |store: &str| without_freshness(bench.json(&["query", "issue_created", "--store", store]));
    assert_eq!(ask("new.db"), ask("headcount.db"));
    assert_eq!(fs::read(bench.path("copy.db")).unwrap(), before);
}

#[test]
fn a_store_that_is_there_stays_unless_it_is_replaced_and_is_never_deleted() {
    let bench = Bench::with_events();
    bench.json(&["backup", "copy.db"]);
    bench
        .write("later.ndjson", "{\"event\":\"epic_created\",\"time\":\"2024-03-13T08:00:00Z\",\"user\":4}\n");
    bench.json(&["import", "later.ndjson"]);
    let ran = bench.run(&["restore", "copy.db", "--json"]);
    assert_eq!((ran.code, ran.error().0.as_str()), (2, "usage"));
    assert!(ran.error().1.ends_with("(--replace sets it aside)"), "{}", ran.err);
    let count = |store: &str| bench.json(&["query", "epic_created", "--store", store])["value"].clone();
    assert_eq!(count("headcount.db"), json!(2));
    let document = bench.json(&["restore", "copy.db", "--replace"]);
    let aside = "headcount.db.replaced-20261122T100000Z";
    assert_eq!(document["set_aside"], json!(aside));
    assert_eq!((count("headcount.db"), count(aside)), (json!(1), json!(2)));
    // The same second again: another name.
    let document = bench.json(&["restore", "copy.db", "--replace"]);
    assert_eq!(document["set_aside"], json!(format!("{aside}-1")));
    // What was imported after the backup can be imported again, and counts once.
    assert_eq!(bench.json(&["import", "later.ndjson"])["sources"][0]["accepted"], json!(1));
    assert_eq!(count("headcount.db"), json!(2));
}

#[test]
fn what_is_no_backup_restores_nothing() {
    let bench = Bench::with_events();
    bench.write("text.db", "no store at all, but a text of some length");
    let before = fs::read(bench.path("headcount.db")).unwrap();
    for (backup, code, kind) in [("text.db", 5, "store_damaged"), ("missing.db", 1, "store_missing")] {
        let ran = bench.run(&["restore", backup, "--replace", "--json"]);
        assert_eq!((ran.code, ran.error().0.as_str()), (code, kind), "{}", ran.err);
        assert_eq!(fs::read(bench.path("headcount.db")).unwrap(), before);
    }
    bench.json(&["backup", "copy.db"]);
    let sql = "UPDATE counts SET count = count + 1 WHERE bucket = 0";
    rusqlite::Connection::open(bench.path("copy.db")).unwrap().execute_batch(sql).unwrap();
    let ran = bench.run(&["restore", "copy.db", "--replace", "--json"]);
    assert_eq!((ran.code, ran.error().0.as_str()), (5, "store_damaged"));
    assert!(ran.error().1.contains("the backup is not sound"), "{}", ran.err);
    let names = fs::read_dir(bench.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!names.into_iter().any(|name| name.to_string_lossy().contains(".new")));
}

#[test]
fn the_log_of_the_old_store_goes_with_it() {
    let bench = Bench::with_events();
    bench.json(&["backup", "copy.db"]);
    // As a program leaves it that was killed: the newest commits are in the log.
    let open = rusqlite::Connection::open(bench.path("headcount.db")).unwrap();
    open.query_row("SELECT count(*) FROM series", [], |_| Ok(())).unwrap();
    bench
        .write("later.ndjson", "{\"event\":\"epic_created\",\"time\":\"2024-03-13T08:00:00Z\",\"user\":4}\n");
    bench.json(&["import", "later.ndjson"]);
    let (file, log) = (bench.path("headcount.db"), bench.path("headcount.db-wal"));
    let images = (fs::read(&file).unwrap(), fs::read(&log).unwrap());
    assert!(!images.1.is_empty());
    drop(open);
    fs::write(&log, &images.1).unwrap();
    fs::write(&file, &images.0).unwrap();
    let document = bench.json(&["restore", "copy.db", "--replace"]);
    let aside = document["set_aside"].as_str().unwrap();
    let count = |store: &str| bench.json(&["query", "epic_created", "--store", store])["value"].clone();
    assert_eq!((count("headcount.db"), count(aside)), (json!(1), json!(2)));
    assert_eq!(bench.run(&["check"]).code, 0);
}

#[test]
fn a_backup_does_not_turn_sending_on_again_and_says_so() {
    let bench = Bench::with_events();
    bench.json(&["ping", "consent", "--send-to", "https://usage.example.com/pings"]);
    bench.json(&["backup", "copy.db"]);
    let ran = bench.run(&["restore", "copy.db", "--replace"]);
    assert!(ran.code == 0 && ran.out.contains("pings are sent, as both say"), "{}", ran.out);
    bench.json(&["ping", "consent", "--off"]);
    let ran = bench.run(&["restore", "copy.db", "--replace"]);
    assert!(
        ran.out.contains("sending pings is off") && ran.out.contains("ping consent --send-to URL"),
        "{}",
        ran.out
    );
    assert_eq!(bench.json(&["ping", "status"])["sending"]["chosen"], json!(false));
    assert_eq!(bench.json(&["restore", "copy.db", "--store", "new.db"])["sending"], json!("turned_off"));
}
