//! Bundles: what is carried out by hand arrives byte for byte, or fails verification.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test stops where it is wrong, and says what it has seen"
)]

mod common;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use headcount::{
    Asked, Bundle, DataSource, Definitions, Error, ErrorKind, EventDefinition, IsoWeek, ManualClock,
    MetricDefinition, PingWeeks, Rule, Sources, Store, TimeFrame, Timestamp, ValueType,
};
use rusqlite::Connection;
use serde_json::Value;

use common::Chance;

const NOW: &str = "2026-11-23T08:00:00Z";
const WEEK_SECONDS: i64 = 7 * 86_400;
/// Random flips in a large bundle.
const FLIPS: usize = 200;

struct Place {
    folder: tempfile::TempDir,
    store: Store,
}

/// A store with the pings of so many weeks, the last that of [`NOW`], each with so many metrics besides.
fn place(weeks: i64, metrics: usize) -> Place {
    let total = MetricDefinition::new("counts.opened", TimeFrame::All).rule(Rule::count("opened"));
    let mut definitions =
        Definitions::new().event(EventDefinition::new("opened")).unwrap().metric(total).unwrap();
    let mut sources = Sources::new();
    for number in 0..metrics {
        let key_path = format!("settings.part_{}.text_{number}", number % 7);
        let metric = MetricDefinition::new(&key_path, TimeFrame::None).source(DataSource::System);
        definitions = definitions.metric(metric.value(ValueType::String)).unwrap();
        sources =
            sources.key_path(&key_path, move |_: &Asked| Ok(format!("\u{fc} \"{number}\" \\ \n").into()));
    }
    let folder = tempfile::tempdir().unwrap();
    let now = Timestamp::parse(NOW).unwrap();
    let clock = ManualClock::new(now.plus_seconds(-(weeks - 1) * WEEK_SECONDS));
    let store = Store::builder(folder.path().join("usage.db")).definitions(definitions).clock(clock.clone());
    let store = store.open().unwrap();
    let ping = store.ping().sources(sources).fact("ratio", 0.1_f64 + 0.2).fact("tiny", -5e-324_f64);
    for week in 0..weeks {
        clock.set(now.plus_seconds((week + 1 - weeks) * WEEK_SECONDS));
        ping.generate().unwrap();
    }
    Place { folder, store }
}

impl Place {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn export(&self, weeks: &PingWeeks, name: &str) -> Result<Bundle, Error> {
        self.store.ping().export(weeks, self.path(name))
    }

    fn exported(&self) -> Vec<u8> {
        self.export(&PingWeeks::Unsent, "exported.json").unwrap();
        fs::read(self.path("exported.json")).unwrap()
    }

    fn change(&self, sql: &str) {
        let changed = Connection::open(self.path("usage.db")).unwrap().execute(sql, []).unwrap();
        assert!(changed > 0);
    }

    /// What is in the folder besides the store.
    fn files(&self) -> Vec<String> {
        let names = fs::read_dir(self.folder.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.starts_with("usage.db")).collect()
    }
}

fn sha256(bytes: &[u8]) -> String {
    let mut sum = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    sum.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = sum.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

fn refused(bytes: &[u8]) -> String {
    let error = Bundle::parse(bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Bundle);
    error.to_string()
}

fn week(text: &str) -> IsoWeek {
    IsoWeek::parse(text).unwrap()
}

#[test]
fn every_kept_document_arrives_byte_for_byte() {
    let place = place(3, 40);
    let kept = place.store.ping().history().unwrap();
    let exported = place.export(&PingWeeks::Unsent, "pings.json").unwrap();
    let bundle = Bundle::read(place.path("pings.json")).unwrap();
    assert_eq!(bundle, exported);
    assert_eq!(bundle.pings.len(), 3);
    assert_eq!(bundle.uuid, place.store.ping().uuid().unwrap());
    assert_eq!(bundle.made_at.to_string(), NOW);
    for (arrived, kept) in bundle.pings.iter().zip(&kept) {
        assert_eq!(
            (arrived.week, &arrived.document, arrived.digest),
            (kept.week, &kept.document, kept.digest)
        );
        assert_eq!(arrived.metrics().unwrap(), kept.metrics().unwrap());
    }
    let definitions = bundle.definitions().unwrap();
    assert!(definitions.find_event("opened").is_some());
    assert_eq!(definitions.metrics().count(), 41);
    // Nobody here knows whether it arrives.
    assert_eq!(place.store.ping().history().unwrap(), kept);
    assert_eq!(place.files(), ["pings.json"]);
    let mode = fs::metadata(place.path("pings.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// With a reader of JSON and `sha256sum`, which know nothing of bundles.
#[test]
fn others_can_take_the_documents_out_and_check_the_digests() {
    let place = place(2, 30);
    let bytes = place.exported();
    let json: Value = serde_json::from_slice(&bytes).unwrap();
    let form = |part: &Value| serde_json::to_string_pretty(part).unwrap() + "\n";
    let mut parts = Vec::new();
    for (ping, kept) in json["pings"].as_array().unwrap().iter().zip(place.store.ping().history().unwrap()) {
        assert_eq!(form(&ping["document"]), kept.document);
        parts.push((format!("{} document", kept.week), form(&ping["document"])));
        parts.push((format!("{} beside", kept.week), form(&ping["beside"])));
    }
    parts.push(("definitions".to_owned(), form(&json["definitions"])));
    let claims = json["manifest"]["parts"].as_array().unwrap();
    assert_eq!(claims.len(), parts.len());
    for ((name, part), claim) in parts.iter().zip(claims) {
        assert_eq!(claim["part"], *name);
        assert_eq!(claim["bytes"], part.len());
        assert_eq!(claim["sha256"], sha256(part.as_bytes()));
    }
    let text = String::from_utf8(bytes).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let before = lines[..lines.len() - 3].concat();
    assert_eq!(json["manifest"]["sha256"], sha256(before.as_bytes()));
}

#[test]
fn any_flipped_bit_of_a_small_bundle_fails_verification() {
    let mut bytes = place(1, 0).exported();
    assert!(Bundle::parse(&bytes).is_ok());
    let bits = bytes.len() * 8;
    for bit in 0..bits {
        bytes[bit / 8] ^= 1 << (bit % 8);
        refused(&bytes);
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(Bundle::parse(&bytes).is_ok());
    println!("{bits} bits");
}

#[test]
fn random_flipped_bits_of_a_large_bundle_fail_verification() {
    let mut bytes = place(6, 400).exported();
    assert!(Bundle::parse(&bytes).is_ok());
    let mut chance = Chance::new(20_261_123);
    for _ in 0..FLIPS {
        let at = usize::try_from(chance.below(bytes.len() as u64)).unwrap();
        let bit = 1 << chance.below(8);
        bytes[at] ^= bit;
        refused(&bytes);
        bytes[at] ^= bit;
    }
    println!("{FLIPS} of {} bits", bytes.len() * 8);
}

#[test]
fn a_bundle_that_is_cut_off_or_goes_on_fails_verification() {
    let bytes = place(1, 0).exported();
    for length in 0..bytes.len() {
        refused(&bytes[..length]);
    }
    for tail in ["\n", " ", "{}", "\0", "}\n"] {
        refused(&[&bytes, tail.as_bytes()].concat());
    }
    refused(&[&bytes[..], &bytes[..]].concat());
    refused(&[b"\xef\xbb\xbf", &bytes[..]].concat());
}

/// The digest of the whole made anew, as somebody would who edits a bundle.
fn signed(text: &str) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let before = lines[..lines.len() - 3].concat();
    format!("{before}    \"sha256\": \"{}\"\n  }}\n}}\n", sha256(before.as_bytes()))
}

#[test]
fn what_is_written_in_another_way_is_no_bundle_even_with_right_digests() {
    let place = place(2, 1);
    let text = String::from_utf8(place.exported()).unwrap();
    assert!(Bundle::parse(signed(&text).as_bytes()).is_ok());
    let again = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        refused(signed(&text.replacen(from, to, 1)).as_bytes())
    };
    again("  \"uuid\"", "  \"more\": 1,\n  \"uuid\"");
    again("2026-11-23T08:00:00Z", "2026-11-23T08:00:00+00:00");
    again("    }\n  ],\n", "    },\n  ],\n");
    again("      },\n      \"beside\"", "      }\n      \"beside\"");
    again("\n  \"definitions\": {", "\n  \"definitions\":  {");
    again("    \"parts\": [", "    \"parts\":[");
    assert!(again("\"version\": 1,", "\"version\": 2,").contains("newer"));
    assert!(again("\"part\": \"2026-W47 beside\"", "\"part\": \"2026-W47 extra\"").contains("manifest"));
    assert!(again("\"week\": \"2026-W47\"", "\"week\": \"2026-W48\"").contains("order of weeks"));
    let changed = again("  \"ratio\": 0.30000000000000004", "  \"ratio\": 0.30000000000000005");
    assert!(changed.contains("2026-W47 document"), "{changed}");
    // A key twice, with every digest right.
    let kept = &place.store.ping().history().unwrap()[0].document;
    let twice = kept.replacen("  \"ratio\": ", "  \"ratio\": 1.0,\n  \"ratio\": ", 1);
    let text = text
        .replacen("        \"ratio\": ", "        \"ratio\": 1.0,\n        \"ratio\": ", 1)
        .replacen(&sha256(kept.as_bytes()), &sha256(twice.as_bytes()), 1)
        .replacen(&format!("\"bytes\": {},", kept.len()), &format!("\"bytes\": {},", twice.len()), 1);
    let refusal = refused(signed(&text).as_bytes());
    assert!(refusal.contains("2026-W47 document: it is not in the form"), "{refusal}");
}

#[test]
fn errors_name_the_file_and_the_part() {
    let place = place(2, 0);
    let mut bytes = place.exported();
    let text = String::from_utf8(bytes.clone()).unwrap();
    let at = text.rfind("\"opened\": 0").unwrap() + "\"opened\": ".len();
    bytes[at] = b'1';
    let path = place.path("damaged.json");
    fs::write(&path, &bytes).unwrap();
    let refusal = Bundle::read(&path).unwrap_err().to_string();
    for part in ["damaged.json", "2026-W48 document", "SHA-256", "copy it again"] {
        assert!(refusal.contains(part), "{refusal}");
    }
    let missing = Bundle::read(place.path("missing.json")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Io);
    assert!(missing.to_string().contains("missing.json"));
    let folder = Bundle::read(place.folder.path()).unwrap_err();
    assert_eq!(folder.kind(), ErrorKind::Io);
}

#[test]
fn what_is_too_large_or_too_deep_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.json");
    fs::File::create(&path).unwrap().set_len(headcount::MAX_BUNDLE_BYTES + 1).unwrap();
    let refusal = Bundle::read(&path).unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::Bundle);
    assert!(refusal.to_string().contains("larger than"));
    let place = place(1, 0);
    let text = String::from_utf8(place.exported()).unwrap();
    let deep = |line_breaks: &str| {
        let deep = format!("{}1{}", format!("{{{line_breaks}\"a\": ").repeat(100_000), "}".repeat(100_000));
        text.replacen("\"ratio\": ", &format!("\"deep\": {deep},\n        \"ratio\": "), 1)
    };
    refused(deep("").as_bytes());
    refused(deep("\n        ").as_bytes());
    assert!(refused(text.replacen("\"ratio\"", &" ".repeat(200), 1).as_bytes()).contains("deeper"));
}

#[test]
fn the_weeks_that_were_not_sent_are_carried_out_unless_others_are_named() {
    let place = place(4, 1);
    place.change("UPDATE pings SET outcome = 'sent' WHERE week = (SELECT min(week) FROM pings)");
    let weeks = |bundle: Bundle| bundle.pings.iter().map(|ping| ping.week.to_string()).collect::<Vec<_>>();
    let unsent = place.export(&PingWeeks::Unsent, "unsent.json").unwrap();
    assert_eq!(weeks(unsent), ["2026-W46", "2026-W47", "2026-W48"]);
    let these = PingWeeks::These(vec![week("2026-W47"), week("2026-W45")]);
    assert_eq!(weeks(place.export(&these, "these.json").unwrap()), ["2026-W45", "2026-W47"]);
    let missing = PingWeeks::These(vec![week("2026-W47"), week("2026-W30")]);
    let refusal = place.export(&missing, "missing.json").unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::NotKept);
    assert!(refusal.to_string().contains("2026-W30") && refusal.to_string().contains("2026-W45"));
    place.change("UPDATE pings SET outcome = 'sent'");
    assert_eq!(place.export(&PingWeeks::Unsent, "none.json").unwrap_err().kind(), ErrorKind::NotKept);
    let mut files = place.files();
    files.sort();
    assert_eq!(files, ["these.json", "unsent.json"]);
}

#[test]
fn an_export_overwrites_nothing_and_leaves_nothing_behind_when_it_fails() {
    let place = place(1, 1);
    let beside = |name: &str| place.export(&PingWeeks::Unsent, name).unwrap_err();
    fs::write(place.path("mine.json"), "mine").unwrap();
    std::os::unix::fs::symlink("nowhere", place.path("link.json")).unwrap();
    for name in ["mine.json", "link.json", "."] {
        assert_eq!(beside(name).kind(), ErrorKind::Usage, "{name}");
    }
    assert_eq!(beside("no-folder/pings.json").kind(), ErrorKind::Io);
    assert_eq!(fs::read(place.path("mine.json")).unwrap(), b"mine");
    place.change("UPDATE pings SET document = replace(document, '\"opened\": 0', '\"opened\": 1')");
    let damaged = beside("pings.json");
    assert_eq!(damaged.kind(), ErrorKind::StoreDamaged);
    assert!(damaged.to_string().contains("2026-W48"), "{damaged}");
    let mut files = place.files();
    files.sort();
    assert_eq!(files, ["link.json", "mine.json"]);
    assert!(!Path::new("nowhere").exists());
}

/// What a source says may be about the machine.
#[test]
fn what_sources_said_is_carried_out_only_if_somebody_asks_for_it() {
    const SAID: &str = "no route to db.internal, see /etc/acme/db.conf";
    let metric = MetricDefinition::new("counts.rows", TimeFrame::None).source(DataSource::Database);
    let unknown = MetricDefinition::new("counts.unknown", TimeFrame::None).source(DataSource::License);
    let definitions = Definitions::new().event(EventDefinition::new("opened")).unwrap();
    let definitions = definitions.metric(metric).unwrap().metric(unknown).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::builder(folder.path().join("usage.db")).definitions(definitions).open().unwrap();
    let sources =
        Sources::new().key_path("counts.rows", |_: &Asked| Err(headcount::SourceError::failed(SAID)));
    let ping = store.ping().sources(sources);
    let kept = ping.generate().unwrap();
    let (plain, telling) = (folder.path().join("plain.json"), folder.path().join("telling.json"));
    let bundle = ping.export(&PingWeeks::Unsent, &plain).unwrap();
    assert!(!fs::read_to_string(&plain).unwrap().contains("db.internal"));
    assert_eq!(Bundle::read(&plain).unwrap(), bundle);
    assert_eq!(bundle.pings[0].document, kept.document);
    let silent = |mut metric: headcount::MetricReport| {
        metric.message.clear();
        metric
    };
    // All but the words is as it was.
    let expected: Vec<_> = kept.metrics().unwrap().into_iter().map(silent).collect();
    assert_eq!(bundle.pings[0].metrics().unwrap(), expected);
    assert!(expected.iter().any(|metric| !metric.reason.is_empty()));
    let bundle = ping.export_with_messages(&PingWeeks::Unsent, &telling).unwrap();
    assert_eq!(bundle.pings[0].metrics().unwrap(), kept.metrics().unwrap());
    assert!(fs::read_to_string(&telling).unwrap().contains(SAID));
}

#[test]
fn what_was_carried_out_is_not_carried_out_again_unless_it_is_named() {
    let place = place(3, 1);
    let ping = place.store.ping();
    place.change("UPDATE pings SET outcome = 'sent' WHERE week = (SELECT min(week) FROM pings)");
    ping.mark_carried(&[week("2026-W46"), week("2026-W47")]).unwrap();
    let outcomes: Vec<_> = ping.weeks().unwrap().iter().map(|kept| kept.delivery.outcome.as_str()).collect();
    assert_eq!(outcomes, ["sent", "carried", "kept"]);
    let weeks = |bundle: Bundle| bundle.pings.iter().map(|ping| ping.week.to_string()).collect::<Vec<_>>();
    assert_eq!(weeks(place.export(&PingWeeks::Unsent, "new.json").unwrap()), ["2026-W48"]);
    let named = PingWeeks::These(vec![week("2026-W47")]);
    assert_eq!(weeks(place.export(&named, "lost.json").unwrap()), ["2026-W47"]);
    let unknown = ping.mark_carried(&[week("2026-W48"), week("2026-W30")]).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotKept);
    assert_eq!(ping.weeks().unwrap()[2].delivery.outcome.as_str(), "kept");
    ping.forget(week("2026-W46")).unwrap();
    let forgotten = PingWeeks::These(vec![week("2026-W46")]);
    assert_eq!(place.export(&forgotten, "none.json").unwrap_err().kind(), ErrorKind::NotKept);
}
