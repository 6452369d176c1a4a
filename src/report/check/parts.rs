//! Numbers that are held against each other, of which some may not be known.

use std::fmt;

use crate::storage::sum::Sum;

/// Sums are kept to about 30 digits, so that their parts may differ from the whole by rounding only.
const SUM_TOLERANCE: f64 = 1e-12;
/// A count of the file stops here.
const LARGEST_COUNT: u64 = i64::MAX.unsigned_abs();

/// A count, unless a row that belongs to it is none: then nothing follows from it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tally(Option<u64>);

impl Tally {
    pub(super) const UNKNOWN: Self = Self(None);

    /// The count of a row; none is below 0.
    pub(super) fn of(count: impl TryInto<u64>) -> Self {
        Self(count.try_into().ok().map(|count| count.min(LARGEST_COUNT)))
    }

    pub(super) fn is_unknown(self) -> bool {
        self.0.is_none()
    }

    pub(super) fn add(&mut self, other: Self) {
        self.0 = self.0.zip(other.0).map(|(count, more)| count.saturating_add(more).min(LARGEST_COUNT));
    }

    pub(super) fn raise(&mut self, other: Self) {
        self.0 = self.0.zip(other.0).map(|(count, other)| count.max(other));
    }

    pub(super) fn differs_from(self, other: Self) -> bool {
        self.0.zip(other.0).is_some_and(|(count, other)| count != other)
    }

    pub(super) fn exceeds(self, other: Self) -> bool {
        self.0.zip(other.0).is_some_and(|(count, other)| count > other)
    }

    #[expect(clippy::cast_precision_loss, reason = "compared with an estimate that is uncertain by more")]
    pub(super) fn is_below(self, estimate: f64) -> bool {
        self.0.is_some_and(|count| (count as f64) < estimate)
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self(Some(0))
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(count) => write!(f, "{count}"),
            None => f.write_str("an unknown number"),
        }
    }
}

/// A sum of parts, and the sum of their sizes, which says how far rounding may go.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Parts {
    sum: Sum,
    size: f64,
    is_unknown: bool,
}

impl Parts {
    pub(super) fn add(&mut self, sum: Option<Sum>) {
        let Some(sum) = sum else {
            self.is_unknown = true;
            return;
        };
        self.sum.unite(sum);
        self.size += sum.value().abs();
    }

    pub(super) fn are_known(self) -> bool {
        !self.is_unknown
    }

    /// Nothing follows from a sum that went beyond the largest double, or from a row that is none.
    pub(super) fn differ_from(self, whole: Option<Sum>) -> bool {
        whole.is_some_and(|whole| {
            let is_bound = self.sum.is_saturated() || whole.is_saturated() || self.is_unknown;
            let allowed = SUM_TOLERANCE * self.size.max(f64::MIN_POSITIVE);
            !is_bound && (self.sum.value() - whole.value()).abs() > allowed
        })
    }
}

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.sum.value())
    }
}
