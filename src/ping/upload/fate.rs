//! What a reply means for a document: the other side has it, does not want it, or it is sent again later.

use std::fmt;
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::ping::upload::Acceptance;
use crate::time::timestamp::Timestamp;

/// The first wait; each later one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(5 * 60);
const MAX_WAIT: Duration = Duration::from_secs(6 * 3_600);
/// A receiver that asks for more time than this gets this; no wait is longer.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// How much of a response a message shows.
const SHOWN_CHARS: usize = 200;

/// What somebody has set for the sending, and where, as messages say it.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) url: &'static str,
    pub(super) token: Option<String>,
    pub(super) proxy: Option<String>,
}

/// What came back.
pub(super) struct Reply {
    pub(super) place: String,
    pub(super) setup: Setup,
    pub(super) status: u16,
    /// The host that a redirect leads to.
    pub(super) location: Option<String>,
    pub(super) retry_after: Option<String>,
    /// Whether the body came to its end, or to the limit.
    pub(super) is_whole: bool,
    pub(super) body: String,
}

/// Why an attempt to send a document did not bring it over.
///
/// ```
/// # fn show(sending: headcount::PingSending) {
/// for week in &sending.weeks {
///     if let Some(failure) = &week.failure {
///         println!("{}: {} ({})", week.week, failure.message(), failure.fault().as_str());
///     }
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendFailure {
    fault: SendFault,
    message: String,
}

/// What kept a document from being sent.
///
/// A status says which, and whose fault it is: the document's, of which there is no other; the receiver's or the network's, which passes;
/// or that of what somebody has set here, which would meet every document and is mended here.
///
/// | status | fault | that document | the others |
/// |---|---|---|---|
/// | 200 to 299 | none, unless [`Acceptance::Gitlab`] makes it `Unconfirmed` | is sent, or tried again | go on |
/// | 400, 409, 413, 422 | `Refused` | is not tried again by itself | go on |
/// | 401, 402, 403, 407 | `Denied`: the token, or the proxy's password | waits | wait for it |
/// | 300 to 399 | `Redirected`: the URL | waits | wait for it |
/// | any other from 400 to 499, as 404, 405, 410, 415 | `NoReceiver`: the URL | waits | wait for it |
/// | 408, 425, 429, 500 and above, below 200 | `Unavailable` | waits | are tried next time |
///
/// GitLab's receiver knows no final refusal: there every status but those from 200 to 299 is a failure. 409 is among the final ones because a receiver
/// says so of a document that it has, and none that it lacks is lost by it: it can be sent again by name.
///
/// ```
/// use headcount::SendFault;
///
/// assert!(SendFault::Refused.is_permanent());
/// assert!(SendFault::Denied.needs_mending() && !SendFault::Denied.is_permanent());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendFault {
    /// There was no connection, or it was cut off.
    Unreachable,
    /// The certificate of the other side is not trusted, or TLS failed.
    Tls,
    /// A limit in time passed.
    Timeout,
    /// The other side is busy or out of order.
    Unavailable,
    /// The status says yes, and the response is not what was asked for with [`Acceptance::Gitlab`].
    Unconfirmed,
    /// The other side asks to send it elsewhere, which is never done: the URL must be mended.
    Redirected,
    /// The other side, or the proxy, does not let anything in: the token, or the proxy's password, must be mended.
    Denied,
    /// Nothing at the URL takes pings: the URL must be mended.
    NoReceiver,
    /// The other side does not want this document.
    Refused,
    /// The kept document is not what its digest says; it was not sent.
    Damaged,
}

impl SendFault {
    /// What a status means; `None` is that the document arrived.
    pub(super) fn of_status(status: u16) -> Option<Self> {
        match status {
            200..=299 => None,
            300..=399 => Some(Self::Redirected),
            400 | 409 | 413 | 422 => Some(Self::Refused),
            401..=403 | 407 => Some(Self::Denied),
            408 | 425 | 429 => Some(Self::Unavailable),
            400..=499 => Some(Self::NoReceiver),
            _ => Some(Self::Unavailable),
        }
    }

    /// Whether the document is not tried again by itself.
    #[must_use]
    pub fn is_permanent(self) -> bool {
        matches!(self, Self::Refused | Self::Damaged)
    }

    /// Whether it takes somebody who mends the token, the URL or the proxy here. It is tried again all the same.
    #[must_use]
    pub fn needs_mending(self) -> bool {
        matches!(self, Self::Redirected | Self::Denied | Self::NoReceiver)
    }

    /// The word that documents use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Unconfirmed => "unconfirmed",
            Self::Redirected => "redirected",
            Self::Denied => "denied",
            Self::NoReceiver => "no_receiver",
            Self::Refused => "refused",
            Self::Damaged => "damaged",
        }
    }
}

impl SendFailure {
    #[cold]
    pub(super) fn new(fault: SendFault, message: impl Into<String>) -> Self {
        Self { fault, message: message.into() }
    }

    /// What it was.
    #[must_use]
    pub fn fault(&self) -> SendFault {
        self.fault
    }

    /// The same in words, with the place; never with the token.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(super) fn error(&self) -> Error {
        let kind = match self.fault {
            SendFault::Damaged => ErrorKind::StoreDamaged,
            fault if fault.is_permanent() || fault.needs_mending() => ErrorKind::Refused,
            _ => ErrorKind::Unreachable,
        };
        Error::new(kind, self.message.clone())
    }
}

impl fmt::Display for SendFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Reply {
    /// Why the document is not with the other side, unless it is.
    pub(super) fn failure(&self, acceptance: Acceptance) -> Option<SendFailure> {
        let fault = match SendFault::of_status(self.status) {
            None if acceptance == Acceptance::Status || is_confirmed(&self.body) => return None,
            None => SendFault::Unconfirmed,
            Some(fault) => fault,
        };
        let url = self.setup.url;
        let what = match fault {
            SendFault::Unconfirmed if !self.is_whole => {
                "the response was cut off before it confirmed the ping".to_owned()
            }
            SendFault::Unconfirmed => "the response has no `usage_data_id`, as GitLab's has".to_owned(),
            SendFault::Redirected => {
                let to = self.location.as_deref().unwrap_or("nowhere");
                format!("it redirects to {to}, and a ping goes only where somebody here says; correct {url}")
            }
            SendFault::Denied if self.status == 407 => match &self.setup.proxy {
                Some(proxy) => format!(
                    "the proxy does not let the ping through; correct the name and password in {proxy}"
                ),
                None => format!("it asks for the password of a proxy; correct {url}, or name the proxy"),
            },
            SendFault::Denied => match &self.setup.token {
                Some(token) => format!("it does not let the ping in; renew {token}"),
                None => "it does not let the ping in, which went without a token; name a token".to_owned(),
            },
            SendFault::NoReceiver => format!("nothing there takes pings; correct {url}"),
            SendFault::Refused => "it does not want this ping".to_owned(),
            _ => "it cannot take the ping now".to_owned(),
        };
        let said = self.body.split_whitespace().collect::<Vec<_>>().join(" ");
        let said: String = said.chars().filter(|char| !char.is_control()).take(SHOWN_CHARS).collect();
        let said = if said.is_empty() { said } else { format!(": {said}") };
        Some(SendFailure::new(fault, format!("{}: {what} (status {}{said})", self.place, self.status)))
    }

    /// Whether documents of other weeks would fare as this one did.
    pub(super) fn is_of_all(&self) -> bool {
        !matches!(SendFault::of_status(self.status), None | Some(SendFault::Refused))
    }

    /// How long the receiver asks to wait.
    pub(super) fn asks_to_wait(&self, now: Timestamp) -> Option<Duration> {
        let asked = self.retry_after.as_deref()?.trim();
        let wait = match asked.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => http_date(asked)?.since(now),
        };
        Some(wait.min(MAX_RETRY_AFTER))
    }
}

fn is_confirmed(body: &str) -> bool {
    let json: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let id = |place: &str| json.pointer(place).and_then(serde_json::Value::as_u64);
    ["/conv_index/usage_data_id", "/dev_ops_score/usage_data_id"].into_iter().any(|place| id(place) > Some(0))
}

/// `Wed, 21 Oct 2026 07:28:00 GMT`, the form of dates in HTTP.
fn http_date(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let parts: Vec<&str> = text.split(' ').collect();
    let [_, day, month, year, time, "GMT"] = parts.as_slice() else { return None };
    let month = MONTHS.iter().position(|name| name == month)? + 1;
    Timestamp::parse(&format!("{year}-{month:02}-{day}T{time}Z")).ok()
}

/// How long to wait after so many attempts: between half and all of a time that doubles with each. `chance` is any number.
pub(super) fn wait(attempts: u32, chance: u64) -> Duration {
    let doublings = attempts.saturating_sub(1).min(16);
    let most = FIRST_WAIT.saturating_mul(1 << doublings).min(MAX_WAIT).as_secs();
    let least = most / 2;
    Duration::from_secs(least + chance % (most - least + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        let place = "https://a.example".to_owned();
        let setup = Setup { url: "the URL", token: None, proxy: None };
        Reply {
            place,
            setup,
            status,
            location: None,
            retry_after: None,
            is_whole: true,
            body: body.to_owned(),
        }
    }

    #[test]
    fn every_status_is_of_the_document_of_what_is_set_here_or_passing_as_promised() {
        for status in 100..=999 {
            let reply = reply(status, "");
            let fault = reply.failure(Acceptance::Status).map(|failure| failure.fault());
            let expected = match status {
                200..=299 => None,
                300..=399 => Some(SendFault::Redirected),
                400 | 409 | 413 | 422 => Some(SendFault::Refused),
                401 | 402 | 403 | 407 => Some(SendFault::Denied),
                408 | 425 | 429 => Some(SendFault::Unavailable),
                404..=499 => Some(SendFault::NoReceiver),
                _ => Some(SendFault::Unavailable),
            };
            assert_eq!(fault, expected, "{status}");
            // What burns one document never stands for all, and what stands for all burns none.
            assert!(!reply.is_of_all() || !expected.unwrap().is_permanent(), "{status}");
        }
    }

    #[test]
    fn gitlab_confirms_with_a_number_above_zero_in_either_place() {
        for (body, is_sent) in [
            (r#"{"conv_index":{"usage_data_id":7}}"#, true),
            (r#"{"dev_ops_score":{"usage_data_id":7},"conv_index":null}"#, true),
            (r#"{"conv_index":{"usage_data_id":0},"dev_ops_score":{"usage_data_id":1}}"#, true),
            (r#"{"conv_index":{"usage_data_id":0}}"#, false),
            (r#"{"conv_index":{"usage_data_id":-1}}"#, false),
            (r#"{"conv_index":{"usage_data_id":"7"}}"#, false),
            (r#"{"conv_index":{"usage_data_id":1.5}}"#, false),
            (r#"{"usage_data_id":7}"#, false),
            ("<html>", false),
            ("", false),
        ] {
            let fault = reply(201, body).failure(Acceptance::Gitlab).map(|failure| failure.fault());
            assert_eq!(fault, (!is_sent).then_some(SendFault::Unconfirmed), "{body}");
        }
        assert_eq!(
            reply(500, r#"{"conv_index":{"usage_data_id":7}}"#).failure(Acceptance::Gitlab).unwrap().fault(),
            SendFault::Unavailable
        );
    }

    #[test]
    fn waits_double_within_their_bounds() {
        let bounds = [(0, 300), (1, 300), (2, 600), (5, 4_800), (7, 19_200), (8, 21_600), (u32::MAX, 21_600)];
        for (attempts, most) in bounds {
            let waits = (0..50_000).map(|chance| wait(attempts, chance).as_secs());
            assert_eq!((waits.clone().min(), waits.max()), (Some(most / 2), Some(most)));
        }
        assert!(wait(8, u64::MAX) <= MAX_WAIT);
    }

    #[test]
    fn a_receiver_is_given_the_time_that_it_asks_for_up_to_a_day() {
        let now = Timestamp::parse("2026-10-21T07:00:00Z").unwrap();
        for (asked, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("999999", Some(86_400)),
            ("Wed, 21 Oct 2026 07:28:00 GMT", Some(28 * 60)),
            ("Wed, 21 Oct 2020 07:28:00 GMT", Some(0)),
            ("Wed, 21 Oct 2036 07:28:00 GMT", Some(86_400)),
            ("Wednesday, 21-Oct-26 07:28:00 GMT", None),
            ("-5", None),
            ("soon", None),
        ] {
            let mut reply = reply(429, "");
            reply.retry_after = Some(asked.to_owned());
            assert_eq!(reply.asks_to_wait(now).map(|wait| wait.as_secs()), seconds, "{asked}");
        }
        assert_eq!(reply(429, "").asks_to_wait(now), None);
    }
}
