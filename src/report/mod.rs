//! From stored buckets to numbers.

pub(crate) mod activity;
mod ahead;
mod arrived;
mod asked;
pub(crate) mod backup;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod evaluate;
pub(crate) mod known;
mod many;
pub(crate) mod metric;
mod pair;
pub(crate) mod query;
pub(crate) mod reader;
