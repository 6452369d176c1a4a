//! What threads share and wait on: the door through which the ingest wing takes locks, atomics, channels, threads and waiting.
//!
//! `tests/schedules` compiles the wing with another module in this place, in which a scheduler decides each step and what time it is.
//! So whatever one thread can see of another has to come through here; reference counts need not.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
pub(crate) use std::sync::{OnceLock, mpsc};
pub(crate) use std::thread;
pub(crate) use std::time::Instant;

pub(crate) use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};

use std::sync::atomic::AtomicUsize;

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

/// The place of the calling thread. While it ends it may track a last event from a destructor: then at the first place, with
/// whoever has it.
#[inline]
pub(crate) fn thread_place() -> usize {
    PLACE.try_with(|place| place.0).unwrap_or(0)
}
