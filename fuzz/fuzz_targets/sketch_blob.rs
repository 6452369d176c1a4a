//! Feeds any bytes to `checks::sketch_blob`.
#![no_main]

#[path = "../checks.rs"]
#[allow(dead_code)]
mod checks;

libfuzzer_sys::fuzz_target!(|input: &[u8]| checks::sketch_blob(input));
