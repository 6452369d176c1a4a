//! Many processes that make pings of one store, and some that are killed at it.

use std::path::Path;
use std::time::Duration;

use headcount::{IsoWeek, ManualClock, Mode, Ping, Sources, Store};

use super::common::{Chance, child};
use super::{at, definitions};

pub(crate) const WEEKS: &str = "weeks";
pub(crate) const KILLED: &str = "killed";
const PATH: &str = "HEADCOUNT_TEST_PATH";
const SEED: &str = "HEADCOUNT_TEST_CHILD_SEED";
const CHILDREN: usize = 4;
const SIMULATED_WEEKS: i64 = 100;
const HALF_A_WEEK: Duration = Duration::from_secs(7 * 43_200);
const KILLS: usize = 40;
const FIRST: &str = "2026-01-05";

fn open(path: &Path, clock: &ManualClock) -> Store {
    Store::builder(path).definitions(definitions()).clock(clock.clone()).mode(Mode::Inline).open().unwrap()
}

/// Lives through the weeks, looking twice in each, at its own pace.
pub(crate) fn child() {
    let clock = ManualClock::new(at(FIRST));
    let store = open(Path::new(&std::env::var_os(PATH).unwrap()), &clock);
    let mut chance = Chance::quiet(std::env::var(SEED).unwrap().parse().unwrap());
    let ping = store.ping();
    for _ in 0..2 * SIMULATED_WEEKS {
        clock.advance(HALF_A_WEEK);
        let made = ping.run().unwrap().made;
        if let Some(made) = made {
            child::say(format_args!("made {} {}", made.week, made.digest));
        }
        std::thread::sleep(Duration::from_micros(chance.below(3_000)));
    }
    // The others may have been at their first weeks all the time.
    store.close().unwrap();
}

#[test]
fn four_processes_make_exactly_one_document_in_each_of_a_hundred_weeks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let clock = ManualClock::new(at(FIRST));
    let store = open(&path, &clock);
    let children: Vec<_> = (0..CHILDREN)
        .map(|seed| child::Child::start(WEEKS, &[(PATH, path.to_str().unwrap()), (SEED, &seed.to_string())]))
        .collect();
    let mut made = Vec::new();
    for mut child in children {
        while let Some(line) = child.next("made ") {
            made.push(line);
        }
        child.succeeds();
    }
    let kept: Vec<String> =
        store.ping().history().unwrap().iter().map(|kept| format!("{} {}", kept.week, kept.digest)).collect();
    made.sort();
    assert_eq!(made, kept, "each document was made once, and is the one that is kept");
    let first = store.ping().schedule().unwrap().next(at(FIRST));
    let weeks: Vec<IsoWeek> = store.ping().history().unwrap().iter().map(|kept| kept.week).collect();
    let expected: Vec<IsoWeek> =
        std::iter::successors(Some(IsoWeek::of(first)), |week| Some(week.next())).take(weeks.len()).collect();
    assert_eq!(weeks, expected, "no week is missing");
    assert_eq!(weeks.len(), 100);
}

/// Makes a ping whose source says when it is asked, and waits a little.
pub(crate) fn killed() {
    let clock = ManualClock::new(at("2026-11-25T09:00:00Z"));
    let store = open(Path::new(&std::env::var_os(PATH).unwrap()), &clock);
    let kept = slow(store.ping()).generate().unwrap();
    child::say(format_args!("kept {}", kept.digest));
    store.close().unwrap();
}

fn slow(ping: Ping) -> Ping {
    ping.sources(Sources::new().key_path("settings.theme", |_| {
        child::say("asked");
        std::thread::sleep(Duration::from_millis(2));
        Ok("dark".into())
    }))
}

#[test]
fn a_process_that_is_killed_while_it_makes_a_document_leaves_all_of_it_or_nothing() {
    let seed = std::env::var("HEADCOUNT_SEED").map_or(11, |seed| seed.parse().unwrap());
    let mut chance = Chance::new(seed);
    let (mut with, mut without) = (0, 0);
    for _ in 0..KILLS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        let mut child = child::Child::start(KILLED, &[(PATH, path.to_str().unwrap())]);
        child.wait_for("asked");
        std::thread::sleep(Duration::from_micros(chance.below(9_000)));
        let mut child = child.kill();
        let said = child.next("kept ");
        let clock = ManualClock::new(at("2026-11-25T09:00:00Z"));
        let store = open(&path, &clock);
        let kept = store.ping().history().unwrap();
        match kept.as_slice() {
            [] => {
                assert_eq!(said, None, "what was said to be kept is kept");
                without += 1;
            }
            [one] => {
                assert!(one.is_intact() && said.is_none_or(|digest| digest == one.digest.to_string()));
                with += 1;
            }
            more => panic!("{} documents of one week", more.len()),
        }
        // The lease of the killed one ends, and the week still gets one document.
        clock.advance(Duration::from_secs(3_600));
        let made = store.ping().generate().unwrap();
        assert!(kept.first().is_none_or(|kept| *kept == made));
        assert_eq!(store.ping().history().unwrap().len(), 1);
    }
    assert!(with > 0 && without > 0, "the kills fell on both sides: {with} with, {without} without");
}
