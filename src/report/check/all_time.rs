//! The check of what has no day: the rows of all time against those of all days, and the ledger.

use std::collections::{BTreeMap, BTreeSet};

use crate::definition::rule::RuleKind;
use crate::error::Error;
use crate::report::check::Law;
use crate::report::check::days::Checking;
use crate::report::check::parts::Tally;
use crate::sketch::Sketch;
use crate::storage::batch::SeriesId;
use crate::time::bucket::{Bucket, Granularity};

const WHEN: &str = "all time";
const OF_DAYS: &str = "the days";

impl Checking<'_> {
    pub(super) fn check_all_time(&mut self) -> Result<(), Error> {
        let all_time = Bucket::ALL_TIME..Bucket::ALL_TIME.next();
        let snapshot = self.snapshot;
        let are_all_kept = snapshot.extent()?.kept_from.1 == 0;
        let mut counts = Vec::new();
        snapshot.counts(all_time.clone(), &mut |series, count| counts.push((series, count)))?;
        let mut wholes = BTreeMap::new();
        for (series, count) in counts {
            self.met(series, RuleKind::Count, WHEN);
            let count = self.tally(series, count, WHEN);
            wholes.insert(series, count);
        }
        // Also of days that have no rows any more.
        for (series, _) in self.lost.iter().filter(|(_, bucket)| *bucket >= Granularity::Day.first().number())
        {
            self.counts.entry(*series).or_default().add(Tally::UNKNOWN);
            self.sums.entry(*series).or_default().add(None);
        }
        let is_lost = |lost: &BTreeSet<_>, series| lost.contains(&(series, Bucket::ALL_TIME.number()));
        for series in self.totals.values().filter(|series| is_lost(&self.lost, **series)) {
            wholes.insert(*series, Tally::UNKNOWN);
        }
        if are_all_kept {
            let mut parts = std::mem::take(&mut self.counts);
            parts.retain(|series, _| !is_lost(&self.lost, *series));
            wholes.retain(|series, _| {
                !is_lost(&self.lost, *series) || self.totals.values().any(|total| total == series)
            });
            self.compare(&parts, &wholes, OF_DAYS, WHEN);
        }
        self.check_ledger(&wholes)?;
        let mut sums = Vec::new();
        snapshot.sums(all_time.clone(), &mut |series, sum| sums.push((series, sum)))?;
        for (series, sum) in sums {
            let sum = self.sound_sum(series, sum, WHEN);
            let parts = self.sums.remove(&series).unwrap_or_default();
            if are_all_kept && !is_lost(&self.lost, series) && parts.differ_from(sum) {
                self.unlike(series, parts, sum.unwrap_or_default().value(), OF_DAYS, WHEN);
            }
        }
        for (series, parts) in std::mem::take(&mut self.sums) {
            if parts.are_known() {
                self.unlike(series, parts, "none", OF_DAYS, WHEN);
            }
        }
        let mut values = Vec::new();
        snapshot.values(all_time.clone(), &mut |series, value, count| values.push((series, value, count)))?;
        for (series, value, count) in values {
            let whole = self.met_value(series, value, count, WHEN);
            let part = self.values.remove(&(series, value)).unwrap_or_default();
            if are_all_kept && !self.set_aside.contains(&series) && part.differs_from(whole) {
                self.unlike(series, part, whole, &format!("the days of value {value}"), WHEN);
            }
        }
        for ((series, value), part) in std::mem::take(&mut self.values) {
            if !self.set_aside.contains(&series) && part.differs_from(Tally::default()) {
                self.unlike(series, part, "none", &format!("the days of value {value}"), WHEN);
            }
        }
        snapshot.sketches(all_time, &mut |series, blob| {
            let sketch = self.decode(series, blob, WHEN);
            let days = self.sketches.remove(&series).unwrap_or_default();
            let Some(mut sketch) = sketch else { return };
            let is_whole = are_all_kept && !days.is_short && !self.set_aside.contains(&series);
            let mut union = days.union;
            if is_whole && union.unite(&sketch) {
                self.unlike_sketch(series, "has some that the sketches of the days before its cursor lack");
            }
            if sketch.unite(&union) {
                self.unlike_sketch(series, "lacks some that the sketches of days have");
            }
        })?;
        for (series, days) in std::mem::take(&mut self.sketches) {
            if days.union != Sketch::new() {
                self.unlike_sketch(series, "lacks some that the sketches of days have");
            }
        }
        Ok(())
    }

    fn unlike_sketch(&mut self, series: SeriesId, fault: &str) {
        let place = self.place(series);
        self.check.find(Law::Conservation, format_args!("{place}: the sketch of all time {fault}"));
    }

    /// Each stored event has counted once in the total of its event.
    fn check_ledger(&mut self, counts: &BTreeMap<SeriesId, Tally>) -> Result<(), Error> {
        let snapshot = self.snapshot;
        let Some(ledger) = self.reads(snapshot.ledger())? else { return Ok(()) };
        for (entry, ..) in &ledger {
            if !["stored", "refused", "lost", "noted"].contains(&entry.as_str()) {
                self.check.find(
                    Law::Consistency,
                    format_args!("the ledger has an entry `{entry}` that no version writes"),
                );
            }
        }
        let stored = ledger
            .into_iter()
            .find_map(|(entry, _, count)| (entry == "stored").then_some(Tally::of(count)))
            .unwrap_or_default();
        let mut counted = Tally::default();
        for count in self.totals.values().filter_map(|series| counts.get(series)) {
            counted.add(*count);
        }
        if counted.differs_from(stored) {
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
