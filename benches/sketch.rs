//! The cost of a sketch, with `hyperloglogplus` in turns: nanoseconds, medians of the rounds.
//!
//! Both are given random 64-bit identifiers. Ours hashes them (MurmurHash64A, 1-2 ns); the crate gets them as the hash.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a bench prints, and stops where it is wrong"
)]

use std::hash::{BuildHasher, Hasher};
use std::hint::black_box;
use std::time::Instant;

use headcount::Sketch;
use hyperloglogplus::{HyperLogLog, HyperLogLogPlus};

const ROUNDS: usize = 21;

fn main() {
    // `cargo test` runs benches too; there one round of each shows that they work.
    let rounds = if std::env::args().any(|argument| argument == "--bench") { ROUNDS } else { 1 };
    println!("{:<34}{:>12}{:>18}", "ns", "headcount", "hyperloglogplus");
    for ids in [100, 1_000, 4_000, 100_000] {
        insert_fresh(rounds, ids);
    }
    for ids in [100, 1_000, 4_000, 100_000] {
        insert_again(rounds, ids);
    }
    for (mine, theirs) in [(1_000, 1_000), (100_000, 1_000), (100_000, 100_000)] {
        unite(rounds, mine, theirs);
    }
    for ids in [100, 1_000, 5_000, 100_000] {
        estimate(rounds, ids);
    }
    for ids in [100, 1_000, 5_000, 100_000] {
        codec(rounds, ids);
    }
    for ids in [100, 1_000, 5_000, 20_000] {
        four_weeks(rounds, ids);
    }
}

fn insert_fresh(rounds: usize, ids: usize) {
    let ids_of = identifiers(1, ids);
    let repeats = (200_000 / ids).max(1);
    let per_insert = |nanoseconds: f64| nanoseconds / (ids * repeats) as f64;
    let ours = || {
        for _ in 0..repeats {
            black_box(ours_of(&ids_of));
        }
    };
    let theirs = || {
        for _ in 0..repeats {
            black_box(theirs_of(&ids_of));
        }
    };
    let (ours, theirs) = in_turns(rounds, ours, theirs);
    report(&format!("insert, new, to {ids}"), per_insert(ours), Some(per_insert(theirs)));
}

fn insert_again(rounds: usize, ids: usize) {
    let ids_of = identifiers(1, ids);
    let (mut ours, mut theirs) = (ours_of(&ids_of), theirs_of(&ids_of));
    let mut order = identifiers(2, 200_000);
    order.iter_mut().for_each(|pick| *pick = ids_of[(*pick % ids as u64) as usize]);
    let per_insert = |nanoseconds: f64| nanoseconds / order.len() as f64;
    let (ours, theirs) = in_turns(
        rounds,
        || {
            for id in &order {
                black_box(ours.add(&id.to_le_bytes()));
            }
        },
        || {
            for id in &order {
                theirs.insert(id);
            }
        },
    );
    report(&format!("insert, known, at {ids}"), per_insert(ours), Some(per_insert(theirs)));
}

fn unite(rounds: usize, mine: usize, theirs: usize) {
    const TIMES: usize = 64;
    let (a, b) = (identifiers(1, mine), identifiers(2, theirs));
    let (ours_a, ours_b, theirs_a, theirs_b) = (ours_of(&a), ours_of(&b), theirs_of(&a), theirs_of(&b));
    // Each goal is new, and making it is not part of the time.
    let mut goals: Vec<Sketch> = Vec::new();
    let mut crate_goals = Vec::new();
    let blob = ours_b.encode();
    let (mut ours, mut crates, mut blobs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        goals.clear();
        goals.resize(TIMES, ours_a.clone());
        ours.push(time(|| {
            for goal in &mut goals {
                black_box(goal.unite(&ours_b));
            }
        }));
        goals.clear();
        goals.resize(TIMES, ours_a.clone());
        blobs.push(time(|| {
            for goal in &mut goals {
                black_box(goal.unite_blob(&blob).unwrap());
            }
        }));
        crate_goals.clear();
        crate_goals.resize(TIMES, theirs_a.clone());
        crates.push(time(|| crate_goals.iter_mut().for_each(|goal| goal.merge(&theirs_b).unwrap())));
    }
    let each = |times| median(times) / TIMES as f64;
    report(&format!("unite {mine} with {theirs}"), each(ours), Some(each(crates)));
    report(&format!("unite {mine} with blob of {theirs}"), each(blobs), None);
    if mine == theirs {
        let mut goal = ours_a;
        goal.unite(&ours_b);
        let again = in_turns(rounds, || repeat(|| goal.unite_blob(&blob).unwrap()), || ()).0;
        report(&format!("unite {mine} with known blob"), again / f64::from(REPEATS), None);
    }
}

fn estimate(rounds: usize, ids: usize) {
    let ids_of = identifiers(1, ids);
    let (ours, mut theirs) = (ours_of(&ids_of), theirs_of(&ids_of));
    let (ours, theirs) = in_turns(rounds, || repeat(|| ours.estimate()), || repeat(|| theirs.count()));
    report(&format!("estimate {ids}"), ours / f64::from(REPEATS), Some(theirs / f64::from(REPEATS)));
}

fn codec(rounds: usize, ids: usize) {
    let sketch = ours_of(&identifiers(1, ids));
    let mut blob = Vec::new();
    let encode = || {
        blob.clear();
        sketch.encode_into(&mut blob);
        blob.len()
    };
    let encoded = sketch.encode();
    let decode = || Sketch::decode(&encoded).unwrap();
    let mut encode = encode;
    let (encode, decode) = in_turns(rounds, || repeat(&mut encode), || repeat(decode));
    report(&format!("encode {ids} ({} bytes)", encoded.len()), encode / f64::from(REPEATS), None);
    report(&format!("decode {ids}"), decode / f64::from(REPEATS), None);
}

fn four_weeks(rounds: usize, ids: usize) {
    let days: Vec<_> = (0..28).map(|day| ours_of(&identifiers(100 + day, ids)).encode()).collect();
    let unite = || {
        let mut all = Sketch::new();
        for day in &days {
            all.unite_blob(day).unwrap();
        }
        all.estimate()
    };
    let (ours, _) = in_turns(rounds, || repeat(unite), || ());
    report(&format!("unite 28 blobs of {ids}, estimate"), ours / f64::from(REPEATS), None);
}

const REPEATS: u32 = 50;

fn repeat<T>(mut work: impl FnMut() -> T) {
    for _ in 0..REPEATS {
        black_box(work());
    }
}

/// The medians of two pieces of work that take turns, so that a busy machine is busy for both.
fn in_turns(rounds: usize, mut ours: impl FnMut(), mut theirs: impl FnMut()) -> (f64, f64) {
    let (mut our_times, mut their_times) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        our_times.push(time(&mut ours));
        their_times.push(time(&mut theirs));
    }
    (median(our_times), median(their_times))
}

fn time(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn report(what: &str, ours: f64, theirs: Option<f64>) {
    let theirs = theirs.map(|theirs| format!("{theirs:.1}")).unwrap_or_default();
    println!("{what:<34}{ours:>12.1}{theirs:>18}");
}

fn ours_of(ids: &[u64]) -> Sketch {
    let mut sketch = Sketch::new();
    for id in ids {
        sketch.add(&id.to_le_bytes());
    }
    sketch
}

fn theirs_of(ids: &[u64]) -> HyperLogLogPlus<u64, AsGiven> {
    let mut sketch = HyperLogLogPlus::new(14, AsGiven(0)).unwrap();
    ids.iter().for_each(|id| sketch.insert(id));
    sketch
}

/// Random numbers (SplitMix64) that replay from a seed.
fn identifiers(seed: u64, count: usize) -> Vec<u64> {
    let mut state = seed.wrapping_mul(0x2545_f491_4f6c_dd1d);
    let next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Takes a random number for its own hash.
#[derive(Clone)]
struct AsGiven(u64);

impl BuildHasher for AsGiven {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for AsGiven {
    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
