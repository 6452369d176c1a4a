//! The week in which the store begins to count itself.

use headcount::{
    Definitions, ErrorKind, Event, EventDefinition, IsoWeek, ManualClock, Query, RedisImport, Rule, Store,
    TimeRange, Timestamp, Unit,
};

use crate::server::Redis;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

struct Seam {
    clock: ManualClock,
    store: Store,
}

impl Seam {
    fn new() -> Self {
        let clock = ManualClock::new(at("2026-11-18T10:00:00Z"));
        let definitions = Definitions::new()
            .event(EventDefinition::new("opened").identifier("user").label().value())
            .unwrap();
        let store = Store::builder_in_memory()
            .definitions(definitions)
            .record(Rule::unique("opened", "user"))
            .record(Rule::sum("opened"))
            .record(Rule::per_value("opened", "label"))
            .clock(clock.clone())
            .mode(headcount::Mode::Inline)
            .open()
            .unwrap();
        Self { clock, store }
    }

    fn track(&self, users: std::ops::Range<u64>) {
        for user in users {
            self.store.tracker().track(Event::new("opened").user(user).label("web").value(0.5));
        }
        self.store.flush().unwrap();
    }

    fn count(&self, query: Query) -> u64 {
        self.store.value(&query).unwrap().count().unwrap()
    }

    /// Total, twice the sum, distinct ones and those of the label, of the week.
    fn week(&self) -> [u64; 4] {
        let range = IsoWeek::parse("2026-W47").unwrap().range();
        let sum = self.store.value(&Query::sum("opened").range(range)).unwrap().value.number().unwrap();
        let labels = self.store.value(&Query::per_value("opened", "label").range(range)).unwrap();
        let twice = format!("{}", sum * 2.0).parse().unwrap();
        [
            self.count(Query::total("opened").range(range)),
            twice,
            self.count(Query::unique("opened", "user").range(range)),
            labels.value.per_value().unwrap()["web"],
        ]
    }
}

/// A Redis that has counted these users once, in this week and for all time.
fn count_in(redis: &mut Redis, users: std::ops::Range<u64>) {
    for user in users {
        for base in ["", "-2026-47"] {
            redis.ok(&["INCR", &format!("{{event_counters}}_opened{base}")]);
            redis.ok(&["INCRBYFLOAT", &format!("{{event_sums}}_opened-operator:sum(value){base}"), "0.5"]);
            redis.ok(&[
                "HINCRBY",
                &format!("{{hll_counters}}_opened-operator:total-label{base}"),
                "web",
                "1",
            ]);
        }
        redis.ok(&["PFADD", "{hll_counters}_opened-user-2026-47", &user.to_string()]);
    }
}

fn import(seam: &Seam, redis: &Redis, import: &RedisImport) -> Result<(), headcount::Error> {
    import.from_server(&seam.store, &redis.url(), &mut |_| {}).map(drop)
}

#[test]
fn what_came_before_the_store_began_adds_up_with_it() {
    let Some(mut redis) = Redis::start() else { return };
    let seam = Seam::new();
    count_in(&mut redis, 0..30);
    import(&seam, &redis, &RedisImport::new()).unwrap();
    assert_eq!(seam.week(), [30; 4]);
    seam.clock.set(at("2026-11-19T10:00:00Z"));
    seam.track(20..60);
    assert_eq!(seam.week(), [70, 70, 60, 70]);
    assert_eq!(seam.count(Query::total("opened")), 70);
    assert_eq!(seam.count(Query::unique("opened", "user")), 60);
    // Once more, with the instant at which Redis ended.
    let ended = RedisImport::new().until(at("2026-11-18T10:00:00Z"));
    import(&seam, &redis, &ended).unwrap();
    assert_eq!(seam.week(), [70, 70, 60, 70]);
    assert_eq!(seam.count(Query::total("opened")), 70);
}

#[test]
fn what_both_have_counted_counts_once() {
    let Some(mut redis) = Redis::start() else { return };
    let seam = Seam::new();
    count_in(&mut redis, 0..10);
    // From here on both count.
    seam.track(10..25);
    count_in(&mut redis, 10..25);
    let refused = import(&seam, &redis, &RedisImport::new()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Usage);
    assert!(refused.to_string().contains("until when"), "{refused}");
    assert_eq!(seam.week()[0], 15, "nothing was imported");
    import(&seam, &redis, &RedisImport::new().until_now()).unwrap();
    assert_eq!(seam.week(), [25; 4]);
    assert_eq!(seam.count(Query::total("opened")), 25);
    // Redis ends at noon; the store goes on.
    seam.clock.set(at("2026-11-18T11:59:00Z"));
    seam.track(25..30);
    count_in(&mut redis, 25..30);
    let early = import(&seam, &redis, &RedisImport::new().until(at("2026-11-18T12:00:00Z"))).unwrap_err();
    assert!(early.to_string().contains("a full hour that has come"), "{early}");
    import(&seam, &redis, &RedisImport::new().until_now()).unwrap();
    assert_eq!(seam.week(), [30; 4]);
    seam.clock.set(at("2026-11-18T12:00:00Z"));
    seam.track(30..35);
    assert_eq!(seam.week(), [35; 4]);
    // Values have no hours, by which the same could be said later.
    let refused = import(&seam, &redis, &RedisImport::new().until(at("2026-11-18T12:00:00Z"))).unwrap_err();
    assert!(refused.to_string().contains("name a midnight"), "{refused}");
    redis.ok(&[
        "DEL",
        "{hll_counters}_opened-operator:total-label",
        "{hll_counters}_opened-operator:total-label-2026-47",
    ]);
    seam.track(35..50);
    for _ in 0..2 {
        import(&seam, &redis, &RedisImport::new().until(at("2026-11-18T12:00:00Z"))).unwrap();
        assert_eq!(seam.week(), [50; 4]);
        assert_eq!(seam.count(Query::total("opened")), 50);
    }
    // The weeks after it are the store's alone.
    seam.clock.set(at("2026-11-24T09:00:00Z"));
    seam.track(0..3);
    assert_eq!(seam.week(), [50; 4]);
    assert_eq!(seam.count(Query::total("opened")), 53);
    redis.ok(&["INCR", "{event_counters}_opened-2026-48"]);
    let refused = import(&seam, &redis, &RedisImport::new().until(at("2026-11-18T12:00:00Z"))).unwrap_err();
    assert!(refused.to_string().contains("2026-W48 began after"), "{refused}");
}

#[test]
fn a_week_that_is_cut_is_left_out_and_said_so() {
    let Some(mut redis) = Redis::start() else { return };
    let seam = Seam::new();
    count_in(&mut redis, 0..30);
    import(&seam, &redis, &RedisImport::new()).unwrap();
    seam.track(30..35);
    let range = |from: &str, to: &str| TimeRange::new(at(from), at(to)).unwrap();
    for (from, to, count, partial) in [
        ("2026-11-16", "2026-11-18", 0, true),
        ("2026-11-17", "2026-11-23", 5, true),
        ("2026-11-01", "2026-11-16", 0, true),
        ("2026-11-01", "2026-12-01", 35, true),
        ("2026-11-16", "2026-11-23", 35, true),
    ] {
        let answer = seam.store.value(&Query::total("opened").range(range(from, to))).unwrap();
        assert_eq!((answer.count(), answer.partial), (Some(count), partial), "{from} {to}");
    }
    seam.clock.set(at("2026-12-10T00:00:00Z"));
    seam.track(0..1);
    let weeks = Query::total("opened").range(range("2026-11-16", "2026-12-14"));
    let weeks: Vec<_> =
        seam.store.series(&weeks, Unit::Week).unwrap().iter().map(|answer| answer.count()).collect();
    assert_eq!(weeks, [Some(35), Some(0), Some(0), Some(1)]);
    let days = Query::total("opened").range(range("2026-11-16", "2026-11-23"));
    let days = seam.store.series(&days, Unit::Day).unwrap();
    assert_eq!(days.iter().map(|answer| answer.count().unwrap()).sum::<u64>(), 5);
    assert!(days.iter().all(|answer| answer.partial), "each of them lacks its part of the week");
    // As of an instant within the week nobody knows how much of it had come.
    let then = seam.store.value(&Query::total("opened").as_of(at("2026-11-20"))).unwrap();
    assert_eq!((then.count(), then.partial), (Some(5), true));
    let later = seam.store.value(&Query::unique("opened", "user").as_of(at("2026-11-30"))).unwrap();
    assert_eq!(later.count(), Some(35));
}
