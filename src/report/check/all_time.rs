//! The check of what has no day: the rows of all time against those of all days, and the ledger.

use std::collections::BTreeMap;

use crate::definition::rule::RuleKind;
use crate::error::Error;
use crate::report::check::Law;
use crate::report::check::days::{Checking, LARGEST_COUNT};
use crate::storage::batch::SeriesId;
use crate::storage::sum::Sum;
use crate::time::bucket::Bucket;

impl Checking<'_> {
    pub(super) fn check_all_time(&mut self) -> Result<(), Error> {
        const WHEN: &str = "all time";
        let all_time = Bucket::ALL_TIME..Bucket::ALL_TIME.next();
        let snapshot = self.snapshot;
        let are_all_kept = snapshot.kept_from()?.1 == 0;
        let mut counts = Vec::new();
        snapshot.counts(all_time.clone(), &mut |series, count| counts.push((series, count)))?;
        let mut wholes = BTreeMap::new();
        for (series, count) in counts {
            self.owns(series, RuleKind::Count, WHEN);
            let count = self.unsigned(series, count, WHEN);
            wholes.insert(series, count);
        }
        if are_all_kept {
            let parts = std::mem::take(&mut self.counts);
            self.compare(&parts, &wholes, "the days", WHEN);
        }
        self.check_ledger(&wholes)?;
        let mut sums = Vec::new();
        snapshot.sums(all_time.clone(), &mut |series, sum| sums.push((series, sum)))?;
        for (series, sum) in sums {
            self.owns(series, RuleKind::Sum, WHEN);
            let sum = self.sound_sum(series, sum, WHEN);
            let parts = self.sums.remove(&series).unwrap_or_default();
            if are_all_kept && parts.differ_from(sum) {
                self.unlike_sum(series, parts, sum, "the days", WHEN);
            }
        }
        for (series, parts) in std::mem::take(&mut self.sums) {
            self.unlike_sum(series, parts, Sum::default(), "the days", WHEN);
        }
        let mut values = Vec::new();
        snapshot.values(all_time.clone(), &mut |series, value, count| values.push((series, value, count)))?;
        for (series, value, count) in values {
            self.owns(series, RuleKind::PerValue, WHEN);
            let whole = self.unsigned(series, count, WHEN);
            let part = self.values.remove(&(series, value)).unwrap_or_default();
            if are_all_kept && part != whole {
                self.unlike_value(series, value, part, whole);
            }
        }
        for ((series, value), part) in std::mem::take(&mut self.values) {
            self.unlike_value(series, value, part, 0);
        }
        snapshot.sketches(all_time, &mut |series, blob| {
            let Some(mut sketch) = self.decode(series, blob, WHEN) else { return };
            if self.sketches.remove(&series).is_some_and(|days| sketch.unite(&days)) {
                self.lacking(series);
            }
        })?;
        for (series, days) in std::mem::take(&mut self.sketches) {
            if !days.is_empty() {
                self.lacking(series);
            }
        }
        Ok(())
    }

    fn unlike_value(&mut self, series: SeriesId, value: i64, part: u64, whole: u64) {
        let place = self.place(series);
        self.check.find(
            Law::Conservation,
            format_args!("{place}: the days of value {value} add up to {part}, all time has {whole}"),
        );
    }

    fn lacking(&mut self, series: SeriesId) {
        let place = self.place(series);
        self.check.find(
            Law::Conservation,
            format_args!("{place}: the sketch of all time lacks some that the sketches of days have"),
        );
    }

    /// Each stored event has counted once in the total of its event.
    fn check_ledger(&mut self, counts: &BTreeMap<SeriesId, u64>) -> Result<(), Error> {
        let stored = self
            .snapshot
            .ledger()?
            .into_iter()
            .find_map(|(entry, _, count)| (entry == "stored").then_some(count))
            .unwrap_or_default();
        let totals = self.totals.values().filter_map(|series| counts.get(series));
        let counted = totals.fold(0_u64, |sum, count| sum.saturating_add(*count)).min(LARGEST_COUNT);
        if counted != stored {
            self.check.find(
                Law::Conservation,
                format_args!(
                    "the ledger says that {stored} events are stored, the totals of all events are {counted}"
                ),
            );
        }
        Ok(())
    }
}
