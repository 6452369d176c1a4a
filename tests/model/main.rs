//! A store against a plain model of it: random steps of tracking, flushing, crashing, reopening, clocks that are set, late and
//! future events and imports, after which every number must be the one that sets and maps have.
//!
//! `HEADCOUNT_ENDURANCE=1` asks for the long figure, `HEADCOUNT_SEED` replays; a case that fails says its seed and the fewest steps
//! that fail.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of tests may fail as tests do, and say their figures"
)]

mod case;
#[path = "../common/mod.rs"]
mod common;
mod facts;
mod hyperloglog;
mod plain;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use common::figures::{figure, seed};

use case::{Case, Flaw};

const STEPS: usize = 200;

/// Runs the first steps of a case; the words of a failure are those of the assertion.
fn run(seed: u64, steps: usize, flaw: Option<Flaw>) -> Result<(), String> {
    let outcome = catch_unwind(AssertUnwindSafe(|| Case::new(seed, flaw).run(steps)));
    outcome.map_err(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        words.unwrap_or_else(|| panic.downcast_ref::<&str>().copied().unwrap_or("no words").to_owned())
    })
}

/// The fewest steps of a failing case that fail, by halving; a later one may pass again only if it is no lasting fault.
fn shortest(seed: u64, flaw: Option<Flaw>) -> usize {
    let (mut passes, mut fails) = (0, STEPS);
    while fails - passes > 1 {
        let middle = usize::midpoint(passes, fails);
        match run(seed, middle, flaw) {
            Ok(()) => passes = middle,
            Err(_) => fails = middle,
        }
    }
    fails
}

#[test]
fn random_steps_leave_what_a_plain_model_says() {
    let (first, cases, began) = (seed(), figure(200, 5_000), Instant::now());
    for case in 0..cases {
        let seed = first.wrapping_add(case);
        if let Err(fault) = run(seed, STEPS, None) {
            panic!("HEADCOUNT_SEED={seed}, {} steps: {fault}", shortest(seed, None));
        }
    }
    println!("{cases} cases of {STEPS} steps, {:.1} s", began.elapsed().as_secs_f64());
}

/// Teeth: a model that is wrong in one thing differs from the store in some of these cases.
#[test]
fn a_model_with_a_flaw_is_found_to_differ() {
    let first = seed();
    for flaw in Flaw::ALL {
        let found = (0..20).find_map(|case| run(first.wrapping_add(case), STEPS, Some(flaw)).err());
        println!("{flaw:?}: {}", found.unwrap_or_else(|| panic!("nothing differs with {flaw:?}")));
    }
}
