//! What the benches share: rounds in which all cases take turns, their medians as a table, and seeded chance.

#![allow(dead_code, reason = "each bench uses its own part")]

use std::time::Instant;

const WIDTH_OF_NAMES: usize = 46;
const NARROWEST_COLUMN: usize = 10;

/// Whether figures are wanted. `cargo test` runs benches too; there one small round of everything shows that they work.
pub(crate) fn are_measured() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// So much for figures, or as little as shows that it works.
pub(crate) fn scale<T>(measured: T, smoke: T) -> T {
    if are_measured() { measured } else { smoke }
}

/// Figures by row and column, each the median of its rounds. All cases of a table take turns in each round, so that a busy
/// machine is busy for each of them.
pub(crate) struct Table<'a> {
    title: String,
    columns: Vec<String>,
    rows: Vec<(String, Vec<Option<Case<'a>>>)>,
}

impl<'a> Table<'a> {
    /// The title says what is counted, and in which unit.
    pub(crate) fn new(title: &str, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        Self { title: title.to_owned(), columns, rows: Vec::new() }
    }

    /// Begins a row, which the next cases fill from the left.
    pub(crate) fn row(&mut self, name: impl Into<String>) -> &mut Self {
        self.rows.push((name.into(), Vec::new()));
        self
    }

    /// Adds a case: each call is one measurement and returns its figure.
    pub(crate) fn case(&mut self, measure: impl FnMut() -> f64 + 'a) -> &mut Self {
        self.cell(Some(Case { measure: Box::new(measure), figures: Vec::new() }))
    }

    /// Leaves a cell free.
    pub(crate) fn nothing(&mut self) -> &mut Self {
        self.cell(None)
    }

    /// Runs the rounds and prints the medians.
    pub(crate) fn run(mut self, rounds: usize) {
        for _ in 0..scale(rounds, 1) {
            for case in self.rows.iter_mut().flat_map(|(_, cells)| cells).flatten() {
                case.figures.push((case.measure)());
            }
        }
        let widths: Vec<_> = self.columns.iter().map(|name| name.len().max(NARROWEST_COLUMN) + 2).collect();
        print!("{:<WIDTH_OF_NAMES$}", self.title);
        for (column, width) in self.columns.iter().zip(&widths) {
            print!("{column:>width$}");
        }
        println!();
        for (name, cells) in self.rows {
            print!("{name:<WIDTH_OF_NAMES$}");
            for (cell, width) in cells.into_iter().zip(&widths) {
                let figure = cell.map(|case| figure(median(case.figures))).unwrap_or_default();
                print!("{figure:>width$}");
            }
            println!();
        }
        println!();
    }

    fn cell(&mut self, cell: Option<Case<'a>>) -> &mut Self {
        self.rows.last_mut().unwrap().1.push(cell);
        self
    }
}

struct Case<'a> {
    measure: Box<dyn FnMut() -> f64 + 'a>,
    figures: Vec<f64>,
}

/// Four digits that count, or the whole number.
fn figure(value: f64) -> String {
    let decimals = match value {
        ..10.0 => 2,
        ..1_000.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

/// The nanoseconds that something takes.
pub(crate) fn nanoseconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_nanos() as f64
}

/// The nanoseconds of one of many repetitions. What is returned counts as used.
pub(crate) fn nanoseconds_each<T>(times: usize, mut work: impl FnMut() -> T) -> f64 {
    let all = nanoseconds(|| {
        for _ in 0..times {
            std::hint::black_box(work());
        }
    });
    all / times as f64
}

pub(crate) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Random numbers (SplitMix64: Steele, Lea and Flood, 2014) that replay from a seed.
pub(crate) struct SplitMix(u64);

impl SplitMix {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `bound - 1`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// So many random numbers of one seed.
pub(crate) fn random_numbers(seed: u64, count: usize) -> Vec<u64> {
    let mut random = SplitMix::new(seed);
    std::iter::repeat_with(|| random.next()).take(count).collect()
}
