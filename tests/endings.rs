//! The ways in which a process may end, and what each of them leaves in the file.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "the helpers of tests may fail as tests do, and a child speaks on stdout"
)]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use headcount::{Definitions, Event, EventDefinition, Mode, Query, Reader, Store};

/// The variables that make the test `a_child` a child: how it ends, and the file.
const END: &str = "HEADCOUNT_TEST_CHILD_END";
const FILE: &str = "HEADCOUNT_TEST_CHILD_FILE";
const FLUSHED: u64 = 5;
const ALL: u64 = 12;
const SIGTERM: i32 = 15;

fn open(path: &str, mode: Mode, flush_every: Duration) -> Store {
    let definitions = Definitions::new().event(EventDefinition::new("page_viewed")).unwrap();
    Store::builder(path).definitions(definitions).mode(mode).flush_every(flush_every).open().unwrap()
}

fn track(store: &Store, events: u64) {
    let tracker = store.tracker();
    (0..events).for_each(|_| tracker.track(Event::new("page_viewed")));
}

/// Does nothing, unless another test of this file has started it as a process of its own.
#[test]
fn a_child() {
    static KEPT: OnceLock<Store> = OnceLock::new();
    let (Ok(end), Ok(file)) = (std::env::var(END), std::env::var(FILE)) else { return };
    let mode = if end == "exit inline" { Mode::Inline } else { Mode::Background };
    // An hour without a commit, so that only the end decides.
    let hour = Duration::from_secs(3_600);
    let store = open(&file, mode, if end == "exit later" { Duration::from_millis(5) } else { hour });
    track(&store, FLUSHED);
    store.flush().unwrap();
    track(&store, ALL - FLUSHED);
    match end.as_str() {
        "exit" | "exit inline" => std::process::exit(0),
        "exit later" => {
            let deadline = Instant::now() + Duration::from_secs(60);
            while store.stats().stored < ALL && Instant::now() < deadline {
                std::thread::yield_now();
            }
            std::process::exit(0);
        }
        "close and exit" => {
            store.close().unwrap();
            std::process::exit(0);
        }
        "static" => drop(KEPT.set(store)),
        "terminated" => {
            println!("tracked");
            std::io::stdout().flush().unwrap();
            std::thread::sleep(Duration::from_secs(60));
        }
        "drop" => drop(store),
        other => panic!("{other}"),
    }
}

fn start(end: &str, path: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "a_child", "--nocapture"]).env(END, end).env(FILE, path);
    child.stdout(Stdio::piped()).spawn().unwrap()
}

fn stored(path: &Path) -> u64 {
    Reader::open(path).unwrap().value(&Query::total("page_viewed")).unwrap().count().unwrap()
}

#[test]
fn closing_and_dropping_store_everything_and_an_exit_what_was_committed() {
    for (end, expected) in [
        ("exit", FLUSHED),
        ("exit inline", FLUSHED),
        ("static", FLUSHED),
        ("exit later", ALL),
        ("close and exit", ALL),
        ("drop", ALL),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        assert!(start(end, &path).wait_with_output().unwrap().status.success(), "{end}");
        assert_eq!(stored(&path), expected, "{end}");
    }
}

#[test]
fn a_signal_without_a_handler_leaves_what_was_committed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let mut child = start("terminated", &path);
    let said =
        BufReader::new(child.stdout.take().unwrap()).lines().any(|line| line.unwrap().contains("tracked"));
    assert!(said, "the child ended before it had tracked");
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().signal(), Some(SIGTERM));
    assert_eq!(stored(&path), FLUSHED);
}
