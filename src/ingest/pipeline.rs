//! The pipeline of one opened store: what callers share, and flushing and closing it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::error::{Error, ErrorKind};
use crate::ingest::aggregate::Target;
use crate::ingest::buffer::Buffers;
use crate::ingest::engine::{Engine, Inline};
use crate::ingest::queue::Queue;
use crate::ingest::stats::{Stats, Tallies};
use crate::ingest::threads::{self, Job};
use crate::storage::batch::Batch;
use crate::storage::{Commit, Writer};
use crate::time::clock::Clock;

/// How the pipeline behaves; each field is an option of the builder.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) clock: Clock,
    pub(crate) mode: Mode,
    pub(crate) overflow: Overflow,
    pub(crate) mistake: Mistake,
    pub(crate) flush_every: Duration,
    pub(crate) max_sketch_bytes: usize,
    pub(crate) queue_buffers: usize,
}

/// Where events are added up and committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Mode {
    /// On two threads of the store's own; callers never wait for the disk.
    #[default]
    Background,
    /// In the calls themselves, committed by `flush` and `close`, and by the call that finds memory full: no threads, but
    /// for the one of an import of more than 1,024 lines or 256 KiB; the same rows from run to run but for the random ids of
    /// the store and its producers. For tests and benchmarks: `track` may wait for the disk, and nothing is committed by itself.
    Inline,
}

/// What happens to an event when the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// It is refused and counted; the caller goes on at once.
    #[default]
    Refuse,
    /// The caller sleeps until there is room, at most so long; then the event is refused and counted. Not for the workers of
    /// an async runtime.
    Wait(Duration),
}

/// What [`Tracker::track`](crate::Tracker::track) does when the call itself is wrong, as with a misspelt event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Mistake {
    /// Counts it, and goes on: analytics never break a product.
    #[default]
    Count,
    /// Panics with the reason: for tests, where a mistake should be seen.
    Panic,
}

/// Longer waits than this are as good as none at all, and could not be added to an instant.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// A running pipeline.
#[derive(Debug)]
pub(crate) struct Pipeline {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What callers, the aggregator and the committer share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) target: Target,
    pub(crate) settings: Settings,
    pub(crate) buffers: Buffers,
    pub(crate) queue: Queue,
    pub(crate) tallies: Tallies,
    /// Set before the last buffers are taken; callers look at it with their buffer locked.
    pub(crate) closed: AtomicBool,
    /// The process that opened the store; a fork has another.
    process: AtomicU32,
    control: Mutex<Control>,
    changed: Condvar,
    /// The aggregator's thread, and whether it sleeps.
    aggregator: OnceLock<Thread>,
    pub(crate) asleep: AtomicBool,
    /// Jobs for the committer, until the pipeline ends.
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    /// The whole pipeline, where there are no threads.
    pub(crate) inline: Option<Mutex<Inline>>,
}

/// What flushes wait for.
#[derive(Debug, Default)]
struct Control {
    /// Tickets given to flushes.
    requested: u64,
    /// Tickets whose events are in the file.
    covered: u64,
    /// Attempts to commit that have begun.
    attempts: u64,
    failure: Option<Failure>,
    stage: Stage,
    /// Whether the time to close ran out, so that the committer may still hang in a commit.
    timed_out: bool,
    /// The committer has closed its connection.
    committer_ended: bool,
    /// Events that were given up for it.
    abandoned: u64,
}

/// The last attempt to commit that failed.
#[derive(Debug, Clone)]
struct Failure {
    attempt: u64,
    kind: ErrorKind,
    message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Stage {
    #[default]
    Open,
    /// What is there is committed, then the threads end.
    Closing,
    /// Time is up: what could not be committed is lost.
    Abandoned,
    Ended,
}

impl Pipeline {
    pub(crate) fn start(target: Target, settings: Settings, writer: Box<dyn Writer>) -> Result<Self, Error> {
        let engine = Engine::new(target.clone(), settings.max_sketch_bytes);
        Self::start_engine(engine, target, settings, writer)
    }

    pub(crate) fn start_engine(
        engine: Engine,
        target: Target,
        settings: Settings,
        writer: Box<dyn Writer>,
    ) -> Result<Self, Error> {
        let (jobs, inbox) = mpsc::channel();
        let mode = settings.mode;
        let (inline, background) = match mode {
            Mode::Inline => (Some(Mutex::new(Inline::new(engine, writer))), None),
            Mode::Background => (None, Some((engine, writer))),
        };
        let shared = Arc::new(Shared {
            buffers: Buffers::new(),
            queue: Queue::new(settings.queue_buffers),
            tallies: Tallies::default(),
            closed: AtomicBool::new(false),
            process: AtomicU32::new(std::process::id()),
            control: Mutex::new(Control::default()),
            changed: Condvar::new(),
            aggregator: OnceLock::new(),
            asleep: AtomicBool::new(false),
            jobs: Mutex::new(background.is_some().then_some(jobs)),
            inline,
            target,
            settings,
        });
        let threads = match background {
            None => Vec::new(),
            Some((engine, writer)) => threads::start(&shared, engine, writer, inbox)?,
        };
        Ok(Self { shared, threads: Mutex::new(threads) })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Returns when every event that was tracked before the call, on any thread, is durably in the file.
    pub(crate) fn flush(&self) -> Result<(), Error> {
        self.shared.refuse_fork()?;
        if let Some(inline) = &self.shared.inline {
            return inline.lock().flush(&self.shared);
        }
        let mut control = self.shared.control.lock();
        if control.stage != Stage::Open {
            return Err(closed());
        }
        control.requested += 1;
        let (ticket, begun) = (control.requested, control.attempts);
        self.shared.wake_aggregator();
        loop {
            if control.covered >= ticket {
                return Ok(());
            }
            // An attempt that began earlier may lack this flush's events, and says nothing about the next one.
            if let Some(failure) = control.failure.as_ref().filter(|failure| failure.attempt > begun) {
                return Err(Error::new(
                    failure.kind,
                    format!("{}; the events stay in memory and are tried again", failure.message),
                ));
            }
            if control.stage > Stage::Closing {
                return Err(closed());
            }
            self.shared.changed.wait(&mut control);
        }
    }

    /// Takes no more events, commits what is there within `limit`, ends the threads, and reports.
    pub(crate) fn close(&self, limit: Duration) -> Result<Stats, Error> {
        self.shared.refuse_fork()?;
        self.shared.closed.store(true, Ordering::Release);
        match &self.shared.inline {
            // What could not be stored is told below, as it is after a second call.
            Some(inline) => drop(inline.lock().close(&self.shared)),
            None => self.close_threads(Instant::now() + limit.min(LONGEST_WAIT)),
        }
        let stats = self.shared.stats();
        let (failure, abandoned) = {
            let control = self.shared.control.lock();
            (control.failure.clone(), control.abandoned)
        };
        if abandoned == 0 {
            return Ok(stats);
        }
        let error = failure.map_or_else(
            || Error::new(ErrorKind::Deadline, "the time limit passed before everything was stored"),
            |failure| Error::new(failure.kind, failure.message),
        );
        Err(error.context(format_args!("closing the store lost {} events", stats.lost)))
    }

    fn close_threads(&self, deadline: Instant) {
        let mut control = self.shared.control.lock();
        match control.stage {
            Stage::Open => control.stage = Stage::Closing,
            Stage::Closing | Stage::Abandoned | Stage::Ended => {}
        }
        self.shared.wake_aggregator();
        while control.stage == Stage::Closing {
            if self.shared.changed.wait_until(&mut control, deadline).timed_out()
                && control.stage == Stage::Closing
            {
                control.stage = Stage::Abandoned;
                control.timed_out = true;
                self.shared.wake_aggregator();
            }
        }
        // The aggregator itself never blocks, so that it ends soon; a committer that hangs in a system call is left behind.
        while control.stage == Stage::Abandoned {
            self.shared.changed.wait(&mut control);
        }
        *self.shared.jobs.lock() = None;
        // Beside the aggregator's own batches the committer may be busy with one of an import.
        while !control.committer_ended && !self.shared.changed.wait_until(&mut control, deadline).timed_out()
        {
        }
        let timed_out = control.timed_out || !control.committer_ended;
        drop(control);
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads.into_iter().filter(|thread| !timed_out || thread.is_finished()) {
            // The threads end without a panic; if one did not, the law of conservation has already said so.
            let _ = thread.join();
        }
    }

    /// Commits a batch of an import beside the aggregator's own.
    pub(crate) fn commit(&self, batch: &Arc<Batch>) -> Result<Commit, Error> {
        self.shared.refuse_fork()?;
        if let Some(inline) = &self.shared.inline {
            return inline.lock().commit(batch);
        }
        let (reply, outcome) = mpsc::channel();
        let sender = self.shared.committer_jobs().ok_or_else(closed)?;
        sender.send(Job { batch: Arc::clone(batch), attempt: 0, reply }).map_err(|_| closed())?;
        drop(sender);
        outcome.recv().map_err(|_| closed())?.result
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        /// How long a store that is dropped without `close` tries to commit.
        const LIMIT: Duration = Duration::from_secs(5);
        if self.shared.is_fork() {
            // The threads live in the parent; joining them here would panic.
            std::mem::forget(std::mem::take(&mut *self.threads.lock()));
            return;
        }
        if self.shared.stage() != Stage::Ended
            && let Err(error) = self.close(LIMIT)
        {
            tracing::error!(error = %error, "the store was dropped before everything was stored");
        }
    }
}

impl Shared {
    /// Wakes the aggregator, whatever it does; a call that comes before it sleeps keeps it awake.
    pub(crate) fn wake_aggregator(&self) {
        if let Some(thread) = self.aggregator.get() {
            thread.unpark();
        }
    }

    /// Lets the committer end when nothing else can send it jobs.
    pub(crate) fn forget_committer(&self) {
        *self.jobs.lock() = None;
    }

    /// A sender for the aggregator; without it the committer takes nothing more.
    pub(crate) fn committer_jobs(&self) -> Option<mpsc::Sender<Job>> {
        self.jobs.lock().clone()
    }

    pub(crate) fn set_aggregator(&self, thread: Thread) {
        let _ = self.aggregator.set(thread);
    }

    pub(crate) fn is_fork(&self) -> bool {
        self.process.load(Ordering::Relaxed) != std::process::id()
    }

    /// Makes this process look like a fork of the one that opened the store.
    #[cfg(test)]
    pub(crate) fn pretend_fork(&self) {
        self.process.fetch_xor(1, Ordering::Relaxed);
    }

    fn refuse_fork(&self) -> Result<(), Error> {
        if self.is_fork() {
            return Err(Error::new(
                ErrorKind::Forked,
                "this process is a fork of the one that opened the store; open a store after the fork",
            ));
        }
        Ok(())
    }

    /// In a fork nothing is counted: the locks of the buffers may be held by threads that only the parent has.
    pub(crate) fn stats(&self) -> Stats {
        if self.is_fork() {
            return Stats::default();
        }
        self.tallies.stats(|| {
            let mut accepted = 0;
            self.buffers.for_each(|buffer| accepted += buffer.accepted);
            accepted
        })
    }

    pub(crate) fn stage(&self) -> Stage {
        if self.inline.is_some() && self.closed.load(Ordering::Acquire) {
            return Stage::Ended;
        }
        self.control.lock().stage
    }

    /// The newest ticket, and how far the pipeline is to go on.
    pub(crate) fn requested(&self) -> (u64, Stage) {
        let control = self.control.lock();
        (control.requested, control.stage)
    }

    pub(crate) fn attempt_begins(&self) -> u64 {
        let mut control = self.control.lock();
        control.attempts += 1;
        control.attempts
    }

    pub(crate) fn attempt_failed(&self, attempt: u64, error: &Error) {
        let failure = Failure { attempt, kind: error.kind(), message: error.to_string() };
        self.control.lock().failure = Some(failure);
        self.changed.notify_all();
    }

    pub(crate) fn covered(&self, ticket: u64) {
        let mut control = self.control.lock();
        control.covered = control.covered.max(ticket);
        control.failure = None;
        drop(control);
        self.changed.notify_all();
    }

    /// Counts events that are given up since the time to close has run out.
    pub(crate) fn abandon(&self, events: u64) {
        self.tallies.lost.fetch_add(events, Ordering::AcqRel);
        self.control.lock().abandoned += events;
    }

    pub(crate) fn committer_ended(&self) {
        self.control.lock().committer_ended = true;
        self.changed.notify_all();
    }

    pub(crate) fn ended(&self) {
        self.control.lock().stage = Stage::Ended;
        self.changed.notify_all();
    }
}

#[cold]
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the store is closed; open it again")
}
