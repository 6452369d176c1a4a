//! A benchmark harness whose report is equal to the byte from run to run.
//!
//! ```sh
//! cargo run --example bench_harness                # in memory
//! cargo run --example bench_harness bench.db       # in a new file, to be queried afterwards
//! ```
//!
//! Three things make it so: a clock that the harness moves, no threads of the store's own, and a report of nothing but answers.

#![expect(clippy::print_stdout, reason = "an example shows its numbers")]

use std::time::Duration;

use headcount::{
    Definitions, EventDefinition, ManualClock, Mistake, Mode, Query, Rule, Store, Timestamp, Unit, Value,
};
use serde_json::json;

const CASES: u64 = 400;
const ROUNDS: u64 = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The time is part of the input. It moves by what the cases are said to take, never by the wall.
    let clock = ManualClock::new(Timestamp::parse("2026-01-05T00:00:00Z")?);
    let store = match std::env::args_os().nth(1) {
        // A second run on one file would count on top of the first.
        Some(path) if std::path::Path::new(&path).exists() => {
            return Err("name a store that does not exist".into());
        }
        Some(path) => Store::builder(path),
        None => Store::builder_in_memory(),
    };
    let store = store
        .definitions(
            Definitions::new().event(EventDefinition::new("case_run").identifier("case").label().value())?,
        )
        .record(Rule::unique("case_run", "case"))
        .record(Rule::sum("case_run"))
        .record(Rule::per_value("case_run", "label"))
        .record(Rule::count("case_run").filter("label", "failed"))
        .clock(clock.clone())
        // Events are added up in the calls and committed by `flush`: no thread decides what is in which commit.
        .mode(Mode::Inline)
        // A mistake in the harness should stop it, instead of giving a report of less than there was.
        .on_mistake(Mistake::Panic)
        .open()?;
    let case_run = store.tracker().event("case_run")?;

    let mut random = Random(0x5eed);
    for _round in 0..ROUNDS {
        for case in 0..CASES {
            let seconds = 1 + random.next() % 360;
            let outcome = if random.next().is_multiple_of(20) { "failed" } else { "passed" };
            clock.advance(Duration::from_secs(seconds));
            // In a `u32` a number of seconds is a double without loss.
            case_run.identifier("case", case).label(outcome).value(u32::try_from(seconds)?).track();
        }
        // Often enough that a round is safe, seldom enough that the disk is no part of the measurement.
        store.flush()?;
    }

    let by_day = store.series(&Query::unique("case_run", "case"), Unit::Day)?;
    let by_day: Vec<_> = by_day
        .iter()
        .map(|day| json!({ "day": day.window.from().to_string(), "cases": day.count(), "standard_error": day.standard_error }))
        .collect();
    let outcomes = store.value(&Query::per_value("case_run", "label"))?;
    let seconds = store.value(&Query::sum("case_run"))?;
    let report = json!({
        "runs": store.value(&Query::total("case_run"))?.count(),
        "failed": store.value(&Query::total("case_run").filter("label", "failed"))?.count(),
        "outcomes": outcomes.value.per_value(),
        "cases": store.value(&Query::unique("case_run", "case"))?.count(),
        "seconds": match seconds.value { Value::Sum { sum, .. } => Some(sum), _ => None },
        "cases_by_day": by_day,
        "until": clock.now().to_string(),
    });
    // Nothing is offered that is not stored, else the report is not worth comparing.
    let stats = store.close()?;
    if (stats.offered, stats.lost) != (stats.stored, 0) {
        return Err(format!("events are missing: {stats:?}").into());
    }
    println!("{report:#}");
    Ok(())
}

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014): the same numbers everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
