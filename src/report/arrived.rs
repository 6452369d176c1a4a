//! What arrived as whole weeks and as all time, in answers: it has no days, so that a week is in an answer or not.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::error::Error;
use crate::report::asked::{Asked, lost_sketch};
use crate::sketch::union::Union;
use crate::storage::arrival::{Amount, Frame};
use crate::storage::sum::Sum;
use crate::storage::{Extent, Snapshot};
use crate::time::range::TimeRange;
use crate::time::timestamp::Timestamp;

/// A running total of one kind.
pub(super) enum Total<'a> {
    Count(u64),
    Sum(Sum),
    Unique(Cow<'a, Union>),
    PerValue(BTreeMap<String, BTreeMap<String, u64>>),
}

/// Which part of what arrived is asked for.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// All of it.
    All,
    /// The weeks that lie in the range, and end by the instant if there is one.
    Within(TimeRange, Option<Timestamp>),
}

/// Adds what arrived of a series; says whether some of it lies across an edge of the part, so that the total may lack it.
pub(super) fn add(
    total: &mut Total<'_>,
    snapshot: &dyn Snapshot,
    extent: &Extent,
    series: &Asked,
    part: Part,
) -> Result<bool, Error> {
    let Some(arrived) = extent.arrived else { return Ok(false) };
    if let Part::Within(range, None) = part
        && arrived.weeks.is_none_or(|(_, last)| last.next().start() <= range.from())
    {
        return Ok(false);
    }
    let (mut has_all_time, mut is_cut) = (false, false);
    snapshot.arrived(series.id, &mut |frame, amount| {
        let is_asked = match (frame, part) {
            (Frame::AllTime, Part::All) => {
                has_all_time = true;
                true
            }
            // How much of it had come by then nobody knows.
            (Frame::AllTime, Part::Within(_, as_of)) => {
                is_cut |= as_of.is_some();
                false
            }
            // Numbers of all time have their weeks in them; sketches may not, and unite.
            (Frame::Week(_), Part::All) => !has_all_time || matches!(amount, Amount::Unique(_)),
            (Frame::Week(week), Part::Within(range, as_of)) => {
                let (start, end) = (week.start(), week.next().start());
                let to = as_of.map_or(range.to(), |as_of| as_of.min(range.to()));
                let is_within = range.from() <= start && end <= to;
                is_cut |= !is_within && range.from() < end && start < to;
                is_within
            }
        };
        if is_asked { add_amount(total, series, frame, amount) } else { Ok(()) }
    })?;
    Ok(is_cut)
}

fn add_amount(total: &mut Total<'_>, series: &Asked, frame: Frame, amount: Amount<'_>) -> Result<(), Error> {
    match (total, amount) {
        (Total::Count(total), Amount::Count(count)) => *total = total.saturating_add(count),
        (Total::Sum(total), Amount::Sum(sum)) => total.add(sum),
        (Total::Unique(union), Amount::Unique(blob)) => {
            let which = match frame {
                Frame::AllTime => "that arrived".to_owned(),
                Frame::Week(week) => format!("that arrived of {week}"),
            };
            union
                .to_mut()
                .unite_blob(blob)
                .map_err(|error| lost_sketch(series.id, &which, &error.to_string()))?;
        }
        (Total::PerValue(properties), Amount::PerValue(value, count)) => {
            let values = properties.entry(series.property.clone()).or_default();
            let total = values.entry(value.to_owned()).or_default();
            *total = total.saturating_add(count);
        }
        // A row is read as what its series is.
        _ => {}
    }
    Ok(())
}
