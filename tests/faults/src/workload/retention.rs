//! Old buckets go while batches come: by their age, by the size of the file, and when an operator asks for it.

use std::path::Path;
use std::time::Duration;

use headcount::{Retention, Status};
use rusqlite::Connection;

use crate::model::{self, DAY_SECONDS, Model, Seen};
use crate::oracle;
use crate::run::{Session, store_in};
use crate::workload::{Outcome, State, Workload, create, flush, leaves_nothing};

const HOURS_FOR_DAYS: u32 = Retention::SHORTEST_HOURS;
const DAYS_FOR_DAYS: u32 = Retention::SHORTEST_DAYS;
const BATCHES: usize = 1;
const STEPS: usize = BATCHES + 1;
/// The history: so many batches, one every so many days, up to the day before the first that is tracked.
const OLD_BATCHES: usize = 3;
const DAYS_APART: i64 = 22;
const HISTORY: &str = "history.log";
/// Longer than a store takes until it looks again what is to go.
const NEXT_LOOK: Duration = Duration::from_secs(61);
/// So many looks find all that is to go: one, and one more for what has failed before.
const LOOKS: usize = 2;
/// Where the file is too large each look finds a day.
const LOOKS_BY_SIZE: usize = 8;
/// So many free pages, and some more, a store keeps for itself.
const FREE_PAGES_KEPT: i64 = 256;
const MORE_FREE_PAGES: i64 = 64;
const PAGE_BYTES: i64 = 4_096;
/// More than the share of the smallest size above which old buckets go, and less than all of it.
const BALLAST_BYTES: i64 = 9 * 1024 * 1024;

pub(super) const BY_AGE: Workload = Workload {
    name: "retention by age",
    steps: STEPS,
    prepare: |folder| {
        prepare(folder, by_age())?;
        // Some of what is free is given back.
        let store = oracle::plain(&store_in(folder))?;
        fill(&store, (FREE_PAGES_KEPT + MORE_FREE_PAGES) * PAGE_BYTES)?;
        store.execute_batch("DROP TABLE ballast")?;
        Ok(())
    },
    step: |session, number| step(session, number, LOOKS),
    state: |steps| State::Holds(with_history(steps.min(BATCHES))),
    beside: |folder, steps| {
        removed_in_time(folder, steps, steps == STEPS)?;
        if steps < STEPS { Ok(()) } else { is_given_back(folder) }
    },
    leaves: leaves_nothing,
    has_threads: false,
};

pub(super) const BY_SIZE: Workload = Workload {
    name: "retention by size",
    prepare: |folder| {
        prepare(folder, Retention::everything().at_most_bytes(Retention::SMALLEST_BYTES))?;
        Ok(fill(&oracle::plain(&store_in(folder))?, BALLAST_BYTES)?)
    },
    step: |session, number| step(session, number, LOOKS_BY_SIZE),
    beside: |folder, steps| removed_in_time(folder, steps, steps == STEPS),
    ..BY_AGE
};

pub(super) const ON_DEMAND: Workload = Workload {
    name: "retention on demand",
    steps: 3,
    prepare: |folder| {
        history(folder)?;
        // As files were made that cannot shrink piece by piece.
        oracle::plain(&store_in(folder))?.execute_batch(
            "PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM; PRAGMA journal_mode = WAL",
        )?;
        Ok(())
    },
    step: |session, step| match step {
        0 => Ok(session.upkeep()?.set_retention(by_age())?),
        1 => {
            session.upkeep()?.retain()?;
            Ok(())
        }
        _ => flush::step_on(session, 0, &with_history(1)),
    },
    state: |steps| State::Holds(with_history(steps.saturating_sub(2))),
    beside: |folder, steps| {
        removed_in_time(folder, 0, steps == 2)?;
        if steps < 2 { Ok(()) } else { is_shortest(folder) }
    },
    leaves: leaves_nothing,
    has_threads: false,
};

fn fill(store: &Connection, bytes: i64) -> rusqlite::Result<()> {
    store.execute_batch("CREATE TABLE ballast (bytes BLOB)")?;
    store.execute("INSERT INTO ballast VALUES (zeroblob(?1))", [bytes]).map(drop)
}

fn by_age() -> Retention {
    Retention::everything().hours_for_days(HOURS_FOR_DAYS).days_for_days(DAYS_FOR_DAYS)
}

/// What happened before there was retention.
fn old() -> Vec<Seen> {
    let days_back = |number: usize| i64::try_from(OLD_BATCHES - number).unwrap_or(0) * DAYS_APART;
    let of = |number: usize| {
        model::batch(number).into_iter().map(move |seen| Seen {
            at: seen.at - days_back(number) * DAY_SECONDS - (model::time_of(number) - model::START),
            ..seen
        })
    };
    (0..OLD_BATCHES).flat_map(of).collect()
}

/// The history, and so many batches after it.
fn with_history(batches: usize) -> Model {
    let mut model = Model::tracked(batches);
    let (old, lines) = (old(), log());
    model.sources.insert(HISTORY.to_owned(), (lines.len(), old.len()));
    model.seen.splice(0..0, old);
    model
}

fn log() -> String {
    old().iter().map(Seen::line).collect()
}

fn history(folder: &Path) -> Outcome {
    let mut session = Session::new(folder, None, 0);
    create::empty_store(folder)?;
    let report = session.store()?.import(HISTORY, log().as_bytes())?;
    if !report.rejected.is_empty() {
        return Err(format!("rejected: {:?}", report.rejected).into());
    }
    session.close()
}

fn prepare(folder: &Path, retention: Retention) -> Outcome {
    history(folder)?;
    Ok(Session::new(folder, None, 0).upkeep()?.set_retention(retention)?)
}

/// A batch, and a piece of what is to go; at the end all that is left of it.
fn step(session: &mut Session<'_>, step: usize, looks: usize) -> Outcome {
    if step < BATCHES {
        return flush::step_on(session, step, &with_history(step + 1));
    }
    let store = session.store()?;
    session.tell_time(BATCHES - 1);
    for _ in 0..looks {
        session.clock().advance(NEXT_LOOK);
        store.flush()?;
    }
    let health = store.health();
    match (health.status, health.trouble) {
        (Status::Working, _) => Ok(()),
        (status, trouble) => Err(format!("{status:?}: {trouble:?}").into()),
    }
}

/// Nothing goes early, whatever fails; and in the end, or once it was asked for, all has gone that was to go.
fn removed_in_time(folder: &Path, steps: usize, is_all: bool) -> Result<(), String> {
    let kept = oracle::plain(&store_in(folder)).and_then(|store| oracle::kept_from(&store));
    let kept = kept.map_err(|error| error.to_string())?;
    let back = |days: u32| (model::time_of(steps.min(BATCHES)) - i64::from(days) * DAY_SECONDS) / DAY_SECONDS;
    let due = (back(HOURS_FOR_DAYS), back(DAYS_FOR_DAYS));
    if kept.0 > due.0 || kept.1 > due.1 {
        return Err(format!("days {kept:?} are removed, and only those before {due:?} may be"));
    }
    let oldest = old().iter().map(|seen| seen.at / DAY_SECONDS).filter(|day| *day < due.1 - 1).max();
    if is_all && oldest.is_some_and(|oldest| kept.1 <= oldest) {
        return Err(format!("days from {kept:?} on are kept, and those before {due:?} were to go"));
    }
    Ok(())
}

/// The file has no free pages, nothing in its log, and can shrink piece by piece.
fn is_shortest(folder: &Path) -> Result<(), String> {
    let is = (pragma(folder, "auto_vacuum")?, pragma(folder, "freelist_count")?);
    if is == (2, 0) { Ok(()) } else { Err(format!("auto_vacuum and free pages are {is:?}")) }
}

/// No more free pages than a store keeps.
fn is_given_back(folder: &Path) -> Result<(), String> {
    let free = pragma(folder, "freelist_count")?;
    if free <= FREE_PAGES_KEPT { Ok(()) } else { Err(format!("{free} pages are free")) }
}

fn pragma(folder: &Path, name: &str) -> Result<i64, String> {
    oracle::plain(&store_in(folder))
        .and_then(|store| store.pragma_query_value(None, name, |row| row.get(0)))
        .map_err(|error| error.to_string())
}
