//! Feeds any bytes to the checks of the reader of RDB files, which is no part of the public API: its sources are compiled in.
#![no_main]

#[path = "../../src/redis/rdb/tests/checks.rs"]
mod checks;
#[path = "../../src/error.rs"]
#[allow(dead_code)]
mod error;
#[path = "../../src/redis/rdb/mod.rs"]
#[allow(dead_code)]
mod rdb;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::check(input));
