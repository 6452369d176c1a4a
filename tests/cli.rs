//! The built binary, as scripts and people see it.

#![cfg(feature = "cli")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests may fail as tests do")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tempfile::TempDir;

const ISSUE_CREATED: &str = "\
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
const EPIC_CREATED: &str = "action: epic_created\ninternal_events: true\nidentifiers: [user]\n";
const METRICS: [(&str, &str); 8] = [
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
const EVENTS: &str = r#"{"event":"issue_created","time":"2024-03-04T10:00:00Z","user":1,"label":"web","value":5}
{"event":"issue_created","time":"2024-03-05T10:00:00Z","user":2,"label":"web","value":2.5,"additional_properties":{"retries":2}}
{"event":"issue_created","time":"2024-03-05T11:30:00Z","user":2,"label":"api","additional_properties":{"retries":"2"}}
{"event":"epic_created","time":"2024-03-12T08:00:00Z","user":3}
"#;

/// A folder of its own to run the binary in.
struct Bench(TempDir);

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Bench {
    fn new() -> Self {
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
    fn with_events() -> Self {
        let bench = Self::new();
        bench.write("events.ndjson", EVENTS);
        assert_eq!(bench.run(&["import", "events.ndjson", "--definitions", "config"]).code, 0);
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_headcount"));
        command.args(args).current_dir(self.path(""));
        command.env_remove("HEADCOUNT_STORE").env_remove("HEADCOUNT_DEFINITIONS");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    fn run_on(&self, stdin: &[u8], args: &[&str]) -> Ran {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin).unwrap();
        Ran::of(child.wait_with_output().unwrap())
    }

    /// The document of a command that succeeds and says nothing else.
    fn json(&self, args: &[&str]) -> Value {
        let ran = self.run(&[args, &["--json"]].concat());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}");
        serde_json::from_str(&ran.out).unwrap()
    }
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap_or_else(|| panic!("{:?}", output.status));
        Self { code, out: text(output.stdout), err: text(output.stderr) }
    }

    /// The kind and the message of an error in JSON.
    fn error(&self) -> (String, String) {
        let error: Value = serde_json::from_str(&self.err).unwrap_or_else(|_| panic!("{}", self.err));
        let error = error.get("error").unwrap().as_object().unwrap();
        assert_eq!(error.len(), 2);
        let text = |key: &str| error.get(key).unwrap().as_str().unwrap().to_owned();
        (text("kind"), text("message"))
    }
}

/// Takes out when the newest commit was cut, which differs from run to run.
fn without_freshness(mut document: Value) -> Value {
    let freshness = document.as_object_mut().unwrap().remove("freshness").unwrap();
    assert!(freshness.as_str().unwrap().ends_with('Z'));
    document
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_file_counts_once_and_what_it_has_grown_by_counts_too() {
    let bench = Bench::new();
    bench.write("events.ndjson", EVENTS);
    let path = bench.path("events.ndjson").display().to_string();
    let head = "NEW LINES  COUNTED  REFUSED  READ BEFORE  SOURCE\n";

    let first = bench.run(&["import", "events.ndjson", "--definitions", "config"]);
    assert_eq!(first.out, format!("{head}        4        4        0            0  {path}\n"));
    assert!(first.err.contains("warnings in the definitions; `"), "{}", first.err);
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
fn bad_lines_are_counted_by_reason_and_fail_only_on_demand() {
    let bench = Bench::new();
    bench.write("bad", format!("nonsense\n{EVENTS}{{\"event\":\"isue\"}}\n{{}}\n[]\n{{\"event\":\"epic_cr"));
    let ran = bench.run(&["import", "bad", "--definitions", "config/events", "--source", "b"]);
    assert_eq!(ran.code, 0);
    assert!(ran.out.ends_with("        8        4        5            0  b\n"), "{}", ran.out);
    let refused = "\
refused in b:
  1  incomplete_last_line  the last line is cut; it is read when it is whole
  1  no_event              no `event`, or not a text (line 7)
  2  not_json              not one JSON object (lines 1, 8)
  1  unknown_event         no definition declares this event; add its YAML or correct the name (line 6)
";
    assert!(ran.err.ends_with(refused), "{}", ran.err);

    let ran = bench.run(&["import", "bad", "--source", "c", "--fail-on-bad", "--json"]);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.error(), ("bad_lines".into(), "5 lines refused; the others are counted".into()));
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        document["sources"][0],
        json!({
            "name": "c", "lines": 8, "accepted": 4, "already_read": 0,
            "rejected": {"incomplete_last_line": 1, "no_event": 1, "not_json": 2, "unknown_event": 1},
            "first_bad": [
                {"line": 1, "reason": "not_json"},
                {"line": 6, "reason": "unknown_event"},
                {"line": 7, "reason": "no_event"},
                {"line": 8, "reason": "not_json"},
            ],
        })
    );
    assert_eq!(bench.json(&["query", "issue_created", "epic_created"])["value"], 8);
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
fn queries_answer_in_text() {
    let bench = Bench::with_events();
    let text = |args: &[&str]| {
        let ran = bench.run(&[&["query"], args].concat());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}");
        let (head, tail) = ran.out.split_once("; stored until ").unwrap();
        format!("{head}{}", &tail["2026-11-22T10:00:00Z".len()..])
    };
    assert_eq!(text(&["issue_created"]), "3  issue_created\nall time, since 2024-03-04\n");
    assert_eq!(
        text(&["issue_created", "--sum", "--from", "2024-03-05", "--to", "2024-03-06"]),
        "2.5  sum of value of issue_created\n2024-03-05 until 2024-03-06\n"
    );
    assert_eq!(
        text(&[
            "issue_created",
            "--filter",
            "label=web",
            "--from",
            "2024-03-01",
            "--to",
            "2024-03-05T10:00:00Z"
        ]),
        "1  issue_created where label = web\n2024-03-01 until 2024-03-05T10:00:00Z; partial: recorded since 2024-03-04\n"
    );
    assert_eq!(
        text(&["issue_created", "--per-value", "label"]),
        "3  issue_created by label\nall time, since 2024-03-04\n\n  web  2  ██████████████████████████████\n  api  1  ███████████████\n"
    );
    assert_eq!(
        text(&[
            "issue_created",
            "epic_created",
            "--unique",
            "user",
            "--from",
            "2024-03-04",
            "--to",
            "2024-03-18",
            "--by",
            "week"
        ]),
        "3  distinct user of issue_created + epic_created
2024-03-04 until 2024-03-18; partial: recorded since 2024-03-04T10:00:00Z

  2024-W10  2024-03-04  2  ██████████████████████████████  partial: recorded since 2024-03-04T10:00:00Z
  2024-W11  2024-03-11  1  ███████████████                 partial: not recorded to its end
"
    );
    assert_eq!(
        text(&[
            "issue_created",
            "--from",
            "2024-03-05T10:00:00Z",
            "--to",
            "2024-03-05T13:00:00Z",
            "--by",
            "hour"
        ]),
        "2  issue_created
2024-03-05T10:00:00Z until 2024-03-05T13:00:00Z

  2024-03-05 10:00  1  ██████████████████████████████
  2024-03-05 11:00  1  ██████████████████████████████
  2024-03-05 12:00  0
"
    );
}

#[test]
fn queries_answer_in_json() {
    let bench = Bench::with_events();
    let ask = |args: &[&str]| without_freshness(bench.json(&[&["query"], args].concat()));
    let from = "2024-03-05T00:00:00Z";
    let to = "2024-03-06T00:00:00Z";
    let range = ["--from", "2024-03-05", "--to", "2024-03-06"];
    let with_range = |args: &[&str]| ask(&[args, &range].concat());
    let since = "2024-03-04T10:00:00Z";
    assert_eq!(
        with_range(&["issue_created"]),
        json!({"events": ["issue_created"], "kind": "count", "from": from, "to": to, "partial": false,
            "since": since, "value": 2, "standard_error": 0.0})
    );
    assert_eq!(
        with_range(&["issue_created", "--sum", "--by", "day"]),
        json!({"events": ["issue_created"], "kind": "sum", "from": from, "to": to, "partial": false,
            "since": since, "value": 2.5, "standard_error": 0.0,
            "series": [{"from": from, "to": to, "value": 2.5, "standard_error": 0.0, "partial": false}]})
    );
    let mut unique = with_range(&["issue_created", "--unique", "user"]);
    let estimate = unique.as_object_mut().unwrap().remove("estimate").unwrap().as_f64().unwrap();
    assert!((estimate - 1.0).abs() < 0.01);
    assert_eq!(
        unique,
        json!({"events": ["issue_created"], "kind": "unique", "from": from, "to": to, "partial": false,
            "since": since, "value": 1, "standard_error": 0.0})
    );
    assert_eq!(
        with_range(&["issue_created", "--per-value", "label"]),
        json!({"events": ["issue_created"], "kind": "per_value", "from": from, "to": to, "partial": false,
            "since": since, "value": {"web": 1, "api": 1}, "standard_error": 0.0})
    );
    let running = ask(&["issue_created", "--last", "28d"]);
    assert_eq!((&running["partial"], &running["value"]), (&json!(true), &json!(0)));
    let open_end = ask(&["issue_created", "--from", "2024-03-05"]);
    assert_eq!((&open_end["partial"], &open_end["value"]), (&json!(true), &json!(2)));
}

#[test]
fn filters_take_numbers_and_texts_as_the_property_needs() {
    let bench = Bench::with_events();
    for (filter, value) in [
        ("label=web", 2),
        ("retries=2", 1),
        ("retries=2.0", 1),
        ("retries:=2", 1),
        ("value=5", 1),
        ("value=5.0", 1),
    ] {
        assert_eq!(bench.json(&["query", "issue_created", "--filter", filter])["value"], value, "{filter}");
    }
    for filter in ["label", "=x", ":=x", "value=many", "value=NaN"] {
        let ran = bench.run(&["query", "issue_created", "--filter", filter, "--json"]);
        assert_eq!((ran.code, ran.error().0.as_str()), (2, "usage"), "{filter}");
    }
    // The label is text even where it reads as a number, so that no such rule is recorded; none is ever 0.
    let ran = bench.run(&["query", "issue_created", "--filter", "label=5", "--json"]);
    assert_eq!((ran.code, ran.error().0.as_str()), (1, "not_recorded"));
    assert!(ran.error().1.contains("label: \"5\""), "{}", ran.err);
}

#[test]
fn an_unknown_event_fails_with_the_nearest_name_and_the_others_are_answered() {
    let bench = Bench::with_events();
    let ran = bench.run(&["query", "isue_created", "epic_created", "--json"]);
    assert_eq!(ran.code, 1);
    let (kind, message) = ran.error();
    assert_eq!(kind, "unknown_event");
    assert!(message.ends_with("did you mean `issue_created`?"), "{message}");
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&document["events"], &document["value"]), (&json!(["epic_created"]), &json!(1)));
    let ran = bench.run(&["query", "isue_created"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(
        ran.err.starts_with("error: the store has never recorded an event `isue_created`"),
        "{}",
        ran.err
    );
}

#[test]
fn metrics_are_listed_with_or_without_a_store() {
    let bench = Bench::with_events();
    let kept = bench.json(&["metric", "list"]);
    fs::remove_file(bench.path("headcount.db")).unwrap();
    assert_eq!(bench.json(&["metric", "list", "--definitions", "config"]), kept);
    assert_eq!(kept["metrics"].as_array().unwrap().len(), 9);
    assert_eq!(
        kept["metrics"][6],
        json!({"key_path": "counts.openers_weekly", "kind": "unique", "time_frame": "7d", "data_source": "internal_events",
            "status": "active", "data_category": "optional", "value_type": "number", "description": "About counts.openers",
            "rules": ["issue_created-user", "epic_created-user"]})
    );
    bench.write(
        "host/a.yml",
        "key_path: host.version\ndata_source: system\ntime_frame: none\nstatus: removed\n",
    );
    let ran = bench.run(&["metric", "list", "--definitions", "host"]);
    assert_eq!(
        ran.out,
        "KEY PATH      KIND    TIME  STATUS   DESCRIPTION\nhost.version  system  none  removed\n"
    );
}

#[test]
fn metrics_are_evaluated_as_of_an_instant() {
    let bench = Bench::with_events();
    let get = |args: &[&str]| bench.run(&[&["metric", "get"], args].concat());
    let ran = get(&["counts.issues", "counts.openers_weekly", "counts.by_label", "--as-of", "2024-03-20"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(
        ran.out,
        "counts.issues          3  all time, since 2024-03-04
counts.openers_weekly  1  2024-03-11 until 2024-03-18  partial: not recorded to its end
counts.by_label        3  all time, since 2024-03-04

counts.by_label by label
  web  2  ██████████████████████████████
  api  1  ███████████████
"
    );
    for (window, from, to, value) in [
        ("complete", "2024-03-04", "2024-03-11", 2),
        ("rolling", "2024-03-07", "2024-03-14", 1),
        ("current", "2024-03-11", "2024-03-18", 1),
    ] {
        let document = bench.json(&[
            "metric",
            "get",
            "counts.openers_weekly",
            "--as-of",
            "2024-03-13",
            "--window",
            window,
        ]);
        let metric = &document["metrics"][0];
        assert_eq!(
            metric["window"],
            json!({"from": format!("{from}T00:00:00Z"), "to": format!("{to}T00:00:00Z")})
        );
        assert_eq!((&metric["value"], &metric["partial"]), (&json!(value), &json!(true)), "{window}");
    }
    let document = bench.json(&["metric", "get", "counts.minutes", "--as-of", "2024-03-20"]);
    assert_eq!(
        document,
        json!({"metrics": [{"key_path": "counts.minutes", "value": 7.5, "reason": null, "standard_error": 0.0,
            "window": {"from": "2024-03-04T10:00:00Z", "to": "2024-03-20T00:00:00Z"}, "partial": false}]})
    );
}

#[test]
fn a_metric_without_a_value_says_why_and_an_unknown_one_fails() {
    let bench = Bench::with_events();
    bench.write("config/new.yml", "key_path: new\ndata_source: internal_events\ntime_frame: 7d\nevents: [{name: issue_created, unique: project.id}]\n");
    bench.write("config/host.yml", "key_path: host\ndata_source: database\ntime_frame: all\n");
    let ran =
        bench.run(&["metric", "get", "new", "counts.isues", "host", "--definitions", "config", "--json"]);
    assert_eq!(ran.code, 1);
    let (kind, message) = ran.error();
    assert_eq!(kind, "unknown_metric");
    assert!(message.ends_with("did you mean `counts.issues`?"), "{message}");
    let none = |key_path: &str, reason: &str| json!({"key_path": key_path, "value": null, "reason": reason, "standard_error": null, "window": null, "partial": false});
    assert_eq!(
        serde_json::from_str::<Value>(&ran.out).unwrap(),
        json!({"metrics": [none("new", "not_recorded"), none("host", "no_source")]})
    );
    let ran = bench.run(&["metric", "get", "new", "--definitions", "config"]);
    assert_eq!(ran.code, 0);
    assert!(ran.out.starts_with("new  -  the store does not record `issue_created-project`"), "{}", ran.out);
}

#[test]
fn definitions_are_checked_with_every_problem() {
    let bench = Bench::new();
    bench.write("good/a.yml", ISSUE_CREATED);
    let ran = bench.run(&["definitions", "check", "good", "--strict"]);
    assert_eq!(
        (ran.code, ran.out.as_str(), ran.err.as_str()),
        (0, "1 event and 0 metrics: 0 errors, 0 warnings\n", "")
    );

    let ran = bench.run(&["definitions", "check", "config"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.contains("config/metrics/counts.long.yml:1:1: warning: "), "{}", ran.out);
    let ran = bench.run(&["definitions", "check", "config", "--strict", "--json"]);
    assert_eq!((ran.code, ran.error().0.as_str()), (3, "definitions"));

    bench.write("bad/a.yml", "acton: push\n");
    bench.write("bad/b.yml", "action: ok\ninternal_events: true\nidentifers: [user]\n");
    let ran = bench.run(&["definitions", "check", "bad"]);
    assert_eq!(ran.code, 3);
    let errors: Vec<&str> = ran.out.lines().filter(|line| line.contains(": error: ")).collect();
    assert_eq!(errors.len(), 2, "{}", ran.out);
    assert!(errors[0].starts_with("bad/a.yml:1:1: ") && errors[0].contains("did you mean `action`?"));
    assert!(errors[1].starts_with("bad/b.yml:3:1: ") && errors[1].contains("did you mean `identifiers`?"));
    assert!(ran.err.starts_with("error: bad: 2 errors, "), "{}", ran.err);

    let ran = bench.run(&["definitions", "check", "bad", "--json"]);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&document["errors"], &document["events"]), (&json!(2), &Value::Null));
    let problem = &document["problems"][0];
    assert_eq!(
        (&problem["severity"], &problem["file"], &problem["line"], &problem["column"]),
        (&json!("error"), &json!("bad/a.yml"), &json!(1), &json!(1))
    );
    assert_eq!(bench.run(&["definitions", "check", "nowhere"]).code, 3);
}

#[test]
fn stats_tell_what_became_of_all_events() {
    let bench = Bench::with_events();
    bench.run_on(b"{\"event\":\"x\"}\n", &["import", "-", "--source", "s"]);
    let mut document = bench.json(&["stats"]);
    let bytes = document.as_object_mut().unwrap().remove("bytes").unwrap();
    assert!(bytes.as_u64().unwrap() > 4096);
    assert_eq!(
        document,
        json!({"store": "headcount.db", "series": 10, "sketches": 5, "stored": 4,
            "refused": {"unknown_event": 1}, "lost": {}, "noted": {}})
    );
    let ran = bench.run(&["stats"]);
    let (size, events) = ran.out.split_once("\nevents\n").unwrap();
    assert!(size.starts_with("store     headcount.db\nsize      "), "{size}");
    assert_eq!(events, "  stored   4\n  refused  1  unknown event\n  lost     0\n");
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
        "  git.commits                       12,272  all time, since 2009-03-22",
        "  git.lines_added                  987,733  all time, since 2009-03-22",
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
