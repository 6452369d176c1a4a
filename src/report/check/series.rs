//! The check of what all rows refer to: series, when they were recorded, the names of values, and what has neither day nor series.

use std::collections::BTreeMap;

use crate::definition::rule::RuleKind;
use crate::error::{Error, ErrorKind};
use crate::report::check::Law;
use crate::report::check::days::{Checking, Stray, name_of};
use crate::report::reader::stored_definitions;
use crate::storage::batch::SeriesId;
use crate::storage::survey::KeyedSeries;
use crate::storage::{MAX_VALUES_PER_SERIES, Span};

impl Checking<'_> {
    pub(super) fn check_series(&mut self) -> Result<(), Error> {
        for series in self.snapshot.all_series()? {
            match series.kind {
                Some(kind) => self.check_recorded(&series, kind)?,
                None if series.is_reserved => {}
                None => self.check.find(
                    Law::Consistency,
                    format_args!("series `{}` is of a kind that no version writes", series.key),
                ),
            }
            if series.kind == Some(RuleKind::Count) && !series.key.contains('-') {
                self.totals.insert(series.key.clone(), series.id);
            }
            self.series.insert(series.id, series);
        }
        self.check_names()?;
        for orphan in self.snapshot.orphans()? {
            let place = self.place(orphan.series);
            self.check.find(
                Law::Consistency,
                format_args!("{place} does not exist, but `{}` has rows of it", orphan.table),
            );
        }
        for strange in self.snapshot.strange_buckets()? {
            let place = self.place(strange.series);
            let rows =
                if strange.rows == 1 { "1 row stands" } else { &format!("{} rows stand", strange.rows) };
            self.check.find(
                Law::Consistency,
                format_args!("{place}: {rows} in buckets that no version writes, such as {}", strange.bucket),
            );
        }
        let snapshot = self.snapshot;
        self.reads(stored_definitions(snapshot))?;
        self.reads(snapshot.sources(usize::MAX))?;
        self.reads(snapshot.marks())?;
        Ok(())
    }

    /// Finds a row that is not what it should be; other failures are none of the store.
    pub(super) fn reads<T>(&mut self, read: Result<T, Error>) -> Result<Option<T>, Error> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(error) if matches!(error.kind(), ErrorKind::StoreDamaged | ErrorKind::Definitions) => {
                self.check.find(Law::Consistency, error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn check_recorded(&mut self, series: &KeyedSeries, kind: RuleKind) -> Result<(), Error> {
        let Some(stored) = self.snapshot.series(&series.key, kind)? else { return Ok(()) };
        let place = format!("series `{}`", series.key);
        for damage in stored.damaged {
            self.set_aside.insert(series.id);
            let when = name_of(damage.bucket);
            if kind == RuleKind::Unique {
                self.check.note(format_args!("{place}: the sketch of {when} was damaged and set aside"));
            } else {
                self.lost.insert((series.id, damage.bucket));
                self.check.note(format_args!("{place}: {when} was lost when the store was salvaged"));
            }
        }
        let is_backward = |span: &Span| span.until.is_some_and(|until| until < span.since);
        let overlaps = stored.recorded.windows(2).any(|pair| match pair {
            [earlier, later] => earlier.until.is_none_or(|until| until >= later.since),
            _ => false,
        });
        if overlaps || stored.recorded.iter().any(is_backward) {
            self.check.find(
                Law::Consistency,
                format_args!("{place}: the times during which it was recorded overlap"),
            );
        }
        Ok(())
    }

    fn check_names(&mut self) -> Result<(), Error> {
        let (mut strange, named) = (BTreeMap::<SeriesId, i64>::new(), &mut self.named);
        self.snapshot.value_names(&mut |series, value, text| {
            let is_number =
                usize::try_from(value).is_ok_and(|value| (1..=MAX_VALUES_PER_SERIES).contains(&value));
            if !is_number || text.is_empty() {
                strange.entry(series).or_insert(value);
            }
            named.insert((series, value));
        })?;
        self.unmet = self.named.clone();
        for (series, value) in strange {
            let place = self.place(series);
            self.check.find(
                Law::Consistency,
                format_args!("{place}: the value {value} has a number or a name that none can have"),
            );
        }
        Ok(())
    }

    /// What could only be told when all rows had been met.
    pub(super) fn tell_strays(&mut self) {
        for ((series, kind), Stray { rows, first }) in std::mem::take(&mut self.strays) {
            let place = self.place(series);
            let fault =
                if self.series.contains_key(&series) { "is of another kind" } else { "does not exist" };
            let rows = if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") };
            let table = match kind {
                RuleKind::Count => "counts",
                RuleKind::Sum => "sums",
                RuleKind::Unique => "sketches",
                RuleKind::PerValue => "values",
            };
            self.check.find(
                Law::Consistency,
                format_args!("{place} {fault}, but there is {rows} of {table}, the first of {first}"),
            );
        }
        for ((series, value), first) in std::mem::take(&mut self.nameless) {
            let place = self.place(series);
            self.check.find(
                Law::Consistency,
                format_args!("{place}: the value {value} has no name; the first of {first}"),
            );
        }
        for (series, value) in std::mem::take(&mut self.unmet) {
            let place = self.place(series);
            self.check
                .find(Law::Consistency, format_args!("{place}: the value {value} has a name, but no count"));
        }
    }
}
