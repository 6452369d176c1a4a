//! `headcount backup`.

use serde::Serialize;

use super::Context;
use super::args::BackupArgs;
use super::interrupt::Interrupt;
use super::output::{Exit, Failure, Form, Output};
use super::progress::during;
use super::text;

#[derive(Serialize)]
struct Document {
    file: String,
    bytes: u64,
    rows: u64,
    sketches: u64,
}

pub(super) fn run(args: &BackupArgs, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let reader = context.bare_reader()?;
    let interrupt = Interrupt::listen().map_err(|error| Failure::io(format!("no signals: {error}")))?;
    let back_up = || reader.backup_until(&args.file, interrupt.flag());
    let Some(backup) = during("copying and checking", output.form(), back_up)? else {
        return Err(Failure::new("interrupted", Exit::Interrupted, "interrupted; there is no copy"));
    };
    let file = args.file.display().to_string();
    match output.form() {
        Form::Json => output.document(&Document {
            file,
            bytes: backup.bytes,
            rows: backup.check.rows,
            sketches: backup.check.sketches,
        }),
        Form::Text => output.line(format_args!(
            "{file}: {} bytes; {} checked, {} among them: sound",
            text::count(backup.bytes),
            text::plural(backup.check.rows, "row", "rows"),
            text::plural(backup.check.sketches, "sketch", "sketches")
        )),
    }
    Ok(())
}
