//! What people would use instead, each in its strongest form.

pub(crate) mod hyperloglog;
pub(crate) mod metrics;
pub(crate) mod redis;
pub(crate) mod sqlite;
