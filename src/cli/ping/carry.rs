//! `headcount ping export` and `verify`.

use serde::Serialize;

use crate::cli::Context;
use crate::cli::answer::instant;
use crate::cli::args::{PingExportArgs, PingVerifyArgs};
use crate::cli::output::{Exit, Failure, Form, Output};
use crate::cli::table::{Align, Table};
use crate::cli::text;
use crate::{Bundle, IsoWeek, PingWeeks, Timestamp};

#[derive(Serialize)]
struct Document {
    file: String,
    bytes: u64,
    sha256: String,
    uuid: String,
    #[serde(serialize_with = "instant")]
    made_at: Timestamp,
    /// How many metrics have what their source said.
    messages: usize,
    pings: Vec<Part>,
}

#[derive(Serialize)]
struct Part {
    week: String,
    bytes: usize,
    sha256: String,
}

pub(super) fn export(
    args: &PingExportArgs,
    context: &Context,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let weeks = match args.weeks.as_slice() {
        [] => PingWeeks::Unsent,
        weeks => PingWeeks::These(weeks.to_vec()),
    };
    let ping = if args.mark_carried { super::keeping(context)? } else { super::reading(context)? };
    let bundle = match args.with_messages {
        true => ping.export_with_messages(&weeks, &args.file)?,
        false => ping.export(&weeks, &args.file)?,
    };
    let carried: Vec<IsoWeek> = bundle.pings.iter().map(|ping| ping.week).collect();
    if args.mark_carried {
        ping.mark_carried(&carried)?;
    }
    tell(&args.file.display().to_string(), &bundle, "written and verified", output);
    if output.form() == Form::Text {
        if !args.with_messages {
            output.line("what a source said in its own words is left out (--with-messages)");
        }
        if args.mark_carried {
            let pings = text::plural(carried.len() as u64, "ping is", "pings are");
            output.line(format_args!("{pings} noted as carried out, and not sent any more"));
        }
    }
    Ok(())
}

pub(super) fn verify(args: &PingVerifyArgs, output: &mut Output<'_>) -> Result<(), Failure> {
    let bundle = Bundle::read(&args.file)?;
    let file = args.file.display().to_string();
    match args.document {
        None => tell(&file, &bundle, "whole", output),
        Some(week) => {
            let ping = bundle.pings.iter().find(|ping| ping.week == week).ok_or_else(|| {
                Failure::new("not_kept", Exit::Failed, format!("{file}: there is no ping of {week} in it"))
            })?;
            output.text(&ping.document);
        }
    }
    Ok(())
}

fn tell(file: &str, bundle: &Bundle, what: &str, output: &mut Output<'_>) {
    let metrics = bundle.pings.iter().flat_map(|ping| ping.metrics().unwrap_or_default());
    let messages = metrics.filter(|metric| !metric.message.is_empty()).count();
    match output.form() {
        Form::Json => output.document(&Document {
            file: file.to_owned(),
            bytes: bundle.bytes,
            sha256: bundle.digest.to_string(),
            uuid: bundle.uuid.clone(),
            made_at: bundle.made_at,
            messages,
            pings: bundle
                .pings
                .iter()
                .map(|ping| Part {
                    week: ping.week.to_string(),
                    bytes: ping.document.len(),
                    sha256: ping.digest.to_string(),
                })
                .collect(),
        }),
        Form::Text => {
            let pings = text::plural(bundle.pings.len() as u64, "ping", "pings");
            output.line(format_args!(
                "{file}: {what}; {pings} of {}, {} bytes",
                bundle.uuid,
                text::count(bundle.bytes)
            ));
            let mut table = Table::new(&[Align::Left, Align::Right, Align::Left]);
            for ping in &bundle.pings {
                table.row([
                    ping.week.to_string(),
                    text::count(ping.document.len() as u64),
                    ping.digest.to_string(),
                ]);
            }
            output.table(&table, "  ");
            if messages > 0 {
                let said = text::plural(messages as u64, "message", "messages");
                output.line(format_args!(
                    "{said} of sources in it may name paths, servers and values: read them before it leaves"
                ));
            }
        }
    }
}
