//! What does it cost to hash an identifier as Redis does, beside the standard library's hash?
//!
//! The hash is private; its source stands on its own, and is compiled into this bench as it is.
#![allow(
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops where it is wrong"
)]

#[allow(dead_code, unused_imports, reason = "it has more than is measured, and tests of its own")]
#[path = "../src/hash.rs"]
mod hash;
mod rounds;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::hint::black_box;

use hash::IdHash;
use rounds::{SplitMix, Table, nanoseconds, scale};

const ROUNDS: usize = 51;
const IDS: usize = 10_000;
/// The length of an identifier that programs make themselves, as `user-000000000123456`.
const DIGITS_OF_TEXTS: usize = 15;

fn main() {
    let mut table = Table::new("ns an identifier", &["headcount", "SipHash"]);
    for (name, from, below) in [
        ("numbers of 6 digits", 100_000, 1_000_000),
        ("numbers of 8 digits", 10_000_000, 100_000_000),
        ("numbers of 1 to 8 digits", 0, 0),
    ] {
        let ids = numbers(from, below);
        let same = ids.clone();
        table
            .row(name)
            .case(move || each(&ids, |id| IdHash::of_short_decimal(*id).bits()))
            .case(move || each(&same, sip));
    }
    let texts: Vec<String> =
        numbers(0, 100_000_000).iter().map(|id| format!("user-{id:0DIGITS_OF_TEXTS$}")).collect();
    let same = texts.clone();
    table
        .row("texts of 20 bytes")
        .case(move || each(&texts, |id| IdHash::of(id.as_bytes()).bits()))
        .case(move || each(&same, sip));
    let uuids: Vec<String> = numbers(0, 100_000_000)
        .iter()
        .map(|id| format!("{id:08x}-cafe-4bad-8ace-{:012x}", u64::from(*id) * 7_919))
        .collect();
    let same = uuids.clone();
    table
        .row("texts of 36 bytes")
        .case(move || each(&uuids, |id| IdHash::of(id.as_bytes()).bits()))
        .case(move || each(&same, sip));
    table.run(ROUNDS);
}

fn each<T>(ids: &[T], hash: impl Fn(&T) -> u64) -> f64 {
    let all = nanoseconds(|| {
        for id in ids {
            black_box(hash(black_box(id)));
        }
    });
    all / ids.len() as f64
}

fn sip(id: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

/// Numbers from a range; with an empty range of all lengths alike, so that the branches on the length are not foreseen.
fn numbers(from: u64, below: u64) -> Vec<u32> {
    let mut random = SplitMix::new(1);
    let mut number = || {
        if below > from {
            return from + random.below(below - from);
        }
        let power = 10_u64.pow(u32::try_from(random.below(8)).unwrap());
        power + random.below(power * 9)
    };
    (0..scale(IDS, 100)).map(|_| u32::try_from(number()).unwrap()).collect()
}
