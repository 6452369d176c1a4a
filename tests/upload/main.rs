//! Sending pings to real receivers on this machine: what arrives, how often, and what never does.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test stops where it is wrong, and says what it has seen"
)]

#[path = "../common/mod.rs"]
mod common;

mod answers;
mod failures;
mod kills;
mod place;
mod privacy;
mod receiver;
mod thread;
mod tls;

use common::child::role;

/// Does the part of a process that a test starts; alone it has none.
#[test]
fn a_child() {
    match role().as_deref() {
        Some("send") => place::send_as_child(),
        Some(other) => unreachable!("{other}"),
        None => {}
    }
}
