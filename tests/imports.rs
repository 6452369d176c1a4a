//! Imports: each line counts once, whatever is interrupted, repeated, grown or renamed.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

use std::io::{self, Read};
use std::sync::{Arc, Barrier};

use headcount::{
    Definitions, ErrorKind, EventDefinition, MAX_LINE_BYTES, ManualClock, Mode, Query, Rule, Store,
    TimeRange, Timestamp,
};

fn definitions() -> Definitions {
    Definitions::new()
        .event(
            EventDefinition::new("viewed")
                .identifier("user")
                .identifier("device")
                .label()
                .value()
                .custom("platform"),
        )
        .and_then(|all| all.event(EventDefinition::new("gone").removed()))
        .unwrap()
}

fn store() -> Store {
    let clock = ManualClock::new(Timestamp::parse("2026-11-22T10:00:00Z").unwrap());
    Store::builder_in_memory()
        .definitions(definitions())
        .clock(clock)
        .mode(Mode::Inline)
        .record(Rule::unique("viewed", "user"))
        .open()
        .unwrap()
}

fn lines(from: u32, to: u32) -> String {
    (from..to)
        .map(|n| {
            format!(
                "{{\"event\":\"viewed\",\"time\":\"2020-02-{:02}T10:00:00Z\",\"user\":{n}}}\n",
                n % 28 + 1
            )
        })
        .collect()
}

fn views(store: &Store) -> u64 {
    store.value(&Query::total("viewed")).unwrap().count().unwrap()
}

#[test]
fn the_same_source_counts_once_and_a_grown_one_continues() {
    let store = store();
    let first = store.import("log", lines(0, 100).as_bytes()).unwrap();
    assert_eq!((first.lines, first.accepted, first.already_read), (100, 100, 0));
    let again = store.import("log", lines(0, 100).as_bytes()).unwrap();
    assert_eq!((again.lines, again.accepted, again.already_read), (0, 0, 100));
    let grown = store.import("log", lines(0, 150).as_bytes()).unwrap();
    assert_eq!((grown.lines, grown.accepted, grown.already_read), (50, 50, 100));
    assert_eq!(views(&store), 150);
    let other = store.import("other", lines(0, 100).as_bytes()).unwrap();
    assert_eq!(other.accepted, 100);
    assert_eq!(views(&store), 250);
    assert_eq!(store.value(&Query::unique("viewed", "user")).unwrap().count(), Some(150));
}

#[test]
fn a_source_that_changed_before_its_offset_is_refused_and_nothing_is_counted() {
    let store = store();
    store.import("log", lines(0, 100).as_bytes()).unwrap();
    for changed in [lines(1, 101), lines(0, 50), String::new()] {
        let error = store.import("log", changed.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SourceChanged);
        assert!(error.to_string().contains("`log`"), "{error}");
    }
    assert_eq!(views(&store), 100);
}

#[test]
fn a_rotated_log_is_known_under_its_new_name() {
    let store = store();
    store.import("a.log", lines(0, 100).as_bytes()).unwrap();
    store.import("b.log", lines(500, 520).as_bytes()).unwrap();
    let rotated = lines(0, 130);
    assert_eq!(store.find_source(rotated.as_bytes()).unwrap().as_deref(), Some("a.log"));
    assert_eq!(store.find_source(lines(7, 300).as_bytes()).unwrap(), None);
    assert_eq!(store.find_source(lines(0, 99).as_bytes()).unwrap(), None);
    assert!(store.knows_source("a.log").unwrap() && !store.knows_source("a.log.1").unwrap());
    store.rename_source("a.log", "a.log.1").unwrap();
    let report = store.import("a.log.1", rotated.as_bytes()).unwrap();
    assert_eq!((report.accepted, report.already_read), (30, 100));
    assert_eq!(store.import("a.log", lines(200, 210).as_bytes()).unwrap().accepted, 10);
    assert_eq!(views(&store), 160);
    for (old, new) in [("nothing", "x"), ("a.log", "b.log")] {
        assert_eq!(store.rename_source(old, new).unwrap_err().kind(), ErrorKind::SourceChanged);
        assert_eq!(store.copy_source(old, new).unwrap_err().kind(), ErrorKind::SourceChanged);
    }
    // A copy continues beside the file that it was made of.
    store.copy_source("b.log", "copy.log").unwrap();
    assert_eq!(store.import("copy.log", lines(500, 523).as_bytes()).unwrap().accepted, 3);
    assert_eq!(store.import("b.log", lines(500, 520).as_bytes()).unwrap().accepted, 0);
}

#[test]
fn bad_lines_are_counted_by_reason_and_the_rest_goes_on() {
    let store = store();
    let long = format!("{{\"event\":\"viewed\",\"label\":\"{}\"}}", "x".repeat(MAX_LINE_BYTES));
    let label = "x".repeat(257);
    let table = [
        ("{\"event\":\"viewed\"}", None),
        ("", None),
        ("   \r", None),
        (
            "{\"event\":\"viewed\",\"time\":1582000000,\"device\":7,\"additional_properties\":{\"platform\":\"x\"}}\r",
            None,
        ),
        ("{\"event\":\"viewed\",\"property\":\"undeclared, dropped\"}", None),
        ("{\"event\":\"viewed\",\"user\":null,\"label\":null,\"time\":null}", None),
        ("x{\"event\":\"viewed\"}", Some("not_json")),
        ("nonsense", Some("not_json")),
        ("{\"event\":\"viewd\"}", Some("unknown_event")),
        ("{\"event\":\"gone\"}", Some("removed_event")),
        ("{\"event\":\"viewed\",\"usr\":1}", Some("undeclared_identifier")),
        ("{\"event\":\"viewed\",\"additional_properties\":{\"x\":1}}", Some("undeclared_property")),
        ("{\"event\":\"viewed\",\"time\":\"2026-11-22T10:05:01Z\"}", Some("too_future")),
        ("{\"event\":\"viewed\",\"time\":\"1969-12-31T23:59:59Z\"}", Some("bad_time")),
        ("{\"event\":\"viewed\",\"user\":4.5}", Some("bad_id")),
        ("{\"event\":\"viewed\",\"value\":\"4\"}", Some("wrong_type")),
        (long.as_str(), Some("line_too_long")),
        (&format!("{{\"event\":\"viewed\",\"label\":\"{label}\"}}"), Some("too_long")),
        ("{\"event\":\"viewed\",\"time\":\"2026-11-22T10:05:00Z\"}", None),
    ];
    let text: String = table.iter().map(|(line, _)| format!("{line}\n")).collect();
    let report = store.import("log", text.as_bytes()).unwrap();
    let mut expected = std::collections::BTreeMap::<&str, u64>::new();
    table
        .iter()
        .filter_map(|(_, reason)| *reason)
        .for_each(|reason| *expected.entry(reason).or_default() += 1);
    assert_eq!(report.rejected, expected);
    assert_eq!(report.accepted, 5);
    assert_eq!(report.blank, 2);
    assert_eq!(report.lines, report.accepted + report.blank + expected.values().sum::<u64>());
    assert_eq!((report.first_bad[0].line, report.first_bad[0].reason), (7, "not_json"));
    assert_eq!(report.first_bad.len(), 10);
    assert_eq!(views(&store), 5);
    let ledger = store.reader().ledger().unwrap();
    assert_eq!(ledger.stored, 5);
    assert_eq!(ledger.refused.values().sum::<u64>(), expected.values().sum::<u64>());
    assert_eq!(ledger.refused["unknown_event"], 1);
    assert_eq!(ledger.noted["undeclared_property"], 1);
}

#[test]
fn a_half_written_last_line_waits_for_its_rest() {
    let store = store();
    let whole = lines(0, 3);
    let cut = &whole[..whole.len() - 20];
    let report = store.import("log", cut.as_bytes()).unwrap();
    assert_eq!((report.accepted, report.rejected.get("incomplete_last_line")), (2, Some(&1)));
    let report = store.import("log", whole.as_bytes()).unwrap();
    assert_eq!((report.accepted, report.already_read, report.rejected.len()), (1, 2, 0));
    let unterminated = lines(0, 4);
    let report = store.import("log", unterminated.trim_end().as_bytes()).unwrap();
    assert_eq!((report.accepted, report.already_read), (1, 3));
    let report = store.import("log", (unterminated.clone() + "\nbad\n").as_bytes()).unwrap();
    assert_eq!((report.accepted, report.already_read, report.lines), (0, 4, 2));
    assert_eq!((report.blank, report.first_bad[0].line), (1, 6), "{unterminated}");
    assert_eq!(views(&store), 4);
}

/// Gives some bytes, then fails.
struct Broken<'a>(&'a [u8]);

impl Read for Broken<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() { Err(io::Error::other("the cable is out")) } else { self.0.read(into) }
    }
}

#[test]
fn an_import_that_breaks_off_continues_where_it_was_committed() {
    let store = store();
    let text = lines(0, 200_000);
    let error = store.import("log", Broken(&text.as_bytes()[..text.len() * 2 / 3])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("import it again to continue"), "{error}");
    let committed = views(&store);
    assert_eq!(committed, 2 * 65_536);
    let report = store.import("log", text.as_bytes()).unwrap();
    assert_eq!((report.already_read, report.accepted), (committed, 200_000 - committed));
    assert_eq!(views(&store), 200_000);
    assert_eq!(store.reader().ledger().unwrap().stored, 200_000);
}

/// Holds the reader back before its first byte, so that two imports begin with the same known offset.
struct Together<'a>(&'a [u8], Option<Arc<Barrier>>);

impl Read for Together<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Some(barrier) = self.1.take() {
            barrier.wait();
        }
        self.0.read(into)
    }
}

#[test]
fn of_two_imports_of_one_source_at_once_each_line_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let text = lines(0, 150_000);
    let barrier = Arc::new(Barrier::new(2));
    let reports: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let store = Store::builder(&path).definitions(definitions()).open().unwrap();
                let input = Together(text.as_bytes(), Some(Arc::clone(&barrier)));
                scope.spawn(move || store.import("log", input).unwrap())
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(reports.iter().map(|report| report.accepted).sum::<u64>(), 150_000);
    for report in &reports {
        assert_eq!(report.lines + report.already_read, 150_000);
        assert_eq!(report.lines, report.accepted);
    }
    let store = Store::builder(&path).open().unwrap();
    assert_eq!(views(&store), 150_000);
    assert_eq!(store.reader().ledger().unwrap().stored, 150_000);
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_line() {
    let store = store();
    let report = store.import("log", format!("\u{feff}{}", lines(0, 2)).as_bytes()).unwrap();
    assert_eq!((report.accepted, report.rejected.len()), (2, 0));
}

#[test]
fn imported_history_is_recorded_from_its_first_event_to_a_day_after_its_last() {
    let store = store();
    store.import("log", lines(0, 100).as_bytes()).unwrap();
    let at = |text: &str| Timestamp::parse(text).unwrap();
    let whole = store.value(&Query::total("viewed")).unwrap();
    assert_eq!((whole.since, whole.partial), (at("2020-02-01T10:00:00Z"), false));
    let partial = |from: &str, to: &str| {
        let range = TimeRange::new(at(from), at(to)).unwrap();
        [Query::total("viewed"), Query::unique("viewed", "user")]
            .map(|query| store.value(&query.range(range)).unwrap().partial)
    };
    assert_eq!(partial("2020-02-03", "2020-02-10"), [false; 2]);
    assert_eq!(partial("2020-02-02", "2020-02-29"), [false; 2]);
    assert_eq!(partial("2020-02-01", "2020-02-29"), [true; 2], "begins before the first event");
    assert_eq!(partial("2020-02-02", "2020-03-01"), [true; 2], "ends more than a day after the last");
    assert_eq!(partial("2021-01-01", "2022-01-01"), [true; 2], "nothing was recorded then");

    // A log that grows says that nothing happened in between; another log says nothing about the time between them.
    let grown = lines(0, 100) + "{\"event\":\"viewed\",\"time\":\"2020-04-01T00:00:00Z\"}\n";
    store.import("log", grown.as_bytes()).unwrap();
    assert_eq!(partial("2020-02-02", "2020-04-01"), [false; 2]);
    store.import("other", &b"{\"event\":\"viewed\",\"time\":\"2019-01-01T00:00:00Z\"}\n"[..]).unwrap();
    assert_eq!(partial("2019-01-01", "2019-01-02"), [false; 2]);
    assert_eq!(partial("2019-01-01", "2019-06-01"), [true; 2]);
    assert_eq!(partial("2019-06-01", "2019-07-01"), [true; 2]);
}

#[test]
fn an_old_log_says_nothing_about_a_rule_that_came_after_a_newer_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let clock = ManualClock::new(Timestamp::parse("2026-11-22T10:00:00Z").unwrap());
    let builder = || Store::builder(&path).definitions(definitions()).clock(clock.clone()).mode(Mode::Inline);
    let line = |time: &str| format!("{{\"event\":\"viewed\",\"time\":\"{time}\",\"user\":7}}\n");
    let newer = line("2024-05-03T10:00:00Z") + &line("2024-05-30T10:00:00Z");
    builder().open().unwrap().import("newer", newer.as_bytes()).unwrap();
    let store = builder().record(Rule::unique("viewed", "user")).open().unwrap();
    store.import("older", (line("2020-01-01T10:00:00Z") + &line("2020-02-01T10:00:00Z")).as_bytes()).unwrap();
    let at = |text: &str| Timestamp::parse(text).unwrap();
    let range = TimeRange::new(at("2024-05-04"), at("2024-05-29")).unwrap();
    let users = store.value(&Query::unique("viewed", "user").range(range)).unwrap();
    assert_eq!((users.count(), users.partial), (Some(0), true));
    let total = store.value(&Query::total("viewed").range(range)).unwrap();
    assert!(!total.partial);
    let range = TimeRange::new(at("2020-01-02"), at("2020-02-01")).unwrap();
    assert!(!store.value(&Query::unique("viewed", "user").range(range)).unwrap().partial);
}
