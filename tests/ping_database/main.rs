//! Metrics of databases: what they are worth against plain SQL, and how they fail, in SQLite and in a PostgreSQL of the tests' own.
//!
//! PostgreSQL runs with `HEADCOUNT_TEST_SERVERS=1` and the feature `postgres`.
#![cfg(feature = "yaml")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test stops where it is wrong, and says when it is skipped"
)]

mod cases;
#[cfg(feature = "postgres")]
mod pooler;
#[cfg(feature = "postgres")]
mod postgres_failures;
#[cfg(feature = "postgres")]
mod postgres_values;
mod questions;
mod report;
#[cfg(feature = "postgres")]
mod server;
mod sqlite_failures;
mod sqlite_values;
