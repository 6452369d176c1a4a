//! One document a week, however many processes make it: the lease, and what is due.

use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::ping::Ping;
use crate::ping::history::MadeBefore;
use crate::storage::Commit;
use crate::storage::ping::{KeptPing, PingStep, PingWorker};
use crate::storage::sqlite;
use crate::time::timestamp::Timestamp;
use crate::time::week::IsoWeek;

/// A lease lasts this much longer than building may.
const LEASE_MARGIN: Duration = Duration::from_secs(60);

/// What a run found to do.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// # use headcount::{Definitions, EventDefinition, Store};
/// # let definitions = Definitions::new().event(EventDefinition::new("page_viewed"))?;
/// # let store = Store::builder_in_memory().definitions(definitions).open()?;
/// // The store was made just now: its first ping is due at its minute of the week.
/// assert!(store.ping().run()?.made.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PingRun {
    /// The document that this run made.
    pub made: Option<KeptPing>,
    /// The week that is due, when another process is just making its document.
    pub elsewhere: Option<IsoWeek>,
    /// When the next one is due.
    pub next_at: Timestamp,
}

/// Who makes the document of a week.
enum Making {
    Here(KeptPing),
    There(KeptPing),
    Elsewhere,
    /// It was made, and somebody had it forgotten.
    Forgotten,
}

impl From<MadeBefore> for Making {
    fn from(made: MadeBefore) -> Self {
        match made {
            MadeBefore::Kept(ping) => Self::There(*ping),
            MadeBefore::Forgotten => Self::Forgotten,
        }
    }
}

impl Ping {
    /// Makes this week's document and keeps it, or gives the one that is kept: of each week there is one, and it never changes.
    ///
    /// # Errors
    ///
    /// As [`Ping::build`]; [`ErrorKind::NotKept`] when this week's ping was forgotten; [`ErrorKind::StoreBusy`] while another process makes it; [`ErrorKind::ReadOnly`] for a ping of a reader; the
    /// reason of a failed commit.
    pub fn generate(&self) -> Result<KeptPing, Error> {
        self.generate_telling(&mut |_, _, _| {})
    }

    /// As [`Ping::generate`], and tells of its progress as [`Ping::build_telling`] does.
    ///
    /// # Errors
    ///
    /// As [`Ping::generate`].
    pub fn generate_telling(&self, told: &mut dyn FnMut(usize, usize, &str)) -> Result<KeptPing, Error> {
        let now = self.reader.clock_now();
        let week = IsoWeek::of(now);
        match self.make(week, now, told)? {
            Making::Here(ping) | Making::There(ping) => Ok(ping),
            Making::Elsewhere => {
                let what = format!("another process is making the ping of {week}; try again when it is done");
                Err(Error::new(ErrorKind::StoreBusy, what))
            }
            Making::Forgotten => {
                let what = format!(
                    "the ping of {week} was made and forgotten, and of each week one is made; the next is that of {}",
                    week.next()
                );
                Err(Error::new(ErrorKind::NotKept, what))
            }
        }
    }

    /// Makes the document that is due, if it is not kept yet; that of several missed weeks is the last one's. Meant to be called by
    /// cron or a timer as often as one likes, from however many processes: of each week one document is made.
    ///
    /// The first ping is due at the first minute of the schedule after the store was made. One that comes late reports the weeks that
    /// were complete when it was due; what is not counted by weeks is as of now. One that comes so late that it would not be kept
    /// ([`Consent::keep_weeks`](crate::Consent::keep_weeks)) is not made.
    ///
    /// # Errors
    ///
    /// As [`Ping::generate`], but that another process makes it is none.
    pub fn run(&self) -> Result<PingRun, Error> {
        self.run_telling(&mut |_, _, _| {})
    }

    /// As [`Ping::run`], and tells of its progress as [`Ping::build_telling`] does.
    ///
    /// # Errors
    ///
    /// As [`Ping::run`].
    pub fn run_telling(&self, told: &mut dyn FnMut(usize, usize, &str)) -> Result<PingRun, Error> {
        let (now, schedule) = (self.reader.clock_now(), self.schedule()?);
        let created = self.reader.read(|snapshot| snapshot.identity())?.created;
        let week = schedule.due(now);
        let due_at = schedule.in_week(week);
        let mut run = PingRun { made: None, elsewhere: None, next_at: schedule.next(now) };
        if due_at > created && !self.is_past_keeping(week, now)? {
            match self.make(week, due_at, told)? {
                Making::Here(ping) => run.made = Some(ping),
                Making::There(_) | Making::Forgotten => {}
                Making::Elsewhere => run.elsewhere = Some(week),
            }
        }
        Ok(run)
    }

    /// Whether so many later weeks have a ping that this one's would not be kept, or may have been made and removed. Weeks that are yet
    /// to come were made by a clock that was wrong, and say nothing.
    fn is_past_keeping(&self, week: IsoWeek, now: Timestamp) -> Result<bool, Error> {
        let weeks = self.weeks()?;
        let later = weeks.iter().filter(|kept| kept.week > week && kept.week <= IsoWeek::of(now)).count();
        Ok(u32::try_from(later).unwrap_or(u32::MAX) >= self.consent()?.weeks_kept())
    }

    fn make(
        &self,
        week: IsoWeek,
        weeks_before: Timestamp,
        told: &mut dyn FnMut(usize, usize, &str),
    ) -> Result<Making, Error> {
        if let Some(made) = self.made_before(week)? {
            return Ok(made.into());
        }
        let made = self.leased(|| {
            // The one that had the lease before may have made it.
            if let Some(made) = self.made_before(week)? {
                return Ok(made.into());
            }
            // Before the document is begun: what is taken back meanwhile stands in it.
            let agreement = self.reader.read(|snapshot| snapshot.agreement())?;
            let ping = KeptPing::new(week, self.report(weeks_before, None, told)?, agreement);
            let weeks_kept = self.consent()?.weeks_kept();
            match self.keep(PingStep::Keep { ping: Box::new(ping.clone()), weeks_kept })? {
                Commit::Applied | Commit::Repeated => Ok(Making::Here(ping)),
                // The lease had ended before the document was done.
                Commit::Overtaken => self.made_before(week)?.map(Making::from).ok_or_else(|| {
                    Error::new(ErrorKind::Internal, format!("the ping of {week} was not kept"))
                }),
            }
        })?;
        Ok(made.unwrap_or(Making::Elsewhere))
    }

    /// Does some work while no other process works at pings; `None` when one does.
    pub(crate) fn leased<T>(&self, work: impl FnOnce() -> Result<T, Error>) -> Result<Option<T>, Error> {
        self.leased_for(self.limits.ping + LEASE_MARGIN, work)
    }

    /// As [`Ping::leased`], for work that takes no longer than `length`.
    pub(crate) fn leased_for<T>(
        &self,
        length: Duration,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let worker = PingWorker(sqlite::random()?);
        let seconds = length.as_secs();
        let until = self.reader.clock_now().plus_seconds(i64::try_from(seconds).unwrap_or(i64::MAX));
        if self.keep(PingStep::Lease { worker, until })? == Commit::Overtaken {
            return Ok(None);
        }
        let done = work();
        let released = self.keep(PingStep::Release { worker });
        let done = done?;
        // What was done stands; a lease that could not be given back ends by itself.
        if let Err(error) = released {
            tracing::warn!(%error, "the lease of the ping could not be given back");
        }
        Ok(Some(done))
    }
}
