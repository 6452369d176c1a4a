//! What a child tracks: batches that follow from a seed, so that the parent knows them too.

use std::path::Path;
use std::time::Duration;

use headcount::{Definitions, Event, EventDefinition, ManualClock, Rule, Store, Timestamp};

/// Every event has the same definition, and series of each kind.
pub(crate) const EVENTS: [&str; 5] = ["page_viewed", "writer_0", "writer_1", "writer_2", "writer_3"];

pub(crate) fn noon() -> Timestamp {
    Timestamp::parse("2026-11-22T12:00:00Z").unwrap()
}

pub(crate) fn open(path: &Path, flush_every: Duration) -> Store {
    let mut definitions = Definitions::new();
    for name in EVENTS {
        let event = EventDefinition::new(name).identifier("user").label().value();
        definitions = definitions.event(event).unwrap();
    }
    let mut builder = Store::builder(path)
        .definitions(definitions)
        .clock(ManualClock::new(noon()))
        .flush_every(flush_every);
    for name in EVENTS {
        builder = builder
            .record(Rule::unique(name, "user"))
            .record(Rule::sum(name))
            .record(Rule::per_value(name, "label"));
    }
    builder.open().unwrap()
}

/// One event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fact {
    pub(crate) event: &'static str,
    pub(crate) at: Timestamp,
    pub(crate) user: u64,
    pub(crate) label: u64,
    /// The value in eighths, so that sums are exact in any order.
    pub(crate) eighths: u32,
}

impl Fact {
    /// The `n`-th event that follows from a key: half of the users are its own, half are of all.
    pub(crate) fn of(event: &'static str, key: u64, n: u64) -> Self {
        let mut state = mixed(key ^ n.wrapping_mul(0x2545_f491_4f6c_dd1d));
        let mut below = |bound: u64| {
            state = mixed(state);
            state % bound
        };
        Self {
            event,
            at: noon().plus_seconds(-i64::try_from(below(100_000)).unwrap()),
            user: if below(2) == 0 { below(1_000) } else { 1_000 + below(u64::MAX / 2) },
            label: below(20),
            eighths: u32::try_from(below(1_000)).unwrap(),
        }
    }

    pub(crate) fn value(&self) -> f64 {
        f64::from(self.eighths) * 0.125
    }

    pub(crate) fn track(&self, store: &Store) {
        let label = self.label();
        let event = Event::new(self.event).user(self.user).label(&label).value(self.value()).at(self.at);
        store.tracker().try_track(event).unwrap();
    }

    pub(crate) fn label(&self) -> String {
        format!("label-{}", self.label)
    }

    /// As a line of an import.
    pub(crate) fn line(&self) -> String {
        let Self { event, at, user, .. } = self;
        format!(
            "{{\"event\":\"{event}\",\"time\":\"{at}\",\"user\":{user},\"label\":\"{}\",\"value\":{}}}\n",
            self.label(),
            self.value()
        )
    }
}

/// The batches of one life of a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream {
    pub(crate) event: &'static str,
    pub(crate) seed: u64,
    pub(crate) life: u64,
    /// The events of each batch, where all have the same number.
    pub(crate) size: Option<u64>,
}

impl Stream {
    pub(crate) fn batch(&self, n: u64) -> Vec<Fact> {
        let key = mixed(self.seed ^ mixed(self.life << 32 | n));
        let size = self.size.unwrap_or(1 + key % 40);
        (0..size).map(|n| Fact::of(self.event, key, n)).collect()
    }

    /// All events, batch after batch.
    pub(crate) fn facts(self) -> impl Iterator<Item = Fact> {
        (0..).flat_map(move |n| self.batch(n))
    }

    /// The events of so many batches.
    pub(crate) fn events_in(&self, batches: u64) -> u64 {
        (0..batches).map(|n| self.batch(n).len() as u64).sum()
    }
}

/// SplitMix64's finish.
pub(crate) fn mixed(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
