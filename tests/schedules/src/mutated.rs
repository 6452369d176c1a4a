//! The same with a mistake put in: each of `mutants.rs` must be found within the usual number of schedules, and its schedule replay.
#![allow(dead_code, missing_docs, unused_imports, reason = "the rest of the crate is not here")]

mod bench;
mod clock;
mod file;
mod scenarios;
mod scheduler;
mod sync;
include!("../mutants.rs");
include!(concat!(env!("OUT_DIR"), "/mutated.rs"));

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use std::{env, fs};

use scenarios::SCENARIOS;

fn main() -> ExitCode {
    let seed = env::var("HEADCOUNT_SEED").map_or(1, |seed| seed.parse().unwrap());
    let folder = env::temp_dir().join(format!("headcount-schedules-{}", std::process::id()));
    let found = MUTANTS.iter().filter(|mutant| is_found(mutant, seed, &folder)).count();
    // Without a mistake the copy is what it was copied from.
    let faults: Vec<String> = SCENARIOS
        .iter()
        .filter_map(|scenario| {
            fault(None, &scheduler::Scenario { schedules: 100, ..*scenario }, seed, &folder)
        })
        .collect();
    println!(
        "{found} of {} mistakes found; without one: {}",
        MUTANTS.len(),
        faults.first().map_or("sound", |fault| fault)
    );
    let _ = fs::remove_dir_all(&folder);
    if faults.is_empty() && found == MUTANTS.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn is_found(mutant: &'static Mutant, seed: u64, folder: &Path) -> bool {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == mutant.scenario).unwrap();
    // The runner keeps to the folder that it was first given.
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).unwrap();
    let began = Instant::now();
    let fault = fault(Some(mutant.name), scenario, seed, folder);
    let took = began.elapsed().as_millis();
    let schedule =
        fs::read_dir(folder).unwrap().next().map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap());
    let again = schedule.and_then(|schedule| {
        scheduler::failure(move || {
            sync::mistakes::MADE.set(Some(mutant.name));
            scheduler::replay(scenario, &schedule);
        })
    });
    println!("{} ({}, {took} ms):", mutant.name, mutant.scenario);
    let line = |words: &str| words.lines().next().unwrap_or_default().to_owned();
    match (&fault, &again) {
        (Some(fault), Some(again)) if fault == again => {
            println!("    {}; again by its schedule", line(fault))
        }
        (Some(fault), again) => println!("    {}, BUT BY ITS SCHEDULE {again:?}", line(fault)),
        (None, _) => println!("    NOT FOUND"),
    }
    fault.is_some() && fault == again
}

/// What breaks under the usual number of schedules.
fn fault(
    mutant: Option<&'static str>,
    scenario: &scheduler::Scenario,
    seed: u64,
    folder: &Path,
) -> Option<String> {
    let (scenario, folder) = (*scenario, folder.to_owned());
    scheduler::failure(move || {
        sync::mistakes::MADE.set(mutant);
        scheduler::explore(&scenario, seed, 1, Some(folder));
    })
}
