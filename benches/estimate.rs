//! What does it cost to know how many there are: of one sketch, and of the days of four weeks? With `hyperloglogplus` in turns.
#![allow(
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops where it is wrong"
)]

#[path = "rounds/rival.rs"]
mod rival;
mod rounds;

use headcount::Sketch;
use hyperloglogplus::HyperLogLog;

use rival::{ours_of, rival_of};
use rounds::{Table, nanoseconds_each, random_numbers, scale};

const ROUNDS: usize = 21;
const REPEATS: usize = 50;
const DAYS: u64 = 28;
const SIZES: [usize; 4] = [100, 1_000, 5_000, 100_000];
/// The seed of the first day.
const FIRST_DAY: u64 = 100;

fn main() {
    let columns = ["headcount", "hyperloglogplus"];
    let mut one = Table::new("ns an estimate of one sketch", &columns);
    let mut weeks = Table::new("ns a union of 28 days with its estimate", &columns);
    for size in SIZES {
        one_sketch(&mut one, size);
        four_weeks(&mut weeks, size);
    }
    one.run(ROUNDS);
    weeks.run(ROUNDS);
}

fn one_sketch(table: &mut Table<'_>, size: usize) {
    let ids = random_numbers(1, size);
    let (ours, mut theirs) = (ours_of(&ids), rival_of(&ids));
    let repeats = scale(REPEATS, 1);
    table
        .row(format!("of {size}"))
        .case(move || nanoseconds_each(repeats, || ours.estimate()))
        .case(move || nanoseconds_each(repeats, || theirs.count()));
}

/// Ours reads the bytes of the days as the file has them; the rival's days are in memory.
fn four_weeks(table: &mut Table<'_>, size: usize) {
    let days = || (FIRST_DAY..FIRST_DAY + DAYS).map(move |day| random_numbers(day, size));
    let blobs: Vec<_> = days().map(|ids| ours_of(&ids).encode()).collect();
    let rivals: Vec<_> = days().map(|ids| rival_of(&ids)).collect();
    let repeats = scale(REPEATS / 10, 1);
    table
        .row(format!("of {size} each"))
        .case(move || {
            nanoseconds_each(repeats, || {
                let mut all = Sketch::new();
                for day in &blobs {
                    all.unite_blob(day).unwrap();
                }
                all.estimate()
            })
        })
        .case(move || {
            nanoseconds_each(repeats, || {
                let mut all = rival_of(&[]);
                for day in &rivals {
                    all.merge(day).unwrap();
                }
                all.count()
            })
        });
}
