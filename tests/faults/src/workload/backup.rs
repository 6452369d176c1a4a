//! A store is copied between flushes.

use std::path::Path;

use crate::model::Model;
use crate::oracle;
use crate::run::Session;
use crate::workload::{Outcome, State, Workload, create, flush};

const STEPS: usize = 3;
const COPY: &str = "backup.db";

pub(super) const BACKUP: Workload = Workload {
    name: "backup",
    steps: STEPS,
    prepare: create::empty_store,
    step: |session, step| match step % 2 {
        0 => flush::step(session, step / 2),
        _ => copy(session),
    },
    state: |steps| State::Holds(Model::tracked(steps.div_ceil(2))),
    beside,
    leaves: |name| name == COPY,
    has_threads: false,
};

fn copy(session: &mut Session<'_>) -> Outcome {
    let path = session.folder().join(COPY);
    // One that a session before made whole, and did not live to acknowledge, is as good.
    if session.is_new() && path.exists() {
        return Ok(());
    }
    session.store()?.reader().backup(&path)?;
    Ok(())
}

/// A backup that has its name is whole, acknowledged or not.
fn beside(folder: &Path, steps: usize) -> Result<(), String> {
    let named = |error: String| format!("{COPY}: {error}");
    match oracle::sound(&folder.join(COPY)).map_err(named)? {
        None if steps > 1 => Err(named("it is gone".to_owned())),
        None => Ok(()),
        Some((reader, tables)) => {
            let model = Model::tracked(1);
            if tables != model.tables() {
                return Err(named(tables.unlike(&model.tables())));
            }
            oracle::answers_agree(&reader, &model).map_err(named)
        }
    }
}
