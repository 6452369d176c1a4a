//! Keeping a Redis in step with a store that programs write.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::ping::Ping;
use crate::redis::bring::{Bringer, Look};
use crate::redis::holdings::{Holdings, holdings};
use crate::redis::mark::Marks;
use crate::redis::names::RedisNames;
use crate::redis::patience::Patient;
use crate::report::reader::Reader;
use crate::time::timestamp::Timestamp;

/// When the store was committed last, and its ledger.
type State = (Option<Timestamp>, Vec<(String, String, u64)>);

/// How often the store is looked at, unless it is said otherwise.
const EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether to stop.
const STOP_SEEN_EVERY: Duration = Duration::from_millis(50);
/// The longest wait after a failure.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Weeks end, and with them keys, also where nobody tracks.
const AT_LEAST_EVERY: Duration = Duration::from_secs(60);

/// Keeps a Redis in step with a store, while programs write the store: what each flush has added is added in Redis too.
///
/// It runs beside the programs and reads the file, so that an outage of Redis delays the mirror and never a program; when Redis is back
/// the mirror brings the difference. What was brought of a key stands beside it in Redis and changes with it in one step: nothing is
/// added twice, whatever breaks off, and a Redis that came back empty or from an older dump is brought up again.
///
/// ```no_run
/// use std::sync::atomic::AtomicBool;
/// use headcount::{Reader, RedisMirror};
///
/// let stop = AtomicBool::new(false);
/// RedisMirror::new().run(&Reader::open("usage.db")?, "redis://localhost/0", &stop, &mut |step| println!("{step:?}"))?;
/// # Ok::<(), headcount::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "it mirrors nothing until it runs"]
pub struct RedisMirror {
    names: RedisNames,
    every: Duration,
    overwrite: bool,
}

/// What a mirror has done.
///
/// ```
/// use headcount::RedisMirrorStep;
///
/// assert_ne!(RedisMirrorStep::Written { keys: 1 }, RedisMirrorStep::Written { keys: 2 });
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum RedisMirrorStep {
    /// Keys were brought up; those that were do not count.
    Written {
        /// How many.
        keys: u64,
    },
    /// It failed, and is tried again.
    Failed {
        /// Why.
        error: Error,
        /// After so long.
        again_in: Duration,
    },
}

impl PartialEq for RedisMirrorStep {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Written { keys }, Self::Written { keys: others }) => keys == others,
            (Self::Failed { error, again_in }, Self::Failed { error: other, again_in: wait }) => {
                error.to_string() == other.to_string() && again_in == wait
            }
            _ => false,
        }
    }
}

impl Default for RedisMirror {
    fn default() -> Self {
        Self::new()
    }
}

impl RedisMirror {
    /// A mirror by GitLab's names that looks at the store each second.
    pub fn new() -> Self {
        Self { names: RedisNames::new(), every: EVERY, overwrite: false }
    }

    /// Keys are named so.
    pub fn names(mut self, names: RedisNames) -> Self {
        self.names = names;
        self
    }

    /// Looks at the store so often.
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = interval;
        self
    }

    /// At the beginning, writes over keys that the store did not write.
    pub fn overwrite(mut self) -> Self {
        self.overwrite = true;
        self
    }

    /// Mirrors until `stop` is set, and then once more, so that Redis has what was flushed by then. `told` hears of each step.
    ///
    /// # Errors
    ///
    /// At the beginning as [`RedisExport::to_server`](crate::RedisExport::to_server), so that a wrong URL is seen at once; at the end why
    /// Redis may lack the newest. Failures in between are steps.
    pub fn run(
        &self,
        reader: &Reader,
        url: &str,
        stop: &AtomicBool,
        told: &mut dyn FnMut(RedisMirrorStep),
    ) -> Result<(), Error> {
        let marks = Marks::of(&Ping::of(reader).uuid()?);
        // An outage is waited for here, where `stop` is seen.
        let mut bringer = Bringer::new(Patient::connect(url, Duration::ZERO)?, marks);
        let held = self.held(reader)?;
        if !self.overwrite {
            bringer.refuse_foreign(&held.held)?;
        }
        // Before it is brought: a flush between the two would else wait for the next one.
        let mut seen = self.state(reader).ok();
        self.tell(self.bring(&mut bringer, reader, Look::AtKeys, self.overwrite)?, told);
        let (mut wait, mut looked) = (self.every, Instant::now());
        loop {
            let is_last = pause(wait, stop);
            let state = self.state(reader);
            if let (Ok(now), Some(before)) = (&state, &seen)
                && now == before
                && !is_last
                && looked.elapsed() < AT_LEAST_EVERY
            {
                continue;
            }
            // A Redis may lose keys without a connection that breaks.
            let look =
                if is_last || looked.elapsed() >= AT_LEAST_EVERY { Look::AtKeys } else { Look::AtMarks };
            if look == Look::AtKeys {
                looked = Instant::now();
            }
            match state.and_then(|state| Ok((state, self.bring(&mut bringer, reader, look, false)?))) {
                Ok((state, keys)) => {
                    (seen, wait) = (Some(state), self.every);
                    self.tell(keys, told);
                    if is_last {
                        return Ok(());
                    }
                }
                Err(error) if is_last => return Err(error),
                Err(error) => {
                    wait = (wait * 2).clamp(self.every, LONGEST_WAIT.max(self.every));
                    seen = None;
                    told(RedisMirrorStep::Failed { error, again_in: wait });
                }
            }
        }
    }

    fn bring(
        &self,
        bringer: &mut Bringer,
        reader: &Reader,
        look: Look,
        overwrite: bool,
    ) -> Result<u64, Error> {
        let brought = bringer.bring(&self.held(reader)?, look, overwrite, reader.clock_now())?;
        if brought.foreign.is_empty() { Ok(brought.written) } else { Err(bringer.refuse(&brought.foreign)) }
    }

    fn held(&self, reader: &Reader) -> Result<Holdings, Error> {
        holdings(reader, &self.names, reader.clock_now())
    }

    /// Changes with every flush.
    fn state(&self, reader: &Reader) -> Result<State, Error> {
        reader.read(|snapshot| Ok((snapshot.extent()?.committed_at, snapshot.ledger()?)))
    }

    fn tell(&self, keys: u64, told: &mut dyn FnMut(RedisMirrorStep)) {
        if keys > 0 {
            told(RedisMirrorStep::Written { keys });
        }
    }
}

/// Waits; says whether it is to stop.
fn pause(wait: Duration, stop: &AtomicBool) -> bool {
    let began = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let left = wait.saturating_sub(began.elapsed());
        if left.is_zero() {
            return stop.load(Ordering::Relaxed);
        }
        std::thread::sleep(left.min(STOP_SEEN_EVERY));
    }
    true
}
