//! The command line's grammar: commands and options.

mod help;
mod ping;
#[cfg(feature = "redis")]
mod redis;
mod retention;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use super::defaults::Defaults;
use crate::{FilterValue, Timestamp, Unit, Window};
use help::{
    BACKUP_HELP, CHECK_HELP, COMPLETIONS_HELP, DEFINITIONS_CHECK_HELP, DEMO_HELP, IMPORT_HELP, MARK_HELP,
    METRIC_GET_HELP, METRIC_LIST_HELP, METRIC_SHOW_HELP, PROGRAM_HELP, QUERY_HELP, RESTORE_HELP,
    RETENTION_HELP, SALVAGE_HELP, STATS_HELP,
};
pub(super) use ping::{
    PingCommand, PingConsentArgs, PingDiffArgs, PingExportArgs, PingForgetArgs, PingGenerateArgs,
    PingPreviewArgs, PingRunArgs, PingShowArgs, PingVerifyArgs, SourceArgs,
};
#[cfg(feature = "upload")]
pub(super) use ping::{PingSendArgs, UploadArgs};
#[cfg(feature = "redis")]
pub(super) use redis::{
    NamesArgs, RedisCommand, RedisExportArgs, RedisImportArgs, RedisMirrorArgs, RedisVerifyArgs, ServerArgs,
    Until,
};
pub(super) use retention::{Limit, RetentionArgs};
pub(super) use values::Earlier;
use values::{parse_days, parse_earlier, parse_filter, parse_time};

/// Stands in help for what people type to get here.
const PROGRAM: &str = "{program}";
const EVERYWHERE: &str = "Options of every command";

/// Counts events, sums their values and estimates unique users, in one SQLite file
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 100, after_help = PROGRAM_HELP)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Args)]
pub(super) struct Global {
    /// The store, one SQLite file
    #[arg(long, global = true, value_name = "PATH", hide_env_values = true, help_heading = EVERYWHERE)]
    pub(super) store: Option<PathBuf>,
    /// Event and metric definitions: every *.yml below DIR [default: those kept in the store]
    #[arg(long, global = true, value_name = "DIR", hide_env_values = true, help_heading = EVERYWHERE)]
    pub(super) definitions: Option<PathBuf>,
    /// One JSON document on stdout; errors as JSON on stderr
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// See it work: imports 15 years of the Redis project's history and shows what can be asked
    #[command(after_help = DEMO_HELP)]
    Demo,
    /// Counts the events of files, one JSON object a line; each line counts once
    #[command(after_help = IMPORT_HELP)]
    Import(ImportArgs),
    /// Answers how many, how much or how many distinct, over any time
    #[command(after_help = QUERY_HELP)]
    Query(QueryArgs),
    /// Names a moment, such as a release, to compare the time before and after it; lists the names without one
    #[command(after_help = MARK_HELP)]
    Mark(MarkArgs),
    /// Lists, explains or evaluates metrics
    #[command(subcommand)]
    Metric(MetricCommand),
    /// Checks definitions
    #[command(subcommand)]
    Definitions(DefinitionsCommand),
    /// The weekly report of all metrics: shows, makes, keeps and compares it
    #[command(subcommand)]
    Ping(PingCommand),
    /// Comes from a Redis with GitLab's counters, and goes back to one
    #[cfg(feature = "redis")]
    #[command(subcommand)]
    Redis(RedisCommand),
    /// Looks for damage: structure, checksums, and the laws that all numbers obey
    #[command(after_help = CHECK_HELP)]
    Check(StoreCheckArgs),
    /// Copies the store to a new file while it is in use, and checks the copy
    #[command(after_help = BACKUP_HELP)]
    Backup(BackupArgs),
    /// Puts a copy of a backup in the place of the store
    #[command(after_help = RESTORE_HELP)]
    Restore(RestoreArgs),
    /// Writes what can be read of a damaged store into a new one
    #[command(after_help = SALVAGE_HELP)]
    Salvage(SalvageArgs),
    /// Says for how long hours and days are kept and how large the file may get, or changes it
    #[command(after_help = RETENTION_HELP)]
    Retention(RetentionArgs),
    /// Shows how the store is: its size, its series, what never moved, what became of all events
    #[command(after_help = STATS_HELP)]
    Stats(StatsArgs),
    /// Prints a script that completes commands and options in a shell
    #[command(after_help = COMPLETIONS_HELP)]
    Completions(CompletionsArgs),
}

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// Files to read, plain or gzip; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// The name under which the store remembers what it has read [default: the file's full path]
    #[arg(long, value_name = "NAME")]
    pub(super) source: Option<String>,
    /// Exit with 1 if any line was refused; the good ones still count
    #[arg(long)]
    pub(super) fail_on_bad: bool,
}

#[derive(Debug, Args)]
pub(super) struct QueryArgs {
    /// Events; several add up, or unite for --unique
    #[arg(required = true, value_name = "EVENT", value_parser = NonEmptyStringValueParser::new())]
    pub(super) events: Vec<String>,
    /// How many distinct ones: user, project, namespace, or another identifier or property
    #[arg(long, value_name = "IDENT", group = "what", value_parser = NonEmptyStringValueParser::new())]
    pub(super) unique: Option<String>,
    /// The sum of the events' `value`
    #[arg(long, group = "what")]
    pub(super) sum: bool,
    /// How many for each value of a property
    #[arg(long, value_name = "PROP", group = "what", value_parser = NonEmptyStringValueParser::new())]
    pub(super) per_value: Option<String>,
    /// Only events whose property K is V; K:=V takes V as text also where it reads as a number
    #[arg(long = "filter", value_name = "K=V", value_parser = parse_filter)]
    pub(super) filters: Vec<(String, FilterValue)>,
    /// From this date on: 2026-11-22, or a time such as 2026-11-22T10:00:00Z [default: all time]
    #[arg(long, value_name = "DATE", value_parser = parse_time)]
    pub(super) from: Option<Timestamp>,
    /// Until before this date [default: the end of today, UTC]
    #[arg(long, value_name = "DATE", value_parser = parse_time, requires = "from")]
    pub(super) to: Option<Timestamp>,
    /// The last days, as 28d; today is the last of them and not over
    #[arg(long, value_name = "DAYS", value_parser = parse_days, conflicts_with = "from",
        allow_hyphen_values = true)]
    pub(super) last: Option<u32>,
    /// Cut the time into UTC hours (totals and sums only), UTC days, ISO weeks or months
    #[arg(long, value_name = "UNIT")]
    pub(super) by: Option<Step>,
    /// With the window just before it (`previous`), or as many days before a MARK as after it
    #[arg(long, value_name = "previous|MARK", value_parser = parse_earlier)]
    pub(super) compare: Option<Earlier>,
}

#[derive(Debug, Args)]
pub(super) struct MarkArgs {
    /// The name; a name that there is keeps its moment
    #[arg(value_name = "NAME")]
    pub(super) name: Option<String>,
    /// The moment, instead of now; moves a name that there is
    #[arg(long, value_name = "TIME", value_parser = parse_time, requires = "name")]
    pub(super) at: Option<Timestamp>,
    /// Forget the name
    #[arg(long, requires = "name", conflicts_with = "at")]
    pub(super) remove: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum MetricCommand {
    /// Shows every metric that is defined
    #[command(after_help = METRIC_LIST_HELP)]
    List,
    /// Shows all about a metric: what it counts, since when, its values, its weeks
    #[command(after_help = METRIC_SHOW_HELP)]
    Show(MetricShowArgs),
    /// Evaluates metrics
    #[command(after_help = METRIC_GET_HELP)]
    Get(MetricGetArgs),
}

#[derive(Debug, Args)]
pub(super) struct MetricShowArgs {
    /// A key path, as `metric list` shows it
    #[arg(value_name = "KEY_PATH")]
    pub(super) key_path: String,
    /// As it was at this instant, instead of now; distinct ones, which are kept by the day, up to the end of its day
    #[arg(long, value_name = "DATE", value_parser = parse_time)]
    pub(super) as_of: Option<Timestamp>,
    #[command(flatten)]
    pub(super) sources: SourceArgs,
}

#[derive(Debug, Args)]
pub(super) struct MetricGetArgs {
    /// Key paths, as `metric list` shows them
    #[arg(required = true, value_name = "KEY_PATH", value_parser = NonEmptyStringValueParser::new())]
    pub(super) key_paths: Vec<String>,
    /// As it was at this instant, instead of now; distinct ones, which are kept by the day, up to the end of its day
    #[arg(long, value_name = "DATE", value_parser = parse_time)]
    pub(super) as_of: Option<Timestamp>,
    /// What 7d and 28d mean: the last complete ISO weeks, days up to today, or weeks up to the running one
    #[arg(long, value_enum, default_value_t = Weeks::Complete)]
    pub(super) window: Weeks,
}

#[derive(Debug, Subcommand)]
pub(super) enum DefinitionsCommand {
    /// Finds everything that is wrong with definitions, each with file, line and column
    #[command(after_help = DEFINITIONS_CHECK_HELP)]
    Check(CheckArgs),
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The folder, or one file [default: that of --definitions]
    #[arg(value_name = "DIR")]
    pub(super) folder: Option<PathBuf>,
    /// Find everything that GitLab's schemas refuse, and let warnings fail too
    #[arg(long)]
    pub(super) strict: bool,
}

#[derive(Debug, Args)]
pub(super) struct StoreCheckArgs {
    /// Estimate every sketch a second time, with another implementation
    #[arg(long)]
    pub(super) deep: bool,
}

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The new file; nothing may stand there yet
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// The backup; it stays as it is
    #[arg(value_name = "BACKUP")]
    pub(super) backup: PathBuf,
    /// Set a store that is there aside, under a name with the time in it
    #[arg(long)]
    pub(super) replace: bool,
}

#[derive(Debug, Args)]
pub(super) struct SalvageArgs {
    /// The damaged store; it stays as it is
    #[arg(value_name = "DAMAGED")]
    pub(super) damaged: PathBuf,
    /// The new store; nothing may stand there yet
    #[arg(value_name = "NEW")]
    pub(super) new: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct StatsArgs {
    /// Show every series, not only those that moved last
    #[arg(long)]
    pub(super) all: bool,
}

#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub(super) shell: clap_complete::Shell,
}

/// The steps of `--by`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Step {
    Hour,
    Day,
    Week,
    Month,
}

impl From<Step> for Unit {
    fn from(step: Step) -> Self {
        match step {
            Step::Hour => Self::Hour,
            Step::Day => Self::Day,
            Step::Week => Self::Week,
            Step::Month => Self::Month,
        }
    }
}

/// The windows of `--window`.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Weeks {
    Complete,
    Rolling,
    Current,
}

impl From<Weeks> for Window {
    fn from(weeks: Weeks) -> Self {
        match weeks {
            Weeks::Complete => Self::Complete,
            Weeks::Rolling => Self::Rolling,
            Weeks::Current => Self::Current,
        }
    }
}

/// Parsed arguments, and where the store's path came from.
pub(super) struct Parsed {
    pub(super) cli: Cli,
    /// `--store` stands on the command line; else its path came from the environment or a default.
    pub(super) store_is_explicit: bool,
}

/// What is wrong with a command line, without what the parser puts around it.
pub(super) fn fault(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "a command is missing; --help lists them".to_owned();
    }
    let rendered = error.render().to_string();
    let fault = rendered.strip_prefix("error: ").unwrap_or(&rendered);
    let end = ["\n\nUsage:", "\n\nFor more"].iter().filter_map(|tail| fault.find(tail)).min();
    end.and_then(|end| fault.get(..end)).unwrap_or(fault).trim_end().to_owned()
}

/// The whole grammar under the names of the host program.
pub(super) fn command(defaults: &Defaults) -> clap::Command {
    let program = defaults.program_name().to_owned();
    let command = Cli::command()
        .name(program.clone())
        .bin_name(program.clone())
        .mut_arg("store", |store| {
            let help = format!("The store, one SQLite file [default: {}]", defaults.store_path().display());
            store.env(defaults.variable("STORE")).help(help)
        })
        .mut_arg("definitions", |definitions| definitions.env(defaults.variable("DEFINITIONS")));
    let is_mounted = is_mounted(&program);
    name_program(command, &program).mut_subcommand("completions", |below| below.hide(is_mounted))
}

/// Whether the program is a part of another one: a shell completes the words after a program's name, which is one word.
pub(super) fn is_mounted(program: &str) -> bool {
    program.contains(char::is_whitespace)
}

/// Parses a command line; help and version are errors as well, as clap has them.
pub(super) fn parse(args: &[OsString], defaults: &Defaults) -> Result<Parsed, clap::Error> {
    let matches = command(defaults).try_get_matches_from(args)?;
    // A global option that stands behind a command is known to that command.
    let mut deepest = &matches;
    while let Some((_, below)) = deepest.subcommand() {
        deepest = below;
    }
    let store_is_explicit = deepest.value_source("store") == Some(ValueSource::CommandLine);
    Ok(Parsed { cli: Cli::from_arg_matches(&matches)?, store_is_explicit })
}

/// Puts the program's name into the examples of each command.
fn name_program(mut command: clap::Command, program: &str) -> clap::Command {
    if let Some(help) = command.get_after_help().map(ToString::to_string) {
        command = command.after_help(help.replace(PROGRAM, program));
    }
    let names: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(name, |below| name_program(below, program));
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_program_sees_its_own_names() {
        let defaults = Defaults::new().program("acme usage").env_prefix("ACME").store("acme.db");
        let parse = |args: &[&str]| parse(&args.iter().map(OsString::from).collect::<Vec<_>>(), &defaults);
        let help = parse(&["acme", "query", "--help"]).err().unwrap().render().to_string();
        for text in
            ["Usage: acme usage query", "acme usage query issue_created", "[default: acme.db]", "ACME_STORE"]
        {
            assert!(help.contains(text), "{help}");
        }
        assert!(!help.to_lowercase().contains("headcount"), "{help}");
        assert!(parse(&["acme", "--store", "x.db", "demo"]).unwrap().store_is_explicit);
        assert!(parse(&["acme", "demo", "--store", "x.db"]).unwrap().store_is_explicit);
        assert!(!parse(&["acme", "demo"]).unwrap().store_is_explicit);
    }

    #[test]
    fn the_grammar_has_no_contradictions() {
        Cli::command().debug_assert();
    }
}
