//! Asking a source without depending on it: on a thread of its own, up to a deadline, and past its panics.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;

use crate::ping::source::{Asked, Kept, MetricSource, SourceError, SourceFault};
use crate::ping::value::PingValue;

/// A source that has not come back so often is not asked again.
const MAX_LEFT_BY_ONE: usize = 2;
/// So many threads may be left behind by all sources; what comes then is not asked.
const MAX_LEFT_BEHIND: usize = 64;
/// A source that heeds its deadline says itself what took so long; it gets this much longer for that.
const GRACE: std::time::Duration = std::time::Duration::from_millis(250);

/// A source may ask for a ping itself. One that asks for its own value comes to an end after so many times.
const MAX_DEPTH: usize = 4;

thread_local! {
    /// How many sources wait for what this thread asks.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

struct Job {
    source: Arc<dyn MetricSource>,
    asked: Asked,
}

type Outcome = Result<PingValue, SourceError>;

/// Asks one source after the other. A thread that does not come back in time is left behind, and another takes its place.
#[derive(Default)]
pub(crate) struct Asking {
    thread: Option<(Sender<Job>, Receiver<Outcome>)>,
    /// The sources that threads were left behind with.
    left_behind: Vec<Arc<dyn MetricSource>>,
}

impl Asking {
    pub(crate) fn ask(&mut self, source: &Arc<dyn MetricSource>, asked: &Asked) -> Outcome {
        if asked.remaining().is_zero() {
            return Err(SourceError::new(
                SourceFault::Timeout,
                "the ping's limit in time passed before it was asked",
            ));
        }
        let by_this = self.left_behind.iter().filter(|left| Arc::ptr_eq(left, source)).count();
        if by_this >= MAX_LEFT_BY_ONE || self.left_behind.len() >= MAX_LEFT_BEHIND {
            let message = "not asked: its source, or too many others, have not come back from what they were asked before";
            return Err(SourceError::new(SourceFault::Timeout, message));
        }
        if DEPTH.get() >= MAX_DEPTH {
            let message =
                "not asked: sources that are being asked wait for it, and may be waiting for themselves";
            return Err(SourceError::new(SourceFault::Invalid, message));
        }
        let (jobs, outcomes) = match self.thread.take() {
            Some(thread) => thread,
            None => start()?,
        };
        let job = Job { source: Arc::clone(source), asked: asked.clone() };
        if jobs.send(job).is_err() {
            return Err(SourceError::failed("the thread that asks sources has ended"));
        }
        match outcomes.recv_timeout(asked.remaining() + GRACE) {
            Ok(outcome) => {
                self.thread = Some((jobs, outcomes));
                outcome
            }
            Err(RecvTimeoutError::Timeout) => {
                self.left_behind.push(Arc::clone(source));
                Err(SourceError::new(
                    SourceFault::Timeout,
                    "its source did not come back within its limit in time",
                ))
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(SourceError::failed("its source ended the thread that asked it"))
            }
        }
    }
}

fn start() -> Result<(Sender<Job>, Receiver<Outcome>), SourceError> {
    let (jobs, inbox) = mpsc::channel::<Job>();
    let (reply, outcomes) = mpsc::channel();
    let depth = DEPTH.get() + 1;
    thread::Builder::new()
        .name("headcount-ask".to_owned())
        .spawn(move || {
            DEPTH.set(depth);
            let kept = Kept::default();
            // Ends with its asker, which no longer waits for one that is late.
            while let Ok(Job { source, mut asked }) = inbox.recv() {
                asked.kept = Arc::clone(&kept);
                let outcome = catch_unwind(AssertUnwindSafe(|| source.value(&asked)));
                let outcome = outcome.unwrap_or_else(|_| Err(SourceError::failed("its source panicked")));
                if reply.send(outcome).is_err() {
                    break;
                }
            }
            kept.lock().clear();
        })
        .map_err(|error| SourceError::failed(format!("no thread could be started: {error}")))?;
    Ok((jobs, outcomes))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::definition::metric::MetricDefinition;
    use crate::time::frame::TimeFrame;
    use crate::time::timestamp::Timestamp;

    fn asked(limit: Duration) -> Asked {
        let metric = Arc::new(MetricDefinition::new("a", TimeFrame::None));
        let deadline = Instant::now() + limit;
        Asked { metric, at: Timestamp::EPOCH, deadline, said: Arc::default(), kept: Arc::default() }
    }

    fn source(value: impl MetricSource) -> Arc<dyn MetricSource> {
        Arc::new(value)
    }

    #[test]
    fn sources_that_hang_or_panic_hold_up_no_other() {
        let mut asking = Asking::default();
        let good = source(|_: &Asked| Ok(7.into()));
        let panicking = source(|_: &Asked| -> Outcome { panic!("in a test") });
        let hanging = source(|_: &Asked| {
            loop {
                thread::park();
            }
        });
        let long = || asked(Duration::from_secs(60));
        assert_eq!(asking.ask(&good, &long()), Ok(7.into()));
        assert_eq!(asking.ask(&panicking, &long()).unwrap_err().fault(), SourceFault::Failed);
        for _ in 0..MAX_LEFT_BY_ONE {
            assert_eq!(asking.ask(&good, &long()), Ok(7.into()));
            let late = asking.ask(&hanging, &asked(Duration::from_millis(1)));
            assert_eq!(late.unwrap_err().fault(), SourceFault::Timeout);
        }
        assert!(asking.ask(&hanging, &long()).unwrap_err().message().contains("not asked"));
        assert_eq!(asking.ask(&good, &long()), Ok(7.into()), "another source");
        let over = Asking::default().ask(&good, &asked(Duration::ZERO));
        assert_eq!(over.unwrap_err().fault(), SourceFault::Timeout);
    }
}
