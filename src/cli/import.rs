//! `headcount import`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::read::MultiGzDecoder;
use serde::Serialize;

use super::Context;
use super::args::ImportArgs;
use super::look::Look;
use super::output::{Exit, Failure, Form, Output};
use super::progress::Progress;
use super::table::{Align, Table};
use super::text;
use crate::{BadLine, Clock, Error, ErrorKind, ImportReport, Mode, Store, TrackError};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const STDIN: &str = "-";

#[derive(Serialize)]
struct Document<'a> {
    sources: Vec<SourceDocument<'a>>,
}

#[derive(Serialize)]
struct SourceDocument<'a> {
    name: &'a str,
    lines: u64,
    accepted: u64,
    already_read: u64,
    rejected: &'a BTreeMap<&'static str, u64>,
    first_bad: Vec<BadLineDocument>,
}

#[derive(Serialize)]
struct BadLineDocument {
    line: u64,
    reason: &'static str,
}

/// An input that is open, with the name under which the store remembers it.
struct Source {
    name: String,
    input: Box<dyn Read>,
    /// A regular file that goes by its path: the next one at the path may be another, and this one may have had another.
    path: Option<PathBuf>,
}

pub(super) fn run(args: &ImportArgs, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    if args.source.is_some() && args.files.len() > 1 {
        return Err(Failure::usage(
            "--source names one source; import several files without it, or one at a time",
        ));
    }
    if args.files.iter().filter(|file| file.as_os_str() == STDIN).count() > 1 {
        return Err(Failure::usage("standard input can be read only once; write `-` once"));
    }
    // Nothing is made or counted before all that is named can be opened.
    let sources =
        args.files.iter().map(|file| open(file, args, output)).collect::<Result<Vec<_>, Failure>>()?;
    let store = open_store(context, output)?;
    let mut reports = Vec::with_capacity(sources.len());
    // A file that has changed may take the place of one that was rotated away and comes later: it gets a second chance.
    let mut changed = Vec::new();
    for source in sources {
        match import(&store, source, output) {
            Ok(report) => reports.push(report),
            Err((Some(path), failure)) if failure.is(ErrorKind::SourceChanged) => {
                changed.push((path, failure));
            }
            Err((_, failure)) => output.fail(failure),
        }
    }
    for (path, failure) in changed {
        let again = open(&path, args, output)?;
        if store.knows_source(&again.name)? {
            output.fail(failure);
            continue;
        }
        match import(&store, again, output) {
            Ok(report) => reports.push(report),
            Err((_, failure)) => output.fail(failure),
        }
    }
    store.close()?;
    match output.form() {
        Form::Json => output.document(&Document { sources: reports.iter().map(document).collect() }),
        Form::Text => print(&reports, output),
    }
    let refused = reports.iter().flat_map(|report| report.rejected.values()).sum();
    if args.fail_on_bad && refused > 0 {
        let message = format!("{} refused; the others are counted", text::plural(refused, "line", "lines"));
        return Err(Failure::new("bad_lines", Exit::Failed, message));
    }
    Ok(())
}

fn open_store(context: &Context, output: &mut Output<'_>) -> Result<Store, Failure> {
    let mut builder =
        Store::builder(&context.store).mode(Mode::Inline).for_imports().clock(context.clock.clone());
    let definitions = context.definitions()?;
    let has_definitions = definitions.is_some();
    if let Some(definitions) = definitions {
        if let (warnings @ 1.., Some(folder)) = (definitions.warnings().len(), &context.folder) {
            output.note(format_args!(
                "{} in the definitions; `{} definitions check {}` shows them",
                text::plural(warnings as u64, "warning", "warnings"),
                context.program,
                folder.display()
            ));
        }
        builder = builder.definitions(definitions);
    }
    builder.open().map_err(|error| {
        let is_without = error.kind() == ErrorKind::Definitions && !has_definitions;
        let failure = Failure::from(error);
        if is_without { failure.advise(" (--definitions DIR)") } else { failure }
    })
}

/// Imports one source; a failure comes with the path of the file, if it is one.
fn import(
    store: &Store,
    source: Source,
    output: &mut Output<'_>,
) -> Result<ImportReport, (Option<PathBuf>, Failure)> {
    let Source { name, input, path } = source;
    if let Some(path) = &path {
        follow(store, &name, path, output).map_err(|failure| (None, failure))?;
    }
    let input = Progress::of(input, &name, output.form());
    store.import(&name, input).map_err(|error| (path, error.into()))
}

/// A file that begins with all that was read of a source under another path continues it: after a rotation in its place, and
/// beside it where the other file is still there.
fn follow(store: &Store, name: &str, path: &Path, output: &mut Output<'_>) -> Result<(), Failure> {
    if store.knows_source(name)? {
        return Ok(());
    }
    let input = File::open(path).and_then(plain).map_err(|error| unreadable(path, &error))?;
    let Some(known_as) = store.find_source(input)? else { return Ok(()) };
    let is_there = File::open(&known_as)
        .and_then(plain)
        .is_ok_and(|input| store.find_source(input).is_ok_and(|found| found.is_some()));
    if is_there {
        store.copy_source(&known_as, name)?;
    } else {
        store.rename_source(&known_as, name)?;
    }
    output.note(format_args!("{name} begins with what was read of {known_as}; continuing there"));
    Ok(())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::io(format!("{}: the file cannot be read: {error}", path.display()))
}

fn open(path: &Path, args: &ImportArgs, output: &mut Output<'_>) -> Result<Source, Failure> {
    let unreadable = |error: std::io::Error| unreadable(path, &error);
    if path.as_os_str() == STDIN {
        let name = args.source.clone().unwrap_or_else(|| fresh_name("stdin", output));
        return Ok(Source { name, input: plain(std::io::stdin()).map_err(unreadable)?, path: None });
    }
    let file = File::open(path).map_err(unreadable)?;
    let kind = file.metadata().map_err(unreadable)?;
    if kind.is_dir() {
        return Err(unreadable(std::io::ErrorKind::IsADirectory.into()));
    }
    let name = match &args.source {
        Some(name) => name.clone(),
        None if kind.is_file() => {
            let real = path.canonicalize().map_err(unreadable)?;
            real.into_os_string().into_string().map_err(|path| {
                let path = path.display();
                Failure::usage(format!("{path}: the path is not UTF-8; name the source with --source NAME"))
            })?
        }
        // What a pipe holds has no name that could come again.
        None => fresh_name("pipe", output),
    };
    let path = (args.source.is_none() && kind.is_file()).then(|| path.to_owned());
    Ok(Source { name, input: plain(file).map_err(unreadable)?, path })
}

/// A name that no source has had: what comes under it always counts.
fn fresh_name(what: &str, output: &mut Output<'_>) -> String {
    output.note(format_args!(
        "{what} without --source NAME: nothing to recognize it by, so all its lines count, also if they came before"
    ));
    let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
    format!("{what}-{}-{nanoseconds:09}-{}", Clock::system().now(), std::process::id())
}

/// The input itself, or what it is the gzip of.
fn plain(mut input: impl Read + 'static) -> std::io::Result<Box<dyn Read>> {
    let mut head = Vec::with_capacity(GZIP_MAGIC.len());
    Read::take(&mut input, GZIP_MAGIC.len() as u64).read_to_end(&mut head)?;
    let is_gzip = head == GZIP_MAGIC;
    let whole = Cursor::new(head).chain(input);
    Ok(if is_gzip { Box::new(MultiGzDecoder::new(whole)) } else { Box::new(whole) })
}

fn document(report: &ImportReport) -> SourceDocument<'_> {
    let bad = |bad: &BadLine| BadLineDocument { line: bad.line, reason: bad.reason };
    SourceDocument {
        name: &report.name,
        lines: report.lines,
        accepted: report.accepted,
        already_read: report.already_read,
        rejected: &report.rejected,
        first_bad: report.first_bad.iter().map(bad).collect(),
    }
}

fn print(reports: &[ImportReport], output: &mut Output<'_>) {
    if reports.is_empty() {
        return;
    }
    let right = Align::Right;
    let mut table = Table::new(&[right, right, right, right, Align::Left]).with_head();
    table.row(["NEW LINES", "COUNTED", "REFUSED", "READ BEFORE", "SOURCE"]);
    for report in reports {
        table.row([
            text::count(report.lines),
            text::count(report.accepted),
            text::count(report.rejected.values().sum()),
            text::count(report.already_read),
            report.name.clone(),
        ]);
    }
    output.table(&table, "");
    for report in reports.iter().filter(|report| !report.rejected.is_empty()) {
        output.note(refusals(report));
    }
}

/// Why lines of a source were refused, and which ones first.
fn refusals(report: &ImportReport) -> String {
    let mut table = Table::new(&[Align::Right, Align::Left, Align::Left]);
    for (reason, count) in &report.rejected {
        let of_reason = report.first_bad.iter().filter(|bad| bad.reason == *reason);
        let numbers: Vec<String> = of_reason.map(|bad| bad.line.to_string()).collect();
        let lines = match numbers.as_slice() {
            [] => String::new(),
            [one] => format!("(line {one})"),
            several => format!("(lines {})", several.join(", ")),
        };
        table.row([text::count(*count), (*reason).to_owned(), format!("{} {lines}", explain(reason))]);
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
        "not_json" => "not one JSON object",
        "no_event" => "no `event`, or not a text",
        "bad_time" => "`time` is RFC 3339 with an offset, or a number of seconds or milliseconds",
        "bad_id" => "an identifier is a text or an integer",
        "duplicate_key" => "a key stands twice",
        "line_too_long" => "longer than 256 KiB",
        "incomplete_last_line" => "the last line is cut; it is read when it is whole",
        _ => "",
    }
}

/// Imports what the program itself carries.
pub(super) fn bundled(store: &Store, name: &str, gzip: &'static [u8]) -> Result<ImportReport, Error> {
    store.import(name, MultiGzDecoder::new(gzip))
}
