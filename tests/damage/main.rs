//! Damaged stores: whatever happened to the bytes, nothing panics or hangs, damage is found or harmless, and what is salvaged is true.
//!
//! 500 images, or 5,000 with `HEADCOUNT_ENDURANCE=1`; `HEADCOUNT_SEED` replays one run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    clippy::panic,
    reason = "a test stops where it is wrong, and says its figures"
)]

#[path = "../common/mod.rs"]
mod common;
mod salvaging;
mod stores;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use headcount::{Depth, Event, Law, Loss, ManualClock, Mode, Reader, Salvaged, Store, Upkeep};
use rusqlite::{Connection, OpenFlags};

use common::Chance;
use stores::{Known, NOW, Truth, answers, at, known};

const IMAGES: u64 = 500;
const IMAGES_OF_ENDURANCE: u64 = 5_000;
const SEED: u64 = 20_261_122;
const THREADS: u64 = 2;
/// No image takes this long, however it is damaged, on a machine and a disk that do much else.
const LONGEST: Duration = Duration::from_secs(120);
/// Of images in which something is wrong, this share may be missed.
const MOST_MISSED: f64 = 0.02;
/// Damage can leave numbers that could all be true: so many of the salvaged stores may have one, or break a law, in parts of them.
const MOST_UNTRUE: f64 = 0.01;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Damage {
    Bit,
    ZeroedSector,
    RandomSector,
    ZeroedPage,
    RandomPage,
    Truncation,
}

/// What became of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// It does not open.
    Refused,
    /// The check finds something.
    Found,
    /// Answers say it, though the check does not.
    Answered,
    /// Every answer is the truth.
    Harmless,
    /// Some answer is wrong, and nothing says so.
    Missed,
}

const FATES: [(Fate, &str); 5] = [
    (Fate::Refused, "at open"),
    (Fate::Found, "by check"),
    (Fate::Answered, "by answers"),
    (Fate::Harmless, "harmless"),
    (Fate::Missed, "missed"),
];

#[derive(Default)]
struct Tally {
    fates: BTreeMap<(Damage, bool, Fate), u32>,
    sketches_hit: u32,
    salvaged: u32,
    whole: u32,
    true_answers: u64,
    refused_answers: u64,
    untrue: Vec<String>,
    unsound: Vec<String>,
    missed: Vec<String>,
    slowest: Duration,
}

impl Tally {
    fn add(&mut self, other: Self) {
        for (fate, images) in other.fates {
            *self.fates.entry(fate).or_default() += images;
        }
        self.sketches_hit += other.sketches_hit;
        self.salvaged += other.salvaged;
        self.whole += other.whole;
        self.true_answers += other.true_answers;
        self.refused_answers += other.refused_answers;
        self.untrue.extend(other.untrue);
        self.unsound.extend(other.unsound);
        self.missed.extend(other.missed);
        self.slowest = self.slowest.max(other.slowest);
    }
}

fn damage(bytes: &mut Vec<u8>, chance: &mut Chance) -> (Damage, String) {
    use Damage::*;
    let kind = chance.one_of(&[Bit, Bit, ZeroedSector, RandomSector, ZeroedPage, RandomPage, Truncation]);
    let at = chance.below(bytes.len() as u64) as usize;
    let unit = match kind {
        Bit | Truncation => 1,
        ZeroedSector | RandomSector => 512,
        ZeroedPage | RandomPage => 4_096,
    };
    let at = at / unit * unit;
    let end = (at + unit).min(bytes.len());
    match kind {
        Bit => bytes[at] ^= 1 << chance.below(8),
        Truncation => bytes.truncate(at),
        ZeroedSector | ZeroedPage => bytes[at..end].fill(0),
        RandomSector | RandomPage => bytes[at..end].iter_mut().for_each(|byte| *byte = chance.next() as u8),
    }
    (kind, format!("{kind:?} at {at}"))
}

fn write(folder: &Path, file: &[u8], log: Option<&[u8]>) -> std::path::PathBuf {
    let path = folder.join("usage.db");
    std::fs::write(&path, file).unwrap();
    if let Some(log) = log {
        std::fs::write(folder.join("usage.db-wal"), log).unwrap();
    }
    path
}

/// Which sketches are other bytes than they were, by plain SQL.
fn sketches(path: &Path) -> rusqlite::Result<BTreeMap<(i64, i64), Vec<u8>>> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut select = connection.prepare("SELECT bucket, series, blob FROM sketches")?;
    let rows = select.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
    rows.collect()
}

/// Opens, asks and checks a store; says what became of it, and which sketches were found damaged.
fn look(path: &Path, known: &Known) -> (Fate, Vec<String>, Vec<String>) {
    let Ok(reader) = Reader::open(path) else { return (Fate::Refused, Vec::new(), Vec::new()) };
    let mut refused = BTreeSet::new();
    let answers = answers(&reader, Some(&mut refused)).unwrap();
    let wrong = wrong(&answers, &known.truth);
    let check = reader.check(Depth::Plain);
    let sound = check.as_ref().is_ok_and(headcount::Check::is_sound);
    let findings: Vec<String> = match &check {
        Ok(check) => {
            let found = check
                .findings
                .iter()
                .filter(|finding| matches!(finding.law, Law::Checksum | Law::Structure) || check.ended_early);
            found.map(|finding| finding.message.clone()).collect()
        }
        Err(error) => vec![error.to_string()],
    };
    let fate = match (sound, refused.is_empty(), wrong.is_empty()) {
        (false, ..) => Fate::Found,
        (true, false, _) => Fate::Answered,
        (true, true, true) => Fate::Harmless,
        (true, true, false) => Fate::Missed,
    };
    (fate, findings, wrong)
}

fn wrong(answers: &Truth, truth: &Truth) -> Vec<String> {
    let differs = |(name, answer): &(&String, &String)| truth.get(*name) != Some(*answer);
    answers.iter().filter(differs).map(|(name, answer)| format!("{name}: {answer}")).collect()
}

/// A program that uses the store: it may be refused, and must not break.
fn use_it(path: &Path) {
    let opened = Store::builder(path).clock(ManualClock::new(at(NOW))).mode(Mode::Inline).open();
    if let Ok(store) = opened {
        for number in 0..20 {
            store.tracker().track(Event::new("viewed").user(number).value(1.0).label("label-1"));
        }
        let _ = store.flush();
        let _ = store.close();
    }
}

fn one_image(known: &Known, seed: u64, tally: &mut Tally) {
    let mut chance = Chance::quiet(seed);
    let folder = tempfile::tempdir().unwrap();
    let (mut file, mut log) = (known.file.clone(), known.log.clone());
    // The log takes its share of what happens.
    let all = file.len() + log.as_ref().map_or(0, Vec::len);
    let (in_log, (kind, name)) = match &mut log {
        Some(log) if chance.below(all as u64) >= file.len() as u64 => (true, damage(log, &mut chance)),
        _ => (false, damage(&mut file, &mut chance)),
    };
    let name = format!("HEADCOUNT_SEED={seed} {name}{}", if in_log { " of the log" } else { "" });
    let began = Instant::now();

    // Salvaging comes first: it must not write to the damaged store.
    let path = write(folder.path(), &file, log.as_deref());
    let new = folder.path().join("new.db");
    let salvaged = Upkeep::salvage(&path, &new);
    assert_eq!(std::fs::read(&path).unwrap(), file, "{name}: the damaged file was written");
    assert_eq!(std::fs::read(folder.path().join("usage.db-wal")).ok(), log, "{name}: its log was written");
    assert!(!folder.path().join("usage.db-shm").exists(), "{name}: something is beside it");
    let left = folder.path().read_dir().unwrap().count();
    let expected = 1 + usize::from(log.is_some()) + usize::from(salvaged.is_ok());
    assert_eq!(left, expected, "{name}: scratch files are left");

    let (fate, findings, wrong) = look(&path, known);
    *tally.fates.entry((kind, in_log, fate)).or_default() += 1;
    if fate == Fate::Missed {
        tally.missed.push(format!("{name}: {}", wrong[0]));
    }
    if let (false, Ok(before), Ok(after)) = (in_log, &known_sketches(known, folder.path()), sketches(&path)) {
        let hit =
            before.iter().filter(|(key, blob)| after.get(key).is_some_and(|after| after != *blob)).count();
        if hit > 0 {
            tally.sketches_hit += 1;
            assert!(
                fate == Fate::Refused || !findings.is_empty(),
                "{name}: {hit} sketches are damaged, and the check does not say so"
            );
        }
    }
    judge_salvage(known, &name, fate, salvaged, &new, tally);
    use_it(&path);
    let _ = look(&path, known);
    let took = began.elapsed();
    tally.slowest = tally.slowest.max(took);
    assert!(took < LONGEST, "{name} took {took:?}");
}

/// The sketches of the store as it was.
fn known_sketches(known: &Known, folder: &Path) -> rusqlite::Result<BTreeMap<(i64, i64), Vec<u8>>> {
    let path = folder.join("before.db");
    std::fs::write(&path, &known.file).unwrap();
    if let Some(log) = &known.log {
        std::fs::write(folder.join("before.db-wal"), log).unwrap();
    }
    sketches(&path)
}

fn judge_salvage(
    known: &Known,
    name: &str,
    fate: Fate,
    salvaged: Result<Salvaged, headcount::Error>,
    new: &Path,
    tally: &mut Tally,
) {
    let salvaged = match salvaged {
        Ok(salvaged) => salvaged,
        Err(error) => {
            assert_ne!(
                fate,
                Fate::Harmless,
                "{name}: nothing is wrong, and it cannot be salvaged: {error:?}"
            );
            return;
        }
    };
    tally.salvaged += 1;
    if let Some(finding) = salvaged.check.findings.first() {
        tally.unsound.push(format!("{name}: {}", finding.message));
    }
    let mut refused = BTreeSet::new();
    let answers = answers(&Reader::open(new).unwrap(), Some(&mut refused)).unwrap();
    let wrong = wrong(&answers, &known.truth);
    tally.true_answers += (answers.len() - wrong.len()) as u64;
    tally.refused_answers += refused.len() as u64;
    if salvaged.losses.is_empty() && refused.is_empty() && wrong.is_empty() {
        tally.whole += 1;
    }
    // What nothing tells from the truth stays what it was, and is counted as missed.
    if fate != Fate::Missed {
        let unsaid = wrong.iter().find(|answer| !salvaged.losses.iter().any(|loss| names(loss, answer)));
        tally.untrue.extend(unsaid.map(|answer| format!("{name}: {answer}; {:?}", salvaged.losses)));
    }
}

/// Whether a loss names what has no place to be noted at: the commits that only the log had, and tables whose rows stand once.
fn names(loss: &Loss, answer: &str) -> bool {
    loss.message.contains("(-wal)")
        || loss.table == "ledger" && answer.starts_with("ledger")
        || loss.table == "marks" && answer.starts_with("marks")
        || loss.message.starts_with("the definitions") && answer.starts_with("definitions")
}

#[test]
fn damage_is_found_or_harmless_and_what_is_salvaged_is_true() {
    let folder = tempfile::tempdir().unwrap();
    let stores: Vec<Known> = (0..4).map(|number| known(folder.path(), number, number % 2 == 1)).collect();
    let seed = std::env::var("HEADCOUNT_SEED").ok().map(|seed| seed.parse::<u64>().unwrap());
    let images = if seed.is_some() { 1 } else { common::figures::figure(IMAGES, IMAGES_OF_ENDURANCE) };
    let first = seed.unwrap_or(SEED);
    println!("seeds {first} to {}", first + images - 1);
    let run = &|offset: u64| {
        let mut tally = Tally::default();
        for seed in (first + offset..first + images).step_by(THREADS as usize) {
            one_image(&stores[(seed % 4) as usize], seed, &mut tally);
        }
        tally
    };
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|offset| scope.spawn(move || run(offset))).collect();
        for thread in threads {
            match thread.join() {
                Ok(part) => tally.add(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    publish(&tally);
    // What is wrong at the end of a log looks like what a power cut leaves, and is published alone.
    let of_file = tally.missed.iter().filter(|image| !image.contains("of the log"));
    let missed = f64::from(of_file.count() as u32);
    let harmless: u32 =
        tally.fates.iter().filter(|((.., fate), _)| *fate == Fate::Harmless).map(|(_, n)| n).sum();
    let wrong = f64::from(images as u32 - harmless);
    if seed.is_none() {
        assert!(missed <= MOST_MISSED * wrong, "{missed} of {wrong} were missed");
        assert!(tally.sketches_hit > 10, "the campaign hits too few sketches: {}", tally.sketches_hit);
        let most = MOST_UNTRUE * f64::from(tally.salvaged);
        let untrue = f64::from((tally.untrue.len() + tally.unsound.len()) as u32);
        assert!(
            untrue <= most,
            "{untrue} of {} salvaged stores: {:#?} {:#?}",
            tally.salvaged,
            tally.untrue,
            tally.unsound
        );
        assert!(f64::from(tally.salvaged) > 0.9 * wrong, "{} of {wrong} were salvaged", tally.salvaged);
    }
}

fn publish(tally: &Tally) {
    println!("| damage | where | {} |", FATES.map(|(_, name)| name).join(" | "));
    println!("|---|---|{}", "---|".repeat(FATES.len()));
    let kinds: BTreeSet<(bool, Damage)> =
        tally.fates.keys().map(|(kind, in_log, _)| (*in_log, *kind)).collect();
    for (in_log, kind) in kinds {
        let counts =
            FATES.map(|(fate, _)| tally.fates.get(&(kind, in_log, fate)).copied().unwrap_or(0).to_string());
        println!("| {kind:?} | {} | {} |", if in_log { "log" } else { "file" }, counts.join(" | "));
    }
    println!(
        "{} images with damaged sketches, all found; {} missed; {} salvaged, {} of them whole; {} answers true, {} refused, {} images with untrue ones; slowest {:?}",
        tally.sketches_hit,
        tally.missed.len(),
        tally.salvaged,
        tally.whole,
        tally.true_answers,
        tally.refused_answers,
        tally.untrue.len(),
        tally.slowest
    );
    for line in tally.missed.iter().chain(&tally.untrue).chain(&tally.unsound).take(60) {
        println!("  {}", line.chars().take(600).collect::<String>());
    }
}

/// Without the checksum a damaged sketch would be an answer like any other.
#[test]
fn without_checksums_the_damage_of_sketches_would_be_missed() {
    let folder = tempfile::tempdir().unwrap();
    let store = known(folder.path(), 7, false);
    let (mut found, mut missed_when_sealed) = (0, 0);
    for seed in 0..40 {
        let mut chance = Chance::quiet(seed);
        for is_sealed in [false, true] {
            let path = write(folder.path(), &store.file, None);
            let connection = Connection::open(&path).unwrap();
            // The running day, which no other sketch has yet.
            let newest = "SELECT rowid, blob FROM sketches ORDER BY bucket DESC, series LIMIT 1";
            let (row, mut blob): (i64, Vec<u8>) =
                connection.query_row(newest, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            let body = blob.len() - 4;
            let at = 6 + chance.below(body as u64 - 6) as usize;
            blob[at] ^= 1 << chance.below(8);
            if is_sealed {
                let sum = crc32c::crc32c(&blob[..body]);
                blob[body..].copy_from_slice(&sum.to_le_bytes());
            }
            connection
                .execute("UPDATE sketches SET blob = ?2 WHERE rowid = ?1", rusqlite::params![row, blob])
                .unwrap();
            connection.close().unwrap();
            let (fate, ..) = look(&path, &store);
            match is_sealed {
                false => found += u32::from(fate == Fate::Found),
                true => missed_when_sealed += u32::from(matches!(fate, Fate::Missed | Fate::Harmless)),
            }
            for suffix in ["-wal", "-shm"] {
                let _ = std::fs::remove_file(folder.path().join(format!("usage.db{suffix}")));
            }
        }
    }
    assert_eq!(found, 40, "sealed: {missed_when_sealed}");
    assert!(missed_when_sealed > 5, "{missed_when_sealed} of 40");
    println!(
        "of 40 flipped bits in sketches all are found; with checksums that fit {missed_when_sealed} are not"
    );
}
