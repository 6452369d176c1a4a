//! The commands and options of `headcount redis`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::help::{REDIS_EXPORT_HELP, REDIS_IMPORT_HELP, REDIS_MIRROR_HELP, REDIS_VERIFY_HELP};
use super::values::parse_time;
use crate::Timestamp;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum RedisCommand {
    /// Takes over what GitLab's keys in a Redis have counted
    #[command(after_help = REDIS_IMPORT_HELP)]
    Import(RedisImportArgs),
    /// Hands what the store has counted to a Redis, under GitLab's keys
    #[command(after_help = REDIS_EXPORT_HELP)]
    Export(RedisExportArgs),
    /// Compares a Redis with the store, key by key
    #[command(after_help = REDIS_VERIFY_HELP)]
    Verify(RedisVerifyArgs),
    /// Keeps a Redis in step with the store while programs write it, until it is ended
    #[command(after_help = REDIS_MIRROR_HELP)]
    Mirror(RedisMirrorArgs),
}

/// Which server, or one node of which cluster.
#[derive(Debug, Args)]
pub(in crate::cli) struct ServerArgs {
    /// The Redis, or a node of a cluster: redis://host:port/database or unix:///path
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) url: Option<String>,
    /// The same from this variable of the environment, for URLs with a password
    #[arg(long, value_name = "VARIABLE")]
    pub(in crate::cli) url_env: Option<String>,
}

/// How keys are named.
#[derive(Debug, Args)]
pub(in crate::cli) struct NamesArgs {
    /// Names that differ from GitLab's rule, as GitLab's own files of overrides have them; several times if need be
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) overrides: Vec<PathBuf>,
}

/// Until when Redis counted.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) enum Until {
    Now,
    At(Timestamp),
}

fn parse_until(text: &str) -> Result<Until, String> {
    if text == "now" { Ok(Until::Now) } else { parse_time(text).map(Until::At) }
}

#[derive(Debug, Args)]
#[group(id = "from", required = true, multiple = false, args = ["url", "url_env", "rdb"])]
pub(in crate::cli) struct RedisImportArgs {
    #[command(flatten)]
    pub(in crate::cli) server: ServerArgs,
    /// A dump, as SAVE and BGSAVE write it, instead of a server
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) rdb: Option<PathBuf>,
    /// The database of the dump [default: 0]
    #[arg(long, value_name = "NUMBER", requires = "rdb")]
    pub(in crate::cli) database: Option<u64>,
    /// Until when Redis counted, a full hour of UTC or `now`; needed where the store has counted the same time
    #[arg(long, value_name = "TIME|now", value_parser = parse_until)]
    pub(in crate::cli) until: Option<Until>,
    /// Ask for so many keys a second at the most
    #[arg(long, value_name = "NUMBER", default_value_t = 20_000, conflicts_with = "rdb",
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) keys_per_second: u32,
    #[command(flatten)]
    pub(in crate::cli) names: NamesArgs,
}

#[derive(Debug, Args)]
#[group(id = "to", required = true, multiple = false, args = ["url", "url_env", "resp"])]
pub(in crate::cli) struct RedisExportArgs {
    #[command(flatten)]
    pub(in crate::cli) server: ServerArgs,
    /// A new file of commands instead of a server, for `redis-cli --pipe` and an empty database
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) resp: Option<PathBuf>,
    /// Write over keys that are not from this store, and over those that somebody changed
    #[arg(long, conflicts_with = "resp")]
    pub(in crate::cli) overwrite: bool,
    #[command(flatten)]
    pub(in crate::cli) names: NamesArgs,
}

#[derive(Debug, Args)]
#[group(id = "of", required = true, multiple = false, args = ["url", "url_env"])]
pub(in crate::cli) struct RedisVerifyArgs {
    #[command(flatten)]
    pub(in crate::cli) server: ServerArgs,
    #[command(flatten)]
    pub(in crate::cli) names: NamesArgs,
}

#[derive(Debug, Args)]
#[group(id = "of", required = true, multiple = false, args = ["url", "url_env"])]
pub(in crate::cli) struct RedisMirrorArgs {
    #[command(flatten)]
    pub(in crate::cli) server: ServerArgs,
    /// Look at the store every so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub(in crate::cli) every: u32,
    /// At the beginning, write over keys that are not from this store
    #[arg(long)]
    pub(in crate::cli) overwrite: bool,
    #[command(flatten)]
    pub(in crate::cli) names: NamesArgs,
}
