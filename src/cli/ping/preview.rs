//! `headcount ping preview`.

use serde::Serialize;
use serde_json::Value as Json;

use super::metrics::{
    ChangeDocument, MetricDocument, changes, difference, documents, embedded, milliseconds, note_missing,
};
use crate::cli::Context;
use crate::cli::answer::instant;
use crate::cli::args::PingPreviewArgs;
use crate::cli::output::{Failure, Form, Output};
use crate::cli::progress::Asking;
use crate::cli::text;
use crate::{Timestamp, ping_difference};

#[derive(Serialize)]
struct Document<'a> {
    #[serde(serialize_with = "instant")]
    recorded_at: Timestamp,
    partial: bool,
    document: Json,
    /// What events count, together.
    events_ms: Option<f64>,
    metrics: Vec<MetricDocument<'a>>,
    /// What differs from the last one that is kept.
    since_last: Option<Since<'a>>,
}

#[derive(Serialize)]
struct Since<'a> {
    week: String,
    changes: Vec<ChangeDocument<'a>>,
}

pub(super) fn run(args: &PingPreviewArgs, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let ping = super::asking(context, &args.sources)?;
    let progress = Asking::new(output.form());
    let mut told = |done: usize, all: usize, key_path: &str| progress.tell(done, all, key_path);
    let report = match args.as_of {
        Some(as_of) => ping.build_as_of(as_of, &mut told)?,
        None => ping.build_telling(&mut told)?,
    };
    drop(progress);
    let last = ping.last_kept(None)?;
    let since_last = match &last {
        Some(last) => Some((last.week.to_string(), ping_difference(&last.document, &report.document)?)),
        None => None,
    };
    match output.form() {
        Form::Json => output.document(&Document {
            recorded_at: report.recorded_at,
            partial: report.is_partial,
            document: embedded(&report.document)?,
            events_ms: report.events_duration.map(milliseconds),
            metrics: documents(&report.metrics),
            since_last: since_last
                .as_ref()
                .map(|(week, all)| Since { week: week.clone(), changes: changes(all) }),
        }),
        Form::Text => {
            match &since_last {
                Some((week, all)) if args.diff => {
                    output.line(format_args!("what differs from the ping of {week}:"));
                    output.table(&difference(all), "");
                }
                None if args.diff => {
                    output.line("no ping is kept yet, so there is nothing to compare with");
                }
                _ => output.text(&report.document),
            }
            note_missing(&report.metrics, context.moment(args.as_of), output);
            if let (Some((week, all)), false) = (since_last, args.diff) {
                let differ = text::plural(all.len() as u64, "value differs", "values differ");
                output.note(format_args!("{differ} from the ping of {week}; --diff shows them"));
            }
        }
    }
    Ok(())
}
