//! What time and CPU something took.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// A deadline for contestants that work as long as they are let.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Until(Instant);

impl Until {
    pub(crate) fn after(seconds: f64) -> Self {
        Self(Instant::now() + Duration::from_secs_f64(seconds))
    }

    pub(crate) fn is_over(self) -> bool {
        Instant::now() >= self.0
    }
}

/// Seconds of CPU that all threads of this process have taken.
pub(crate) fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Seconds that the work took.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed().as_secs_f64(), result)
}
