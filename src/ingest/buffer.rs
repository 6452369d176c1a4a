//! The buffers of the callers' threads.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::ingest::record::Records;

/// Threads beyond this many share buffers.
pub(crate) const MAX_BUFFERS: usize = 256;

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

/// Places of ended threads, for new ones.
static FREE_PLACES: Mutex<Vec<usize>> = Mutex::new(Vec::new());
static NEXT_PLACE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static PLACE: Place = Place::take();
}

/// The small number of a living thread, the same for every store.
struct Place(usize);

impl Place {
    fn take() -> Self {
        let free = FREE_PLACES.lock().pop();
        Self(free.unwrap_or_else(|| NEXT_PLACE.fetch_add(1, Ordering::Relaxed)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        FREE_PLACES.lock().push(self.0);
    }
}

/// While a thread ends it may track a last event from a destructor: then through the first buffer, whose lock protects it.
#[inline]
fn thread_place() -> usize {
    PLACE.try_with(|place| place.0).unwrap_or(0)
}
