//! How many events a second, until all are durable?

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use headcount::{Clock, Event};

use crate::chart::{self, Bar};
use crate::clock::{Until, cpu_seconds};
use crate::figure::{Better, Figure, Report};
use crate::ours::{CHUNK, Ours, standing_clock};
use crate::rivals::redis::{Counter, Packing, Server};
use crate::rivals::sqlite::Sqlite;
use crate::workload::{Texts, Workload, add};
use crate::{Done, Scale, check};

pub(crate) const RATE: &str = "rate";
const CPU: &str = "CPU";
const OURS: &str = "headcount warm";
const REDIS_ONE: &str = "Redis, 1 a round trip";
const REDIS_PIPELINE: &str = "Redis, 100 a pipeline";
const SQLITE_MANY: &str = "SQLite, 1,000 a transaction";
/// A cold day has so many events, and then every sketch is new.
const EVENTS_PER_DAY: u64 = 1_000_000;
const DAY: Duration = Duration::from_secs(86_400);

/// What else `ingest` takes.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Fails unless headcount, warm, is so many times as fast as Redis in pipelines of 100
    #[arg(long, value_name = "RATIO")]
    at_least: Option<f64>,
    /// Draws the rates as a ladder, on a logarithmic scale
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

impl Options {
    pub(crate) fn draw(&self, report: &Report) -> Done {
        let Some(path) = &self.svg else { return Ok(()) };
        let bar = |figure: &Figure| Bar {
            label: figure.case.clone(),
            rate: figure.median(),
            is_ours: figure.case.starts_with("headcount"),
        };
        let bars: Vec<_> = report.figures.iter().filter(|figure| figure.name == RATE).map(bar).collect();
        let title = "Events a second, one count and two uniques each (logarithmic)";
        std::fs::write(path, chart::ladder(title, &bars))
            .map_err(|error| format!("{}: {error}", path.display()).into())
    }

    pub(crate) fn judge(&self, report: &Report) -> Done {
        let Some(least) = self.at_least else { return Ok(()) };
        let ratios = report.find(OURS, RATE).map_or(&[][..], |figure| &figure.ratios);
        let times = ratios.iter().find(|ratio| ratio.to == REDIS_PIPELINE).map_or(0.0, |ratio| ratio.times);
        if times >= least {
            return Ok(());
        }
        Err(format!("{OURS} is {times:.1} times as fast as {REDIS_PIPELINE}; at least {least} are asked for")
            .into())
    }
}

#[derive(Debug, Clone, Copy)]
enum Mode {
    Ours { producers: u32 },
    OursCold,
    OursByName,
    Redis { pipeline: usize, connections: u32, packing: Packing },
    Sqlite { transaction: usize },
}

const MODES: [(&str, Mode); 11] = [
    (OURS, Mode::Ours { producers: 1 }),
    ("headcount warm, 2 producers", Mode::Ours { producers: 2 }),
    ("headcount cold", Mode::OursCold),
    ("headcount warm, by name, 20-byte ids", Mode::OursByName),
    (REDIS_ONE, Mode::Redis { pipeline: 1, connections: 1, packing: Packing::Bytes }),
    (REDIS_PIPELINE, Mode::Redis { pipeline: 100, connections: 1, packing: Packing::Bytes }),
    (
        "Redis, 100, the client's pipeline",
        Mode::Redis { pipeline: 100, connections: 1, packing: Packing::Client },
    ),
    ("Redis, 100, 2 connections", Mode::Redis { pipeline: 100, connections: 2, packing: Packing::Bytes }),
    ("Redis, 1,000 a pipeline", Mode::Redis { pipeline: 1_000, connections: 1, packing: Packing::Bytes }),
    ("SQLite, 1 a transaction", Mode::Sqlite { transaction: 1 }),
    (SQLITE_MANY, Mode::Sqlite { transaction: 1_000 }),
];

/// What a turn did.
struct Turn {
    events: u64,
    seconds: f64,
    cpu_seconds: f64,
}

pub(crate) fn run(scale: Scale) -> Done<Report> {
    let workload = Workload::new(scale.pick(1_000_000, 100_000));
    let mut contest = Contest::new(&workload, scale.seconds)?;
    let mut report = Report::default();
    for _ in 0..scale.rounds {
        for (case, mode) in MODES {
            let turn = contest.turn(mode)?;
            report.add(case, RATE, "events/s", Better::More, turn.events as f64 / turn.seconds);
            report.add(case, CPU, "ns/event", Better::Less, turn.cpu_seconds * 1e9 / turn.events as f64);
        }
    }
    contest.check_users()?;
    for (case, _) in MODES {
        for to in [REDIS_PIPELINE, REDIS_ONE, SQLITE_MANY] {
            report.compare(RATE, case, to);
        }
    }
    report.note(
        "Each event is one count and two uniques. Warm: all identifiers came before, for the rivals too.",
    );
    report.note("headcount and SQLite end durable: WAL, synchronous=FULL. Redis keeps nothing on the disk here; its CPU");
    report.note(
        "is that of client and server. SQLite's uniques are exact, those of headcount and Redis estimates.",
    );
    report.note(format!("Redis {} on a unix socket, SQLite {}.", contest.server.version, Sqlite::version()));
    Ok(report)
}

/// The contestants, and what they are given.
struct Contest<'a> {
    workload: &'a Workload,
    texts: Texts,
    seconds: f64,
    server: Server,
    counters: Vec<Counter>,
    sqlite: Sqlite,
}

impl<'a> Contest<'a> {
    fn new(workload: &'a Workload, seconds: f64) -> Done<Self> {
        let server = Server::start()?;
        let mut counters = vec![server.counter(workload)?, server.counter(workload)?];
        counters[0].warm(workload)?;
        let mut sqlite = Sqlite::open()?;
        sqlite.warm(workload)?;
        Ok(Self { workload, texts: Texts::new(workload), seconds, server, counters, sqlite })
    }

    fn turn(&mut self, mode: Mode) -> Done<Turn> {
        match mode {
            Mode::Ours { producers } => self.ours(producers),
            Mode::OursCold => self.ours_cold(),
            Mode::OursByName => self.ours_by_name(),
            Mode::Redis { pipeline, connections, packing } => self.redis(pipeline, connections, packing),
            Mode::Sqlite { transaction } => self.sqlite(transaction),
        }
    }

    fn ours(&self, producers: u32) -> Done<Turn> {
        let ours = self.warm_store()?;
        let mut counts = self.workload.counts(0, self.workload.events.len() as u64);
        let share = self.workload.events.len() as u64 / u64::from(producers);
        let (mut turn, tracked) = measure(|| {
            let until = Until::after(self.seconds);
            let tracked = on_threads(0..producers, |producer| {
                ours.track_until(self.workload, u64::from(producer) * share, until)
            })?;
            ours.store.close()?;
            Ok(tracked)
        })?;
        for (producer, tracked) in (0..).zip(tracked) {
            add(&mut counts, &self.workload.counts(producer * share, tracked));
            turn.events += tracked;
        }
        ours.close_and_check(self.workload, &counts)?;
        ours.check_users(self.workload)?;
        Ok(turn)
    }

    fn ours_cold(&self) -> Done<Turn> {
        let clock = standing_clock();
        let ours = Ours::open(self.workload, clock.clone())?;
        let (mut turn, tracked) = measure(|| {
            let until = Until::after(self.seconds);
            let mut tracked = 0;
            while !until.is_over() {
                for event in self.workload.chunk(tracked, CHUNK) {
                    ours.track(*event);
                }
                tracked += CHUNK as u64;
                if tracked.is_multiple_of(EVENTS_PER_DAY) {
                    clock.advance(DAY);
                }
            }
            ours.store.close()?;
            Ok(tracked)
        })?;
        turn.events = tracked;
        ours.close_and_check(self.workload, &self.workload.counts(0, tracked))?;
        Ok(turn)
    }

    fn ours_by_name(&self) -> Done<Turn> {
        let ours = self.warm_store()?;
        let (mut turn, tracked) = measure(|| {
            let until = Until::after(self.seconds);
            let mut tracked = 0;
            while !until.is_over() {
                let first = self.workload.wrapped(tracked);
                for (place, event) in (first..).zip(self.workload.chunk(tracked, CHUNK)) {
                    let (user, project) = self.texts.of(place);
                    let name = &self.workload.names[usize::from(event.kind)];
                    ours.tracker.track(Event::new(name).user(user).project(project));
                }
                tracked += CHUNK as u64;
            }
            ours.store.close()?;
            Ok(tracked)
        })?;
        turn.events = tracked;
        let mut counts = self.workload.counts(0, self.workload.events.len() as u64);
        add(&mut counts, &self.workload.counts(0, tracked));
        ours.close_and_check(self.workload, &counts)?;
        Ok(turn)
    }

    /// A store that has seen each event of the workload once.
    fn warm_store(&self) -> Done<Ours> {
        let ours = Ours::open(self.workload, Clock::system())?;
        for event in &self.workload.events {
            ours.track(*event);
        }
        ours.store.flush()?;
        Ok(ours)
    }

    fn redis(&mut self, pipeline: usize, connections: u32, packing: Packing) -> Done<Turn> {
        let share = self.workload.events.len() as u64 / u64::from(connections);
        let mut expected = self.counters[0].totals()?;
        let (workload, seconds, server_cpu) = (self.workload, self.seconds, self.server.cpu_seconds());
        let first = |connection| u64::from(connection) * share;
        let counters = (0..connections).zip(&mut self.counters);
        let (mut turn, tracked) = measure(|| {
            let until = Until::after(seconds);
            let tracked = on_threads(counters, |(connection, counter)| -> Done<u64> {
                let mut tracked = 0;
                while !until.is_over() {
                    let events = workload.chunk(first(connection) + tracked, pipeline);
                    counter.count(events, packing)?;
                    tracked += events.len() as u64;
                }
                Ok(tracked)
            })?;
            tracked.into_iter().collect::<Done<Vec<_>>>()
        })?;
        turn.cpu_seconds += self.server.cpu_seconds() - server_cpu;
        for (connection, tracked) in (0..).zip(tracked) {
            add(&mut expected, &workload.counts(first(connection), tracked));
            turn.events += tracked;
        }
        check::same("Redis's totals", expected, self.counters[0].totals()?)?;
        Ok(turn)
    }

    fn sqlite(&mut self, transaction: usize) -> Done<Turn> {
        let mut expected = self.sqlite.totals(self.workload)?;
        let (mut turn, tracked) = measure(|| {
            let until = Until::after(self.seconds);
            let mut tracked = 0;
            while !until.is_over() {
                self.sqlite.count(self.workload.chunk(tracked, transaction))?;
                tracked += transaction as u64;
            }
            Ok(tracked)
        })?;
        turn.events = tracked;
        add(&mut expected, &self.workload.counts(0, tracked));
        check::same("SQLite's totals", expected, self.sqlite.totals(self.workload)?)?;
        Ok(turn)
    }

    fn check_users(&mut self) -> Done {
        self.counters[0].check_users(self.workload)?;
        self.sqlite.check_users(self.workload)
    }
}

/// The time and CPU of a turn; its events are for the caller to say.
fn measure<T>(work: impl FnOnce() -> Done<T>) -> Done<(Turn, T)> {
    let (cpu, start) = (cpu_seconds(), Instant::now());
    let result = work()?;
    let seconds = start.elapsed().as_secs_f64();
    Ok((Turn { events: 0, seconds, cpu_seconds: cpu_seconds() - cpu }, result))
}

/// What each gives on a thread of its own; one alone stays on this thread.
fn on_threads<I: Send, T: Send>(
    each: impl ExactSizeIterator<Item = I>,
    work: impl Fn(I) -> T + Sync,
) -> Done<Vec<T>> {
    if each.len() == 1 {
        return Ok(each.map(work).collect());
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = each.map(|item| scope.spawn(|| work(item))).collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a producer panicked".into())).collect()
    })
}
