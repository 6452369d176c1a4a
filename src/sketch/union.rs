//! The union of many stored sketches, for one answer.

use crate::error::Error;
#[cfg(any(test, feature = "redis"))]
use crate::sketch::Sketch;
use crate::sketch::blob::Body;
use crate::sketch::estimate::Estimate;
use crate::sketch::registers::Registers;
use crate::sketch::runs::Runs;
#[cfg(any(test, feature = "redis"))]
use crate::sketch::state::State as Stored;
use crate::sketch::state::registers_of;

/// The most distinct codes that a union counts; one more and it has registers.
pub(crate) const UNION_CODES_LIMIT: usize = 262_144;
/// The most codes that a union collects before it drops repeated ones, and those of one more sketch; they take 8 MiB at the most.
const COLLECTED_LIMIT: usize = 4 * UNION_CODES_LIMIT;

/// A union for an answer, not for the store: it keeps codes as long as all that was united has codes, far beyond the limit of
/// a stored sketch. So 28 days of up to 3,072 users each are counted to 0.02 % instead of 0.8 %.
///
/// Codes are collected as they come and counted once, by the estimate. It depends on the set alone, whatever identifiers somebody
/// chose and however often they come.
#[derive(Clone, Debug)]
pub(crate) struct Union(State);

#[derive(Clone, Debug)]
enum State {
    Codes(Runs),
    Registers(Box<Registers>),
}

impl Union {
    pub(crate) fn new() -> Self {
        Self(State::Codes(Runs::default()))
    }

    /// Whether nothing was added.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(&self.0, State::Codes(runs) if runs.len() == 0)
    }

    /// Adds what a blob stands for. Costs 3-5 ns a code, or 1 µs for registers, beyond the checksum.
    ///
    /// # Errors
    ///
    /// [`crate::error::ErrorKind::Sketch`] if the bytes are no sketch; the union is then as before.
    pub(crate) fn unite_blob(&mut self, blob: &[u8]) -> Result<(), Error> {
        let body = match &mut self.0 {
            State::Codes(runs) => Body::parse(blob, |codes| runs.extend(codes)),
            State::Registers(_) => Body::parse(blob, |_| ()),
        };
        match (body, &mut self.0) {
            (Ok(Body::Codes(_)), State::Codes(runs)) => {
                runs.end();
                if runs.len() > COLLECTED_LIMIT {
                    self.drop_repeated();
                }
            }
            (Ok(Body::Codes(codes)), State::Registers(registers)) => {
                for code in codes.iter() {
                    registers.raise(code.register(), code.rank());
                }
            }
            (Ok(Body::Registers(body)), State::Codes(runs)) => {
                let mut registers = registers_of(runs.iter());
                body.raise_silently(&mut registers);
                self.0 = State::Registers(registers);
            }
            (Ok(Body::Registers(body)), State::Registers(registers)) => {
                body.raise_silently(registers);
            }
            (Err(error), State::Codes(runs)) => {
                runs.undo();
                return Err(error);
            }
            (Err(error), State::Registers(_)) => return Err(error),
        }
        Ok(())
    }

    /// Adds all that another union stands for.
    pub(crate) fn unite(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (State::Codes(mine), State::Codes(theirs)) => {
                mine.append(theirs);
                if mine.len() > COLLECTED_LIMIT {
                    self.drop_repeated();
                }
            }
            (State::Registers(mine), State::Codes(theirs)) => {
                theirs.iter().for_each(|code| {
                    mine.raise(code.register(), code.rank());
                });
            }
            (State::Codes(mine), State::Registers(theirs)) => {
                let mut registers = theirs.clone();
                mine.iter().for_each(|code| {
                    registers.raise(code.register(), code.rank());
                });
                self.0 = State::Registers(registers);
            }
            (State::Registers(mine), State::Registers(theirs)) => {
                mine.unite(theirs);
            }
        }
    }

    /// The memory that it takes on the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        match &self.0 {
            State::Codes(runs) => runs.heap_bytes(),
            State::Registers(_) => size_of::<Registers>(),
        }
    }

    /// Counts: 2-5 ns a code that was added, or 6-10 µs for registers.
    pub(crate) fn estimate(&self) -> Estimate {
        match &self.0 {
            State::Codes(runs) => match runs.distinct() {
                codes if codes > UNION_CODES_LIMIT => Estimate::of_registers(&registers_of(runs.iter())),
                codes => Estimate::of_codes(codes),
            },
            State::Registers(registers) => Estimate::of_registers(registers),
        }
    }

    /// Keeps one code of each index; too many of them become registers.
    #[cold]
    fn drop_repeated(&mut self) {
        if let State::Codes(runs) = &mut self.0 {
            runs.drop_repeated();
            if runs.len() > UNION_CODES_LIMIT {
                self.0 = State::Registers(registers_of(runs.iter()));
            }
        }
    }

    /// The union as a sketch that can be stored; equal to uniting the sketches themselves.
    #[cfg(any(test, feature = "redis"))]
    pub(crate) fn into_sketch(self) -> Sketch {
        Sketch(match self.0 {
            State::Registers(registers) => Stored::Registers(registers),
            State::Codes(runs) => {
                let mut stored = Stored::new();
                for code in runs.iter() {
                    stored.insert(code.sample_hash());
                }
                stored
            }
        })
    }
}
