//! `headcount check`.

use std::process::{Command, Stdio};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::bench::{Bench, Ran};

#[test]
fn a_sound_store_exits_with_zero_and_says_what_was_looked_at() {
    let bench = Bench::with_events();
    let document = bench.json(&["check"]);
    assert_eq!((&document["sound"], &document["findings"]), (&json!(true), &json!([])));
    assert_eq!((&document["sketches"], &document["second_opinions"]), (&json!(5), &json!(0)));
    assert_eq!(bench.json(&["check", "--deep"])["second_opinions"], json!(5));
    let ran = bench.run(&["check"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.starts_with("sound: "), "{}", ran.out);
}

#[test]
fn damage_exits_with_five_and_names_law_series_and_day() {
    let bench = Bench::with_events();
    let sql = "UPDATE counts SET count = count + 1 WHERE bucket >= 2 << 40 AND series =
        (SELECT id FROM series WHERE key = 'epic_created')";
    Connection::open(bench.path("headcount.db")).unwrap().execute_batch(sql).unwrap();
    let ran = bench.run(&["check", "--json"]);
    assert_eq!((ran.code, ran.error().0.as_str()), (5, "store_damaged"));
    assert!(ran.error().1.contains("headcount.db: 2 findings"), "{}", ran.err);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["sound"], json!(false));
    assert_eq!(
        document["findings"][0],
        json!({"law": "conservation",
            "message": "series `epic_created`: the hours of 2024-03-12 add up to 1, the day has 2"})
    );
    let ran = bench.run(&["check"]);
    assert_eq!(ran.code, 5);
    assert!(
        ran.out.starts_with("conservation  series `epic_created`: the hours of 2024-03-12"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("\nnot sound: "), "{}", ran.out);
}

#[test]
fn a_check_that_takes_long_says_so_on_a_terminal_and_ends() {
    let bench = Bench::with_events();
    // Sketches of a hundred years ahead, which no event stands for: enough to look at for seconds.
    let sql = "WITH RECURSIVE day (number) AS (SELECT 30000 UNION ALL SELECT number + 1 FROM day WHERE number < 70000)
        INSERT INTO sketches SELECT (2 << 40) + day.number, series, blob FROM day,
            (SELECT series, blob FROM sketches ORDER BY bucket, series LIMIT 1)";
    Connection::open(bench.path("headcount.db")).unwrap().execute_batch(sql).unwrap();
    let check = format!("timeout 120 {} check --deep", env!("CARGO_BIN_EXE_headcount"));
    let mut script = Command::new("script");
    script.args(["-qec", &check, "/dev/null"]).current_dir(bench.path("")).env("TERM", "xterm");
    let ran = Ran::of(script.stdin(Stdio::null()).output().unwrap());
    assert_eq!(ran.code, 5);
    assert!(ran.out.contains("checking the store: "), "{}", ran.out.len());
    assert!(ran.out.contains("40,006 sketches estimated again"), "{}", ran.out.len());
}
