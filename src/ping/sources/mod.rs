//! Sources over the databases of a host program: what a metric asks, and how its relation is walked.

pub(crate) mod database;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
pub(crate) mod question;
pub(crate) mod sqlite;

mod catalogue;
mod engine;
mod inquiry;
mod options;
mod statement;
mod totals;
mod walk;
