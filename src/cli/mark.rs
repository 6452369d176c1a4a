//! `headcount mark`.

use serde::Serialize;

use super::Context;
use super::args::MarkArgs;
use super::compare::MarkDocument;
use super::output::{Failure, Form, Output};
use super::table::{Align, Table};
use super::{text, window};
use crate::{Mark, Upkeep};

#[derive(Serialize)]
struct Document<'a> {
    marks: Vec<MarkDocument<'a>>,
}

pub(super) fn run(args: &MarkArgs, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let Some(name) = &args.name else { return list(context, output) };
    let mut upkeep = Upkeep::open(&context.store)?.with_clock(context.clock.clone());
    let before = upkeep.reader().marks()?.into_iter().find(|mark| mark.name == *name);
    let (mark, done) = match (args.remove, args.at, &before) {
        (true, ..) => (upkeep.remove_mark(name)?, "is forgotten; it was"),
        (false, Some(at), None) => (upkeep.mark_at(name, at)?, "is"),
        (false, Some(at), Some(_)) => (upkeep.mark_at(name, at)?, "is moved to"),
        (false, None, None) => (upkeep.mark(name)?, "is"),
        (false, None, Some(_)) => (upkeep.mark(name)?, "is already"),
    };
    match output.form() {
        Form::Json => output.document(&MarkDocument { name: &mark.name, at: mark.at }),
        Form::Text => {
            let at = window::instant(mark.at, context.moment(None));
            let hint = if done == "is already" { "; --at TIME moves it" } else { "" };
            output.line(format_args!("{} {done} {at}{hint}", text::name(&mark.name)));
        }
    }
    Ok(())
}

fn list(context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let marks = context.bare_reader()?.marks()?;
    match output.form() {
        Form::Json => {
            let document = |mark: &Mark| (mark.name.clone(), mark.at);
            let marks: Vec<_> = marks.iter().map(document).collect();
            let marks = marks.iter().map(|(name, at)| MarkDocument { name, at: *at }).collect();
            output.document(&Document { marks });
        }
        Form::Text if marks.is_empty() => {
            output.line(format_args!("no marks yet; `{} mark NAME` makes one", context.program));
        }
        Form::Text => {
            let mut table = Table::new(&[Align::Left, Align::Left]).cutting(0);
            for mark in &marks {
                table.row([text::name(&mark.name), window::instant(mark.at, context.moment(None))]);
            }
            output.table(&table, "");
        }
    }
    Ok(())
}
