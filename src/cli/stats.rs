//! `headcount stats`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Context;
use super::output::{Failure, Form, Output};
use super::text::{self, Align, Table};
use crate::{Contents, Ledger};

#[derive(Serialize)]
struct Document<'a> {
    store: String,
    bytes: u64,
    series: u64,
    sketches: u64,
    stored: u64,
    refused: &'a BTreeMap<String, u64>,
    lost: &'a BTreeMap<String, u64>,
    noted: &'a BTreeMap<String, u64>,
}

pub(super) fn run(context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let reader = context.reader()?;
    let (ledger, contents) = (reader.ledger()?, reader.contents()?);
    let store = context.store.display().to_string();
    match output.form() {
        Form::Json => {
            let Contents { bytes, series, sketches, .. } = contents;
            let Ledger { stored, refused, lost, noted, .. } = &ledger;
            output.document(&Document {
                store,
                bytes,
                series,
                sketches,
                stored: *stored,
                refused,
                lost,
                noted,
            });
        }
        Form::Text => print(&store, contents, &ledger, output),
    }
    Ok(())
}

fn print(store: &str, contents: Contents, ledger: &Ledger, output: &mut Output<'_>) {
    let mut table = Table::new(&[Align::Left, Align::Left]);
    table.row(["store", store]);
    table.row(["size", &format!("{} bytes", text::count(contents.bytes))]);
    table.row(["series", &text::count(contents.series)]);
    table.row(["sketches", &text::count(contents.sketches)]);
    output.text(table.render(""));
    let mut events = Table::new(&[Align::Left, Align::Right, Align::Left]);
    events.row(["stored".to_owned(), text::count(ledger.stored)]);
    let entries = [("refused", &ledger.refused), ("lost", &ledger.lost), ("noted", &ledger.noted)];
    for (entry, reasons) in entries {
        if reasons.is_empty() && entry != "noted" {
            events.row([entry, "0"]);
        }
        for (reason, count) in reasons {
            events.row([entry.to_owned(), text::count(*count), reason.replace('_', " ")]);
        }
    }
    output.text(format_args!("\nevents\n{}", events.render("  ")));
    if !ledger.noted.is_empty() {
        output.line("\nnoted: parts that were dropped or skipped while the event counted");
    }
}
