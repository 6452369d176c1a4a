//! The built binary, as scripts and people see it.

#![cfg(feature = "cli")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests may fail as tests do")]

mod backup;
mod bench;
mod check;
mod completions;
mod definitions;
mod demo;
mod imports;
mod interrupts;
mod mark;
mod metrics;
mod ping;
mod queries;
mod restore;
mod retention;
mod salvage;
mod show;
mod silence;
mod stores;
mod streams;
