//! From stored buckets to numbers.

pub(crate) mod activity;
pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod compare;
mod evaluate;
pub(crate) mod metric;
mod pair;
pub(crate) mod query;
pub(crate) mod reader;
