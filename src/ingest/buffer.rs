//! The buffers of the callers' threads.

use crate::ingest::record::Records;
use crate::sync::{Mutex, OnceLock, thread_place};

/// Threads beyond this many share buffers.
pub(crate) const MAX_BUFFERS: usize = if cfg!(headcount_schedules) { 2 } else { 256 };

/// One buffer for each thread, made at its first event. Its lock is contended only when the aggregator takes it, once a flush.
#[derive(Debug)]
pub(crate) struct Buffers {
    slots: Box<[Slot]>,
    /// Held while a buffer is made and while all are gone through, so that closing the store misses none.
    registry: Mutex<()>,
}

/// On cache lines of its own: threads must not slow each other down.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Slot(OnceLock<Mutex<Buffer>>);

/// What one thread has tracked since the aggregator last took it.
#[derive(Debug)]
pub(crate) struct Buffer {
    pub(crate) records: Records,
    /// Events taken since the store was opened.
    pub(crate) accepted: u64,
}

impl Buffers {
    pub(crate) fn new() -> Self {
        Self { slots: (0..MAX_BUFFERS).map(|_| Slot::default()).collect(), registry: Mutex::new(()) }
    }

    /// The buffer of the calling thread, unless this is its first event.
    #[inline]
    pub(crate) fn mine(&self) -> Option<&Mutex<Buffer>> {
        self.slots.get(thread_place() % MAX_BUFFERS)?.0.get()
    }

    /// Makes the buffer of the calling thread, unless a thread that shares it has.
    #[cold]
    pub(crate) fn make_mine(&self) -> Option<&Mutex<Buffer>> {
        let slot = self.slots.get(thread_place() % MAX_BUFFERS)?;
        let _registered = self.registry.lock();
        Some(slot.0.get_or_init(|| Mutex::new(Buffer { records: Records::with_capacity(), accepted: 0 })))
    }

    /// Goes through every buffer that was made before this call.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&mut Buffer)) {
        let _registered = self.registry.lock();
        for buffer in self.slots.iter().filter_map(|slot| slot.0.get()) {
            visit(&mut buffer.lock());
        }
    }
}
