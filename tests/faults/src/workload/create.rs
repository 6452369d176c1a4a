//! A store is made where there was none, closed and opened again.

use crate::model::Model;
use crate::run::Session;
use crate::workload::{Outcome, State, Workload, leaves_nothing, nothing_beside};

pub(super) const CREATE: Workload = Workload {
    name: "create",
    steps: 2,
    prepare: |_| Ok(()),
    step: |session, _| {
        session.store()?;
        session.close()
    },
    state: |steps| if steps > 0 { State::Holds(Model::default()) } else { State::Absent },
    beside: nothing_beside,
    leaves: leaves_nothing,
    has_threads: false,
};

/// What most workloads begin with: a store of no events.
pub(super) fn empty_store(folder: &std::path::Path) -> Outcome {
    let mut session = Session::new(folder, None, 0);
    session.store()?;
    session.close()
}
