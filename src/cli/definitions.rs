//! `headcount definitions check`.

use serde::Serialize;

use super::args::CheckArgs;
use super::output::{Exit, Failure, Form, Output, word};
use super::text;
use crate::{Definitions, ErrorKind, Problem, Severity};

#[derive(Serialize)]
struct Document<'a> {
    problems: Vec<ProblemDocument<'a>>,
    errors: u64,
    warnings: u64,
    /// How many are defined; unknown as long as there are errors.
    events: Option<u64>,
    metrics: Option<u64>,
}

#[derive(Serialize)]
struct ProblemDocument<'a> {
    severity: &'static str,
    file: &'a str,
    line: u32,
    column: u32,
    message: &'a str,
}

pub(super) fn check(args: &CheckArgs, output: &mut Output<'_>) -> Result<(), Failure> {
    let checked = Definitions::check(&args.folder)?;
    let problems = checked.problems();
    let of = |severity| problems.iter().filter(|problem| problem.severity == severity).count() as u64;
    let (errors, warnings) = (of(Severity::Error), of(Severity::Warning));
    let events = checked.definitions().map(|sound| sound.events().len() as u64);
    let metrics = checked.definitions().map(|sound| sound.metrics().len() as u64);
    let found = format!(
        "{}, {}",
        text::plural(errors, "error", "errors"),
        text::plural(warnings, "warning", "warnings")
    );
    match output.form() {
        Form::Json => output.document(&Document {
            problems: problems.iter().map(problem_document).collect(),
            errors,
            warnings,
            events,
            metrics,
        }),
        Form::Text => {
            for problem in problems {
                output.line(problem);
            }
            if let (Some(events), Some(metrics)) = (events, metrics) {
                output.line(format_args!(
                    "{} and {}: {found}",
                    text::plural(events, "event", "events"),
                    text::plural(metrics, "metric", "metrics")
                ));
            }
        }
    }
    if errors > 0 || args.strict && warnings > 0 {
        let message = format!("{}: {found}", args.folder.display());
        return Err(Failure::new(word(ErrorKind::Definitions), Exit::Definitions, message));
    }
    Ok(())
}

fn problem_document(problem: &Problem) -> ProblemDocument<'_> {
    ProblemDocument {
        severity: match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        file: &problem.file,
        line: problem.line,
        column: problem.column,
        message: &problem.message,
    }
}
