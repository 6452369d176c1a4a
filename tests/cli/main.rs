//! The built binary, as scripts and people see it.

#![cfg(feature = "cli")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests may fail as tests do")]

mod bench;
mod definitions;
mod demo;
mod imports;
mod interrupts;
mod metrics;
mod queries;
mod stores;
mod streams;
