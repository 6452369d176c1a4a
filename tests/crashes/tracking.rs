//! The crash loop: one process that tracks, flushes and acknowledges, killed and started again.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::common::Chance;
use crate::common::child::{Child, acknowledge, say};
use crate::common::figures::{figure, seed};
use crate::expected::Expected;
use crate::stream::{self, EVENTS, Stream};

pub(crate) const ROLE: &str = "tracks";
const FILE: &str = "HEADCOUNT_TEST_FILE";
const EVENT: &str = "HEADCOUNT_TEST_EVENT";
const SEED: &str = "HEADCOUNT_TEST_SEED";
const LIFE: &str = "HEADCOUNT_TEST_LIFE";
const SIZE: &str = "HEADCOUNT_TEST_SIZE";
const HABIT: &str = "HEADCOUNT_TEST_HABIT";

/// How a child works; all but the first two are mistakes that the suites must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Batches are what flushes cut.
    Flushes,
    /// The store commits by itself too, each millisecond.
    CommitsBetween,
    /// Acknowledges what is not yet durable.
    AcknowledgesEarly,
    /// Tracks what the life before had acknowledged last once more, as if a retry had no sequence.
    Repeats,
    /// Flushes in the middle of a batch.
    Tears,
}

impl Habit {
    const ALL: [Self; 5] =
        [Self::Flushes, Self::CommitsBetween, Self::AcknowledgesEarly, Self::Repeats, Self::Tears];
}

/// Starts a child that works through a stream until it is killed.
pub(crate) fn start(path: &Path, stream: Stream, habit: Habit) -> Child {
    let size = stream.size.map(|size| size.to_string()).unwrap_or_default();
    Child::start(
        ROLE,
        &[
            (FILE, path.to_str().unwrap()),
            (EVENT, stream.event),
            (SEED, &stream.seed.to_string()),
            (LIFE, &stream.life.to_string()),
            (SIZE, &size),
            (HABIT, &format!("{habit:?}")),
        ],
    )
}

pub(crate) fn child() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let path = PathBuf::from(variable(FILE));
    let event = EVENTS.into_iter().find(|event| *event == variable(EVENT)).unwrap();
    let habit = Habit::ALL.into_iter().find(|habit| format!("{habit:?}") == variable(HABIT)).unwrap();
    let (seed, life) = (variable(SEED).parse().unwrap(), variable(LIFE).parse().unwrap());
    let stream = Stream { event, seed, life, size: variable(SIZE).parse().ok() };
    let often = habit == Habit::CommitsBetween;
    let store = stream::open(&path, Duration::from_millis(if often { 1 } else { 3_600_000 }));
    say("open");
    if habit == Habit::Repeats && life > 0 {
        let before = Stream { life: life - 1, ..stream };
        before.batch(0).iter().for_each(|fact| fact.track(&store));
    }
    for n in 0.. {
        let batch = stream.batch(n);
        for (place, fact) in batch.iter().enumerate() {
            fact.track(&store);
            if habit == Habit::Tears && place + 1 == batch.len() / 2 {
                store.flush().unwrap();
            }
        }
        if habit == Habit::AcknowledgesEarly {
            acknowledge(n + 1);
            store.flush().unwrap();
        } else {
            store.flush().unwrap();
            acknowledge(n + 1);
        }
    }
}

/// The moment of a kill.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// While the program starts and opens its store.
    Opening,
    AfterStart,
    AfterFirstAcknowledgement,
}

fn pause(chance: &mut Chance, from: u64, to: u64) {
    std::thread::sleep(Duration::from_micros(from * 1_000 + chance.below((to - from) * 1_000)));
}

/// Kills so many processes; says what is wrong with what they left, and how many batches they had acknowledged.
fn kill(kills: u64, seed: u64, habit: Option<Habit>) -> Result<u64, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("killed.db");
    let mut chance = Chance::new(seed);
    let mut expected = Expected::default();
    let mut acknowledged = 0;
    let began = Instant::now();
    for life in 0..kills {
        let habit = habit.unwrap_or_else(|| chance.one_of(&[Habit::Flushes, Habit::CommitsBetween]));
        let stream = Stream { event: "page_viewed", seed, life, size: None };
        let mut child = start(&path, stream, habit);
        let moment = chance.one_of(&[
            Moment::Opening,
            Moment::AfterStart,
            Moment::AfterFirstAcknowledgement,
            Moment::AfterFirstAcknowledgement,
        ]);
        match moment {
            Moment::Opening => pause(&mut chance, 0, 12),
            Moment::AfterStart => pause(&mut chance, 3, 43),
            Moment::AfterFirstAcknowledgement => {
                child.goes_on();
                pause(&mut chance, 3, 43);
            }
        }
        assert!(child.is_running(), "the child of life {life} ended by itself");
        let batches = child.kill().acknowledged();
        acknowledged += batches;
        if !path.exists() {
            assert_eq!(acknowledged, 0, "the store is gone");
            continue;
        }
        expected.settle(&path, stream, batches, habit != Habit::CommitsBetween)?;
        expected.conserves(&path)?;
        if life % 50 == 49 {
            expected.compare(&path)?;
        }
    }
    expected.compare(&path)?;
    // Whoever comes next finds a store that works.
    drop(stream::open(&path, Duration::from_secs(1)));
    expected.compare(&path)?;
    println!(
        "{kills} kills, {acknowledged} acknowledged batches, {} events, {:.1} s",
        expected.events(),
        began.elapsed().as_secs_f64()
    );
    Ok(acknowledged)
}

#[test]
fn a_process_killed_at_any_moment_loses_nothing_acknowledged_and_counts_nothing_twice() {
    let acknowledged = kill(figure(300, 10_000), seed(), None).unwrap();
    assert!(acknowledged > 0, "no child ever acknowledged anything");
}

#[test]
fn a_child_that_acknowledges_before_it_has_flushed_is_found_out() {
    let found = kill(100, seed(), Some(Habit::AcknowledgesEarly)).unwrap_err();
    assert!(found.contains("were acknowledged"), "{found}");
}

#[test]
fn a_child_that_repeats_what_is_stored_is_found_out() {
    let found = kill(100, seed(), Some(Habit::Repeats)).unwrap_err();
    assert!(found.contains("were offered") || found.contains("no whole batch"), "{found}");
}

#[test]
fn a_child_that_tears_its_batches_is_found_out() {
    let found = kill(100, seed(), Some(Habit::Tears)).unwrap_err();
    assert!(found.contains("no whole batch"), "{found}");
}
