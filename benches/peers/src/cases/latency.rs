//! How long does one call take the caller, at a given pace and at full speed?

use std::sync::Barrier;
use std::time::Instant;

use headcount::{Clock, Event};
use metrics::counter;
use quanta::Clock as Ticks;

use crate::clock::timed;
use crate::figure::{Better, Report, median};
use crate::ours::Ours;
use crate::rivals::metrics::{Atomics, counted};
use crate::rivals::redis::{Counter, Packing, Server};
use crate::workload::{Happening, Texts, Workload, add};
use crate::{Done, Scale, check};

/// Calls a second, and the name of the pace.
const PACES: [(u32, &str); 3] = [(10_000, "10 k/s"), (100_000, "100 k/s"), (1_000_000, "1 M/s")];
const PERCENTILES: [(f64, &str); 5] =
    [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9"), (0.9999, "p99.99"), (1.0, "max")];
/// Redis does not keep up with faster paces.
const REDIS_PACE: u32 = 10_000;
/// Calls of a burst; less than the queue holds, so that the caller's cost is measured and not the aggregator's.
const BURST: usize = 20_000;
const REDIS_BURST: usize = 1_000;
const BURSTS_PER_ROUND: usize = 11;
const THREADS: usize = 8;
/// Of all threads no more than the queue holds, and enough that their start counts for little.
const CALLS_PER_THREAD: usize = 6_000;
const MEAN: &str = "mean";
const HELD_COUNTER: &str = "metrics, held counter";
const MACRO: &str = "metrics, counter!";
const REDIS: &str = "Redis, 1 a round trip";
const SHARED: &str = "headcount, 8 threads, one tracker";
const OWN: &str = "headcount, 8 threads, a tracker each";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    SixDigits,
    EightDigits,
    ByName,
    CloneTrackDrop,
    HeldCounter,
    Macro,
    Redis,
}

const CALLS: [(&str, Call); 7] = [
    ("headcount, handle, 6-digit ids", Call::SixDigits),
    ("headcount, handle, 8-digit ids", Call::EightDigits),
    ("headcount, by name, 20-byte ids", Call::ByName),
    ("headcount, clone + track + drop", Call::CloneTrackDrop),
    (HELD_COUNTER, Call::HeldCounter),
    (MACRO, Call::Macro),
    (REDIS, Call::Redis),
];

pub(crate) fn run(scale: Scale) -> Done<Vec<Report>> {
    let workload = Workload::new(scale.pick(1_000_000, 100_000));
    let mut subjects = Subjects::new(&workload)?;
    let mut bursts = Report {
        title: "At full speed, in bursts, the queue emptied in between".into(),
        ..Report::default()
    };
    let mut paced: Vec<Report> = PACES
        .iter()
        .map(|(_, name)| Report {
            title: format!("Paced, {name}, from the call to its return"),
            ..Report::default()
        })
        .collect();
    for _ in 0..scale.rounds {
        for _ in 0..scale.pick(BURSTS_PER_ROUND, 2) {
            for (case, call) in CALLS {
                bursts.add(case, MEAN, "ns", Better::Less, subjects.burst(call)?);
            }
            for (case, is_shared) in [(SHARED, true), (OWN, false)] {
                bursts.add(case, MEAN, "ns", Better::Less, subjects.on_threads(is_shared)?);
            }
        }
        for ((pace, _), report) in PACES.iter().zip(&mut paced) {
            for (case, call) in CALLS {
                if call != Call::Redis || *pace == REDIS_PACE {
                    subjects.paced(case, call, *pace, scale.seconds, report)?;
                }
            }
        }
    }
    subjects.check()?;
    for (case, _) in CALLS {
        for to in [HELD_COUNTER, MACRO, REDIS] {
            bursts.compare(MEAN, case, to);
        }
    }
    bursts.compare(MEAN, SHARED, OWN);
    for report in &mut paced {
        report.note(format!("The timer's own {:.0} ns are taken off.", subjects.timer_nanoseconds()));
    }
    bursts.note("Threads: the time of the whole, for each event. metrics counts in memory only, without uniques or disk.");
    bursts.note(format!("Redis {} on a unix socket.", subjects.server.version));
    paced.insert(0, bursts);
    Ok(paced)
}

/// Everything that is called, open.
struct Subjects<'a> {
    workload: &'a Workload,
    texts: Texts,
    ours: Ours,
    tracked: Vec<u64>,
    atomics: Atomics,
    held: metrics::Counter,
    counted: u64,
    server: Server,
    redis: Counter,
    redis_tracked: Vec<u64>,
    ticks: Ticks,
    timer_ticks: u64,
}

impl<'a> Subjects<'a> {
    fn new(workload: &'a Workload) -> Done<Self> {
        let ours = Ours::open(workload, Clock::system())?;
        let atomics = Atomics::new();
        metrics::set_global_recorder(atomics.clone()).map_err(|error| error.to_string())?;
        let server = Server::start()?;
        let redis = server.counter(workload)?;
        let ticks = Ticks::new();
        Ok(Self {
            texts: Texts::new(workload),
            ours,
            tracked: vec![0; workload.names.len()],
            atomics,
            held: counter!(counted!()),
            counted: 0,
            redis,
            server,
            redis_tracked: vec![0; workload.names.len()],
            timer_ticks: timer_ticks(&ticks),
            ticks,
            workload,
        })
    }

    fn timer_nanoseconds(&self) -> f64 {
        self.ticks.delta_as_nanos(0, self.timer_ticks) as f64
    }

    /// Lets `drive` make the calls. Which call it is, is decided here and not in its loop.
    fn drive<T>(&mut self, call: Call, drive: impl Drive<T>) -> Done<T> {
        let (workload, texts, ours, held) = (self.workload, &self.texts, &self.ours, &self.held);
        let handle = |event: Happening| &ours.handles[usize::from(event.kind)];
        match call {
            Call::SixDigits => drive.drive(workload, |_, event| {
                ours.track(event);
                Ok(())
            }),
            Call::EightDigits => drive.drive(workload, |_, event| {
                handle(event).user(10_000_000 + event.user).project(10_000_000 + event.project).track();
                Ok(())
            }),
            Call::ByName => drive.drive(workload, |place, event| {
                let (user, project) = texts.of(place);
                let name = &workload.names[usize::from(event.kind)];
                ours.tracker.track(Event::new(name).user(user).project(project));
                Ok(())
            }),
            Call::CloneTrackDrop => drive.drive(workload, |_, event| {
                handle(event).clone().user(event.user).project(event.project).track();
                Ok(())
            }),
            Call::HeldCounter => drive.drive(workload, |_, _| {
                held.increment(1);
                Ok(())
            }),
            Call::Macro => drive.drive(workload, |_, _| {
                counter!(counted!()).increment(1);
                Ok(())
            }),
            Call::Redis => drive.drive(workload, |_, event| self.redis.count(&[event], Packing::Bytes)),
        }
    }

    /// Nanoseconds of a call, the mean of many.
    fn burst(&mut self, call: Call) -> Done<f64> {
        let calls = if call == Call::Redis { REDIS_BURST } else { BURST };
        let nanoseconds = self.drive(call, Burst { calls })?;
        self.settle(call, calls)?;
        Ok(nanoseconds)
    }

    /// Nanoseconds of wall time for each event of 8 threads.
    fn on_threads(&mut self, is_shared: bool) -> Done<f64> {
        let clones: Vec<Vec<_>> =
            (0..THREADS).map(|_| self.ours.fresh_handles(self.workload)).collect::<Done<_>>()?;
        let start = Barrier::new(THREADS);
        let (ours, workload) = (&self.ours, self.workload);
        let spans = std::thread::scope(|scope| {
            let threads: Vec<_> = clones
                .iter()
                .map(|own| {
                    let handles = if is_shared { &ours.handles } else { own };
                    let start = &start;
                    scope.spawn(move || {
                        start.wait();
                        let began = Instant::now();
                        for event in &workload.events[..CALLS_PER_THREAD] {
                            handles[usize::from(event.kind)].user(event.user).project(event.project).track();
                        }
                        (began, Instant::now())
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().map_err(|_| "a producer panicked"))
                .collect::<Result<Vec<_>, _>>()
        })?;
        let began = spans.iter().map(|(began, _)| *began).min();
        let ended = spans.iter().map(|(_, ended)| *ended).max();
        let seconds = began.zip(ended).map_or(f64::NAN, |(began, ended)| (ended - began).as_secs_f64());
        for _ in 0..THREADS {
            self.settle(Call::SixDigits, CALLS_PER_THREAD)?;
        }
        Ok(seconds * 1e9 / (CALLS_PER_THREAD * THREADS) as f64)
    }

    /// Percentiles of calls that each begin at a time of their own.
    fn paced(&mut self, case: &str, call: Call, pace: u32, seconds: f64, report: &mut Report) -> Done {
        let calls = ((f64::from(pace) * seconds) as usize).clamp(1, self.workload.events.len());
        let ticks_per_second = 1e18 / self.ticks.delta_as_nanos(0, 1_000_000_000) as f64;
        let gap = ticks_per_second / f64::from(pace);
        let mut took = self.drive(call, Paced { ticks: self.ticks.clone(), gap, calls })?;
        self.settle(call, calls)?;
        took.sort_unstable();
        for (share, name) in PERCENTILES {
            let place = ((took.len() as f64 * share).ceil() as usize).clamp(1, took.len()) - 1;
            let ticks = took[place].saturating_sub(self.timer_ticks);
            report.add(case, name, "ns", Better::Less, self.ticks.delta_as_nanos(0, ticks) as f64);
        }
        Ok(())
    }

    /// Notes what was called, and empties our queue, so that the next finds the same.
    fn settle(&mut self, call: Call, calls: usize) -> Done {
        let counts = || self.workload.counts(0, calls as u64);
        match call {
            Call::HeldCounter | Call::Macro => self.counted += calls as u64,
            Call::Redis => add(&mut self.redis_tracked, &counts()),
            _ => {
                add(&mut self.tracked, &counts());
                self.ours.store.flush()?;
            }
        }
        Ok(())
    }

    fn check(&mut self) -> Done {
        self.ours.close_and_check(self.workload, &self.tracked)?;
        check::same("Redis's totals", self.redis_tracked.clone(), self.redis.totals()?)?;
        check::same("the counter of metrics", self.counted, self.atomics.count())
    }
}

/// A way to make calls, compiled for each of them.
trait Drive<T> {
    fn drive(self, workload: &Workload, call: impl FnMut(usize, Happening) -> Done) -> Done<T>;
}

/// One call after the other; gives nanoseconds a call.
struct Burst {
    calls: usize,
}

impl Drive<f64> for Burst {
    fn drive(self, workload: &Workload, mut call: impl FnMut(usize, Happening) -> Done) -> Done<f64> {
        let (seconds, result) = timed(|| {
            let mut events = workload.events[..self.calls].iter().enumerate();
            events.try_for_each(|(place, event)| call(place, *event))
        });
        result.map(|()| seconds * 1e9 / self.calls as f64)
    }
}

/// A call each `gap` ticks; gives what each took, in ticks. A call that is late begins at once, and only its own time counts.
struct Paced {
    ticks: Ticks,
    gap: f64,
    calls: usize,
}

impl Drive<Vec<u64>> for Paced {
    fn drive(self, workload: &Workload, mut call: impl FnMut(usize, Happening) -> Done) -> Done<Vec<u64>> {
        // Written once before, so that no call pays for the first touch of a page.
        let mut took = vec![1; self.calls];
        let begin = self.ticks.raw();
        for (place, (event, took)) in workload.events.iter().zip(&mut took).enumerate() {
            let due = begin + (place as f64 * self.gap) as u64;
            let mut start = self.ticks.raw();
            while start < due {
                start = self.ticks.raw();
            }
            call(place, *event)?;
            *took = self.ticks.raw().saturating_sub(start);
        }
        Ok(took)
    }
}

/// The median of what a pair of readings takes.
fn timer_ticks(ticks: &Ticks) -> u64 {
    let readings = (0..10_001).map(|_| {
        let start = ticks.raw();
        ticks.raw().saturating_sub(start) as f64
    });
    median(&readings.collect::<Vec<_>>()) as u64
}
