//! From stored buckets to numbers.

mod evaluate;
pub(crate) mod metric;
pub(crate) mod query;
pub(crate) mod reader;
