//! Time that passes when all threads wait, and, where the scheduler says so, earlier: a thread of its own, the keeper, ends waits in
//! the order of their limits. So a run has no other choices than those of its schedule.

use std::cell::RefCell;
use std::ops::Add;
use std::sync::Arc;
use std::time::Duration;

/// The keeper's number: the first thread after the one that a run begins with.
pub(crate) const KEEPER: usize = 1;
/// Waits that end by time in one run at the most: beyond that nothing else happens any more.
const MAX_TIMES: u32 = 4_000;

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

/// What the threads of a run share besides what they know of.
#[derive(Default)]
struct World {
    now: Duration,
    sleepers: Vec<Entry>,
    next: u64,
    keeper: Option<shuttle::thread::Thread>,
    is_over: bool,
    times: u32,
    places: usize,
}

struct Entry {
    number: u64,
    deadline: Duration,
    is_past: bool,
    call: Arc<dyn Fn()>,
}

shuttle::thread_local! {
    static PLACE: usize = WORLD.with_borrow_mut(|world| {
        world.places += 1;
        world.places - 1
    });
}

/// The number of the calling thread among those that asked.
pub(crate) fn place() -> usize {
    PLACE.try_with(|place| *place).unwrap_or(0)
}

/// Time since the run began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(Duration);

impl Instant {
    pub(crate) fn now() -> Self {
        WORLD.with_borrow(|world| Self(world.now))
    }

    pub(crate) fn elapsed(self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

/// A wait with a limit that goes on.
pub(crate) struct Sleeper(u64);

impl Sleeper {
    /// Ends it; says whether the time did.
    pub(crate) fn wake(self) -> bool {
        WORLD.with_borrow_mut(|world| {
            let at = world.sleepers.iter().position(|entry| entry.number == self.0);
            at.is_some_and(|at| world.sleepers.remove(at).is_past)
        })
    }
}

/// Has `call` called at the deadline, and again until the sleeper is awake. The caller waits next, for that call among others.
pub(crate) fn sleep_until(deadline: Instant, call: impl Fn() + 'static) -> Sleeper {
    let (number, keeper) = WORLD.with_borrow_mut(|world| {
        world.next += 1;
        let entry = Entry { number: world.next, deadline: deadline.0, is_past: false, call: Arc::new(call) };
        world.sleepers.push(entry);
        (world.next, world.keeper.clone())
    });
    if let Some(keeper) = keeper {
        keeper.unpark();
    }
    Sleeper(number)
}

/// Returns when every other thread waits, without any time passing. With [`crate::scheduler::Patience::Endless`] only.
pub(crate) fn settle() {
    crate::sync::thread::park_timeout(Duration::ZERO);
}

/// A run: the clock stands at zero, and keeps going until `body` has returned.
pub(crate) fn run(body: impl FnOnce()) {
    WORLD.with_borrow_mut(|world| *world = World::default());
    let keeper = shuttle::thread::spawn(keep);
    let thread = keeper.thread().clone();
    WORLD.with_borrow_mut(|world| world.keeper = Some(thread.clone()));
    body();
    WORLD.with_borrow_mut(|world| world.is_over = true);
    thread.unpark();
    keeper.join().expect("the keeper ends");
}

fn keep() {
    loop {
        let next = WORLD.with_borrow_mut(|world| {
            if world.is_over {
                return None;
            }
            let earliest = world.sleepers.iter_mut().min_by_key(|entry| (entry.deadline, entry.number));
            Some(earliest.map(|entry| {
                world.now = world.now.max(entry.deadline);
                world.times += 1;
                assert!(world.times < MAX_TIMES, "nothing happens any more but that time passes");
                entry.is_past = true;
                Arc::clone(&entry.call)
            }))
        });
        match next {
            None => return,
            Some(Some(call)) => {
                call();
                shuttle::thread::yield_now();
            }
            // Whoever begins to wait with a limit calls; where nobody does, the scheduler finds the deadlock.
            Some(None) => shuttle::thread::park(),
        }
    }
}
