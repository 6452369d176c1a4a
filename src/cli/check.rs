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
    lost: &'a [String],
    more_lost: u64,
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
        "{}: {}{}; restore a backup (`restore`), or save what can be read (`salvage`); the file stays",
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
        lost: &check.losses,
        more_lost: check.more_losses,
    }
}

fn print(check: &Check, is_deep: bool, output: &mut Output<'_>) {
    let mut table = Table::new(&[Align::Left, Align::Left]);
    for finding in check.findings.iter().take(MAX_SHOWN) {
        table.row([finding.law.as_str().replace('_', " "), finding.message.clone()]);
    }
    output.table(&table, "");
    say_hidden(check.findings.len(), check.more, output);
    for loss in check.losses.iter().take(MAX_SHOWN) {
        output.line(format_args!("known to be lost: {loss}"));
    }
    say_hidden(check.losses.len(), check.more_losses, output);
    let (rows, sketches) =
        (text::plural(check.rows, "row", "rows"), text::plural(check.sketches, "sketch", "sketches"));
    let verdict = match (check.is_sound(), check.losses.is_empty()) {
        (true, true) => "sound",
        (true, false) => "sound but for what is known to be lost",
        (false, _) => "not sound",
    };
    output.line(format_args!("{verdict}: {rows} checked, {sketches} among them"));
    if is_deep {
        output.line(format_args!(
            "{} estimated again by another implementation, at most {:.2} % apart",
            text::plural(check.second_opinions, "sketch", "sketches"),
            check.largest_difference * 100.0
        ));
    }
}

fn say_hidden(kept: usize, more: u64, output: &mut Output<'_>) {
    let hidden = kept.saturating_sub(MAX_SHOWN) as u64 + more;
    if hidden > 0 {
        output.line(format_args!("and {} more; --json has up to 1,000", text::count(hidden)));
    }
}
