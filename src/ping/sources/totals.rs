//! What is made of the batches of a relation: counts, exact sums, and sets of distinct values.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use crate::hash::IdHash;
use crate::ping::source::SourceError;
use crate::ping::sources::database::DatabaseOperation;
use crate::ping::sources::engine::Folding;
use crate::ping::sources::statement::CellRef;
use crate::ping::value::PingValue;
use crate::sketch::Sketch;

/// So many distinct values are told apart by 64 bits each (what a table of 38 MB holds; two of them are taken for one with a chance of
/// one in three million), more by a sketch.
const MAX_EXACT: usize = 7 << 19;

/// The result of the batches so far.
#[derive(Debug)]
pub(crate) enum Totals {
    Count(i64),
    /// Each row has a value.
    Distinct(Distinct),
    /// Each row has a value, or a sum and of how many.
    Sum {
        sum: Sum,
        is_average: bool,
    },
}

/// What a batch that came to no end is taken back to. Distinct values stay: the batch meets them again.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Checkpoint {
    Count(i64),
    Distinct,
    Sum(Sum),
}

impl Totals {
    pub(crate) fn new(operation: DatabaseOperation, folding: Folding) -> Self {
        match operation {
            DatabaseOperation::Count => Self::Count(0),
            DatabaseOperation::DistinctCount => Self::Distinct(Distinct::new(folding)),
            DatabaseOperation::Sum => Self::Sum { sum: Sum::default(), is_average: false },
            DatabaseOperation::Average => Self::Sum { sum: Sum::default(), is_average: true },
        }
    }

    pub(crate) fn checkpoint(&self) -> Checkpoint {
        match self {
            Self::Count(count) => Checkpoint::Count(*count),
            Self::Distinct(_) => Checkpoint::Distinct,
            Self::Sum { sum, .. } => Checkpoint::Sum(*sum),
        }
    }

    pub(crate) fn take_back(&mut self, to: Checkpoint) {
        match (self, to) {
            (Self::Count(count), Checkpoint::Count(to)) => *count = to,
            (Self::Sum { sum, .. }, Checkpoint::Sum(to)) => *sum = to,
            _ => {}
        }
    }

    pub(crate) fn take(&mut self, row: &[CellRef<'_>]) -> Result<(), SourceError> {
        match (self, row) {
            (Self::Count(count), [some]) => {
                *count = whole(*some)
                    .and_then(|some| count.checked_add(some))
                    .ok_or_else(|| SourceError::failed("the database counted no number"))?;
            }
            (Self::Distinct(distinct), [value]) => distinct.insert(*value),
            (Self::Sum { sum, .. }, [value]) => sum.add(*value, 1)?,
            (Self::Sum { sum, .. }, [some, of]) => {
                let of = whole(*of).ok_or_else(|| SourceError::failed("the database counted no number"))?;
                sum.add(*some, of)?;
            }
            _ => return Err(SourceError::failed("the database gave another row than it was asked for")),
        }
        Ok(())
    }

    /// The value, and its standard error.
    pub(crate) fn finish(self) -> (PingValue, f64) {
        match self {
            Self::Count(count) => (count.into(), 0.0),
            Self::Distinct(distinct) => distinct.finish(),
            Self::Sum { sum, is_average: false } => (sum.total(), 0.0),
            Self::Sum { sum, is_average: true } => (sum.mean(), 0.0),
        }
    }
}

fn whole(cell: CellRef<'_>) -> Option<i64> {
    match cell {
        CellRef::Integer(number) => Some(number),
        CellRef::Text(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
}

/// A sum: whole parts exact, what is behind the point with compensation (Knuth's TwoSum).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    whole: i128,
    rest: f64,
    lost: f64,
    seen: i64,
    has_rest: bool,
}

impl Sum {
    /// Adds what `of` values add up to.
    fn add(&mut self, some: CellRef<'_>, of: i64) -> Result<(), SourceError> {
        let is_added = match some {
            CellRef::Null => return Ok(()),
            CellRef::Integer(number) => self.add_whole(number.into()),
            CellRef::Number(number) => self.add_rest(number),
            CellRef::Text(text) => std::str::from_utf8(text).is_ok_and(|text| self.add_decimal(text)),
            CellRef::Bytes(_) => false,
        };
        self.seen = self.seen.saturating_add(of);
        is_added.then_some(()).ok_or_else(|| SourceError::failed("the sum is no finite number"))
    }

    fn add_whole(&mut self, number: i128) -> bool {
        match self.whole.checked_add(number) {
            Some(sum) => self.whole = sum,
            None => return false,
        }
        true
    }

    fn add_rest(&mut self, number: f64) -> bool {
        let sum = self.rest + number;
        let kept = sum - self.rest;
        self.lost += (self.rest - (sum - kept)) + (number - kept);
        (self.rest, self.has_rest) = (sum, true);
        sum.is_finite()
    }

    /// As PostgreSQL writes numbers: `-12`, `3.250`, `1.5e+300`, `NaN`.
    fn add_decimal(&mut self, text: &str) -> bool {
        if let Ok(number) = text.parse::<i128>() {
            return self.add_whole(number);
        }
        let split =
            text.split_once('.').filter(|(_, behind)| behind.bytes().all(|byte| byte.is_ascii_digit()));
        if let Some((before, behind)) = split
            && let Ok(number) = before.parse::<i128>()
            && let Ok(rest) = format!("0.{behind}").parse::<f64>()
        {
            let rest = if before.starts_with('-') { -rest } else { rest };
            return self.add_whole(number) && self.add_rest(rest);
        }
        text.parse::<f64>().is_ok_and(|number| self.add_rest(number))
    }

    fn total(&self) -> PingValue {
        match i64::try_from(self.whole) {
            Ok(whole) if !self.has_rest => PingValue::Integer(whole),
            _ => PingValue::Number(self.number()),
        }
    }

    fn mean(&self) -> PingValue {
        if self.seen == 0 {
            return PingValue::Null;
        }
        #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^53 rows")]
        let seen = self.seen as f64;
        PingValue::Number(self.number() / seen)
    }

    #[expect(clippy::cast_precision_loss, reason = "the number that is nearest to a sum")]
    fn number(&self) -> f64 {
        let mut whole = Self { rest: self.rest, lost: self.lost, ..Self::default() };
        whole.add_rest(self.whole as f64);
        whole.rest + whole.lost
    }
}

/// The distinct values of a column.
#[derive(Debug)]
pub(crate) struct Distinct {
    folding: Folding,
    known: Known,
    scratch: Vec<u8>,
}

#[derive(Debug)]
enum Known {
    Hashes(HashSet<u64, BuildHasherDefault<Unhashed>>),
    Sketch(Box<Sketch>),
}

impl Distinct {
    fn new(folding: Folding) -> Self {
        Self { folding, known: Known::Hashes(HashSet::default()), scratch: Vec::new() }
    }

    fn insert(&mut self, value: CellRef<'_>) {
        let bytes = &mut self.scratch;
        bytes.clear();
        // A letter for the kind: the number 1 and the text `1` are not the same to SQLite, the number 1.0 and 1 are.
        match value {
            CellRef::Null => return,
            CellRef::Integer(number) => number_bytes(bytes, number),
            CellRef::Number(number) => match as_whole(number) {
                Some(whole) => number_bytes(bytes, whole),
                None => {
                    bytes.push(b'f');
                    bytes.extend_from_slice(&number.to_le_bytes());
                }
            },
            CellRef::Text(text) => {
                bytes.push(b't');
                match self.folding {
                    Folding::Bytes => bytes.extend_from_slice(text),
                    Folding::AsciiCase => bytes.extend(text.iter().map(u8::to_ascii_lowercase)),
                    Folding::TrailingSpaces => {
                        let spaces = text.iter().rev().take_while(|byte| **byte == b' ').count();
                        bytes.extend_from_slice(text.get(..text.len() - spaces).unwrap_or_default());
                    }
                }
            }
            CellRef::Bytes(some) => {
                bytes.push(b'b');
                bytes.extend_from_slice(some);
            }
        }
        let hash = IdHash::of(bytes);
        self.insert_hash(hash);
    }

    fn insert_hash(&mut self, hash: IdHash) {
        match &mut self.known {
            Known::Hashes(hashes) => {
                hashes.insert(hash.bits());
                if hashes.len() > MAX_EXACT {
                    let mut sketch = Box::new(Sketch::new());
                    for hash in hashes.drain() {
                        sketch.insert(IdHash::from_bits(hash));
                    }
                    self.known = Known::Sketch(sketch);
                }
            }
            Known::Sketch(sketch) => {
                sketch.insert(hash);
            }
        }
    }

    fn finish(self) -> (PingValue, f64) {
        match self.known {
            Known::Hashes(hashes) => (u64::try_from(hashes.len()).unwrap_or(u64::MAX).into(), 0.0),
            Known::Sketch(sketch) => {
                let estimate = sketch.estimate();
                (estimate.rounded().into(), estimate.standard_error)
            }
        }
    }
}

fn number_bytes(bytes: &mut Vec<u8>, number: i64) {
    bytes.push(b'i');
    bytes.extend_from_slice(&number.to_le_bytes());
}

/// The whole number that it is, if it is one of 64 bits.
fn as_whole(number: f64) -> Option<i64> {
    const END: f64 = 9_223_372_036_854_775_808.0;
    let is_whole = number.fract() == 0.0 && (-END..END).contains(&number);
    #[expect(clippy::cast_possible_truncation, reason = "it is whole, and in the range")]
    is_whole.then_some(number as i64)
}

/// Takes a hash for its own hash.
#[derive(Debug, Default)]
struct Unhashed(u64);

impl Hasher for Unhashed {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> CellRef<'_> {
        CellRef::Text(text.as_bytes())
    }

    fn sum_of(cells: &[CellRef<'_>]) -> Sum {
        let mut sum = Sum::default();
        for cell in cells {
            sum.add(*cell, 1).unwrap();
        }
        sum
    }

    #[test]
    fn sums_of_whole_numbers_are_exact_beyond_64_bits() {
        let most = CellRef::Integer(i64::MAX);
        assert_eq!(sum_of(&[most, CellRef::Integer(1), CellRef::Integer(-1)]).total(), i64::MAX.into());
        assert_eq!(sum_of(&[most, most]).total(), PingValue::Number(2.0 * 9_223_372_036_854_775_807.0));
        assert_eq!(sum_of(&[text("18446744073709551616"), text("-18446744073709551615")]).total(), 1.into());
        assert_eq!(sum_of(&[]).total(), 0.into());
        assert_eq!(sum_of(&[]).mean(), PingValue::Null);
        assert_eq!(sum_of(&[CellRef::Null, CellRef::Integer(3)]).mean(), PingValue::Number(3.0));
    }

    #[test]
    fn what_is_behind_the_point_is_not_lost_beside_large_numbers() {
        let large =
            sum_of(&[text("100000000000000000000.25"), text("-99999999999999999999.00"), text("-0.5")]);
        assert_eq!(large.total(), PingValue::Number(0.75));
        let mut floats = vec![CellRef::Number(1e16)];
        floats.extend([CellRef::Number(0.1); 1_000]);
        floats.push(CellRef::Number(-1e16));
        let PingValue::Number(sum) = sum_of(&floats).total() else { panic!("a number") };
        assert!((sum - 100.0).abs() < 1e-10, "{sum}");
        assert_eq!(sum_of(&[text("1.5e+20")]).total(), PingValue::Number(1.5e20));
        for cell in [text("NaN"), text("Infinity"), text("x"), CellRef::Number(f64::INFINITY)] {
            assert!(Sum::default().add(cell, 1).is_err());
        }
    }

    #[test]
    fn values_are_distinct_as_the_database_has_them() {
        let count = |folding, cells: &[CellRef<'_>]| {
            let mut distinct = Distinct::new(folding);
            cells.iter().for_each(|cell| distinct.insert(*cell));
            distinct.finish().0
        };
        let kinds = [
            CellRef::Integer(1),
            CellRef::Number(1.0),
            CellRef::Number(1.5),
            CellRef::Number(0.0),
            CellRef::Number(-0.0),
            text("1"),
            CellRef::Bytes(b"1"),
            CellRef::Null,
        ];
        assert_eq!(count(Folding::Bytes, &kinds), 5.into());
        let texts = [text("a"), text("A"), text("a "), text("b")];
        assert_eq!(count(Folding::Bytes, &texts), 4.into());
        assert_eq!(count(Folding::AsciiCase, &texts), 3.into());
        assert_eq!(count(Folding::TrailingSpaces, &texts), 3.into());
    }

    #[test]
    fn beyond_the_exact_ones_a_sketch_says_how_far_it_may_be_off() {
        let mut distinct = Distinct::new(Folding::Bytes);
        let most = i64::try_from(MAX_EXACT).unwrap();
        (0..most).for_each(|number| distinct.insert(CellRef::Integer(number)));
        assert!(matches!(distinct.known, Known::Hashes(_)));
        (0..most + 1_000).for_each(|number| distinct.insert(CellRef::Integer(number)));
        let (value, standard_error) = distinct.finish();
        let off = value.number().unwrap() - 3_671_016.0;
        assert!(off.abs() < 4.0 * standard_error && (20_000.0..40_000.0).contains(&standard_error), "{off}");
    }

    #[test]
    fn a_batch_that_came_to_no_end_leaves_nothing() {
        let mut totals = Totals::new(DatabaseOperation::Average, Folding::Bytes);
        totals.take(&[text("10"), text("4")]).unwrap();
        let checkpoint = totals.checkpoint();
        totals.take(&[text("90"), text("4")]).unwrap();
        totals.take_back(checkpoint);
        assert_eq!(totals.finish().0, PingValue::Number(2.5));
        let mut totals = Totals::new(DatabaseOperation::Count, Folding::Bytes);
        assert!(totals.take(&[CellRef::Null]).is_err() && totals.take(&[]).is_err());
    }
}
