//! What a sketch promises, held against exact sets, the laws of sets, and `hyperloglogplus`.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "numbers of identifiers in tests are small"
)]

mod accuracy;
mod against_hyperloglogplus;
mod blobs;
mod laws;
mod redis_strings;

use crate::hash::IdHash;
use crate::sketch::Sketch;

fn sketch_of<'a>(hashes: impl IntoIterator<Item = &'a u64>) -> Sketch {
    let mut sketch = Sketch::new();
    for hash in hashes {
        sketch.insert(IdHash::from_bits(*hash));
    }
    sketch
}

fn root_mean_square(errors: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) =
        errors.into_iter().fold((0.0, 0.0), |(sum, count), error| (sum + error * error, count + 1.0));
    f64::sqrt(sum / count)
}
