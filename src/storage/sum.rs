//! A sum of doubles that stays exact far longer than a double does.

/// A sum as a pair of doubles whose exact sum is the value: the carry holds what the head has rounded away.
///
/// Additions use Knuth's branch-free TwoSum, so the order in which threads and processes add changes nothing while every
/// partial sum is representable in 106 bits, and about 1e-30 relative beyond. A sum that would pass the largest double
/// stays there and is flagged.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Sum {
    head: f64,
    carry: f64,
    saturated: bool,
}

impl Sum {
    /// Takes a sum from its stored parts; `None` when they are no sum.
    pub(crate) fn from_parts(head: f64, carry: f64, saturated: bool) -> Option<Self> {
        (head.is_finite() && carry.is_finite()).then_some(Self { head, carry, saturated })
    }

    /// Adds a finite number.
    #[inline]
    pub(crate) fn add(&mut self, number: f64) {
        let (head, error) = two_sum(self.head, number);
        self.settle(head, error + self.carry);
    }

    /// Adds another sum.
    pub(crate) fn unite(&mut self, other: Self) {
        self.saturated |= other.saturated;
        let (head, error) = two_sum(self.head, other.head);
        let (carry, rest) = two_sum(self.carry, other.carry);
        let (head, error) = two_sum(head, error + carry);
        self.settle(head, error + rest);
    }

    #[inline]
    fn settle(&mut self, head: f64, carry: f64) {
        let (head, carry) = two_sum(head, carry);
        if head.is_finite() && carry.is_finite() {
            (self.head, self.carry) = (head, carry);
        } else {
            // An addition of finite numbers that overflows has the sign of the larger one.
            let sign = if head.is_nan() { self.head.signum() } else { head.signum() };
            (self.head, self.carry, self.saturated) = (sign * f64::MAX, 0.0, true);
        }
    }

    /// The nearest double.
    pub(crate) fn value(self) -> f64 {
        self.head + self.carry
    }

    pub(crate) fn head(self) -> f64 {
        self.head
    }

    pub(crate) fn carry(self) -> f64 {
        self.carry
    }

    /// Whether some addition passed the largest double, so that the value is only a bound.
    pub(crate) fn is_saturated(self) -> bool {
        self.saturated
    }
}

#[inline]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    (sum, (a - (sum - b_part)) + (b - b_part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_survive_large_ones_in_any_order() {
        let mut numbers = vec![1e17];
        numbers.extend(std::iter::repeat_n(0.1, 1000));
        numbers.push(-1e17);
        let forward = numbers.iter().fold(Sum::default(), |mut sum, number| {
            sum.add(*number);
            sum
        });
        let mut parts = Sum::default();
        for chunk in numbers.rchunks(7) {
            let mut part = Sum::default();
            chunk.iter().for_each(|number| part.add(*number));
            parts.unite(part);
        }
        assert!((forward.value() - 100.0).abs() < 1e-10, "{}", forward.value());
        assert!((parts.value() - 100.0).abs() < 1e-10, "{}", parts.value());
    }

    #[test]
    fn overflow_stays_at_the_largest_double_and_is_flagged() {
        for sign in [1.0, -1.0] {
            let mut sum = Sum::default();
            sum.add(sign * f64::MAX);
            assert!(!sum.is_saturated());
            sum.add(sign * f64::MAX);
            assert!(sum.is_saturated());
            assert_eq!(sum.value(), sign * f64::MAX);
            sum.add(-sign * f64::MAX);
            sum.unite(sum);
            assert!(sum.is_saturated() && sum.value().is_finite());
        }
    }
}
