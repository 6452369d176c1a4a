//! `headcount redis mirror`.

use std::time::{Duration, Instant};

use crate::cli::args::RedisMirrorArgs;
use crate::cli::interrupt::Interrupt;
use crate::cli::output::{Failure, Output};
use crate::cli::{Context, text};
use crate::{RedisMirror, RedisMirrorStep};

/// A mirror runs for weeks.
const SAID_EVERY: Duration = Duration::from_secs(60);

pub(super) fn run(args: &RedisMirrorArgs, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let every = Duration::from_secs(u64::from(args.every));
    let mut mirror = RedisMirror::new().names(super::names(&args.names)?).every(every);
    if args.overwrite {
        mirror = mirror.overwrite();
    }
    let url = super::url(&args.server)?;
    let reader = context.reader()?;
    let interrupt = Interrupt::listen().map_err(|error| Failure::io(format!("no signals: {error}")))?;
    let (mut is_away, mut unsaid, mut said_at) = (false, 0, None::<Instant>);
    mirror.run(&reader, &url, interrupt.flag(), &mut |step| match step {
        RedisMirrorStep::Written { keys } => {
            unsaid += keys;
            let is_back = std::mem::take(&mut is_away);
            if is_back || said_at.is_none_or(|at| at.elapsed() >= SAID_EVERY) {
                let again = if is_back { ", in step again" } else { "" };
                output.note(format_args!(
                    "{}: {} brought up{again}",
                    context.now(),
                    text::plural(unsaid, "key", "keys")
                ));
                (unsaid, said_at) = (0, Some(Instant::now()));
            }
        }
        // Once an outage: it is tried again by itself.
        RedisMirrorStep::Failed { error, .. } if !is_away => {
            is_away = true;
            output.note(format_args!("{}: {error}; trying again until it works", context.now()));
        }
        _ => {}
    })?;
    Ok(())
}
