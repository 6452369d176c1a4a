//! Batches of counts, sums, uniques, values and refusals, each tracked and flushed.

use crate::model::Model;
use crate::run::Session;
use crate::workload::{Outcome, State, Workload, create, leaves_nothing, nothing_beside};

const BATCHES: usize = 4;

pub(super) const FLUSH: Workload = Workload {
    name: "flush",
    steps: BATCHES,
    prepare: create::empty_store,
    step,
    state: |steps| State::Holds(Model::tracked(steps)),
    beside: nothing_beside,
    leaves: leaves_nothing,
    has_threads: false,
};

pub(super) const IN_BACKGROUND: Workload =
    Workload { name: "flush, with threads", has_threads: true, ..FLUSH };

pub(super) fn step(session: &mut Session<'_>, number: usize) -> Outcome {
    step_on(session, number, &Model::tracked(number + 1))
}

/// A batch, after which the store is as the model says.
pub(super) fn step_on(session: &mut Session<'_>, number: usize, model: &Model) -> Outcome {
    session.track(number)?;
    session.store()?.flush()?;
    session.ask(model)
}
