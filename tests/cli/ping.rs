//! `headcount ping`.

use serde_json::{Value as Json, json};

use crate::bench::{Bench, Ran};

/// With metrics that nothing can answer, and one whose place is taken.
fn bench() -> Bench {
    let bench = Bench::with_events();
    let extra = "key_path: settings.colour\ndescription: x\ndata_source: system\ntime_frame: none\n";
    bench.write("config/metrics/colour.yml", extra);
    // Needs an object where `counts.issues` has its number.
    let below = "key_path: counts.issues.open\ndescription: x\ndata_source: internal_events\n\
                 time_frame: all\nevents: [{name: epic_created}]\n";
    bench.write("config/metrics/below.yml", below);
    bench
}

fn at(bench: &Bench, now: &str, args: &[&str]) -> Ran {
    Ran::of(bench.command(args).env("HEADCOUNT_NOW", now).output().unwrap())
}

#[test]
fn metrics_nest_by_their_key_paths_and_the_others_have_reasons() {
    let bench = bench();
    let document =
        bench.json(&["ping", "preview", "--definitions", "config", "--as-of", "2024-03-12T09:00:00Z"]);
    assert_eq!(document["recorded_at"], "2024-03-12T09:00:00Z");
    assert_eq!(document["partial"], true, "a metric has no place");
    let ping = &document["document"];
    assert_eq!((&ping["counts"]["issues"], &ping["counts"]["minutes"]), (&json!(3), &json!(7.5)));
    assert_eq!(ping["counts"]["by_label"], json!({"label": {"api": 1, "web": 2}}));
    assert_eq!(ping["counts"]["openers_weekly"], json!(2));
    let of = |key_path: &str| {
        let metrics = document["metrics"].as_array().unwrap();
        metrics.iter().find(|metric| metric["key_path"] == key_path).unwrap().clone()
    };
    assert_eq!(of("counts.issues.open")["reason"], "definitions");
    assert_eq!(of("settings.colour")["outcome"], "unavailable");
    assert!(ping["settings"].get("colour").is_none());
    assert_eq!(of("counts.openers_weekly")["window"]["from"], "2024-03-04T00:00:00Z");
    assert_eq!(document["since_last"], Json::Null);
}

#[test]
fn a_preview_shows_the_very_bytes_that_generate_keeps() {
    let bench = bench();
    let preview = bench.run(&["ping", "preview"]);
    assert_eq!(preview.code, 0);
    let made = bench.run(&["ping", "generate"]);
    assert!(made.out.starts_with("the ping of 2026-W47 is made: "), "{}", made.out);
    let shown = bench.run(&["ping", "show"]);
    let without_size = |text: &str| {
        let mut json: Json = serde_json::from_str(text).unwrap();
        // The store has grown by nothing but its log.
        json["headcount"].as_object_mut().unwrap().remove("store_bytes");
        json
    };
    assert_eq!(without_size(&shown.out), without_size(&preview.out));
    assert!(shown.out.starts_with("{\n  \"counts\": {\n    \"by_label\": {"), "{}", shown.out);
    let again = bench.run(&["ping", "generate"]);
    assert!(again.out.contains("was made Sun 22 Nov 10:00 and stays as it is"), "{}", again.out);
    assert_eq!(bench.run(&["ping", "show", "2026-W47"]).out, shown.out);
}

#[test]
fn a_run_makes_what_is_due_once() {
    let bench = bench();
    let status = bench.json(&["ping", "status"]);
    let next = status["next_at"].as_str().unwrap();
    let early = bench.json(&["ping", "run"]);
    assert_eq!((&early["made"], early["next_at"].as_str()), (&Json::Null, Some(next)));
    let due = at(&bench, next, &["ping", "run"]);
    assert!(due.code == 0 && due.out.contains(" is made: "), "{} {}", due.out, due.err);
    let again = at(&bench, next, &["ping", "run"]);
    assert!(again.code == 0 && again.out.starts_with("nothing is due before "), "{}", again.out);
    assert_eq!(bench.json(&["ping", "history"])["pings"].as_array().unwrap().len(), 1);
}

#[test]
fn two_weeks_are_compared_value_by_value() {
    let bench = bench();
    bench.run(&["ping", "generate"]);
    let lonely = bench.run(&["ping", "diff"]);
    assert_eq!((lonely.code, lonely.err.as_str()), (1, "error: no ping from before 2026-W47 is kept\n"));
    let event = "{\"event\":\"issue_created\",\"time\":\"2026-11-22T09:00:00Z\",\"user\":9}\n";
    bench.run_on(event.as_bytes(), &["import", "-"]);
    assert_eq!(at(&bench, "2026-11-23T10:00:00Z", &["ping", "generate"]).code, 0);
    let differs = bench.json(&["ping", "diff"]);
    assert_eq!((&differs["before"], &differs["after"]), (&json!("2026-W47"), &json!("2026-W48")));
    let changes = differs["changes"].as_array().unwrap();
    assert!(changes.contains(&json!({"key_path": "counts.issues", "before": 3, "after": 4})), "{changes:?}");
    let table = bench.run(&["ping", "diff", "2026-W47", "2026-W48"]).out;
    let row = table.lines().find(|line| line.starts_with("counts.issues ")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["counts.issues", "3", "4", "+1"]);
    let preview = at(&bench, "2026-11-23T10:00:00Z", &["ping", "preview", "--diff"]);
    assert!(preview.out.starts_with("what differs from the ping of 2026-W48:"), "{}", preview.out);
    for (args, code) in [(["ping", "show", "2026-W01"], 1), (["ping", "show", "2026-W54"], 2)] {
        assert_eq!(bench.run(&args).code, code, "{args:?}");
    }
}

#[test]
fn nothing_leaves_before_somebody_says_so_and_the_environment_wins() {
    let bench = bench();
    let status = |variables: &[(&str, &str)]| {
        let mut command = bench.command(&["ping", "status", "--json"]);
        command.env_remove("DO_NOT_TRACK").env_remove("HEADCOUNT_TELEMETRY").envs(variables.iter().copied());
        serde_json::from_str::<Json>(&Ran::of(command.output().unwrap()).out).unwrap()
    };
    assert_eq!(status(&[])["sends"], false);
    let url = "https://usage.example.com/pings";
    let chosen =
        bench.run(&["ping", "consent", "--send-to", url, "--without", "optional", "--suppress-below", "5"]);
    assert!(chosen.out.contains("categories     operational, subscription, standard"), "{}", chosen.out);
    assert_eq!(status(&[])["sends"], true);
    for variable in [("DO_NOT_TRACK", "1"), ("HEADCOUNT_TELEMETRY", "off")] {
        let status = status(&[variable]);
        assert_eq!((&status["sends"], &status["sending"]["chosen"]), (&json!(false), &json!(true)));
        assert_eq!(status["sending"]["forbidden_by"], format!("{}={}", variable.0, variable.1));
    }
    assert_eq!(status(&[])["suppress_below"], 5);
    bench.run(&["ping", "consent", "--off", "--with", "optional"]);
    let off = status(&[]);
    assert_eq!((&off["sends"], &off["sending"]["url"]), (&json!(false), &json!(url)));
    assert_eq!(off["categories"].as_array().unwrap().len(), 4);
    assert_eq!(bench.run(&["ping", "consent", "--send-to", "usage.example.com"]).code, 2);
}

#[test]
fn what_became_of_each_metric_is_shown_the_ones_without_a_value_first() {
    let bench = bench();
    bench.run(&["ping", "generate", "--definitions", "config"]);
    let shown = bench.run(&["ping", "show", "--metrics"]).out;
    let outcomes: Vec<&str> =
        shown.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).collect();
    let (together, outcomes) = outcomes.split_last().unwrap();
    assert!(together.parse::<f64>().is_ok() && shown.trim_end().ends_with("read together"), "{shown}");
    assert!(outcomes.len() > 8, "{shown}");
    let first_value = outcomes.iter().position(|outcome| *outcome == "value").unwrap();
    assert!(first_value >= 2 && outcomes[first_value..].iter().all(|outcome| *outcome == "value"), "{shown}");
    assert!(shown.contains("settings.colour") && shown.contains("`system`"), "{shown}");
}

const LARGE_PINGS: usize = 150;
const LARGE_BYTES: usize = 1_000_000;
/// Of address space: two documents and what is said of them fit in, and not all that are kept.
const MEMORY_KIB: usize = 100_000;

/// All of them have 150 MB; a digest that does not fit makes each be read when it is to be sent.
#[test]
fn documents_are_read_one_by_one_and_only_where_they_are_needed() {
    let bench = bench();
    bench.run(&["ping", "consent", "--send-to", "http://127.0.0.1:9/"]);
    bench.run(&["ping", "generate"]);
    let store = rusqlite::Connection::open(bench.path("headcount.db")).unwrap();
    let copies = format!(
        "WITH RECURSIVE weeks (ago) AS (SELECT 1 UNION ALL SELECT ago + 1 FROM weeks WHERE ago < {LARGE_PINGS})
         INSERT INTO pings SELECT week - ago, recorded, '{{\"a\": \"' || printf('%.*c', {LARGE_BYTES}, 'x') || '\"}}', beside,
             digest, partial, outcome, attempts, tried, next, status, response, agreement FROM pings, weeks"
    );
    assert_eq!(store.execute(&copies, []).unwrap(), LARGE_PINGS);
    store.execute("DELETE FROM pings WHERE week = (SELECT max(week) FROM pings)", []).unwrap();
    drop(store);
    let within = |args: &[&str]| {
        let line = format!("ulimit -v {MEMORY_KIB}; exec \"$0\" \"$@\"");
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &line, env!("CARGO_BIN_EXE_headcount")]).args(args).current_dir(bench.path(""));
        command.env_remove("HEADCOUNT_STORE").env_remove("HEADCOUNT_DEFINITIONS");
        Ran::of(command.env("HEADCOUNT_NOW", crate::bench::NOW).output().unwrap())
    };
    let status = within(&["ping", "status"]);
    assert_eq!((status.code, status.err.as_str()), (0, ""));
    for args in [&["ping", "preview", "--diff"][..], &["ping", "diff"], &["ping", "history"]] {
        let ran = within(args);
        assert_eq!(ran.code, 0, "{args:?} {}", ran.err);
    }
    if cfg!(feature = "upload") {
        let sent = within(&["ping", "send", "--no-proxy"]);
        assert_eq!(sent.out.matches("is not sent").count(), LARGE_PINGS, "{} {}", sent.out, sent.err);
    }
    let checked = within(&["check"]);
    assert_eq!(checked.code, 5, "{} {}", checked.out, checked.err);
}

#[test]
fn a_damaged_ping_is_forgotten_with_the_command_that_the_check_names() {
    let bench = bench();
    bench.run(&["ping", "generate"]);
    let store = rusqlite::Connection::open(bench.path("headcount.db")).unwrap();
    store.execute("UPDATE pings SET document = replace(document, 'uuid', 'uuld')", []).unwrap();
    drop(store);
    let checked = bench.run(&["check"]);
    assert!(
        checked.code == 5 && format!("{}{}", checked.out, checked.err).contains("ping forget 2026-W47"),
        "{}",
        checked.out
    );
    let unknown = bench.run(&["ping", "forget", "2026-W46"]);
    assert_eq!(
        (unknown.code, unknown.err.as_str()),
        (1, "error: no ping of 2026-W46 is kept; those kept are of 2026-W47 to 2026-W47\n")
    );
    let forgotten = bench.run(&["ping", "forget", "2026-W47"]);
    assert!(
        forgotten.code == 0 && forgotten.out.contains("kept here; its week gets no other"),
        "{}",
        forgotten.out
    );
    assert_eq!(bench.run(&["check"]).code, 0);
    let history = bench.json(&["ping", "history"]);
    assert_eq!(
        (&history["pings"][0]["outcome"], &history["pings"][0]["sha256"]),
        (&json!("forgotten"), &Json::Null)
    );
    assert!(bench.run(&["ping", "history"]).out.contains("forgotten Sun 22 Nov 10:00"));
    for (args, code) in [
        (&["ping", "generate"][..], 1),
        (&["ping", "run"], 0),
        (&["ping", "forget", "2026-W47"], 1),
        (&["ping", "show"], 1),
    ] {
        assert_eq!(bench.run(args).code, code, "{args:?}");
    }
}

#[test]
fn an_export_says_what_stands_beside_and_marks_only_when_it_is_told_to() {
    let bench = bench();
    bench.run(&["ping", "generate", "--definitions", "config"]);
    let plain = bench.run(&["ping", "export", "plain.json"]);
    assert!(
        plain.code == 0 && plain.out.ends_with("in its own words is left out (--with-messages)\n"),
        "{}",
        plain.out
    );
    let telling = bench.run(&["ping", "export", "telling.json", "--with-messages"]);
    assert!(telling.out.contains("messages of sources in it may name paths"), "{}", telling.out);
    let (plain, telling) =
        (bench.json(&["ping", "verify", "plain.json"]), bench.json(&["ping", "verify", "telling.json"]));
    assert!(plain["messages"] == 0 && telling["messages"].as_u64() > Some(1), "{plain} {telling}");
    let carried = bench.run(&["ping", "export", "carried.json", "--mark-carried"]);
    assert!(carried.out.contains("1 ping is noted as carried out"), "{}", carried.out);
    assert_eq!(bench.json(&["ping", "history"])["pings"][0]["outcome"], "carried");
    assert_eq!(bench.run(&["ping", "export", "again.json"]).code, 1);
    assert_eq!(bench.run(&["ping", "export", "again.json", "2026-W47"]).code, 0);
}
