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

/// What came back.
pub(super) struct Reply {
    pub(super) place: String,
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
/// ```
/// assert!(!headcount::SendFault::Timeout.is_permanent());
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
    /// The other side is busy or out of order: a status of 408, 425, 429, or 500 and above.
    Unavailable,
    /// The status says yes, and the response is not what was asked for with [`Acceptance::Gitlab`].
    Unconfirmed,
    /// The other side asks to send it elsewhere, which is never done.
    Redirected,
    /// The other side does not want it.
    Refused,
    /// The kept document is not what its digest says; it was not sent.
    Damaged,
}

impl SendFault {
    /// Whether it is not tried again by itself.
    #[must_use]
    pub fn is_permanent(self) -> bool {
        matches!(self, Self::Redirected | Self::Refused | Self::Damaged)
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
            fault if fault.is_permanent() => ErrorKind::Refused,
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
        let (fault, what) = match self.status {
            200..=299 if acceptance == Acceptance::Status || is_confirmed(&self.body) => return None,
            200..=299 if !self.is_whole => {
                (SendFault::Unconfirmed, "the response was cut off before it confirmed the ping".to_owned())
            }
            200..=299 => {
                (SendFault::Unconfirmed, "the response has no `usage_data_id`, as GitLab's has".to_owned())
            }
            300..=399 => {
                let to = self.location.as_deref().unwrap_or("nowhere");
                let what =
                    format!("it redirects to {to}; a ping goes only where the operator said: set the URL");
                (SendFault::Redirected, what)
            }
            408 | 425 | 429 | 500.. => (SendFault::Unavailable, "it cannot take the ping now".to_owned()),
            401 | 403 => (SendFault::Refused, "it does not let the ping in; check the token".to_owned()),
            400..=499 => (SendFault::Refused, "it does not want the ping".to_owned()),
            _ => (SendFault::Unavailable, "it answers with a status that means nothing".to_owned()),
        };
        let said = self.body.split_whitespace().collect::<Vec<_>>().join(" ");
        let said: String = said.chars().filter(|char| !char.is_control()).take(SHOWN_CHARS).collect();
        let said = if said.is_empty() { said } else { format!(": {said}") };
        Some(SendFailure::new(fault, format!("{}: {what} (status {}{said})", self.place, self.status)))
    }

    /// Whether documents of other weeks would fare as this one did.
    pub(super) fn is_of_all(&self) -> bool {
        !matches!(self.status, 200..=299 | 400 | 409 | 413 | 415 | 422)
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
        Reply { place, status, location: None, retry_after: None, is_whole: true, body: body.to_owned() }
    }

    #[test]
    fn every_status_is_final_or_passing_as_promised() {
        for status in 100..=999 {
            let fault = reply(status, "").failure(Acceptance::Status).map(|failure| failure.fault());
            let expected = match status {
                200..=299 => None,
                300..=399 => Some(SendFault::Redirected),
                408 | 425 | 429 => Some(SendFault::Unavailable),
                400..=499 => Some(SendFault::Refused),
                _ => Some(SendFault::Unavailable),
            };
            assert_eq!(fault, expected, "{status}");
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
