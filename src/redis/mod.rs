//! Coming from Redis, and going back to it: GitLab's keys into series and weeks, and out again.

mod bring;
mod dump;
pub(crate) mod export;
mod holdings;
pub(crate) mod import;
mod keys;
mod link;
mod mark;
pub(crate) mod mirror;
pub(crate) mod names;
mod patience;
mod rdb;
mod value;
pub(crate) mod verify;
