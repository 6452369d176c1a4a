//! What a store keeps series for, and when each last moved.

use std::collections::BTreeMap;

use crate::definition::rule::RuleKind;
use crate::error::Error;
use crate::report::reader::Reader;
use crate::storage::batch::SeriesId;
use crate::storage::survey;
use crate::time::bucket::Day;
use crate::time::range::TimeRange;
use crate::time::timestamp::Timestamp;

/// What a store knows of one series: what it is about, since when it is recorded, and when something last happened.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// # use headcount::{Definitions, Event, EventDefinition, Store};
/// # let definitions = Definitions::new().event(EventDefinition::new("page_viewed"))?;
/// # let store = Store::builder_in_memory().definitions(definitions).open()?;
/// let unmoved = store.reader().activity()?;
/// assert_eq!((unmoved[0].key.as_str(), unmoved[0].days), ("page_viewed", None));
/// store.tracker().track(Event::new("page_viewed"));
/// store.flush()?;
/// assert!(store.reader().activity()?[0].days.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SeriesActivity {
    /// The key of its rule, as [`Rule::key`](crate::Rule::key) gives it.
    pub key: String,
    /// What it keeps.
    pub kind: RuleKind,
    /// When it was first recorded; `None` for a series that never was.
    pub since: Option<Timestamp>,
    /// Whether it is recorded now.
    pub is_recorded: bool,
    /// Up to when it was recorded; `None` while it is, and for a series that never was.
    pub until: Option<Timestamp>,
    /// From the first day with anything to the last; `None` when nothing ever happened, or retention has removed it.
    pub days: Option<TimeRange>,
    /// How many days have anything.
    pub active_days: u64,
}

/// What the parts of a store take, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Space {
    /// Counts by hour, day and all time.
    pub counts: u64,
    /// Sums by hour, day and all time.
    pub sums: u64,
    /// Sketches by day and all time.
    pub sketches: u64,
    /// Counts per value, and the values.
    pub values: u64,
    /// Series, sources, the ledger, definitions.
    pub other: u64,
    /// Pages without anything, which later commits use.
    pub free: u64,
}

impl Reader {
    /// Every series of the store, sorted by key and kind. Reads the keys of all days: 0.1 µs a row.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) and [`ErrorKind::StoreDamaged`](crate::ErrorKind::StoreDamaged) when the store cannot be read.
    pub fn activity(&self) -> Result<Vec<SeriesActivity>, Error> {
        self.read(|snapshot| {
            let days: BTreeMap<SeriesId, survey::Activity> =
                snapshot.activity()?.into_iter().map(|activity| (activity.series, activity)).collect();
            let mut all = Vec::new();
            for series in snapshot.all_series()? {
                let Some(kind) = series.kind else { continue };
                let spans =
                    snapshot.series(&series.key, kind)?.map(|series| series.recorded).unwrap_or_default();
                let active = days.get(&series.id);
                all.push(SeriesActivity {
                    kind,
                    since: spans.first().map(|span| span.since),
                    until: spans.last().and_then(|span| span.until),
                    is_recorded: spans.last().is_some_and(|span| span.until.is_none()),
                    days: active.map(|active| {
                        let [first, last] = [active.first_day, active.last_day].map(Day::from_index);
                        TimeRange::clamped(first.start(), last.next().start())
                    }),
                    active_days: active.map_or(0, |active| active.days),
                    key: series.key,
                });
            }
            all.sort_by(|a, b| (&a.key, a.kind).cmp(&(&b.key, b.kind)));
            Ok(all)
        })
    }

    /// What the parts of the file take; `None` where the SQLite library cannot tell. Reads the whole file.
    ///
    /// # Errors
    ///
    /// As [`Reader::activity`].
    pub fn space(&self) -> Result<Option<Space>, Error> {
        let space = self.read(|snapshot| snapshot.space())?;
        Ok(space.map(|space| {
            let survey::Space { counts, sums, sketches, values, other, free } = space;
            Space { counts, sums, sketches, values, other, free }
        }))
    }
}
