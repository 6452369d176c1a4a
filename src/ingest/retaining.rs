//! When old buckets are removed: after commits, a piece at a time.

use std::time::Duration;

use crate::ingest::pipeline::Shared;
use crate::storage::{Pass, Writer};
use crate::sync::Instant;
use crate::time::timestamp::Timestamp;

/// When nothing is left to remove, it is looked at again after so many seconds of the store's clock.
const LOOK_EVERY_SECONDS: i64 = 60;
/// A failure that lasts is logged so often.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// The state of removing: it lives with the writer.
#[derive(Debug, Default)]
pub(crate) struct Retaining {
    /// When nothing was left; `None` while something is.
    done: Option<Timestamp>,
    logged: Option<Instant>,
}

impl Retaining {
    /// Removes a piece of what is to go, if it is time. A failure costs nothing but space, and is told by the store's health.
    pub(crate) fn work(&mut self, shared: &Shared, writer: &mut dyn Writer) {
        let now = shared.settings.clock.now();
        // A clock that went back may not hold up what is to go by the right time.
        let is_early = self.done.is_some_and(|done| {
            (0..LOOK_EVERY_SECONDS).contains(&(now.unix_seconds() - done.unix_seconds()))
        });
        if is_early {
            return;
        }
        match writer.retain(now) {
            Ok(Pass { is_done, .. }) => {
                self.done = is_done.then_some(now);
                shared.retention_ended(Ok(()));
            }
            Err(error) => {
                self.done = Some(now);
                if self.logged.is_none_or(|logged| logged.elapsed() >= LOG_EVERY) {
                    self.logged = Some(Instant::now());
                    tracing::warn!(error = %error, "old buckets could not be removed; it is tried again");
                }
                shared.retention_ended(Err(&error));
            }
        }
    }
}
