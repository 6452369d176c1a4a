//! `headcount check`.

use serde::Serialize;

use super::Context;
use super::args::StoreCheckArgs;
use super::output::{Exit, Failure, Form, Output, word};
use super::progress::during;
use super::table::{Align, Table};
use super::text;
use crate::{Check, Depth, ErrorKind};

/// So many findings are shown as text; JSON has up to 1,000.
const MAX_SHOWN: usize = 40;

#[derive(Serialize)]
struct Document<'a> {
    sound: bool,
    rows: u64,
    sketches: u64,
    second_opinions: u64,
    largest_difference: f64,
    ended_early: bool,
    findings: Vec<FindingDocument<'a>>,
    more: u64,
}

#[derive(Serialize)]
struct FindingDocument<'a> {
    law: &'static str,
    message: &'a str,
}

pub(super) fn run(args: &StoreCheckArgs, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let depth = if args.deep { Depth::Deep } else { Depth::Plain };
    let reader = context.bare_reader()?;
    let check = during("checking the store", output.form(), || reader.check(depth))?;
    match output.form() {
        Form::Json => output.document(&document(&check)),
        Form::Text => print(&check, args.deep, output),
    }
    if check.is_sound() {
        return Ok(());
    }
    let found = check.more + check.findings.len() as u64;
    let message = format!(
        "{}: {}{}; keep the file, and restore a backup if you need what is damaged",
        context.store.display(),
        text::plural(found, "finding", "findings"),
        if check.ended_early { ", and rows that could not be looked at" } else { "" }
    );
    Err(Failure::new(word(ErrorKind::StoreDamaged), Exit::StoreDamaged, message))
}

fn document(check: &Check) -> Document<'_> {
    Document {
        sound: check.is_sound(),
        rows: check.rows,
        sketches: check.sketches,
        second_opinions: check.second_opinions,
        largest_difference: check.largest_difference,
        ended_early: check.ended_early,
        findings: check
            .findings
            .iter()
            .map(|finding| FindingDocument { law: finding.law.as_str(), message: &finding.message })
            .collect(),
        more: check.more,
    }
}

fn print(check: &Check, is_deep: bool, output: &mut Output<'_>) {
    let mut table = Table::new(&[Align::Left, Align::Left]);
    for finding in check.findings.iter().take(MAX_SHOWN) {
        table.row([finding.law.as_str().replace('_', " "), finding.message.clone()]);
    }
    output.table(&table, "");
    let hidden = check.findings.len().saturating_sub(MAX_SHOWN) as u64 + check.more;
    if hidden > 0 {
        output.line(format_args!("and {} more; --json has up to 1,000", text::count(hidden)));
    }
    let (rows, sketches) =
        (text::plural(check.rows, "row", "rows"), text::plural(check.sketches, "sketch", "sketches"));
    let verdict = if check.is_sound() { "sound" } else { "not sound" };
    output.line(format_args!("{verdict}: {rows} checked, {sketches} among them"));
    if is_deep {
        output.line(format_args!(
            "{} estimated again by another implementation, at most {:.2} % apart",
            text::plural(check.second_opinions, "sketch", "sketches"),
            check.largest_difference * 100.0
        ));
    }
}
