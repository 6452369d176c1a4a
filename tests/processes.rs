//! Several processes on one file: nothing is lost, nothing counts twice, and registers unite.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "the helpers of tests may fail as tests do, and a child speaks on stdout"
)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use headcount::{
    Definitions, Event, EventDefinition, ManualClock, Mode, Query, Reader, Rule, Sketch, SketchKind, Store,
    Timestamp, TrackError,
};

use common::{Chance, connect, contents, counted, day_bucket, ledger};

/// The variable that makes the test `a_child` a child: its part of the work, and the file.
const PART: &str = "HEADCOUNT_TEST_CHILD_PART";
const FILE: &str = "HEADCOUNT_TEST_CHILD_FILE";
const FOREVER: &str = "forever";
const PARTS: u64 = 4;
const EVENTS: u64 = 4_000;

fn noon() -> Timestamp {
    Timestamp::parse("2026-11-22T12:00:00Z").unwrap()
}

fn open(path: &Path, mode: Mode) -> Store {
    let page = EventDefinition::new("page_viewed").identifier("user").identifier("device").label().value();
    Store::builder(path)
        .definitions(Definitions::new().event(page).unwrap())
        .clock(ManualClock::new(noon()))
        .mode(mode)
        .record(Rule::unique("page_viewed", "user"))
        .record(Rule::unique("page_viewed", "device"))
        .record(Rule::sum("page_viewed"))
        .record(Rule::per_value("page_viewed", "label"))
        .flush_every(Duration::from_millis(2))
        .open()
        .unwrap()
}

/// The `n`-th event of a part: its own users, some of all parts, few devices, over two days.
fn track(store: &Store, chance: &mut Chance, part: u64, n: u64) {
    let own = chance.below(4) > 0;
    let user = if own { part * 1_000_000 + n } else { chance.below(500) };
    let label = format!("label-{}", chance.below(40));
    let event = Event::new("page_viewed")
        .user(user)
        .identifier("device", chance.below(60))
        .label(&label)
        .value(f64::from(u32::try_from(chance.below(1_000)).unwrap()) * 0.125)
        .at(noon().plus_seconds(-i64::try_from(chance.below(50_000)).unwrap()));
    while let Err(error) = store.tracker().try_track(event.clone()) {
        assert_eq!(error, TrackError::QueueFull);
        store.flush().unwrap();
    }
}

fn work(store: &Store, part: u64) {
    let mut chance = Chance::new(part);
    for n in 0..EVENTS {
        track(store, &mut chance, part, n);
        if n % 80 == 79 {
            store.flush().unwrap();
        }
    }
}

/// Does nothing, unless another test of this file has started it as a process of its own.
#[test]
fn a_child() {
    let (Ok(part), Ok(file)) = (std::env::var(PART), std::env::var(FILE)) else { return };
    let store = open(Path::new(&file), Mode::Background);
    println!("ready");
    std::io::stdout().flush().unwrap();
    let mut go = String::new();
    std::io::stdin().read_line(&mut go).unwrap();
    if part == FOREVER {
        let mut chance = Chance::new(99);
        for n in 0.. {
            track(&store, &mut chance, 99, n);
            if n % 50 == 49 {
                store.flush().unwrap();
                println!("flushed {}", n + 1);
                std::io::stdout().flush().unwrap();
            }
        }
    }
    work(&store, part.parse().unwrap());
    let stats = store.close().unwrap();
    assert_eq!((stats.accepted, stats.stored, stats.lost), (EVENTS, EVENTS, 0));
}

struct Process {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Process {
    /// Starts a child and returns when it has opened the store.
    fn start(part: &str, path: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_child", "--nocapture"])
            .env(PART, part)
            .env(FILE, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut process = Self { child, lines };
        process.wait_for("ready");
        process
    }

    fn go(&mut self) {
        self.child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    }

    /// Reads on to the line that begins so.
    fn wait_for(&mut self, begin: &str) -> String {
        loop {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).unwrap() > 0, "the child ended before it said `{begin}`");
            // The harness may have written the name of the test before it on the same line.
            if let Some(at) = line.find(begin) {
                return line.split_off(at);
            }
        }
    }

    fn succeeds(mut self) {
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.lines, &mut rest).unwrap();
        assert!(self.child.wait().unwrap().success(), "{rest}");
    }
}

#[test]
fn four_processes_on_one_file_store_what_one_process_stores() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("four.db");
    let mut processes: Vec<_> = (0..PARTS).map(|part| Process::start(&part.to_string(), &path)).collect();
    processes.iter_mut().for_each(Process::go);
    processes.into_iter().for_each(Process::succeeds);

    let alone = folder.path().join("one.db");
    let store = open(&alone, Mode::Inline);
    (0..PARTS).for_each(|part| work(&store, part));
    store.close().unwrap();

    let (four, one) = (contents(&path), contents(&alone));
    assert_eq!(four.counts, one.counts);
    assert_eq!(four.sums, one.sums);
    assert_eq!(four.per_value, one.per_value);
    assert!(four.sketches == one.sketches, "registers differ");
    let day = day_bucket(noon().unix_seconds());
    let kind = |key: &str| Sketch::decode(&four.sketches[&(day, key.to_owned())]).unwrap().kind();
    assert_eq!(kind("page_viewed-device"), SketchKind::Codes);
    assert_eq!(kind("page_viewed-user"), SketchKind::Registers);
    let all: u64 = PARTS * EVENTS;
    assert_eq!(ledger(&path)["stored"], all);
    assert_eq!(counted(&connect(&path)), all);
}

#[test]
fn a_process_that_is_killed_leaves_whole_batches_and_what_it_had_flushed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("killed.db");
    let beside = open(&path, Mode::Background);
    let mut flushed = 0;
    for round in 1..=3_u64 {
        let mut killed = Process::start(FOREVER, &path);
        killed.go();
        let mut said = 0;
        for _ in 0..10 {
            let line = killed.wait_for("flushed ");
            said = line.trim_start_matches("flushed ").trim().parse().unwrap();
            beside.tracker().track(Event::new("page_viewed").user(round).value(0.0));
        }
        killed.child.kill().unwrap();
        killed.child.wait().unwrap();
        beside.flush().unwrap();
        flushed += said + 10;
        let stored = ledger(&path)["stored"];
        assert!(stored >= flushed, "{stored} stored, {flushed} flushed");
        flushed = stored;
        let contents = contents(&path);
        let connection = connect(&path);
        assert_eq!(counted(&connection), stored);
        let days: u64 =
            contents.counts.iter().filter(|((bucket, _), _)| bucket >> 40 == 2).map(|(_, count)| count).sum();
        let hours: u64 =
            contents.counts.iter().filter(|((bucket, _), _)| bucket >> 40 == 1).map(|(_, count)| count).sum();
        assert_eq!((days, hours), (stored, stored));
        let fine: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(fine, "ok");
    }
    assert!(beside.close().is_ok());
}

#[test]
fn another_process_reads_what_is_flushed_while_the_store_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("read.db");
    let mut writing = Process::start("0", &path);
    let reader = Reader::open(&path).unwrap().with_clock(ManualClock::new(noon()));
    writing.go();
    let total = Query::total("page_viewed");
    let mut before = 0;
    while before < EVENTS {
        let count = reader.value(&total).unwrap().count().unwrap();
        assert!(count >= before, "{before}, then {count}");
        assert!(
            writing.child.try_wait().unwrap().is_none()
                || reader.value(&total).unwrap().count() == Some(EVENTS)
        );
        before = count;
    }
    writing.succeeds();
}

#[test]
fn processes_that_create_one_store_at_once_all_count_in_it() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new.db");
        let start = std::sync::Barrier::new(6);
        std::thread::scope(|scope| {
            for user in 0..6_u32 {
                let (path, start) = (&path, &start);
                scope.spawn(move || {
                    start.wait();
                    let store = open(path, Mode::Inline);
                    store.tracker().track(Event::new("page_viewed").user(user));
                    store.close().unwrap();
                });
            }
        });
        let left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(
            left.iter().all(|name| name.to_string_lossy().starts_with("new.db")
                && !name.to_string_lossy().ends_with(".new")),
            "{left:?}"
        );
        let store = open(&path, Mode::Inline);
        assert_eq!(store.value(&Query::total("page_viewed")).unwrap().count(), Some(6));
        assert_eq!(store.value(&Query::unique("page_viewed", "user")).unwrap().count(), Some(6));
    }
}
