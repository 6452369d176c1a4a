//! How much memory does a store take: 200 events, each with two uniques, tracked as fast as the queue takes them?
//!
//! The resident memory of a process of its own, from before the store is opened: at its largest, and after the last flush. With
//! it come the pages of the program that were not in use before, about 2 MiB.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops where it is wrong"
)]

mod rounds;

use std::fs;
use std::process::Command;
use std::time::Duration;

use headcount::{Builder, Definitions, EventDefinition, EventTracker, Overflow, Rule, Store};

use rounds::{SplitMix, Table, scale};

const ROUNDS: usize = 3;
const EVENTS: u64 = 200;
const USERS: u64 = 100_000;
const PROJECTS: u64 = 20_000;
const TRACKED: u64 = 1_500_000;
/// Few, and so many that every sketch has registers.
const FEW: u64 = 100;
const MANY: u64 = 7_500;
const KIB_A_MIB: f64 = 1_024.0;

/// What is tracked: its name, and how.
type Case = (&'static str, fn(&[EventTracker]));

const CASES: [Case; 4] = [
    ("nothing", |_| ()),
    ("400 sketches of 100", |events| track_alike(events, FEW)),
    ("400 sketches, skewed, up to 100,000", track_skewed),
    ("400 sketches of 7,500: registers", |events| track_alike(events, MANY)),
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, command, case, column] = arguments.as_slice()
        && command == "--only"
    {
        let growth = growth_kib(CASES[case.parse::<usize>().unwrap()].1);
        println!("{}", growth[column.parse::<usize>().unwrap()]);
        return;
    }
    let mut table = Table::new("MiB of memory", &["at most", "in the end"]);
    for (number, (name, _)) in CASES.iter().enumerate().take(scale(CASES.len(), 2)) {
        table.row(*name).case(move || apart(number, 0)).case(move || apart(number, 1));
    }
    table.run(ROUNDS);
}

/// Runs a case in a process of its own; MiB.
fn apart(case: usize, column: usize) -> f64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--only", &case.to_string(), &column.to_string()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().parse::<f64>().unwrap() / KIB_A_MIB
}

fn growth_kib(track: fn(&[EventTracker])) -> [u64; 2] {
    let folder = tempfile::tempdir().unwrap();
    let name = |event| format!("event_{event}");
    let definitions = (0..EVENTS).fold(Definitions::new(), |all, event| {
        all.event(EventDefinition::new(name(event)).identifier("user").identifier("project")).unwrap()
    });
    let before = kib("VmRSS:");
    let builder = Store::builder(folder.path().join("usage.db"))
        .definitions(definitions)
        .on_overflow(Overflow::Wait(Duration::from_secs(60)));
    let rules = (0..EVENTS)
        .flat_map(|event| ["user", "project"].map(|identifier| Rule::unique(name(event), identifier)));
    let store = rules.fold(builder, Builder::record).open().unwrap();
    let events: Vec<_> = (0..EVENTS).map(|event| store.tracker().event(&name(event)).unwrap()).collect();
    track(&events);
    store.flush().unwrap();
    ["VmHWM:", "VmRSS:"].map(|line| kib(line).saturating_sub(before))
}

fn track_alike(events: &[EventTracker], users: u64) {
    for user in 0..users {
        for event in events {
            event.user(user).project(user).track();
        }
    }
}

fn track_skewed(events: &[EventTracker]) {
    let mut random = SplitMix::new(1);
    for _ in 0..TRACKED {
        let event = usize::try_from(skewed(&mut random, EVENTS)).unwrap();
        let (user, project) = (skewed(&mut random, USERS), skewed(&mut random, PROJECTS));
        events[event].user(100_000 + user).project(100_000 + project).track();
    }
}

/// Numbers below a bound whose frequency falls as 1/n.
fn skewed(random: &mut SplitMix, bound: u64) -> u64 {
    let uniform = random.next() as f64 / 2_f64.powi(64);
    ((bound as f64).powf(uniform) as u64 - 1).min(bound - 1)
}

fn kib(line: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let value = status.lines().find_map(|status| status.strip_prefix(line)).unwrap();
    value.trim().trim_end_matches(" kB").parse().unwrap()
}
