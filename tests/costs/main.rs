//! What things cost, in figures without noise: a machine that is busy gives the same ones.
//!
//! Each limit is a constant at the top of its file. They hold what is reached: better code brings them down.
#![allow(
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test stops where it is wrong, and says its figures"
)]

mod allocations;
mod apart;
#[path = "../common/mod.rs"]
mod common;
mod idle;
mod log;
mod sketches;
mod system_calls;
#[path = "../../benches/rounds/two_events.rs"]
mod two_events;
#[path = "../../benches/rounds/typical_second.rs"]
mod typical_second;
