//! Sending what is due, week after week, and what came of it.

use std::time::Duration;

use crate::error::Error;
use crate::ping::Ping;
use crate::ping::history::all_kept;
use crate::ping::upload::Uploader;
use crate::ping::upload::attempt::{Attempt, Urgency, needs_mending, waits_until};
use crate::ping::upload::fate::SendFailure;
use crate::storage::ping::{Agreement, Delivery, KeptWeek};
use crate::time::timestamp::Timestamp;
use crate::time::week::IsoWeek;

/// A lease lasts this much longer than an attempt may take, for noting what became of it.
const LEASE_MARGIN: Duration = Duration::from_secs(60);

/// What came of sending.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// # use headcount::{Definitions, EventDefinition, SendingStopped, Store, Uploader};
/// # let definitions = Definitions::new().event(EventDefinition::new("page_viewed"))?;
/// # let store = Store::builder_in_memory().definitions(definitions).open()?;
/// store.ping().generate()?;
/// let sending = store.ping().send(&Uploader::new())?;
/// // Nobody has turned it on.
/// assert!(sending.weeks.is_empty() && sending.stopped.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PingSending {
    /// The weeks that were tried, in order.
    pub weeks: Vec<WeekSending>,
    /// Why it ended before all that is due was tried, if it did.
    pub stopped: Option<SendingStopped>,
}

/// What came of sending the ping of one week.
///
/// ```
/// # fn show(sending: headcount::PingSending) {
/// for week in &sending.weeks {
///     println!("{}: {} after {} attempts", week.week, week.delivery.outcome.as_str(), week.delivery.attempts);
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WeekSending {
    /// The week.
    pub week: IsoWeek,
    /// How its delivery stands now.
    pub delivery: Delivery,
    /// Why it was not sent; `None` when the other side has it.
    pub failure: Option<SendFailure>,
}

/// Why sending ended before all that is due was tried.
///
/// ```
/// let stopped = headcount::SendingStopped::Forbidden("DO_NOT_TRACK=1".to_owned());
/// assert!(stopped.to_string().contains("DO_NOT_TRACK=1"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendingStopped {
    /// The operator has not turned it on.
    Off,
    /// This variable of the environment forbids it.
    Forbidden(String),
    /// Another process is making or sending pings.
    Elsewhere,
    /// What happened to the last week tried would happen to all; the others are tried at the next call.
    AfterFailure,
    /// The token, the URL or the proxy was wrong at the last attempt ([`SendFault::needs_mending`](crate::SendFault::needs_mending)): all wait.
    Unmended {
        /// Until then, or for [`Ping::send_at_once`].
        until: Timestamp,
    },
}

impl std::fmt::Display for SendingStopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Off => f.write_str("sending is off; turn it on by giving a URL"),
            Self::Forbidden(variable) => write!(f, "the environment forbids sending: {variable}"),
            Self::Elsewhere => f.write_str("another process is at work on pings; try again when it is done"),
            Self::AfterFailure => {
                f.write_str("the others would fare as the last one did; they are tried next time")
            }
            Self::Unmended { until } => write!(
                f,
                "the token, the URL or the proxy was wrong at the last attempt; all wait until {until}, or until somebody who has mended it sends them"
            ),
        }
    }
}

impl PingSending {
    /// The worst that happened, as an error: [`ErrorKind::Refused`](crate::ErrorKind::Refused) for what somebody must mend here, before what the other
    /// side does not want; [`ErrorKind::Unreachable`](crate::ErrorKind::Unreachable) for what passes by itself.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        let failures =
            self.weeks.iter().filter_map(|week| week.failure.as_ref().map(|failure| (week, failure)));
        let worst = failures
            .max_by_key(|(_, failure)| (failure.fault().needs_mending(), failure.fault().is_permanent()));
        worst.map(|(week, failure)| failure.error().context(format_args!("the ping of {}", week.week)))
    }
}

impl Ping {
    /// Sends every kept ping that is due to be sent, the oldest first: those never tried, and those whose time to be tried again has
    /// come. What was made, or begun, before the operator turned sending on, or before a category was taken back, goes only by
    /// [`Ping::resend`]. The bytes are those that were kept, at each attempt. Blocks up to [`UploadLimits::whole`](crate::UploadLimits::whole) a
    /// ping.
    ///
    /// Whether it may is asked right before each connection: the operator's consent and the environment. One process sends at a time,
    /// and what became of each attempt is noted at once; a process that dies between the two sends the ping again, under the same
    /// `Idempotency-Key`.
    ///
    /// What fails for a reason that passes waits for 5 minutes after the first attempt, then twice as long each time up to 6 hours, less up
    /// to a half by chance, and as long as the receiver asks for, up to a day. It is tried for as long as the store keeps it. A token, a URL
    /// or a proxy that is wrong costs no ping: the first one that meets it waits so, and all others with it. What the receiver does not want is not
    /// tried again by itself: see [`Ping::resend`], and [`SendFault`](crate::SendFault) for what is what.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) and [`ErrorKind::Io`](crate::ErrorKind::Io) for a URL, token, CA file or proxy that
    /// cannot be used; [`ErrorKind::ReadOnly`](crate::ErrorKind::ReadOnly) for a ping of a reader; the errors of reading the store, and the
    /// reason of a failed commit. That a ping could not be sent is none: see [`PingSending::error`].
    pub fn send(&self, uploader: &Uploader) -> Result<PingSending, Error> {
        let (now, agreed, weeks) = self.standing()?;
        let waits = |kept: &KeptWeek| {
            let is_held = kept.agreement == agreed && needs_mending(&kept.delivery);
            waits_until(&kept.delivery, now).filter(|_| is_held)
        };
        if let Some(until) = weeks.iter().filter_map(waits).max() {
            let (stopped, _) = self.may_send()?;
            let stopped = stopped.unwrap_or(SendingStopped::Unmended { until });
            return Ok(PingSending { weeks: Vec::new(), stopped: Some(stopped) });
        }
        self.send_wanted(&weeks, uploader, Urgency::WhenDue, (agreed, now))
    }

    /// As [`Ping::send`], and also those that wait because of what somebody here may have mended meanwhile: the token, the URL, the proxy, the
    /// certificates, the network. Those whose receiver was there and could not take more wait on.
    ///
    /// # Errors
    ///
    /// As [`Ping::send`].
    pub fn send_at_once(&self, uploader: &Uploader) -> Result<PingSending, Error> {
        let (now, agreed, weeks) = self.standing()?;
        self.send_wanted(&weeks, uploader, Urgency::AtOnce, (agreed, now))
    }

    /// Sends the pings of these weeks now, in the order given, also those that were refused or carried out by hand, those whose time has not come and
    /// those made before sending was turned on; not those that were sent.
    ///
    /// # Errors
    ///
    /// As [`Ping::send`]; [`ErrorKind::NotKept`](crate::ErrorKind::NotKept) for a week of which no ping is kept.
    pub fn resend(&self, weeks: &[IsoWeek], uploader: &Uploader) -> Result<PingSending, Error> {
        all_kept(weeks, &self.weeks()?)?;
        self.send_each(weeks, uploader, Urgency::ByName)
    }

    /// Now, what is agreed to, and how all weeks stand.
    fn standing(&self) -> Result<(Timestamp, Agreement, Vec<KeptWeek>), Error> {
        Ok((self.reader.clock_now(), self.reader.read(|snapshot| snapshot.agreement())?, self.weeks()?))
    }

    fn send_wanted(
        &self,
        weeks: &[KeptWeek],
        uploader: &Uploader,
        urgency: Urgency,
        (agreed, now): (Agreement, Timestamp),
    ) -> Result<PingSending, Error> {
        let is_wanted = |kept: &&KeptWeek| urgency.wants(kept.agreement, &kept.delivery, agreed, now);
        let wanted: Vec<IsoWeek> = weeks.iter().filter(is_wanted).map(|kept| kept.week).collect();
        self.send_each(&wanted, uploader, urgency)
    }

    fn send_each(
        &self,
        weeks: &[IsoWeek],
        uploader: &Uploader,
        urgency: Urgency,
    ) -> Result<PingSending, Error> {
        let mut sending = PingSending::default();
        (sending.stopped, _) = self.may_send()?;
        let length = uploader.limits.longest() + LEASE_MARGIN;
        for (number, week) in weeks.iter().enumerate() {
            if sending.stopped.is_some() {
                break;
            }
            match self.leased_for(length, || self.attempt(*week, uploader, urgency))? {
                None => sending.stopped = Some(SendingStopped::Elsewhere),
                Some(Attempt::Nothing) => {}
                Some(Attempt::Stopped(why)) => sending.stopped = Some(why),
                Some(Attempt::Done { week, is_of_all }) => {
                    let is_last = number + 1 == weeks.len();
                    sending.stopped = (is_of_all && !is_last).then_some(SendingStopped::AfterFailure);
                    sending.weeks.push(week);
                }
            }
        }
        Ok(sending)
    }
}
