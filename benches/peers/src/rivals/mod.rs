//! What people would use instead, each in its strongest form.

pub(crate) mod redis;
pub(crate) mod sqlite;
