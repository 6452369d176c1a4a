//! `headcount ping questions`.

use serde::Serialize;

use crate::Question;
use crate::cli::output::{Failure, Form, Output};
use crate::cli::table::{Align, Table};
use crate::cli::{Context, text, window};

#[derive(Serialize)]
struct Document {
    /// On which the answers serve.
    day: String,
    questions: Vec<Question>,
}

pub(super) fn run(context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let questions = super::reading(context)?.questions()?;
    match output.form() {
        Form::Json => {
            let day = context.now().to_string().chars().take("2026-11-23".len()).collect();
            output.document(&Document { day, questions });
        }
        Form::Text if questions.is_empty() => output.line("no metric asks a database"),
        Form::Text => {
            let mut table =
                Table::new(&[Align::Left, Align::Left, Align::Left, Align::Left]).with_head().cutting(0);
            table.row(["metric", "what", "of", "when"]);
            for Question { key_path, metric, range, .. } in &questions {
                let what = match metric.column() {
                    Some(column) => format!("{} of {column}", metric.operation().as_str()),
                    None => metric.operation().as_str().to_owned(),
                };
                let when = range.map_or_else(String::new, |range| window::range(range, context.moment(None)));
                table.row([text::name(key_path), what, metric.relation().to_owned(), when]);
            }
            output.table(&table, "");
        }
    }
    Ok(())
}
