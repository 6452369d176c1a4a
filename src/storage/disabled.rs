//! The reading side of a store that could not be opened: every answer is the reason.

use std::path::Path;

use crate::error::Error;
use crate::storage::{Reader, Snapshot};

/// A storage that is not there.
pub(crate) struct Disabled(Error);

impl Disabled {
    pub(crate) fn new(reason: Error) -> Self {
        Self(reason)
    }
}

impl Reader for Disabled {
    fn snapshot(&self, _: &mut dyn FnMut(&dyn Snapshot) -> Result<(), Error>) -> Result<(), Error> {
        Err(self.0.again())
    }

    fn copy_to(&self, _: &Path) -> Result<(), Error> {
        Err(self.0.again())
    }

    #[cfg(feature = "cli")]
    fn breaker(&self) -> Box<dyn Fn() + Send> {
        Box::new(|| {})
    }
}
