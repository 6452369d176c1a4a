//! How does cost grow with kinds, live sketches, producers and stored days?

use std::time::{Duration, Instant};

use clap::ValueEnum;
use headcount::{Clock, Definitions, EventDefinition, Overflow, Query, Rule, Store};
use serde::{Deserialize, Serialize};

use crate::cases::flush::Flushes;
use crate::child::{self, Memory};
use crate::clock::Until;
use crate::figure::{Better, Report, median};
use crate::ours::{CHUNK, Ours, file_bytes};
use crate::workload::{Workload, add};
use crate::{Done, Scale, check};

const RATE: &str = "rate";
const MEGABYTE: f64 = 1e6;

/// What grows.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Axis {
    Kinds,
    Sketches,
    Producers,
    Days,
}

/// What one point of an axis cost; measured in a process of its own.
#[derive(Debug, Serialize, Deserialize)]
struct Point {
    /// Events a second, or milliseconds of a flush.
    figure: f64,
    log_bytes: f64,
    memory: Memory,
    file_bytes: f64,
}

pub(crate) fn run(scale: Scale) -> Done<Vec<Report>> {
    let axes: [(Axis, &str, &[u32]); 4] = [
        (
            Axis::Kinds,
            "kinds of events, each with a count alone",
            scale.pick(&[10, 100, 1_000, 10_000], &[10, 100]),
        ),
        (
            Axis::Sketches,
            "live sketches, one for each kind",
            scale.pick(&[100, 400, 2_000, 10_000, 20_000], &[100, 400]),
        ),
        (Axis::Producers, "producers, 200 kinds and 400 sketches", scale.pick(&[1, 2, 4, 8], &[1, 2])),
        (
            Axis::Days,
            "days stored: a flush of 600 counters and 400 sketches",
            scale.pick(&[28, 100, 400, 1_100], &[1]),
        ),
    ];
    let mut reports: Vec<Report> =
        axes.iter().map(|(_, title, _)| Report { title: (*title).to_owned(), ..Report::default() }).collect();
    for _ in 0..scale.rounds {
        for ((axis, _, points), report) in axes.iter().zip(&mut reports) {
            for amount in *points {
                let point = measure_apart(*axis, *amount, scale)?;
                let case = amount.to_string();
                match axis {
                    Axis::Days => {
                        report.add(&case, "flush", "ms", Better::Less, point.figure);
                        report.add(&case, "log", "MB", Better::Less, point.log_bytes / MEGABYTE);
                    }
                    _ => report.add(&case, RATE, "events/s", Better::More, point.figure),
                }
                report.add(&case, "memory", "MB", Better::Less, point.memory.resident / MEGABYTE);
                report.add(&case, "file", "MB", Better::Less, point.file_bytes / MEGABYTE);
            }
        }
    }
    for report in &mut reports {
        report
            .note("memory: what the process grew by, from before the store was opened until its last flush.");
    }
    Ok(reports)
}

fn measure_apart(axis: Axis, amount: u32, scale: Scale) -> Done<Point> {
    let name = axis.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    child::start(&["growth".to_owned(), name, amount.to_string(), scale.seconds.to_string()])?.answer()
}

/// Measures one point, in the child.
pub(crate) fn point(axis: Axis, amount: u32, seconds: f64) -> Done {
    let point = match axis {
        Axis::Kinds => kinds(amount as usize, false, seconds)?,
        Axis::Sketches => kinds(amount as usize, true, seconds)?,
        Axis::Producers => producers(amount, seconds)?,
        Axis::Days => days(i64::from(amount))?,
    };
    child::say(&point)
}

/// Many kinds, all as frequent, so that each of them is live; with a unique each, or without.
fn kinds(kinds: usize, has_sketches: bool, seconds: f64) -> Done<Point> {
    let mut workload = Workload::with_kinds(kinds, 500_000);
    for (place, event) in workload.events.iter_mut().enumerate() {
        // A stride that has no divisor with the kinds, so that neighbours in time are none in memory.
        event.kind = u16::try_from(place * 7_919 % kinds)?;
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("usage.db");
    let before = Memory::now();
    let mut definitions = Definitions::new();
    for name in &workload.names {
        definitions = definitions.event(EventDefinition::new(name).identifier("user"))?;
    }
    let mut builder = Store::builder(&path)
        .definitions(definitions)
        .sketch_memory(1 << 30)
        .on_overflow(Overflow::Wait(Duration::from_secs(60)));
    if has_sketches {
        builder =
            workload.names.iter().fold(builder, |builder, name| builder.record(Rule::unique(name, "user")));
    }
    let store = builder.open()?;
    let tracker = store.tracker();
    let handles = workload.names.iter().map(|name| tracker.event(name)).collect::<Result<Vec<_>, _>>()?;
    let (start, until) = (Instant::now(), Until::after(seconds));
    let mut tracked = 0;
    while !until.is_over() {
        for event in workload.chunk(tracked, CHUNK) {
            handles[usize::from(event.kind)].user(event.user).track();
        }
        tracked += CHUNK as u64;
    }
    store.flush()?;
    let took = start.elapsed().as_secs_f64();
    let memory = Memory::now().since(before);
    check::same("headcount's ledger", tracked, store.close()?.stored)?;
    let first = store.value(&Query::total(&workload.names[0]))?.count();
    check::same("headcount's total of the first event", Some(workload.counts(0, tracked)[0]), first)?;
    Ok(Point { figure: tracked as f64 / took, log_bytes: 0.0, memory, file_bytes: file_bytes(&path)? })
}

fn producers(producers: u32, seconds: f64) -> Done<Point> {
    let workload = Workload::new(500_000);
    let share = workload.events.len() as u64 / u64::from(producers);
    let before = Memory::now();
    let ours = Ours::open(&workload, Clock::system())?;
    let (start, until) = (Instant::now(), Until::after(seconds));
    let tracked: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..producers)
            .map(|producer| {
                let (ours, workload) = (&ours, &workload);
                scope.spawn(move || ours.track_until(workload, u64::from(producer) * share, until))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a producer panicked"))
            .collect::<Result<_, _>>()
    })?;
    ours.store.flush()?;
    let took = start.elapsed().as_secs_f64();
    let memory = Memory::now().since(before);
    let mut counts = vec![0; workload.names.len()];
    for (producer, tracked) in (0..).zip(&tracked) {
        add(&mut counts, &workload.counts(producer * share, *tracked));
    }
    ours.close_and_check(&workload, &counts)?;
    Ok(Point {
        figure: tracked.iter().sum::<u64>() as f64 / took,
        log_bytes: 0.0,
        memory,
        file_bytes: file_bytes(&ours.path)?,
    })
}

fn days(days: i64) -> Done<Point> {
    let folder = tempfile::tempdir()?;
    let before = Memory::now();
    let mut flushes = Flushes::new(folder.path(), days)?;
    let costs = (0..7).map(|_| flushes.one()).collect::<Done<Vec<_>>>()?;
    flushes.check()?;
    Ok(Point {
        figure: median(&costs.iter().map(|cost| cost.seconds * 1e3).collect::<Vec<_>>()),
        log_bytes: median(&costs.iter().map(|cost| cost.log_bytes).collect::<Vec<_>>()),
        memory: Memory::now().since(before),
        file_bytes: file_bytes(&flushes.path)?,
    })
}
