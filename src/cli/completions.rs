//! `headcount completions`.

use serde::Serialize;

use super::Context;
use super::args::{self, CompletionsArgs};
use super::output::{Failure, Form, Output};

#[derive(Serialize)]
struct Document<'a> {
    shell: String,
    script: &'a str,
}

pub(super) fn run(args: &CompletionsArgs, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let program = context.defaults.program_name();
    if args::is_mounted(program) {
        return Err(Failure::usage(format!(
            "`{program}` is part of another program, whose completions are its own; ask that one"
        )));
    }
    let mut command = args::command(&context.defaults);
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, program, &mut script);
    let script = String::from_utf8_lossy(&script);
    match output.form() {
        Form::Json => output.document(&Document { shell: args.shell.to_string(), script: &script }),
        Form::Text => output.text(&script),
    }
    Ok(())
}
