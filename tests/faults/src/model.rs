//! What a store must hold, by arithmetic that knows nothing of it: each event counts once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use headcount::{Definitions, Error, Event, EventDefinition, Rule, Sketch, Timestamp};

/// 2026-11-20 00:00 UTC.
pub const START: i64 = 1_795_132_800;
const HOUR_SECONDS: i64 = 3_600;
pub const DAY_SECONDS: i64 = 86_400;
const HOURS_A_DAY: i64 = 24;
const BUCKET_SHIFT: u32 = 40;
const INDEX_MASK: i64 = (1 << BUCKET_SHIFT) - 1;
/// The events of one batch, with one that no definition knows besides.
pub const EVENTS_PER_BATCH: u64 = 12;
/// What the store is offered and refuses.
pub const UNKNOWN: &str = "unheard";
/// So many rows that differ are told.
const MOST_DIFFERENCES: usize = 5;

const LABELS: [&str; 3] = ["web", "api", "mail"];

/// An event as it happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub event: &'static str,
    pub at: i64,
    pub user: u64,
    pub label: &'static str,
    pub value: f64,
}

impl Seen {
    pub fn event(&self) -> Event<'static> {
        let event = Event::new(self.event).at(Timestamp::from_unix_seconds(self.at)).user(self.user);
        match self.event {
            "paid" => event.value(self.value),
            _ => event.label(self.label),
        }
    }

    /// As a line of a log.
    pub fn line(&self) -> String {
        let Self { event, at, user, label, value } = self;
        match *event {
            "paid" => format!("{{\"event\":\"{event}\",\"time\":{at},\"user\":{user},\"value\":{value}}}\n"),
            _ => format!("{{\"event\":\"{event}\",\"time\":{at},\"user\":{user},\"label\":\"{label}\"}}\n"),
        }
    }
}

/// When a batch is tracked; the events are of the nine hours before.
pub fn time_of(batch: usize) -> i64 {
    START + (signed(batch) + 1) * 9 * HOUR_SECONDS
}

/// The events of one batch, the same in each run.
pub fn batch(number: usize) -> Vec<Seen> {
    let number_of = |event: u64| number as u64 * EVENTS_PER_BATCH + event;
    (0..EVENTS_PER_BATCH)
        .map(|event| Seen {
            event: if event % 3 == 0 { "paid" } else { "opened" },
            at: time_of(number) - (event.cast_signed() % 9) * HOUR_SECONDS,
            // Some users come again.
            user: number_of(event) * 7 % 31,
            label: LABELS[usize::try_from(number_of(event) / 3 % 3).unwrap_or(0)],
            value: 0.25 * number_of(event) as f64,
        })
        .collect()
}

pub fn definitions() -> Result<Definitions, Error> {
    Definitions::new()
        .event(EventDefinition::new("opened").identifier("user").label())?
        .event(EventDefinition::new("paid").identifier("user").value())
}

/// What is recorded besides the total of each event.
pub fn rules() -> Vec<Rule> {
    vec![
        Rule::unique("opened", "user"),
        Rule::unique("paid", "user"),
        Rule::sum("paid"),
        Rule::per_value("opened", "label"),
        Rule::count("opened").filter("label", "web"),
    ]
}

/// What the tables of a store hold, rows by bucket and key. Sketches of all time are left out: they follow behind.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Tables {
    pub counts: BTreeMap<(i64, String), i64>,
    pub sums: BTreeMap<(i64, String), f64>,
    pub sketches: BTreeMap<(i64, String), Vec<u8>>,
    pub values: BTreeMap<(i64, String, String), i64>,
    /// `stored`, and each `refused` and `lost` with its reason.
    pub ledger: BTreeMap<(String, String), i64>,
    /// Of each source: offset and lines.
    pub sources: BTreeMap<String, (i64, i64)>,
    /// The first day whose hours are kept, and the first that is kept itself; 0 when all are.
    pub kept_from: (i64, i64),
}

impl Tables {
    /// The rows that are left when what is before these days is removed.
    #[must_use]
    pub fn kept_from(&self, (hours, days): (i64, i64)) -> Self {
        let first = |bucket: i64| match bucket >> BUCKET_SHIFT {
            1 => (bucket & INDEX_MASK) / HOURS_A_DAY >= hours,
            2 => bucket & INDEX_MASK >= days,
            _ => true,
        };
        let mut left = Self { kept_from: (hours, days), ..self.clone() };
        left.counts.retain(|(bucket, _), _| first(*bucket));
        left.sums.retain(|(bucket, _), _| first(*bucket));
        left.sketches.retain(|(bucket, _), _| first(*bucket));
        left.values.retain(|(bucket, _, _), _| first(*bucket));
        left
    }

    /// The first rows that differ.
    pub fn unlike(&self, expected: &Self) -> String {
        let mut told = Vec::new();
        differences(&self.counts, &expected.counts, &mut told);
        differences(&self.sums, &expected.sums, &mut told);
        differences(&self.values, &expected.values, &mut told);
        differences(&self.ledger, &expected.ledger, &mut told);
        differences(&self.sources, &expected.sources, &mut told);
        differences(&self.sketches, &expected.sketches, &mut told);
        told.truncate(MOST_DIFFERENCES);
        told.join(", ")
    }
}

fn differences<K: Ord + Debug, V: PartialEq + Debug>(
    found: &BTreeMap<K, V>,
    expected: &BTreeMap<K, V>,
    told: &mut Vec<String>,
) {
    let keys: BTreeSet<&K> = found.keys().chain(expected.keys()).collect();
    for key in keys.into_iter().filter(|key| found.get(key) != expected.get(key)) {
        told.push(format!("{key:?} is {:?}, not {:?}", found.get(key), expected.get(key)));
    }
}

/// Everything that has happened.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Model {
    pub seen: Vec<Seen>,
    /// Offered, and refused.
    pub unknown: u64,
    /// Logs that were imported: name, bytes and lines.
    pub sources: BTreeMap<String, (usize, usize)>,
    /// What other programs have put there.
    pub before: Tables,
}

impl Model {
    /// The first batches, tracked.
    pub fn tracked(batches: usize) -> Self {
        Self { seen: (0..batches).flat_map(batch).collect(), unknown: batches as u64, ..Self::default() }
    }

    pub fn total(&self, event: &str) -> u64 {
        self.seen.iter().filter(|seen| seen.event == event).count() as u64
    }

    pub fn sum(&self, event: &str) -> f64 {
        self.seen.iter().filter(|seen| seen.event == event).map(|seen| seen.value).sum()
    }

    pub fn users(&self, event: &str) -> BTreeSet<u64> {
        self.seen.iter().filter(|seen| seen.event == event).map(|seen| seen.user).collect()
    }

    pub fn labels(&self) -> BTreeMap<String, u64> {
        let mut labels = BTreeMap::new();
        for seen in self.seen.iter().filter(|seen| seen.event == "opened") {
            *labels.entry(seen.label.to_owned()).or_default() += 1;
        }
        labels
    }

    /// The rows that the store must have for this, and no others.
    pub fn tables(&self) -> Tables {
        let mut tables = self.before.clone();
        let mut users = BTreeMap::<(i64, String), BTreeSet<u64>>::new();
        for seen in &self.seen {
            let day = 2 << 40 | seen.at.div_euclid(DAY_SECONDS);
            let hour = 1 << 40 | seen.at.div_euclid(HOUR_SECONDS);
            let mut keys = vec![seen.event.to_owned()];
            if seen.event == "opened" && seen.label == "web" {
                keys.push("opened-filter:[label:web]".to_owned());
            }
            for key in &keys {
                for bucket in [0, day, hour] {
                    *tables.counts.entry((bucket, key.clone())).or_default() += 1;
                }
            }
            users.entry((day, format!("{}-user", seen.event))).or_default().insert(seen.user);
            if seen.event == "paid" {
                for bucket in [0, day, hour] {
                    *tables.sums.entry((bucket, "paid-operator:sum(value)".to_owned())).or_default() +=
                        seen.value;
                }
            } else {
                for bucket in [0, day] {
                    let row = (bucket, "opened-operator:total-label".to_owned(), seen.label.to_owned());
                    *tables.values.entry(row).or_default() += 1;
                }
            }
        }
        for (row, users) in users {
            tables.sketches.insert(row, sketch(&users).encode());
        }
        if !self.seen.is_empty() {
            *tables.ledger.entry(("stored".to_owned(), String::new())).or_default() +=
                signed(self.seen.len());
        }
        if self.unknown > 0 {
            tables
                .ledger
                .insert(("refused".to_owned(), "unknown_event".to_owned()), self.unknown.cast_signed());
        }
        for (name, (bytes, lines)) in &self.sources {
            tables.sources.insert(name.clone(), (signed(*bytes), signed(*lines)));
        }
        tables
    }
}

/// The sketch of a set, made in memory: the blob depends on the set alone.
pub fn sketch(users: &BTreeSet<u64>) -> Sketch {
    let mut sketch = Sketch::new();
    for user in users {
        sketch.add(user.to_string().as_bytes());
    }
    sketch
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
