//! What imports counted, and what they refused and why, as tables.

use super::look::Look;
use super::output::Output;
use super::table::{Align, Table};
use super::text;
use crate::{ImportReport, TrackError};

/// Prints what came of each source.
pub(super) fn print(reports: &[ImportReport], output: &mut Output<'_>) {
    if reports.is_empty() {
        return;
    }
    let right = Align::Right;
    let mut table = Table::new(&[right, right, right, right, Align::Left]).with_head();
    table.row(["NEW LINES", "COUNTED", "REFUSED", "READ BEFORE", "SOURCE"]);
    let mut total = [0; 4];
    for report in reports {
        let refused = report.rejected.values().sum();
        let numbers = [report.lines, report.accepted, refused, report.already_read];
        total.iter_mut().zip(numbers).for_each(|(total, number)| *total += number);
        row(&mut table, numbers, &report.name);
    }
    if reports.len() > 1 {
        row(&mut table, total, "total");
    }
    output.table(&table, "");
    for report in reports.iter().filter(|report| !report.rejected.is_empty()) {
        output.note(refused(report));
    }
    for report in reports.iter().filter(|report| report.is_cut) {
        let line = text::count(report.already_read + report.lines + 1);
        output.note(format_args!(
            "{}: the last line, {line}, is cut; it is read when it is whole",
            report.name
        ));
    }
}

fn row(table: &mut Table, numbers: [u64; 4], source: &str) {
    table.row(numbers.map(text::count).into_iter().chain([source.to_owned()]));
}

/// Why lines of a source were refused, which ones first, and what the first of each reason looks like.
fn refused(report: &ImportReport) -> String {
    let mut table = Table::new(&[Align::Right, Align::Left, Align::Left]);
    for (reason, count) in &report.rejected {
        let of_reason: Vec<_> = report.first_bad.iter().filter(|bad| bad.reason == *reason).collect();
        let mut numbers: Vec<_> = of_reason.iter().map(|bad| bad.line.to_string()).collect();
        if *count > numbers.len() as u64 {
            numbers.push("…".to_owned());
        }
        let lines = if *count == 1 { "line" } else { "lines" };
        let means = format!("{} ({lines} {})", explain(reason), numbers.join(", "));
        table.row([text::count(*count), reason.replace('_', " "), means]);
        if let Some(first) = of_reason.first() {
            table.row([String::new(), String::new(), text::name(&first.beginning)]);
        }
    }
    format!("refused in {}:\n{}", report.name, table.render("  ", Look::PLAIN).trim_end())
}

/// What a reason means and what to do.
fn explain(reason: &str) -> String {
    let tracking = TrackError::ALL.iter().find(|error| error.reason() == reason);
    tracking.map_or_else(|| shape(reason).to_owned(), |error| error.to_string())
}

fn shape(reason: &str) -> &'static str {
    match reason {
        "not_json" => "not one JSON object; write one on each line",
        "no_event" => "no `event`, or not a text; name the event",
        "bad_time" => {
            "`time` must be RFC 3339 with an offset, or a number of seconds or milliseconds, from 1970 on"
        }
        "bad_id" => "an identifier must be a text or an integer",
        "duplicate_key" => "a key stands twice; leave one",
        "line_too_long" => "longer than 256 KiB; shorten it",
        _ => "",
    }
}
