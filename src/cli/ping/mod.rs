//! `headcount ping`.

mod carry;
mod consent;
mod kept;
mod make;
mod metrics;
mod preview;
mod questions;
#[cfg(feature = "upload")]
mod send;
mod sources;

pub(super) use consent::sending;
pub(super) use metrics::{MetricDocument, milliseconds};

use super::Context;
use super::args::{PingCommand, SourceArgs};
use super::output::{Exit, Failure, Output};
use crate::{IsoWeek, KeptPing, Ping, Upkeep};

pub(super) fn run(command: &PingCommand, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    match command {
        PingCommand::Preview(args) => preview::run(args, context, output),
        PingCommand::Generate(args) => make::generate(args, context, output),
        PingCommand::Run(args) => make::run(args, context, output),
        #[cfg(feature = "upload")]
        PingCommand::Send(args) => send::run(args, context, output),
        PingCommand::Questions => questions::run(context, output),
        PingCommand::Status => consent::status(context, output),
        PingCommand::Consent(args) => consent::choose(args, context, output),
        PingCommand::History => kept::history(context, output),
        PingCommand::Show(args) => kept::show(args, context, output),
        PingCommand::Diff(args) => kept::diff(args, context, output),
        PingCommand::Forget(args) => kept::forget(args, context, output),
        PingCommand::Export(args) => carry::export(args, context, output),
        PingCommand::Verify(args) => carry::verify(args, output),
    }
}

/// The ping of the store, which writes nothing.
pub(super) fn reading(context: &Context) -> Result<Ping, Failure> {
    Ok(context.defaults.extend_ping(Ping::of(&context.reader()?)))
}

/// As [`reading`], with values from where the command line says.
pub(super) fn asking(context: &Context, args: &SourceArgs) -> Result<Ping, Failure> {
    sources::extend(reading(context)?, args)
}

/// The ping of the store, for keeping.
fn keeping(context: &Context) -> Result<Ping, Failure> {
    let upkeep = Upkeep::open(&context.store)?.with_clock(context.clock.clone());
    let ping = match context.definitions()? {
        Some(definitions) => upkeep.ping_by(definitions),
        None => upkeep.ping(),
    };
    Ok(context.defaults.extend_ping(ping))
}

/// The ping of a week that is kept, or the last one.
fn kept_of(ping: &Ping, week: Option<IsoWeek>, context: &Context) -> Result<KeptPing, Failure> {
    let found = match week {
        Some(week) => ping.kept(week)?,
        None => ping.last_kept(None)?,
    };
    found.ok_or_else(|| {
        let program = &context.program;
        let what = match week {
            Some(week) => format!("no ping of {week} is kept; `{program} ping history` lists those that are"),
            None => format!("no ping is kept yet; `{program} ping generate` makes one"),
        };
        Failure::new("not_kept", Exit::Failed, what)
    })
}
