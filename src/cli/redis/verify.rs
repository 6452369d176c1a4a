//! `headcount redis verify`.

use serde::Serialize;

use super::export::{LeftOut, left_out};
use crate::RedisVerify;
use crate::cli::args::RedisVerifyArgs;
use crate::cli::output::{Exit, Failure, Form, Output};
use crate::cli::progress::during;
use crate::cli::table::{Align, Table};
use crate::cli::{Context, text};

#[derive(Serialize)]
struct Document<'a> {
    equal: u64,
    differences: Vec<Difference<'a>>,
    unknown: &'a [String],
    left_out: Vec<LeftOut<'a>>,
}

#[derive(Serialize)]
struct Difference<'a> {
    key: &'a str,
    here: &'a str,
    in_redis: &'a str,
}

pub(super) fn run(args: &RedisVerifyArgs, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let verify = RedisVerify::new().names(super::names(&args.names)?);
    let url = super::url(&args.server)?;
    let reader = context.reader()?;
    let verified = during("comparing keys", output.form(), || verify.server(&reader, &url))?;
    match output.form() {
        Form::Json => output.document(&Document {
            equal: verified.equal,
            differences: verified
                .differences
                .iter()
                .map(|each| Difference { key: &each.key, here: &each.here, in_redis: &each.in_redis })
                .collect(),
            unknown: &verified.unknown,
            left_out: left_out(&verified.left_out),
        }),
        Form::Text => {
            if !verified.differences.is_empty() {
                let mut table = Table::new(&[Align::Left, Align::Right, Align::Right]);
                table.row(["key".to_owned(), "here".to_owned(), "in Redis".to_owned()]);
                for each in &verified.differences {
                    table.row([each.key.clone(), each.here.clone(), each.in_redis.clone()]);
                }
                output.table(&table, "");
            }
            let same = if verified.equal == 1 { "is" } else { "are" };
            output.line(format_args!("{} {same} the same", text::plural(verified.equal, "key", "keys")));
            let unknown = verified.unknown.iter().map(String::as_str);
            super::note_keys("no definition explains these keys, and they are not compared", unknown, output);
            let left_out = verified.left_out.iter().map(|(key, _)| key.as_str());
            super::note_keys(
                "the store cannot tell the values of these keys, and they are not compared",
                left_out,
                output,
            );
        }
    }
    if verified.differences.is_empty() {
        return Ok(());
    }
    let differ = verified.differences.len() as u64;
    let message = format!(
        "{} not the same; `{} redis export` brings up what is missing, and with --overwrite what somebody changed",
        text::plural(differ, "key is", "keys are"),
        context.program
    );
    Err(Failure::new("differences", Exit::Failed, message))
}
