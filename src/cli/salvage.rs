//! `headcount salvage`.

use serde::Serialize;

use super::Context;
use super::args::SalvageArgs;
use super::output::{Failure, Form, Output};
use super::progress::during;
use super::table::{Align, Table};
use super::text;
use crate::{Salvaged, Upkeep};

/// So many losses are shown as text; JSON has up to 1,000.
const MAX_SHOWN: usize = 40;

#[derive(Serialize)]
struct Document<'a> {
    file: String,
    bytes: u64,
    tables: Vec<TableDocument>,
    lost: Vec<LossDocument<'a>>,
    more: u64,
    sound: bool,
    findings: u64,
}

#[derive(Serialize)]
struct TableDocument {
    name: &'static str,
    rows: u64,
    rebuilt: u64,
}

#[derive(Serialize)]
struct LossDocument<'a> {
    table: &'static str,
    series: Option<&'a str>,
    when: Option<&'a str>,
    message: &'a str,
}

pub(super) fn run(args: &SalvageArgs, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let salvage = || Upkeep::salvage_at(&args.damaged, &args.new, context.now());
    let salvaged = during("reading what can be read", output.form(), salvage)?;
    match output.form() {
        Form::Json => output.document(&document(args, &salvaged)),
        Form::Text => print(args, &salvaged, output),
    }
    Ok(())
}

fn findings(salvaged: &Salvaged) -> u64 {
    salvaged.check.more + salvaged.check.findings.len() as u64
}

fn document<'a>(args: &SalvageArgs, salvaged: &'a Salvaged) -> Document<'a> {
    let tables = salvaged.tables.iter();
    Document {
        file: args.new.display().to_string(),
        bytes: salvaged.bytes,
        tables: tables
            .map(|table| TableDocument { name: table.name, rows: table.rows, rebuilt: table.rebuilt })
            .collect(),
        lost: salvaged
            .losses
            .iter()
            .map(|loss| LossDocument {
                table: loss.table,
                series: loss.series.as_deref(),
                when: loss.when.as_deref(),
                message: &loss.message,
            })
            .collect(),
        more: salvaged.more,
        sound: salvaged.check.is_sound(),
        findings: findings(salvaged),
    }
}

fn print(args: &SalvageArgs, salvaged: &Salvaged, output: &mut Output<'_>) {
    let mut read = Table::new(&[Align::Left, Align::Right, Align::Left, Align::Left]);
    for table in salvaged.tables.iter().filter(|table| table.rows > 0 || table.rebuilt > 0) {
        let rebuilt = match table.rebuilt {
            0 => String::new(),
            rebuilt => format!("{} made again from others", text::count(rebuilt)),
        };
        read.row([
            table.name.to_owned(),
            text::count(table.rows),
            if table.rows == 1 { "row" } else { "rows" }.to_owned(),
            rebuilt,
        ]);
    }
    output.line("read");
    output.table(&read, "  ");
    if !salvaged.losses.is_empty() {
        let mut lost = Table::new(&[Align::Left, Align::Left, Align::Left, Align::Left]);
        for loss in salvaged.losses.iter().take(MAX_SHOWN) {
            lost.row([
                loss.table.to_owned(),
                loss.series.clone().unwrap_or_default(),
                loss.when.clone().unwrap_or_default(),
                loss.message.clone(),
            ]);
        }
        output.line("\nlost");
        output.table(&lost, "  ");
        let hidden = salvaged.losses.len().saturating_sub(MAX_SHOWN) as u64 + salvaged.more;
        if hidden > 0 {
            output.line(format_args!("  and {} more; --json has up to 1,000", text::count(hidden)));
        }
    }
    let verdict = match findings(salvaged) {
        0 => "sound".to_owned(),
        found => format!("{}, as `check` shows them", text::plural(found, "finding", "findings")),
    };
    output.line(format_args!(
        "\n{}: {} bytes, {} checked: {verdict}",
        args.new.display(),
        text::count(salvaged.bytes),
        text::plural(salvaged.check.rows, "row", "rows"),
    ));
    let nothing = if salvaged.losses.is_empty() { "; nothing is lost" } else { "" };
    output.line(format_args!("{} is as it was{nothing}", args.damaged.display()));
}
