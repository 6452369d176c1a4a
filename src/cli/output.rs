//! The way out: data to stdout, notes and errors to stderr, and the exit code.

use std::fmt::Display;
use std::io::{BufWriter, ErrorKind as IoErrorKind, Write};
use std::process::ExitCode;

use serde::Serialize;

use crate::{Error, ErrorKind};

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
}

impl Failure {
    pub(super) fn new(kind: &'static str, exit: Exit, message: impl Into<String>) -> Self {
        Self { kind, exit, message: message.into() }
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(word(ErrorKind::Usage), Exit::Usage, message)
    }

    pub(super) fn exit(&self) -> Exit {
        self.exit
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
            _ => Exit::Failed,
        };
        Self::new(word(error.kind()), exit, error.to_string())
    }
}

/// The kind of an error as one word.
pub(super) fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Usage => "usage",
        ErrorKind::UnknownEvent => "unknown_event",
        ErrorKind::UnknownMetric => "unknown_metric",
        ErrorKind::NotRecorded => "not_recorded",
        ErrorKind::NoSource => "no_source",
        ErrorKind::NotKept => "not_kept",
        ErrorKind::Definitions => "definitions",
        ErrorKind::StoreMissing => "store_missing",
        ErrorKind::StoreBusy => "store_busy",
        ErrorKind::StoreDamaged => "store_damaged",
        ErrorKind::StoreNewer => "store_newer",
        ErrorKind::ReadOnly => "read_only",
        ErrorKind::StoreFull => "store_full",
        ErrorKind::Sketch => "sketch",
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
    data: BufWriter<Box<dyn Write + 'a>>,
    notes: Box<dyn Write + 'a>,
    broken: Option<std::io::Error>,
    exit: Exit,
}

impl<'a> Output<'a> {
    pub(super) fn new(form: Form, data: impl Write + 'a, notes: impl Write + 'a) -> Self {
        Self {
            form,
            data: BufWriter::new(Box::new(data)),
            notes: Box::new(notes),
            broken: None,
            exit: Exit::Done,
        }
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

    /// The document for stdout.
    pub(super) fn document(&mut self, document: &impl Serialize) {
        match serde_json::to_string(document) {
            Ok(json) => self.line(json),
            Err(error) => self.fail(Failure::new("internal", Exit::Failed, format!("no JSON: {error}"))),
        }
    }

    /// A line for stderr that people may want to know; a JSON document says the same in its own way.
    pub(super) fn note(&mut self, note: impl Display) {
        if self.form == Form::Text {
            self.say(format_args!("{note}\n"));
        }
    }

    /// Reports a failure; a command may go on after it.
    pub(super) fn fail(&mut self, failure: Failure) {
        self.exit = self.exit.max(failure.exit);
        let Failure { kind, message, .. } = failure;
        match self.form {
            Form::Json => {
                let message = message.trim_end();
                let error = serde_json::json!({ "error": { "kind": kind, "message": message } });
                self.say(format_args!("{error}\n"));
            }
            // What the parser of the command line says has this form already.
            Form::Text if message.contains("\nUsage: ") => self.say(message),
            Form::Text => self.say(format_args!("error: {}\n", message.trim_end())),
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
        if self.broken.is_none() {
            self.broken = self.data.flush().err();
        }
        if let Some(error) = self.broken.take()
            && error.kind() != IoErrorKind::BrokenPipe
        {
            // The buffer still holds what could not be written; its last attempt is of no interest.
            let message = format!("writing to stdout failed: {error}");
            self.broken = Some(error);
            self.fail(Failure::new("io", Exit::Failed, message));
        }
        ExitCode::from(self.exit as u8)
    }
}
