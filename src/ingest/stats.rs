//! What became of the events of one opened store.

use std::collections::BTreeMap;

use crate::error::TrackError;
use crate::sync::{AtomicU64, Ordering};

/// What became of the events that this process has tracked through one opened store.
///
/// `offered = accepted + refused` and `accepted = stored + queued + lost` hold whenever no call is running. The file has the
/// same for all processes: see [`Ledger`](crate::Ledger).
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// use headcount::{Definitions, Event, EventDefinition, Store};
///
/// let definitions = Definitions::new().event(EventDefinition::new("page_viewed"))?;
/// let store = Store::builder_in_memory().definitions(definitions).open()?;
/// store.tracker().track(Event::new("page_viewed"));
/// store.tracker().track(Event::new("page_veiwed"));
/// store.flush()?;
/// let stats = store.stats();
/// assert_eq!((stats.offered, stats.accepted, stats.stored), (2, 1, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Events that callers offered.
    pub offered: u64,
    /// Events that were taken.
    pub accepted: u64,
    /// Events that are in the file, durably.
    pub stored: u64,
    /// Events that were taken and are neither stored nor lost yet.
    pub queued: u64,
    /// Events that were not taken, by reason.
    pub refused: BTreeMap<TrackError, u64>,
    /// Events that were taken and could not be stored.
    pub lost: u64,
}

/// Counters that callers and the aggregator add to.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    refused: [AtomicU64; TrackError::ALL.len()],
    pub(crate) stored: AtomicU64,
    pub(crate) lost: AtomicU64,
}

impl Tallies {
    #[cold]
    pub(crate) fn refuse(&self, reason: TrackError) -> TrackError {
        if let Some(count) = self.refused.get(reason.index()) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        reason
    }

    pub(crate) fn refused(&self) -> impl Iterator<Item = (TrackError, u64)> {
        TrackError::ALL.iter().copied().zip(self.refused.iter().map(|count| count.load(Ordering::Relaxed)))
    }

    /// The law of conservation, with what the callers' buffers say was accepted.
    pub(crate) fn stats(&self, accepted: impl FnOnce() -> u64) -> Stats {
        // Read before `accepted`, so that no event is seen as stored and not yet as accepted.
        let (stored, lost) = (self.stored.load(Ordering::Acquire), self.lost.load(Ordering::Acquire));
        let refused: BTreeMap<_, _> = self.refused().filter(|(_, count)| *count > 0).collect();
        let accepted = accepted();
        Stats {
            offered: accepted + refused.values().sum::<u64>(),
            accepted,
            stored,
            queued: accepted.saturating_sub(stored).saturating_sub(lost),
            refused,
            lost,
        }
    }
}
