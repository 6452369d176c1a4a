//! `headcount completions`.

use super::Context;
use super::args::{self, CompletionsArgs};
use super::defaults::Defaults;
use super::output::{Failure, Output};

pub(super) fn run(args: &CompletionsArgs, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    // A shell completes the words after a program's name, which is one word.
    if context.program_name.contains(char::is_whitespace) {
        return Err(Failure::usage(format!(
            "`{}` is part of another program, whose completions are its own; ask that one",
            context.program_name
        )));
    }
    let mut command = args::command(&Defaults::new().program(&context.program_name));
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, &context.program_name, &mut script);
    output.text(String::from_utf8_lossy(&script));
    Ok(())
}
