//! One document a week: when it is due, what is kept, and what is forgotten.

use headcount::{
    Consent, DeliveryOutcome, Depth, ErrorKind, Event, IsoWeek, ManualClock, Ping, Reader, Store, Timestamp,
    ping_difference,
};
use serde_json::json;

use super::{at, counted, definitions, store, value};

const WEEK: i64 = 7 * 86_400;

#[test]
fn the_first_ping_is_due_at_the_first_minute_of_the_schedule_and_then_each_week() {
    let clock = ManualClock::new(at("2026-11-25T09:00:00Z"));
    let ping = store(definitions(), &clock).ping();
    let first = ping.run().unwrap().next_at;
    assert!(ping.history().unwrap().is_empty());
    clock.set(first.plus_seconds(-1));
    assert!(ping.run().unwrap().made.is_none());
    for week in 0..5 {
        let due = first.plus_seconds(week * WEEK);
        clock.set(due);
        let run = ping.run().unwrap();
        assert_eq!(run.made.unwrap().week, IsoWeek::of(due));
        assert_eq!(run.next_at, due.plus_seconds(WEEK));
        assert!(ping.run().unwrap().made.is_none(), "once");
    }
    let kept = ping.history().unwrap();
    assert_eq!(kept.len(), 5);
    assert!(kept.iter().all(headcount::KeptPing::is_intact));
}

#[test]
fn after_a_pause_the_last_week_is_made_up_for_with_the_values_that_were_complete_then() {
    let clock = ManualClock::new(at("2026-11-02T00:00:00Z"));
    let store = store(definitions(), &clock);
    let ping = store.ping();
    // A user more each week, until a year's end with 53 weeks has passed.
    let mut week = IsoWeek::of(clock.now());
    for users in 1..=12_u32 {
        clock.set(week.start().plus_seconds(3_600));
        (0..users).for_each(|user| store.tracker().track(Event::new("issue_created").user(user)));
        week = week.next();
    }
    store.flush().unwrap();
    let due = ping.schedule().unwrap().in_week(week.minus(1));
    // The minute was missed, and the next week has begun.
    clock.set(due.max(week.start().plus_seconds(-60)).plus_seconds(120));
    let made = ping.run().unwrap().made.unwrap();
    let due_week = ping.schedule().unwrap().due(clock.now());
    let document: serde_json::Value = serde_json::from_str(&made.document).unwrap();
    let complete = due_week.minus(1).start().since(at("2026-11-02")).as_secs() / 604_800 + 1;
    assert_eq!(made.week, due_week);
    assert_eq!(value(&document, "users.creating_weekly"), Some(&json!(complete)));
    assert_eq!(ping.history().unwrap().len(), 1, "of several missed weeks the last");
}

#[test]
fn a_week_has_one_document_which_never_changes() {
    let clock = ManualClock::new(at("2026-11-25T09:00:00Z"));
    let store = counted(&clock);
    let made = store.ping().generate().unwrap();
    store.tracker().track(Event::new("issue_created").user(9));
    store.flush().unwrap();
    clock.set(at("2026-11-29T23:59:59Z"));
    let again = store.ping().generate().unwrap();
    assert_eq!(again, made);
    assert_ne!(store.ping().build().unwrap().document, made.document);
    clock.set(at("2026-11-30T00:00:00Z"));
    let next = store.ping().generate().unwrap();
    assert_eq!(next.week, made.week.next());
    let changes = ping_difference(&made.document, &next.document).unwrap();
    let of = |key_path: &str| changes.iter().find(|change| change.key_path == key_path).unwrap();
    assert_eq!(
        (of("counts.issues").before.clone(), of("counts.issues").after.clone()),
        (Some(3.into()), Some(4.into()))
    );
    assert!(changes.iter().all(|change| change.key_path != "uuid"));
}

#[test]
fn what_stands_beside_a_document_is_kept_with_it() {
    let clock = ManualClock::new(at("2026-11-25T09:00:00Z"));
    let ping = counted(&clock).ping();
    let built = ping.build().unwrap();
    let kept = ping.generate().unwrap();
    assert_eq!(kept.document, built.document);
    let outcomes = |metrics: &[headcount::MetricReport]| {
        metrics
            .iter()
            .map(|metric| (metric.key_path.clone(), metric.outcome, metric.window))
            .collect::<Vec<_>>()
    };
    assert_eq!(outcomes(&kept.metrics().unwrap()), outcomes(&built.metrics));
    assert_eq!(ping.kept(kept.week).unwrap(), Some(kept));
}

#[test]
fn the_oldest_of_more_documents_than_are_kept_are_forgotten() {
    let clock = ManualClock::new(at("2026-01-07T09:00:00Z"));
    let ping = store(definitions(), &clock).ping();
    ping.set_consent(&Consent::default().keep_weeks(3)).unwrap();
    for _ in 0..8 {
        ping.generate().unwrap();
        clock.set(clock.now().plus_seconds(WEEK));
    }
    let weeks: Vec<String> = ping.history().unwrap().iter().map(|kept| kept.week.to_string()).collect();
    assert_eq!(weeks, ["2026-W07", "2026-W08", "2026-W09"]);
}

/// Of one that is kept no longer nobody knows whether it was made, and sent.
#[test]
fn a_week_that_would_not_be_kept_is_not_made() {
    let clock = ManualClock::new(at("2026-11-02T00:00:00Z"));
    let ping = store(definitions(), &clock).ping();
    ping.set_consent(&Consent::default().keep_weeks(1)).unwrap();
    let due = ping.schedule().unwrap().in_week(IsoWeek::parse("2026-W47").unwrap());
    clock.set(due.plus_seconds(-60));
    // The schedule is at the week before still, unless its minute is the first of the week.
    if IsoWeek::of(clock.now()) == IsoWeek::of(due) {
        let made = ping.generate().unwrap();
        for _ in 0..3 {
            assert_eq!(ping.run().unwrap().made, None);
        }
        assert_eq!(ping.history().unwrap(), [made]);
    }
    clock.set(due.plus_seconds(WEEK));
    assert_eq!(ping.run().unwrap().made.unwrap().week, IsoWeek::of(due).next());
    assert_eq!(ping.weeks().unwrap().len(), 1);
}

#[test]
fn a_clock_that_was_ahead_once_stops_no_week_and_has_none_made_twice() {
    let clock = ManualClock::new(at("2026-11-02T00:00:00Z"));
    let ping = store(definitions(), &clock).ping();
    ping.set_consent(&Consent::default().keep_weeks(1)).unwrap();
    clock.set(at("2031-01-15T00:00:00Z"));
    ping.run().unwrap().made.unwrap();
    for week in 1..5 {
        clock.set(
            ping.schedule().unwrap().in_week(IsoWeek::parse("2026-W46").unwrap()).plus_seconds(week * WEEK),
        );
        let made = ping.run().unwrap().made.unwrap();
        assert_eq!(made.week, IsoWeek::of(clock.now()));
        assert_eq!(ping.run().unwrap().made, None);
        let kept: Vec<IsoWeek> = ping.weeks().unwrap().iter().map(|kept| kept.week).collect();
        assert_eq!((kept.len(), kept[0]), (2, made.week));
    }
}

/// A receiver that refuses them for months costs none; and none stays for ever.
#[test]
fn weeks_that_wait_to_be_sent_are_kept_up_to_the_usual_number() {
    let clock = ManualClock::new(at("2026-01-07T09:00:00Z"));
    let ping = store(definitions(), &clock).ping();
    ping.set_consent(&Consent::default().send_to("http://127.0.0.1:9/").keep_weeks(1)).unwrap();
    for week in 1..=107 {
        ping.generate().unwrap();
        assert_eq!(ping.weeks().unwrap().len(), week.min(104));
        clock.set(clock.now().plus_seconds(WEEK));
    }
    ping.mark_carried(&[ping.weeks().unwrap()[50].week]).unwrap();
    ping.generate().unwrap();
    assert_eq!(ping.weeks().unwrap().len(), 103);
    ping.set_consent(&Consent::default().keep_weeks(1)).unwrap();
    clock.set(clock.now().plus_seconds(WEEK));
    ping.generate().unwrap();
    assert_eq!(ping.weeks().unwrap().len(), 1);
}

#[test]
fn what_the_operator_chose_is_kept_in_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let open = || Store::builder(&path).definitions(definitions()).open().unwrap();
    let chosen = Consent::default().send_to("https://example.com/usage").suppress_below(5).keep_weeks(10);
    let first = open();
    assert_eq!(first.ping().consent().unwrap(), Consent::default());
    assert!(!Consent::default().sends());
    first.ping().set_consent(&chosen).unwrap();
    first.close().unwrap();
    assert_eq!(open().ping().consent().unwrap(), chosen);
    let reader = Reader::open(&path).unwrap();
    assert_eq!(Ping::of(&reader).consent().unwrap(), chosen);
    let refused = Ping::of(&reader).set_consent(&Consent::default()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnly);
    assert_eq!(Ping::of(&reader).generate().unwrap_err().kind(), ErrorKind::ReadOnly);
    for url in ["https://localhost:8443/", "https://[::1]/", "http://[::1]:8080?a=b:c", "https://a.example/:"]
    {
        open().ping().set_consent(&Consent::default().send_to(url)).unwrap();
    }
    for url in [
        "ftp://example.com",
        "example.com",
        "",
        "https://",
        "https://me:secret@example.com/",
        "https://a b",
        "https://localhost:99999/",
        "https://localhost:0",
        "https://localhost:",
        "https://localhost:x/",
        "https://[::1]:65536",
    ] {
        let consent = Consent::default().send_to(url);
        assert_eq!(open().ping().set_consent(&consent).unwrap_err().kind(), ErrorKind::Usage, "{url}");
    }
}

#[test]
fn a_lease_of_a_clock_that_was_wrong_holds_nobody_up() {
    let clock = ManualClock::new(at("2026-11-25T09:00:00Z"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let store = Store::builder(&path).definitions(definitions()).clock(clock).open().unwrap();
    let lease = |until: Timestamp| {
        let sql = "UPDATE consent SET worker = x'00', until = ?1";
        rusqlite::Connection::open(&path).unwrap().execute(sql, [until.unix_seconds()]).unwrap();
    };
    lease(at("2026-11-25T09:05:00Z"));
    assert_eq!(store.ping().generate().unwrap_err().kind(), ErrorKind::StoreBusy);
    assert!(store.ping().history().unwrap().is_empty());
    lease(at("2027-11-25T09:05:00Z"));
    assert!(store.ping().generate().is_ok());
}

#[test]
fn a_forgotten_week_is_gone_and_is_never_made_again() {
    let clock = ManualClock::new(at("2026-11-02T09:00:00Z"));
    let store = store(definitions(), &clock);
    let ping = store.ping();
    let due = ping.run().unwrap().next_at;
    clock.set(due);
    let made = ping.run().unwrap().made.unwrap();
    let stood = ping.forget(made.week).unwrap();
    assert_eq!((stood.week, stood.digest, stood.bytes), (made.week, made.digest, made.document.len() as u64));
    assert_eq!((ping.kept(made.week).unwrap(), ping.history().unwrap()), (None, vec![]));
    let weeks = ping.weeks().unwrap();
    assert_eq!((weeks.len(), weeks[0].bytes), (1, 0));
    assert_eq!(
        (weeks[0].delivery.outcome, weeks[0].delivery.tried_at),
        (DeliveryOutcome::Forgotten, Some(due))
    );
    // Neither the schedule nor somebody who asks makes it anew.
    let end_of_week = made.week.next().start().plus_seconds(-1);
    for now in [due, due.plus_seconds(60), end_of_week] {
        clock.set(now);
        assert_eq!(ping.run().unwrap().made, None);
    }
    if IsoWeek::of(clock.now()) == made.week {
        let again = ping.generate().unwrap_err();
        assert!(again.kind() == ErrorKind::NotKept && again.to_string().contains("forgotten"), "{again}");
    }
    clock.set(due.plus_seconds(WEEK));
    assert_eq!(ping.run().unwrap().made.unwrap().week, made.week.next());
    assert_eq!(ping.last_kept(Some(made.week.next())).unwrap(), None);
    for (week, said) in [
        (made.week, "was forgotten at 2026-11-"),
        (IsoWeek::parse("2026-W01").unwrap(), "no ping of 2026-W01 is kept"),
    ] {
        let refused = ping.forget(week).unwrap_err();
        assert!(refused.kind() == ErrorKind::NotKept && refused.to_string().contains(said), "{refused}");
    }
    assert!(store.reader().check(Depth::Deep).unwrap().is_sound());
    assert_eq!(Ping::of(store.reader()).forget(made.week.next()).unwrap_err().kind(), ErrorKind::ReadOnly);
}

#[test]
fn a_week_that_was_forgotten_by_one_process_is_made_by_no_other() {
    let clock = ManualClock::new(at("2026-11-25T09:00:00Z"));
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        Store::builder(folder.path().join("usage.db"))
            .definitions(definitions())
            .clock(clock.clone())
            .open()
            .unwrap()
    };
    let (one, other) = (open(), open());
    let week = one.ping().generate().unwrap().week;
    other.ping().forget(week).unwrap();
    assert_eq!(one.ping().generate().unwrap_err().kind(), ErrorKind::NotKept);
    assert_eq!(one.ping().weeks().unwrap().len(), 1);
}
