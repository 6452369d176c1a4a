//! `headcount restore`.

use serde::Serialize;

use super::Context;
use super::args::RestoreArgs;
use super::output::{Failure, Form, Output};
use super::progress::during;
use super::text;
use crate::{Existing, RestoredSending, Upkeep};

#[derive(Serialize)]
struct Document {
    store: String,
    bytes: u64,
    rows: u64,
    sketches: u64,
    set_aside: Option<String>,
    sending: &'static str,
}

pub(super) fn run(args: &RestoreArgs, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let existing = if args.replace { Existing::SetAside } else { Existing::Refuse };
    let restore = || Upkeep::restore_at(&args.backup, &context.store, existing, context.now());
    let restored = during("checking and copying", output.form(), restore).map_err(|error| {
        let is_there = !args.replace && error.kind() == crate::ErrorKind::Usage;
        let advice = if is_there { " (--replace sets it aside)" } else { "" };
        Failure::from(error).advise(advice)
    })?;
    let store = context.store.display().to_string();
    let set_aside = restored.set_aside.map(|path| path.display().to_string());
    match output.form() {
        Form::Json => output.document(&Document {
            store,
            bytes: restored.bytes,
            rows: restored.check.rows,
            sketches: restored.check.sketches,
            set_aside,
            sending: restored.sending.as_str(),
        }),
        Form::Text => {
            output.line(format_args!(
                "{store}: {} bytes; {} checked, {} among them: sound",
                text::count(restored.bytes),
                text::plural(restored.check.rows, "row", "rows"),
                text::plural(restored.check.sketches, "sketch", "sketches")
            ));
            if let Some(set_aside) = set_aside {
                output.line(format_args!("the store that was there is {set_aside}"));
            }
            match restored.sending {
                RestoredSending::On => output.line("pings are sent, as both say"),
                RestoredSending::TurnedOff => output.line(format_args!(
                    "sending pings is off: the backup has it on, and no store that was there had it on to the same URL; `{} ping consent --send-to URL` turns it on",
                    context.program
                )),
                _ => {}
            }
        }
    }
    Ok(())
}
