//! Stores that are there, missing, foreign or damaged, and where their names come from.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::bench::{Bench, EPIC_CREATED, EVENTS, Ran};

#[test]
fn stats_tell_what_became_of_all_events() {
    let bench = Bench::with_events();
    bench.run_on(b"{\"event\":\"x\"}\n", &["import", "-", "--source", "s"]);
    let mut document = bench.json(&["stats"]);
    let mut take = |key: &str| document.as_object_mut().unwrap().remove(key).unwrap();
    assert!(take("bytes").as_u64().unwrap() > 4096);
    let parts = take("parts");
    let parts = parts.as_object().unwrap();
    assert_eq!(parts.keys().collect::<Vec<_>>(), ["counts", "free", "other", "sketches", "sums", "values"]);
    let activity = take("activity");
    let activity = activity.as_array().unwrap();
    assert_eq!(activity.len(), 10);
    assert_eq!(
        activity[2],
        json!({"key": "issue_created", "kind": "count", "recorded": false, "since": "2024-03-04T10:00:00Z",
            "until": "2024-03-13T08:00:00Z",
            "first": "2024-03-04", "last": "2024-03-05", "active_days": 2})
    );
    assert_eq!(
        document,
        json!({"store": "headcount.db", "log_bytes": 0, "series": 10, "sketches": 5, "stored": 4,
            "refused": {"unknown_event": 1}, "lost": {}, "noted": {}, "never_moved": [],
            "definitions": {"events": 2, "metrics": 9}, "sends": false})
    );
    let ran = bench.run(&["stats"]);
    assert!(ran.out.starts_with("store  headcount.db\nsize   "), "{}", ran.out);
    assert!(
        ran.out.contains("\nevents\n  stored   4\n  refused  1  unknown event\n  lost     0\n\nseries\n"),
        "{}",
        ran.out
    );
}

#[test]
fn stats_find_what_never_moved_and_what_changed() {
    let bench = Bench::with_events();
    let silent = "key_path: counts.silent\ndescription: Nobody\ndata_source: internal_events\ntime_frame: all\n\
                  events: [{name: epic_created, unique: project.id}]\n";
    bench.write("config/metrics/silent.yml", silent);
    bench.write("config/events/epic_created.yml", EPIC_CREATED.replace("[user]", "[user, project]"));
    fs::remove_file(bench.path("config/metrics/counts.long.yml")).unwrap();
    let changes = bench.json(&["stats", "--definitions", "config"])["definitions"]["changes"].clone();
    assert_eq!(
        changes,
        json!({"added": ["metric counts.silent"], "changed": ["event epic_created"], "gone": ["metric counts.long"]})
    );
    let none = json!({"added": [], "changed": [], "gone": []});
    bench.write("more.ndjson", "{\"event\":\"epic_created\",\"time\":\"2024-03-13\"}\n");
    assert_eq!(bench.run(&["import", "more.ndjson", "--definitions", "config"]).code, 0);
    let document = bench.json(&["stats", "--definitions", "config"]);
    assert_eq!(document["never_moved"], json!(["counts.silent"]));
    assert_eq!(document["definitions"]["changes"], none);
    let ran = bench.run(&["stats", "--definitions", "config"]);
    assert!(ran.out.contains("\nmetrics that never moved\n  counts.silent\n"), "{}", ran.out);
    assert!(ran.out.ends_with("  those given are the same\n"), "{}", ran.out);
}

#[test]
fn readers_never_create_a_store() {
    let bench = Bench::new();
    for args in [
        &["query", "issue_created"][..],
        &["metric", "get", "counts.issues"],
        &["metric", "get", "counts.issues", "--definitions", "config"],
        &["metric", "list"],
        &["stats"],
    ] {
        let ran = bench.run(&[args, &["--json", "--store", "none.db"]].concat());
        assert_eq!((ran.code, ran.error().0.as_str()), (1, "store_missing"), "{args:?}");
        assert!(!bench.path("none.db").exists());
    }
}

#[test]
fn damaged_foreign_and_newer_files_exit_with_five() {
    let bench = Bench::with_events();
    bench.write("text.db", "this is no store");
    bench.write("empty.db", "");
    let mut newer = fs::read(bench.path("headcount.db")).unwrap();
    // The place of SQLite's user_version.
    newer[60..64].copy_from_slice(&[0x7f, 0, 0, 0]);
    bench.write("newer.db", newer);
    for (store, kind) in
        [("text.db", "store_damaged"), ("empty.db", "store_damaged"), ("newer.db", "store_newer")]
    {
        for args in [&["stats"][..], &["import", "events.ndjson", "--definitions", "config"]] {
            let before = fs::read(bench.path(store)).unwrap();
            let ran = bench.run(&[args, &["--json", "--store", store]].concat());
            assert_eq!((ran.code, ran.error().0.as_str()), (5, kind), "{store} {args:?}");
            assert_eq!(fs::read(bench.path(store)).unwrap(), before);
        }
    }
}

#[test]
fn the_environment_names_store_and_definitions_and_options_win() {
    let bench = Bench::new();
    bench.write("events.ndjson", EVENTS);
    let run = |args: &[&str]| {
        let mut command = bench.command(args);
        command.env("HEADCOUNT_STORE", "env.db").env("HEADCOUNT_DEFINITIONS", "config");
        Ran::of(command.output().unwrap())
    };
    assert_eq!(run(&["import", "events.ndjson"]).code, 0);
    assert!(bench.path("env.db").exists());
    assert_eq!(run(&["--store", "option.db", "import", "events.ndjson"]).code, 0);
    assert!(bench.path("option.db").exists());
    // A store of real data that the environment names is not what the demo fills.
    let demo = run(&["demo", "--json"]);
    assert_eq!(demo.code, 0, "{}", demo.err);
    let store = serde_json::from_str::<Value>(&demo.out).unwrap()["store"].as_str().unwrap().to_owned();
    assert_ne!(Path::new(&store), bench.path("env.db"));
    fs::remove_dir_all(Path::new(&store).parent().unwrap()).unwrap();
}
