//! One attempt to send the ping of one week: it may go, it goes, and what became of it is noted.

use std::time::Duration;

use crate::error::Error;
use crate::ping::Ping;
use crate::ping::environment::sending_forbidden_by;
use crate::ping::upload::Uploader;
use crate::ping::upload::fate::{MAX_RETRY_AFTER, SendFailure, SendFault, wait};
use crate::ping::upload::line::MAX_RESPONSE_BYTES;
use crate::ping::upload::sending::{SendingStopped, WeekSending};
use crate::storage::ping::{Agreement, Consent, Delivery, DeliveryOutcome, PingStep};
use crate::storage::sqlite;
use crate::time::timestamp::Timestamp;
use crate::time::week::IsoWeek;

/// Why a ping is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Its time has come.
    WhenDue,
    /// Somebody asks for all that can go, and may have mended what kept them.
    AtOnce,
    /// Somebody asks for this one.
    ByName,
}

/// What became of a week.
pub(super) enum Attempt {
    /// There is nothing to send: it was sent in the meantime, say.
    Nothing,
    Stopped(SendingStopped),
    Done {
        week: WeekSending,
        is_of_all: bool,
    },
}

impl Urgency {
    /// What was made `under` anything but what is `agreed` to now goes only if somebody names it.
    pub(super) fn wants(
        self,
        under: Agreement,
        delivery: &Delivery,
        agreed: Agreement,
        now: Timestamp,
    ) -> bool {
        match delivery.outcome {
            DeliveryOutcome::Sent | DeliveryOutcome::Forgotten => false,
            _ if self == Self::ByName => true,
            DeliveryOutcome::Refused | DeliveryOutcome::Carried => false,
            DeliveryOutcome::Kept | DeliveryOutcome::Waiting if under != agreed => false,
            DeliveryOutcome::Kept | DeliveryOutcome::Waiting => {
                waits_until(delivery, now).is_none() || self == Self::AtOnce && !is_asked_to_wait(delivery)
            }
        }
    }
}

/// Until when the next attempt waits, if that is to come.
pub(super) fn waits_until(delivery: &Delivery, now: Timestamp) -> Option<Timestamp> {
    // A time further ahead than any wait was noted by a clock that was wrong.
    delivery.next_at.filter(|next_at| *next_at > now && next_at.since(now) <= MAX_RETRY_AFTER)
}

/// Whether the last attempt failed for what is set here.
pub(super) fn needs_mending(delivery: &Delivery) -> bool {
    delivery.outcome == DeliveryOutcome::Waiting
        && delivery.status.and_then(SendFault::of_status).is_some_and(SendFault::needs_mending)
}

/// Whether the other side is there and cannot take more: nothing that somebody mends here hastens it.
fn is_asked_to_wait(delivery: &Delivery) -> bool {
    delivery.status.is_some() && !needs_mending(delivery)
}

impl Ping {
    /// What keeps documents from being sent, if anything does, and what the operator has chosen.
    pub(super) fn may_send(&self) -> Result<(Option<SendingStopped>, Consent), Error> {
        let consent = self.consent()?;
        let stopped = match sending_forbidden_by() {
            Some(variable) => Some(SendingStopped::Forbidden(variable)),
            None => (!consent.sends()).then_some(SendingStopped::Off),
        };
        Ok((stopped, consent))
    }

    /// Sends the ping of a week, once. Must be called under the lease.
    pub(super) fn attempt(
        &self,
        week: IsoWeek,
        uploader: &Uploader,
        urgency: Urgency,
    ) -> Result<Attempt, Error> {
        let Some(ping) = self.kept(week)? else { return Ok(Attempt::Nothing) };
        let agreed = self.reader.read(|snapshot| snapshot.agreement())?;
        if !urgency.wants(ping.agreement, &ping.delivery, agreed, self.reader.clock_now()) {
            return Ok(Attempt::Nothing);
        }
        if !ping.is_intact() {
            let what = format!(
                "the ping of {week} is not what it was kept as, so it was not sent; restore a backup of the store, or have the ping forgotten (`ping forget {week}`)"
            );
            let failure = Some(SendFailure::new(SendFault::Damaged, what));
            let week = WeekSending { week, delivery: ping.delivery, failure };
            return Ok(Attempt::Done { week, is_of_all: false });
        }
        // One document has one, and it says nothing that the document does not.
        let key = ping.digest.to_string();
        // The last thing before the connection, so that nothing leaves after somebody has turned it off.
        let (stopped, consent) = self.may_send()?;
        if let Some(stopped) = stopped {
            return Ok(Attempt::Stopped(stopped));
        }
        let line = uploader.line(consent.url())?;
        let reply = line.post(&ping.document, &key);
        let now = self.reader.clock_now();
        let (failure, is_of_all) = match &reply {
            Ok(reply) => (reply.failure(uploader.acceptance), reply.is_of_all()),
            Err(failure) => (Some(failure.clone()), true),
        };
        let attempts = ping.delivery.attempts.saturating_add(1);
        let outcome = match &failure {
            None => DeliveryOutcome::Sent,
            Some(failure) if failure.fault().is_permanent() => DeliveryOutcome::Refused,
            Some(_) => DeliveryOutcome::Waiting,
        };
        let asked_for = reply.as_ref().ok().and_then(|reply| reply.asks_to_wait(now)).unwrap_or_default();
        let pause = wait(attempts, chance()?).max(asked_for);
        let delivery = Delivery {
            outcome,
            attempts,
            tried_at: Some(now),
            next_at: (outcome == DeliveryOutcome::Waiting).then(|| later(now, pause)),
            status: reply.as_ref().ok().map(|reply| reply.status),
            response: Some(
                cut(reply.map_or_else(|failure| failure.message().to_owned(), |reply| reply.body)),
            ),
        };
        self.keep(PingStep::Deliver { week, delivery: delivery.clone() })?;
        Ok(Attempt::Done { week: WeekSending { week, delivery, failure }, is_of_all })
    }
}

fn chance() -> Result<u64, Error> {
    Ok(sqlite::random()?.into_iter().take(8).fold(0, |number, byte| number << 8 | u64::from(byte)))
}

fn later(now: Timestamp, pause: Duration) -> Timestamp {
    now.plus_seconds(i64::try_from(pause.as_secs()).unwrap_or(i64::MAX))
}

/// Bytes that are no text become longer when they are shown.
fn cut(mut text: String) -> String {
    let limit = usize::try_from(MAX_RESPONSE_BYTES).unwrap_or(usize::MAX).min(text.len());
    let end = (0..=limit).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.truncate(end);
    text
}
