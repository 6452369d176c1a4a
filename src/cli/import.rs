//! `headcount import`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::read::MultiGzDecoder;
use serde::Serialize;

use super::Context;
use super::args::ImportArgs;
use super::interrupt::Interrupt;
use super::output::{Exit, Failure, Form, Output};
use super::progress::Progress;
use super::{refusals, text};
use crate::{BadLine, Clock, Error, ErrorKind, ImportReport, Mode, Store};

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
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    incomplete_last_line: bool,
}

#[derive(Serialize)]
struct BadLineDocument {
    line: u64,
    reason: &'static str,
}

/// An input that is open, with the name under which the store remembers it.
struct Source {
    name: String,
    /// Nothing could recognize what it gives when it came again.
    is_fresh: bool,
    file: File,
    /// The bytes of a regular file.
    total: Option<u64>,
    /// A regular file that goes by its path: the next one at the path may be another, and this one may have had another.
    path: Option<PathBuf>,
}

/// An input that could be opened.
enum Input<'a> {
    /// It gives its bytes only once, and stays open.
    Stream(Source),
    /// It is opened again when its turn comes: a process may not have as many files open as people name.
    File(&'a Path),
}

impl<'a> Input<'a> {
    fn of(path: &'a Path, source: Source) -> Self {
        if source.total.is_some() && path.as_os_str() != STDIN {
            Self::File(path)
        } else {
            Self::Stream(source)
        }
    }

    fn is_fresh(&self) -> bool {
        matches!(self, Self::Stream(source) if source.is_fresh)
    }

    fn source(self, args: &ImportArgs, output: &mut Output<'_>) -> Result<Source, Failure> {
        match self {
            Self::Stream(source) => Ok(source),
            Self::File(path) => open(path, args, output),
        }
    }
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
    let inputs = args
        .files
        .iter()
        .map(|file| open(file, args, output).map(|source| Input::of(file, source)))
        .collect::<Result<Vec<_>, Failure>>()?;
    let is_fresh = inputs.iter().any(Input::is_fresh);
    let store = open_store(context, output)?;
    let interrupt = Interrupt::listen().map_err(|error| Failure::io(format!("no signals: {error}")))?;
    let mut reports = Vec::with_capacity(inputs.len());
    // A file that has changed may take the place of one that was rotated away and comes later: it gets a second chance.
    let mut changed = Vec::new();
    let mut come = Come::default();
    for input in inputs {
        let source = match input.source(args, output) {
            Ok(source) => source,
            Err(failure) => {
                come.fail(failure, output);
                continue;
            }
        };
        match import(&store, source, &interrupt, output) {
            Err((Some(path), failure)) if failure.is(ErrorKind::SourceChanged) => {
                changed.push((path, failure));
            }
            outcome => come.take(outcome, &mut reports, output),
        }
    }
    // In a row of rotated logs each one that is continued under its new name frees the name of the next.
    while !changed.is_empty() {
        let before = changed.len();
        let mut waiting = Vec::new();
        for (path, failure) in changed {
            match again(&store, &path, args, &interrupt, output) {
                Ok(Some(source)) => {
                    let outcome = import(&store, source, &interrupt, output);
                    come.take(outcome, &mut reports, output);
                }
                Ok(None) => waiting.push((path, failure)),
                Err(other) => {
                    come.fail(failure, output);
                    come.fail(other, output);
                }
            }
        }
        if waiting.len() == before {
            waiting.into_iter().for_each(|(_, failure)| come.fail(failure, output));
            break;
        }
        changed = waiting;
    }
    if let Err(error) = store.close() {
        come.fail(error.into(), output);
    }
    come.is_interrupted |= come.has_failed && interrupt.has_come();
    match output.form() {
        Form::Json => output.document(&Document { sources: reports.iter().map(document).collect() }),
        Form::Text => refusals::print(&reports, output),
    }
    if come.is_interrupted {
        return Err(interrupted(is_fresh, come.has_failed));
    }
    let refused = reports.iter().flat_map(|report| report.rejected.values()).sum();
    if args.fail_on_bad && refused > 0 {
        let message = format!("{} refused; the others are counted", text::plural(refused, "line", "lines"));
        return Err(Failure::new("bad_lines", Exit::Failed, message));
    }
    Ok(())
}

/// What has come of the sources so far, besides reports.
#[derive(Default)]
struct Come {
    is_interrupted: bool,
    has_failed: bool,
}

impl Come {
    fn take(&mut self, outcome: Outcome, reports: &mut Vec<ImportReport>, output: &mut Output<'_>) {
        match outcome {
            Ok(report) => {
                self.is_interrupted |= report.as_ref().is_none_or(|report| report.stopped);
                reports.extend(report);
            }
            Err((_, failure)) => self.fail(failure, output),
        }
    }

    fn fail(&mut self, failure: Failure, output: &mut Output<'_>) {
        self.has_failed = true;
        output.fail(failure);
    }
}

/// A file that had changed, if its name is free now.
fn again(
    store: &Store,
    path: &Path,
    args: &ImportArgs,
    interrupt: &Interrupt,
    output: &mut Output<'_>,
) -> Result<Option<Source>, Failure> {
    if interrupt.has_come() {
        return Ok(None);
    }
    let source = open(path, args, output)?;
    Ok((!store.knows_source(&source.name)?).then_some(source))
}

pub(super) fn open_store(context: &Context, output: &mut Output<'_>) -> Result<Store, Failure> {
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

/// What Ctrl-C has left. A failure that came besides is the worse of the two, and gives the exit code.
fn interrupted(is_fresh: bool, has_failed: bool) -> Failure {
    if has_failed {
        let message = "interrupted; but for what the other errors say, the lines read until then are counted";
        return Failure::new("interrupted", Exit::Failed, message);
    }
    let message = if is_fresh {
        "interrupted; the lines read until then are counted, and what comes through a pipe without --source cannot be continued: \
         what comes again counts again"
    } else {
        "interrupted; the lines read until then are counted, and the same command continues behind them"
    };
    Failure::new("interrupted", Exit::Interrupted, message)
}

/// A report, or none where a signal came before the first line; a failure comes with the path of the file, if it is one.
type Outcome = Result<Option<ImportReport>, (Option<PathBuf>, Failure)>;

/// Imports one source, unless a signal has come.
fn import(store: &Store, source: Source, interrupt: &Interrupt, output: &mut Output<'_>) -> Outcome {
    if interrupt.has_come() {
        return Ok(None);
    }
    let Source { name, is_fresh, file, total, path } = source;
    if let Some(path) = &path {
        match follow(store, &name, path, interrupt, output) {
            Err(_) if interrupt.has_called_off() => return Ok(None),
            outcome => outcome.map_err(|failure| (None, failure))?,
        }
    }
    let progress = Progress::of(&name, total, output.form());
    let input = match interrupt.watch(file).and_then(|file| plain(progress.bytes(file))) {
        Err(_) if interrupt.has_called_off() => return Ok(None),
        outcome => outcome.map_err(|error| (None, unreadable(Path::new(&name), &error)))?,
    };
    // Behind the first bytes a signal is no error: the report says that the import was stopped.
    let (lines, stop) = (progress.lines(input), interrupt.flag());
    let report = match is_fresh {
        true => store.import_fresh(&name, lines, stop),
        false => store.import_until(&name, lines, stop),
    };
    report.map(Some).map_err(|error| (path, error.into()))
}

/// A file that begins with all that was read of a source under another path continues it: after a rotation in its place, and
/// beside it where the other file is still there.
fn follow(
    store: &Store,
    name: &str,
    path: &Path,
    interrupt: &Interrupt,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    if store.knows_source(name)? {
        return Ok(());
    }
    let open = |path: &Path| File::open(path).and_then(|file| interrupt.watch(file)).and_then(plain);
    let input = open(path).map_err(|error| unreadable(path, &error))?;
    let found = store.find_source(input).map_err(|error| match error.kind() {
        ErrorKind::Io => Failure::io(format!("{}: {error}; nothing of it was counted", path.display())),
        _ => error.into(),
    });
    let Some(known_as) = found? else { return Ok(()) };
    let is_there = open(Path::new(&known_as))
        .is_ok_and(|input| store.find_source(input).is_ok_and(|found| found.as_ref() == Some(&known_as)));
    if interrupt.has_called_off() {
        // It is not known whether it is there.
        return Err(Failure::io("interrupted"));
    }
    if is_there {
        store.copy_source(&known_as, name)?;
    } else {
        store.rename_source(&known_as, name)?;
    }
    output.note(format_args!("{name} begins with what was read of {known_as}; continuing there"));
    Ok(())
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::io(format!("{}: {}", path.display(), text::io(error)))
}

fn open(path: &Path, args: &ImportArgs, output: &mut Output<'_>) -> Result<Source, Failure> {
    let unreadable = |error: std::io::Error| unreadable(path, &error);
    let is_fresh = args.source.is_none();
    if path.as_os_str() == STDIN {
        let name = args.source.clone().unwrap_or_else(|| fresh_name("stdin", output));
        // The standard library's has a buffer, which could not be waited for.
        let file = std::io::stdin().as_fd().try_clone_to_owned().map_err(unreadable)?.into();
        return Ok(Source { name, is_fresh, file, total: None, path: None });
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
    let is_fresh = is_fresh && !kind.is_file();
    Ok(Source { name, is_fresh, file, total: kind.is_file().then_some(kind.len()), path })
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
fn plain<'a>(mut input: impl Read + 'a) -> std::io::Result<Box<dyn Read + 'a>> {
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
        incomplete_last_line: report.is_cut,
    }
}

/// Imports what the program itself carries.
pub(super) fn bundled(store: &Store, name: &str, gzip: &'static [u8]) -> Result<ImportReport, Error> {
    store.import(name, MultiGzDecoder::new(gzip))
}
