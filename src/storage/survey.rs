//! Looking through a whole store: what is in it, how large it is, and every row for a check.

use std::ops::Range;

use crate::definition::rule::RuleKind;
use crate::error::Error;
use crate::storage::batch::SeriesId;
use crate::storage::sum::Sum;
use crate::time::bucket::{Bucket, Day};

/// One moment of the store, all of it. Buckets are half-open ranges; rows come in the order of bucket and series.
pub(crate) trait Survey {
    /// Every series with its key; of kinds that this version knows.
    fn all_series(&self) -> Result<Vec<KeyedSeries>, Error>;

    /// The days of every series that has any; a series has rows in one table only.
    fn activity(&self) -> Result<Vec<Activity>, Error>;

    /// What the parts of the file take, if the library can tell. Reads the whole file.
    fn space(&self) -> Result<Option<Space>, Error>;

    /// What the storage itself finds wrong with its pages, rows and indexes, up to 100 messages.
    fn faults(&self) -> Result<Vec<String>, Error>;

    fn counts(&self, buckets: Range<Bucket>, visit: &mut dyn FnMut(SeriesId, i64)) -> Result<(), Error>;

    /// `None` stands for a row that is no sum.
    fn sums(&self, buckets: Range<Bucket>, visit: &mut dyn FnMut(SeriesId, Option<Sum>))
    -> Result<(), Error>;

    fn values(&self, buckets: Range<Bucket>, visit: &mut dyn FnMut(SeriesId, i64, i64)) -> Result<(), Error>;

    fn sketches(&self, buckets: Range<Bucket>, visit: &mut dyn FnMut(SeriesId, &[u8])) -> Result<(), Error>;

    /// The names of values: series, number, text.
    fn value_names(&self, visit: &mut dyn FnMut(SeriesId, i64, &str)) -> Result<(), Error>;

    /// Up to where the sketches of all time have been united.
    fn cursor(&self) -> Result<(i64, i64), Error>;

    /// The first day from this one on that any table has rows of.
    fn next_day(&self, from: Day) -> Result<Option<Day>, Error>;

    /// Rows whose buckets this version never writes, of up to 100 series.
    fn strange_buckets(&self) -> Result<Vec<Strange>, Error>;

    /// What is kept about up to 100 series that do not exist, besides rows with a bucket.
    fn orphans(&self) -> Result<Vec<Orphan>, Error>;
}

/// A series and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyedSeries {
    pub(crate) id: SeriesId,
    pub(crate) key: String,
    pub(crate) kind: Option<RuleKind>,
    /// Whether its kind is one that this version leaves to later ones.
    pub(crate) is_reserved: bool,
}

/// Rows of one series in buckets that this version never writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Strange {
    pub(crate) series: SeriesId,
    pub(crate) rows: u64,
    /// The first of the buckets.
    pub(crate) bucket: i64,
}

/// A series that does not exist, and a table that knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Orphan {
    pub(crate) series: SeriesId,
    pub(crate) table: String,
}

/// The days on which a series has rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Activity {
    pub(crate) series: SeriesId,
    pub(crate) first_day: u32,
    pub(crate) last_day: u32,
    pub(crate) days: u64,
}

/// Bytes by what they hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Space {
    pub(crate) counts: u64,
    pub(crate) sums: u64,
    pub(crate) sketches: u64,
    pub(crate) values: u64,
    pub(crate) other: u64,
    pub(crate) free: u64,
}
