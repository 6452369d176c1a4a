//! The crate's `sync` under a scheduler: each lock, atomic and channel is a step at which another thread may go on, and time passes
//! by itself only. What the atomics' orders would allow beyond that is not explored: all are sequentially consistent here.

use std::collections::VecDeque;
use std::fmt::{self, Debug};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, PoisonError};

use crate::clock;
pub(crate) use crate::clock::Instant;

pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
pub(crate) use shuttle::sync::mpsc;
pub(crate) use std::sync::atomic::Ordering;

/// The mistake that is made in this thread, of those in `mutants.rs`.
pub(crate) mod mistakes {
    use std::cell::Cell;

    thread_local! {
        pub(crate) static MADE: Cell<Option<&'static str>> = const { Cell::new(None) };
    }
}

/// Asked by the mutated sources.
#[allow(dead_code, reason = "the sources as they are do not ask")]
pub(crate) fn is_mistaken(mutant: &str) -> bool {
    mistakes::MADE.get() == Some(mutant)
}

/// A step at which another thread may go on.
pub(crate) fn step() {
    shuttle::thread::sleep(std::time::Duration::ZERO);
}

/// Two threads share a place where there are more than buffers, as beyond 256 threads outside.
pub(crate) fn thread_place() -> usize {
    clock::place()
}

/// As parking_lot's: a panic does not poison it.
#[derive(Default)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

pub(crate) struct MutexGuard<'a, T>(Option<shuttle::sync::MutexGuard<'a, T>>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(MutexGuard(Some(guard))),
            Err(shuttle::sync::TryLockError::Poisoned(guard)) => Some(MutexGuard(Some(guard.into_inner()))),
            Err(shuttle::sync::TryLockError::WouldBlock) => None,
        }
    }
}

impl<T> Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutex")
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("the guard has its lock except within a wait")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("the guard has its lock except within a wait")
    }
}

/// As parking_lot's: only a call or the time ends a wait.
#[derive(Debug)]
pub(crate) struct Condvar(Arc<shuttle::sync::Condvar>);

pub(crate) struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    pub(crate) fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(Arc::new(shuttle::sync::Condvar::new()))
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let inner = guard.0.take().expect("a guard waits once at a time");
        guard.0 = Some(self.0.wait(inner).unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn wait_until<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Instant,
    ) -> WaitTimeoutResult {
        if deadline <= Instant::now() {
            return WaitTimeoutResult(true);
        }
        let condvar = Arc::clone(&self.0);
        let sleeper = clock::sleep_until(deadline, move || condvar.notify_all());
        self.wait(guard);
        WaitTimeoutResult(sleeper.wake())
    }
}

/// As the standard library's, with a step before each look.
pub(crate) struct OnceLock<T>(std::sync::OnceLock<T>);

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnceLock")
    }
}

impl<T> OnceLock<T> {
    pub(crate) fn new() -> Self {
        Self(std::sync::OnceLock::new())
    }

    pub(crate) fn get(&self) -> Option<&T> {
        step();
        self.0.get()
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        step();
        self.0.set(value)
    }

    /// What `make` does has no steps.
    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        step();
        self.0.get_or_init(make)
    }
}

/// Threads, and sleeping until called or for some time.
pub(crate) mod thread {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use crate::clock::{self, Instant};
    pub(crate) use shuttle::thread::Thread;

    pub(crate) struct Builder(shuttle::thread::Builder);

    #[derive(Debug)]
    pub(crate) struct JoinHandle<T> {
        thread: shuttle::thread::JoinHandle<T>,
        is_finished: Arc<AtomicBool>,
    }

    impl Builder {
        pub(crate) fn new() -> Self {
            Self(shuttle::thread::Builder::new())
        }

        pub(crate) fn name(self, name: String) -> Self {
            Self(self.0.name(name))
        }

        pub(crate) fn spawn<T: Send + 'static>(
            self,
            body: impl FnOnce() -> T + Send + 'static,
        ) -> io::Result<JoinHandle<T>> {
            let is_finished = Arc::new(AtomicBool::new(false));
            let finished = Arc::clone(&is_finished);
            let thread = self.0.spawn(move || {
                let result = body();
                finished.store(true, Ordering::SeqCst);
                result
            })?;
            Ok(JoinHandle { thread, is_finished })
        }
    }

    impl<T> JoinHandle<T> {
        pub(crate) fn thread(&self) -> &Thread {
            self.thread.thread()
        }

        pub(crate) fn is_finished(&self) -> bool {
            super::step();
            self.is_finished.load(Ordering::SeqCst)
        }

        pub(crate) fn join(self) -> std::thread::Result<T> {
            self.thread.join()
        }
    }

    /// No call is missed, and only calls and the time end it: the scheduler wakes nobody without a reason.
    pub(crate) fn park_timeout(limit: Duration) {
        let me = shuttle::thread::current();
        let sleeper = clock::sleep_until(Instant::now() + limit, move || me.unpark());
        shuttle::thread::park();
        sleeper.wake();
    }
}

/// As crossbeam's bounded channel: each operation is one step.
pub(crate) fn bounded<T>(most: usize) -> (Sender<T>, Receiver<T>) {
    let waiting = Arc::new(parking_lot::Mutex::new(VecDeque::with_capacity(most)));
    (Sender { waiting: Arc::clone(&waiting), most }, Receiver(waiting))
}

#[derive(Debug)]
pub(crate) struct Sender<T> {
    waiting: Arc<parking_lot::Mutex<VecDeque<T>>>,
    most: usize,
}

#[derive(Debug)]
pub(crate) struct Receiver<T>(Arc<parking_lot::Mutex<VecDeque<T>>>);

#[derive(Debug)]
pub(crate) enum TrySendError<T> {
    Full(T),
    Disconnected(T),
}

#[derive(Debug)]
pub(crate) struct Empty;

impl<T> Sender<T> {
    pub(crate) fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        step();
        let mut waiting = self.waiting.lock();
        if waiting.len() >= self.most {
            return Err(TrySendError::Full(value));
        }
        waiting.push_back(value);
        Ok(())
    }

    pub(crate) fn is_full(&self) -> bool {
        step();
        self.waiting.lock().len() >= self.most
    }
}

impl<T> Receiver<T> {
    pub(crate) fn try_recv(&self) -> Result<T, Empty> {
        step();
        self.0.lock().pop_front().ok_or(Empty)
    }

    pub(crate) fn len(&self) -> usize {
        step();
        self.0.lock().len()
    }
}
