//! From the caller to the committed batch.

pub(crate) mod aggregate;
pub(crate) mod buffer;
pub(crate) mod cells;
pub(crate) mod engine;
#[cfg(test)]
mod faults;
pub(crate) mod health;
pub(crate) mod import;
pub(crate) mod intern;
pub(crate) mod line;
pub(crate) mod pipeline;
pub(crate) mod queue;
pub(crate) mod record;
mod retaining;
pub(crate) mod settings;
pub(crate) mod source;
pub(crate) mod stats;
pub(crate) mod threads;
pub(crate) mod tracker;
mod uniques;
