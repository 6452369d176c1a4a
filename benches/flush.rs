//! What does a flush cost as the history grows: milliseconds, and bytes of write-ahead log?
#![allow(
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops where it is wrong"
)]

mod rounds;
#[path = "rounds/typical_second.rs"]
mod typical_second;

use rounds::{Table, scale};
use typical_second::TypicalSeconds;

const ROUNDS: usize = 21;
const DAYS: [i64; 2] = [28, 400];
const WHOLE_SKETCHES: i64 = i64::MAX;
const KIB: f64 = 1_024.0;
const MIB: f64 = 1_048_576.0;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let mut table = Table::new("a flush of a typical second", &["ms", "log, KiB", "file, MiB"]);
    for days in scale(DAYS, [1, 2]) {
        let path = folder.path().join(format!("{days}.db"));
        let mut seconds = TypicalSeconds::new(&path, days, WHOLE_SKETCHES);
        // Each column takes a flush of its own.
        let seconds = std::rc::Rc::new(std::cell::RefCell::new(move || seconds.flush()));
        let same = std::rc::Rc::clone(&seconds);
        table
            .row(format!("{days} stored days"))
            .case(move || seconds.borrow_mut()().milliseconds)
            .case(move || same.borrow_mut()().log_bytes as f64 / KIB)
            .case(move || std::fs::metadata(&path).unwrap().len() as f64 / MIB);
    }
    table.run(ROUNDS);
}
