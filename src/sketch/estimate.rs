//! How many identifiers a sketch stands for, and how sure that is.

use crate::sketch::code::CODE_INDEX_BITS;
use crate::sketch::registers::{REGISTERS, Registers};

/// Rank bits of a register: `64 - 14`. A register holds `0..=RANK_BITS + 1`.
const RANK_BITS: usize = 50;
/// `1 / (2 ln 2)`
const ALPHA_INFINITY: f64 = 0.721_347_520_444_481_7;
/// `1.04 / sqrt(16384)`
const REGISTERS_RELATIVE_ERROR: f64 = 0.008_125;
/// Codes that share an index: `n / 8192` is `n / sqrt(2 * 2^25)`.
const CODES_PER_STANDARD_ERROR: f64 = 8_192.0;
const SMALLEST_CODES_ERROR: f64 = 1.0 / 3.0;

/// An estimated number of distinct identifiers.
///
/// ```
/// use headcount::Sketch;
///
/// let mut users = Sketch::new();
/// for id in 0..1_000 {
///     users.add(format!("user-{id}").as_bytes());
/// }
/// let estimate = users.estimate();
/// assert_eq!(estimate.rounded(), 1_000);
/// assert!(estimate.standard_error < 0.5);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Estimate {
    /// The estimate, not rounded; 0 or more, and finite.
    pub value: f64,
    /// One standard deviation of the estimate's error, in identifiers: the truth lies within twice this in 95 of 100 cases. 0 says
    /// that the value is exact.
    pub standard_error: f64,
}

impl Estimate {
    /// The estimate as a number of identifiers, rounded as Redis rounds `PFCOUNT`.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and no estimate is negative or infinite"
    )]
    pub fn rounded(&self) -> u64 {
        self.value.round() as u64
    }

    /// Linear counting over `2^25` cells (Whang, Vander-Zanden and Taylor, 1990).
    pub(super) fn of_codes(codes: usize) -> Self {
        let cells = f64::from(1_u32 << CODE_INDEX_BITS);
        let taken = f64::from(u32::try_from(codes).unwrap_or(u32::MAX)).min(cells - 1.0);
        if codes < 2 {
            // One identifier cannot collide with another: the answer is exact and says so.
            return Self { value: taken, standard_error: 0.0 };
        }
        let value = -cells * (-taken / cells).ln_1p();
        Self { value, standard_error: (value / CODES_PER_STANDARD_ERROR).max(SMALLEST_CODES_ERROR) }
    }

    /// The improved raw estimator (Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", 2017, algorithm 6),
    /// in the order of operations of Redis, so that rounding gives `PFCOUNT`.
    pub(super) fn of_registers(registers: &Registers) -> Self {
        let m = f64::from(u32::try_from(REGISTERS).unwrap_or(u32::MAX));
        let histogram = registers.histogram();
        let [zeros, ranks @ ..] = &histogram;
        let full = ranks.get(RANK_BITS).copied().map_or(0.0, f64::from);
        let mut z = m * tau((m - full) / m);
        for count in ranks.iter().take(RANK_BITS).rev() {
            z += f64::from(*count);
            z *= 0.5;
        }
        z += m * sigma(f64::from(*zeros) / m);
        let value = ALPHA_INFINITY * m * m / z;
        // All registers at the largest rank leave nothing to divide by; no set of identifiers gets there.
        let value = if value.is_finite() { value } else { f64::MAX };
        Self { value, standard_error: value * REGISTERS_RELATIVE_ERROR }
    }
}

/// `x + sum of x^(2^k) 2^(k-1)` for k from 1
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let mut y = 1.0;
    let mut z = x;
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z <= before {
            return z;
        }
    }
}

/// `(1 - x - sum of (1 - x^(2^-k))^2 2^-k) / 3` for k from 1
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let mut y = 1.0;
    let mut z = 1.0 - x;
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z >= before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_and_single_are_exact() {
        assert_eq!(Estimate::of_codes(0), Estimate { value: 0.0, standard_error: 0.0 });
        let one = Estimate::of_codes(1);
        assert_eq!((one.value, one.rounded(), one.standard_error), (1.0, 1, 0.0));
        assert_eq!(Estimate::of_registers(&Registers::new()).rounded(), 0);
    }

    #[test]
    fn codes_follow_linear_counting() {
        for codes in [2_u32, 1_000, 3_072, 262_144] {
            let cells = 33_554_432.0_f64;
            let expected = cells * (cells / (cells - f64::from(codes))).ln();
            let estimate = Estimate::of_codes(codes as usize);
            assert!((estimate.value - expected).abs() < 1e-6 * expected);
            assert!((estimate.standard_error - (expected / 8_192.0).max(1.0 / 3.0)).abs() < 1e-9 * expected);
        }
    }

    #[test]
    fn full_registers_stay_finite() {
        let mut registers = Registers::new();
        for register in 0..REGISTERS {
            registers.raise(register, 51);
        }
        let estimate = Estimate::of_registers(&registers);
        assert!(estimate.value.is_finite() && estimate.standard_error.is_finite());
        assert_eq!(estimate.rounded(), u64::MAX);
    }

    #[test]
    fn codes_beyond_the_cells_stay_finite() {
        assert!(Estimate::of_codes(usize::MAX).value.is_finite());
    }
}
