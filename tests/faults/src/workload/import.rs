//! A log that grows is imported again and again.

use crate::model::{self, Model};
use crate::run::Session;
use crate::workload::{Outcome, State, Workload, create, leaves_nothing, nothing_beside};

const IMPORTS: usize = 3;
const SOURCE: &str = "access.log";

pub(super) const IMPORT: Workload = Workload {
    name: "import",
    steps: IMPORTS,
    prepare: create::empty_store,
    step,
    state: |steps| {
        let (log, lines) = log(steps);
        let mut model = Model { unknown: 0, ..Model::tracked(steps) };
        if steps > 0 {
            model.sources.insert(SOURCE.to_owned(), (log.len(), lines));
        }
        State::Holds(model)
    },
    beside: nothing_beside,
    leaves: leaves_nothing,
    has_threads: false,
};

fn step(session: &mut Session<'_>, number: usize) -> Outcome {
    session.tell_time(number);
    let (log, _) = log(number + 1);
    let report = session.store()?.import(SOURCE, log.as_bytes())?;
    if report.rejected.is_empty() { Ok(()) } else { Err(format!("rejected: {:?}", report.rejected).into()) }
}

/// The log as it is after so many batches, and how many lines it has.
fn log(batches: usize) -> (String, usize) {
    let lines: Vec<String> = (0..batches).flat_map(model::batch).map(|seen| seen.line()).collect();
    (lines.concat(), lines.len())
}
