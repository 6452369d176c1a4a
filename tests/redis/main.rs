//! Coming from a real Redis, and going back to it.
//!
//! Runs with `HEADCOUNT_TEST_SERVERS=1` and `redis-server` in the path.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_cmp,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a test stops where it is wrong, and says when it is skipped"
)]

#[cfg(feature = "cli")]
mod command_line;
#[path = "../common/mod.rs"]
mod common;
mod filled;
mod hostile;
mod interrupted;
mod legacy;
mod seam;
#[path = "../common/redis.rs"]
mod server;
mod there_and_back;

/// What this program does as another process.
#[test]
fn a_child() {
    if let Some(role) = common::child::role() {
        interrupted::play(&role);
    }
}
