//! The bench on which a store meets disks that fail, fill up and lose power: a SQLite VFS that stands between SQLite and the
//! system, workloads, and oracles that know nothing of the store's code.
//!
//! For Linux: the calls of the C library that the store makes itself are taken over by their names.
#![cfg(target_os = "linux")]

pub mod chance;
pub mod disk;
pub mod image;
pub mod model;
pub mod oracle;
pub mod run;
mod shim;
pub mod tape;
pub mod workload;
