//! Imports that are interrupted, and what they show on a terminal.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use headcount::cli::{Defaults, run};
use rusqlite::Connection;
use serde_json::Value;

use crate::bench::{Bench, Ran};

const SEED: u64 = 20_261_122;
/// More than a pipe holds: whoever has written so much knows that some of it was read.
const MORE_THAN_A_PIPE: usize = 2 * 1024 * 1024;
const LINE: &str = "{\"event\":\"epic_created\",\"time\":1710000000,\"user\":7}\n";
/// How long a process that must end may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn an_import_that_is_interrupted_says_what_it_counted_and_continues() {
    let text = LINE.repeat(150_000);
    let mut random = SEED;
    for signal in ["INT", "TERM", "INT", "INT"] {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let spread = (text.len() - MORE_THAN_A_PIPE) as u64;
        let cut = MORE_THAN_A_PIPE + usize::try_from((random >> 16) % spread).unwrap();
        let bench = Bench::with_events();
        let fifo = bench.path("fifo");
        assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let child = bench.command(&["import", "fifo", "--source", "log", "--json"]).spawn().unwrap();
        let mut feed = OpenOptions::new().write(true).open(&fifo).unwrap();
        // The import reads, or waits for more: the pipe stays open.
        feed.write_all(&text.as_bytes()[..cut]).unwrap();
        let ran = interrupted(child, signal);
        drop(feed);
        assert_eq!(ran.code, 130, "seed {SEED}, cut {cut}: {}", ran.err);
        let (kind, message) = ran.error();
        assert_eq!(kind, "interrupted");
        assert!(message.contains("the same command continues"), "{message}");
        let first = &serde_json::from_str::<Value>(&ran.out).unwrap()["sources"][0];
        let counted = first["accepted"].as_u64().unwrap();
        assert!(counted > 0 && counted <= (cut / LINE.len()) as u64, "seed {SEED}, cut {cut}: {first}");
        bench.write("log", &text);
        let second = &bench.json(&["import", "log", "--source", "log"])["sources"][0];
        assert_eq!(second["already_read"], first["lines"], "seed {SEED}, cut {cut}");
        assert_eq!(bench.json(&["query", "epic_created"])["value"], 150_001, "seed {SEED}, cut {cut}");
    }
}

#[test]
fn standard_input_that_gives_nothing_more_can_be_interrupted() {
    let bench = Bench::with_events();
    let mut child = bench.command(&["import", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut feed = child.stdin.take().unwrap();
    feed.write_all(LINE.repeat(MORE_THAN_A_PIPE / LINE.len()).as_bytes()).unwrap();
    feed.write_all(b"{\"event\":").unwrap();
    asleep(&child);
    let ran = interrupted(child, "INT");
    drop(feed);
    assert_eq!(ran.code, 130);
    assert!(ran.err.ends_with("cannot be continued: what comes again counts again\n"), "{}", ran.err);
    assert!(!ran.err.contains("refused"), "{}", ran.err);
    let counted = (MORE_THAN_A_PIPE / LINE.len()) as u64;
    assert_eq!(bench.json(&["query", "epic_created"])["value"], counted + 1, "{}", ran.out);
}

#[test]
fn an_import_that_cannot_commit_says_so_also_when_it_was_interrupted() {
    let bench = Bench::with_events();
    let mut child = bench.command(&["import", "-", "--source", "log"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut feed = child.stdin.take().unwrap();
    feed.write_all(LINE.repeat(3_000).as_bytes()).unwrap();
    asleep(&child);
    let store = Connection::open(bench.path("headcount.db")).unwrap();
    let refuse =
        "CREATE TRIGGER refuse BEFORE INSERT ON sources BEGIN SELECT RAISE(ABORT, 'refused here'); END";
    store.execute_batch(refuse).unwrap();
    let ran = interrupted(child, "INT");
    drop(feed);
    store.execute_batch("DROP TRIGGER refuse").unwrap();
    assert_eq!(bench.json(&["query", "epic_created"])["value"], 1);
    assert!(ran.code != 0 && ran.code != 130, "{}: {}", ran.code, ran.err);
    assert!(ran.err.contains("refused here"), "{}", ran.err);
    assert!(ran.err.contains("error: interrupted; but for what the other errors say"), "{}", ran.err);
}

#[test]
fn a_file_that_has_changed_is_reported_also_when_a_later_one_is_interrupted() {
    let bench = Bench::with_events();
    bench.write("events.ndjson", LINE);
    let args = ["import", "events.ndjson", "-", "--definitions", "config"];
    let mut child = bench.command(&args).stdin(Stdio::piped()).spawn().unwrap();
    let mut feed = child.stdin.take().unwrap();
    feed.write_all(LINE.repeat(MORE_THAN_A_PIPE / LINE.len()).as_bytes()).unwrap();
    let ran = interrupted(child, "INT");
    drop(feed);
    assert!(ran.err.contains("has changed within its first"), "{}", ran.err);
    assert!(ran.err.contains("interrupted"), "{}", ran.err);
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains("stdin-"), "{}", ran.out);
}

/// Makes the test `a_child` a host that imports twice, or does something else between two imports.
const CHILD: &str = "HEADCOUNT_TEST_CHILD";
/// What a child says when an import has ended.
const CODE: &str = "ended with ";

#[test]
#[expect(clippy::print_stdout, reason = "a child speaks on stdout")]
fn a_child() {
    let Ok(work) = std::env::var(CHILD) else { return };
    let has_come = Arc::new(AtomicBool::new(false));
    if work == "handles" {
        signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&has_come)).unwrap();
    }
    let import = |input: &str| {
        let code = run(["acme", "import", input, "--source", input], Defaults::new());
        println!("{CODE}{code:?}");
    };
    import("events.ndjson");
    match work.as_str() {
        "imports" => import("fifo"),
        "handles" => {
            while !has_come.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
        }
        _ => loop {
            std::thread::park();
        },
    }
}

/// The child, when its first import has ended.
fn host(bench: &Bench, work: &str) -> (Child, BufReader<ChildStdout>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "interrupts::a_child", "--nocapture"]).current_dir(bench.path(""));
    command.env(CHILD, work).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains(CODE) {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "the child ended first");
    }
    assert!(line.contains(&format!("{:?}", ExitCode::SUCCESS)), "{line}");
    (child, out)
}

fn signal(child: &Child, name: &str) {
    let kill = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status().unwrap();
    assert!(kill.success());
}

#[test]
fn the_second_import_of_a_process_is_interrupted_in_order_too() {
    let bench = Bench::with_events();
    let fifo = bench.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let (mut child, mut out) = host(&bench, "imports");
    let mut feed = OpenOptions::new().write(true).open(&fifo).unwrap();
    feed.write_all(LINE.repeat(MORE_THAN_A_PIPE / LINE.len()).as_bytes()).unwrap();
    signal(&child, "INT");
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert!(rest.contains(&format!("{CODE}{:?}", ExitCode::from(130))), "{rest}");
    assert!(child.wait().unwrap().success());
    drop(feed);
}

#[test]
fn after_an_import_signals_do_what_they_did_before() {
    for (work, name, ended_by) in
        [("waits", "INT", Some(2)), ("waits", "TERM", Some(15)), ("handles", "INT", None)]
    {
        let bench = Bench::with_events();
        let (mut child, mut out) = host(&bench, work);
        signal(&child, name);
        out.read_to_string(&mut String::new()).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.signal(), ended_by, "{work} {name}: {status}");
        assert_eq!(status.success(), ended_by.is_none(), "{work} {name}: {status}");
    }
}

/// Returns when the main thread of a process waits for something, having read what it was given.
fn asleep(child: &Child) {
    let begin = Instant::now();
    let path = format!("/proc/{}/wchan", child.id());
    while begin.elapsed() < PATIENCE {
        let waits_for = std::fs::read_to_string(&path).unwrap_or_default();
        if waits_for.contains("poll") {
            return;
        }
        // Where the kernel does not say, the signal comes at any time, which must be right as well.
        if waits_for == "0" && begin.elapsed() > Duration::from_secs(1) {
            return;
        }
        std::thread::yield_now();
    }
}

fn interrupted(mut child: Child, signal: &str) -> Ran {
    self::signal(&child, signal);
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("the import did not end after SIG{signal}");
        }
        std::thread::yield_now();
    }
    Ran::of(child.wait_with_output().unwrap())
}

/// Feeds an import on a terminal until `is_enough` of what it shows.
fn shown_on(terminal: &str, is_enough: impl Fn(&str, Duration) -> bool) -> Option<String> {
    let bench = Bench::with_events();
    let fifo = bench.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let import = format!("{} import fifo --source log", env!("CARGO_BIN_EXE_headcount"));
    let mut script = Command::new("script");
    script
        .args(["-qec", &import, "/dev/null"])
        .env("TERM", terminal)
        .env("NO_COLOR", "1")
        .current_dir(bench.path(""));
    // Where there is no `script`, there is no terminal to try it on.
    let mut child = script.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().ok()?;
    let mut screen = child.stdout.take().unwrap();
    let (sender, receiver) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut bytes = [0; 1024];
        while let Ok(length @ 1..) = screen.read(&mut bytes) {
            sender.send(String::from_utf8_lossy(bytes.get(..length).unwrap()).into_owned()).unwrap();
        }
    });
    let mut feed: File = OpenOptions::new().write(true).open(&fifo).unwrap();
    let (begin, mut shown) = (Instant::now(), String::new());
    while !is_enough(&shown, begin.elapsed()) && begin.elapsed() < PATIENCE {
        feed.write_all(LINE.as_bytes()).unwrap();
        shown.extend(receiver.recv_timeout(Duration::from_millis(20)));
    }
    drop(feed);
    assert!(child.wait().unwrap().success());
    reader.join().unwrap();
    shown.extend(receiver.iter());
    Some(shown)
}

#[test]
fn a_long_import_shows_its_progress_and_leaves_nothing_of_it() {
    let Some(shown) = shown_on("xterm", |shown, _| shown.contains("lines/s")) else { return };
    let (progress, summary) = shown.rsplit_once("NEW LINES").unwrap();
    assert!(progress.contains("log: ") && progress.contains(" lines/s"), "{shown:?}");
    assert!(progress.ends_with("\u{1b}[2K") || progress.ends_with("\u{1b}[K"), "{shown:?}");
    assert!(!summary.contains("lines/s"), "{shown:?}");
}

#[test]
fn a_terminal_that_cannot_move_its_cursor_shows_no_progress() {
    let long = Duration::from_millis(1_000);
    let Some(shown) = shown_on("dumb", |_, elapsed| elapsed > long) else { return };
    assert!(shown.starts_with("NEW LINES"), "{shown:?}");
}
