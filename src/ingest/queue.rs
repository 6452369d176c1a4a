//! The bounded lock-free channel of record buffers from callers to the aggregator.

use crate::ingest::record::Records;
use crate::sync::{Condvar, Instant, Mutex, Receiver, Sender, TrySendError, bounded};

/// The buffers that wait for the aggregator at the most.
pub(crate) const QUEUE_BUFFERS: usize = if cfg!(headcount_schedules) { 4 } else { 64 };
/// From here on the aggregator is woken instead of finding the buffers at its next look.
const WAKE_FROM: usize = QUEUE_BUFFERS / 4;
/// Empty buffers that are kept at the most: one for each buffer of a thread, which a flush takes all at once.
const EMPTY_BUFFERS: usize = 256;
/// A caller that waits for room looks again after this long even if nobody calls it.
const LOOK_AGAIN_MILLISECONDS: u64 = 20;

/// Full buffers on their way to the aggregator, and empty ones on their way back, so that nothing is allocated in between.
#[derive(Debug)]
pub(crate) struct Queue {
    full: (Sender<Records>, Receiver<Records>),
    /// The one that came back last goes first: it is still in the processor's cache, and those that only a burst needed rest.
    empty: Mutex<Vec<Records>>,
    /// How many callers wait for room.
    waiting: Mutex<usize>,
    room: Condvar,
}

impl Queue {
    pub(crate) fn new(buffers: usize) -> Self {
        Self {
            full: bounded(buffers),
            empty: Mutex::new(Vec::with_capacity(EMPTY_BUFFERS)),
            waiting: Mutex::new(0),
            room: Condvar::new(),
        }
    }

    /// Hands a buffer over; gives it back when the queue is full.
    pub(crate) fn try_send(&self, records: Records) -> Result<(), Records> {
        self.full.0.try_send(records).map_err(|error| match error {
            TrySendError::Full(records) | TrySendError::Disconnected(records) => records,
        })
    }

    pub(crate) fn try_receive(&self) -> Option<Records> {
        self.full.1.try_recv().ok()
    }

    pub(crate) fn len(&self) -> usize {
        self.full.1.len()
    }

    /// Whether so much waits that the aggregator should be woken.
    pub(crate) fn is_pressing(&self) -> bool {
        self.len() >= WAKE_FROM
    }

    /// An empty buffer, one that was used before where there is one.
    pub(crate) fn empty_buffer(&self) -> Records {
        let used_before = self.empty.lock().pop();
        used_before.unwrap_or_else(Records::with_capacity)
    }

    /// Gives a used buffer back.
    pub(crate) fn recycle(&self, mut records: Records) {
        records.clear();
        let mut empty = self.empty.lock();
        // With enough of them waiting this one is freed.
        if empty.len() < EMPTY_BUFFERS {
            empty.push(records);
        }
    }

    /// Blocks until there may be room, or until the deadline; says whether the deadline is still ahead.
    pub(crate) fn wait_for_room(&self, deadline: Instant) -> bool {
        let mut waiting = self.waiting.lock();
        *waiting += 1;
        if self.full.0.is_full() {
            let soon = Instant::now() + std::time::Duration::from_millis(LOOK_AGAIN_MILLISECONDS);
            self.room.wait_until(&mut waiting, soon.min(deadline));
        }
        *waiting -= 1;
        Instant::now() < deadline
    }

    #[cfg(test)]
    pub(crate) fn waiting_callers(&self) -> usize {
        *self.waiting.lock()
    }

    /// Calls those who wait for room.
    pub(crate) fn announce_room(&self) {
        if *self.waiting.lock() > 0 {
            self.room.notify_all();
        }
    }
}
