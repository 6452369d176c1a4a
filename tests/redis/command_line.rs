//! `headcount redis`, as scripts and people see it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::server::Redis;

struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headcount"));
    command.args(args).current_dir(folder).env_remove("HEADCOUNT_STORE").env_remove("HEADCOUNT_DEFINITIONS");
    command.stdin(Stdio::null());
    command
}

fn run(folder: &Path, args: &[&str]) -> Ran {
    let output = command(folder, args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// A folder with definitions.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("config")).unwrap();
    write(
        "config/opened.yml",
        "action: opened\nidentifiers: [user]\nadditional_properties:\n  label: {description: where}\n",
    );
    write(
        "config/openers.yml",
        "key_path: openers\ndescription: x\ndata_source: internal_events\ntime_frame: [7d, 28d]\nevents: [{name: opened, unique: user.id}]\n",
    );
    write(
        "config/labels.yml",
        "key_path: labels\ndescription: x\ndata_source: internal_events\ntime_frame: all\nevents: [{name: opened, operator: total, unique: label}]\n",
    );
    folder
}

fn week() -> String {
    headcount::IsoWeek::of(headcount::Clock::system().now()).to_string().replace("-W", "-")
}

#[test]
fn a_move_from_redis_and_back_on_the_command_line() {
    let (Some(mut from), Some(mut to)) = (Redis::start(), Redis::start()) else { return };
    let folder = folder();
    let folder = folder.path();
    let week = week();
    from.ok(&["SET", "{event_counters}_opened", "1500"]);
    from.ok(&["SET", &format!("{{event_counters}}_opened-{week}"), "20"]);
    from.add(&format!("{{hll_counters}}_opened-user-{week}"), (0..12).map(|id: u32| id.to_string()));
    from.ok(&["HSET", "{hll_counters}_opened-operator:total-label", "web", "900", "api", "600"]);
    from.ok(&["SET", "{event_counters}_closed", "3"]);
    let url = from.url();
    let without = run(folder, &["redis", "import", "--url", &url]);
    assert_eq!(without.code, 3, "{}", without.err);
    assert!(without.err.contains("--definitions DIR"), "{}", without.err);
    let imported = run(folder, &["redis", "import", "--url", &url, "--definitions", "config"]);
    assert_eq!(imported.code, 0, "{}", imported.err);
    assert!(
        imported.out.starts_with("imported 2 totals, 1 set of distinct ones, 1 table of values, weeks "),
        "{}",
        imported.out
    );
    assert!(imported.err.contains("no definition explains"), "{}", imported.err);
    assert!(imported.err.contains("  {event_counters}_closed"), "{}", imported.err);
    let again = run(folder, &["redis", "import", "--url", &url, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&again.out).unwrap();
    assert_eq!((&json["counts"], &json["uniques"], &json["per_value"]), (&2.into(), &1.into(), &1.into()));
    assert_eq!(json["unknown"], serde_json::json!(["{event_counters}_closed"]));
    let query = run(folder, &["query", "opened"]);
    assert!(query.out.contains("1,500"), "{}", query.out);
    assert!(run(folder, &["query", "opened", "--per-value", "label"]).out.contains("900"));

    let there = to.url();
    let verified = run(folder, &["redis", "verify", "--url", &there]);
    assert_eq!(verified.code, 1);
    assert!(verified.out.contains("in Redis") && verified.out.contains("nothing"), "{}", verified.out);
    assert!(verified.err.contains("4 keys are not the same"), "{}", verified.err);
    let exported = Command::new(env!("CARGO_BIN_EXE_headcount"))
        .args(["redis", "export", "--url-env", "THERE"])
        .current_dir(folder)
        .env("THERE", &there)
        .output()
        .unwrap();
    assert!(exported.status.success(), "{exported:?}");
    assert_eq!(String::from_utf8(exported.stdout).unwrap(), "4 keys written\n");
    let verified = run(folder, &["redis", "verify", "--url", &there]);
    assert_eq!((verified.code, verified.out.as_str()), (0, "4 keys are the same\n"), "{}", verified.err);
    to.ok(&["HINCRBY", "{hll_counters}_opened-operator:total-label", "web", "1"]);
    let verified = run(folder, &["redis", "verify", "--url", &there, "--json"]);
    assert_eq!(verified.code, 1);
    let json: serde_json::Value = serde_json::from_str(&verified.out).unwrap();
    assert_eq!(json["differences"][0]["in_redis"], "1501 over 2 values");
    assert_eq!(run(folder, &["redis", "export", "--url", &there, "--overwrite"]).code, 0);
    assert_eq!(run(folder, &["redis", "verify", "--url", &there]).code, 0);
    let refused = run(folder, &["redis", "export", "--url", &url]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("not from this store"), "{}", refused.err);

    let file = run(folder, &["redis", "export", "--resp", "usage.resp"]);
    assert_eq!((file.code, file.out.as_str()), (0, "4 keys written\n"));
    assert!(std::fs::read(folder.join("usage.resp")).unwrap().starts_with(b"*3\r\n$3\r\nSET\r\n"));
    from.ok(&["SAVE"]);
    let dump = from.folder().join("dump.rdb");
    let imported = run(
        folder,
        &[
            "redis",
            "import",
            "--rdb",
            dump.to_str().unwrap(),
            "--store",
            "other.db",
            "--definitions",
            "config",
        ],
    );
    assert_eq!(imported.code, 0, "{}", imported.err);
    assert!(run(folder, &["query", "opened", "--store", "other.db"]).out.contains("1,500"));
}

#[test]
fn what_makes_no_sense_and_what_cannot_be_reached_have_their_exit_codes() {
    let folder = folder();
    let run = |args: &[&str]| run(folder.path(), args);
    assert_eq!(run(&["redis", "import"]).code, 2);
    assert_eq!(run(&["redis", "import", "--url", "redis://x/", "--rdb", "y"]).code, 2);
    assert_eq!(run(&["redis", "import", "--url", "redis://x/", "--until", "noon"]).code, 2);
    assert_eq!(run(&["redis", "verify"]).code, 2);
    let missing = run(&["redis", "verify", "--url-env", "NOT_SET_AT_ALL"]);
    assert_eq!(missing.code, 2);
    assert!(missing.err.contains("NOT_SET_AT_ALL"), "{}", missing.err);
    let away = run(&["redis", "import", "--url", "redis://:secret@127.0.0.1:1/", "--definitions", "config"]);
    assert_eq!(away.code, 7, "{}", away.err);
    assert!(!away.err.contains("secret"), "{}", away.err);
    let help = run(&["redis", "import", "--help"]);
    assert!(help.out.contains("headcount redis import --definitions config --url"), "{}", help.out);
}

#[test]
fn a_mirror_runs_until_it_is_told_to_end_and_brings_the_last_flush() {
    let Some(mut redis) = Redis::start() else { return };
    let folder = folder();
    let folder = folder.path();
    std::fs::write(folder.join("a.ndjson"), "{\"event\":\"opened\",\"user\":1}\n").unwrap();
    assert_eq!(run(folder, &["import", "a.ndjson", "--definitions", "config"]).code, 0);
    let mut mirror =
        command(folder, &["redis", "mirror", "--url", &redis.url()]).stderr(Stdio::piped()).spawn().unwrap();
    let began = Instant::now();
    while redis.text("{event_counters}_opened").as_deref() != Some("1") {
        assert!(began.elapsed() < Duration::from_secs(20), "nothing was mirrored");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::fs::write(
        folder.join("b.ndjson"),
        "{\"event\":\"opened\",\"user\":2}\n{\"event\":\"opened\",\"user\":3}\n",
    )
    .unwrap();
    assert_eq!(run(folder, &["import", "b.ndjson"]).code, 0);
    let ended = Command::new("kill").args(["-TERM", &mirror.id().to_string()]).status().unwrap();
    assert!(ended.success());
    assert_eq!(mirror.wait().unwrap().code(), Some(0));
    assert_eq!(redis.text("{event_counters}_opened").as_deref(), Some("3"));
    assert_eq!(run(folder, &["redis", "verify", "--url", &redis.url()]).code, 0);
}
