//! The subcommands, one question each.

pub(crate) mod flush;
pub(crate) mod ingest;
pub(crate) mod latency;
pub(crate) mod query;
pub(crate) mod sizes;
