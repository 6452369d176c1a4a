//! A folder with definitions, in which the binary runs.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use tempfile::TempDir;

/// A Sunday.
pub(crate) const NOW: &str = "2026-11-22T10:00:00Z";
pub(crate) const ISSUE_CREATED: &str = "\
description: Somebody opened an issue
internal_events: true
action: issue_created
identifiers: [user, project]
additional_properties:
  label: {description: Where}
  value: {description: Minutes it took}
  retries: {description: How often it was tried}
product_group: planning
milestone: '1.0'
introduced_by_url: https://example.com/1
tiers: [free]
";
pub(crate) const EPIC_CREATED: &str = "action: epic_created\ninternal_events: true\nidentifiers: [user]\n";
pub(crate) const METRICS: [(&str, &str); 8] = [
    ("counts.issues", "time_frame: all\nevents: [{name: issue_created}]\n"),
    ("counts.minutes", "time_frame: all\nevents: [{name: issue_created, operator: sum(value)}]\n"),
    (
        "counts.openers",
        "time_frame: [7d, 28d]\nevents: [{name: issue_created, unique: user.id}, {name: epic_created, unique: user.id}]\n",
    ),
    ("counts.by_label", "time_frame: all\nevents: [{name: issue_created, operator: total, unique: label}]\n"),
    ("counts.from_web", "time_frame: all\nevents: [{name: issue_created, filter: {label: web}}]\n"),
    ("counts.twice_tried", "time_frame: all\nevents: [{name: issue_created, filter: {retries: 2}}]\n"),
    ("counts.text_tried", "time_frame: all\nevents: [{name: issue_created, filter: {retries: '2'}}]\n"),
    ("counts.long", "time_frame: all\nevents: [{name: issue_created, filter: {value: 5}}]\n"),
];
pub(crate) const EVENTS: &str = r#"{"event":"issue_created","time":"2024-03-04T10:00:00Z","user":1,"label":"web","value":5}
{"event":"issue_created","time":"2024-03-05T10:00:00Z","user":2,"label":"web","value":2.5,"additional_properties":{"retries":2}}
{"event":"issue_created","time":"2024-03-05T11:30:00Z","user":2,"label":"api","additional_properties":{"retries":"2"}}
{"event":"epic_created","time":"2024-03-12T08:00:00Z","user":3}
"#;

/// A folder of its own to run the binary in.
pub(crate) struct Bench(pub(crate) TempDir);

pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let bench = Self(tempfile::tempdir().unwrap());
        bench.write("config/events/issue_created.yml", ISSUE_CREATED);
        bench.write("config/events/epic_created.yml", EPIC_CREATED);
        for (key_path, rest) in METRICS {
            let head = format!(
                "key_path: {key_path}\ndescription: About {key_path}\ndata_source: internal_events\n"
            );
            bench.write(&format!("config/metrics/{key_path}.yml"), &(head + rest));
        }
        bench
    }

    /// With a store that holds [`EVENTS`].
    pub(crate) fn with_events() -> Self {
        let bench = Self::new();
        bench.write("events.ndjson", EVENTS);
        assert_eq!(bench.run(&["import", "events.ndjson", "--definitions", "config"]).code, 0);
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_headcount"));
        command.args(args).current_dir(self.path(""));
        command.env_remove("HEADCOUNT_STORE").env_remove("HEADCOUNT_DEFINITIONS").env("HEADCOUNT_NOW", NOW);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    pub(crate) fn run_on(&self, stdin: &[u8], args: &[&str]) -> Ran {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin).unwrap();
        Ran::of(child.wait_with_output().unwrap())
    }

    /// The document of a command that succeeds and says nothing else.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let ran = self.run(&[args, &["--json"]].concat());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}");
        serde_json::from_str(&ran.out).unwrap()
    }
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap_or_else(|| panic!("{:?}", output.status));
        Self { code, out: text(output.stdout), err: text(output.stderr) }
    }

    /// The kind and the message of an error in JSON.
    pub(crate) fn error(&self) -> (String, String) {
        let error: Value = serde_json::from_str(&self.err).unwrap_or_else(|_| panic!("{}", self.err));
        let error = error.get("error").unwrap().as_object().unwrap();
        assert_eq!(error.len(), 2);
        let text = |key: &str| error.get(key).unwrap().as_str().unwrap().to_owned();
        (text("kind"), text("message"))
    }
}

/// Takes out when the newest commit was cut, which differs from run to run.
pub(crate) fn without_freshness(mut document: Value) -> Value {
    let freshness = document.as_object_mut().unwrap().remove("freshness").unwrap();
    assert!(freshness.as_str().unwrap().ends_with('Z'));
    document
}

pub(crate) fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}
