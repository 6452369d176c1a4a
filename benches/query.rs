//! The cost of an answer from a file that the system has in memory, with `hyperloglogplus` in turns: microseconds a metric, medians
//! of the rounds.
//!
//! Ours is `Reader::value` as a host calls it: SQL, checksums, validation, union and estimate; "at once" is `Reader::metrics`, which
//! must answer the same. The crate's sketches are blobs in a
//! SQLite file too, those of a metric side by side, which is faster to read than ours and slower to write; postcard decodes them.
//! An argument picks the cases whose names contain it.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints, and stops where it is wrong"
)]

#[path = "rounds/rival.rs"]
mod rival;
mod rounds;

use std::hint::black_box;
use std::path::{Path, PathBuf};

use headcount::{
    Definitions, Evaluate, EventDefinition, ManualClock, MetricDefinition, Mode, Query, Reader, Rule, Store,
    TimeFrame, Timestamp, Window,
};
use hyperloglogplus::HyperLogLog;
use rival::{Rival, ours_of, rival_of};
use rounds::{median, nanoseconds, random_numbers, scale};
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
    large_metrics: usize,
    year: i64,
}

fn main() {
    let scale = scale(
        Scale { rounds: 11, metrics: 1_000, large_metrics: 200, year: 365 },
        Scale { rounds: 1, metrics: 3, large_metrics: 3, year: 30 },
    );
    println!(
        "{:<40}{:>10}{:>8}{:>10}{:>17}{:>8}",
        "µs a metric", "one by one", "ratio", "at once", "hyperloglogplus", "ratio"
    );
    let pool: Vec<_> = (0..POOL).map(|seed| Blobs::of(&identifiers(seed as u64, LARGE_USERS))).collect();
    let large = |metric: usize, day: usize| pool[(metric * 7 + day) % POOL].clone();
    let small = |metric: usize, day: usize| {
        let users = identifiers((metric * 1_000 + day) as u64, LARGE_USERS / (metric + 1));
        // Half of them come every day.
        let steady = identifiers(metric as u64, LARGE_USERS / (metric + 1) / 2);
        Blobs::of(&[steady, users].concat())
    };
    case(&scale, "28 large days", scale.large_metrics, 28, Some(28), large);
    case(&scale, "28 days, 30,000 to 30 users a metric", scale.metrics, 28, Some(28), small);
    for users in [10, 100, 1_000, 3_000] {
        let of_users =
            |metric: usize, day: usize| Blobs::of(&identifiers((metric * 1_000 + day) as u64, users));
        case(&scale, &format!("28 days of {users} users"), 20, 28, Some(28), of_users);
    }
    case(&scale, "a year of large days", 20, scale.year, Some(scale.year as u32), large);
    case(&scale, "a year of 100 users", 20, scale.year, Some(scale.year as u32), |metric, day| {
        Blobs::of(&identifiers((metric * 1_000 + day) as u64, 100))
    });
    case(&scale, "all time, large", 20, scale.year, None, large);
}

/// All metrics one after another, ours and the rival's in turns.
fn case(
    scale: &Scale,
    what: &str,
    metrics: usize,
    days: i64,
    asked: Option<u32>,
    blobs: impl Fn(usize, usize) -> Blobs,
) {
    if std::env::args().skip(1).any(|wanted| !wanted.starts_with('-') && !what.contains(&wanted)) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let time_frame = if asked.is_some() { TimeFrame::TwentyEightDays } else { TimeFrame::All };
    let stored = Stored::new(folder.path(), metrics, days, time_frame, blobs);
    let rounds = if metrics > 20 { scale.rounds.div_ceil(2) } else { scale.rounds };
    let singly = || (0..metrics).map(|metric| stored.value(metric, asked)).collect::<Vec<_>>();
    // A metric has 28 days at the most, or all time.
    let at_once = || if days <= 28 || asked.is_none() { stored.at_once() } else { singly() };
    assert_eq!(singly(), at_once(), "{what}");
    let times = in_turns(
        rounds,
        [&|| drop(black_box(singly())), &|| drop(black_box(at_once())), &|| {
            for metric in 0..metrics {
                black_box(stored.rival(metric, asked));
            }
        }],
    );
    let [ours, at_once, theirs] = times.map(|time| time / metrics as f64);
    let (ratio, ratio_at_once) = (theirs / ours, theirs / at_once);
    println!("{what:<40}{ours:>10.1}{ratio:>8.1}{at_once:>10.1}{theirs:>17.1}{ratio_at_once:>8.1}");
}

/// The same identifiers as bytes of ours and of the rival.
#[derive(Clone)]
struct Blobs {
    ours: Vec<u8>,
    theirs: Vec<u8>,
}

impl Blobs {
    fn of(ids: &[u64]) -> Self {
        Self { ours: ours_of(ids).encode(), theirs: postcard::to_stdvec(&rival_of(ids)).unwrap() }
    }
}

/// A store with one unique metric an event, and its reader; the rival's blobs in a file of their own.
struct Stored {
    reader: Reader,
    rivals: Connection,
}

impl Stored {
    fn new(
        folder: &Path,
        metrics: usize,
        days: i64,
        time_frame: TimeFrame,
        blobs: impl Fn(usize, usize) -> Blobs,
    ) -> Self {
        let path = &folder.join("store.db");
        let clock = ManualClock::new(Timestamp::from_unix_seconds(TODAY_UNIX_SECONDS));
        let definitions = (0..metrics).fold(Definitions::new(), |all, number| {
            let all = all.event(EventDefinition::new(name(number)).identifier("user")).unwrap();
            let metric = MetricDefinition::new(format!("unique.{}", name(number)), time_frame);
            all.metric(metric.rule(Rule::unique(name(number), "user"))).unwrap()
        });
        let builder = Store::builder(path).definitions(definitions).mode(Mode::Inline).clock(clock.clone());
        builder.open().unwrap().close().unwrap();
        let rivals = Connection::open(folder.join("rivals.db")).unwrap();
        rivals
            .execute_batch(
                "PRAGMA journal_mode = WAL;
                 CREATE TABLE blobs (metric INTEGER, day INTEGER, blob BLOB, PRIMARY KEY (metric, day)) WITHOUT ROWID;
                 BEGIN",
            )
            .unwrap();
        fill(path.to_owned(), &rivals, metrics, days, blobs);
        rivals.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        Self { reader: Reader::open(path).unwrap().with_clock(clock), rivals }
    }

    fn value(&self, metric: usize, days: Option<u32>) -> f64 {
        let query = Query::unique(name(metric), "user");
        let query = match days {
            Some(days) => query.last_days(days),
            None => query,
        };
        self.reader.value(&query).unwrap().value.number().unwrap()
    }

    /// The same of all metrics.
    fn at_once(&self) -> Vec<f64> {
        let values = self.reader.metrics(Evaluate::default().window(Window::Rolling)).unwrap();
        values.into_iter().map(|metric| metric.outcome.unwrap().value.number().unwrap()).collect()
    }

    /// For all time it has one sketch too.
    fn rival(&self, metric: usize, days: Option<u32>) -> f64 {
        let mut union = rival_of(&[]);
        let select = "SELECT blob FROM blobs WHERE metric = ?1 LIMIT ?2";
        let mut select = self.rivals.prepare_cached(select).unwrap();
        let mut rows = select.query(params![metric as i64, days.unwrap_or(1)]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let day: Rival = postcard::from_bytes(row.get_ref(0).unwrap().as_blob().unwrap()).unwrap();
            union.merge(&day).unwrap();
        }
        union.count()
    }
}

/// Writes the rows of the days before today, as if they had been united into the sketches of all time.
fn fill(
    path: PathBuf,
    rivals: &Connection,
    metrics: usize,
    days: i64,
    blobs: impl Fn(usize, usize) -> Blobs,
) {
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
                let Blobs { ours: blob, theirs } = blobs(metric, day as usize);
                let put_rival = "INSERT INTO blobs VALUES (?1, ?2, ?3)";
                rivals
                    .prepare_cached(put_rival)
                    .unwrap()
                    .execute(params![metric as i64, day, theirs])
                    .unwrap();
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

/// The medians of pieces of work that take turns, so that a busy machine is busy for all; in microseconds.
fn in_turns<const N: usize>(rounds: usize, work: [&dyn Fn(); N]) -> [f64; N] {
    // The first turn fills the caches.
    work.iter().for_each(|work| work());
    let mut times = work.map(|_| Vec::new());
    for _ in 0..rounds {
        times.iter_mut().zip(work).for_each(|(times, work)| times.push(nanoseconds(work) / 1e3));
    }
    times.map(median)
}

fn identifiers(seed: u64, count: usize) -> Vec<u64> {
    random_numbers(seed + 1, count)
}
