//! From stored buckets to numbers.

pub(crate) mod activity;
mod ahead;
mod asked;
pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod compare;
mod evaluate;
mod known;
mod many;
pub(crate) mod metric;
mod pair;
pub(crate) mod query;
pub(crate) mod reader;
