//! Whether what is stored equals what was tracked.

use std::fmt::Debug;

use crate::Done;

/// An estimate of a sketch with 2^14 registers lies further off once in a million times.
const LARGEST_ERROR: f64 = 0.04;

/// Fails where `found` is not what it must be.
pub(crate) fn same<T: PartialEq + Debug>(what: &str, tracked: T, found: T) -> Done {
    if tracked == found {
        return Ok(());
    }
    Err(format!("{what}: {tracked:?} was tracked, {found:?} is stored").into())
}

/// Fails where an estimate is further from the truth than chance explains.
pub(crate) fn near(what: &str, exact: u64, estimate: f64) -> Done {
    let exact = exact as f64;
    if (estimate - exact).abs() <= (exact * LARGEST_ERROR).max(2.0) {
        return Ok(());
    }
    Err(format!("{what}: {exact} distinct ones were tracked, the estimate is {estimate}").into())
}
