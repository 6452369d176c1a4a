//! The union of many stored sketches, for one answer.

use crate::error::Error;
use crate::sketch::estimate::Estimate;
use crate::sketch::state::State;
#[cfg(test)]
use crate::sketch::{CODES_LIMIT, Sketch};

/// The most codes that a union keeps before it turns to registers; they take 2 MiB.
pub(crate) const UNION_CODES_LIMIT: usize = 262_144;

/// A union for an answer, not for the store: it keeps codes as long as all that was united has codes, far beyond the limit of
/// a stored sketch. So 28 days of up to 5,800 users each are counted to 0.02 % instead of 0.8 %.
///
/// Identifiers chosen so that their codes crowd make it turn to registers early, which bounds the time.
#[derive(Clone, Debug)]
pub(crate) struct Union(State<UNION_CODES_LIMIT>);

impl Union {
    pub(crate) fn new() -> Self {
        Self(State::new())
    }

    /// Adds what a sketch stands for.
    #[cfg(test)]
    pub(crate) fn unite(&mut self, sketch: &Sketch) {
        self.0.unite(&sketch.0);
    }

    /// Adds what a blob stands for.
    ///
    /// # Errors
    ///
    /// [`crate::error::ErrorKind::Sketch`] if the bytes are no sketch; the union is then as before.
    pub(crate) fn unite_blob(&mut self, blob: &[u8]) -> Result<(), Error> {
        self.0.unite_blob(blob).map(drop)
    }

    pub(crate) fn estimate(&self) -> Estimate {
        self.0.estimate()
    }

    /// The union as a sketch that can be stored; equal to uniting the sketches themselves.
    #[cfg(test)]
    pub(crate) fn into_sketch(self) -> Sketch {
        let mut state = State::<CODES_LIMIT>::new();
        state.unite(&self.0);
        Sketch(state)
    }
}
