//! What does it cost to add to a sketch, and to unite two? With `hyperloglogplus` in turns.
//!
//! Both are given random 64-bit identifiers. Ours hashes them (MurmurHash64A, 1-2 ns); the crate gets them as the hash.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops where it is wrong"
)]

#[path = "rounds/rival.rs"]
mod rival;
mod rounds;

use std::hint::black_box;

use hyperloglogplus::HyperLogLog;

use rival::{ours_of, rival_of};
use rounds::{Table, nanoseconds, random_numbers, scale};

const ROUNDS: usize = 21;
const SIZES: [usize; 4] = [100, 1_000, 4_000, 100_000];
const UNIONS: [(usize, usize); 3] = [(1_000, 1_000), (100_000, 1_000), (100_000, 100_000)];
/// Sketches that are united one after the other; making them is no part of the time.
const GOALS: usize = 64;

fn main() {
    let columns = ["headcount", "hyperloglogplus"];
    let mut inserts = Table::new("ns an insert", &columns);
    for size in SIZES {
        fresh(&mut inserts, size);
    }
    for size in SIZES {
        known(&mut inserts, size);
    }
    inserts.run(ROUNDS);
    let mut unions = Table::new("ns a union", &columns);
    for (mine, theirs) in UNIONS {
        union(&mut unions, mine, theirs);
    }
    unions.run(ROUNDS);
}

/// Every identifier is new: from the empty sketch to one of this size.
fn fresh(inserts: &mut Table<'_>, size: usize) {
    let ids = random_numbers(1, size);
    let same = ids.clone();
    let sketches = scale(200_000 / size, 1).max(1);
    let each = move |nanoseconds: f64| nanoseconds / (size * sketches) as f64;
    inserts
        .row(format!("new identifiers, up to {size}"))
        .case(move || {
            each(nanoseconds(|| {
                for _ in 0..sketches {
                    black_box(ours_of(&ids));
                }
            }))
        })
        .case(move || {
            each(nanoseconds(|| {
                for _ in 0..sketches {
                    black_box(rival_of(&same));
                }
            }))
        });
}

/// Every identifier is in the sketch already: the usual case of a busy day.
fn known(inserts: &mut Table<'_>, size: usize) {
    let ids = random_numbers(1, size);
    let (mut ours, mut theirs) = (ours_of(&ids), rival_of(&ids));
    let picks = random_numbers(2, scale(200_000, 2_000));
    let order: Vec<u64> = picks.into_iter().map(|pick| ids[(pick % size as u64) as usize]).collect();
    let same = order.clone();
    inserts
        .row(format!("known identifiers, of {size}"))
        .case(move || {
            let all = nanoseconds(|| {
                for id in &order {
                    black_box(ours.add(&id.to_le_bytes()));
                }
            });
            all / order.len() as f64
        })
        .case(move || nanoseconds(|| same.iter().for_each(|id| theirs.insert(id))) / same.len() as f64);
}

fn union(unions: &mut Table<'_>, mine: usize, theirs: usize) {
    let (a, b) = (random_numbers(1, mine), random_numbers(2, theirs));
    let (ours_a, ours_b, rival_a, rival_b) = (ours_of(&a), ours_of(&b), rival_of(&a), rival_of(&b));
    unions
        .row(format!("{mine} with {theirs}"))
        .case(move || {
            let mut goals = vec![ours_a.clone(); GOALS];
            let all = nanoseconds(|| {
                for goal in &mut goals {
                    black_box(goal.unite(&ours_b));
                }
            });
            all / GOALS as f64
        })
        .case(move || {
            let mut goals = vec![rival_a.clone(); GOALS];
            nanoseconds(|| goals.iter_mut().for_each(|goal| goal.merge(&rival_b).unwrap())) / GOALS as f64
        });
}
