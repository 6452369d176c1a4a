//! `headcount retention`.

use serde::Serialize;

use super::Context;
use super::args::RetentionArgs;
use super::interrupt::Interrupt;
use super::output::{Exit, Failure, Form, Output};
use super::progress::during;
use super::table::{Align, Table};
use super::{text, window};
use crate::{Reader, Removed, Retained, Retention, Timestamp, Upkeep};

#[derive(Serialize)]
struct Document {
    hours_days: Option<u32>,
    days_days: Option<u32>,
    max_bytes: Option<u64>,
    bytes: u64,
    hours_from: Option<String>,
    days_from: Option<String>,
    clock_leap: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<RemovedDocument>,
}

#[derive(Serialize)]
struct RemovedDocument {
    rows: u64,
    bytes: u64,
}

pub(super) fn run(args: &RetentionArgs, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let is_asked_only = args.hours.is_none() && args.days.is_none() && args.size.is_none() && !args.now;
    if is_asked_only {
        return show(&context.bare_reader()?, None, context, output);
    }
    let mut upkeep = Upkeep::open(&context.store)?.with_clock(context.clock.clone());
    let before = upkeep.reader().retention()?.retention;
    let retention = changed(before, args);
    if retention != before {
        upkeep.set_retention(retention)?;
    }
    let removed = if args.now { Some(remove(&mut upkeep, output.form())?) } else { None };
    show(upkeep.reader(), removed, context, output)
}

fn changed(before: Retention, args: &RetentionArgs) -> Retention {
    let hours = args.hours.map_or(before.hours(), super::args::Limit::given);
    let days = args.days.map_or(before.days(), super::args::Limit::given);
    let bytes = args.size.map_or(before.bytes(), super::args::Limit::given);
    let mut retention = Retention::everything();
    if let Some(hours) = hours {
        retention = retention.hours_for_days(hours);
    }
    if let Some(days) = days {
        retention = retention.days_for_days(days);
    }
    if let Some(bytes) = bytes {
        retention = retention.at_most_bytes(bytes);
    }
    retention
}

fn remove(upkeep: &mut Upkeep, form: Form) -> Result<Removed, Failure> {
    let interrupt = Interrupt::listen().map_err(|error| Failure::io(format!("no signals: {error}")))?;
    let removed = during("removing", form, || upkeep.retain_until(interrupt.flag()))?;
    if interrupt.has_come() {
        let rows = text::plural(removed.rows, "row is", "rows are");
        let what = format!("interrupted; {rows} removed, and the next call goes on");
        return Err(Failure::new("interrupted", Exit::Interrupted, what));
    }
    Ok(removed)
}

fn show(
    reader: &Reader,
    removed: Option<Removed>,
    context: &Context,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let retained = reader.retention()?;
    let contents = reader.contents()?;
    let bytes = contents.bytes + contents.log_bytes;
    let written = |at: Option<Timestamp>| at.map(|at| at.to_string());
    match output.form() {
        Form::Json => output.document(&Document {
            hours_days: retained.retention.hours(),
            days_days: retained.retention.days(),
            max_bytes: retained.retention.bytes(),
            bytes,
            hours_from: written(retained.hours_from),
            days_from: written(retained.days_from),
            clock_leap: written(retained.leap),
            removed: removed.map(|Removed { rows, bytes }| RemovedDocument { rows, bytes }),
        }),
        Form::Text => {
            output.table(&table(&retained, bytes, context), "");
            if let Some(leap) = retained.leap {
                let leap = window::instant(leap, context.moment(None));
                output.line(format_args!(
                    "the clock leaped to {leap}; nothing is removed for that before it is confirmed"
                ));
            }
            if let Some(removed) = removed {
                output.line(format_args!(
                    "{} removed, {} bytes given back",
                    text::plural(removed.rows, "row", "rows"),
                    text::count(removed.bytes)
                ));
            }
        }
    }
    Ok(())
}

fn table(retained: &Retained, bytes: u64, context: &Context) -> Table {
    let mut table = Table::new(&[Align::Left, Align::Left, Align::Left]);
    let kept = |days: Option<u32>| match days {
        Some(days) => format!("kept for {}", text::plural(days.into(), "day", "days")),
        None => "kept for ever".to_owned(),
    };
    let from = |from: Option<Timestamp>| match from {
        Some(from) => format!("from {} on", window::instant(from, context.moment(None))),
        None => "all are there".to_owned(),
    };
    table.row(["hours".to_owned(), kept(retained.retention.hours()), from(retained.hours_from)]);
    table.row(["days".to_owned(), kept(retained.retention.days()), from(retained.days_from)]);
    let limit = match retained.retention.bytes() {
        Some(limit) => format!("at most {} bytes", text::count(limit)),
        None => "without a limit".to_owned(),
    };
    table.row(["size".to_owned(), limit, format!("{} bytes now", text::count(bytes))]);
    table
}
