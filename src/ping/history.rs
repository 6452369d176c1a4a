//! What is kept of the weeks before.

use crate::error::{Error, ErrorKind};
use crate::ping::Ping;
use crate::storage::ping::{KeptPing, KeptWeek};
use crate::time::timestamp::Timestamp;
use crate::time::week::IsoWeek;

impl Ping {
    /// How the ping of each week stands, by week, without the documents: a row of some bytes for each is read.
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
        let is_before = |kept: &&KeptWeek| before.is_none_or(|week| kept.week < week);
        let weeks = self.weeks()?;
        weeks.iter().rfind(is_before).map_or(Ok(None), |last| self.kept(last.week))
    }
}

#[cold]
pub(super) fn not_kept(week: IsoWeek, weeks: &[KeptWeek]) -> Error {
    let kept = match (weeks.first(), weeks.last()) {
        (Some(first), Some(last)) => format!("those kept are of {} to {}", first.week, last.week),
        _ => "none is".to_owned(),
    };
    Error::new(ErrorKind::NotKept, format!("no ping of {week} is kept; {kept}"))
}
