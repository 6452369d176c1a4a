//! By how much does a process grow that keeps 400 live sketches?

use clap::ValueEnum;
use headcount::Clock;

use crate::child::{self, Memory};
use crate::figure::{Better, Report};
use crate::ours::Ours;
use crate::workload::{Happening, KINDS, Workload};
use crate::{Done, Scale};

/// Users and projects of each event, when all sketches have all their registers.
const DENSE_USERS: u32 = 12_000;

/// What the sketches hold.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Shape {
    Skewed,
    Dense,
}

pub(crate) fn run(scale: Scale) -> Done<Report> {
    let mut report = Report::default();
    for _ in 0..scale.rounds {
        for (case, shape) in
            [("400 sketches, skewed", "skewed"), ("400 sketches, all dense, a full queue", "dense")]
        {
            let grown: Memory = child::start(&["memory".to_owned(), shape.to_owned()])?.answer()?;
            report.add(case, "growth", "MB", Better::Less, grown.resident / 1e6);
            report.add(case, "heap and stacks", "MB", Better::Less, grown.anonymous / 1e6);
            report.add(case, "peak", "MB", Better::Less, grown.peak / 1e6);
        }
    }
    report.note(
        "Resident memory of a process of its own, from before the store was opened until its last flush.",
    );
    Ok(report)
}

/// Measures one shape, in the child.
pub(crate) fn point(shape: Shape) -> Done {
    let workload = match shape {
        Shape::Skewed => Workload::new(1_000_000),
        Shape::Dense => dense(),
    };
    let before = Memory::now();
    let ours = Ours::open(&workload, Clock::system())?;
    // As fast as it goes: the queue is full whenever this thread is faster than the aggregator.
    workload.events.iter().for_each(|event| ours.track(*event));
    ours.store.flush()?;
    let grown = Memory::now().since(before);
    ours.close_and_check(&workload, &workload.counts(0, workload.events.len() as u64))?;
    child::say(&grown)
}

/// Every event with so many users and projects that its sketches become dense.
fn dense() -> Workload {
    let mut workload = Workload::new(0);
    workload.events = (0..DENSE_USERS)
        .flat_map(|id| {
            (0..KINDS as u16).map(move |kind| Happening { kind, user: 100_000 + id, project: 200_000 + id })
        })
        .collect();
    workload
}
