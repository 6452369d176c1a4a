//! Help, usage errors, and streams that end.

use std::fs;
use std::process::Stdio;

use crate::bench::{Bench, Ran};

#[test]
fn command_lines_without_sense_are_usage_errors() {
    let bench = Bench::with_events();
    for args in [
        &["frobnicate"][..],
        &["query"],
        &["import"],
        &["metric"],
        &["query", "issue_created", "--sum", "--unique", "user"],
        &["query", "issue_created", "--last", "28"],
        &["query", "issue_created", "--last", "0d"],
        &["query", "issue_created", "--last", "+1d"],
        &["query", "issue_created", "--last", "28d", "--from", "2024-01-01"],
        &["query", "issue_created", "--to", "2024-01-01"],
        &["query", "issue_created", "--from", "2024-13-01"],
        &["query", "issue_created", "--from", "2024-03-05", "--to", "2024-03-05"],
        &["query", "issue_created", "--from", "2024-03-05T10:30:00Z"],
        &["query", "issue_created", "--unique", "user", "--by", "hour"],
        &["query", "issue_created", "--unique", "user", "--from", "2024-03-05T10:00:00Z"],
        &["query", "issue_created", "--by", "fortnight"],
        &["metric", "get", "counts.issues", "--as-of", "yesterday"],
    ] {
        let ran = bench.run(&[args, &["--json"]].concat());
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}");
        let (kind, message) = ran.error();
        assert_eq!(kind, "usage", "{args:?}");
        assert!(!message.starts_with("error") && !message.contains("Usage:"), "{message}");
        assert_eq!(bench.run(args).code, 2);
    }
    let ran = bench.run(&[]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("Usage: headcount [OPTIONS] <COMMAND>"), "{}", ran.err);
}

#[test]
fn a_reader_that_has_gone_ends_the_output_quietly() {
    let bench = Bench::with_events();
    let mut child = bench.command(&["import", "-", "--source", "s"]).stdin(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    // It writes only after its input has ended, by when nobody reads.
    drop(child.stdin.take());
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let bench = Bench::with_events();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran = Ran::of(bench.command(&["stats"]).stdout(full).output().unwrap());
    assert_eq!(ran.code, 1);
    assert!(ran.err.starts_with("error: writing to stdout failed: "), "{}", ran.err);
}

#[test]
fn every_command_teaches_itself_with_an_example() {
    let bench = Bench::new();
    for command in ["demo", "import", "query", "metric list", "metric get", "definitions check", "stats"] {
        let mut args: Vec<&str> = command.split(' ').collect();
        args.push("--help");
        let ran = bench.run(&args);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        assert!(ran.out.contains("\nExample"), "{}", ran.out);
        assert!(ran.out.contains(&format!("headcount {command}")), "{}", ran.out);
        assert!(ran.out.contains("--store <PATH>") && ran.out.contains("[env: HEADCOUNT_STORE]"));
    }
}
