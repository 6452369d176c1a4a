//! Imports: each line counts once, whatever is interrupted, repeated, grown or renamed.
#![allow(
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where it is wrong"
)]

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
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
fn of_sources_that_are_read_equally_far_the_one_with_the_same_bytes_is_found() {
    let store = store();
    for (name, from) in [("a", 0), ("b", 100), ("c", 200)] {
        store
            .import(name, lines(from + 10, from + 90).replace("\"user\":", "\"user\":1000").as_bytes())
            .unwrap();
    }
    let find = |from: u32| {
        let text = lines(from + 10, from + 95).replace("\"user\":", "\"user\":1000");
        store.find_source(text.as_bytes()).unwrap()
    };
    let found = [find(0), find(100), find(200), find(300)];
    assert_eq!(found.each_ref().map(Option::as_deref), [Some("a"), Some("b"), Some("c"), None]);
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
    let mut expected = BTreeMap::<&str, u64>::new();
    table
        .iter()
        .filter_map(|(_, reason)| *reason)
        .for_each(|reason| *expected.entry(reason).or_default() += 1);
    assert_eq!(report.rejected, expected);
    assert_eq!(report.accepted, 5);
    assert_eq!(report.blank, 2);
    assert_eq!(report.lines, report.accepted + report.blank + expected.values().sum::<u64>());
    assert_eq!((report.first_bad[0].line, report.first_bad[0].reason), (7, "not_json"));
    let first_bad: Vec<_> = report.first_bad.iter().map(|bad| (bad.line, Some(bad.reason))).collect();
    let bad = (1..).zip(table).filter(|(_, (_, reason))| reason.is_some());
    assert_eq!(first_bad, bad.clone().map(|(line, (_, reason))| (line, reason)).collect::<Vec<_>>());
    for (kept, (_, (line, _))) in report.first_bad.iter().zip(bad) {
        assert_eq!(kept.beginning, line[..line.len().min(120)]);
    }
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
    assert_eq!((report.lines, report.accepted, report.rejected.len(), report.is_cut), (2, 2, 0, true));
    let report = store.import("log", whole.as_bytes()).unwrap();
    assert_eq!((report.accepted, report.already_read, report.is_cut), (1, 2, false));
    let unterminated = lines(0, 4);
    let report = store.import("log", unterminated.trim_end().as_bytes()).unwrap();
    assert_eq!((report.accepted, report.already_read), (1, 3));
    let report = store.import("log", (unterminated.clone() + "\nbad\n").as_bytes()).unwrap();
    assert_eq!((report.accepted, report.already_read, report.lines), (0, 4, 2));
    assert_eq!((report.blank, report.first_bad[0].line), (1, 6), "{unterminated}");
    assert_eq!(views(&store), 4);
}

#[test]
fn a_last_line_that_is_too_long_counts_once_and_only_when_it_has_ended() {
    let store = store();
    let long = "x".repeat(MAX_LINE_BYTES + 7);
    for grown in [long.clone(), long.repeat(3)] {
        let report = store.import("log", (lines(0, 3) + &grown).as_bytes()).unwrap();
        assert_eq!((report.lines, report.is_cut), (3 - report.already_read, true));
        assert_eq!((report.rejected.len(), report.first_bad.len()), (0, 0));
    }
    let whole = lines(0, 3) + &long.repeat(3) + "\n" + &lines(3, 5);
    let report = store.import("log", whole.as_bytes()).unwrap();
    assert_eq!((report.already_read, report.lines, report.accepted), (3, 3, 2));
    assert_eq!(report.rejected, [("line_too_long", 1)].into());
    assert_eq!((report.first_bad[0].line, &*report.first_bad[0].beginning), (4, &long[..120]));
    assert_eq!((views(&store), store.reader().ledger().unwrap().refused["line_too_long"]), (5, 1));
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

/// Lets something happen before a byte is read that lies behind the first piece.
struct Halfway<'a, F: FnOnce()>(&'a [u8], usize, Option<F>);

impl<F: FnOnce()> Read for Halfway<'_, F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.0.len() < self.1
            && let Some(happens) = self.2.take()
        {
            happens();
        }
        self.0.read(into)
    }
}

#[test]
fn a_store_that_says_less_was_read_than_before_stops_no_import() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let open = || Store::builder(&path).definitions(definitions()).open().unwrap();
    let (store, text) = (open(), lines(0, 200_000));
    let overtake = || {
        open().import("log", text.as_bytes()).unwrap();
        let file = rusqlite::Connection::open(&path).unwrap();
        file.execute("UPDATE sources SET lines = 5", ()).unwrap();
    };
    let report = store.import("log", Halfway(text.as_bytes(), text.len() / 5, Some(overtake))).unwrap();
    // One piece or two, as far as it had come.
    assert_eq!((report.lines % 65_536, report.already_read), (0, 0));
    assert_eq!(views(&store), 200_000);
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

const SEED: u64 = 20_261_122;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 1).unwrap() % bound
    }
}

/// Gives the bytes, and does something when so many of them are given.
struct Until<'a, F: FnMut()> {
    text: &'a [u8],
    left: usize,
    then: Option<F>,
}

impl<F: FnMut()> Read for Until<'_, F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut length = into.len();
        if self.then.is_some() {
            length = length.min(self.left);
            self.left -= length;
        }
        if length == 0
            && let Some(mut then) = self.then.take()
        {
            then();
            length = into.len();
        }
        self.text.read(&mut into[..length])
    }
}

#[test]
fn an_import_that_is_stopped_anywhere_continues_there() {
    let mut random = Random(SEED);
    let text = lines(0, 150_000);
    for _ in 0..12 {
        let cut = random.below(text.len());
        let store = store();
        let stop = AtomicBool::new(false);
        let then = || stop.store(true, Ordering::Relaxed);
        let input = Until { text: text.as_bytes(), left: cut, then: Some(then) };
        let first = store.import_until("log", input, &stop).unwrap();
        assert!(first.stopped, "seed {SEED}, cut {cut}");
        let whole = text[..cut].bytes().filter(|byte| *byte == b'\n').count() as u64;
        assert!(whole.abs_diff(first.accepted) <= 1, "seed {SEED}, cut {cut}: {first:?} of {whole}");
        assert_eq!(views(&store), first.accepted);
        let second = store.import_until("log", text.as_bytes(), &AtomicBool::new(false)).unwrap();
        assert_eq!((second.already_read, second.stopped), (first.accepted, false));
        assert_eq!(first.accepted + second.accepted, 150_000, "seed {SEED}, cut {cut}");
        assert_eq!(views(&store), 150_000);
    }
}

#[test]
fn an_import_that_is_overtaken_anywhere_goes_on_behind_the_other() {
    let mut random = Random(SEED);
    let text = lines(0, 150_000);
    let mut followed = 0;
    for _ in 0..24 {
        let (at, cut) = (random.below(text.len() / 2), random.below(text.len()));
        let store = store();
        let mut other = 0;
        let then = || other = store.import("log", &text.as_bytes()[..cut]).unwrap().accepted;
        let outcome = store.import("log", Until { text: text.as_bytes(), left: at, then: Some(then) });
        match outcome {
            Ok(report) => {
                followed += 1;
                assert_eq!(report.accepted + other, 150_000, "seed {SEED}, at {at}, cut {cut}");
                assert_eq!((report.already_read, report.rejected.len()), (other, 0));
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::StoreBusy, "seed {SEED}, at {at}, cut {cut}: {error}");
                store.import("log", text.as_bytes()).unwrap();
            }
        }
        assert_eq!(views(&store), 150_000, "seed {SEED}, at {at}, cut {cut}");
        assert_eq!(store.reader().ledger().unwrap().stored, 150_000);
    }
    assert!(followed > 5, "the two never met");
}

/// What a line is, by its JSON alone.
fn judged(line: &str) -> Result<serde_json::Value, &'static str> {
    let Ok(value @ serde_json::Value::Object(_)) = serde_json::from_str::<serde_json::Value>(line) else {
        return Err(if line.len() > MAX_LINE_BYTES { "line_too_long" } else { "not_json" });
    };
    let object = value.as_object().unwrap();
    let is_id = |key: &str| object.get(key).is_none_or(|id| id.is_string() || id.is_u64() || id.is_i64());
    let known = ["event", "time", "user", "device", "label", "value", "additional_properties"];
    let custom = object.get("additional_properties").and_then(|custom| custom.as_object());
    if line.matches("\"user\":").count() > 1 {
        return Err("duplicate_key");
    }
    let time = object.get("time").map(|time| time.as_str().unwrap_or_default());
    match object.get("event").and_then(|event| event.as_str()) {
        None => return Err("no_event"),
        Some("gone") => return Err("removed_event"),
        Some("viewed") => {}
        Some(_) => return Err("unknown_event"),
    }
    if object.get("label").is_some_and(|label| !label.is_string()) {
        return Err("wrong_type");
    }
    if object.len() > 64 {
        return Err("too_many");
    }
    if time.is_some_and(|time| time.len() != 20 || !time.ends_with('Z')) {
        return Err("bad_time");
    }
    if time.is_some_and(|time| time > "2026-11-22T10:05:00Z") {
        return Err("too_future");
    }
    if !is_id("user") || !is_id("device") {
        return Err("bad_id");
    }
    if object.keys().any(|key| !known.contains(&&**key)) {
        return Err("undeclared_identifier");
    }
    if custom.is_some_and(|custom| custom.keys().any(|key| !["platform", "label"].contains(&&**key))) {
        return Err("undeclared_property");
    }
    if object.get("label").and_then(|label| label.as_str()).is_some_and(|label| label.len() > 256) {
        return Err("too_long");
    }
    Ok(value)
}

fn random_line(random: &mut Random) -> String {
    let user = random.below(5_000);
    let time = format!(
        "2020-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        random.below(12) + 1,
        random.below(28) + 1,
        random.below(24),
        random.below(60),
        random.below(60)
    );
    let good = format!("{{\"event\":\"viewed\",\"time\":\"{time}\",\"user\":{user}");
    let value = random.below(1_000);
    let label = ["web", "a\\u0070i", "cl\\ti", "ü"][random.below(4)];
    if random.below(20) > 0 {
        return match random.below(4) {
            0 => format!("{good}}}"),
            1 => format!("{good},\"label\":\"{label}\",\"value\":{value}}}"),
            2 => format!(
                "  {good},\"device\":\"d{value}\",\"additional_properties\":{{\"platform\":\"{label}\"}}}}\r"
            ),
            _ => format!(
                "{{\"value\":{value}.0,\"additional_properties\":{{\"label\":\"{label}\"}},\"event\":\"viewed\",\"time\":\"{time}\"}}"
            ),
        };
    }
    match random.below(15) {
        0 => good,
        1 => "[]".to_owned(),
        2 => "{\"user\":1}".to_owned(),
        3 => format!("{{\"event\":\"veiwed\",\"user\":{user}}}"),
        4 => "{\"event\":\"gone\"}".to_owned(),
        5 => format!("{good},\"user\":{user}}}"),
        6 => format!("{good},\"label\":{value}}}"),
        7 => "{\"event\":\"viewed\",\"time\":\"2020-02-30\"}".to_owned(),
        8 => "{\"event\":\"viewed\",\"time\":\"2026-11-22T10:05:01Z\"}".to_owned(),
        9 => "{\"event\":\"viewed\",\"user\":4.0}".to_owned(),
        10 => format!("{good},\"usr\":{user}}}"),
        11 => format!("{good},\"additional_properties\":{{\"platfrom\":{user}}}}}"),
        12 => format!("{good},\"label\":\"{}\"}}", "x".repeat(257 + value)),
        13 => format!("{good}{}}}", (0..70).map(|n| format!(",\"k{n}\":{n}")).collect::<String>()),
        _ if random.below(100) == 0 => "x".repeat(MAX_LINE_BYTES + 1 + value),
        _ => String::new(),
    }
}

#[test]
fn what_is_counted_is_what_the_json_of_each_line_says() {
    let mut random = Random(SEED);
    let log: Vec<String> = (0..200_000).map(|_| random_line(&mut random)).collect();
    let mut rejected = BTreeMap::<&str, u64>::new();
    let mut first_bad = Vec::new();
    let (mut blank, mut sum, mut users) = (0, 0.0, std::collections::BTreeSet::new());
    let mut labels = BTreeMap::<String, u64>::new();
    let mut months = BTreeMap::<String, u64>::new();
    for (number, line) in (1_u64..).zip(&log) {
        if line.is_empty() {
            blank += 1;
            continue;
        }
        match judged(line.trim()) {
            Ok(event) => {
                let property = |key: &str| event.get(key).or_else(|| event["additional_properties"].get(key));
                sum += property("value").map_or(0.0, |value| value.as_f64().unwrap());
                if let Some(label) = property("label") {
                    *labels.entry(label.as_str().unwrap().to_owned()).or_default() += 1;
                }
                users.extend(event.get("user").map(ToString::to_string));
                *months.entry(event["time"].as_str().unwrap()[..7].to_owned()).or_default() += 1;
            }
            Err(reason) => {
                let count = rejected.entry(reason).or_default();
                *count += 1;
                if *count <= 3 {
                    first_bad.push((number, reason));
                }
            }
        }
    }
    assert_eq!(rejected.len(), 14, "every reason occurs, seed {SEED}: {rejected:?}");

    let clock = ManualClock::new(Timestamp::parse("2026-11-22T10:00:00Z").unwrap());
    let store = Store::builder_in_memory()
        .definitions(definitions())
        .clock(clock)
        .mode(Mode::Inline)
        .record(Rule::sum("viewed"))
        .record(Rule::unique("viewed", "user"))
        .record(Rule::per_value("viewed", "label"))
        .open()
        .unwrap();
    let text: String = log.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    let report = store.import("log", text.as_bytes()).unwrap();
    let found: Vec<_> = report.first_bad.iter().map(|bad| (bad.line, bad.reason)).collect();
    assert_eq!((report.rejected, found, report.blank), (rejected, first_bad, blank), "seed {SEED}");
    let total: u64 = months.values().sum();
    assert_eq!((report.lines, report.accepted, views(&store)), (200_000, total, total));
    let value = |query: &Query| store.value(query).unwrap().value;
    assert_eq!(value(&Query::sum("viewed")), headcount::Value::Sum { sum, saturated: false });
    assert_eq!(value(&Query::per_value("viewed", "label")).per_value(), Some(&labels));
    let unique = store.value(&Query::unique("viewed", "user")).unwrap();
    let error = (unique.count().unwrap() as f64 - users.len() as f64).abs();
    assert!(error <= 5.0 * unique.standard_error.max(1.0), "{unique:?} for {}", users.len());
    for (month, (first, count)) in months.iter().enumerate() {
        let from = Timestamp::parse(&format!("{first}-01")).unwrap();
        let to = Timestamp::parse(&format!("2020-{:02}-29", month + 1)).unwrap();
        let query = Query::total("viewed").range(TimeRange::new(from, to).unwrap());
        assert_eq!(store.value(&query).unwrap().count(), Some(*count), "{first}");
    }
}
