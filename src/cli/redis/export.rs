//! `headcount redis export`.

use serde::Serialize;

use crate::cli::args::RedisExportArgs;
use crate::cli::output::{Failure, Form, Output};
use crate::cli::progress::during;
use crate::cli::{Context, text};
use crate::{RedisExport, RedisExported};

#[derive(Serialize)]
struct Document<'a> {
    written: u64,
    unchanged: u64,
    small_uniques: u64,
    left_out: Vec<LeftOut<'a>>,
}

#[derive(Serialize)]
pub(super) struct LeftOut<'a> {
    key: &'a str,
    reason: &'a str,
}

pub(super) fn left_out(keys: &[(String, String)]) -> Vec<LeftOut<'_>> {
    keys.iter().map(|(key, reason)| LeftOut { key, reason }).collect()
}

pub(super) fn run(args: &RedisExportArgs, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let mut export = RedisExport::new().names(super::names(&args.names)?);
    if args.overwrite {
        export = export.overwrite();
    }
    let reader = context.reader()?;
    let exported = match &args.resp {
        Some(file) => export.to_file(&reader, file)?,
        None => {
            let url = super::url(&args.server)?;
            during("writing keys", output.form(), || export.to_server(&reader, &url))?
        }
    };
    match output.form() {
        Form::Json => output.document(&Document {
            written: exported.written,
            unchanged: exported.unchanged,
            small_uniques: exported.small_uniques,
            left_out: left_out(&exported.left_out),
        }),
        Form::Text => tell(&exported, output),
    }
    Ok(())
}

fn tell(exported: &RedisExported, output: &mut Output<'_>) {
    let unchanged = match exported.unchanged {
        0 => String::new(),
        unchanged => format!(", {} as they were brought before", text::count(unchanged)),
    };
    output.line(format_args!("{} written{unchanged}", text::plural(exported.written, "key", "keys")));
    if exported.small_uniques > 0 {
        output.note(format_args!(
            "{} of few distinct ones, exact here, {} the error of registers in Redis, 0.81 %",
            text::plural(exported.small_uniques, "set", "sets"),
            if exported.small_uniques == 1 { "has" } else { "have" }
        ));
    }
    let left_out = exported.left_out.iter().map(|(key, _)| key.as_str());
    super::note_keys(
        "the store cannot tell the values of these keys, and they are not written",
        left_out,
        output,
    );
}
