//! The fuzz targets' checks without a fuzzer: each file of the corpus, and seeded mutations of it.
//!
//! What a fuzzer finds becomes a file of the corpus, and from then on every test run holds it.
#![cfg(feature = "yaml")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

#[path = "../fuzz/checks.rs"]
mod checks;

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

/// Mutations of all files of a target together.
const MUTATIONS: u64 = 3_000;
/// The same where each one makes two stores, of 1 ms each.
const MUTATIONS_OF_LINES: u64 = 1_000;
/// The same where each one is a file that is opened, checked and salvaged.
const MUTATIONS_OF_STORES: u64 = 60;
const SEED: u64 = 20_261_122;

#[test]
fn definitions_load_or_name_their_problems() {
    replay("definitions", MUTATIONS, checks::definitions);
}

#[test]
fn encoded_sketches_are_refused_or_taken_exactly() {
    replay("sketch_blob", MUTATIONS, checks::sketch_blob);
}

#[test]
fn redis_strings_are_refused_or_taken_exactly() {
    replay("hyll", MUTATIONS, checks::hyll);
}

#[test]
fn lines_of_json_are_counted_once_or_rejected() {
    replay("ndjson", MUTATIONS_OF_LINES, checks::ndjson);
}

#[test]
fn bundles_are_refused_or_taken_exactly() {
    replay("bundle", MUTATIONS, checks::bundle);
}

#[test]
fn damaged_stores_answer_or_say_why_not() {
    replay("store_file", MUTATIONS_OF_STORES, checks::store_file);
}

fn replay(target: &str, mutations: u64, check: fn(&[u8])) {
    let corpus = corpus(target);
    assert!(corpus.len() > 2, "the corpus of {target} is missing");
    for (name, bytes) in &corpus {
        let outcome = panic::catch_unwind(|| check(bytes));
        assert!(outcome.is_ok(), "fuzz/corpus/{target}/{name} breaks the check");
    }
    let seed = std::env::var("HEADCOUNT_SEED").map_or(SEED, |seed| seed.parse().expect("a seed is a number"));
    for round in 0..mutations {
        let mut random = Random(seed.wrapping_mul(MUTATIONS).wrapping_add(round));
        let mut bytes = random.pick(&corpus).1.clone();
        for _ in 0..=random.below(3) {
            mutate(&mut bytes, &corpus, &mut random);
        }
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| check(&bytes)));
        assert!(
            outcome.is_ok(),
            "HEADCOUNT_SEED={seed} round {round} breaks the check: {}",
            bytes.escape_ascii()
        );
    }
}

/// The files of a target's corpus by name, so that a seed means the same everywhere.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

/// One small change, of the kinds that damage, cut and mixed-up files show.
fn mutate(bytes: &mut Vec<u8>, corpus: &[(String, Vec<u8>)], random: &mut Random) {
    let at = random.below(bytes.len() + 1);
    let end = (at + random.below(16)).min(bytes.len());
    match random.below(8) {
        0 => bytes.truncate(at),
        1 => drop(bytes.drain(at..end)),
        2 => bytes.insert(at, random.next() as u8),
        3 => {
            let repeated = bytes[at..end].to_vec();
            bytes.splice(at..at, repeated);
        }
        4 => {
            let other = &random.pick(corpus).1;
            let from = random.below(other.len() + 1);
            let to = (from + random.below(64)).min(other.len());
            bytes.splice(at..end, other[from..to].iter().copied());
        }
        5 => {
            const TELLING: [&[u8]; 12] = [
                b"\n",
                b"\0",
                b"\xff\xff",
                b"\"",
                b"{",
                b"]",
                b": ",
                b"- ",
                b"1e999",
                b"-0",
                b"\\u0000",
                b"\x80\x80",
            ];
            bytes.splice(at..at, random.pick(&TELLING).iter().copied());
        }
        6 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
        _ if at < bytes.len() => bytes[at] = random.next() as u8,
        _ => bytes.push(random.next() as u8),
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below the bound, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
