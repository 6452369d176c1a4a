//! The way out: data to stdout, notes and errors to stderr, and the exit code.

use std::fmt::Display;
use std::io::{BufWriter, ErrorKind as IoErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use super::look::{Look, Paint};
use super::problems;
use super::table::Table;
use super::text;
use crate::{Error, ErrorKind, Problem};

/// How a program ends; the worst that happened counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(u8)]
pub(super) enum Exit {
    #[default]
    Done = 0,
    Failed = 1,
    Usage = 2,
    Definitions = 3,
    StoreBusy = 4,
    StoreDamaged = 5,
    Refused = 6,
    Unreachable = 7,
    Interrupted = 130,
}

/// In which form a command answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    /// One document on stdout, and nothing but errors on stderr.
    Json,
}

/// Why a command failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// One word, for programs.
    kind: &'static str,
    exit: Exit,
    message: String,
    /// What the message lists behind its first line, for people to see with the lines of the files.
    problems: Vec<Problem>,
}

impl Failure {
    pub(super) fn new(kind: &'static str, exit: Exit, message: impl Into<String>) -> Self {
        Self { kind, exit, message: message.into(), problems: Vec::new() }
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(word(ErrorKind::Usage), Exit::Usage, message)
    }

    /// A file or a stream that cannot be read, made or written.
    pub(super) fn io(message: impl Into<String>) -> Self {
        Self::new(word(ErrorKind::Io), Exit::Failed, message)
    }

    /// What cannot be, but may not be passed over either.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(word(ErrorKind::Internal), Exit::Failed, message)
    }

    pub(super) fn is(&self, kind: ErrorKind) -> bool {
        self.kind == word(kind)
    }

    pub(super) fn exit(&self) -> Exit {
        self.exit
    }

    /// Names the store in front of what is wrong with it, unless the message does.
    pub(super) fn of_store(mut self, store: &Path) -> Self {
        let kinds =
            [ErrorKind::StoreBusy, ErrorKind::StoreDamaged, ErrorKind::StoreFull, ErrorKind::ReadOnly];
        let store = store.display().to_string();
        if kinds.into_iter().any(|kind| self.is(kind)) && !self.message.contains(&store) {
            let path = std::path::absolute(&store).unwrap_or_else(|_| store.into());
            self.message = format!("{}: {}", path.display(), self.message);
        }
        self
    }

    /// Adds to the message what the command line can do about it.
    pub(super) fn advise(mut self, advice: &str) -> Self {
        self.message.push_str(advice);
        self
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match error.kind() {
            ErrorKind::Usage => Exit::Usage,
            ErrorKind::Definitions => Exit::Definitions,
            ErrorKind::StoreBusy => Exit::StoreBusy,
            ErrorKind::StoreDamaged | ErrorKind::StoreNewer => Exit::StoreDamaged,
            ErrorKind::Refused => Exit::Refused,
            ErrorKind::Unreachable => Exit::Unreachable,
            _ => Exit::Failed,
        };
        let problems = error.problems().to_vec();
        Self { problems, ..Self::new(word(error.kind()), exit, error.to_string()) }
    }
}

/// The kind of an error as one word.
pub(super) fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Usage => "usage",
        ErrorKind::UnknownEvent => "unknown_event",
        ErrorKind::UnknownMetric => "unknown_metric",
        ErrorKind::UnknownMark => "unknown_mark",
        ErrorKind::NotRecorded => "not_recorded",
        ErrorKind::NoSource => "no_source",
        ErrorKind::NotKept => "not_kept",
        ErrorKind::Definitions => "definitions",
        ErrorKind::StoreMissing => "store_missing",
        ErrorKind::StoreBusy => "store_busy",
        ErrorKind::StoreDamaged => "store_damaged",
        ErrorKind::StoreNewer => "store_newer",
        ErrorKind::StoreReplaced => "store_replaced",
        ErrorKind::ReadOnly => "read_only",
        ErrorKind::StoreFull => "store_full",
        ErrorKind::Sketch => "sketch",
        ErrorKind::Bundle => "bundle",
        ErrorKind::Refused => "refused",
        ErrorKind::Unreachable => "unreachable",
        ErrorKind::Redis => "redis",
        ErrorKind::SourceChanged => "source_changed",
        ErrorKind::Closed => "closed",
        ErrorKind::Forked => "forked",
        ErrorKind::Deadline => "deadline",
        ErrorKind::Io => "io",
        ErrorKind::Internal => "internal",
    }
}

/// The two streams of a command. Writing never fails at the call: a reader that has gone ends the output quietly, another
/// failure is reported at the end.
pub(super) struct Output<'a> {
    form: Form,
    look: Look,
    look_of_notes: Look,
    data: BufWriter<Box<dyn Write + 'a>>,
    notes: Box<dyn Write + 'a>,
    broken: Option<std::io::Error>,
    exit: Exit,
}

impl<'a> Output<'a> {
    /// Plain text, whatever the streams could show.
    pub(super) fn new(form: Form, data: impl Write + 'a, notes: impl Write + 'a) -> Self {
        Self {
            form,
            look: Look::PLAIN,
            look_of_notes: Look::PLAIN,
            data: BufWriter::new(Box::new(data)),
            notes: Box::new(notes),
            broken: None,
            exit: Exit::Done,
        }
    }

    /// Text that looks as good as the streams of this process can show.
    pub(super) fn looking(mut self) -> Self {
        (self.look, self.look_of_notes) = (Look::of_stdout(), Look::of_stderr());
        self
    }

    /// What stdout can show.
    pub(super) fn look(&self) -> Look {
        self.look
    }

    /// What stderr can show, without colours: notes escape what steers a terminal.
    pub(super) fn look_of_notes(&self) -> Look {
        Look { has_colour: false, ..self.look_of_notes }
    }

    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// Text for stdout, as it is.
    pub(super) fn text(&mut self, text: impl Display) {
        if self.broken.is_none() {
            self.broken = write!(self.data, "{text}").err();
        }
    }

    /// A line for stdout.
    pub(super) fn line(&mut self, line: impl Display) {
        self.text(format_args!("{line}\n"));
    }

    /// A table for stdout.
    pub(super) fn table(&mut self, table: &Table, indent: &str) {
        self.text(table.render(indent, self.look));
    }

    /// The document for stdout.
    pub(super) fn document(&mut self, document: &impl Serialize) {
        self.json(serde_json::to_string(document));
    }

    fn json(&mut self, json: serde_json::Result<String>) {
        match json {
            Ok(json) => self.line(json),
            Err(error) => self.fail(Failure::internal(format!("no JSON: {error}"))),
        }
    }

    /// A line for stderr that people may want to know; a JSON document says the same in its own way.
    pub(super) fn note(&mut self, note: impl Display) {
        if self.form == Form::Text {
            self.say(format_args!("{}\n", text::safe_lines(&note.to_string())));
        }
    }

    /// Reports a failure; a command may go on after it.
    pub(super) fn fail(&mut self, failure: Failure) {
        self.exit = self.exit.max(failure.exit);
        let Failure { kind, message, problems, .. } = failure;
        match self.form {
            Form::Json => {
                let message = message.trim_end();
                let error = serde_json::json!({ "error": { "kind": kind, "message": message } });
                self.say(format_args!("{error}\n"));
            }
            Form::Text => {
                let look = self.look_of_notes;
                let error = look.paint(Paint::Error, "error:");
                if problems.is_empty() {
                    self.say(format_args!("{error} {}\n", text::safe_lines(message.trim_end())));
                } else {
                    let first = text::safe(message.lines().next().unwrap_or_default());
                    let listed = problems::render(&problems, look);
                    self.say(format_args!("{error} {first}\n\n{listed}"));
                }
            }
        }
    }

    /// Shows people how the command line is to be used, after one that makes no sense.
    pub(super) fn teach(&mut self, usage: &clap::builder::StyledStr, fault: String) {
        match self.form {
            Form::Json => self.fail(Failure::usage(fault)),
            Form::Text => {
                self.exit = self.exit.max(Exit::Usage);
                match self.look_of_notes.has_colour {
                    true => self.say(usage.ansi()),
                    false => self.say(usage),
                }
            }
        }
    }

    /// Where nobody hears, nothing is left to say.
    fn say(&mut self, text: impl Display) {
        // What was answered so far stands before what is said about it.
        if self.broken.is_none() {
            self.broken = self.data.flush().err();
        }
        let _ = write!(self.notes, "{text}");
        let _ = self.notes.flush();
    }

    /// Ends the output.
    pub(super) fn finish(mut self) -> ExitCode {
        self.end();
        ExitCode::from(self.exit as u8)
    }

    fn end(&mut self) {
        if self.broken.is_none() {
            self.broken = self.data.flush().err();
        }
        if let Some(error) = self.broken.take()
            && error.kind() != IoErrorKind::BrokenPipe
        {
            // The buffer still holds what could not be written; its last attempt is of no interest.
            let message = format!("writing to stdout failed: {}", text::words(&error));
            self.broken = Some(error);
            self.fail(Failure::io(message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shares what is written with the test.
    struct Sink<'a>(&'a mut Vec<u8>, Option<IoErrorKind>);

    impl Write for Sink<'_> {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            match self.1 {
                Some(kind) => Err(kind.into()),
                None => self.0.write(bytes),
            }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn ended(broken: Option<IoErrorKind>, failures: &[ErrorKind]) -> (Exit, String) {
        let (mut data, mut notes) = (Vec::new(), Vec::new());
        let mut output = Output::new(Form::Text, Sink(&mut data, broken), Sink(&mut notes, None));
        output.line("42");
        for kind in failures {
            output.fail(Error::new(*kind, "so it is").into());
        }
        output.end();
        let exit = output.exit;
        drop(output);
        (exit, String::from_utf8(notes).unwrap())
    }

    #[test]
    fn every_kind_of_error_has_its_exit_code_and_the_worst_counts() {
        for (kinds, exit) in [
            (&[][..], 0),
            (&[ErrorKind::UnknownEvent], 1),
            (&[ErrorKind::StoreMissing], 1),
            (&[ErrorKind::Usage], 2),
            (&[ErrorKind::Definitions], 3),
            (&[ErrorKind::StoreBusy], 4),
            (&[ErrorKind::StoreDamaged], 5),
            (&[ErrorKind::StoreNewer], 5),
            (&[ErrorKind::Refused], 6),
            (&[ErrorKind::Unreachable], 7),
            (&[ErrorKind::StoreBusy, ErrorKind::UnknownMetric], 4),
        ] {
            assert_eq!(ended(None, kinds).0 as u8, exit, "{kinds:?}");
        }
    }

    #[test]
    fn only_a_reader_that_has_gone_is_no_failure() {
        assert_eq!(ended(Some(IoErrorKind::BrokenPipe), &[]), (Exit::Done, String::new()));
        let (exit, notes) = ended(Some(IoErrorKind::StorageFull), &[]);
        assert_eq!(exit, Exit::Failed);
        assert!(notes.starts_with("error: writing to stdout failed: "), "{notes}");
    }
}
