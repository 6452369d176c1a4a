//! The ingest wing as it is, compiled with `sync.rs` of this package in place of its own, so that a scheduler decides each step of
//! its threads. `cargo test --manifest-path tests/schedules/Cargo.toml` runs every scenario.
#![allow(dead_code, missing_docs, unused_imports, reason = "the rest of the crate is not here")]

mod bench;
mod clock;
mod file;
mod scenarios;
mod scheduler;
mod sync;

#[path = "../../../src/definition/mod.rs"]
mod definition;
#[path = "../../../src/error.rs"]
mod error;
#[path = "../../../src/event/mod.rs"]
mod event;
#[path = "../../../src/hash.rs"]
mod hash;
#[path = "../../../src/ingest/mod.rs"]
mod ingest;
#[path = "../../../src/plan.rs"]
mod plan;
#[path = "../../../src/sketch/mod.rs"]
mod sketch;
#[path = "../../../src/storage/mod.rs"]
mod storage;
#[path = "../../../src/time/mod.rs"]
mod time;

pub use scenarios::SCENARIOS;
pub use scheduler::{Patience, Scenario, explore, replay};
