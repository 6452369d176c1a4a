//! Processes that are killed or halted at random moments: nothing acknowledged is lost, and nothing counts twice.
//!
//! A child says after each flush, through a pipe, that its batch is durable; the parent kills it, and compares the file with
//! what was acknowledged and with a plain model of it. `HEADCOUNT_ENDURANCE=1` asks for the long figures, `HEADCOUNT_SEED` replays.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of tests may fail as tests do, and say their figures"
)]

#[path = "../common/mod.rs"]
mod common;
mod expected;
mod imports;
mod stream;
mod tracking;
mod writers;

use common::child;

/// Does nothing, unless another test of this program has started it as a process of its own.
#[test]
fn a_child() {
    match child::role().as_deref() {
        None => {}
        Some(tracking::ROLE) => tracking::child(),
        Some(imports::ROLE) => imports::child(),
        Some(writers::READER) => writers::read(),
        Some(writers::CHECKPOINTER) => writers::checkpoint(),
        Some(writers::LOCKER) => writers::lock(),
        Some(other) => panic!("{other}"),
    }
}
