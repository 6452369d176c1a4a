//! The command line's grammar: commands, options, and the help that teaches them.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use super::defaults::Defaults;
use crate::{FilterValue, Timestamp, Unit, Window};

/// Stands in help for what people type to get here.
const PROGRAM: &str = "{program}";
const EVERYWHERE: &str = "Options of every command";
/// The largest `--last`: more days than the calendar of the store has.
const MAX_LAST_DAYS: u32 = 3_000_000;

/// Counts events, sums their values and estimates unique users, in one SQLite file
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, color = ColorChoice::Never, max_term_width = 100)]
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
    /// Lists metrics, or evaluates them
    #[command(subcommand)]
    Metric(MetricCommand),
    /// Checks definitions
    #[command(subcommand)]
    Definitions(DefinitionsCommand),
    /// Shows how large the store is and what became of all events
    #[command(after_help = STATS_HELP)]
    Stats,
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
    #[arg(required = true, value_name = "EVENT")]
    pub(super) events: Vec<String>,
    /// How many distinct ones: user, project, namespace, or another identifier or property
    #[arg(long, value_name = "IDENT", group = "what")]
    pub(super) unique: Option<String>,
    /// The sum of the events' `value`
    #[arg(long, group = "what")]
    pub(super) sum: bool,
    /// How many for each value of a property
    #[arg(long, value_name = "PROP", group = "what")]
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
    #[arg(long, value_name = "DAYS", value_parser = parse_days, conflicts_with = "from")]
    pub(super) last: Option<u32>,
    /// Cut the time into UTC hours (totals and sums only), UTC days, ISO weeks or months
    #[arg(long, value_name = "UNIT")]
    pub(super) by: Option<Step>,
}

#[derive(Debug, Subcommand)]
pub(super) enum MetricCommand {
    /// Shows every metric that is defined
    #[command(after_help = METRIC_LIST_HELP)]
    List,
    /// Evaluates metrics
    #[command(after_help = METRIC_GET_HELP)]
    Get(MetricGetArgs),
}

#[derive(Debug, Args)]
pub(super) struct MetricGetArgs {
    /// Key paths, as `metric list` shows them
    #[arg(required = true, value_name = "KEY_PATH")]
    pub(super) key_paths: Vec<String>,
    /// As it was at this instant, instead of now
    #[arg(long, value_name = "DATE", value_parser = parse_time)]
    pub(super) as_of: Option<Timestamp>,
    /// What 7d and 28d mean: the last complete ISO weeks, days up to today, or weeks up to the running one
    #[arg(long, value_enum, default_value_t = Weeks::Complete)]
    pub(super) window: Weeks,
}

#[derive(Debug, Subcommand)]
pub(super) enum DefinitionsCommand {
    /// Finds everything that is wrong with definitions, each with file, line and column
    #[command(after_help = CHECK_HELP)]
    Check(CheckArgs),
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// The folder, or one file
    #[arg(value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// Let warnings fail too
    #[arg(long)]
    pub(super) strict: bool,
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
    let rendered = error.render().to_string();
    let fault = rendered.strip_prefix("error: ").unwrap_or(&rendered);
    let end = ["\n\nUsage:", "\n\nFor more"].iter().filter_map(|tail| fault.find(tail)).min();
    end.and_then(|end| fault.get(..end)).unwrap_or(fault).trim_end().to_owned()
}

/// Parses a command line; help and version are errors as well, as clap has them.
pub(super) fn parse(args: &[OsString], defaults: &Defaults) -> Result<Parsed, clap::Error> {
    let program = defaults.program_name().to_owned();
    let command = Cli::command()
        .name(program.clone())
        .bin_name(program.clone())
        .mut_arg("store", |store| {
            let help = format!("The store, one SQLite file [default: {}]", defaults.store_path().display());
            store.env(defaults.variable("STORE")).help(help)
        })
        .mut_arg("definitions", |definitions| definitions.env(defaults.variable("DEFINITIONS")));
    let matches = name_program(command, &program).try_get_matches_from(args)?;
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

fn parse_time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|error| error.to_string())
}

fn parse_days(text: &str) -> Result<u32, String> {
    text.strip_suffix('d')
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|digits| digits.parse().ok())
        .filter(|days| (1..=MAX_LAST_DAYS).contains(days))
        .ok_or_else(|| "write whole days, at least one, as 28d".to_owned())
}

/// `value` is numeric, `label` and `property` are texts; another property's value is a number if it reads as one.
fn parse_filter(text: &str) -> Result<(String, FilterValue), String> {
    let (key, value) =
        text.split_once('=').ok_or_else(|| "write the property and its value as label=web".to_owned())?;
    let (key, value) = match key.strip_suffix(':') {
        Some(key) => (key, FilterValue::text(value)),
        None => (key, value_of(key, value)?),
    };
    if key.is_empty() {
        return Err("the property has no name; write it before the `=`, as label=web".to_owned());
    }
    Ok((key.to_owned(), value))
}

fn value_of(key: &str, value: &str) -> Result<FilterValue, String> {
    let number = value.parse().ok().and_then(FilterValue::number);
    match (key, number) {
        ("label" | "property", _) => Ok(FilterValue::text(value)),
        ("value", None) => Err(format!("`value` is a number, which `{value}` is not")),
        (_, Some(number)) => Ok(number),
        (_, None) => Ok(FilterValue::text(value)),
    }
}

const DEMO_HELP: &str = "\
The store is made in a new temporary folder, or at --store PATH where nothing may stand yet.

Example:
  {program} demo";

const IMPORT_HELP: &str = "\
A line: {\"event\":\"issue_created\",\"time\":\"2026-11-22T10:00:00Z\",\"user\":42,\"label\":\"web\"}
Only `event` is required. A line that is no valid event is refused and counted; the rest goes on.

The store remembers how far it has read each source: the same file twice counts once, an interrupted import \
continues, a log that has grown continues where it ended. Standard input without --source is a new source each \
time, so all its lines count.

Examples:
  {program} import --definitions config events.ndjson
  zcat -f access.log* | {program} import - --source access-2026-11";

const QUERY_HELP: &str = "\
Distinct ones are estimates: `1,204 ±9` has a standard error of 9, without ± it rounds to 0. Dates are UTC, and \
--to is the first day that does not count.

Examples:
  {program} query issue_created --last 28d
  {program} query issue_created epic_created --unique user --from 2026-01-01 --by month
  {program} query issue_created --per-value label";

const METRIC_LIST_HELP: &str = "\
Examples:
  {program} metric list
  {program} metric list --definitions config --json";

const METRIC_GET_HELP: &str = "\
A metric without a value says why; it is never 0. `1,204 ±9` has a standard error of 9.

Examples:
  {program} metric get counts.issues_weekly counts.issues_monthly
  {program} metric get counts.issues_weekly --as-of 2026-11-22 --window rolling";

const CHECK_HELP: &str = "\
Exits with 3 if there is an error; with --strict also if there is a warning.

Example:
  {program} definitions check config";

const STATS_HELP: &str = "\
Every event that was ever offered is either stored, refused or lost, the latter two with a reason.

Example:
  {program} stats --store usage.db";

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
