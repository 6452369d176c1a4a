//! `headcount ping history`, `show`, `diff` and `forget`.

use serde::Serialize;
use serde_json::Value as Json;

use super::make::KeptDocument;
use super::metrics::{
    ChangeDocument, MetricDocument, changes, difference, documents, embedded, milliseconds, table,
};
use crate::cli::args::{PingDiffArgs, PingForgetArgs, PingShowArgs};
use crate::cli::output::{Failure, Form, Output};
use crate::cli::table::{Align, Table};
use crate::cli::{Context, text, window};
use crate::{Delivery, DeliveryOutcome, ping_difference};

/// So much of a digest tells documents apart.
const DIGEST_SHOWN: usize = 12;

#[derive(Serialize)]
struct History {
    pings: Vec<KeptDocument>,
}

/// How it stood before.
#[derive(Serialize)]
struct Forgotten {
    week: String,
    bytes: u64,
    sha256: String,
    outcome: &'static str,
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    kept: KeptDocument,
    document: Json,
    /// What events count, together.
    events_ms: Option<f64>,
    metrics: Vec<MetricDocument<'a>>,
    response: Option<&'a str>,
}

#[derive(Serialize)]
struct Difference<'a> {
    before: String,
    after: String,
    changes: Vec<ChangeDocument<'a>>,
}

pub(super) fn history(context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let ping = super::reading(context)?;
    let weeks = ping.weeks()?;
    match output.form() {
        Form::Json => {
            let mut pings = Vec::with_capacity(weeks.len());
            // One document after the other.
            for kept in &weeks {
                pings.push(match ping.kept(kept.week)? {
                    Some(ping) => KeptDocument::of(&ping)?,
                    None => KeptDocument::forgotten(kept),
                });
            }
            output.document(&History { pings });
        }
        Form::Text if weeks.is_empty() => {
            output.line(format_args!("no pings yet; `{} ping generate` makes one", context.program));
        }
        Form::Text => {
            let aligns = [Align::Left, Align::Left, Align::Right, Align::Left, Align::Left];
            let mut table = Table::new(&aligns).with_head().sparing(&[4, 1]);
            table.row(["week", "made", "bytes", "what became of it", "sha256"]);
            for kept in &weeks {
                table.row([
                    kept.week.to_string(),
                    window::instant(kept.recorded_at, context.moment(None)),
                    text::count(kept.bytes),
                    fate(&kept.delivery, kept.is_partial, context),
                    match kept.delivery.outcome {
                        DeliveryOutcome::Forgotten => String::new(),
                        _ => kept.digest.to_string().chars().take(DIGEST_SHOWN).collect(),
                    },
                ]);
            }
            output.table(&table, "");
        }
    }
    Ok(())
}

/// What became of a document, in words.
pub(super) fn fate(delivery: &Delivery, is_partial: bool, context: &Context) -> String {
    let time = |at: Option<_>| at.map(|at| window::instant(at, context.moment(None))).unwrap_or_default();
    let status = delivery.status.map(|status| format!(", HTTP {status}")).unwrap_or_default();
    let fate = match delivery.outcome {
        DeliveryOutcome::Kept => "kept here".to_owned(),
        DeliveryOutcome::Sent => format!("sent {}", time(delivery.tried_at)),
        DeliveryOutcome::Waiting => {
            let attempts = text::plural(delivery.attempts.into(), "attempt", "attempts");
            format!("not sent after {attempts}{status}; again {}", time(delivery.next_at))
        }
        DeliveryOutcome::Carried => format!("carried out {}", time(delivery.tried_at)),
        DeliveryOutcome::Forgotten => format!("forgotten {}", time(delivery.tried_at)),
        DeliveryOutcome::Refused => format!("refused {}{status}", time(delivery.tried_at)),
    };
    if is_partial { format!("{fate}; partial") } else { fate }
}

pub(super) fn show(args: &PingShowArgs, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let ping = super::kept_of(&super::reading(context)?, args.week, context)?;
    let metrics = ping.metrics()?;
    match output.form() {
        Form::Json => output.document(&Shown {
            kept: KeptDocument::of(&ping)?,
            document: embedded(&ping.document)?,
            events_ms: ping.events_duration()?.map(milliseconds),
            metrics: documents(&metrics),
            response: ping.delivery.response.as_deref(),
        }),
        Form::Text if args.metrics => {
            let moment = context.moment(Some(ping.recorded_at));
            output.table(&table(&metrics, ping.events_duration()?, moment), "");
        }
        Form::Text => {
            output.text(&ping.document);
            output.note(format_args!("{}: {}", ping.week, fate(&ping.delivery, ping.is_partial, context)));
        }
    }
    Ok(())
}

pub(super) fn forget(
    args: &PingForgetArgs,
    context: &Context,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let stood = super::keeping(context)?.forget(args.week)?;
    let fate = fate(&stood.delivery, stood.is_partial, context);
    match output.form() {
        Form::Json => output.document(&Forgotten {
            week: stood.week.to_string(),
            bytes: stood.bytes,
            sha256: stood.digest.to_string(),
            outcome: stood.delivery.outcome.as_str(),
        }),
        Form::Text => output.line(format_args!(
            "the ping of {} is forgotten: {} bytes, {fate}; its week gets no other",
            stood.week,
            text::count(stood.bytes)
        )),
    }
    Ok(())
}

pub(super) fn diff(args: &PingDiffArgs, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let ping = super::reading(context)?;
    let after = super::kept_of(&ping, args.after, context)?;
    let before = match args.before {
        Some(week) => super::kept_of(&ping, Some(week), context)?,
        None => ping.last_kept(Some(after.week))?.ok_or_else(|| {
            let what = format!("no ping from before {} is kept", after.week);
            Failure::new("not_kept", crate::cli::output::Exit::Failed, what)
        })?,
    };
    let all = ping_difference(&before.document, &after.document)?;
    match output.form() {
        Form::Json => output.document(&Difference {
            before: before.week.to_string(),
            after: after.week.to_string(),
            changes: changes(&all),
        }),
        Form::Text if all.is_empty() => {
            output.line(format_args!("{} and {} say the same", before.week, after.week));
        }
        Form::Text => output.table(&difference(&all), ""),
    }
    Ok(())
}
