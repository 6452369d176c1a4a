//! The examples, run as their readers run them.

#![cfg(feature = "yaml")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The folder of the built examples, beside the folder of this test. Cargo builds them for a whole test run but not for
/// `--test examples`, so they are brought up to date here; after a whole run that finds nothing to do.
fn built() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let this = std::env::current_exe().unwrap();
        let profile = this.ancestors().nth(2).unwrap();
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--offline", "--examples", "--manifest-path"]);
        build.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        build.arg("--target-dir").arg(profile.parent().unwrap());
        build.args(["--profile", if profile.ends_with("release") { "bench" } else { "test" }]);
        // With exactly the features of this test, so that nothing is compiled a second time.
        build.args(["--no-default-features", "--features", "yaml"]);
        let others = [
            ("default", cfg!(feature = "default")),
            ("bundled", cfg!(feature = "bundled")),
            ("cli", cfg!(feature = "cli")),
            ("postgres", cfg!(feature = "postgres")),
            ("upload", cfg!(feature = "upload")),
        ];
        for (feature, _) in others.iter().filter(|(_, is_on)| *is_on) {
            build.args(["--features", feature]);
        }
        assert!(build.status().unwrap().success(), "the examples do not build");
        profile.join("examples")
    })
}

fn example(name: &str, folder: &Path) -> Command {
    let mut command = Command::new(built().join(name));
    command.current_dir(folder).stdin(Stdio::null());
    for variable in ["HEADCOUNT_STORE", "HEADCOUNT_DEFINITIONS", "ACME_USAGE_STORE", "ACME_USAGE_DEFINITIONS"]
    {
        command.env_remove(variable);
    }
    command
}

/// The exit code, stdout and stderr.
fn run(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap_or_else(|| panic!("{:?}", output.status));
    (code, text(output.stdout), text(output.stderr))
}

fn numbers(line: &str) -> Vec<u64> {
    line.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

#[test]
fn the_program_of_the_front_page_prints_what_stands_below_it() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, err) = run(&mut example("first_count", folder.path()));
    assert_eq!((code, err.as_str()), (0, ""));
    let readme = include_str!("../README.md");
    let (_, shown) = readme.split_once("```text\n").unwrap();
    assert_eq!(out, shown.split("```").next().unwrap());
}

#[test]
fn definitions_from_files_and_from_code_give_the_same_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, err) = run(&mut example("embedded", folder.path()));
    assert_eq!((code, err.as_str()), (0, ""));
    let of = |how: &str| {
        let lines: Vec<_> = out.lines().filter_map(|line| line.strip_prefix(how)).collect();
        lines.join("\n")
    };
    assert_eq!(of("embedded: "), "counts.issues_from_web = 3\ncounts.people_who_open_issues = 3");
    assert_eq!(of("embedded: "), of("in code: "));
}

#[test]
fn every_event_of_the_worker_threads_is_accounted_for() {
    let folder = tempfile::tempdir().unwrap();
    let (code, out, err) = run(example("threaded", folder.path()).arg("usage.db"));
    assert_eq!((code, err.as_str()), (0, ""));
    let of = |how: &str| numbers(out.lines().find(|line| line.starts_with(how)).unwrap());
    for how in ["refuse: offered", "wait: offered"] {
        let [offered, accepted, refused, stored, lost] = of(how)[..] else { panic!("{out}") };
        assert_eq!((offered, accepted, lost), (1_000_000, stored, 0), "{out}");
        assert_eq!(offered, accepted + refused, "{out}");
    }
    assert_eq!(of("wait: offered")[2], 0, "who waits is not refused: {out}");
    let ledger = headcount::Reader::open(folder.path().join("usage.db")).unwrap().ledger().unwrap();
    assert_eq!(ledger.stored, of("refuse: offered")[3] + of("wait: offered")[3]);
    assert_eq!(ledger.refused.values().sum::<u64>(), of("refuse: offered")[2]);
}

#[test]
fn the_report_of_the_harness_is_equal_to_the_byte_from_run_to_run() {
    let folder = tempfile::tempdir().unwrap();
    let runs = [
        run(&mut example("bench_harness", folder.path())),
        run(&mut example("bench_harness", folder.path())),
        run(example("bench_harness", folder.path()).arg("one.db")),
        run(example("bench_harness", folder.path()).arg("two.db")),
    ];
    assert_eq!((runs[0].0, runs[0].2.as_str()), (0, ""));
    for other in &runs[1..] {
        assert_eq!(&runs[0], other);
    }
    let report: serde_json::Value = serde_json::from_str(&runs[0].1).unwrap();
    let outcomes = &report["outcomes"];
    assert_eq!(report["runs"], 1_200);
    assert_eq!(report["cases"], 400);
    assert_eq!(outcomes["failed"].as_u64().unwrap() + outcomes["passed"].as_u64().unwrap(), 1_200);
    assert_eq!(outcomes["failed"], report["failed"]);
    assert!(report["cases_by_day"].as_array().unwrap().len() > 1, "{report}");

    let (code, _, err) = run(example("bench_harness", folder.path()).arg("one.db"));
    assert_eq!(code, 1, "a second run would count on top of the first");
    assert!(err.contains("does not exist"), "{err}");
}

#[cfg(feature = "cli")]
mod mounted {
    use super::*;

    fn acme(folder: &Path, line: &str) -> Command {
        let mut command = example("mounted", folder);
        command.args(line.split_whitespace());
        command
    }

    #[test]
    fn the_mounted_commands_speak_of_the_host() {
        let folder = tempfile::tempdir().unwrap();
        for line in ["usage --help", "usage query --help", "usage import --help"] {
            let (code, out, err) = run(&mut acme(folder.path(), line));
            assert_eq!((code, err.as_str()), (0, ""), "{line}");
            assert!(out.contains("Usage: acme usage"), "{out}");
            assert!(out.contains("ACME_USAGE_STORE") && out.contains("acme-usage.db"), "{out}");
            assert!(!out.to_lowercase().contains("headcount"), "{out}");
        }
        let (code, out, _) = run(&mut acme(folder.path(), ""));
        assert_eq!(code, 0);
        assert!(out.contains("acme usage query") && numbers(&out).contains(&2), "{out}");
    }

    #[test]
    fn the_mounted_commands_read_what_the_host_has_tracked() {
        let folder = tempfile::tempdir().unwrap();
        for line in ["open 7 web", "open 7 api", "open 8 web"] {
            assert_eq!(run(&mut acme(folder.path(), line)), (0, String::new(), String::new()));
        }
        assert!(folder.path().join("acme-usage.db").exists());
        let (code, out, err) =
            run(&mut acme(folder.path(), "usage metric get counts.issues_from_web --json"));
        assert_eq!((code, err.as_str()), (0, ""));
        let document: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(document["metrics"][0]["value"], 2);
    }

    #[test]
    fn the_host_s_variable_names_the_store_and_the_binary_s_is_not_heard() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(run(acme(folder.path(), "open 7 web").env("ACME_USAGE_STORE", "own.db")).0, 0);
        assert!(folder.path().join("own.db").exists() && !folder.path().join("acme-usage.db").exists());
        let query = || acme(folder.path(), "usage query issue_created --json");

        let (code, out, _) =
            run(query().env("ACME_USAGE_STORE", "own.db").env("HEADCOUNT_STORE", "other.db"));
        let document: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!((code, &document["value"]), (0, &1.into()));

        let (code, _, err) = run(query().env("HEADCOUNT_STORE", "own.db"));
        assert_eq!(code, 1, "the default store is missing, whatever the binary's variable says: {err}");
        assert!(err.contains("acme-usage.db"), "{err}");
    }

    #[test]
    fn exit_codes_pass_through_the_host() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(run(&mut acme(folder.path(), "open 7 web")).0, 0);
        std::fs::write(folder.path().join("text.db"), "no store").unwrap();
        std::fs::write(folder.path().join("bad.yml"), "action: [").unwrap();
        for (code, line) in [
            (0, "usage query issue_created"),
            (1, "usage query issue_closed"),
            (2, "usage query issue_created --bogus"),
            (2, "bogus"),
            (3, "usage definitions check bad.yml"),
            (5, "usage stats --store text.db"),
        ] {
            let ran = run(&mut acme(folder.path(), line));
            assert_eq!(ran.0, code, "{line}: {ran:?}");
        }
    }
}
