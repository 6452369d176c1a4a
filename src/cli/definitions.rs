//! `headcount definitions check`.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

use super::args::CheckArgs;
use super::output::{Exit, Failure, Form, Output, word};
use super::{Context, problems, text};
use crate::{Checked, Definitions, ErrorKind, Problem, Severity};

#[derive(Serialize)]
struct Document<'a> {
    problems: Vec<ProblemDocument<'a>>,
    errors: u64,
    warnings: u64,
    files: u64,
    /// How many are defined; unknown as long as there are errors.
    events: Option<u64>,
    metrics: Option<u64>,
}

#[derive(Serialize)]
struct ProblemDocument<'a> {
    severity: &'static str,
    file: &'a str,
    /// Both are null for a problem of the whole file.
    line: Option<u32>,
    column: Option<u32>,
    message: &'a str,
}

pub(super) fn check(args: &CheckArgs, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let path = args.folder.as_deref().or(context.folder.as_deref());
    let path = path.ok_or_else(|| nothing_named(context))?;
    let checked = if args.strict { Definitions::check_strict(path) } else { Definitions::check(path) }?;
    let errors = number_of(&checked, Severity::Error);
    let warnings = number_of(&checked, Severity::Warning);
    let events = checked.definitions().map(|sound| sound.events().len() as u64);
    let metrics = checked.definitions().map(|sound| sound.metrics().len() as u64);
    let fails = errors > 0 || args.strict && warnings > 0;
    match output.form() {
        Form::Json => output.document(&Document {
            problems: checked.problems().iter().map(problem_document).collect(),
            errors,
            warnings,
            files: checked.files() as u64,
            events,
            metrics,
        }),
        Form::Text => {
            output.text(problems::render(checked.problems(), output.look()));
            if !checked.problems().is_empty() {
                output.line("");
            }
            if let (false, Some(events), Some(metrics)) = (fails, events, metrics) {
                let defined =
                    [text::plural(events, "event", "events"), text::plural(metrics, "metric", "metrics")];
                output.line(format_args!("{}: {}", defined.join(" and "), found(&checked)));
            }
        }
    }
    if fails {
        return Err(refused(path, &checked));
    }
    Ok(())
}

fn nothing_named(context: &Context) -> Failure {
    Failure::usage(format!(
        "name the folder to check, as in `{} definitions check config`; --definitions and {} name it too",
        context.program, context.definitions_variable
    ))
}

fn refused(path: &Path, checked: &Checked) -> Failure {
    let strictly = if checked.definitions().is_some() { ", which --strict lets fail" } else { "" };
    let message = format!("{}: {}{strictly}", path.display(), found(checked));
    Failure::new(word(ErrorKind::Definitions), Exit::Definitions, message)
}

fn number_of(checked: &Checked, severity: Severity) -> u64 {
    checked.problems().iter().filter(|problem| problem.severity == severity).count() as u64
}

/// How much was found, and in how many files.
fn found(checked: &Checked) -> String {
    let files = text::plural(checked.files() as u64, "file", "files");
    let counts = [
        (number_of(checked, Severity::Error), "error", "errors"),
        (number_of(checked, Severity::Warning), "warning", "warnings"),
    ];
    let counts = counts.iter().filter(|(number, ..)| *number > 0);
    let counts: Vec<String> = counts.map(|(number, one, many)| text::plural(*number, one, many)).collect();
    if counts.is_empty() {
        return format!("no problems in {files}");
    }
    let with_problems: BTreeSet<&str> = checked.problems().iter().map(|problem| &*problem.file).collect();
    format!("{} in {} of {files}", counts.join(" and "), text::count(with_problems.len() as u64))
}

fn problem_document(problem: &Problem) -> ProblemDocument<'_> {
    let place = (problem.line > 0).then_some((problem.line, problem.column));
    ProblemDocument {
        severity: match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        file: &problem.file,
        line: place.map(|(line, _)| line),
        column: place.map(|(_, column)| column),
        message: &problem.message,
    }
}
