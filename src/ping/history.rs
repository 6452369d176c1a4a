//! What is kept of the weeks before.

use crate::error::{Error, ErrorKind};
use crate::ping::Ping;
use crate::storage::Commit;
use crate::storage::ping::{DeliveryOutcome, KeptPing, KeptWeek, PingStep};
use crate::time::timestamp::Timestamp;
use crate::time::week::IsoWeek;

impl Ping {
    /// How the ping of each week stands, by week, without the documents: a row of some bytes for each is read. Weeks whose ping was
    /// forgotten are among them.
    ///
    /// # Errors
    ///
    /// The errors of reading the store.
    pub fn weeks(&self) -> Result<Vec<KeptWeek>, Error> {
        self.reader.read(|snapshot| snapshot.ping_weeks())
    }

    /// Every document that is kept, by week. Takes the memory of all; [`Ping::weeks`] and [`Ping::kept`] take that of one.
    ///
    /// # Errors
    ///
    /// The errors of reading the store.
    pub fn history(&self) -> Result<Vec<KeptPing>, Error> {
        self.reader.read(|snapshot| snapshot.pings(IsoWeek::from_index(0), IsoWeek::of(Timestamp::MAX)))
    }

    /// The document of a week, if one is kept.
    ///
    /// # Errors
    ///
    /// The errors of reading the store.
    pub fn kept(&self, week: IsoWeek) -> Result<Option<KeptPing>, Error> {
        Ok(self.reader.read(|snapshot| snapshot.pings(week, week))?.pop())
    }

    /// The document of the last week before this one, or of all, that is kept.
    ///
    /// # Errors
    ///
    /// The errors of reading the store.
    pub fn last_kept(&self, before: Option<IsoWeek>) -> Result<Option<KeptPing>, Error> {
        let is_before = |kept: &&KeptWeek| kept.has_document() && before.is_none_or(|week| kept.week < week);
        let weeks = self.weeks()?;
        weeks.iter().rfind(is_before).map_or(Ok(None), |last| self.kept(last.week))
    }

    /// Notes that these pings were carried out of the installation by hand, as with [`Ping::export`]: they are not sent by themselves, nor
    /// carried out again unless their weeks are named. Of what was sent it stays noted that it was. If one of the weeks has no ping none is
    /// noted.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotKept`] for a week of which no ping is kept; [`ErrorKind::ReadOnly`] for a ping of a reader; the reason of a failed
    /// commit.
    pub fn mark_carried(&self, weeks: &[IsoWeek]) -> Result<(), Error> {
        let kept = self.weeks()?;
        all_kept(weeks, &kept)?;
        for week in weeks {
            self.keep(PingStep::Carry { week: *week })?;
        }
        Ok(())
    }

    /// Removes the ping of a week for good: its document, what stands beside it and what the other side said, as of one that is damaged
    /// or says too much. [`Ping::weeks`] goes on to have the week, and it gets no other document: whoever has the one that was sent, or
    /// carried out, would have two. Returns how it stood.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotKept`] for a week of which no ping is kept, or whose ping was forgotten before; [`ErrorKind::ReadOnly`] for a ping
    /// of a reader; the reason of a failed commit.
    pub fn forget(&self, week: IsoWeek) -> Result<KeptWeek, Error> {
        let weeks = self.weeks()?;
        let found = weeks.iter().find(|kept| kept.week == week && kept.has_document());
        let stood = found.cloned().ok_or_else(|| not_kept(week, &weeks))?;
        match self.keep(PingStep::Forget { week })? {
            Commit::Applied | Commit::Repeated => Ok(stood),
            Commit::Overtaken => Err(not_kept(week, &self.weeks()?)),
        }
    }

    /// The week's ping, if one was made.
    pub(super) fn made_before(&self, week: IsoWeek) -> Result<Option<MadeBefore>, Error> {
        let weeks = self.weeks()?;
        let Some(found) = weeks.iter().find(|kept| kept.week == week) else { return Ok(None) };
        if !found.has_document() {
            return Ok(Some(MadeBefore::Forgotten));
        }
        Ok(self.kept(week)?.map(|ping| MadeBefore::Kept(Box::new(ping))))
    }
}

/// What there is of a week whose ping was made.
pub(super) enum MadeBefore {
    Kept(Box<KeptPing>),
    Forgotten,
}

impl KeptWeek {
    pub(super) fn has_document(&self) -> bool {
        self.delivery.outcome != DeliveryOutcome::Forgotten
    }
}

/// # Errors
///
/// [`ErrorKind::NotKept`] for the first of the weeks that has no document.
pub(super) fn all_kept(weeks: &[IsoWeek], kept: &[KeptWeek]) -> Result<(), Error> {
    let is_kept = |week: &IsoWeek| kept.iter().any(|kept| kept.week == *week && kept.has_document());
    weeks.iter().find(|week| !is_kept(week)).map_or(Ok(()), |missing| Err(not_kept(*missing, kept)))
}

#[cold]
fn not_kept(week: IsoWeek, weeks: &[KeptWeek]) -> Error {
    let is_it = |kept: &&KeptWeek| kept.week == week && !kept.has_document();
    if let Some(at) = weeks.iter().find(is_it).and_then(|forgotten| forgotten.delivery.tried_at) {
        return Error::new(ErrorKind::NotKept, format!("the ping of {week} was forgotten at {at}"));
    }
    let kept = match (weeks.first(), weeks.last()) {
        (Some(first), Some(last)) => format!("those kept are of {} to {}", first.week, last.week),
        _ => "none is".to_owned(),
    };
    Error::new(ErrorKind::NotKept, format!("no ping of {week} is kept; {kept}"))
}
