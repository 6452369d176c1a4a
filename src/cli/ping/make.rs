//! `headcount ping generate` and `run`.

use serde::Serialize;

use super::metrics::note_missing;
use crate::cli::answer::instant;
use crate::cli::args::{PingGenerateArgs, PingRunArgs};
use crate::cli::output::{Failure, Form, Output};
use crate::cli::progress::Asking;
use crate::cli::{Context, text, window};
use crate::{KeptPing, KeptWeek, MetricOutcome, Timestamp};

#[derive(Serialize)]
pub(super) struct KeptDocument {
    week: String,
    #[serde(serialize_with = "instant")]
    recorded_at: Timestamp,
    bytes: usize,
    /// `None` when it was forgotten.
    sha256: Option<String>,
    partial: bool,
    values: usize,
    failed: usize,
    outcome: &'static str,
}

#[derive(Serialize)]
struct RunDocument {
    made: Option<KeptDocument>,
    /// The week whose ping another process is making.
    elsewhere: Option<String>,
    #[serde(serialize_with = "instant")]
    next_at: Timestamp,
    #[cfg(feature = "upload")]
    sending: super::send::Document,
}

impl KeptDocument {
    pub(super) fn of(ping: &KeptPing) -> Result<Self, Failure> {
        let metrics = ping.metrics()?;
        let count = |outcome| metrics.iter().filter(|metric| metric.outcome == outcome).count();
        Ok(Self {
            week: ping.week.to_string(),
            recorded_at: ping.recorded_at,
            bytes: ping.document.len(),
            sha256: Some(ping.digest.to_string()),
            partial: ping.is_partial,
            values: count(MetricOutcome::Value),
            failed: count(MetricOutcome::Failed),
            outcome: ping.delivery.outcome.as_str(),
        })
    }

    pub(super) fn forgotten(kept: &KeptWeek) -> Self {
        Self {
            week: kept.week.to_string(),
            recorded_at: kept.recorded_at,
            bytes: 0,
            sha256: None,
            partial: false,
            values: 0,
            failed: 0,
            outcome: kept.delivery.outcome.as_str(),
        }
    }

    fn line(&self, what: &str) -> String {
        let values = text::plural(self.values as u64, "value", "values");
        let failed = if self.failed > 0 {
            format!(", {} failed", text::count(self.failed as u64))
        } else {
            String::new()
        };
        format!(
            "the ping of {} {what}: {values}{failed}, {} bytes",
            self.week,
            text::count(self.bytes as u64)
        )
    }
}

pub(super) fn generate(
    args: &PingGenerateArgs,
    context: &Context,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let ping = super::sources::extend(super::keeping(context)?, &args.sources)?;
    let progress = Asking::new(output.form());
    let began = context.now();
    let before = ping.kept(crate::IsoWeek::of(began))?;
    let made = ping.generate_telling(&mut |done, all, key_path| progress.tell(done, all, key_path))?;
    drop(progress);
    let document = KeptDocument::of(&made)?;
    match output.form() {
        Form::Json => output.document(&document),
        Form::Text if before.is_some() => {
            let at = window::instant(made.recorded_at, context.moment(None));
            output.line(document.line(&format!("was made {at} and stays as it is")));
        }
        Form::Text => {
            output.line(document.line("is made"));
            note_missing(&made.metrics()?, context.moment(Some(made.recorded_at)), output);
        }
    }
    Ok(())
}

pub(super) fn run(args: &PingRunArgs, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let ping = super::sources::extend(super::keeping(context)?, &args.sources)?;
    let progress = Asking::new(output.form());
    let run = ping.run_telling(&mut |done, all, key_path| progress.tell(done, all, key_path))?;
    drop(progress);
    let made = run.made.as_ref().map(KeptDocument::of).transpose()?;
    // Sending is a matter of its own: what was made is told, whatever becomes of that.
    #[cfg(feature = "upload")]
    let sent = super::send::send_due(&ping, &args.upload, output);
    #[cfg(feature = "upload")]
    let (sending, failure) = match sent {
        Ok(sending) => (sending, None),
        Err(failure) => (crate::PingSending::default(), Some(failure)),
    };
    match output.form() {
        Form::Json => output.document(&RunDocument {
            made,
            elsewhere: run.elsewhere.map(|week| week.to_string()),
            next_at: run.next_at,
            #[cfg(feature = "upload")]
            sending: super::send::Document::of(&sending),
        }),
        Form::Text => {
            let next = window::instant(run.next_at, context.moment(None));
            match (&made, run.elsewhere) {
                (Some(document), _) => output.line(document.line("is made")),
                (None, Some(week)) => {
                    output.line(format_args!("another process is making the ping of {week}"));
                }
                (None, None) => output.line(format_args!("nothing is due before {next} UTC")),
            }
            if let Some(made) = &run.made {
                note_missing(&made.metrics()?, context.moment(Some(made.recorded_at)), output);
            }
            #[cfg(feature = "upload")]
            if ping.consent()?.sends() && failure.is_none() {
                super::send::tell(&sending, context, output);
            }
        }
    }
    #[cfg(feature = "upload")]
    super::send::fail(&sending, context, output);
    #[cfg(feature = "upload")]
    if let Some(failure) = failure {
        return Err(failure);
    }
    Ok(())
}
