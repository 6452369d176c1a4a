//! Every scenario under many schedules, and every mistake found.
//!
//! `HEADCOUNT_ENDURANCE=1` asks for fifty times as many schedules, `HEADCOUNT_SEED` replays a seed. A failure prints its schedule;
//! `HEADCOUNT_SCHEDULE` with the name of the test runs that one alone.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test stops where it is wrong")]

#[path = "../../common/figures.rs"]
mod figures;

use std::process::Command;
use std::time::Instant;

use figures::{figure, seed};
use headcount_schedules::{SCENARIOS, explore, replay};

fn run(name: &str) {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).unwrap();
    if let Ok(schedule) = std::env::var("HEADCOUNT_SCHEDULE") {
        return replay(scenario, &schedule);
    }
    let (seed, began) = (seed(), Instant::now());
    let times = usize::try_from(figure(1, 50)).unwrap();
    let schedules = explore(scenario, seed, times, None);
    println!("{name}: {schedules} schedules in {} ms", began.elapsed().as_millis());
}

macro_rules! scenarios {
    ($($name:ident)+) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })+

        #[test]
        fn every_scenario_is_run() {
            let all: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
            assert_eq!(all, [$(stringify!($name)),+]);
        }
    };
}

scenarios! {
    flushing_beside_tracking
    a_filling_queue_wakes_the_aggregator
    callers_wait_for_room
    a_hanging_disk_lets_the_aggregator_sleep
    a_failing_committer_heals
    an_aggregator_that_panics_goes_on
    closing_beside_everything
    dropping_beside_tracking
    flushing_by_time
    without_threads
}

#[test]
fn every_mistake_that_is_put_in_is_found() {
    let outcome = Command::new(env!("CARGO_BIN_EXE_mutated")).output().unwrap();
    print!("{}", String::from_utf8_lossy(&outcome.stdout));
    assert!(outcome.status.success(), "{}", String::from_utf8_lossy(&outcome.stderr));
}
