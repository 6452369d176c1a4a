//! Reading what can be read of a table: from both ends up to the damage, and from the middle of what is left, again and again.

use std::collections::VecDeque;

use rusqlite::types::Value;
use rusqlite::{Connection, params};

/// So many places of a table are looked at from; what is left then is lost.
const MAX_PROBES: u32 = 4_096;

/// The first two columns of a row.
pub(super) type Key = (i64, i64);

/// Keys from the first up to before the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Gap {
    pub(super) low: Key,
    pub(super) high: Key,
}

/// The statements that read the rows of a table from a key on, up to before another one, in both orders.
pub(super) struct Harvest<'a> {
    pub(super) connection: &'a Connection,
    pub(super) up: &'a str,
    pub(super) down: &'a str,
    /// Whether rows with the same first two columns differ in the third one.
    pub(super) is_wide: bool,
    /// No first column of a row is this large, nor a second one.
    pub(super) horizon: Key,
}

/// Why a scan ended.
enum End {
    /// Every row was read.
    Reached,
    /// The last key that was read before the damage, if any was.
    Broken(Option<Key>),
}

impl Harvest<'_> {
    /// Shows each row that can be read within the gaps once; returns where rows may be that cannot.
    pub(super) fn run(
        &self,
        gaps: impl IntoIterator<Item = Gap>,
        visit: &mut dyn FnMut(&[Value]),
    ) -> Vec<Gap> {
        let mut waiting: VecDeque<Gap> = gaps.into_iter().collect();
        let (mut lost, mut probes) = (Vec::new(), 0);
        while let Some(mut gap) = waiting.pop_front() {
            if probes >= MAX_PROBES {
                lost.push(gap);
                continue;
            }
            probes += 1;
            match self.scan(self.up, gap, true, visit) {
                End::Reached => continue,
                // Of several rows of one key some may be behind the damage: these are met twice.
                End::Broken(Some(last)) if self.is_wide => gap.low = last,
                End::Broken(Some(last)) => gap.low = after(last),
                End::Broken(None) => {}
            }
            match self.scan(self.down, gap, false, visit) {
                End::Reached => continue,
                End::Broken(Some(last)) if self.is_wide => gap.high = after(last),
                End::Broken(Some(last)) => gap.high = last,
                End::Broken(None) => {}
            }
            gap.high = gap.high.min((self.horizon.0, 0));
            if gap.low >= gap.high {
                continue;
            }
            match self.middle(gap) {
                Some(middle) => {
                    waiting.push_back(Gap { low: gap.low, high: middle });
                    waiting.push_back(Gap { low: middle, high: gap.high });
                }
                None => lost.push(gap),
            }
        }
        merged(lost)
    }

    /// A key between the ends of a gap, if there is one.
    fn middle(&self, Gap { low, high }: Gap) -> Option<Key> {
        let between = |low: i64, high: i64| low + (high - low) / 2;
        if high.0.saturating_sub(low.0) > 1 {
            return Some((between(low.0, high.0), 0));
        }
        if high.0 > low.0 && high.1 > 0 {
            return Some((high.0, 0));
        }
        let end = if high.0 > low.0 { self.horizon.1 } else { high.1.min(self.horizon.1) };
        let start = low.1.max(0);
        (end.saturating_sub(start) > 1).then(|| (low.0, between(start, end)))
    }

    fn scan(&self, sql: &str, gap: Gap, is_up: bool, visit: &mut dyn FnMut(&[Value])) -> End {
        let mut last = None;
        let ended = self.try_scan(sql, gap, is_up, &mut last, visit);
        if matches!(ended, Ok(true)) { End::Reached } else { End::Broken(last) }
    }

    /// Whether the scan went through. Rows that are out of order are damage: of a page that is in two places, or leads back.
    fn try_scan(
        &self,
        sql: &str,
        gap: Gap,
        is_up: bool,
        last: &mut Option<Key>,
        visit: &mut dyn FnMut(&[Value]),
    ) -> rusqlite::Result<bool> {
        let mut select = self.connection.prepare_cached(sql)?;
        let columns = select.column_count();
        let mut rows = select.query(params![gap.low.0, gap.low.1, gap.high.0, gap.high.1])?;
        let mut values = Vec::with_capacity(columns);
        let mut last_part = None;
        while let Some(row) = rows.next()? {
            values.clear();
            for column in 0..columns {
                values.push(row.get::<_, Value>(column)?);
            }
            let key = match (values.first(), values.get(1)) {
                (Some(Value::Integer(first)), Some(Value::Integer(second))) => (*first, *second),
                _ => return Ok(false),
            };
            let part = match values.get(2) {
                Some(Value::Integer(part)) if self.is_wide => *part,
                _ => 0,
            };
            let is_next = match (*last, last_part) {
                (Some(last), Some(last_part)) if is_up => (key, part) > (last, last_part),
                (Some(last), Some(last_part)) => (key, part) < (last, last_part),
                _ => true,
            };
            if !is_next || key < gap.low || key >= gap.high {
                return Ok(false);
            }
            visit(&values);
            (*last, last_part) = (Some(key), Some(part));
        }
        Ok(true)
    }
}

/// The next key.
fn after(key: Key) -> Key {
    (key.0, key.1.saturating_add(1))
}

/// Gaps in order, those that touch as one.
fn merged(mut gaps: Vec<Gap>) -> Vec<Gap> {
    gaps.sort_unstable();
    let mut merged: Vec<Gap> = Vec::new();
    for gap in gaps {
        match merged.last_mut() {
            Some(last) if last.high >= gap.low => last.high = last.high.max(gap.high),
            _ => merged.push(gap),
        }
    }
    merged
}
