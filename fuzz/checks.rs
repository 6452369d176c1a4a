//! What holds for every input, whoever made it: each function takes any bytes and panics where the crate breaks its word.
//!
//! The fuzz targets and the replay in `tests/replay.rs` share these checks.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use headcount::{
    Bundle, Definitions, Depth, ErrorKind, Event, EventDefinition, ManualClock, MetricDefinition, Mode,
    Query, Reader, Rule, Sketch, SketchKind, Store, TimeFrame, Timestamp, Unit, Upkeep, Value,
};

use sha2::{Digest, Sha256};

/// Sunday, 2026-11-22, 10:00 UTC.
const NOW_UNIX_SECONDS: i64 = 1_795_341_600;
/// A line of its own between the files of one input.
const NEXT_FILE: &str = "\n=====\n";
/// The checksum at the end of an encoded sketch.
const CHECKSUM_BYTES: usize = 4;

/// Definitions either load free of contradictions, so that a store opens with them, or every problem has its place.
pub(crate) fn definitions(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let files: Vec<(String, &str)> =
        text.split(NEXT_FILE).enumerate().map(|(number, text)| (format!("{number}.yml"), text)).collect();
    let named: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    let loaded = match Definitions::embedded(&named) {
        Ok(loaded) => loaded,
        Err(error) => {
            assert!(!error.problems().is_empty(), "refused without a problem: {error}");
            for problem in error.problems() {
                assert_in_text(&named, problem);
            }
            return;
        }
    };
    for problem in loaded.warnings() {
        assert_in_text(&named, problem);
    }
    let key_paths: Vec<&str> = loaded.metrics().map(MetricDefinition::key_path).collect();
    assert!(key_paths.is_sorted_by(|a, b| a < b), "key paths are not unique: {key_paths:?}");
    let names: Vec<&str> = loaded.events().map(EventDefinition::action).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "events are not unique: {names:?}");
    assert_eq!(Definitions::embedded(&named).unwrap(), loaded, "loading twice differs");
    let store = in_memory(loaded.clone());
    for key_path in key_paths {
        // A metric may be without a value, for a reason; it is known in any case.
        store.metric(key_path).unwrap();
    }
}

fn assert_in_text(files: &[(&str, &str)], problem: &headcount::Problem) {
    let (_, text) = files.iter().find(|(name, _)| *name == problem.file).expect("a problem names a file");
    // A parser may find the end of the text wanting, on the line behind the last; a file as a whole has no line.
    let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count() + 1;
    let line = usize::try_from(problem.line).unwrap();
    assert!(line <= lines, "{problem} lies outside of {lines} lines");
    assert_eq!(line == 0, problem.column == 0, "{problem} has half a place");
    assert!(!problem.message.is_empty());
}

/// Nothing but what `encode` returns decodes, and what decodes behaves as a set.
///
/// The checksum keeps random bytes out, so the same bytes are checked once more with a checksum that fits.
pub(crate) fn sketch_blob(input: &[u8]) {
    check_blob(input);
    if let Some(body) = input.len().checked_sub(CHECKSUM_BYTES).and_then(|length| input.get(..length)) {
        let mut sealed = body.to_vec();
        sealed.extend_from_slice(&crc32c::crc32c(body).to_le_bytes());
        check_blob(&sealed);
    }
}

fn check_blob(blob: &[u8]) {
    let mut other = Sketch::new();
    other.add(b"ada");
    other.add(b"grace");
    let before = other.clone();
    let Ok(sketch) = Sketch::decode(blob) else {
        assert!(other.unite_blob(blob).is_err(), "uniting takes what decoding refuses");
        assert_eq!(other, before, "a refused blob left traces");
        return;
    };
    assert_eq!(sketch.encode(), blob, "an accepted blob is not the encoding of its sketch");
    check_sketch(&sketch);
    let mut united = before.clone();
    let changed = united.unite(&sketch);
    assert_eq!(other.unite_blob(blob).unwrap(), changed, "`unite` and `unite_blob` differ");
    assert_eq!(other, united, "`unite` and `unite_blob` differ");
    let mut turned = sketch;
    turned.unite(&before);
    assert_eq!(turned, united, "the order of uniting leaves a trace");
}

/// A Redis string is refused, or its registers survive every form.
pub(crate) fn hyll(input: &[u8]) {
    let Ok(sketch) = Sketch::from_redis(input) else { return };
    assert_eq!(sketch.kind(), SketchKind::Registers);
    check_sketch(&sketch);
    assert_eq!(Sketch::from_redis(&sketch.to_redis()).unwrap(), sketch, "the dense form differs");
    if let Some(sparse) = sketch.to_redis_sparse() {
        assert_eq!(Sketch::from_redis(&sparse).unwrap(), sketch, "the sparse form differs");
    }
    assert_eq!(Sketch::decode(&sketch.encode()).unwrap(), sketch, "the encoding differs");
}

fn check_sketch(sketch: &Sketch) {
    let estimate = sketch.estimate();
    assert!(estimate.value.is_finite() && estimate.value >= 0.0, "{estimate:?}");
    assert!(estimate.standard_error.is_finite() && estimate.standard_error >= 0.0, "{estimate:?}");
    assert_eq!(estimate.rounded() == 0, sketch.is_empty(), "{estimate:?}");
    let mut twice = sketch.clone();
    assert!(!twice.unite(sketch), "a set united with itself changed");
    assert_eq!(twice, *sketch);
}

/// Whatever the lines say, each is accepted or rejected, the store holds exactly the accepted ones, and neither repeating the
/// import nor interrupting it changes what is counted.
pub(crate) fn ndjson(input: &[u8]) {
    let store = in_memory(DEFINITIONS.clone());
    let report = store.import("source", input).unwrap();
    let rejected = report.rejected.clone();
    // A last line that may be half written is left for the next import; it is not a line yet.
    let waits = u64::from(report.is_cut);
    assert_eq!(report.accepted + rejected.values().sum::<u64>() + report.blank, report.lines, "{report:?}");
    let written: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
    let blank = written.iter().filter(|line| line.trim_ascii().is_empty()).count();
    assert_eq!(report.lines + waits, u64::try_from(written.len()).unwrap(), "{report:?}");
    assert_eq!(report.blank, u64::try_from(blank).unwrap(), "{report:?}");

    let ledger = store.reader().ledger().unwrap();
    assert_eq!(ledger.stored, report.accepted);
    let refused: BTreeMap<String, u64> =
        rejected.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect();
    assert_eq!(ledger.refused, refused);
    assert!(ledger.lost.is_empty());
    let totals = EVENTS.iter().map(|name| count(&store, &Query::total(*name))).sum::<u64>();
    assert_eq!(totals, report.accepted, "the totals are not the accepted lines");
    assert!(count(&store, &Query::unique("viewed", "user")) <= count(&store, &Query::total("viewed")));

    let again = store.import("source", input).unwrap();
    assert_eq!((again.lines, again.already_read), (0, report.lines), "importing again read on");
    assert_eq!(again.accepted, 0);

    let interrupted = in_memory(DEFINITIONS.clone());
    let half = input.iter().take(input.len() / 2).rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let first = interrupted.import("source", &input[..half]).unwrap();
    let second = interrupted.import("source", input).unwrap();
    assert_eq!(first.accepted + second.accepted, report.accepted);
    assert_eq!(second.already_read, first.lines);
    for query in QUERIES.iter() {
        assert_eq!(
            value(&interrupted, query),
            value(&store, query),
            "{query:?} differs after an interruption"
        );
    }
}

/// Nothing but what an export writes is a bundle: what is taken has no bit that could be another one.
///
/// The digests keep changed bytes out, so the same content is checked once more under digests that fit.
pub(crate) fn bundle(input: &[u8]) {
    check_bundle(input);
    if let Some(sealed) = std::str::from_utf8(input).ok().and_then(sealed) {
        if Bundle::parse(input).is_ok() {
            assert_eq!(sealed.as_bytes(), input, "a whole bundle has other digests than those of its parts");
        }
        check_bundle(sealed.as_bytes());
    }
}

fn check_bundle(input: &[u8]) {
    let bundle = match Bundle::parse(input) {
        Ok(bundle) => bundle,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Bundle, "{error}");
            return;
        }
    };
    assert_eq!(bundle.bytes, input.len() as u64);
    assert!(!bundle.pings.is_empty() && bundle.pings.is_sorted_by(|a, b| a.week < b.week), "weeks");
    assert_eq!(Bundle::parse(input).unwrap(), bundle, "reading twice differs");
    for ping in &bundle.pings {
        assert!(ping.document.starts_with('{') && ping.document.ends_with("}\n"), "{}", ping.document);
        assert_eq!(ping.digest.to_string(), sha256(&ping.document));
        // Of another shape they may be, with an error.
        let _ = ping.metrics();
    }
    let _ = bundle.definitions();
    let mut flipped = input.to_vec();
    let sum = input.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let at = sum % flipped.len();
    flipped[at] ^= 1 << (sum / flipped.len() % 8);
    assert!(Bundle::parse(&flipped).is_err(), "a bit of byte {at} may be flipped");
}

fn sha256(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The lines before the manifest, under a manifest that fits them.
fn sealed(text: &str) -> Option<String> {
    let head = &text[..text.find("  \"manifest\": {\n")?];
    let (mut week, mut parts) = (String::new(), Vec::new());
    let mut lines = head.lines();
    while let Some(line) = lines.next() {
        if let Some(named) = line.strip_prefix("      \"week\": \"") {
            named.trim_end_matches("\",").clone_into(&mut week);
        }
        let begins =
            |begin: &str| line.strip_prefix(begin).map(|rest| (rest, begin.len() - begin.trim_start().len()));
        let (name, (rest, indent)) = if let Some(document) = begins("      \"document\": ") {
            (format!("{week} document"), document)
        } else if let Some(beside) = begins("      \"beside\": ") {
            (format!("{week} beside"), beside)
        } else if let Some(definitions) = begins("  \"definitions\": ") {
            ("definitions".to_owned(), definitions)
        } else {
            continue;
        };
        let mut part = rest.trim_end_matches(',').to_owned();
        let end = " ".repeat(indent) + "}";
        // An empty one ends where it begins.
        let mut is_done = rest != "{";
        while !is_done {
            let line = lines.next()?;
            is_done = line.trim_end_matches(',') == end;
            part.push('\n');
            part.push_str(if is_done { "}" } else { line.get(indent..)? });
        }
        parts.push((name, part + "\n"));
    }
    let claims = parts.iter().map(|(name, part)| {
        let (bytes, digest) = (part.len(), sha256(part));
        format!("      {{\n        \"part\": \"{name}\",\n        \"bytes\": {bytes},\n        \"sha256\": \"{digest}\"\n      }}")
    });
    let claims = claims.collect::<Vec<_>>().join(",\n");
    let whole = format!("{head}  \"manifest\": {{\n    \"parts\": [\n{claims}\n    ],\n");
    Some(format!("{whole}    \"sha256\": \"{}\"\n  }}\n}}\n", sha256(&whole)))
}

/// What a store to be damaged has: so many events, one every two hours.
const LINES: i64 = 240;
const LINE_SECONDS: i64 = 7_200;
/// Pages of a store, which a patch of a store's bytes is about.
const PAGE_BYTES: usize = 4_096;
/// What one patch takes of the input: which change, which page, where in it, and a number.
const PATCH_BYTES: usize = 8;
/// So many changes of one store.
const MAX_PATCHES: usize = 64;

/// A store whose pages were patched, exchanged, repeated and cut as the input says answers, is checked, written and salvaged with
/// results or typed errors, and nothing of the damaged file is written by salvaging.
pub(crate) fn store_file(input: &[u8]) {
    let folder = scratch();
    let (path, new) = (folder.path().join("usage.db"), folder.path().join("new.db"));
    let bytes = patched(&SEED_STORE, input);
    std::fs::write(&path, &bytes).unwrap();
    if let Ok(salvaged) = Upkeep::salvage(&path, &new) {
        assert!(salvaged.check.is_sound() || !salvaged.losses.is_empty(), "{:?}", salvaged.check.findings);
        question(&Reader::open(&new).unwrap());
    }
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "salvaging wrote to the damaged store");
    if let Ok(reader) = Reader::open(&path) {
        question(&reader);
        let _ = reader.check(Depth::Deep);
        let _ = reader.backup(folder.path().join("copy.db"));
    }
    let clock = ManualClock::new(Timestamp::from_unix_seconds(NOW_UNIX_SECONDS));
    if let Ok(store) = Store::builder(&path).clock(clock).mode(Mode::Inline).open() {
        store.tracker().track(Event::new("viewed").user(1).label("web"));
        let _ = store.flush();
        let _ = store.close();
    }
}

fn question(reader: &Reader) {
    let reader = reader.clone().with_clock(ManualClock::new(Timestamp::from_unix_seconds(NOW_UNIX_SECONDS)));
    for query in QUERIES.iter().chain([&Query::sum("ordered")]) {
        for answer in [reader.value(query), reader.value(&query.clone().last_days(28))] {
            if let Err(error) = answer {
                assert!(!matches!(error.kind(), ErrorKind::Internal | ErrorKind::Forked), "{error:?}");
            }
        }
        let _ = reader.series(query, Unit::Day);
    }
    let _ = (reader.ledger(), reader.marks(), reader.definitions(), reader.contents());
}

/// The bytes of a store, changed page by page.
fn patched(store: &[u8], input: &[u8]) -> Vec<u8> {
    let mut bytes = store.to_vec();
    for patch in input.chunks_exact(PATCH_BYTES).take(MAX_PATCHES) {
        let [change, page, other, high, low, first, second, third] = *patch else { continue };
        let pages = bytes.len() / PAGE_BYTES;
        if pages == 0 {
            break;
        }
        let start = |page: u8| usize::from(page) % pages * PAGE_BYTES;
        let (page, other) = (start(page), start(other));
        let at = page + (usize::from(high) << 8 | usize::from(low)) % PAGE_BYTES;
        match change % 8 {
            0 => bytes[at] = first,
            1 => bytes[at] ^= 1 << (first % 8),
            // The head of a page, or the places of its cells, which are the first hundred bytes.
            2 => bytes[page + usize::from(low) % 100] = first,
            3 => bytes.copy_within(other..other + PAGE_BYTES, page),
            4 => bytes[page..page + PAGE_BYTES].fill(first),
            5 => {
                let taken = bytes[page..page + PAGE_BYTES].to_vec();
                bytes.copy_within(other..other + PAGE_BYTES, page);
                bytes[other..other + PAGE_BYTES].copy_from_slice(&taken);
            }
            6 => bytes[at..].iter_mut().zip([first, second, third]).for_each(|(byte, new)| *byte = new),
            _ => bytes.truncate(at.max(PAGE_BYTES * pages / 2)),
        }
    }
    bytes
}

/// In memory where the system has such a place: a disk would be waited for some ten times for each input, and no power is cut here.
fn scratch() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// A small store, the same in every run but for its random identity.
static SEED_STORE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = scratch();
    let path = folder.path().join("usage.db");
    let clock = ManualClock::new(Timestamp::from_unix_seconds(NOW_UNIX_SECONDS));
    let builder = Store::builder(&path).definitions(DEFINITIONS.clone()).mode(Mode::Inline).clock(clock);
    let store = builder.open().unwrap();
    let lines: String = (0..LINES)
        .map(|number| {
            let time = Timestamp::from_unix_seconds(NOW_UNIX_SECONDS - (LINES - number) * LINE_SECONDS);
            match number % 3 {
                0 => format!("{{\"event\":\"ordered\",\"time\":\"{time}\",\"project\":{number},\"value\":{number},\"additional_properties\":{{\"plan\":\"p{}\"}}}}\n", number % 7),
                _ => format!("{{\"event\":\"viewed\",\"time\":\"{time}\",\"user\":{number},\"label\":\"web\"}}\n"),
            }
        })
        .collect();
    store.import("source", lines.as_bytes()).unwrap();
    store.mark("v1").unwrap();
    store.close().unwrap();
    drop(store);
    std::fs::read(&path).unwrap()
});

const EVENTS: [&str; 2] = ["viewed", "ordered"];

static DEFINITIONS: LazyLock<Definitions> = LazyLock::new(|| {
    let metric = |name: &str, rule| MetricDefinition::new(name, TimeFrame::All).rule(rule);
    Definitions::new()
        .event(EventDefinition::new("viewed").identifier("user").label())
        .and_then(|all| {
            all.event(EventDefinition::new("ordered").identifier("project").value().custom("plan"))
        })
        .and_then(|all| all.event(EventDefinition::new("gone").removed()))
        .and_then(|all| all.metric(metric("viewers", Rule::unique("viewed", "user"))))
        .and_then(|all| all.metric(metric("web", Rule::count("viewed").filter("label", "web"))))
        .and_then(|all| all.metric(metric("revenue", Rule::sum("ordered"))))
        .and_then(|all| all.metric(metric("plans", Rule::per_value("ordered", "plan"))))
        .unwrap()
});

/// Sums are left out: their last bit may depend on where an import was interrupted.
static QUERIES: LazyLock<Vec<Query>> = LazyLock::new(|| {
    vec![
        Query::total("viewed"),
        Query::total("ordered"),
        Query::total("viewed").filter("label", "web"),
        Query::unique("viewed", "user"),
        Query::per_value("ordered", "plan"),
    ]
});

fn in_memory(definitions: Definitions) -> Store {
    let clock = ManualClock::new(Timestamp::from_unix_seconds(NOW_UNIX_SECONDS));
    let builder = Store::builder_in_memory().definitions(definitions).mode(Mode::Inline).clock(clock);
    builder.open().unwrap()
}

fn value(store: &Store, query: &Query) -> Value {
    store.value(query).unwrap().value
}

fn count(store: &Store, query: &Query) -> u64 {
    store.value(query).unwrap().count().unwrap()
}
