//! Imports that are killed: repeated to the end they count each line once.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::common::child::{Child, acknowledge, say};
use crate::common::figures::{figure, seed};
use crate::common::{Chance, connect};
use crate::expected::{Expected, total};
use crate::stream::{self, Stream};

pub(crate) const ROLE: &str = "imports";
const STORE: &str = "HEADCOUNT_TEST_FILE";
const LINES: &str = "HEADCOUNT_TEST_LINES";
const SOURCE: &str = "HEADCOUNT_TEST_SOURCE";
/// Several commits of an import.
const LINES_PER_FILE: usize = 150_000;
/// About as long as a whole import takes.
const LONGEST_PAUSE_MICROSECONDS: u64 = 300_000;

/// Whether the store knows how far an import has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sources {
    Kept,
    /// Each repetition comes as a new source, as if there were no offsets.
    Forgotten,
}

pub(crate) fn child() {
    let variable = |name: &str| PathBuf::from(std::env::var(name).unwrap());
    let store = stream::open(&variable(STORE), Duration::from_secs(3_600));
    say("open");
    let source = variable(SOURCE);
    let report = store.import(source.to_str().unwrap(), File::open(variable(LINES)).unwrap()).unwrap();
    store.close().unwrap();
    acknowledge(report.lines + report.already_read);
}

/// How many lines of a source are read, and how many of them counted.
fn known(path: &Path, source: &str) -> (u64, u64) {
    let sql = "SELECT coalesce(max(lines), 0), coalesce(max(accepted), 0) FROM sources WHERE name = ?1";
    let both = connect(path).query_row(sql, [source], |row| Ok((row.get(0)?, row.get(1)?)));
    let (lines, accepted): (i64, i64) = both.unwrap();
    (lines.unsigned_abs(), accepted.unsigned_abs())
}

/// Imports one file, and is killed again and again until `kills` are used up; says what is wrong with what is counted then.
struct Killing {
    folder: tempfile::TempDir,
    chance: Chance,
    expected: Expected,
    kills_left: u64,
    /// Kills that left a part of a file in the store.
    in_the_middle: u64,
    sources: Sources,
}

impl Killing {
    fn new(kills: u64, seed: u64, sources: Sources) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (chance, expected) = (Chance::new(seed), Expected::default());
        Self { folder, chance, expected, kills_left: kills, in_the_middle: 0, sources }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn import(&mut self, stream: Stream) -> Result<(), String> {
        let (store, lines) = (self.path("imported.db"), self.path("lines.ndjson"));
        let facts: Vec<_> = stream.facts().take(LINES_PER_FILE).collect();
        std::fs::write(&lines, facts.iter().map(stream::Fact::line).collect::<String>()).unwrap();
        let before = self.expected.events();
        facts.iter().for_each(|fact| self.expected.add(*fact));
        for attempt in 0_u64.. {
            let source = match self.sources {
                Sources::Kept => format!("file {}", stream.life),
                Sources::Forgotten => format!("file {} again {attempt}", stream.life),
            };
            let variables = [
                (STORE, store.to_str().unwrap()),
                (LINES, lines.to_str().unwrap()),
                (SOURCE, source.as_str()),
            ];
            let mut child = Child::start(ROLE, &variables);
            if self.kills_left > 0 {
                self.kills_left -= 1;
                self.wait(&mut child, &store, before);
                if child.kill().acknowledged() == 0 {
                    self.judge(&store, &source, before)?;
                    continue;
                }
            } else {
                child.succeeds();
            }
            break;
        }
        self.expected.conserves(&store)?;
        Ok(())
    }

    /// Waits for the moment of the kill: any moment, or as soon as something is counted.
    fn wait(&mut self, child: &mut Child, store: &Path, before: u64) {
        if self.chance.below(3) > 0 {
            return std::thread::sleep(Duration::from_micros(self.chance.below(LONGEST_PAUSE_MICROSECONDS)));
        }
        child.wait_for("open");
        while child.is_running() && total(store, "page_viewed") == before {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn judge(&mut self, store: &Path, source: &str, before: u64) -> Result<(), String> {
        if !store.exists() || self.sources == Sources::Forgotten {
            return Ok(());
        }
        let (lines, accepted) = known(store, source);
        let counted = total(store, "page_viewed") - before;
        self.in_the_middle += u64::from(lines > 0 && lines < LINES_PER_FILE as u64);
        if (lines, accepted) == (counted, counted) {
            return Ok(());
        }
        Err(format!("{lines} lines are read, {accepted} accepted, {counted} counted"))
    }
}

fn kill(kills: u64, seed: u64, sources: Sources) -> Result<(), String> {
    let began = Instant::now();
    let mut killing = Killing::new(kills, seed, sources);
    let mut files = 0;
    while killing.kills_left > 0 {
        killing.import(Stream { event: "page_viewed", seed, life: files, size: None })?;
        files += 1;
    }
    killing.expected.compare(&killing.path("imported.db"))?;
    let (seconds, middle) = (began.elapsed().as_secs_f64(), killing.in_the_middle);
    println!("{kills} kills, {middle} in the middle, {files} files, {seconds:.1} s");
    if sources == Sources::Kept && middle == 0 {
        Err("no kill met an import at work".to_owned())
    } else {
        Ok(())
    }
}

#[test]
fn an_import_killed_at_any_moment_and_repeated_counts_each_line_once() {
    kill(figure(40, 1_000), seed(), Sources::Kept).unwrap();
}

#[test]
fn an_import_that_forgets_its_source_counts_twice_and_is_found_out() {
    let found = kill(20, seed(), Sources::Forgotten).unwrap_err();
    assert!(found.contains("ledger"), "{found}");
}
