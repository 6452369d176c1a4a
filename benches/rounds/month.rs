//! A store with 28 days of many events, and four metrics of each: what a ping has to read.

#![allow(dead_code, reason = "each bench uses its own part")]

use headcount::{
    Builder, Definitions, EventDefinition, ManualClock, MetricDefinition, Mode, Rule, Store, TimeFrame,
    Timestamp,
};

const DAY_SECONDS: i64 = 86_400;
const DAYS: u64 = 28;
/// A Monday: 28 whole days are four complete weeks.
const TODAY: &str = "2026-11-23";
/// Users of one day alone have numbers from here on.
const MOST_USERS: u64 = 20_000;
/// Of each event its total of 28 days and of all time, its users of a week and of 28 days.
pub(crate) const METRICS_AN_EVENT: u64 = 4;

/// Every event has so many users a day, each once; half of them come every day.
pub(crate) fn month(builder: Builder, events: u64, users: impl Fn(u64) -> u64) -> Store {
    let mut now = Timestamp::parse(TODAY).unwrap();
    (0..DAYS).for_each(|_| now = now.plus_seconds(-DAY_SECONDS));
    let clock = ManualClock::new(now);
    let definitions = (0..events).fold(Definitions::new(), |all, event| {
        let name = format!("event_{event}");
        let metric = |what: &str, frame: TimeFrame, rule| {
            MetricDefinition::new(format!("{what}.{name}{}", frame.suffix()), frame).rule(rule)
        };
        all.event(EventDefinition::new(&name).identifier("user"))
            .unwrap()
            .metric(metric("counts", TimeFrame::TwentyEightDays, Rule::count(&name)))
            .unwrap()
            .metric(metric("counts", TimeFrame::All, Rule::count(&name)))
            .unwrap()
            .metric(metric("users", TimeFrame::SevenDays, Rule::unique(&name, "user")))
            .unwrap()
            .metric(metric("users", TimeFrame::TwentyEightDays, Rule::unique(&name, "user")))
            .unwrap()
    });
    let store = builder.definitions(definitions).clock(clock.clone()).mode(Mode::Inline).open().unwrap();
    let trackers: Vec<_> =
        (0..events).map(|event| store.tracker().event(&format!("event_{event}")).unwrap()).collect();
    for day in 0..DAYS {
        for (event, tracker) in (0..).zip(&trackers) {
            (0..users(event)).for_each(|user| {
                tracker.user(user + if user % 2 == 0 { 0 } else { day * MOST_USERS }).track();
            });
        }
        store.flush().unwrap();
        clock.set(clock.now().plus_seconds(DAY_SECONDS));
    }
    store
}
