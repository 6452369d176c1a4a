//! The commands and options of `headcount ping`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[cfg(feature = "upload")]
use super::help::PING_SEND_HELP;
use super::help::{
    PING_CONSENT_HELP, PING_DIFF_HELP, PING_EXPORT_HELP, PING_FORGET_HELP, PING_GENERATE_HELP,
    PING_HISTORY_HELP, PING_PREVIEW_HELP, PING_QUESTIONS_HELP, PING_RUN_HELP, PING_SHOW_HELP,
    PING_STATUS_HELP, PING_VERIFY_HELP,
};
use super::values::{parse_time, parse_week};
use crate::{DataCategory, IsoWeek, Timestamp};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PingCommand {
    /// Shows exactly what would stand in a ping now; keeps and sends nothing
    #[command(after_help = PING_PREVIEW_HELP)]
    Preview(PingPreviewArgs),
    /// Lists what a ping asks of a database, for programs that ask themselves
    #[command(after_help = PING_QUESTIONS_HELP)]
    Questions,
    /// Makes this week's ping and keeps it in the store
    #[command(after_help = PING_GENERATE_HELP)]
    Generate(PingGenerateArgs),
    /// Makes the ping that is due, if one is: for cron or a timer
    #[command(after_help = PING_RUN_HELP)]
    Run(PingRunArgs),
    /// Sends the pings that are kept and due, if sending is on
    #[cfg(feature = "upload")]
    #[command(after_help = PING_SEND_HELP)]
    Send(PingSendArgs),
    /// Says when the next ping is due, what may leave this machine, and what became of the last one
    #[command(after_help = PING_STATUS_HELP)]
    Status,
    /// Chooses what stands in pings, and whether they are sent; changes nothing without options
    #[command(after_help = PING_CONSENT_HELP)]
    Consent(PingConsentArgs),
    /// Lists the pings that are kept
    #[command(after_help = PING_HISTORY_HELP)]
    History,
    /// Shows a ping that is kept, as it leaves
    #[command(after_help = PING_SHOW_HELP)]
    Show(PingShowArgs),
    /// Shows what differs between two weeks
    #[command(after_help = PING_DIFF_HELP)]
    Diff(PingDiffArgs),
    /// Removes the document of a week for good, as of one that is damaged
    #[command(after_help = PING_FORGET_HELP)]
    Forget(PingForgetArgs),
    /// Writes pings into one file that can be carried out by hand
    #[command(after_help = PING_EXPORT_HELP)]
    Export(PingExportArgs),
    /// Verifies every byte of such a file; needs no store
    #[command(after_help = PING_VERIFY_HELP)]
    Verify(PingVerifyArgs),
}

/// Where values come from that no event counts.
#[derive(Debug, Args)]
pub(in crate::cli) struct SourceArgs {
    /// Ask metrics of databases in this SQLite file
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) sqlite: Option<PathBuf>,
    /// Ask metrics of databases in PostgreSQL; FILE has its parameters, as postgresql://user@host/name
    #[cfg(feature = "postgres")]
    #[arg(long, value_name = "FILE", conflicts_with = "sqlite")]
    pub(in crate::cli) postgres: Option<PathBuf>,
    /// Take values that somebody else asked for from this file, as `ping questions` says
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) answers: Option<PathBuf>,
}

/// How pings are sent.
#[cfg(feature = "upload")]
#[derive(Debug, Args)]
pub(in crate::cli) struct UploadArgs {
    /// Send the token in this file with each ping
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) token_file: Option<PathBuf>,
    /// Send the token in this variable of the environment with each ping
    #[arg(long, value_name = "VARIABLE", conflicts_with = "token_file")]
    pub(in crate::cli) token_env: Option<String>,
    /// Trust the certificates in this file, instead of those that the system trusts
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) ca_file: Option<PathBuf>,
    /// Send through this proxy, instead of the environment's
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) proxy: Option<String>,
    /// Send through no proxy
    #[arg(long, conflicts_with = "proxy")]
    pub(in crate::cli) no_proxy: bool,
    /// Take a ping for accepted only if the answer is one of GitLab's receiver
    #[arg(long)]
    pub(in crate::cli) gitlab: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PingGenerateArgs {
    #[command(flatten)]
    pub(in crate::cli) sources: SourceArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PingRunArgs {
    #[command(flatten)]
    pub(in crate::cli) sources: SourceArgs,
    #[cfg(feature = "upload")]
    #[command(flatten)]
    pub(in crate::cli) upload: UploadArgs,
}

#[cfg(feature = "upload")]
#[derive(Debug, Args)]
pub(in crate::cli) struct PingSendArgs {
    /// Send these weeks now, also those that were refused or wait [default: all that are due]
    #[arg(value_name = "WEEK", value_parser = parse_week)]
    pub(in crate::cli) weeks: Vec<IsoWeek>,
    #[command(flatten)]
    pub(in crate::cli) upload: UploadArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PingExportArgs {
    /// The new file; nothing may stand there yet
    #[arg(value_name = "FILE")]
    pub(in crate::cli) file: PathBuf,
    /// The weeks [default: all that were neither sent nor carried out]
    #[arg(value_name = "WEEK", value_parser = parse_week)]
    pub(in crate::cli) weeks: Vec<IsoWeek>,
    /// Take along what sources said where they failed, which may name paths, servers and values
    #[arg(long)]
    pub(in crate::cli) with_messages: bool,
    /// Note these pings as carried out: they are not sent later, and not in the next bundle
    #[arg(long)]
    pub(in crate::cli) mark_carried: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PingVerifyArgs {
    /// The file
    #[arg(value_name = "FILE")]
    pub(in crate::cli) file: PathBuf,
    /// Print the document of this week, to the byte, if the file is whole
    #[arg(long, value_name = "WEEK", value_parser = parse_week)]
    pub(in crate::cli) document: Option<IsoWeek>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PingPreviewArgs {
    /// As it was at this instant, instead of now; distinct ones, which are kept by the day, up to the end of its day. What no
    /// event counts is as it is now
    #[arg(long, value_name = "DATE", value_parser = parse_time)]
    pub(in crate::cli) as_of: Option<Timestamp>,
    /// Show what differs from the last ping that is kept, instead of all
    #[arg(long)]
    pub(in crate::cli) diff: bool,
    #[command(flatten)]
    pub(in crate::cli) sources: SourceArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PingConsentArgs {
    /// Send each ping that is made from now on to this URL, and those that wait to be sent to another one; `ping send WEEK` sends
    /// those made while sending was off
    #[arg(long, value_name = "URL", conflicts_with = "off")]
    pub(in crate::cli) send_to: Option<String>,
    /// Send nothing from now on
    #[arg(long)]
    pub(in crate::cli) off: bool,
    /// Let metrics of this category into pings
    #[arg(long, value_name = "CATEGORY")]
    pub(in crate::cli) with: Vec<Category>,
    /// Leave metrics of this category out of pings
    #[arg(long, value_name = "CATEGORY")]
    pub(in crate::cli) without: Vec<Category>,
    /// Leave out how many distinct ones there were where they were fewer than N, but not 0
    #[arg(long, value_name = "N")]
    pub(in crate::cli) suppress_below: Option<u32>,
    /// Keep the pings of so many weeks
    #[arg(long, value_name = "WEEKS", value_parser = clap::value_parser!(u32).range(1..=5_200))]
    pub(in crate::cli) keep_weeks: Option<u32>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PingShowArgs {
    /// The week, as 2026-W47 [default: the last one]
    #[arg(value_name = "WEEK", value_parser = parse_week)]
    pub(in crate::cli) week: Option<IsoWeek>,
    /// Show what became of each metric instead: those without a value first, then the slowest, then what events count
    #[arg(long)]
    pub(in crate::cli) metrics: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PingForgetArgs {
    /// The week, as 2026-W47
    #[arg(value_name = "WEEK", value_parser = parse_week)]
    pub(in crate::cli) week: IsoWeek,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PingDiffArgs {
    /// The week before, as 2026-W46 [default: the last but one]
    #[arg(value_name = "BEFORE", value_parser = parse_week)]
    pub(in crate::cli) before: Option<IsoWeek>,
    /// The week after [default: the last one]
    #[arg(value_name = "AFTER", value_parser = parse_week)]
    pub(in crate::cli) after: Option<IsoWeek>,
}

/// The categories of `--with` and `--without`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum Category {
    Operational,
    Optional,
    Subscription,
    Standard,
}

impl From<Category> for DataCategory {
    fn from(category: Category) -> Self {
        match category {
            Category::Operational => Self::Operational,
            Category::Optional => Self::Optional,
            Category::Subscription => Self::Subscription,
            Category::Standard => Self::Standard,
        }
    }
}
