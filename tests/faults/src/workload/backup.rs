//! A store is copied between flushes.

use std::path::Path;

use headcount::Reader;

use crate::model::Model;
use crate::oracle;
use crate::run::Session;
use crate::workload::{Outcome, Workload, create, flush};

const STEPS: usize = 4;
/// After one batch, and after two.
const BACKUPS: [&str; 2] = ["first.db", "second.db"];

pub(super) const BACKUP: Workload = Workload {
    name: "backup",
    steps: STEPS,
    prepare: create::empty_store,
    step: |session, step| match step % 2 {
        0 => flush::step(session, step / 2),
        _ => copy(session, BACKUPS[step / 2]),
    },
    state: |steps| Some(Model::tracked(steps.div_ceil(2))),
    beside,
    leaves: &BACKUPS,
    stride: 1,
    has_threads: false,
};

fn copy(session: &mut Session<'_>, name: &str) -> Outcome {
    let path = session.folder().join(name);
    // One that a session before made whole, and did not live to acknowledge, is as good.
    if session.is_new() && path.exists() {
        return Ok(());
    }
    session.store()?.reader().backup(&path)?;
    Ok(())
}

/// A backup that has its name is whole, acknowledged or not.
fn beside(folder: &Path, steps: usize) -> Result<(), String> {
    for (number, name) in BACKUPS.into_iter().enumerate() {
        let path = folder.join(name);
        let is_acknowledged = steps > 2 * number + 1;
        let named = |error: String| format!("{name}: {error}");
        match oracle::sound_tables(&path).map_err(named)? {
            None if is_acknowledged => return Err(format!("{name} is gone")),
            None => {}
            Some(tables) => {
                let model = Model::tracked(number + 1);
                if tables != model.tables() {
                    return Err(format!("{name}: {}", tables.unlike(&model.tables())));
                }
                let reader = Reader::open(&path).map_err(|error| error.to_string())?;
                oracle::answers_agree(&reader, &model).map_err(named)?;
            }
        }
    }
    Ok(())
}
