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
    /// What the store holds after so many steps; `None` where there need be no store.
    pub state: fn(usize) -> Option<Model>,
    /// What must hold beside the store after so many steps, and perhaps a part of the next.
    pub beside: fn(&Path, usize) -> Result<(), String>,
    /// The files that may be there at the end, besides the store and its log.
    pub leaves: &'static [&'static str],
    /// One in so many of its calls fails, where no long figures are asked for: those that repeat each other, or wait for threads.
    pub stride: u64,
    /// Whether it has threads, so that its calls come in another order each time.
    pub has_threads: bool,
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
];

fn nothing_beside(_: &Path, _: usize) -> Result<(), String> {
    Ok(())
}
