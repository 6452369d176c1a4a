//! `headcount import`.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::bench::{Bench, EVENTS, Ran, gzip};

#[test]
fn a_file_counts_once_and_what_it_has_grown_by_counts_too() {
    let bench = Bench::new();
    bench.write("events.ndjson", EVENTS);
    let path = bench.path("events.ndjson").display().to_string();
    let head = "NEW LINES  COUNTED  REFUSED  READ BEFORE  SOURCE\n";

    let first = bench.run(&["import", "events.ndjson", "--definitions", "config"]);
    assert_eq!(first.out, format!("{head}        4        4        0            0  {path}\n"));
    assert_eq!(first.err, "");
    let again = bench.run(&["import", "./config/../events.ndjson"]);
    assert_eq!((again.code, again.err.as_str()), (0, ""));
    assert_eq!(again.out, format!("{head}        0        0        0            4  {path}\n"));

    bench.write("events.ndjson", format!("{EVENTS}{{\"event\":\"epic_created\",\"time\":1710000000}}\n"));
    let grown = bench.json(&["import", "events.ndjson"]);
    assert_eq!(
        grown,
        json!({"sources": [{"name": path, "lines": 1, "accepted": 1, "already_read": 4, "rejected": {}, "first_bad": []}]})
    );
    assert_eq!(bench.json(&["query", "issue_created", "epic_created"])["value"], 5);
}

#[test]
fn a_file_that_changed_is_refused_and_the_others_are_imported() {
    let bench = Bench::with_events();
    bench.write("events.ndjson", EVENTS.replace("api", "cli"));
    bench.write("more.ndjson", "{\"event\":\"epic_created\",\"time\":1710000000}\n");
    let ran = bench.run(&["import", "events.ndjson", "more.ndjson", "--json"]);
    assert_eq!(ran.code, 1);
    let (kind, message) = ran.error();
    assert_eq!(kind, "source_changed");
    assert!(message.contains("events.ndjson` has changed within its first"), "{message}");
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["sources"].as_array().unwrap().len(), 1);
    assert_eq!(bench.json(&["query", "epic_created"])["value"], 2);
}

#[test]
fn gzip_is_recognized_by_its_content_and_counts_as_what_is_in_it() {
    let bench = Bench::new();
    let (head, tail) = EVENTS.split_at(EVENTS.find("{\"event\":\"epic").unwrap());
    bench.write("log", gzip(head));
    let first = bench.json(&["import", "log", "--definitions", "config", "--source", "log"]);
    assert_eq!(first["sources"][0]["accepted"], 3);
    bench.write("log", [gzip(head), gzip(tail)].concat());
    let grown = bench.json(&["import", "log", "--source", "log"]);
    assert_eq!(
        (&grown["sources"][0]["accepted"], &grown["sources"][0]["already_read"]),
        (&json!(1), &json!(3))
    );
    bench.write("plain", EVENTS);
    let plain = bench.json(&["import", "plain", "--source", "log"]);
    assert_eq!(plain["sources"][0]["already_read"], 4);
    let cut = gzip(EVENTS);
    bench.write("cut.gz", &cut[..cut.len() - 9]);
    let ran = bench.run(&["import", "cut.gz", "--json"]);
    assert_eq!((ran.code, ran.error().0.as_str()), (1, "io"));
}

#[test]
fn standard_input_counts_every_time_unless_it_is_named() {
    let bench = Bench::new();
    let import = ["import", "-", "--definitions", "config"];
    for total in [4, 8] {
        let ran = bench.run_on(EVENTS.as_bytes(), &import);
        assert_eq!(ran.code, 0);
        assert!(ran.err.contains("stdin without --source NAME"), "{}", ran.err);
        assert_eq!(bench.json(&["query", "issue_created", "epic_created"])["value"], total);
    }
    for already_read in [0, 4] {
        let ran = bench.run_on(&gzip(EVENTS), &["import", "-", "--source", "s", "--json"]);
        let document: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        assert_eq!(document["sources"][0]["already_read"], already_read);
    }
    assert_eq!(bench.json(&["query", "issue_created", "epic_created"])["value"], 12);
    let ran = bench.run(&["import", "-", "--source", "empty", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
}

#[test]
fn the_store_remembers_no_input_that_it_could_not_recognize() {
    let bench = Bench::with_events();
    let names = || -> Vec<String> {
        let store = Connection::open(bench.path("headcount.db")).unwrap();
        let mut select = store.prepare("SELECT name FROM sources").unwrap();
        select.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let before = names();
    assert_eq!(before.len(), 1);
    let text = "{\"event\":\"epic_created\",\"user\":1}\n".repeat(150_000);
    let ran = bench.run_on(text.as_bytes(), &["import", "-", "--json"]);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &document["sources"][0]["accepted"]), (0, &json!(150_000)));
    assert_eq!(names(), before);
    assert_eq!(bench.json(&["query", "epic_created"])["value"], 150_001);
    assert_eq!(bench.run_on(b"", &["import", "-", "--source", "s"]).code, 0);
    assert_eq!(bench.run_on(text.as_bytes(), &["import", "-", "--source", "s"]).code, 0);
    assert_eq!(names().len(), 2);
}

#[test]
fn bad_lines_are_counted_by_reason_and_fail_only_on_demand() {
    let bench = Bench::new();
    bench.write("bad", format!("nonsense\n{EVENTS}{{\"event\":\"isue\"}}\n{{}}\n[]\n{{\"event\":\"epic_cr"));
    let ran = bench.run(&["import", "bad", "--definitions", "config/events", "--source", "b"]);
    assert_eq!(ran.code, 0);
    assert!(ran.out.ends_with("        8        4        4            0  b\n"), "{}", ran.out);
    let refused = "\
refused in b:
  1  no event       no `event`, or not a text; name the event (line 7)
                    {}
  2  not json       not one JSON object; write one on each line (lines 1, 8)
                    nonsense
  1  unknown event  no definition declares this event; add its YAML or correct the name (line 6)
                    {\"event\":\"isue\"}
b: the last line, 9, is cut; it is read when it is whole
";
    assert!(ran.err.ends_with(refused), "{}", ran.err);

    let ran = bench.run(&["import", "bad", "--source", "c", "--fail-on-bad", "--json"]);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.error(), ("bad_lines".into(), "4 lines refused; the others are counted".into()));
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        document["sources"][0],
        json!({
            "name": "c", "lines": 8, "accepted": 4, "already_read": 0,
            "rejected": {"no_event": 1, "not_json": 2, "unknown_event": 1},
            "first_bad": [
                {"line": 1, "reason": "not_json"},
                {"line": 6, "reason": "unknown_event"},
                {"line": 7, "reason": "no_event"},
                {"line": 8, "reason": "not_json"},
            ],
            "incomplete_last_line": true,
        })
    );
    assert_eq!(bench.json(&["query", "issue_created", "epic_created"])["value"], 8);
}

#[test]
fn a_log_that_is_being_written_fails_nothing() {
    let bench = Bench::new();
    bench.write("log", EVENTS.trim_end().strip_suffix('}').unwrap());
    let ran = bench.run(&["import", "log", "--definitions", "config", "--source", "log", "--fail-on-bad"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.ends_with("        3        3        0            0  log\n"), "{}", ran.out);
    assert!(ran.err.ends_with("log: the last line, 4, is cut; it is read when it is whole\n"), "{}", ran.err);
    bench.write("log", EVENTS);
    let whole = &bench.json(&["import", "log", "--source", "log", "--fail-on-bad"])["sources"][0];
    assert_eq!((&whole["lines"], whole.get("incomplete_last_line")), (&json!(1), None));
}

#[test]
fn more_files_than_a_process_may_have_open_are_imported() {
    let bench = Bench::new();
    let names: Vec<String> = (0..60).map(|number| format!("{number}.ndjson")).collect();
    for (name, user) in names.iter().zip(0..) {
        bench.write(name, format!("{{\"event\":\"issue_created\",\"user\":{user}}}\n"));
    }
    let binary = env!("CARGO_BIN_EXE_headcount");
    let limited = format!("ulimit -n 40; exec {binary} import *.ndjson --definitions config");
    let output = Command::new("sh").args(["-c", &limited]).current_dir(bench.path("")).output().unwrap();
    let ran = Ran::of(output);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(bench.json(&["query", "issue_created"])["value"], 60);
}

#[test]
fn a_file_that_goes_before_its_turn_is_reported_and_the_others_are_imported() {
    let bench = Bench::with_events();
    bench.write("gone", "{\"event\":\"epic_created\",\"user\":1}\n");
    bench.write("there", "{\"event\":\"epic_created\",\"user\":2}\n");
    let mut child =
        bench.command(&["import", "-", "gone", "there", "--json"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut feed = child.stdin.take().unwrap();
    // More than a pipe holds: when all of it is written the files were looked at, and not yet opened again.
    feed.write_all(&[b'\n'; 2 * 1024 * 1024]).unwrap();
    fs::remove_file(bench.path("gone")).unwrap();
    drop(feed);
    let ran = Ran::of(child.wait_with_output().unwrap());
    let (kind, message) = ran.error();
    assert_eq!((ran.code, kind.as_str()), (1, "io"));
    assert!(message.starts_with("gone: there is no such file"), "{message}");
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["sources"].as_array().unwrap().len(), 2);
    assert_eq!(bench.json(&["query", "epic_created"])["value"], 2);
}

#[test]
fn an_import_that_cannot_begin_makes_no_store() {
    let bench = Bench::new();
    bench.write("events.ndjson", EVENTS);
    bench.write("bad/a.yml", "action: [");
    for (args, code, kind) in [
        (&["import", "events.ndjson"][..], 3, "definitions"),
        (&["import", "events.ndjson", "--definitions", "nowhere"], 3, "definitions"),
        (&["import", "events.ndjson", "--definitions", "bad"], 3, "definitions"),
        (&["import", "missing", "events.ndjson", "--definitions", "config"], 1, "io"),
        (&["import", "config", "--definitions", "config"], 1, "io"),
        (&["import", "-", "-", "--definitions", "config"], 2, "usage"),
        (&["import", "a", "b", "--source", "s", "--definitions", "config"], 2, "usage"),
    ] {
        let ran = bench.run(&[args, &["--json"]].concat());
        assert_eq!((ran.code, ran.error().0.as_str()), (code, kind), "{args:?}");
        assert!(!bench.path("headcount.db").exists(), "{args:?}");
    }
}

#[test]
fn a_rotated_log_continues_under_its_new_path() {
    let bench = Bench::new();
    let line = |user: u32| format!("{{\"event\":\"issue_created\",\"user\":{user}}}\n");
    bench.write("usage.log", line(1) + &line(2));
    assert_eq!(bench.run(&["import", "usage.log", "--definitions", "config"]).code, 0);
    bench.write("usage.log.1", line(1) + &line(2) + &line(3));
    bench.write("usage.log", line(4));
    let ran = bench.run(&["import", "usage.log.1", "usage.log"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("usage.log.1 begins with what was read of"), "{}", ran.err);
    let total = || bench.json(&["query", "issue_created"])["value"].clone();
    assert_eq!(total(), 4);
    // A new log is named before the old one: it waits until that has given its place up.
    bench.write("usage.log.2", line(4) + &line(5));
    bench.write("usage.log", line(6));
    assert_eq!(bench.run(&["import", "usage.log", "usage.log.2"]).code, 0);
    assert_eq!(total(), 6);
    // A copy continues what it is a copy of, which is still known.
    bench.write("copy.log", line(6) + &line(7));
    assert_eq!(bench.run(&["import", "copy.log"]).code, 0);
    assert_eq!(bench.run(&["import", "usage.log", "copy.log", "usage.log.1"]).code, 0);
    assert_eq!(total(), 7);
}

#[test]
fn several_files_have_a_total_and_bad_lines_cannot_steer_the_terminal() {
    let bench = Bench::new();
    bench.write("a", EVENTS);
    bench.write("b", format!("{EVENTS}{}", "\u{1b}[2J\n".repeat(5)));
    let ran = bench.run(&["import", "a", "b", "--definitions", "config"]);
    assert!(ran.out.ends_with("        9        4        5            4  total\n"), "{}", ran.out);
    let refused = "(lines 5, 6, 7, …)\n               \\u{1b}[2J\n";
    assert!(ran.err.ends_with(refused), "{}", ran.err);
}

#[test]
fn of_two_processes_that_import_one_file_at_once_each_line_counts_once() {
    let bench = Bench::with_events();
    let line = "{\"event\":\"epic_created\",\"time\":1710000000,\"user\":7}\n";
    bench.write("log", line.repeat(200_000));
    let children = [(); 2].map(|()| bench.command(&["import", "log", "--json"]).spawn().unwrap());
    let mut accepted = 0;
    for child in children {
        let ran = Ran::of(child.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        let source = &serde_json::from_str::<Value>(&ran.out).unwrap()["sources"][0];
        accepted += source["accepted"].as_u64().unwrap();
        assert_eq!(source["lines"].as_u64().unwrap() + source["already_read"].as_u64().unwrap(), 200_000);
    }
    assert_eq!(accepted, 200_000);
    assert_eq!(bench.json(&["query", "epic_created"])["value"], 200_001);
}

#[test]
fn numbered_logs_rotate_again_and_again_and_every_line_counts_once() {
    let line = |day: usize, number: usize| {
        format!(
            "{{\"event\":\"epic_created\",\"time\":\"2024-03-{:02}T{number:02}:00:00Z\",\"user\":{number}}}\n",
            day + 1
        )
    };
    let day_of = |day: usize| (0..10).map(|number| line(day, number)).collect::<String>();
    for is_newest_first in [true, false] {
        let bench = Bench::new();
        let log = |age: usize| if age == 0 { "a.log".to_owned() } else { format!("a.log.{age}") };
        for day in 0..5 {
            // From the second one on the oldest are packed, as they often are.
            for age in (0..day).rev() {
                let (from, to) = (bench.path(&log(age)), bench.path(&log(age + 1)));
                fs::rename(from, &to).unwrap();
                if age + 1 == 3 {
                    fs::write(&to, gzip(&day_of(day - 3))).unwrap();
                }
            }
            bench.write("a.log", day_of(day));
            let mut files: Vec<String> = (0..=day).map(log).collect();
            if !is_newest_first {
                files.reverse();
            }
            let files: Vec<&str> = files.iter().map(String::as_str).collect();
            let ran = bench.run(&[&["import", "--definitions", "config"], &files[..]].concat());
            assert_eq!(ran.code, 0, "day {day}: {}", ran.err);
            let total = bench.json(&["query", "epic_created"])["value"].as_u64();
            assert_eq!(total, Some(10 * (day as u64 + 1)), "day {day}, {files:?}: {}", ran.err);
        }
    }
}
