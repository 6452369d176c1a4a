//! `headcount demo`.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::bench::{Bench, Ran};

#[test]
fn the_demo_counts_what_is_known_of_the_history() {
    let bench = Bench::new();
    let document = bench.json(&["demo", "--store", "demo.db"]);
    let metric = |key_path: &str| {
        let metrics = document["metrics"].as_array().unwrap();
        metrics.iter().find(|metric| metric["key_path"] == key_path).unwrap()["value"].clone()
    };
    assert_eq!((&document["lines"], &document["accepted"]), (&json!(24_680), &json!(24_680)));
    assert_eq!(metric("git.commits"), 12_272);
    assert_eq!(metric("git.lines_added"), 987_733.0);
    assert_eq!(document["contributors"]["value"], 840);
    assert_eq!(document["source_contributors"]["value"], 701);
    let folders = metric("git.commits_by_folder");
    let folders = folders["label"].as_object().unwrap();
    assert_eq!(folders.values().filter_map(Value::as_u64).sum::<u64>(), 12_408);
    let years = document["years"].as_array().unwrap();
    assert_eq!(years.len(), 16);
    let of = |year: &Value| year["commits"]["value"].as_u64().unwrap();
    assert_eq!(years.iter().map(of).sum::<u64>(), 12_272);
    assert_eq!(document["weeks"].as_array().unwrap().len(), 26);

    let ask = |args: &[&str]| bench.json(&[&["query", "--store", "demo.db"], args].concat())["value"].clone();
    assert_eq!(ask(&["file_touched"]), 12_408);
    assert_eq!(ask(&["commit_authored", "--unique", "user"]), 840);

    let again = bench.run(&["demo", "--store", "demo.db", "--json"]);
    assert_eq!((again.code, again.error().0.as_str()), (2, "usage"));
    bench.write("foreign", "mine");
    assert_eq!(bench.run(&["demo", "--store", "foreign"]).code, 2);
    assert_eq!(fs::read(bench.path("foreign")).unwrap(), b"mine");
}

#[test]
fn the_demo_shows_it_and_its_hints_work_when_pasted() {
    let bench = Bench::new();
    let ran = bench.run(&["demo", "--store", "it's a demo.db"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    for line in [
        "  git.commits                       12,272  all time, since Sun 22 Mar 2009",
        "  git.lines_added                  987,733  all time, since Sun 22 Mar 2009",
        "  840  authored a commit",
        "  701  changed files below src",
        "  src      8,096  ██████████████████████████████",
        "  2021      865           157  ██████████████████████████████",
        "          Apr   May     Jun     Jul       Aug     Sep       Oct",
    ] {
        assert!(ran.out.lines().any(|printed| printed == line), "{line}\n{}", ran.out);
    }
    assert!(ran.out.lines().all(|line| line.trim_end() == line));
    let (_, hints) = ran.out.split_once("Try next\n\n").unwrap();
    assert_eq!(hints.lines().count(), 4);
    let elsewhere = tempfile::tempdir().unwrap();
    let shell = Command::new("sh").args(["-ec", hints]).current_dir(elsewhere.path()).output().unwrap();
    let shell = Ran::of(shell);
    assert_eq!((shell.code, shell.err.as_str()), (0, ""), "{hints}");
    assert!(shell.out.starts_with("146  distinct user of commit_authored\n"), "{}", shell.out);
    assert!(shell.out.contains("\"value\":701"), "{}", shell.out);
}
