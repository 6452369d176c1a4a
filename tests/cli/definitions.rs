//! `headcount definitions`, and how any command shows what is wrong with definitions.

use std::fs;

use serde_json::{Value, json};

use crate::bench::{Bench, ISSUE_CREATED, Ran};

fn check(bench: &Bench, path: &str) -> Ran {
    bench.run(&["definitions", "check", path])
}

/// Two files with an error each, and a warning in one of them.
fn with_mistakes() -> Bench {
    let bench = Bench::new();
    bench.write("bad/a.yml", "acton: push\n");
    bench.write("bad/b.yml", ISSUE_CREATED.replace("identifiers", "identifers").replace("free", "gold"));
    bench.write("bad/c.yml", ISSUE_CREATED.replace("issue_created", "issue_closed"));
    bench
}

#[test]
fn every_problem_is_shown_with_its_line_and_a_mark_below_the_place() {
    let bench = with_mistakes();
    let ran = check(&bench, "bad");
    let expected = "\
bad/a.yml:1:1: error: the file has neither `action` (then it is an event) nor `key_path` (then it is a metric); \
by `acton`, did you mean `action`?
  |
1 | acton: push
  | ^^^^^

bad/b.yml:4:1: error: unknown key `identifers`; did you mean `identifiers`?
  |
4 | identifers: [user, project]
  | ^^^^^^^^^^
bad/b.yml:12:9: warning: `tiers` must be one of free, premium, ultimate, found `gold`
   |
12 | tiers: [gold]
   |         ^^^^

";
    assert_eq!((ran.code, ran.out.as_str()), (3, expected));
    assert_eq!(ran.err, "error: bad: 2 errors and 1 warning in 2 of 3 files\n");
}

#[test]
fn sound_definitions_end_in_a_summary() {
    let bench = Bench::new();
    bench.write("good/a.yml", ISSUE_CREATED);
    for args in [&["definitions", "check", "good"][..], &["definitions", "check", "good", "--strict"]] {
        let ran = bench.run(args);
        let seen = (ran.code, ran.out.as_str(), ran.err.as_str());
        assert_eq!(seen, (0, "1 event and 0 metrics: no problems in 1 file\n", ""));
    }
    let ran = check(&bench, "config");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    let last = ran.out.lines().last().unwrap();
    assert_eq!(last, "2 events and 9 metrics: no problems in 10 files");
}

#[test]
fn strict_finds_more_and_lets_warnings_fail() {
    let bench = Bench::new();
    bench.write("own/a.yml", ISSUE_CREATED.replace("project", "device"));
    assert_eq!(check(&bench, "own").code, 0);
    let ran = bench.run(&["definitions", "check", "own", "--strict"]);
    assert_eq!(ran.code, 3);
    assert!(
        ran.out.contains("own/a.yml:4:21: warning: GitLab's schema knows the identifiers "),
        "{}",
        ran.out
    );
    assert_eq!(ran.err, "error: own: 1 warning in 1 of 1 file, which --strict lets fail\n");
    let ran = bench.run(&["definitions", "check", "own", "--strict", "--json"]);
    assert_eq!((ran.code, ran.error().0.as_str()), (3, "definitions"));
}

#[test]
fn json_has_every_problem_and_no_place_where_there_is_none() {
    let bench = with_mistakes();
    bench.write("bad/d.yml", "");
    let ran = bench.run(&["definitions", "check", "bad", "--json"]);
    assert_eq!((ran.code, ran.error().0.as_str()), (3, "definitions"));
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        (&document["errors"], &document["warnings"], &document["files"], &document["events"]),
        (&json!(3), &json!(1), &json!(4), &Value::Null)
    );
    let place =
        |problem: &Value| ["severity", "file", "line", "column"].map(|key| problem.get(key).unwrap().clone());
    let problems = document["problems"].as_array().unwrap();
    assert_eq!(place(&problems[0]), [json!("error"), json!("bad/a.yml"), json!(1), json!(1)]);
    assert_eq!(place(&problems[3]), [json!("error"), json!("bad/d.yml"), Value::Null, Value::Null]);
}

#[test]
fn other_commands_show_the_lines_too() {
    let bench = with_mistakes();
    bench.write("events.ndjson", "");
    let args = ["import", "events.ndjson", "--definitions", "bad"];
    let ran = bench.run(&args);
    assert_eq!((ran.code, ran.out.as_str()), (3, ""));
    assert!(
        ran.err.starts_with("error: the definitions have 2 errors\n\nbad/a.yml:1:1: error: "),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("\n  |\n4 | identifers: [user, project]\n  | ^^^^^^^^^^\n"), "{}", ran.err);
    assert!(!ran.err.contains("warning"), "{}", ran.err);
    // A script finds the same in the message.
    let ran = bench.run(&[&args[..], &["--json"]].concat());
    let (kind, message) = ran.error();
    assert_eq!(kind, "definitions");
    assert!(message.contains("bad/b.yml:4:1: error: unknown key `identifers`"), "{message}");
    assert!(!message.contains("4 | "), "{message}");
}

#[test]
fn of_many_problems_some_are_shown_and_errors_first() {
    let bench = Bench::new();
    for number in 0..80 {
        bench.write(&format!("many/{number:02}.yml"), format!("action: a_{number}\n"));
    }
    bench.write("many/zz.yml", "action: [\n");
    let ran = check(&bench, "many");
    assert_eq!(ran.out.lines().filter(|line| line.contains(": warning: ")).count(), 49);
    assert!(ran.out.contains("many/zz.yml:") && ran.out.contains(": error: "), "{}", ran.out);
    assert!(ran.out.ends_with("\nand 31 more; --json has all\n\n"), "{}", ran.out);
    assert_eq!(ran.err, "error: many: 1 error and 80 warnings in 81 of 81 files\n");
}

#[test]
fn odd_files_are_shown_as_they_are_and_steer_no_terminal() {
    let bench = Bench::new();
    let long = "x".repeat(100_000);
    for (name, text, expected) in [
        (
            "crlf",
            "action: a\r\nidentifers: [user]\r\n".to_owned(),
            ":2:1: error: unknown key `identifers`; did you mean `identifiers`?\n  |\n2 | identifers: [user]\n  | ^^^^^^^^^^\n",
        ),
        (
            "cr",
            "action: a\ridentifers: [user]\r".to_owned(),
            ":2:1: error: unknown key `identifers`; did you mean `identifiers`?\n  |\n2 | identifers: [user]\n  | ^^^^^^^^^^\n",
        ),
        ("mark", "\u{feff}acton: a\n".to_owned(), "did you mean `action`?\n  |\n1 | acton: a\n  | ^^^^^\n"),
        ("tab", "action: a\nlabels:\t5\n".to_owned(), "\n  |\n2 | labels:    5\n  | ^^^^^^\n"),
        ("indented", "action: a\n\tlabel: b\n".to_owned(), "use spaces\n  |\n2 |     label: b\n  | ^^^^\n"),
        (
            "wide",
            "action: a\ntiers: [漢字, 漢]\n".to_owned(),
            "\n  |\n2 | tiers: [漢字, 漢]\n  |         ^^^^\n",
        ),
        (
            "escape",
            "action: a\ntiers: ['\u{85}\u{202e}x', gold]\n".to_owned(),
            "2 | tiers: ['\u{fffd}\u{fffd}x', gold]\n  |         ^^^^^\n",
        ),
        ("long", format!("action: a\ntiers: [{long}, gold, {long}]\n"), "x, gold, x"),
    ] {
        bench.write(&format!("{name}.yml"), &text);
        let ran = check(&bench, &format!("{name}.yml"));
        assert!(ran.out.contains(expected), "{name}\n{}", ran.out);
        assert!(!ran.out.contains(|c: char| c.is_control() && c != '\n'), "{name}\n{:?}", ran.out);
        assert!(ran.out.lines().all(|line| line.chars().count() < 400), "{name}\n{:.2000}", ran.out);
    }
    // The name of a file is of outside, too.
    bench.write("steer/\u{1b}[2J\n.yml", "acton: a\n");
    let ran = check(&bench, "steer");
    assert!(ran.out.starts_with("steer/␛[2J␊.yml:1:1: error: "), "{}", ran.out);
}

#[test]
fn what_cannot_be_read_is_named_with_what_to_do() {
    let bench = Bench::new();
    fs::create_dir(bench.path("empty")).unwrap();
    bench.write("notes/readme.md", "x");
    bench.write("binary/a.yml", b"\x7fELF\0\0\x01");
    bench.write("wide/a.yml", b"\xff\xfea\0c\0");
    bench.write("latin/a.yml", b"action: a\ndescription: caf\xe9\n");
    bench.write("one.txt", "action: a\n");
    #[cfg(unix)]
    std::os::unix::fs::symlink(bench.path("gone"), bench.path("wide/b.yml")).unwrap();
    for (path, seen) in [
        ("empty", "error: there is no *.yml or *.yaml below empty; name the folder of the definitions"),
        ("notes", "error: there is no *.yml or *.yaml below notes; "),
        ("nowhere", "error: there is nothing at nowhere; name the folder of the definitions"),
        ("nowhere.yml", "error: there is nothing at nowhere.yml; "),
        ("binary", "binary/a.yml: error: the file is binary, not YAML; remove it, or name another file"),
        ("binary/a.yml", "binary/a.yml: error: the file is binary, not YAML; "),
        ("wide", "wide/a.yml: error: the file is UTF-16; save it as UTF-8"),
        ("wide", "wide/b.yml: error: this is a link to nothing; remove it"),
        ("latin", "latin/a.yml:2:17: error: the file is not UTF-8 from here on; save it as UTF-8\n"),
        ("latin", "2 | description: caf\u{fffd}\n  |                 ^\n"),
        ("/dev/null", "/dev/null: error: this is not a regular file; "),
    ] {
        let ran = check(&bench, path);
        assert_eq!(ran.code, 3, "{path}");
        assert!((ran.out.clone() + &ran.err).contains(seen), "{path}: {seen}\n{}\n{}", ran.out, ran.err);
    }
    assert_eq!(check(&bench, "one.txt").code, 0);
}

#[test]
fn the_folder_is_the_argument_or_that_of_every_command() {
    let bench = with_mistakes();
    bench.write("good/a.yml", ISSUE_CREATED);
    assert_eq!(bench.run(&["definitions", "check", "--definitions", "good"]).code, 0);
    assert_eq!(bench.run(&["definitions", "check", "--definitions", "bad"]).code, 3);
    assert_eq!(bench.run(&["definitions", "check", "good", "--definitions", "bad"]).code, 0);
    let mut command = bench.command(&["definitions", "check"]);
    assert_eq!(Ran::of(command.env("HEADCOUNT_DEFINITIONS", "good").output().unwrap()).code, 0);
    let ran = bench.run(&["definitions", "check"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    let expected = "error: name the folder to check, as in `headcount definitions check config`; --definitions and \
                    HEADCOUNT_DEFINITIONS name it too\n";
    assert!(ran.err.replace(env!("CARGO_BIN_EXE_headcount"), "headcount") == expected, "{}", ran.err);
    let ran = bench.run(&["definitions", "check", "--json"]);
    assert_eq!((ran.code, ran.error().0.as_str()), (2, "usage"));
}
