//! The two threads of a store: the aggregator, which does no I/O, and the committer, which owns the writing connection.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::ingest::aggregate::Skipped;
use crate::ingest::engine::{self, Engine};
use crate::ingest::pipeline::{Shared, Stage};
use crate::ingest::retaining::Retaining;
use crate::storage::batch::Batch;
use crate::storage::{Commit, Writer};
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Instant, Ordering, mpsc};

/// The aggregator looks again after this long while there is work, and up to [`IDLE_MAX`] when there is none.
const IDLE_MIN: Duration = Duration::from_millis(1);
const IDLE_MAX: Duration = Duration::from_millis(50);
/// The wait before a failed commit is tried again, doubled up to the maximum.
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(1);
/// Buffers that are added up before the aggregator looks at flushes and outcomes again.
const BUFFERS_AT_ONCE: usize = 16;
/// Panics outside of any event, one after the other, after which the aggregator gives up instead of trying for ever.
const MAX_PANICS: u32 = 16;
/// A failure that lasts is logged so often.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// A batch for the committer. The reply wakes the aggregator.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) batch: Arc<Batch>,
    pub(crate) attempt: u64,
    pub(crate) reply: mpsc::Sender<Outcome>,
}

#[derive(Debug)]
pub(crate) struct Outcome {
    attempt: u64,
    pub(crate) result: Result<Commit, Error>,
}

pub(crate) fn start(
    shared: &Arc<Shared>,
    engine: Engine,
    writer: Box<dyn Writer>,
    inbox: mpsc::Receiver<Job>,
) -> Result<Vec<JoinHandle<()>>, Error> {
    let spawn = |name: &str, body: Box<dyn FnOnce() + Send>| {
        thread::Builder::new().name(name.to_owned()).spawn(body).map_err(|error| {
            Error::new(ErrorKind::Internal, format!("the thread `{name}` could not be started: {error}"))
        })
    };
    let (jobs, committing) = (shared.committer_jobs(), Arc::clone(shared));
    let committer = spawn("headcount-commit", Box::new(move || commit_all(&committing, writer, &inbox)))?;
    let aggregating = Arc::clone(shared);
    let (reply, outcomes) = mpsc::channel();
    let aggregator = spawn(
        "headcount-aggregate",
        Box::new(move || {
            let now = Instant::now();
            let mut aggregation = Aggregation {
                shared: aggregating,
                engine,
                jobs,
                reply,
                outcomes,
                in_flight: None,
                last_cut: now,
                ticket_seen: 0,
                idle: IDLE_MIN,
                ended: false,
                logged: None,
            };
            aggregation.run();
        }),
    )
    .inspect_err(|_| shared.forget_committer())?;
    shared.set_aggregator(aggregator.thread().clone());
    Ok(vec![aggregator, committer])
}

fn commit_all(shared: &Shared, mut writer: Box<dyn Writer>, inbox: &mpsc::Receiver<Job>) {
    let mut retaining = Retaining::default();
    while let Ok(job) = inbox.recv() {
        // A panic rolls the transaction back, like an error.
        let result = catch_unwind(AssertUnwindSafe(|| writer.commit(&job.batch)))
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "the committer panicked")));
        let is_committed = result.is_ok();
        // Whoever asked may be gone by now.
        let _ = job.reply.send(Outcome { attempt: job.attempt, result });
        shared.wake_aggregator();
        // Whatever happens to old buckets, new events go on.
        if is_committed {
            let _ = catch_unwind(AssertUnwindSafe(|| retaining.work(shared, &mut *writer)));
        }
    }
    // The connection is closed before anybody is told.
    drop(writer);
    shared.committer_ended();
}

/// The state of the aggregator's thread. It lives outside every unwinding, so that a panic costs one event.
struct Aggregation {
    shared: Arc<Shared>,
    engine: Engine,
    jobs: Option<mpsc::Sender<Job>>,
    reply: mpsc::Sender<Outcome>,
    outcomes: mpsc::Receiver<Outcome>,
    in_flight: Option<InFlight>,
    last_cut: Instant,
    /// The newest ticket that a batch covers.
    ticket_seen: u64,
    idle: Duration,
    ended: bool,
    logged: Option<Instant>,
}

/// A batch whose fate is not known yet. It keeps its exact content; new events go to the next.
struct InFlight {
    batch: Arc<Batch>,
    ticket: u64,
    /// When everything that was tracked before it is in this batch or an earlier one.
    cut: Instant,
    attempt: u64,
    /// After a failure: when to try again, and how long the wait after the next failure is.
    retry: Option<Instant>,
    backoff: Duration,
    /// The tickets that were out when the attempt began: a later flush asks for a new attempt at once.
    asked: u64,
}

impl Aggregation {
    fn run(&mut self) {
        let mut panics = 0;
        while !self.ended {
            let step = catch_unwind(AssertUnwindSafe(|| self.step()));
            if step.is_ok() {
                panics = 0;
                continue;
            }
            if self.engine.aggregator.skip("panic") == Skipped::Nothing {
                panics += 1;
            }
            if self.logged.is_none_or(|logged| logged.elapsed() >= LOG_EVERY) {
                self.logged = Some(Instant::now());
                tracing::error!("the aggregator panicked; the event in work, if any, was lost and counted");
            }
            if panics >= MAX_PANICS {
                let error = Error::new(ErrorKind::Internal, "the aggregator panics again and again");
                let attempt = self.shared.attempt_begins();
                self.shared.attempt_failed(attempt, &error);
                self.ended = true;
            }
        }
        self.jobs = None;
        self.shared.ended();
    }

    fn step(&mut self) {
        // After a panic: the records behind the offending one.
        self.engine.aggregator.go_on();
        let (requested, stage) = self.shared.requested();
        let mut worked = self.settle_outcomes();
        worked |= self.try_again(requested);
        worked |= self.drain();
        let asked = requested > self.ticket_seen || stage != Stage::Open;
        let due = asked
            || self.last_cut.elapsed() >= self.shared.settings.flush_every
            || self.engine.aggregator.is_full();
        if stage == Stage::Abandoned {
            self.abandon();
        } else if due && self.in_flight.is_none() {
            worked |= self.cut(requested, stage);
        }
        self.rest(worked);
    }

    /// Whether the queue has to wait, and callers see it full: while a batch is in flight and memory is full.
    fn is_held_up(&mut self) -> bool {
        self.in_flight.is_some() && self.engine.aggregator.is_full()
    }

    fn drain(&mut self) -> bool {
        for drained in 0..BUFFERS_AT_ONCE {
            if self.is_held_up() || !self.engine.absorb_next(&self.shared) {
                if drained > 0 {
                    self.shared.queue.announce_room();
                }
                return drained > 0;
            }
        }
        self.shared.queue.announce_room();
        true
    }

    /// Cuts a batch of everything that was tracked before now, for every flush that has asked before now; says whether anything
    /// was.
    fn cut(&mut self, ticket: u64, stage: Stage) -> bool {
        let cut = Instant::now();
        self.engine.gather(&self.shared);
        self.shared.queue.announce_room();
        self.last_cut = cut;
        self.ticket_seen = ticket;
        match self.engine.cut(&self.shared) {
            Some(batch) => {
                self.in_flight = Some(InFlight {
                    batch: Arc::new(batch),
                    ticket,
                    cut,
                    attempt: 0,
                    retry: None,
                    backoff: RETRY_MIN,
                    asked: ticket,
                });
                self.submit();
                true
            }
            None => {
                self.shared.covered(ticket, cut);
                self.ended = stage == Stage::Closing;
                false
            }
        }
    }

    fn submit(&mut self) {
        let attempt = self.shared.attempt_begins();
        let Some(in_flight) = &mut self.in_flight else { return };
        in_flight.attempt = attempt;
        in_flight.retry = None;
        let job = Job { batch: Arc::clone(&in_flight.batch), attempt, reply: self.reply.clone() };
        if self.jobs.as_ref().is_none_or(|jobs| jobs.send(job).is_err()) {
            let error = Error::new(ErrorKind::Internal, "the committer has ended");
            self.failed(attempt, &error);
        }
    }

    fn settle_outcomes(&mut self) -> bool {
        let mut settled = false;
        while let Ok(outcome) = self.outcomes.try_recv() {
            settled = true;
            match outcome.result {
                Ok(Commit::Applied | Commit::Repeated) => {
                    if let Some(in_flight) = self.in_flight.take() {
                        engine::settle(&self.shared, &in_flight.batch);
                        self.shared.covered(in_flight.ticket, in_flight.cut);
                    }
                }
                Ok(Commit::Overtaken) => {
                    let error = Error::new(
                        ErrorKind::Internal,
                        "a batch without a source was refused for its source",
                    );
                    self.failed(outcome.attempt, &error);
                }
                Err(error) => self.failed(outcome.attempt, &error),
            }
        }
        settled
    }

    fn failed(&mut self, attempt: u64, error: &Error) {
        if let Some(in_flight) = &mut self.in_flight {
            in_flight.retry = Some(Instant::now() + in_flight.backoff);
            in_flight.backoff = (in_flight.backoff * 2).min(RETRY_MAX);
        }
        if self.logged.is_none_or(|logged| logged.elapsed() >= LOG_EVERY) {
            self.logged = Some(Instant::now());
            tracing::warn!(error = %error, "a batch could not be committed; it is tried again");
        }
        self.shared.attempt_failed(attempt, error);
    }

    /// Tries a failed commit again when its time has come, or at once when a new flush asks.
    fn try_again(&mut self, requested: u64) -> bool {
        let Some(in_flight) = &mut self.in_flight else { return false };
        let Some(retry) = in_flight.retry else { return false };
        if Instant::now() < retry && in_flight.asked >= requested {
            return false;
        }
        in_flight.asked = requested;
        self.submit();
        true
    }

    fn abandon(&mut self) {
        self.engine.gather(&self.shared);
        let in_flight = self.in_flight.take().map_or(0, |in_flight| engine::pending_in(&in_flight.batch));
        self.shared.abandon(in_flight + self.engine.pending_events());
        self.ended = true;
    }

    fn rest(&mut self, worked: bool) {
        if worked || self.ended {
            self.idle = IDLE_MIN;
            if !self.ended && self.shared.queue.len() > 0 {
                return;
            }
        } else {
            self.idle = (self.idle * 2).min(IDLE_MAX).min(self.shared.settings.flush_every.max(IDLE_MIN));
        }
        if self.ended {
            return;
        }
        // A queue that has to wait may be full for as long as the disk takes, and is nothing to stay awake for.
        let is_held_up = self.is_held_up();
        self.shared.asleep.store(true, Ordering::SeqCst);
        // A caller that found us awake has filled the queue before this look.
        if is_held_up || !self.shared.queue.is_pressing() {
            thread::park_timeout(self.idle);
        }
        self.shared.asleep.store(false, Ordering::SeqCst);
    }
}
