//! Running a workload: sessions, and what must hold whatever happened to them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use headcount::{Builder, Event, ManualClock, Mode, Stats, Store, Timestamp, TrackError, Upkeep};
use tempfile::TempDir;

use crate::disk::Disk;
use crate::model::{self, Model, Tables};
use crate::oracle;
use crate::shim;
use crate::workload::{Outcome, State, Workload};

const STORE: &str = "store.db";
/// Long enough that only the steps flush.
const NEVER: Duration = Duration::from_secs(3_600);
/// How long one that gives up waits for a disk that does not come back.
const SHORT: Duration = Duration::from_millis(100);
/// On a machine that does other things.
const THREADS_END_WITHIN: Duration = Duration::from_secs(20);
const DEFAULT_SEED: u64 = 20_261_123;

/// The store of a folder.
pub fn store_in(folder: &Path) -> PathBuf {
    folder.join(STORE)
}

/// A folder for a test; in memory where the system has such a place, since nothing here depends on a real disk.
pub fn scratch() -> std::io::Result<TempDir> {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }
}

pub fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    for file in fs::read_dir(from)? {
        let file = file?;
        fs::copy(file.path(), to.join(file.file_name()))?;
    }
    Ok(())
}

/// Whether the long figures are asked for.
pub fn is_endurance() -> bool {
    std::env::var_os("HEADCOUNT_ENDURANCE").is_some_and(|value| value == "1")
}

/// The seed of this run, which a failure says.
pub fn seed() -> u64 {
    std::env::var("HEADCOUNT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(DEFAULT_SEED)
}

/// Whether the program's own syncs come by the bench; else all that is said of names and folders would be said of nothing.
pub fn sees_own_syncs() -> bool {
    let Ok(folder) = scratch() else { return false };
    fs::File::open(folder.path()).and_then(|folder| folder.sync_all()).is_ok() && shim::is_taken_over()
}

/// Does all jobs, on as many threads as there are processors; returns what they say, in the order of the jobs.
pub fn each<J: Sync, T: Send>(jobs: &[J], work: impl Fn(&J) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some((number, job)) = Some(next.fetch_add(1, Ordering::Relaxed))
                    .and_then(|number| Some((number, jobs.get(number)?)))
                {
                    let result = work(job);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((number, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

/// A process that works on the store of a folder: it has the store open, or will open it.
pub struct Session<'a> {
    folder: &'a Path,
    disk: Option<&'a Disk>,
    store: Option<Store>,
    clock: ManualClock,
    mode: Mode,
    done: usize,
    /// Batches before this one are tracked, in this session or in one before.
    tracked: usize,
    is_new: bool,
}

impl<'a> Session<'a> {
    /// One that goes on after so many steps.
    pub fn new(folder: &'a Path, disk: Option<&'a Disk>, done: usize) -> Self {
        let clock = ManualClock::new(Timestamp::from_unix_seconds(model::START));
        Self { folder, disk, store: None, clock, mode: Mode::Inline, done, tracked: 0, is_new: true }
    }

    fn of(workload: &Workload, folder: &'a Path, disk: Option<&'a Disk>, done: usize) -> Self {
        let mode = if workload.has_threads { Mode::Background } else { Mode::Inline };
        Self { mode, ..Self::new(folder, disk, done) }
    }

    pub fn folder(&self) -> &'a Path {
        self.folder
    }

    /// Whether nothing was tried in this session yet.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// The steps that were acknowledged.
    pub fn done(&self) -> usize {
        self.done
    }

    /// How the store is opened.
    pub fn builder(&self) -> Result<Builder, headcount::Error> {
        let mut builder = Store::builder(store_in(self.folder))
            .definitions(model::definitions()?)
            .mode(self.mode)
            .clock(self.clock.clone())
            .flush_every(NEVER);
        for rule in model::rules() {
            builder = builder.record(rule);
        }
        Ok(builder)
    }

    /// The store, which is opened when it is not.
    pub fn store(&mut self) -> Result<Store, headcount::Error> {
        if let Some(store) = &self.store {
            return Ok(store.clone());
        }
        let store = self.builder()?.open()?;
        self.store = Some(store.clone());
        Ok(store)
    }

    /// Goes on with a store that was opened in another way.
    pub fn adopt(&mut self, store: Store) {
        self.store = Some(store);
    }

    /// The store for what is no event.
    pub fn upkeep(&self) -> Result<Upkeep, headcount::Error> {
        Ok(Upkeep::open(store_in(self.folder))?.with_clock(self.clock.clone()))
    }

    /// The clock, which only steps move.
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// Sets the clock to when a batch is tracked.
    pub fn tell_time(&self, batch: usize) {
        self.clock.set(Timestamp::from_unix_seconds(model::time_of(batch)));
    }

    /// Tracks a batch, once in this session.
    pub fn track(&mut self, batch: usize) -> Outcome {
        self.tell_time(batch);
        let tracker = self.store()?.tracker();
        if self.tracked > batch {
            return Ok(());
        }
        self.tracked = batch + 1;
        for seen in model::batch(batch) {
            tracker.try_track(seen.event())?;
        }
        match tracker.try_track(Event::new(model::UNKNOWN)) {
            Err(TrackError::UnknownEvent) => Ok(()),
            other => Err(format!("an unknown event: {other:?}").into()),
        }
    }

    /// Asks the store for totals, which must be what the model says.
    pub fn ask(&mut self, model: &Model) -> Outcome {
        let answer = self.store()?.value(&headcount::Query::total("opened"))?;
        let expected = Some(model.total("opened"));
        if answer.count() == expected {
            return Ok(());
        }
        Err(format!("the store says {:?}, not {expected:?}", answer.count()).into())
    }

    /// Does all steps that are left, and closes the store.
    pub fn run(&mut self, workload: &Workload) -> Outcome {
        while self.done < workload.steps {
            let outcome = (workload.step)(self, self.done);
            self.is_new = false;
            outcome?;
            self.done += 1;
            if let Some(disk) = self.disk {
                disk.acknowledge(self.done);
            }
        }
        self.close()
    }

    /// Leaves a store alone that has another name by now.
    pub fn leave(&mut self) {
        if let Some(store) = self.store.take() {
            // It says that its file was replaced; all that it took is in there.
            drop(store.close());
        }
    }

    pub fn close(&mut self) -> Outcome {
        if let Some(store) = self.store.take() {
            let stats = store.close()?;
            conserved(&stats)?;
        }
        Ok(())
    }

    /// Ends as a process does that cannot store what it has; what is lost must be counted.
    pub fn give_up(mut self) -> Result<(), String> {
        let Some(store) = self.store.take() else { return Ok(()) };
        let before = store.stats();
        conserved(&before)?;
        let closed = store.close_within(SHORT);
        let stats = store.stats();
        conserved(&stats)?;
        drop(store);
        if self.mode == Mode::Background {
            has_no_log_open(self.folder)?;
        }
        if stats.queued != 0 {
            return Err(format!("closed, and yet {} events are queued", stats.queued));
        }
        match closed {
            Ok(_) if stats.lost > 0 => Err(format!("{} events were lost without an error", stats.lost)),
            Err(error) if stats.lost == 0 => Err(format!("nothing was lost, and yet: {error}")),
            _ => Ok(()),
        }
    }
}

/// Waits for a thread that was left behind in a call: it ends with its process, which goes on here, and must not go on with its work.
fn has_no_log_open(folder: &Path) -> Result<(), String> {
    let is_log = |file: PathBuf| file.starts_with(folder) && file.to_string_lossy().contains("-wal");
    let deadline = Instant::now() + THREADS_END_WITHIN;
    while Instant::now() < deadline {
        let open = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
        if !open.filter_map(|file| fs::read_link(file.path()).ok()).any(is_log) {
            return Ok(());
        }
        std::thread::yield_now();
    }
    Err("its threads do not end".to_owned())
}

fn conserved(stats: &Stats) -> Result<(), String> {
    let refused: u64 = stats.refused.values().sum();
    let is_kept = stats.offered == stats.accepted + refused
        && stats.accepted == stats.stored + stats.queued + stats.lost;
    if is_kept { Ok(()) } else { Err(format!("the law of conservation does not hold: {stats:?}")) }
}

/// What a workload's store may be, worked out once.
pub struct Expected<'a> {
    workload: &'a Workload,
    states: Vec<(State, Tables)>,
}

impl<'a> Expected<'a> {
    pub fn of(workload: &'a Workload) -> Self {
        let with_tables = |state: State| {
            let tables = match &state {
                State::Holds(model) => model.tables(),
                State::Absent | State::Unreadable => Tables::default(),
            };
            (state, tables)
        };
        let states = (0..=workload.steps).map(|steps| with_tables((workload.state)(steps)));
        Self { workload, states: states.collect() }
    }

    /// After how many steps the folder is what it is: at the least `acknowledged`, and everything that must hold does.
    pub fn steps_of(&self, folder: &Path, acknowledged: usize) -> Result<usize, String> {
        let store = store_in(folder);
        let found = oracle::sound(&store);
        let is_like = |(state, expected): &(State, Tables)| match (state, &found) {
            (State::Absent, Ok(None)) | (State::Unreadable, Ok(None) | Err(_)) => true,
            // What need not be there may be there, and hold nothing.
            (State::Absent, Ok(Some((_, tables)))) => *tables == Tables::default(),
            (State::Holds(_), Ok(Some((_, tables)))) => expected.kept_from(tables.kept_from) == *tables,
            _ => false,
        };
        let states = self.states.iter().enumerate().skip(acknowledged);
        let Some((steps, (state, _))) = states.into_iter().find(|(_, state)| is_like(state)) else {
            return Err(self.unlike(acknowledged, found?.as_ref().map(|(_, tables)| tables)));
        };
        if let (State::Holds(model), Ok(Some((reader, _)))) = (state, &found)
            && !model.seen.is_empty()
        {
            oracle::answers_agree(reader, model)?;
        }
        // Who looks beside the store finds nobody who has it open.
        drop(found);
        (self.workload.beside)(folder, acknowledged)?;
        Ok(steps)
    }

    fn unlike(&self, acknowledged: usize, tables: Option<&Tables>) -> String {
        let Some(tables) = tables else { return format!("gone, and {acknowledged} steps were acknowledged") };
        let earlier = self.states.iter().take(acknowledged);
        let holds = |(state, _): &&(State, Tables)| matches!(state, State::Holds(_));
        let is_it = |state: &(State, Tables)| holds(&state) && state.1.kept_from(tables.kept_from) == *tables;
        match earlier.into_iter().rposition(is_it) {
            Some(steps) => format!("as after {steps} steps, and {acknowledged} were acknowledged"),
            None => {
                let next = self.states.iter().skip(acknowledged).find(holds);
                let unlike = next.map(|(_, state)| tables.unlike(&state.kept_from(tables.kept_from)));
                let unlike = unlike.unwrap_or_default();
                format!("as after no number of steps ({acknowledged} were acknowledged): {unlike}")
            }
        }
    }

    /// Whether the work is whole, and nothing is left over.
    pub fn is_done(&self, folder: &Path) -> Result<(), String> {
        self.steps_of(folder, self.workload.steps)?;
        for file in fs::read_dir(folder).map_err(|error| error.to_string())?.flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            let is_known = [STORE, "store.db-wal", "store.db-shm"].contains(&name.as_str())
                || (self.workload.leaves)(&name);
            if !is_known {
                return Err(format!("{name} was left behind"));
            }
        }
        Ok(())
    }
}

/// A new session, as of a process that begins after the end of another.
pub fn session_after<'a>(
    workload: &Workload,
    folder: &'a Path,
    disk: Option<&'a Disk>,
    done: usize,
) -> Session<'a> {
    Session::of(workload, folder, disk, done)
}
