//! Tracking allocates nothing in steady state: neither on the caller's thread, nor where events are added up.

use allocation_counter::measure;
use headcount::{Event, Mode, Store, Tracker};

use crate::two_events::two_events;

/// Events of a burst, which takes 8 buffers or some more.
const BURST: u64 = 8_192;
/// A burst allocates the buffers that are missing, and they stay: after so many bursts one of them has found them all.
const BURSTS: usize = 100;
const USERS: u64 = 500;

#[test]
fn events_through_a_handle_allocate_nothing() {
    let (store, tracker) = store(Mode::Background);
    let viewed = tracker.event("page_viewed").unwrap();
    let tracked = allocates_nothing_after(&store, |user| viewed.user(user).project(user / 7).track());
    assert_eq!(store.close().unwrap().stored, tracked);
}

#[test]
fn events_by_name_with_texts_allocate_nothing() {
    let (store, tracker) = store(Mode::Background);
    let texts: Vec<_> = (0..USERS).map(|user| format!("user-{user:015}")).collect();
    let tracked = allocates_nothing_after(&store, |user| {
        let text = texts[usize::try_from(user).unwrap()].as_str();
        tracker.track(Event::new("page_viewed").user(text).project(text));
    });
    assert_eq!(store.close().unwrap().stored, tracked);
}

#[test]
fn events_with_four_custom_properties_allocate_nothing() {
    let (store, tracker) = store(Mode::Background);
    let used = tracker.event("command_used").unwrap();
    let tracked = allocates_nothing_after(&store, |user| {
        used.user(user)
            .label(if user % 2 == 0 { "web" } else { "api" })
            .value(0.25)
            .custom("platform", "linux")
            .custom("version", "17.4.1")
            .custom("retries", 3)
            .custom("seconds", 1.5)
            .track();
    });
    assert_eq!(store.close().unwrap().stored, tracked);
}

#[test]
fn clones_allocate_nothing() {
    let (store, tracker) = store(Mode::Background);
    let viewed = tracker.event("page_viewed").unwrap();
    let tracked = allocates_nothing_after(&store, |user| {
        tracker.clone().track(Event::new("page_viewed").user(user));
        viewed.clone().user(user).track();
    });
    assert_eq!(store.close().unwrap().stored, 2 * tracked);
}

#[test]
fn refusals_allocate_nothing() {
    let (store, tracker) = store(Mode::Background);
    let tracked = allocates_nothing_after(&store, |user| tracker.track(Event::new("misspelt").user(user)));
    let stats = store.close().unwrap();
    assert_eq!((stats.stored, stats.refused.values().sum()), (0, tracked));
}

/// Without threads the caller adds up too, into the cells and sketches that there are.
#[test]
fn adding_up_known_users_allocates_nothing() {
    let (store, tracker) = store(Mode::Inline);
    let viewed = tracker.event("page_viewed").unwrap();
    let used = tracker.event("command_used").unwrap();
    let burst = || {
        for user in users() {
            viewed.user(user).project(user / 7).track();
            used.user(user).label("web").value(0.25).custom("platform", "linux").track();
        }
    };
    burst();
    let seen = measure(burst);
    assert_eq!(seen.count_total, 0, "{seen:?} in {BURST} events of each");
    assert_eq!(store.close().unwrap().stored, 4 * BURST);
}

#[test]
fn an_allocation_would_be_seen() {
    let seen = measure(|| drop(std::hint::black_box(vec![1_u8; 100])));
    assert_eq!((seen.count_total, seen.bytes_total), (1, 100));
}

/// Tracks in bursts until one has allocated nothing on this thread; how many calls that were.
fn allocates_nothing_after(store: &Store, track: impl Fn(u64)) -> u64 {
    let mut seen = Vec::new();
    while seen.len() < BURSTS {
        let allocations = measure(|| users().for_each(&track)).count_total;
        store.flush().unwrap();
        seen.push(allocations);
        if allocations == 0 {
            return seen.len() as u64 * BURST;
        }
    }
    panic!("each burst of {BURST} events allocates: {seen:?}");
}

fn users() -> impl Iterator<Item = u64> {
    (0..BURST).map(|event| event % USERS)
}

fn store(mode: Mode) -> (Store, Tracker) {
    let store = two_events(mode).open().unwrap();
    let tracker = store.tracker();
    (store, tracker)
}
