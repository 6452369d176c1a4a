//! `headcount stats`: how a store is.

use std::collections::BTreeMap;

use serde::Serialize;

use super::answer::{bar_width, kind_word};
use super::args::StatsArgs;
use super::chart::bar;
use super::look::Paint;
use super::output::{Failure, Form, Output};
use super::progress::during;
use super::show::{last, last_day, recorded};
use super::table::{Align, Table};
use super::window::{self, Moment};
use super::{Context, ping, text};
use crate::{
    Consent, Contents, Definitions, ErrorKind, Ledger, MetricDefinition, MetricStatus, Ping, Rule,
    SeriesActivity, Space, sending_forbidden_by,
};

/// So many series are shown as text, unless all are asked for; JSON has all.
const MAX_SERIES: usize = 15;
/// So many names of metrics and definitions are shown as text; JSON has all.
const MAX_NAMES: usize = 10;

#[derive(Serialize)]
struct Document<'a> {
    store: String,
    bytes: u64,
    log_bytes: u64,
    parts: Option<PartsDocument>,
    series: u64,
    sketches: u64,
    stored: u64,
    refused: &'a BTreeMap<String, u64>,
    lost: &'a BTreeMap<String, u64>,
    noted: &'a BTreeMap<String, u64>,
    activity: Vec<SeriesDocument<'a>>,
    never_moved: Vec<&'a str>,
    definitions: Option<DefinitionsDocument<'a>>,
    /// Whether pings leave this machine.
    sends: bool,
}

#[derive(Serialize)]
struct PartsDocument {
    counts: u64,
    sums: u64,
    sketches: u64,
    values: u64,
    other: u64,
    free: u64,
}

#[derive(Serialize)]
struct SeriesDocument<'a> {
    key: &'a str,
    kind: &'static str,
    recorded: bool,
    since: Option<String>,
    until: Option<String>,
    first: Option<String>,
    last: Option<String>,
    active_days: u64,
}

#[derive(Serialize)]
struct DefinitionsDocument<'a> {
    events: usize,
    metrics: usize,
    /// Against the definitions that were given with the command; not there without some.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<&'a Changes>,
}

/// How given definitions differ from those that a store keeps.
#[derive(Debug, Default, Serialize)]
struct Changes {
    added: Vec<String>,
    changed: Vec<String>,
    gone: Vec<String>,
}

/// All that is known of a store.
struct Condition {
    contents: Contents,
    space: Option<Space>,
    ledger: Ledger,
    activity: Vec<SeriesActivity>,
    /// Those that the store keeps, if it keeps some.
    definitions: Option<std::sync::Arc<Definitions>>,
    changes: Option<Changes>,
    never_moved: Vec<String>,
    consent: Consent,
}

pub(super) fn run(args: &StatsArgs, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let reader = context.bare_reader()?;
    let definitions = match reader.definitions() {
        Ok(definitions) => Some(definitions),
        Err(error) if error.kind() == ErrorKind::Definitions => None,
        Err(error) => return Err(error.into()),
    };
    let activity = reader.activity()?;
    let given = context.definitions()?;
    let changes = definitions.as_ref().zip(given.as_ref()).map(|(kept, given)| Changes::of(kept, given));
    let condition = Condition {
        contents: reader.contents()?,
        space: during("measuring the file", output.form(), || reader.space())?,
        ledger: reader.ledger()?,
        never_moved: definitions.as_ref().map_or_else(Vec::new, |kept| never_moved(kept, &activity)),
        activity,
        definitions,
        changes,
        consent: Ping::of(&reader).consent()?,
    };
    let store = context.store.display().to_string();
    match output.form() {
        Form::Json => output.document(&document(store, &condition)),
        Form::Text => print(&store, &condition, args.all, context.moment(None), output),
    }
    Ok(())
}

/// The metrics none of whose series ever had anything.
fn never_moved(definitions: &Definitions, activity: &[SeriesActivity]) -> Vec<String> {
    let has_moved = |rule: &Rule| {
        activity
            .iter()
            .any(|series| series.days.is_some() && series.kind == rule.kind() && series.key == rule.key())
    };
    let counts_events =
        |metric: &&MetricDefinition| metric.status() != MetricStatus::Removed && !metric.rules().is_empty();
    definitions
        .metrics()
        .filter(counts_events)
        .filter(|metric| !metric.rules().iter().any(has_moved))
        .map(|metric| metric.key_path().to_owned())
        .collect()
}

impl Changes {
    fn of(kept: &Definitions, given: &Definitions) -> Self {
        let mut changes = Self::default();
        for event in given.events() {
            let name = format!("event {}", event.action());
            changes.note(name, kept.find_event(event.action()).map(|before| before == event));
        }
        for metric in given.metrics() {
            let name = format!("metric {}", metric.key_path());
            changes.note(name, kept.find_metric(metric.key_path()).map(|before| before == metric));
        }
        let gone_events = kept.events().filter(|event| given.find_event(event.action()).is_none());
        let gone_metrics = kept.metrics().filter(|metric| given.find_metric(metric.key_path()).is_none());
        changes.gone = gone_events
            .map(|event| format!("event {}", event.action()))
            .chain(gone_metrics.map(|metric| format!("metric {}", metric.key_path())))
            .collect();
        changes
    }

    fn note(&mut self, name: String, is_same: Option<bool>) {
        match is_same {
            None => self.added.push(name),
            Some(false) => self.changed.push(name),
            Some(true) => {}
        }
    }
}

fn document(store: String, condition: &Condition) -> Document<'_> {
    let Contents { bytes, log_bytes, series, sketches, .. } = condition.contents;
    let Ledger { stored, refused, lost, noted, .. } = &condition.ledger;
    Document {
        store,
        bytes,
        log_bytes,
        parts: condition.space.map(|space| PartsDocument {
            counts: space.counts,
            sums: space.sums,
            sketches: space.sketches,
            values: space.values,
            other: space.other,
            free: space.free,
        }),
        series,
        sketches,
        stored: *stored,
        refused,
        lost,
        noted,
        activity: condition.activity.iter().map(series_document).collect(),
        never_moved: condition.never_moved.iter().map(String::as_str).collect(),
        sends: condition.consent.sends() && sending_forbidden_by().is_none(),
        definitions: condition.definitions.as_ref().map(|definitions| DefinitionsDocument {
            events: definitions.events().len(),
            metrics: definitions.metrics().len(),
            changes: condition.changes.as_ref(),
        }),
    }
}

fn series_document(series: &SeriesActivity) -> SeriesDocument<'_> {
    SeriesDocument {
        key: &series.key,
        kind: kind_word(series.kind),
        recorded: series.is_recorded,
        since: series.since.map(|since| since.to_string()),
        until: series.until.map(|until| until.to_string()),
        first: series.days.map(|days| window::date(days.from())),
        last: last_day(series).map(window::date),
        active_days: series.active_days,
    }
}

fn print(store: &str, condition: &Condition, is_all: bool, now: Moment, output: &mut Output<'_>) {
    let Contents { bytes, log_bytes, series, sketches, .. } = condition.contents;
    let mut table = Table::new(&[Align::Left, Align::Left]);
    table.row(["store", store]);
    let log = text::count(log_bytes);
    table.row(["size", &format!("{} bytes, and {log} of log (-wal)", text::count(bytes))]);
    table.row([
        "holds",
        &format!("{} series, {}", text::count(series), text::plural(sketches, "sketch", "sketches")),
    ]);
    table.row(["sends", &ping::sending(&condition.consent)]);
    output.table(&table, "");
    if let Some(space) = condition.space {
        print_parts(space, output);
    }
    print_events(&condition.ledger, output);
    print_series(&condition.activity, is_all, now, output);
    print_names("metrics that never moved", &condition.never_moved, is_all, output);
    print_definitions(condition, is_all, output);
}

fn print_parts(space: Space, output: &mut Output<'_>) {
    let parts = [
        ("counts", space.counts),
        ("sums", space.sums),
        ("sketches", space.sketches),
        ("values", space.values),
        ("other", space.other),
        ("free", space.free),
    ];
    let look = output.look();
    let max = parts.iter().map(|(_, bytes)| *bytes).max().unwrap_or_default();
    let mut table = Table::new(&[Align::Left, Align::Right, Align::Left]).painting(2, Paint::Bar);
    for (name, bytes) in parts {
        table.row([
            name.to_owned(),
            text::count(bytes),
            bar(text::double(bytes), text::double(max), bar_width(look)),
        ]);
    }
    output.text(format_args!("\nbytes\n{}", table.render("  ", look)));
}

fn print_events(ledger: &Ledger, output: &mut Output<'_>) {
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
    output.text(format_args!("\nevents\n{}", events.render("  ", output.look())));
    if !ledger.noted.is_empty() {
        output.line("  noted: parts that were dropped or skipped while the event counted");
    }
}

fn print_series(activity: &[SeriesActivity], is_all: bool, now: Moment, output: &mut Output<'_>) {
    let mut sorted: Vec<&SeriesActivity> = activity.iter().collect();
    // What moved last stands first.
    sorted.sort_by_key(|series| std::cmp::Reverse(last_day(series)));
    let shown = if is_all { sorted.len() } else { MAX_SERIES };
    let mut table = Table::new(&[Align::Left; 5]).cutting(0).sparing(&[2, 4, 1]);
    for series in sorted.iter().take(shown) {
        table.row([
            text::name(&series.key),
            kind_word(series.kind).replace('_', " "),
            recorded(Some(series), now),
            last(Some(series), now),
            text::plural(series.active_days, "day", "days"),
        ]);
    }
    output.text(format_args!("\nseries\n{}", table.render("  ", output.look())));
    if let Some(more) = sorted.len().checked_sub(shown).filter(|more| *more > 0) {
        output.line(format_args!("  and {more} more; --all shows them"));
    }
}

fn print_names(title: &str, names: &[String], is_all: bool, output: &mut Output<'_>) {
    if names.is_empty() {
        return;
    }
    output.line(format_args!("\n{title}"));
    let shown = if is_all { names.len() } else { MAX_NAMES };
    for name in names.iter().take(shown) {
        output.line(format_args!("  {}", text::safe(name)));
    }
    if let Some(more) = names.len().checked_sub(shown).filter(|more| *more > 0) {
        output.line(format_args!("  and {more} more; --all shows them"));
    }
}

fn print_definitions(condition: &Condition, is_all: bool, output: &mut Output<'_>) {
    let Some(definitions) = &condition.definitions else {
        return output.line("\ndefinitions\n  the store keeps none");
    };
    output.line(format_args!(
        "\ndefinitions\n  the store keeps {} and {}",
        text::plural(definitions.events().len() as u64, "event", "events"),
        text::plural(definitions.metrics().len() as u64, "metric", "metrics")
    ));
    let Some(changes) = &condition.changes else { return };
    let Changes { added, changed, gone } = changes;
    if added.is_empty() && changed.is_empty() && gone.is_empty() {
        return output.line("  those given are the same");
    }
    print_names("given, and new to the store", added, is_all, output);
    print_names("given, and changed since the store last saw them", changed, is_all, output);
    print_names("kept by the store, and no longer given", gone, is_all, output);
}
