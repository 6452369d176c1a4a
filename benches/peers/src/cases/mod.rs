//! The subcommands, one question each.

pub(crate) mod flush;
pub(crate) mod growth;
pub(crate) mod import;
pub(crate) mod ingest;
pub(crate) mod latency;
pub(crate) mod memory;
pub(crate) mod multiproc;
pub(crate) mod query;
pub(crate) mod sizes;
