//! The reader against a real Redis, against files made by the description of the format, and against damage.

mod build;
mod checks;
mod forms;
mod hostile;
mod mutants;
mod real;
mod server;

use crate::error::Error;
use crate::redis::rdb::{self, Entry, Summary};

/// Every key of a file that begins with `prefix`, with the answer for the whole.
fn read(bytes: &[u8], prefix: &[u8]) -> Result<(Vec<Entry>, Summary), Error> {
    let mut entries = Vec::new();
    let summary = rdb::read(bytes, &mut |_, key| key.starts_with(prefix), &mut |entry| {
        entries.push(entry);
        Ok(())
    })?;
    Ok((entries, summary))
}

/// What is wrong with a file of which everything is wanted.
fn refusal(bytes: &[u8]) -> String {
    match read(bytes, b"") {
        Ok((entries, _)) => panic!("taken, with {entries:?}"),
        Err(error) => error.to_string(),
    }
}

/// SplitMix64: chance that replays from its seed, which is printed.
struct Chance(u64);

impl Chance {
    #[expect(clippy::print_stdout, reason = "a failure says its seed")]
    fn new(seed: u64) -> Self {
        println!("seed {seed}");
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `bound - 1`.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}
