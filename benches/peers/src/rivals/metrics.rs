//! The `metrics` crate with the registry that its exporters use: counts alone, in memory alone.

use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_util::registry::{AtomicStorage, Registry};

/// A counter's name; the macro wants it where it is used.
macro_rules! counted {
    () => {
        "event_00000"
    };
}
pub(crate) use counted;

/// Records into a registry of atomics.
#[derive(Clone)]
pub(crate) struct Atomics(Arc<Registry<Key, AtomicStorage>>);

impl Atomics {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Registry::atomic()))
    }

    /// What was counted under the name.
    pub(crate) fn count(&self) -> u64 {
        let counter = self.0.get_counter(&Key::from_static_name(counted!()));
        counter.map_or(0, |counter| counter.load(std::sync::atomic::Ordering::Relaxed))
    }
}

impl Recorder for Atomics {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        self.0.get_or_create_counter(key, |counter| Counter::from_arc(Arc::clone(counter)))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.0.get_or_create_gauge(key, |gauge| Gauge::from_arc(Arc::clone(gauge)))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.0.get_or_create_histogram(key, |histogram| Histogram::from_arc(Arc::clone(histogram)))
    }
}
