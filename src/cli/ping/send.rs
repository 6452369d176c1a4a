//! `headcount ping send`, and the sending of `ping run`.

use serde::Serialize;

use crate::cli::args::{PingSendArgs, UploadArgs};
use crate::cli::output::{Failure, Form, Output};
use crate::cli::progress::during;
use crate::cli::{Context, window};
use crate::{Acceptance, Ping, PingSending, Uploader};

#[derive(Serialize)]
pub(super) struct Document {
    weeks: Vec<WeekDocument>,
    /// Why it ended before all that is due was tried.
    stopped: Option<String>,
}

#[derive(Serialize)]
struct WeekDocument {
    week: String,
    outcome: &'static str,
    attempts: u32,
    status: Option<u16>,
    next_at: Option<String>,
    reason: Option<&'static str>,
    message: Option<String>,
}

pub(super) fn run(args: &PingSendArgs, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let ping = super::keeping(context)?;
    let uploader = uploader(&args.upload);
    let send = || match args.weeks.as_slice() {
        [] => ping.send_at_once(&uploader),
        weeks => ping.resend(weeks, &uploader),
    };
    let sending = during("sending", output.form(), send)?;
    match output.form() {
        Form::Json => output.document(&Document::of(&sending)),
        Form::Text => tell(&sending, context, output),
    }
    fail(&sending, context, output);
    Ok(())
}

/// Sends what is due, where it may be sent.
pub(super) fn send_due(ping: &Ping, args: &UploadArgs, output: &Output<'_>) -> Result<PingSending, Failure> {
    Ok(during("sending", output.form(), || ping.send(&uploader(args)))?)
}

pub(super) fn tell(sending: &PingSending, context: &Context, output: &mut Output<'_>) {
    for week in &sending.weeks {
        let next =
            week.delivery.next_at.map(|at| format!(", again {}", window::instant(at, context.moment(None))));
        match &week.failure {
            None => output.line(format_args!("the ping of {} is sent", week.week)),
            Some(_) => {
                output.line(format_args!(
                    "the ping of {} is not sent{}",
                    week.week,
                    next.unwrap_or_default()
                ));
            }
        }
    }
    match &sending.stopped {
        Some(stopped) => output.line(stopped),
        None if sending.weeks.is_empty() => output.line("no ping is due to be sent"),
        None => {}
    }
}

/// The exit code says what became of it.
pub(super) fn fail(sending: &PingSending, context: &Context, output: &mut Output<'_>) {
    let Some(error) = sending.error() else { return };
    let mut failures = sending.weeks.iter().filter_map(|week| week.failure.as_ref());
    let needs_mending = failures.any(|failure| failure.fault().needs_mending());
    let program = &context.program;
    let advice = if needs_mending {
        format!(
            " (the URL: `{program} ping consent --send-to URL`; the token: --token-file or --token-env; then `{program} ping send` sends all that wait)"
        )
    } else {
        String::new()
    };
    output.fail(Failure::from(error).advise(&advice));
}

fn uploader(args: &UploadArgs) -> Uploader {
    let mut uploader = Uploader::new();
    if let Some(file) = &args.token_file {
        uploader = uploader.token_from_file(file);
    }
    if let Some(variable) = &args.token_env {
        uploader = uploader.token_from_variable(variable);
    }
    if let Some(file) = &args.ca_file {
        uploader = uploader.ca_file(file);
    }
    if let Some(url) = &args.proxy {
        uploader = uploader.proxy(url);
    }
    if args.no_proxy {
        uploader = uploader.without_proxy();
    }
    if args.gitlab {
        uploader = uploader.accept(Acceptance::Gitlab);
    }
    uploader
}

impl Document {
    pub(super) fn of(sending: &PingSending) -> Self {
        let weeks = sending.weeks.iter().map(|week| WeekDocument {
            week: week.week.to_string(),
            outcome: week.delivery.outcome.as_str(),
            attempts: week.delivery.attempts,
            status: week.delivery.status,
            next_at: week.delivery.next_at.map(|at| at.to_string()),
            reason: week.failure.as_ref().map(|failure| failure.fault().as_str()),
            message: week.failure.as_ref().map(|failure| failure.message().to_owned()),
        });
        Self { weeks: weeks.collect(), stopped: sending.stopped.as_ref().map(ToString::to_string) }
    }
}
