//! Another connection moves the log into the file between two flushes.

use std::path::Path;

use rusqlite::Connection;

use crate::model::Model;
use crate::oracle;
use crate::run::store_in;
use crate::workload::{Outcome, State, Workload, create, flush, leaves_nothing, nothing_beside};

const STEPS: usize = 6;

pub(super) const CHECKPOINT: Workload = Workload {
    name: "checkpoint",
    steps: STEPS,
    prepare: create::empty_store,
    step: |session, step| match step % 2 {
        0 => flush::step(session, step / 2),
        _ => move_log(session.folder(), if step == 3 { "TRUNCATE" } else { "PASSIVE" }),
    },
    state: |steps| State::Holds(Model::tracked(steps.div_ceil(2))),
    beside: nothing_beside,
    leaves: leaves_nothing,
    has_threads: false,
};

fn move_log(folder: &Path, how: &str) -> Outcome {
    let connection: Connection = oracle::plain(&store_in(folder))?;
    connection.query_row(&format!("PRAGMA wal_checkpoint({how})"), [], |_| Ok(()))?;
    Ok(())
}
