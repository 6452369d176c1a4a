//! The cost of an answer from a file that the system has in memory, with `hyperloglogplus` in turns: microseconds, medians of the rounds.
//!
//! Ours is `Reader::value` as a host calls it: SQL, checksums, validation, union and estimate. The crate's part is the union and the
//! count alone, of sketches that it has in memory already; reading and decoding them would come on top.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops where it is wrong"
)]

use std::hash::{BuildHasher, Hasher};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use headcount::{
    Definitions, EventDefinition, ManualClock, MetricDefinition, Mode, Query, Reader, Rule, Sketch, Store,
    TimeFrame, Timestamp,
};
use hyperloglogplus::{HyperLogLog, HyperLogLogPlus};
use rusqlite::{Connection, params};

/// 2026-11-22, 00:00 UTC.
const TODAY_UNIX_SECONDS: i64 = 1_795_305_600;
const DAY_SECONDS: i64 = 86_400;
/// The bucket of a day is this plus its number since 1970.
const DAY_BUCKETS: i64 = 2 << 40;
const LARGE_USERS: usize = 20_000;
/// Large sketches are picked from so many.
const POOL: usize = 32;

struct Scale {
    rounds: usize,
    metrics: usize,
    year: i64,
}

fn main() {
    // `cargo test` runs benches too; there one small round shows that they work.
    let scale = match std::env::args().any(|argument| argument == "--bench") {
        true => Scale { rounds: 11, metrics: 1_000, year: 365 },
        false => Scale { rounds: 1, metrics: 3, year: 30 },
    };
    println!("{:<44}{:>12}{:>18}{:>8}", "µs", "headcount", "hyperloglogplus", "ratio");
    let pool: Vec<_> = (0..POOL).map(|number| identifiers(number as u64, LARGE_USERS)).collect();
    let folder = tempfile::tempdir().unwrap();

    let blobs: Vec<_> = pool.iter().map(|ids| ours_of(ids).encode()).collect();
    let rivals: Vec<_> = pool.iter().map(|ids| theirs_of(ids)).collect();
    let dense = Stored::new(&folder.path().join("dense.db"), scale.metrics, 28, |metric, day| {
        blobs[(metric * 7 + day) % POOL].clone()
    });
    let rival = |metric: usize, days: usize| {
        let mut all = rivals[metric * 7 % POOL].clone();
        (1..days).for_each(|day| all.merge(&rivals[(metric * 7 + day) % POOL]).unwrap());
        all.count()
    };
    one(&scale, "one metric, 28 large days", &dense, Some(28), |metric| rival(metric, 28));
    every(&scale, "all metrics, 28 large days", &dense, |metric| rival(metric, 28));

    let small = |metric: usize, day: usize| {
        let users = identifiers((metric * 1_000 + day) as u64, LARGE_USERS / (metric + 1));
        // Half of them come every day.
        let steady = identifiers(metric as u64, LARGE_USERS / (metric + 1) / 2);
        [steady, users].concat()
    };
    let skewed = Stored::new(&folder.path().join("skewed.db"), scale.metrics, 28, |metric, day| {
        ours_of(&small(metric, day)).encode()
    });
    let rivals: Vec<Vec<_>> = (0..scale.metrics)
        .map(|metric| (0..28).map(|day| theirs_of(&small(metric, day))).collect())
        .collect();
    let rival = |metric: usize| {
        let mut all = rivals[metric][0].clone();
        rivals[metric][1..].iter().for_each(|day| all.merge(day).unwrap());
        all.count()
    };
    every(&scale, "all metrics, 28 days, skewed", &skewed, rival);
    for users in [10, 100, 1_000, 5_000] {
        let store = Stored::new(&folder.path().join(format!("{users}.db")), 20, 28, |metric, day| {
            ours_of(&identifiers((metric * 1_000 + day) as u64, users)).encode()
        });
        let rivals: Vec<_> = (0..28).map(|day| theirs_of(&identifiers(1_000 + day as u64, users))).collect();
        let rival = |_| {
            let mut all = rivals[0].clone();
            rivals[1..].iter().for_each(|day| all.merge(day).unwrap());
            all.count()
        };
        one(&scale, &format!("one metric, 28 days of {users} users"), &store, Some(28), rival);
    }

    let rivals: Vec<_> = pool.iter().map(|ids| theirs_of(ids)).collect();
    let long = Stored::new(&folder.path().join("long.db"), 20, scale.year, |metric, day| {
        blobs[(metric * 7 + day) % POOL].clone()
    });
    let rival = |metric: usize, days: usize| {
        let mut all = rivals[metric * 7 % POOL].clone();
        (1..days).for_each(|day| all.merge(&rivals[(metric * 7 + day) % POOL]).unwrap());
        all.count()
    };
    one(&scale, "one metric, a year of large days", &long, Some(scale.year as u32), |metric| {
        rival(metric, scale.year as usize)
    });
    one(&scale, "one metric, all time", &long, None, |metric| rival(metric, 1));
}

/// Different metrics one after another.
fn one(scale: &Scale, what: &str, stored: &Stored, days: Option<u32>, rival: impl Fn(usize) -> f64) {
    const ASKED: usize = 20;
    let metrics: Vec<_> = (0..ASKED).map(|number| number * 41 % stored.metrics).collect();
    let (ours, theirs) = in_turns(
        scale.rounds,
        || {
            for metric in &metrics {
                black_box(stored.value(*metric, days));
            }
        },
        || {
            for metric in &metrics {
                black_box(rival(*metric));
            }
        },
    );
    report(what, ours / ASKED as f64, theirs / ASKED as f64);
}

fn every(scale: &Scale, what: &str, stored: &Stored, rival: impl Fn(usize) -> f64) {
    let (ours, theirs) = in_turns(
        scale.rounds.min(5),
        || {
            for metric in 0..stored.metrics {
                black_box(stored.value(metric, Some(28)));
            }
        },
        || {
            for metric in 0..stored.metrics {
                black_box(rival(metric));
            }
        },
    );
    report(what, ours, theirs);
}

/// A store with one unique metric an event, and its reader.
struct Stored {
    reader: Reader,
    metrics: usize,
}

impl Stored {
    fn new(path: &Path, metrics: usize, days: i64, blob: impl Fn(usize, usize) -> Vec<u8>) -> Self {
        let clock = ManualClock::new(Timestamp::from_unix_seconds(TODAY_UNIX_SECONDS));
        let definitions = (0..metrics).fold(Definitions::new(), |all, number| {
            let all = all.event(EventDefinition::new(name(number)).identifier("user")).unwrap();
            let metric = MetricDefinition::new(format!("unique.{}", name(number)), TimeFrame::All);
            all.metric(metric.rule(Rule::unique(name(number), "user"))).unwrap()
        });
        let builder = Store::builder(path).definitions(definitions).mode(Mode::Inline).clock(clock.clone());
        builder.open().unwrap().close().unwrap();
        fill(path.to_owned(), metrics, days, blob);
        Self { reader: Reader::open(path).unwrap().with_clock(clock), metrics }
    }

    fn value(&self, metric: usize, days: Option<u32>) -> f64 {
        let query = Query::unique(name(metric), "user");
        let query = match days {
            Some(days) => query.last_days(days),
            None => query,
        };
        self.reader.value(&query).unwrap().value.number().unwrap()
    }
}

/// Writes the rows of the days before today, as if they had been united into the sketches of all time.
fn fill(path: PathBuf, metrics: usize, days: i64, blob: impl Fn(usize, usize) -> Vec<u8>) {
    let mut connection = Connection::open(path).unwrap();
    let transaction = connection.transaction().unwrap();
    let first = DAY_BUCKETS + TODAY_UNIX_SECONDS / DAY_SECONDS - days;
    {
        let id = "SELECT id FROM series WHERE key LIKE ?1 || '%' AND kind = ?2";
        let put = "INSERT INTO sketches (bucket, series, blob) VALUES (?1, ?2, ?3)";
        let (mut id, mut put) = (transaction.prepare(id).unwrap(), transaction.prepare(put).unwrap());
        let ids: Vec<(i64, i64)> = (0..metrics)
            .map(|metric| {
                let mut of_kind =
                    |kind: i64| id.query_row(params![name(metric), kind], |row| row.get(0)).unwrap();
                (of_kind(1), of_kind(3))
            })
            .collect();
        for day in 0..days {
            for (metric, (count, unique)) in ids.iter().enumerate() {
                let blob = blob(metric, day as usize);
                put.execute(params![first + day, unique, blob]).unwrap();
                if day == 0 {
                    put.execute(params![0, unique, blob]).unwrap();
                }
                let count_of = "INSERT INTO counts (bucket, series, count) VALUES (?1, ?2, 1)";
                transaction.prepare_cached(count_of).unwrap().execute(params![first + day, count]).unwrap();
            }
        }
        let cursor = "UPDATE store SET united_bucket = ?1, united_series = ?2";
        transaction.execute(cursor, params![first + days - 1, i64::MAX]).unwrap();
    }
    transaction.commit().unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

fn name(metric: usize) -> String {
    format!("event_{metric:04}")
}

/// The medians of two pieces of work that take turns, so that a busy machine is busy for both; in microseconds.
fn in_turns(rounds: usize, ours: impl Fn(), theirs: impl Fn()) -> (f64, f64) {
    let time = |work: &dyn Fn()| {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64() * 1e6
    };
    // The first turn fills the caches.
    ours();
    let times: Vec<_> = (0..rounds).map(|_| (time(&ours), time(&theirs))).collect();
    let (ours, theirs) = times.into_iter().unzip();
    (median(ours), median(theirs))
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn report(what: &str, ours: f64, theirs: f64) {
    println!("{what:<44}{ours:>12.1}{theirs:>18.1}{:>8.1}", theirs / ours);
}

fn ours_of(ids: &[u64]) -> Sketch {
    let mut sketch = Sketch::new();
    for id in ids {
        sketch.add(&id.to_le_bytes());
    }
    sketch
}

fn theirs_of(ids: &[u64]) -> HyperLogLogPlus<u64, AsGiven> {
    let mut sketch = HyperLogLogPlus::new(14, AsGiven(0)).unwrap();
    ids.iter().for_each(|id| sketch.insert(id));
    sketch
}

/// Random numbers (SplitMix64) that replay from a seed.
fn identifiers(seed: u64, count: usize) -> Vec<u64> {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x2545_f491_4f6c_dd1d);
    let next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Takes a random number for its own hash.
#[derive(Clone)]
struct AsGiven(u64);

impl BuildHasher for AsGiven {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for AsGiven {
    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, id: u64) {
        self.0 = id;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
