//! The pipeline of one opened store: what callers share, and flushing and closing it.

use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::ingest::aggregate::Target;
use crate::ingest::buffer::Buffers;
use crate::ingest::engine::{Engine, Inline};
use crate::ingest::health::{Health, Status, Trouble};
use crate::ingest::queue::Queue;
use crate::ingest::settings::{LONGEST_WAIT, Mode, Settings};
use crate::ingest::stats::{Stats, Tallies};
use crate::ingest::threads::{self, Job};
use crate::storage::batch::Batch;
use crate::storage::{Commit, Writer};
use crate::sync::thread::{JoinHandle, Thread};
use crate::sync::{AtomicBool, AtomicU32, Condvar, Instant, Mutex, OnceLock, Ordering, mpsc};

/// A running pipeline, or one of a store that could not be opened.
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
    /// Why there is no storage; closed from the beginning then.
    pub(crate) disabled: Option<Trouble>,
}

/// What flushes wait for.
#[derive(Debug)]
struct Control {
    /// What was tracked before this instant is in the file.
    durable_until: Instant,
    /// What removing old buckets failed with last.
    retention: Option<Trouble>,
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

impl Control {
    fn new() -> Self {
        Self {
            durable_until: Instant::now(),
            retention: None,
            requested: 0,
            covered: 0,
            attempts: 0,
            failure: None,
            stage: Stage::Open,
            timed_out: false,
            committer_ended: false,
            abandoned: 0,
        }
    }
}

/// The last attempt to commit that failed.
#[derive(Debug, Clone)]
struct Failure {
    attempt: u64,
    trouble: Trouble,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
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
        if settings.mode == Mode::Inline {
            let inline = Some(Mutex::new(Inline::new(engine, writer)));
            let shared = Arc::new(Shared { inline, ..Shared::new(target, settings) });
            return Ok(Self { shared, threads: Mutex::default() });
        }
        let (jobs, inbox) = mpsc::channel();
        let shared = Arc::new(Shared { jobs: Mutex::new(Some(jobs)), ..Shared::new(target, settings) });
        let threads = threads::start(&shared, engine, writer, inbox)?;
        Ok(Self { shared, threads: Mutex::new(threads) })
    }

    /// The pipeline of a store that could not be opened: it refuses every event, and counts it.
    pub(crate) fn disabled(target: Target, settings: Settings, reason: &Error) -> Self {
        let disabled = Some(Trouble::new(reason, settings.clock.now()));
        let shared = Shared { disabled, closed: AtomicBool::new(true), ..Shared::new(target, settings) };
        shared.ended();
        Self { shared: Arc::new(shared), threads: Mutex::default() }
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
            return Err(self.shared.ended_error());
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
                    failure.trouble.kind,
                    format!("{}; the events stay in memory and are tried again", failure.trouble.message),
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
        if self.shared.disabled.is_some() {
            return Ok(self.shared.stats());
        }
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
            |failure| failure.trouble.error(),
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
        let sender = self.shared.committer_jobs().ok_or_else(|| self.shared.ended_error())?;
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
    fn new(target: Target, settings: Settings) -> Self {
        Self {
            buffers: Buffers::new(),
            queue: Queue::new(settings.queue_buffers),
            tallies: Tallies::default(),
            closed: AtomicBool::new(false),
            process: AtomicU32::new(std::process::id()),
            control: Mutex::new(Control::new()),
            changed: Condvar::new(),
            aggregator: OnceLock::new(),
            asleep: AtomicBool::new(false),
            jobs: Mutex::default(),
            inline: None,
            disabled: None,
            target,
            settings,
        }
    }

    /// Why an ended pipeline takes nothing.
    fn ended_error(&self) -> Error {
        self.disabled.as_ref().map_or_else(closed, Trouble::error)
    }

    /// Whether everything works; how long the oldest event waits is by the clock that never leaps.
    pub(crate) fn health(&self) -> Health {
        if self.is_fork() {
            return Health { status: Status::Working, trouble: None, oldest_unflushed: None };
        }
        let is_waiting = self.stats().queued > 0;
        let control = self.control.lock();
        let failing = control.failure.as_ref().map(|failure| &failure.trouble).or(control.retention.as_ref());
        let status = match (&self.disabled, failing) {
            (Some(_), _) => Status::Disabled,
            (None, Some(_)) => Status::Failing,
            (None, None) => Status::Working,
        };
        Health {
            status,
            trouble: self.disabled.as_ref().or(failing).cloned(),
            oldest_unflushed: is_waiting.then(|| control.durable_until.elapsed()),
        }
    }

    /// What a pass of retention came to.
    pub(crate) fn retention_ended(&self, outcome: Result<(), &Error>) {
        let now = self.settings.clock.now();
        let mut control = self.control.lock();
        let before = control.retention.take();
        control.retention = outcome.err().map(|error| Trouble::new(error, now).after(before.as_ref()));
    }

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
                "this process is a fork of the one that opened the store; fork first, and open stores afterwards, in the parent too",
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
        let now = self.settings.clock.now();
        let mut control = self.control.lock();
        let before = control.failure.take();
        let trouble = Trouble::new(error, now).after(before.as_ref().map(|failure| &failure.trouble));
        control.failure = Some(Failure { attempt, trouble });
        drop(control);
        self.changed.notify_all();
    }

    /// What was tracked before `cut` is in the file, and with it what the flush with this ticket waits for.
    pub(crate) fn covered(&self, ticket: u64, cut: Instant) {
        let mut control = self.control.lock();
        control.covered = control.covered.max(ticket);
        control.durable_until = cut;
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
