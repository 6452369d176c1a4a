//! How do several processes share one file?

use std::path::Path;
use std::time::{Duration, Instant};

use headcount::{Clock, Query};
use serde::{Deserialize, Serialize};

use crate::child;
use crate::clock::timed;
use crate::figure::{Better, Report};
use crate::ours;
use crate::workload::Workload;
use crate::{Done, Scale, check};

const EVENTS_PER_FLUSH: u64 = 2_000;
/// The name, milliseconds between two flushes of a process, and how many.
const PACES: [(&str, u64, usize, usize); 3] =
    [("each second", 1_000, 5, 1), ("each 100 ms", 100, 30, 3), ("back to back", 0, 100, 10)];

/// What one of the processes did.
#[derive(Debug, Serialize, Deserialize)]
struct Share {
    events: u64,
    /// Milliseconds of each flush.
    flushes: Vec<f64>,
    seconds: f64,
}

pub(crate) fn run(scale: Scale) -> Done<Report> {
    let mut report = Report::default();
    for _ in 0..scale.rounds {
        for (pace, gap, flushes, quick_flushes) in PACES {
            for processes in [2, 4] {
                let case = format!("{processes} processes, {pace}");
                together(&case, processes, gap, scale.pick(flushes, quick_flushes), &mut report)?;
            }
        }
    }
    report.note("Milliseconds of a flush of 2,000 events. fairness: the slowest process's flushes a second by the fastest's.");
    Ok(report)
}

fn together(case: &str, processes: usize, gap: u64, flushes: usize, report: &mut Report) -> Done {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("usage.db");
    let workload = workload();
    let store = ours::open(&path, &workload.names, Clock::system())?;
    let arguments = [path.display().to_string(), gap.to_string(), flushes.to_string()];
    let arguments = [&["multiproc".to_owned()][..], &arguments].concat();
    let running = (0..processes).map(|_| child::start(&arguments)).collect::<Done<Vec<_>>>()?;
    let shares = running.into_iter().map(child::Running::answer).collect::<Done<Vec<Share>>>()?;

    let events: u64 = shares.iter().map(|share| share.events).sum();
    check::same("events of all processes", events, store.reader().ledger()?.stored)?;
    let mut totals = 0;
    for name in &workload.names {
        totals += store.value(&Query::total(name))?.count().unwrap_or(0);
    }
    check::same("the totals of all processes", events, totals)?;

    let mut took: Vec<f64> = shares.iter().flat_map(|share| share.flushes.iter().copied()).collect();
    took.sort_by(f64::total_cmp);
    let at = |share: f64| took[((took.len() as f64 * share).ceil() as usize).clamp(1, took.len()) - 1];
    for (name, value) in [("p50", at(0.5)), ("p99", at(0.99)), ("max", at(1.0))] {
        report.add(case, name, "ms", Better::Less, value);
    }
    let rates: Vec<f64> = shares.iter().map(|share| share.flushes.len() as f64 / share.seconds).collect();
    let slowest = rates.iter().copied().fold(f64::INFINITY, f64::min);
    let fastest = rates.iter().copied().fold(0.0, f64::max);
    report.add(case, "fairness", "", Better::More, slowest / fastest);
    Ok(())
}

/// One of the processes, in the child.
pub(crate) fn point(path: &Path, gap: u64, flushes: usize) -> Done {
    let workload = workload();
    let store = ours::open(path, &workload.names, Clock::system())?;
    let tracker = store.tracker();
    let handles = workload.names.iter().map(|name| tracker.event(name)).collect::<Result<Vec<_>, _>>()?;
    let start = Instant::now();
    let mut took = Vec::new();
    for turn in 0..flushes {
        let due = start + Duration::from_millis(gap) * u32::try_from(turn)?;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        for event in workload.events.iter().take(EVENTS_PER_FLUSH as usize) {
            handles[usize::from(event.kind)].user(event.user).project(event.project).track();
        }
        let (seconds, flushed) = timed(|| store.flush());
        flushed?;
        took.push(seconds * 1e3);
    }
    let seconds = start.elapsed().as_secs_f64();
    let events = store.close()?.stored;
    check::same("headcount's ledger", EVENTS_PER_FLUSH * flushes as u64, events)?;
    child::say(&Share { events, flushes: took, seconds })
}

fn workload() -> Workload {
    Workload::new(EVENTS_PER_FLUSH as usize)
}
