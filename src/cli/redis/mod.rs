//! `headcount redis`.

mod export;
mod import;
mod mirror;
mod verify;

use super::Context;
use super::args::{NamesArgs, RedisCommand, ServerArgs};
use super::output::{Failure, Output};
use crate::RedisNames;

/// The most keys that are listed for people.
const MOST_LISTED: usize = 20;

pub(super) fn run(command: &RedisCommand, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    match command {
        RedisCommand::Import(args) => import::run(args, context, output),
        RedisCommand::Export(args) => export::run(args, context, output),
        RedisCommand::Verify(args) => verify::run(args, context, output),
        RedisCommand::Mirror(args) => mirror::run(args, context, output),
    }
}

fn names(args: &NamesArgs) -> Result<RedisNames, Failure> {
    Ok(args.overrides.iter().try_fold(RedisNames::new(), RedisNames::overrides_from)?)
}

/// The URL, from the command line or the variable that it names.
fn url(args: &ServerArgs) -> Result<String, Failure> {
    match (&args.url, &args.url_env) {
        (Some(url), _) => Ok(url.clone()),
        (None, Some(variable)) => std::env::var(variable).map_err(|_| {
            Failure::usage(format!("the environment variable {variable} is not set; it must have the URL"))
        }),
        (None, None) => Err(Failure::internal("neither a URL nor a variable that has it was given")),
    }
}

/// Lists keys on stderr, the first of them.
fn note_keys<'a>(title: &str, keys: impl ExactSizeIterator<Item = &'a str>, output: &mut Output<'_>) {
    let count = keys.len();
    if count == 0 {
        return;
    }
    output.note(format_args!("{title}:"));
    for key in keys.take(MOST_LISTED) {
        output.note(format_args!("  {key}"));
    }
    if count > MOST_LISTED {
        output.note(format_args!("  and {} more; --json lists all", count - MOST_LISTED));
    }
}
