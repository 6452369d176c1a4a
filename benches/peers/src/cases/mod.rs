//! The subcommands, one question each.

pub(crate) mod ingest;
