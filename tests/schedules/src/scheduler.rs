//! Running a scenario under many schedules: random ones, and those with few changes between threads at chosen points (PCT).

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::PathBuf;
use std::sync::Once;

use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Schedule, Scheduler, Task, TaskId};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

use crate::clock::{self, KEEPER};

/// A run that takes more steps has a thread that turns in circles.
const MAX_STEPS: usize = 60_000;
/// Places where the order of threads is changed at the most, in the schedules of the second kind.
const CHANGES: usize = 3;
/// Where time passes early: before one step of so many.
const EARLY: u64 = 24;

/// When time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// When all threads wait: what took no time needed no limit of a wait.
    Endless,
    /// Also at any other moment.
    Short,
}

/// A closure that is run under each schedule, and how.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    pub patience: Patience,
    /// How many schedules of each kind a usual run takes.
    pub schedules: usize,
    pub body: fn(),
}

thread_local! {
    /// What the scenario's own panic says; the runner's says only that there was one.
    static FIRST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs a scenario under `times` as many schedules as usual; panics under the first that breaks it, with its schedule on stderr or in
/// the folder.
pub fn explore(scenario: &Scenario, seed: u64, times: usize, folder: Option<PathBuf>) -> usize {
    let (runs, patience) = (scenario.schedules * times, scenario.patience);
    let random = RandomScheduler::new_from_seed(seed, runs);
    let few_changes = PctScheduler::new_from_seed(seed, CHANGES, runs);
    let config = config(folder);
    go(scenario, Patient { inner: random, patience, state: seed }, config.clone())
        + go(scenario, Patient { inner: few_changes, patience, state: seed }, config)
}

/// Runs a scenario under one schedule, as it was printed.
pub fn replay(scenario: &Scenario, schedule: &str) {
    go(scenario, ReplayScheduler::new_from_encoded(schedule.trim()), config(None));
}

/// The words with which it fails, on a thread of its own: a run that has failed leaves its thread unwinding.
pub fn failure(explore: impl FnOnce() + Send + 'static) -> Option<String> {
    std::thread::spawn(|| catch_unwind(AssertUnwindSafe(explore)).err().map(|_| FIRST_PANIC.take()))
        .join()
        .unwrap()
}

fn config(folder: Option<PathBuf>) -> Config {
    let mut config = Config::new();
    config.max_steps = MaxSteps::FailAfter(MAX_STEPS);
    config.silence_warnings = true;
    config.ungraceful_shutdown_config.immediately_return_on_panic = true;
    config.stack_size = 256 * 1024;
    config.failure_persistence =
        folder.map_or(FailurePersistence::Print, |folder| FailurePersistence::File(Some(folder)));
    config
}

fn go(scenario: &Scenario, scheduler: impl Scheduler + 'static, config: Config) -> usize {
    quiet_panics_of_tests(&config);
    let body = scenario.body;
    Runner::new(scheduler, config).run(move || clock::run(body))
}

/// The runner's hook prints the schedule at each panic, also those that are put in and caught.
fn quiet_panics_of_tests(config: &Config) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        Runner::new(RandomScheduler::new(1), config.clone()).run(|| ());
        let print = take_hook();
        set_hook(Box::new(move |panic| {
            let words = panic.payload_as_str().unwrap_or_default();
            if words.contains("put in by a test") {
                return;
            }
            FIRST_PANIC.with_borrow_mut(|first| {
                if first.is_empty() {
                    words.clone_into(first);
                }
            });
            print(panic);
        }));
    });
}

/// Wakes no sleeper without a reason, and lets the keeper of time go on when its time has come.
#[derive(Debug)]
struct Patient<S> {
    inner: S,
    patience: Patience,
    state: u64,
}

impl<S> Patient<S> {
    fn is_early(&mut self) -> bool {
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.patience == Patience::Short && (self.state >> 33).is_multiple_of(EARLY)
    }
}

impl<S: Scheduler> Scheduler for Patient<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        let schedule = self.inner.new_execution()?;
        self.state = schedule.seed;
        Some(schedule)
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        let mut awake: Vec<&Task> =
            runnable.iter().copied().filter(|task| !task.can_spuriously_wakeup()).collect();
        let is_early = self.is_early();
        if awake.len() > 1 {
            if is_early {
                let keeper = awake.iter().find(|task| usize::from(task.id()) == KEEPER);
                if let Some(keeper) = keeper {
                    return Some(keeper.id());
                }
            }
            awake.retain(|task| usize::from(task.id()) != KEEPER);
        }
        self.inner.next_task(&awake, current, is_yielding)
    }

    fn next_u64(&mut self) -> u64 {
        self.inner.next_u64()
    }
}
