//! Unique identifiers: a HyperLogLog++ sketch that is nearly exact while small and equal to Redis's when large.

mod blob;
pub(crate) mod bridge;
pub(crate) mod code;
mod code_set;
mod codes_body;
pub(crate) mod estimate;
mod redis;
mod registers;
mod registers_body;
mod runs;
mod state;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub(crate) mod union;

use std::borrow::Cow;

use crate::error::Error;
use crate::hash::IdHash;
use crate::sketch::code::Code;
use crate::sketch::estimate::Estimate;
use crate::sketch::registers::Registers;
use crate::sketch::state::{State, registers_of};

/// The most codes of a sketch; one more and it has registers. So many fill a table of 16 KiB to three quarters: a sketch never takes
/// more than registers do in memory, and of random identifiers neither when encoded.
pub(crate) const CODES_LIMIT: usize = 3_072;

/// A set of identifiers of which only the number can be asked: HyperLogLog++ with p = 14 over Redis's hash.
///
/// - Up to 3,072 identifiers it holds codes of 25 bits: after rounding exact in 98 of 100 sets of 1,000, 1.9 to 4 bytes each when
///   encoded (100 take 264 bytes, 1,000 take 2,140). Above, 16,384 registers: 0.8125 % standard error, 8,240 bytes encoded, 16 KiB in memory.
/// - Registers are Redis's registers for the same bytes, one for one, and their estimate is `PFCOUNT`.
/// - Its state depends on the set alone: the order of adding and uniting, and repetitions, leave no trace, and equal
///   sketches have equal encodings.
///
/// Adding costs 1-9 ns beyond the hash, uniting with encoded registers 1 µs.
///
/// ```
/// use headcount::Sketch;
///
/// let mut monday = Sketch::new();
/// monday.add(b"ada");
/// monday.add(b"grace");
/// let mut tuesday = Sketch::new();
/// tuesday.add(b"grace");
/// tuesday.add(b"edsger");
///
/// assert!(monday.unite(&tuesday));
/// assert_eq!(monday.estimate().rounded(), 3);
/// assert_eq!(Sketch::decode(&monday.encode())?, monday);
/// # Ok::<(), headcount::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sketch(State);

/// What a sketch holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SketchKind {
    /// A code for each identifier: nearly exact.
    Codes,
    /// Redis's registers: 0.8125 % standard error.
    Registers,
}

impl Sketch {
    /// An empty sketch; allocates nothing.
    #[must_use]
    pub fn new() -> Self {
        Self(State::new())
    }

    /// Adds an identifier: the exact bytes that Redis's `PFADD` would be given. Returns whether the sketch changed.
    #[inline]
    pub fn add(&mut self, id: &[u8]) -> bool {
        self.insert(IdHash::of(id))
    }

    /// Adds the hash of an identifier; returns whether the sketch changed.
    #[inline]
    pub(crate) fn insert(&mut self, hash: IdHash) -> bool {
        self.0.insert(hash)
    }

    /// Adds the codes of many identifiers; returns whether the sketch changed. Each costs less than alone, above all where the
    /// sketch has left the processor's cache meanwhile.
    #[inline]
    pub(crate) fn insert_all(&mut self, codes: &[Code]) -> bool {
        self.0.insert_all(codes)
    }

    /// Adds all identifiers of another sketch; returns whether this one changed.
    pub fn unite(&mut self, other: &Self) -> bool {
        self.0.unite(&other.0)
    }

    /// Adds all identifiers of an encoded sketch, without decoding it to a sketch of its own; returns whether this one changed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Sketch`](crate::ErrorKind::Sketch) if [`Sketch::decode`] would refuse the bytes; this sketch is then as before.
    pub fn unite_blob(&mut self, blob: &[u8]) -> Result<bool, Error> {
        self.0.unite_blob(blob)
    }

    /// How many distinct identifiers were added, and how sure that is.
    ///
    /// Codes: linear counting over `2^25` cells, standard error `n / 8192`, at least 1/3, none below 2. Registers: Ertl's improved
    /// estimator (2017), which rounds to Redis's `PFCOUNT`, standard error 0.8125 %. Costs 5 ns or 6-10 µs.
    #[must_use]
    pub fn estimate(&self) -> Estimate {
        self.0.estimate()
    }

    /// How many distinct identifiers there are at least: each code, and each register that is not 0, is of another one.
    pub(crate) fn fewest(&self) -> u64 {
        let fewest = match &self.0 {
            State::Codes(codes) => codes.len(),
            State::Registers(registers) => registers.as_slice().iter().filter(|rank| **rank > 0).count(),
        };
        u64::try_from(fewest).unwrap_or(u64::MAX)
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            State::Codes(codes) => codes.len() == 0,
            State::Registers(registers) => registers.as_slice().iter().all(|rank| *rank == 0),
        }
    }

    /// Whether the sketch holds codes or registers.
    #[must_use]
    pub fn kind(&self) -> SketchKind {
        match &self.0 {
            State::Codes(_) => SketchKind::Codes,
            State::Registers(_) => SketchKind::Registers,
        }
    }

    /// The memory that the sketch takes, on the heap and itself: at most 16 KiB and a few words.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.0.heap_bytes()
    }

    /// The sketch as bytes with a checksum; the same for equal sketches, on every machine.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut blob = Vec::new();
        self.encode_into(&mut blob);
        blob
    }

    /// Appends what [`Sketch::encode`] returns.
    pub fn encode_into(&self, blob: &mut Vec<u8>) {
        blob::encode(&self.0, blob);
    }

    /// Takes back what [`Sketch::encode`] returned.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Sketch`](crate::ErrorKind::Sketch) if the bytes are not what `encode` returns for some sketch: damaged, cut, of
    /// another hash, of a newer version.
    pub fn decode(blob: &[u8]) -> Result<Self, Error> {
        let mut sketch = Self::new();
        sketch.unite_blob(blob)?;
        Ok(sketch)
    }

    /// The registers as a dense Redis HyperLogLog: `SET` it and `PFADD`, `PFCOUNT` and `PFMERGE` go on from there.
    #[must_use]
    pub fn to_redis(&self) -> Vec<u8> {
        redis::encode_dense(&self.registers())
    }

    /// The registers as a sparse Redis HyperLogLog, as Redis itself holds small ones; `None` where it would hold them dense
    /// (more than 3,000 bytes, or a rank above 32).
    #[must_use]
    pub fn to_redis_sparse(&self) -> Option<Vec<u8>> {
        redis::encode_sparse(&self.registers())
    }

    /// Takes a Redis HyperLogLog, dense or sparse, as `GET` answers it. The sketch has registers, however small the set is.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Sketch`](crate::ErrorKind::Sketch) if the bytes are none: runs that do not make 16,384 registers, ranks that no
    /// hash has, an encoding unknown here.
    pub fn from_redis(string: &[u8]) -> Result<Self, Error> {
        redis::decode(string).map(|registers| Self(State::Registers(registers)))
    }

    /// The estimate that the crate `hyperloglogplus` makes of the same codes or registers: an independent second opinion, for checks.
    ///
    /// It differs from [`Sketch::estimate`] by `n^2 / 2^26` for codes; for registers by 0.3 % (standard deviation) from 11,000 to 50,000
    /// identifiers, and by less elsewhere. Costs
    /// 0.3 to 1.5 ms.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Internal`](crate::ErrorKind::Internal) if the crate refuses what it is given.
    pub fn second_opinion(&self) -> Result<f64, Error> {
        bridge::second_opinion(self)
    }

    /// How far [`Sketch::second_opinion`] may lie from [`Sketch::estimate`] when both are right.
    ///
    /// Codes are counted over half as many cells there, which makes `n^2 / 2^26`, the same for all sets of a size. Registers: measured over
    /// 1,500 random sets for each of 14 sizes from 10 to 200,000, the two differ by 0.26 % (standard deviation; 0.09 % in the mean,
    /// at most 1.2 %) from about 11,000, where the crate turns from linear counting to corrections of its bias, less and less up to
    /// 50,000, and by at most 0.3 % elsewhere. Allowed are six standard deviations.
    pub(crate) fn known_difference(&self) -> f64 {
        let n = self.estimate().value;
        let share = match &self.0 {
            State::Codes(_) => n / 2_f64.powi(26) * 1.01,
            State::Registers(_) if (10_500.0..50_000.0).contains(&n) => 0.017,
            State::Registers(_) => 0.006,
        };
        n * share + 1e-6
    }

    fn registers(&self) -> Cow<'_, Registers> {
        match &self.0 {
            State::Codes(codes) => Cow::Owned(*registers_of(codes.iter())),
            State::Registers(registers) => Cow::Borrowed(registers),
        }
    }
}

impl Default for Sketch {
    fn default() -> Self {
        Self::new()
    }
}
