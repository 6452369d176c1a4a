//! The tables with buckets, each of which is read on its own around what is damaged.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::definition::rule::RuleKind;
use crate::error::Error;
use crate::storage::batch::SeriesId;
use crate::storage::salvaged::Salvage;
use crate::storage::sqlite::failure::During;
use crate::storage::sqlite::salvage::harvest::{Gap, Harvest};
use crate::storage::sqlite::salvage::{SALVAGING, WRITING};
use crate::storage::sqlite::schema::kind_of;
use crate::storage::sum::Sum;
use crate::time::bucket::{Bucket, Day, Granularity, Hour};
use crate::time::timestamp::Timestamp;

/// Nothing is searched behind this many seconds from now: no clock that counts runs ahead as far.
const AHEAD_SECONDS: i64 = 2 * 86_400;

/// A table with buckets.
pub(super) struct BucketTable {
    pub(super) name: &'static str,
    up: &'static str,
    down: &'static str,
    put: &'static str,
    kind: RuleKind,
    has_hours: bool,
    is_wide: bool,
    is_sound: fn(&[Value]) -> bool,
}

pub(super) const COUNTS: BucketTable = BucketTable {
    name: "counts",
    up: "SELECT bucket, series, count FROM counts WHERE (bucket, series) >= (?1, ?2) AND (bucket, series) < (?3, ?4)
         ORDER BY bucket, series",
    down: "SELECT bucket, series, count FROM counts WHERE (bucket, series) >= (?1, ?2) AND (bucket, series) < (?3, ?4)
         ORDER BY bucket DESC, series DESC",
    put: "INSERT OR IGNORE INTO counts (bucket, series, count) VALUES (?1, ?2, ?3)",
    kind: RuleKind::Count,
    has_hours: true,
    is_wide: false,
    is_sound: |row| matches!(row, [_, _, Value::Integer(0..)]),
};

pub(super) const SUMS: BucketTable = BucketTable {
    name: "sums",
    up: "SELECT bucket, series, sum, carry, saturated FROM sums
         WHERE (bucket, series) >= (?1, ?2) AND (bucket, series) < (?3, ?4) ORDER BY bucket, series",
    down:
        "SELECT bucket, series, sum, carry, saturated FROM sums
         WHERE (bucket, series) >= (?1, ?2) AND (bucket, series) < (?3, ?4) ORDER BY bucket DESC, series DESC",
    put: "INSERT OR IGNORE INTO sums (bucket, series, sum, carry, saturated) VALUES (?1, ?2, ?3, ?4, ?5)",
    kind: RuleKind::Sum,
    has_hours: true,
    is_wide: false,
    is_sound: |row| match row {
        [_, _, Value::Real(sum), Value::Real(carry), Value::Integer(saturated @ (0 | 1))] => {
            Sum::from_parts(*sum, *carry, *saturated == 1).is_some()
        }
        _ => false,
    },
};

pub(super) const VALUES: BucketTable = BucketTable {
    name: "per_value",
    up: "SELECT bucket, series, value, count FROM per_value
         WHERE (bucket, series) >= (?1, ?2) AND (bucket, series) < (?3, ?4) ORDER BY bucket, series, value",
    down: "SELECT bucket, series, value, count FROM per_value
         WHERE (bucket, series) >= (?1, ?2) AND (bucket, series) < (?3, ?4)
         ORDER BY bucket DESC, series DESC, value DESC",
    put: "INSERT OR IGNORE INTO per_value (bucket, series, value, count) VALUES (?1, ?2, ?3, ?4)",
    kind: RuleKind::PerValue,
    has_hours: false,
    is_wide: true,
    is_sound: |row| matches!(row, [_, _, Value::Integer(0..=1_000), Value::Integer(0..)]),
};

/// Which series and buckets a store can have.
pub(super) struct Places {
    pub(super) series: BTreeMap<i64, (String, Option<RuleKind>)>,
    /// The values that have names.
    names: BTreeSet<(i64, i64)>,
    last_hour: Hour,
    last_day: Day,
}

impl Places {
    pub(super) fn new(store: &Connection, now: Timestamp) -> Result<Self, Error> {
        let mut select = store.prepare("SELECT id, key, kind FROM series").during(SALVAGING)?;
        let rows = select
            .query_map([], |row| Ok((row.get(0)?, (row.get(1)?, kind_of(row.get(2)?)))))
            .during(SALVAGING)?;
        let series = rows.collect::<rusqlite::Result<_>>().during(SALVAGING)?;
        let mut select = store.prepare("SELECT series, value FROM value_names").during(SALVAGING)?;
        let names = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).during(SALVAGING)?;
        let names = names.collect::<rusqlite::Result<_>>().during(SALVAGING)?;
        let last = now.plus_seconds(AHEAD_SECONDS);
        Ok(Self { series, names, last_hour: Hour::of(last), last_day: Day::of(last) })
    }

    pub(super) fn key(&self, series: i64) -> Option<String> {
        self.series.get(&series).map(|(key, _)| key.clone())
    }

    pub(super) fn of_kind(&self, kind: RuleKind) -> impl Iterator<Item = SeriesId> {
        self.series.iter().filter(move |(_, (_, own))| *own == Some(kind)).map(|(id, _)| SeriesId(*id))
    }

    pub(super) fn has(&self, series: i64, kind: RuleKind) -> bool {
        self.series.get(&series).is_some_and(|(_, own)| *own == Some(kind))
    }

    /// The numbers of all buckets of a granularity, and what none is as large as in this store.
    pub(super) fn range(&self, granularity: Granularity) -> (Gap, i64) {
        let ends = |first: Bucket, end: Bucket| Gap { low: (first.number(), 0), high: (end.number(), 0) };
        let (first, end) = (granularity.first(), granularity.end());
        match granularity {
            Granularity::AllTime => (ends(Bucket::ALL_TIME, Bucket::ALL_TIME.next()), 1),
            Granularity::Hour => (ends(first, end), Bucket::hour(self.last_hour).number()),
            Granularity::Day => (ends(first, end), Bucket::day(self.last_day).number()),
            // They stand in a table of their own.
            Granularity::Week => (ends(first, first), 0),
        }
    }

    /// Whether the value of a row has a name, or needs none.
    fn is_named(&self, row: &[Value]) -> bool {
        match row {
            [_, Value::Integer(series), Value::Integer(value), _] => {
                *value == 0 || self.names.contains(&(*series, *value))
            }
            _ => false,
        }
    }

    pub(super) fn last_series(&self) -> i64 {
        self.series.last_key_value().map_or(0, |(id, _)| *id)
    }
}

/// Where rows may be missing.
#[derive(Default)]
pub(super) struct Missing {
    pub(super) gaps: Vec<Gap>,
    /// Single rows that were there, but are none.
    pub(super) cells: BTreeSet<(i64, i64)>,
}

impl Missing {
    pub(super) fn may_be(&self, bucket: i64, series: i64) -> bool {
        let key = (bucket, series);
        self.cells.contains(&key) || self.gaps.iter().any(|gap| gap.low <= key && key < gap.high)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.gaps.is_empty() && self.cells.is_empty()
    }
}

/// Copies every row that can be read and that this version could have written; returns where others may have been.
pub(super) fn copy(
    table: &BucketTable,
    from: &Connection,
    to: &Connection,
    places: &Places,
    salvage: &mut Salvage,
) -> Result<Missing, Error> {
    let mut missing = Missing::default();
    let mut put = to.prepare(table.put).during(WRITING)?;
    let (mut rows, mut beyond, mut orphans) = (0, 0_u64, BTreeMap::<i64, u64>::new());
    let mut failure = None;
    let granularities: &[Granularity] = match table.has_hours {
        true => &[Granularity::AllTime, Granularity::Hour, Granularity::Day],
        false => &[Granularity::AllTime, Granularity::Day],
    };
    for granularity in granularities {
        let (range, horizon) = places.range(*granularity);
        let harvest = Harvest {
            connection: from,
            up: table.up,
            down: table.down,
            is_wide: table.is_wide,
            horizon: (horizon, places.last_series() + 1),
        };
        missing.gaps.extend(harvest.run([range], &mut |row| {
            let (bucket, series) = match row {
                [Value::Integer(bucket), Value::Integer(series), ..] => (*bucket, *series),
                _ => return,
            };
            if !places.has(series, table.kind) {
                *orphans.entry(series).or_default() += 1;
            } else if bucket >= horizon {
                // It stood elsewhere, which what adds up to the same shows.
                beyond += 1;
            } else if !(table.is_sound)(row) || table.is_wide && !places.is_named(row) {
                missing.cells.insert((bucket, series));
            } else {
                match put.execute(params_from_iter(row)) {
                    Ok(new) => rows += new as u64,
                    Err(error) => failure = Some(error),
                }
            }
        }));
    }
    if let Some(error) = failure {
        return Err(error).during(WRITING);
    }
    salvage.count_read(table.name, rows);
    for (series, rows) in orphans {
        let message = format!(
            "{rows} rows of a series whose name is lost, or that is of another kind: number {series}"
        );
        salvage.lose(table.name, places.key(series), None, message);
    }
    if beyond > 0 {
        salvage.lose(table.name, None, None, format!("{beyond} rows of a time that is to come"));
    }
    for gap in &missing.gaps {
        let message = "these rows could not be read; what follows from others is made again";
        salvage.lose(table.name, None, Some(gap_name(*gap)), message);
    }
    Ok(missing)
}

/// How the buckets of a gap are called.
pub(super) fn gap_name(gap: Gap) -> String {
    let last = if gap.high.1 > 0 { gap.high.0 } else { gap.high.0 - 1 };
    let (first, last) = (bucket_name(gap.low.0), bucket_name(last.max(gap.low.0)));
    if first == last { first } else { format!("{first} to {last}") }
}

/// `all time`, `2026-11-22`, `2026-11-22T10`.
pub(super) fn bucket_name(bucket: i64) -> String {
    let index = |granularity: Granularity| {
        let within = (granularity.first().number()..granularity.end().number()).contains(&bucket);
        within.then(|| u32::try_from(bucket - granularity.first().number()).ok()).flatten()
    };
    let text = |at: Timestamp, length: usize| at.to_string().chars().take(length).collect::<String>();
    match (index(Granularity::Hour), index(Granularity::Day)) {
        (Some(hour), _) => text(Hour::from_index(hour).start(), "2026-11-22T10".len()),
        (_, Some(day)) => text(Day::from_index(day).start(), "2026-11-22".len()),
        _ if bucket == 0 => "all time".to_owned(),
        _ => format!("bucket {bucket}"),
    }
}
