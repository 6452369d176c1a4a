//! `peers`: headcount measured beside what people would use instead, all in one run.

mod cases;
mod chart;
mod check;
mod child;
mod clock;
mod figure;
mod history;
mod ours;
mod rivals;
mod table;
mod workload;

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cases::{flush, growth, import, ingest, latency, memory, multiproc, query, sizes};
use crate::figure::Report;

/// What a run ends with when it cannot go on; the message names the object and the remedy.
pub(crate) type Fault = Box<dyn Error + Send + Sync>;
pub(crate) type Done<T = ()> = Result<T, Fault>;

/// Measures headcount beside Redis, SQLite, `metrics` and hyperloglogplus.
///
/// All contestants take turns in one run, round by round, so that a busy machine is busy for each of them. Shown are medians of the
/// rounds; a ratio is the median of the ratios within each round, and above 1 means: so many times better. Every run compares what is
/// stored with what was tracked, and fails where they differ.
///
/// Needs `redis-server` in the path, which is started on a socket of its own and stopped again. Build with `--release`.
#[derive(Parser)]
#[command(name = "peers", version, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// How often all contestants take their turn [default: 5, quick: 1]
    #[arg(long, global = true)]
    rounds: Option<usize>,
    /// How long each contestant works in a round where time is the limit [default: 1.5, quick: 0.1]
    #[arg(long, global = true)]
    seconds: Option<f64>,
    /// Writes the figures as JSON, one object a line
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Shows in a second or two that everything works; the figures mean little
    #[arg(long, global = true)]
    quick: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Events a second until all are durable, from one event a round trip to pipelines and transactions of 1,000
    Ingest(ingest::Options),
    /// Nanoseconds of a call, at three paces and at full speed, beside the `metrics` crate and Redis
    Latency,
    /// The flush of a typical second, with a short and a long history
    Flush,
    /// 1,000 unique metrics over 28 days beside hyperloglogplus and Redis; one over a year and all time
    Query,
    /// Bytes of a unique metric and day, beside hyperloglogplus and Redis
    Sizes,
    /// Two and four processes that write one file
    Multiproc,
    /// Lines of NDJSON a second, plain and compressed
    Import,
    /// How cost grows with kinds, live sketches, producers and stored days; tables of Markdown
    Growth,
    /// By how much a process grows that keeps 400 live sketches
    Memory,
    /// One measurement in a process of its own
    #[command(hide = true, subcommand)]
    Child(Child),
}

#[derive(Subcommand)]
enum Child {
    Growth { axis: growth::Axis, amount: u32, seconds: f64 },
    Memory { shape: memory::Shape },
    Multiproc { path: PathBuf, gap: u64, flushes: usize },
}

/// How much to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) rounds: usize,
    pub(crate) seconds: f64,
    pub(crate) quick: bool,
}

impl Scale {
    /// One of two sizes.
    pub(crate) fn pick<T>(self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("peers: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Done {
    let (rounds, seconds) = if arguments.quick { (1, 0.1) } else { (5, 1.5) };
    let scale = Scale {
        rounds: arguments.rounds.unwrap_or(rounds).max(1),
        seconds: arguments.seconds.unwrap_or(seconds),
        quick: arguments.quick,
    };
    match &arguments.command {
        Command::Ingest(options) => {
            let report = ingest::run(scale)?;
            show(arguments, std::slice::from_ref(&report))?;
            options.draw(&report)?;
            options.judge(&report)
        }
        Command::Latency => show(arguments, &latency::run(scale)?),
        Command::Flush => show(arguments, &[flush::run(scale)?]),
        Command::Query => show(arguments, &query::run(scale)?),
        Command::Sizes => show(arguments, &[sizes::run(scale)?]),
        Command::Multiproc => show(arguments, &[multiproc::run(scale)?]),
        Command::Import => show(arguments, &[import::run(scale)?]),
        Command::Growth => show(arguments, &growth::run(scale)?),
        Command::Memory => show(arguments, &[memory::run(scale)?]),
        Command::Child(child) => match child {
            Child::Growth { axis, amount, seconds } => growth::point(*axis, *amount, *seconds),
            Child::Memory { shape } => memory::point(*shape),
            Child::Multiproc { path, gap, flushes } => multiproc::point(path, *gap, *flushes),
        },
    }
}

/// Prints the reports, and writes their figures where that was asked for.
fn show(arguments: &Arguments, reports: &[Report]) -> Done {
    let is_markdown = matches!(arguments.command, Command::Growth);
    let mut out = std::io::stdout().lock();
    for report in reports {
        let text = if is_markdown { report.markdown() } else { report.to_string() };
        // Whoever reads may have seen enough; the figures below are still to be written.
        let _ = writeln!(out, "{text}");
    }
    let Some(path) = &arguments.json else { return Ok(()) };
    let mut file = File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
    for line in reports.iter().flat_map(Report::json_lines) {
        writeln!(file, "{line}")?;
    }
    Ok(())
}
