//! The commands and options of `headcount ping`.

use clap::{Args, Subcommand, ValueEnum};

use super::help::{
    PING_CONSENT_HELP, PING_DIFF_HELP, PING_GENERATE_HELP, PING_HISTORY_HELP, PING_PREVIEW_HELP,
    PING_RUN_HELP, PING_SHOW_HELP, PING_STATUS_HELP,
};
use super::values::{parse_time, parse_week};
use crate::{DataCategory, IsoWeek, Timestamp};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum PingCommand {
    /// Shows exactly what would stand in a ping now; keeps and sends nothing
    #[command(after_help = PING_PREVIEW_HELP)]
    Preview(PingPreviewArgs),
    /// Makes this week's ping and keeps it in the store
    #[command(after_help = PING_GENERATE_HELP)]
    Generate,
    /// Makes the ping that is due, if one is: for cron or a timer
    #[command(after_help = PING_RUN_HELP)]
    Run,
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
}

#[derive(Debug, Args)]
pub(in crate::cli) struct PingConsentArgs {
    /// Send each ping to this URL from now on
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
    /// Show what became of each metric instead: those without a value first, then the slowest
    #[arg(long)]
    pub(in crate::cli) metrics: bool,
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
