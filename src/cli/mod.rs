//! The command line: as the `headcount` binary, and mounted inside a host program's own.
//!
//! Data goes to stdout and everything else to stderr.
//!
//! | exit code | |
//! |---|---|
//! | 0 | done; refused lines of an import are counted on stderr |
//! | 1 | failed: an unknown event or key path, a source that changed, a missing store; refused lines with `--fail-on-bad` |
//! | 2 | the command line makes no sense |
//! | 3 | definitions are invalid or missing |
//! | 4 | the store is busy |
//! | 5 | the store is damaged or newer |
//! | 6 | the other side does not want a ping |
//! | 7 | the other side cannot be reached; what was kept is sent later |
//! | 130 | an import was interrupted by SIGINT or SIGTERM; what it had read is counted, and the same command goes on there; or a backup was, and there is no copy |
//!
#![doc = include_str!("json.md")]

mod answer;
mod args;
mod backup;
mod chart;
mod check;
mod compare;
mod completions;
mod defaults;
mod definitions;
mod demo;
mod import;
mod interrupt;
mod look;
mod mark;
mod metric;
mod output;
mod ping;
mod problems;
mod progress;
mod query;
#[cfg(feature = "redis")]
mod redis;
mod refusals;
mod restore;
mod retention;
mod salvage;
mod show;
mod stats;
mod table;
mod text;
mod window;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use args::{Command, DefinitionsCommand, Global, MetricCommand};
use output::{Failure, Form, Output};
use window::Moment;

pub use defaults::Defaults;

use crate::{Clock, Definitions, Error, ErrorKind, ManualClock, Reader, Timestamp};

/// Runs one command line, as `headcount` itself does, and returns its exit code.
///
/// The first of `args` is the name of the program, as in [`std::env::args_os`].
///
/// `import`, `backup` and `retention --now` listen for SIGINT and SIGTERM while they run: the first one ends them in good order, the second one ends the program.
/// Handlers that the program has are called as well, and afterwards signals do what they did before. A program that has handlers
/// of its own installs them before the first of them: on Linux it keeps them, elsewhere, or when they come later, a signal
/// afterwards may end it.
///
/// ```
/// use headcount::cli::{Defaults, run};
///
/// run(["acme usage", "--version"], Defaults::new().program("acme usage"));
/// ```
pub fn run(args: impl IntoIterator<Item = impl Into<OsString> + Clone>, defaults: Defaults) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let asks_for_json = args.iter().any(|arg| arg == "--json");
    // Progress is drawn from another thread, so that stderr is not held.
    let (stdout, stderr) = (std::io::stdout().lock(), std::io::stderr());
    let form = if asks_for_json { Form::Json } else { Form::Text };
    let mut output = Output::new(form, stdout, stderr).looking();
    match args::parse(&args, &defaults) {
        Err(error) if error.use_stderr() => output.teach(&error.render(), args::fault(&error)),
        Err(help) if output.look().has_colour => output.text(help.render().ansi()),
        Err(help) => output.text(help.render()),
        Ok(parsed) => {
            let invoked = args.first().map(|arg| arg.to_string_lossy().into_owned()).unwrap_or_default();
            let context = Context::new(parsed.cli.global, parsed.store_is_explicit, invoked, defaults);
            let done = context.and_then(|context| {
                let done = execute(&parsed.cli.command, &context, &mut output);
                done.map_err(|failure| explain(failure, &parsed.cli.command, &context))
            });
            if let Err(failure) = done {
                output.fail(failure);
            }
        }
    }
    output.finish()
}

fn execute(command: &Command, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    match command {
        Command::Demo => demo::run(context, output),
        Command::Import(args) => import::run(args, context, output),
        Command::Query(args) => query::run(args, context, output),
        Command::Mark(args) => mark::run(args, context, output),
        Command::Metric(MetricCommand::List) => metric::list(context, output),
        Command::Metric(MetricCommand::Show(args)) => show::run(args, context, output),
        Command::Metric(MetricCommand::Get(args)) => metric::get(args, context, output),
        Command::Definitions(DefinitionsCommand::Check(args)) => definitions::check(args, context, output),
        Command::Ping(command) => ping::run(command, context, output),
        #[cfg(feature = "redis")]
        Command::Redis(command) => redis::run(command, context, output),
        Command::Check(args) => check::run(args, context, output),
        Command::Backup(args) => backup::run(args, context, output),
        Command::Retention(args) => retention::run(args, context, output),
        Command::Restore(args) => restore::run(args, context, output),
        Command::Salvage(args) => salvage::run(args, context, output),
        Command::Stats(args) => stats::run(args, context, output),
        Command::Completions(args) => completions::run(args, context, output),
    }
}

/// Adds what only the command line knows: which store it was, or the option that gives what is missing.
fn explain(failure: Failure, command: &Command, context: &Context) -> Failure {
    let is_without = context.folder.is_none() && failure.is(ErrorKind::Definitions);
    match command {
        Command::Metric(_) | Command::Ping(_) if is_without => failure.advise(" (--definitions DIR)"),
        // They name the files that they are about.
        Command::Restore(_) | Command::Salvage(_) => failure,
        // What cannot be written here is the copy.
        Command::Backup(_) if failure.is(ErrorKind::ReadOnly) || failure.is(ErrorKind::StoreFull) => failure,
        _ => failure.of_store(&context.store),
    }
}

/// What every command starts from.
struct Context {
    store: PathBuf,
    store_is_explicit: bool,
    /// The folder of `--definitions`, and what the host carries.
    folder: Option<PathBuf>,
    carried: Option<Definitions>,
    /// As people can paste it.
    program: String,
    defaults: Defaults,
    store_variable: String,
    definitions_variable: String,
    clock: Clock,
}

impl Context {
    fn new(
        global: Global,
        store_is_explicit: bool,
        invoked: String,
        defaults: Defaults,
    ) -> Result<Self, Failure> {
        // `target/release/headcount` can be pasted where `headcount` may not be found.
        let is_same = invoked.ends_with(&format!("/{}", defaults.program_name()));
        Ok(Self {
            clock: clock_of(&defaults.variable("NOW"))?,
            store: global.store.unwrap_or_else(|| defaults.store_path().to_owned()),
            store_is_explicit,
            folder: global.definitions,
            program: if is_same { invoked } else { defaults.program_name().to_owned() },
            store_variable: defaults.variable("STORE"),
            definitions_variable: defaults.variable("DEFINITIONS"),
            defaults: defaults.clone(),
            carried: defaults.into_definitions(),
        })
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Now, or another instant seen from now.
    fn moment(&self, as_of: Option<Timestamp>) -> Moment {
        Moment { today: self.now(), asked: as_of.unwrap_or_else(|| self.now()) }
    }

    /// The definitions that stand in for those in the store, if any do.
    fn definitions(&self) -> Result<Option<Definitions>, Error> {
        match &self.folder {
            Some(folder) => Definitions::load(folder).map(Some),
            None => Ok(self.carried.clone()),
        }
    }

    /// The store, for reading.
    fn reader(&self) -> Result<Reader, Error> {
        let reader = self.bare_reader()?;
        Ok(match self.definitions()? {
            Some(definitions) => reader.with_definitions(definitions),
            None => reader,
        })
    }

    /// The store, for reading, with the definitions that it keeps.
    fn bare_reader(&self) -> Result<Reader, Error> {
        Ok(Reader::open(&self.store)?.with_clock(self.clock.clone()))
    }
}

/// The system's clock, or one that stands still where the environment says so: answers then are the same from run to run.
fn clock_of(variable: &str) -> Result<Clock, Failure> {
    let Some(now) = std::env::var_os(variable).filter(|now| !now.is_empty()) else {
        return Ok(Clock::system());
    };
    let now = Timestamp::parse(&now.to_string_lossy())
        .map_err(|error| Failure::usage(format!("the environment variable {variable}: {error}")))?;
    Ok(ManualClock::new(now).into())
}
