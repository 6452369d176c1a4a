//! What does a sketch cost on its way to the file and back: encoding, decoding, uniting with encoded bytes?
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

use std::hint::black_box;

use headcount::Sketch;

use rival::ours_of;
use rounds::{Table, nanoseconds, nanoseconds_each, random_numbers, scale};

const ROUNDS: usize = 21;
const REPEATS: usize = 50;
/// Up to 3,072 identifiers there are codes, then registers.
const SIZES: [usize; 5] = [10, 100, 1_000, 3_072, 100_000];

fn main() {
    let columns = ["encode", "decode", "unite, all new", "unite, all known", "bytes"];
    let mut table = Table::new("ns a sketch of so many identifiers", &columns);
    let repeats = scale(REPEATS, 1);
    for size in SIZES {
        let sketch = ours_of(&random_numbers(1, size));
        let other = ours_of(&random_numbers(2, size));
        let blob = sketch.encode();
        let mut united = sketch.clone();
        let (encoded, to_unite, known, bytes) = (blob.clone(), blob.clone(), blob.clone(), blob.len());
        let mut written = Vec::new();
        table
            .row(format!("{size}"))
            .case(move || {
                nanoseconds_each(repeats, || {
                    written.clear();
                    sketch.encode_into(&mut written);
                    written.len()
                })
            })
            .case(move || nanoseconds_each(repeats, || Sketch::decode(&encoded).unwrap()))
            .case(move || {
                // Each goal is another one, and making it is no part of the time.
                let mut goals = vec![other.clone(); repeats];
                let all = nanoseconds(|| {
                    for goal in &mut goals {
                        black_box(goal.unite_blob(&to_unite).unwrap());
                    }
                });
                all / repeats as f64
            })
            .case(move || nanoseconds_each(repeats, || united.unite_blob(&known).unwrap()))
            .case(move || bytes as f64);
    }
    table.run(ROUNDS);
}
