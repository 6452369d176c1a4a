//! `headcount salvage`.

use std::fs;

use rusqlite::Connection;
use serde_json::json;

use crate::bench::{Bench, without_freshness};

#[test]
fn a_sound_store_is_salvaged_whole() {
    let bench = Bench::with_events();
    let before = fs::read(bench.path("headcount.db")).unwrap();
    let document = bench.json(&["salvage", "headcount.db", "new.db"]);
    assert_eq!((&document["sound"], &document["lost"]), (&json!(true), &json!([])));
    assert_eq!(document["tables"][0], json!({"name": "store", "rows": 1, "rebuilt": 0}));
    let ask = |store: &str| without_freshness(bench.json(&["query", "issue_created", "--store", store]));
    assert_eq!(ask("new.db"), ask("headcount.db"));
    assert_eq!(fs::read(bench.path("headcount.db")).unwrap(), before);
    let ran = bench.run(&["salvage", "headcount.db", "text.db"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.ends_with("headcount.db is as it was; nothing is lost\n"), "{}", ran.out);
}

#[test]
fn a_damaged_sketch_costs_its_day_and_is_named() {
    let bench = Bench::with_events();
    let sql =
        "UPDATE sketches SET blob = CAST(substr(blob, 1, length(blob) - 1) || x'00' AS BLOB) WHERE bucket =
        (SELECT min(bucket) FROM sketches WHERE bucket > 0)";
    Connection::open(bench.path("headcount.db")).unwrap().execute_batch(sql).unwrap();
    let document = bench.json(&["salvage", "headcount.db", "new.db"]);
    let lost = document["lost"].as_array().unwrap();
    assert_eq!(lost.len(), 1, "{document}");
    assert_eq!(
        (&lost[0]["table"], &lost[0]["series"], &lost[0]["when"]),
        (&json!("sketches"), &json!("issue_created-user"), &json!("2024-03-04"))
    );
    let ask = |args: &[&str]| {
        bench.run(&[&["query", "issue_created", "--store", "new.db", "--json"], args].concat())
    };
    assert_eq!(ask(&[]).code, 0);
    assert_eq!(ask(&["--unique", "user", "--from", "2024-03-05", "--to", "2024-03-06"]).code, 0);
    let ran = ask(&["--unique", "user", "--from", "2024-03-04", "--to", "2024-03-05"]);
    assert_eq!((ran.code, ran.error().0.as_str()), (5, "store_damaged"));
    // It is known, and no new damage: the store is backed up and restored as any other.
    let check = bench.json(&["check", "--store", "new.db"]);
    let known = "series `issue_created-user`: the sketch of 2024-03-04 was damaged and set aside";
    assert_eq!(
        (&check["sound"], &check["findings"], &check["lost"]),
        (&json!(true), &json!([]), &json!([known]))
    );
    let ran = bench.run(&["check", "--store", "new.db"]);
    assert!(
        ran.out.starts_with(&format!("known to be lost: {known}\nsound but for what is known")),
        "{}",
        ran.out
    );
    bench.json(&["backup", "copy.db", "--store", "new.db"]);
    bench.json(&["restore", "copy.db", "--replace"]);
    assert_eq!(bench.run(&["check"]).code, 0);
}

#[test]
fn numbers_that_contradict_each_other_are_refused() {
    let bench = Bench::with_events();
    let sql = "UPDATE counts SET count = count + 7 WHERE bucket >= 2 << 40;
        DELETE FROM counts WHERE bucket = 0; DELETE FROM ledger";
    Connection::open(bench.path("headcount.db")).unwrap().execute_batch(sql).unwrap();
    assert_eq!(bench.run(&["check"]).code, 5);
    bench.json(&["salvage", "headcount.db", "new.db"]);
    assert_eq!(bench.run(&["check", "--store", "new.db"]).code, 0);
    let ran = bench.run(&["query", "issue_created", "--store", "new.db", "--json"]);
    assert_eq!((ran.code, ran.error().0.as_str()), (5, "store_damaged"));
}

#[test]
fn what_cannot_be_salvaged_is_said() {
    let bench = Bench::with_events();
    bench.write("text.db", "no store at all");
    for (damaged, new, code, kind) in [
        ("text.db", "new.db", 5, "store_damaged"),
        ("missing.db", "new.db", 1, "store_missing"),
        ("headcount.db", "text.db", 2, "usage"),
        ("headcount.db", "no/such/new.db", 1, "io"),
    ] {
        let ran = bench.run(&["salvage", damaged, new, "--json"]);
        assert_eq!((ran.code, ran.error().0.as_str()), (code, kind), "{}", ran.err);
        assert!(!bench.path("new.db").exists());
    }
}
