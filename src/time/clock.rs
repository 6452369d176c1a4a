//! The clock that stamps events and decides windows.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::time::timestamp::Timestamp;

/// Where the time comes from: the system, or a [`ManualClock`].
///
/// ```
/// use headcount::{Clock, Timestamp};
///
/// assert!(Clock::system().now() > Timestamp::parse("2024-01-01")?);
/// # Ok::<(), headcount::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Clock(Source);

#[derive(Debug, Clone, Default)]
enum Source {
    #[default]
    System,
    Manual(ManualClock),
}

impl Clock {
    /// The system's clock. On Linux it is read in its coarse form, 3 ns a call and at most 10 ms behind.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// The time now.
    #[inline]
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => system_now(),
            Source::Manual(clock) => clock.now(),
        }
    }
}

impl From<ManualClock> for Clock {
    fn from(clock: ManualClock) -> Self {
        Self(Source::Manual(clock))
    }
}

#[cfg(target_os = "linux")]
fn system_now() -> Timestamp {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    Timestamp::from_unix_seconds(time.tv_sec)
}

#[cfg(not(target_os = "linux"))]
fn system_now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp::from_unix_seconds(
        since_epoch.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX)),
    )
}

/// A clock that moves only when told to; its clones show the same time. For tests and benchmarks.
///
/// ```
/// use std::time::Duration;
/// use headcount::{ManualClock, Timestamp};
///
/// let clock = ManualClock::new(Timestamp::parse("2026-11-22")?);
/// clock.advance(Duration::from_secs(3600));
/// assert_eq!(clock.now(), Timestamp::parse("2026-11-22T01:00:00Z")?);
/// # Ok::<(), headcount::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(AtomicI64::new(now.unix_seconds())))
    }

    /// The time that it shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.0.load(Ordering::Relaxed))
    }

    /// Sets the time, also backwards.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.unix_seconds(), Ordering::Relaxed);
    }

    /// Moves the time forward by whole seconds of `by`.
    pub fn advance(&self, by: Duration) {
        self.set(self.now().plus_seconds(i64::try_from(by.as_secs()).unwrap_or(i64::MAX)));
    }
}
