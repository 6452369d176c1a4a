//! `headcount ping`.

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::Context;
use super::answer::{Figures, instant};
use super::args::PingPreviewArgs;
use super::output::{Exit, Failure, Form, Output, word};
use super::table::{Align, Table};
use super::{text, window};
use crate::{Evaluate, MetricValue, Timestamp};

#[derive(Serialize)]
struct Document<'a> {
    #[serde(serialize_with = "instant")]
    as_of: Timestamp,
    /// Nested by the segments of key paths.
    metrics: &'a Map<String, Json>,
    without_value: &'a [Missing],
    /// The metrics whose window is not over, or was not recorded throughout.
    partial: &'a [Partial],
}

#[derive(Serialize)]
struct Partial {
    key_path: String,
    #[serde(serialize_with = "instant")]
    from: Timestamp,
    #[serde(serialize_with = "instant")]
    to: Timestamp,
    #[serde(serialize_with = "instant")]
    since: Timestamp,
    #[serde(skip)]
    words: String,
}

#[derive(Serialize)]
struct Missing {
    key_path: String,
    reason: &'static str,
    message: String,
}

pub(super) fn preview(
    args: &PingPreviewArgs,
    context: &Context,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let reader = context.reader()?;
    let as_of = args.as_of.unwrap_or_else(|| context.now());
    let mut metrics = Map::new();
    let (mut missing, mut partial) = (Vec::new(), Vec::new());
    let moment = context.moment(args.as_of);
    for MetricValue { key_path, outcome, .. } in reader.metrics(Evaluate::default().as_of(as_of))? {
        let value = match outcome {
            Ok(answer) => {
                if answer.partial {
                    partial.push(Partial {
                        key_path: key_path.clone(),
                        from: answer.window.from(),
                        to: answer.window.to(),
                        since: answer.since,
                        words: window::of_answer(&answer, moment),
                    });
                }
                serde_json::to_value(Figures::of(&answer).value)
            }
            Err(error) => {
                let failure = Failure::from(error);
                missing.push(Missing {
                    key_path,
                    reason: failure.kind(),
                    message: failure.first_line().to_owned(),
                });
                // A metric without a value is an answer; a store that cannot be read is not.
                if failure.exit() > Exit::Failed {
                    output.fail(failure);
                }
                continue;
            }
        };
        let value = value.map_err(|error| Failure::internal(format!("no JSON: {error}")))?;
        if !nest(&mut metrics, &key_path, value) {
            let message =
                "another metric has a value where this one needs an object around its own".to_owned();
            missing.push(Missing { key_path, reason: word(crate::ErrorKind::Definitions), message });
        }
    }
    match output.form() {
        Form::Json => output.document(&Document {
            as_of,
            metrics: &metrics,
            without_value: &missing,
            partial: &partial,
        }),
        Form::Text => {
            output.pretty(&metrics);
            print_partial(&partial, output);
            print_missing(&missing, output);
        }
    }
    Ok(())
}

/// Puts a value where its key path says; `false` if another value is in the way.
fn nest(metrics: &mut Map<String, Json>, key_path: &str, value: Json) -> bool {
    match key_path.split_once('.') {
        None if metrics.contains_key(key_path) => false,
        None => {
            metrics.insert(key_path.to_owned(), value);
            true
        }
        Some((first, rest)) => {
            let below = metrics.entry(first).or_insert_with(|| Json::Object(Map::new()));
            below.as_object_mut().is_some_and(|below| nest(below, rest, value))
        }
    }
}

fn print_partial(partial: &[Partial], output: &mut Output<'_>) {
    if partial.is_empty() {
        return;
    }
    let mut table = Table::new(&[Align::Left, Align::Left]).wrapping(1);
    for Partial { key_path, words, .. } in partial {
        table.row([text::name(key_path), words.clone()]);
    }
    let count = text::plural(partial.len() as u64, "value is", "values are");
    output.note(format_args!(
        "{count} about a part of their time:\n{}",
        table.render("  ", output.look_of_notes()).trim_end()
    ));
}

fn print_missing(missing: &[Missing], output: &mut Output<'_>) {
    if missing.is_empty() {
        return;
    }
    let mut table = Table::new(&[Align::Left, Align::Left]).wrapping(1);
    for Missing { key_path, message, .. } in missing {
        table.row([text::name(key_path), message.clone()]);
    }
    let count = text::plural(missing.len() as u64, "metric has", "metrics have");
    let look = output.look_of_notes();
    output.note(format_args!("{count} no value:\n{}", table.render("  ", look).trim_end()));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn key_paths_nest_and_a_value_is_never_overwritten() {
        let mut metrics = Map::new();
        for (key_path, fits) in
            [("a.b", true), ("a.c.d", true), ("e", true), ("a.b.x", false), ("a", false), ("e", false)]
        {
            assert_eq!(nest(&mut metrics, key_path, json!(key_path)), fits, "{key_path}");
        }
        assert_eq!(Json::Object(metrics), json!({"a": {"b": "a.b", "c": {"d": "a.c.d"}}, "e": "e"}));
    }
}
