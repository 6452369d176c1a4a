//! `headcount ping status` and `consent`.

use serde::Serialize;

use super::kept::fate;
use crate::cli::answer::instant;
use crate::cli::args::PingConsentArgs;
use crate::cli::output::{Failure, Form, Output};
use crate::cli::table::{Align, Table};
use crate::cli::{Context, text, window};
use crate::{Consent, DataCategory, Ping, Timestamp, sending_forbidden_by};

#[derive(Serialize)]
struct Document {
    uuid: String,
    cron: String,
    #[serde(serialize_with = "instant")]
    next_at: Timestamp,
    /// Whether pings leave this machine: what was chosen, unless the environment forbids it.
    sends: bool,
    sending: Sending,
    categories: Vec<&'static str>,
    suppress_below: u32,
    keep_weeks: u32,
    last: Option<Last>,
}

#[derive(Serialize)]
struct Sending {
    chosen: bool,
    url: Option<String>,
    forbidden_by: Option<String>,
}

#[derive(Serialize)]
struct Last {
    week: String,
    outcome: &'static str,
}

pub(super) fn status(context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    tell(&super::reading(context)?, context, output)
}

pub(super) fn choose(
    args: &PingConsentArgs,
    context: &Context,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let is_asked_only = args.send_to.is_none()
        && !args.off
        && args.with.is_empty()
        && args.without.is_empty()
        && args.suppress_below.is_none()
        && args.keep_weeks.is_none();
    if is_asked_only {
        return status(context, output);
    }
    let ping = super::keeping(context)?;
    let before = ping.consent()?;
    let after = changed(before.clone(), args);
    if after != before {
        ping.set_consent(&after)?;
    }
    tell(&ping, context, output)
}

fn changed(mut consent: Consent, args: &PingConsentArgs) -> Consent {
    if args.off {
        consent = consent.without_sending();
    }
    if let Some(url) = &args.send_to {
        consent = consent.send_to(url);
    }
    for category in &args.with {
        consent = consent.with((*category).into());
    }
    for category in &args.without {
        consent = consent.without((*category).into());
    }
    if let Some(users) = args.suppress_below {
        consent = consent.suppress_below(users);
    }
    if let Some(weeks) = args.keep_weeks {
        consent = consent.keep_weeks(weeks);
    }
    consent
}

/// Whether pings leave, in words.
pub(in crate::cli) fn sending(consent: &Consent) -> String {
    match (sending_forbidden_by(), consent.sends(), consent.url()) {
        (Some(variable), ..) => format!("nothing leaves this machine: {variable}"),
        (None, true, Some(url)) => format!("each ping is sent to {url}"),
        (None, ..) => "nothing leaves this machine: nobody turned sending on".to_owned(),
    }
}

fn tell(ping: &Ping, context: &Context, output: &mut Output<'_>) -> Result<(), Failure> {
    let (consent, schedule, uuid) = (ping.consent()?, ping.schedule()?, ping.uuid()?);
    let (forbidden_by, last) = (sending_forbidden_by(), ping.weeks()?.pop());
    let next_at = schedule.next(context.now());
    let permitted: Vec<&'static str> = DataCategory::ALL
        .iter()
        .filter(|category| consent.permits(**category))
        .map(|category| category.as_str())
        .collect();
    match output.form() {
        Form::Json => output.document(&Document {
            uuid,
            cron: schedule.cron(),
            next_at,
            sends: consent.sends() && forbidden_by.is_none(),
            sending: Sending { chosen: consent.sends(), url: consent.url().map(str::to_owned), forbidden_by },
            categories: permitted,
            suppress_below: consent.least_users(),
            keep_weeks: consent.weeks_kept(),
            last: last
                .map(|last| Last { week: last.week.to_string(), outcome: last.delivery.outcome.as_str() }),
        }),
        Form::Text => {
            let moment = context.moment(None);
            let mut table = Table::new(&[Align::Left, Align::Left]).wrapping(1);
            table.row(["sending".to_owned(), sending(&consent)]);
            let categories = if permitted.is_empty() { "none".to_owned() } else { permitted.join(", ") };
            table.row(["categories".to_owned(), categories]);
            let suppressed = match consent.least_users() {
                0 | 1 => "no counts are suppressed".to_owned(),
                users => format!("counts below {} are left out", text::count(users.into())),
            };
            table.row(["distinct ones".to_owned(), suppressed]);
            let kept = text::plural(consent.weeks_kept().into(), "week", "weeks");
            table.row(["history".to_owned(), format!("the pings of {kept} are kept")]);
            table.row(["installation".to_owned(), uuid]);
            table.row([
                "next".to_owned(),
                format!("due {} UTC (cron: {})", window::instant(next_at, moment), schedule.cron()),
            ]);
            let last = match last {
                Some(last) => format!(
                    "{}, made {}, {}",
                    last.week,
                    window::instant(last.recorded_at, moment),
                    fate(&last.delivery, last.is_partial, context)
                ),
                None => "none is kept yet".to_owned(),
            };
            table.row(["last".to_owned(), last]);
            output.table(&table, "");
        }
    }
    Ok(())
}
