//! What is done to a store while its disk fails: one entry of [`ALL`] each.
//!
//! A workload is steps that are acknowledged one by one. After a failure the step that failed is done again, in the same session or
//! in a new one as after the end of the process; nothing else is expected of its caller. After each number of steps it says what
//! must be there, and so has its model.

mod backup;
mod checkpoint;
mod create;
mod flush;
mod import;
mod migration;
mod restore;
mod retention;

use std::error::Error;
use std::path::Path;

use crate::model::Model;
use crate::run::Session;

pub type Outcome = Result<(), Box<dyn Error>>;

/// One of them.
#[derive(Debug, Clone, Copy)]
pub struct Workload {
    pub name: &'static str,
    pub steps: usize,
    /// Makes what it begins with, on a disk that is sound.
    pub prepare: fn(&Path) -> Outcome,
    /// Does one step, counted from 0, or does it again.
    pub step: fn(&mut Session<'_>, usize) -> Outcome,
    /// What the store is after so many steps.
    pub state: fn(usize) -> State,
    /// What must hold beside the store after so many steps, and perhaps a part of the next.
    pub beside: fn(&Path, usize) -> Result<(), String>,
    /// Whether a file of this name may be there at the end, besides the store and its log.
    pub leaves: fn(&str) -> bool,
    /// Whether it has threads, so that its calls come in another order each time.
    pub has_threads: bool,
}

/// What a store is.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there are some dozen of them")]
pub enum State {
    /// There need be none.
    Absent,
    Holds(Model),
    /// It does not open, or is gone for a moment; what it was is for `beside` to find.
    Unreadable,
}

/// Every workload.
pub const ALL: &[Workload] = &[
    create::CREATE,
    flush::FLUSH,
    flush::IN_BACKGROUND,
    checkpoint::CHECKPOINT,
    import::IMPORT,
    backup::BACKUP,
    retention::BY_AGE,
    retention::BY_SIZE,
    retention::ON_DEMAND,
    migration::MIGRATION,
    restore::RESTORE,
    restore::OVER_DAMAGE,
];

/// Names a part of the workloads, so that a long run can be done in pieces.
const ONLY: &str = "HEADCOUNT_WORKLOADS";

/// Every workload, or those that were asked for.
pub fn chosen() -> Vec<&'static Workload> {
    let only = std::env::var(ONLY).unwrap_or_default();
    ALL.iter().filter(|workload| workload.name.contains(&only)).collect()
}

fn leaves_nothing(_: &str) -> bool {
    false
}

fn nothing_beside(_: &Path, _: usize) -> Result<(), String> {
    Ok(())
}
