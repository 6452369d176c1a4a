//! A fault at every call that each workload makes to its disk.
//!
//! For each kind of fault and each call that it concerns, the call fails once; from there on until the disk is well again while the
//! store is open; and from there on until the process has ended. No fault may panic or hang, break a law or lose or repeat anything;
//! each one is said or does no harm; one that has gone is recovered from.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops where it is wrong")]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use headcount::ErrorKind;
use headcount_faults::disk::{Disk, Fault, Kind};
use headcount_faults::run::{Expected, Session, copy_folder, each, scratch, session_after};
use headcount_faults::workload::{ALL, Outcome, Workload, chosen};

/// Longer than any wait, and than a machine that does other things takes.
const HANGS_AFTER: Duration = Duration::from_secs(30);
/// So many locks in a row are somebody else's.
const BUSY_CALLS: u64 = 3;
/// More are no workload but a run that does not end.
const MOST_CALLS: u64 = 20_000;

/// How long a fault lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Lasts {
    Once,
    UntilHealed,
    UntilProcessEnds,
}

struct Job<'a> {
    workload: &'a Workload,
    kind: Kind,
    lasts: Lasts,
}

/// What came of all points of a job.
#[derive(Debug, Default)]
struct Tally {
    points: u64,
    /// Nothing was reported, and nothing was wrong.
    absorbed: u64,
    /// Reported, and yet the step was in the file.
    applied: u64,
    reported: BTreeMap<String, u64>,
    faults: Vec<String>,
}

#[test]
fn each_call_may_fail() {
    let workloads = chosen();
    let jobs: Vec<Job<'_>> = workloads
        .iter()
        .flat_map(|workload| Kind::ALL.map(|kind| (workload, kind)))
        .flat_map(|(workload, kind)| {
            [Lasts::Once, Lasts::UntilHealed, Lasts::UntilProcessEnds].map(|lasts| Job {
                workload,
                kind,
                lasts,
            })
        })
        // A lock that is never free makes each call wait for its deadline; `a_store_that_stays_locked_is_busy` is about that.
        .filter(|job| job.kind != Kind::Busy || job.lasts == Lasts::Once)
        .collect();
    let began = Instant::now();
    let tallies = each(&jobs, every_point);
    let mut total = 0;
    for (job, tally) in jobs.iter().zip(&tallies) {
        total += tally.points;
        println!(
            "{:22} {:10} {:16} {:5} points, {:4} absorbed, {:3} applied, reported {:?}",
            job.workload.name,
            format!("{:?}", job.kind),
            format!("{:?}", job.lasts),
            tally.points,
            tally.absorbed,
            tally.applied,
            tally.reported
        );
    }
    println!("{total} points in {:.1} s", began.elapsed().as_secs_f64());
    let faults: Vec<&String> = tallies.iter().flat_map(|tally| &tally.faults).collect();
    assert!(faults.is_empty(), "{} points are wrong, the first:\n{}", faults.len(), first_lines(&faults));
    for workload in workloads {
        let points = |kind: Kind| -> u64 {
            let of_kind = jobs
                .iter()
                .zip(&tallies)
                .filter(|(job, _)| job.workload.name == workload.name && job.kind == kind);
            of_kind.map(|(_, tally)| tally.points).sum()
        };
        for kind in Kind::ALL {
            assert!(points(kind) > 0, "{}: no call was concerned by {kind:?}", workload.name);
        }
    }
}

/// The one fault that is not repaired by trying again at once: whoever has the lock keeps it.
#[test]
fn a_store_that_stays_locked_is_busy() {
    let flush = ALL.iter().find(|workload| workload.name == "flush").unwrap();
    let folder = scratch().unwrap();
    let path = folder.path().canonicalize().unwrap();
    (flush.prepare)(&path).unwrap();
    let disk = Disk::watch(&path);
    let mut session = session_after(flush, &path, Some(&disk), 0);
    session.track(0).unwrap();
    let store = session.store().unwrap();
    let began = Instant::now();
    disk.fail(Fault { kind: Kind::Busy, at: 1, calls: u64::MAX });
    let error = store.flush().unwrap_err();
    println!("a store that stays locked, after {:.1} s: {error}", began.elapsed().as_secs_f64());
    assert_eq!(error.kind(), ErrorKind::StoreBusy, "{error}");
    assert!(began.elapsed() < HANGS_AFTER);
    disk.heal();
    drop(store);
    session.run(flush).unwrap();
    assert_eq!(Expected::of(flush).is_done(&path), Ok(()));
}

fn first_lines(faults: &[&String]) -> String {
    faults.iter().take(12).map(|fault| format!("  {fault}\n")).collect()
}

fn every_point(job: &Job<'_>) -> Tally {
    let mut tally = Tally::default();
    let expected = Expected::of(job.workload);
    let template = scratch().unwrap();
    (job.workload.prepare)(template.path()).unwrap();
    let mut at = 1;
    while at < MOST_CALLS {
        let began = Instant::now();
        let point = catch_unwind(AssertUnwindSafe(|| point(job, &expected, template.path(), at, &mut tally)));
        let name = format!("{}: {:?} {:?} at call {at}", job.workload.name, job.kind, job.lasts);
        match point {
            Ok(Ok(true)) => tally.points += 1,
            Ok(Ok(false)) => return tally,
            Ok(Err(fault)) => {
                tally.points += 1;
                tally.faults.push(format!("{name}: {fault}"));
            }
            Err(_) => tally.faults.push(format!("{name}: panicked")),
        }
        if began.elapsed() > HANGS_AFTER {
            tally.faults.push(format!("{name}: took {:?}", began.elapsed()));
        }
        at += 1;
    }
    tally.faults.push(format!("{}: {:?} never ends", job.workload.name, job.kind));
    tally
}

/// Lets one call fail; says whether there was such a call.
fn point(
    job: &Job<'_>,
    expected: &Expected<'_>,
    template: &Path,
    at: u64,
    tally: &mut Tally,
) -> Result<bool, String> {
    let folder = scratch().map_err(|error| error.to_string())?;
    let path = &folder.path().canonicalize().map_err(|error| error.to_string())?;
    copy_folder(template, path).map_err(|error| error.to_string())?;
    look(job, expected, path, at, tally).map_err(|fault| format!("{fault}; there are {:?}", names_in(path)))
}

fn names_in(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = files
        .map(|file| {
            let bytes = file.metadata().map_or(0, |file| file.len());
            format!("{} of {bytes} bytes", file.file_name().to_string_lossy())
        })
        .collect();
    names.sort();
    names
}

fn look(
    job: &Job<'_>,
    expected: &Expected<'_>,
    path: &Path,
    at: u64,
    tally: &mut Tally,
) -> Result<bool, String> {
    let disk = Disk::watch(path);
    let calls = match (job.kind, job.lasts) {
        (Kind::Busy, _) => BUSY_CALLS,
        (_, Lasts::Once) => 1,
        _ => u64::MAX,
    };
    disk.fail(Fault { kind: job.kind, at, calls });
    let mut session = session_after(job.workload, path, Some(&disk), 0);
    let first = session.run(job.workload);
    if disk.failed() == 0 {
        return match first {
            Ok(()) => Ok(false),
            Err(error) => Err(format!("nothing failed, and yet: {error}")),
        };
    }
    match first {
        Ok(()) => tally.absorbed += 1,
        Err(error) => {
            *tally.reported.entry(told(job.kind, &error.to_string(), error.downcast_ref())?).or_default() +=
                1;
            session = recover(job, expected, path, &disk, session, tally)?;
        }
    }
    disk.heal();
    drop(session);
    expected.is_done(path)?;
    Ok(true)
}

/// Goes on after a failure, and ends the work.
fn recover<'a>(
    job: &Job<'_>,
    expected: &Expected<'_>,
    path: &'a Path,
    disk: &'a Disk,
    mut session: Session<'a>,
    tally: &mut Tally,
) -> Result<Session<'a>, String> {
    let failed = |what: &str, outcome: Outcome| outcome.map_err(|error| format!("{what}: {error}"));
    match job.lasts {
        Lasts::Once => failed("tried again after one fault", session.run(job.workload))?,
        Lasts::UntilHealed => {
            // While it lasts another try fails too, or succeeds for good.
            drop(session.run(job.workload));
            disk.heal();
            failed("tried again on a disk that is well", session.run(job.workload))?;
        }
        Lasts::UntilProcessEnds => {
            let acknowledged = session.done();
            session.give_up()?;
            disk.heal();
            let steps = expected.steps_of(path, acknowledged)?;
            tally.applied += u64::from(steps > acknowledged);
            session = session_after(job.workload, path, Some(disk), steps);
            failed("after a restart", session.run(job.workload))?;
        }
    }
    Ok(session)
}

/// The kind of an error, which must be one that an operator can act on.
fn told(fault: Kind, message: &str, error: Option<&headcount::Error>) -> Result<String, String> {
    // Plain SQLite's own.
    let Some(error) = error else {
        return Ok("by SQLite".to_owned());
    };
    let kind = error.kind();
    let is_right = match fault {
        Kind::Error | Kind::Sync | Kind::Applied => matches!(kind, ErrorKind::Io | ErrorKind::ReadOnly),
        Kind::ShortWrite | Kind::NoSpace => {
            matches!(kind, ErrorKind::StoreFull | ErrorKind::Io | ErrorKind::ReadOnly)
        }
        Kind::Busy => kind == ErrorKind::StoreBusy,
    };
    let has_remedy =
        message.contains("check") || message.contains("free space") || message.contains("try again");
    match (is_right, has_remedy) {
        (true, true) => Ok(format!("{kind:?}")),
        (false, _) => Err(format!("is told as {kind:?}: {message}")),
        (_, false) => Err(format!("is told without a remedy: {message}")),
    }
}
