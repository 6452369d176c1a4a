//! One case: a store and its model, taken through random steps.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use headcount::{
    Depth, ManualClock, Mode, Reader, Retention, Store, TimeRange, Timestamp, TrackError, Upkeep,
};

use crate::common::{self, Chance};
use crate::facts::{DAY, Fact, definitions, rules};
use crate::plain::{Kept, Plain};

/// What a model may have wrong, to show that it would be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// What a crash takes was durable.
    CrashesKeep,
    /// A source that comes again counts again.
    ImportsRepeat,
    /// The hour of the day begins an hour late.
    ZoneIsOff,
    /// What was refused counts.
    RefusalsCount,
    /// What is old goes a day later.
    DueIsLate,
}

impl Flaw {
    pub(crate) const ALL: [Self; 5] =
        [Self::CrashesKeep, Self::ImportsRepeat, Self::ZoneIsOff, Self::RefusalsCount, Self::DueIsLate];
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Track,
    Flush,
    Crash,
    Reopen,
    SetClock,
    Import,
    ImportAgain,
    Ask,
    Retain,
}

pub(crate) struct Case {
    folder: tempfile::TempDir,
    chance: Chance,
    clock: ManualClock,
    mode: Mode,
    /// Each crash leaves the old file behind and goes on with a new one.
    crashes: u32,
    store: Option<Store>,
    durable: Plain,
    /// What is tracked and not yet flushed.
    pending: Plain,
    /// What the opened store has been offered and has refused.
    offered: u64,
    refused: BTreeMap<TrackError, u64>,
    sources: Vec<(String, String)>,
    retention: Retention,
    /// The latest time that the clock showed, and what may be gone by then.
    latest: i64,
    due: Kept,
    flaw: Option<Flaw>,
}

/// In memory where the system has such a place: what a disk syncs is not the question here.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

impl Case {
    pub(crate) fn new(seed: u64, flaw: Option<Flaw>) -> Self {
        let mut chance = Chance::new(seed);
        // Around the end of a year of 53 weeks.
        let start = Timestamp::parse("2026-12-20")
            .unwrap()
            .plus_seconds(i64::try_from(chance.below(30 * 86_400)).unwrap());
        let mode = chance.one_of(&[Mode::Inline, Mode::Inline, Mode::Background]);
        let mut case = Self {
            folder: folder(),
            clock: ManualClock::new(start),
            mode,
            crashes: 0,
            store: None,
            durable: Plain::default(),
            pending: Plain::default(),
            offered: 0,
            refused: BTreeMap::new(),
            sources: Vec::new(),
            retention: Retention::everything(),
            latest: start.unix_seconds(),
            due: Kept { hours_from: 0, days_from: 0 },
            chance,
            flaw,
        };
        case.open();
        case
    }

    pub(crate) fn run(mut self, steps: usize) {
        for _ in 0..steps {
            self.step();
        }
        self.flush();
        self.remove_all_that_is_due();
        self.durable.assert_file(&self.path(), self.kept());
        self.assert_stats();
        let check = self.store().reader().check(Depth::Deep).unwrap();
        assert!(check.is_sound(), "{:?}", check.findings);
    }

    fn step(&mut self) {
        let step = match self.chance.below(100) {
            0..=2 => Step::Retain,
            3..=44 => Step::Track,
            45..=59 => Step::Flush,
            60..=64 => Step::Crash,
            65..=69 => Step::Reopen,
            70..=79 => Step::SetClock,
            80..=84 => Step::Import,
            85..=87 => Step::ImportAgain,
            _ => Step::Ask,
        };
        match step {
            Step::Track => self.track(),
            Step::Flush => self.flush(),
            Step::Crash => self.crash(),
            Step::Reopen => self.reopen(),
            Step::SetClock => self.set_clock(),
            Step::Import => self.import(),
            Step::ImportAgain => self.import_again(),
            Step::Ask => self.ask(),
            Step::Retain => self.retain(),
        }
    }

    fn kept(&self) -> Kept {
        Kept::of(self.store().reader())
    }

    /// Another process changes what is kept, and sometimes removes at once.
    fn retain(&mut self) {
        let mut days = |shortest: u32| {
            let more = u32::try_from(self.chance.below(60)).unwrap();
            self.chance.one_of(&[None, Some(shortest + more)])
        };
        let (hours, days) = (days(Retention::SHORTEST_HOURS), days(Retention::SHORTEST_DAYS));
        let mut retention = Retention::everything();
        if let Some(hours) = hours {
            retention = retention.hours_for_days(hours);
        }
        if let Some(days) = days {
            retention = retention.days_for_days(days);
        }
        let mut upkeep = Upkeep::open(self.path()).unwrap().with_clock(self.clock.clone());
        upkeep.set_retention(retention).unwrap();
        self.retention = retention;
        if self.chance.below(2) == 0 {
            upkeep.retain().unwrap();
        }
        self.assert_not_early();
    }

    /// By the latest time that the clock ever showed nothing is gone that was not due.
    fn assert_not_early(&mut self) {
        let kept = self.kept();
        let late = i64::from(self.flaw == Some(Flaw::DueIsLate));
        let due = |days: Option<u32>| days.map_or(0, |days| self.latest / DAY - i64::from(days) - late);
        let days_due = due(self.retention.days());
        self.due.days_from = self.due.days_from.max(days_due);
        self.due.hours_from = self.due.hours_from.max(due(self.retention.hours())).max(days_due);
        assert!(kept.hours_from <= self.due.hours_from, "{kept:?}, due is {:?}", self.due);
        assert!(kept.days_from <= self.due.days_from, "{kept:?}, due is {:?}", self.due);
    }

    /// After a while by a clock that goes on all that is due is gone, and no row of it is left.
    fn remove_all_that_is_due(&mut self) {
        let mut upkeep = Upkeep::open(self.path()).unwrap().with_clock(self.clock.clone());
        for _ in 0..4 {
            self.clock.advance(Duration::from_secs(3_600));
            upkeep.retain().unwrap();
        }
        self.latest = self.latest.max(self.now());
        self.assert_not_early();
        let (kept, today) = (self.kept(), self.now() / DAY);
        let due = |days: Option<u32>| days.map_or(0, |days| today - i64::from(days));
        assert!(kept.days_from >= due(self.retention.days()), "{kept:?}");
        assert!(kept.hours_from >= due(self.retention.hours()), "{kept:?}");
        let contents = common::contents(&self.path());
        let index = |bucket: i64| bucket & 0xff_ffff_ffff;
        for bucket in contents.counts.keys().map(|cell| cell.0) {
            assert!(bucket >> 40 != 1 || index(bucket) / 24 >= kept.hours_from, "{bucket:x} is left");
            assert!(bucket >> 40 != 2 || index(bucket) >= kept.days_from, "{bucket:x} is left");
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(format!("{}.db", self.crashes))
    }

    fn now(&self) -> i64 {
        self.clock.now().unix_seconds()
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn open(&mut self) {
        let mut builder = Store::builder(self.path())
            .definitions(definitions())
            .clock(self.clock.clone())
            .mode(self.mode)
            .flush_every(Duration::from_secs(36_000));
        for rule in rules() {
            builder = builder.record(rule);
        }
        self.store = Some(builder.open().unwrap());
        (self.offered, self.refused) = (0, BTreeMap::new());
    }

    fn add_pending(&mut self, fact: &Fact, at: i64) {
        let at = if self.flaw == Some(Flaw::ZoneIsOff) { at - 3_600 } else { at };
        self.pending.add(fact, at);
    }

    fn track(&mut self) {
        let tracker = self.store().tracker();
        for _ in 0..=self.chance.below(30) {
            let (back, ahead) = match self.chance.below(10) {
                0 => (20 * DAY, 2 * DAY),
                1 => (600, 600),
                _ => (7 * DAY, 0),
            };
            let now = self.now();
            let fact = Fact::random(&mut self.chance, now, back, ahead);
            let judged = fact.judged(now);
            assert_eq!(fact.track(&tracker), judged.map(drop), "{fact:?}");
            self.offered += 1;
            match judged {
                Ok(at) => self.add_pending(&fact, at),
                Err(reason) => {
                    *self.refused.entry(reason).or_default() += 1;
                    self.pending.note(&format!("refused {}", reason.reason()), 1);
                    if self.flaw == Some(Flaw::RefusalsCount) && reason != TrackError::UnknownEvent {
                        self.add_pending(&fact, fact.at.unwrap());
                    }
                }
            }
        }
    }

    fn flush(&mut self) {
        self.store().flush().unwrap();
        self.durable.unite(std::mem::take(&mut self.pending));
    }

    /// What a killed process leaves are its files as they are at that moment: they are copied, and the copy goes on.
    fn crash(&mut self) {
        let before = self.path();
        self.crashes += 1;
        for suffix in ["", "-wal"] {
            let named = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
            if named(&before).exists() {
                std::fs::copy(named(&before), named(&self.path())).unwrap();
            }
        }
        let lost = std::mem::take(&mut self.pending);
        if self.flaw == Some(Flaw::CrashesKeep) {
            self.durable.unite(lost);
        }
        self.store = None;
        self.open();
        self.durable.assert_rows(&self.path(), self.kept());
    }

    fn reopen(&mut self) {
        self.assert_stats();
        let stats = self.store().close().unwrap();
        assert_eq!((stats.queued, stats.lost), (0, 0));
        self.durable.unite(std::mem::take(&mut self.pending));
        self.store = None;
        self.open();
        self.durable.assert_rows(&self.path(), self.kept());
    }

    /// By minutes, days or weeks; backwards too.
    fn set_clock(&mut self) {
        let most = self.chance.one_of(&[600, 7_200, 2 * DAY, 20 * DAY]);
        let by = i64::try_from(self.chance.below(u64::try_from(most).unwrap())).unwrap();
        let by = if self.chance.below(3) == 0 { -by } else { by };
        self.clock.set(self.clock.now().plus_seconds(by));
        self.latest = self.latest.max(self.now());
        self.assert_not_early();
    }

    /// Lines of a new source, or more of an old one; some of them are damaged.
    fn import(&mut self) {
        let now = self.now();
        let continued = self.chance.below(3) == 0 && !self.sources.is_empty();
        let place = if continued {
            usize::try_from(self.chance.below(self.sources.len() as u64)).unwrap()
        } else {
            self.sources.push((format!("source {}", self.sources.len()), String::new()));
            self.sources.len() - 1
        };
        let (mut accepted, mut rejected, mut lines) = (0, 0, 0);
        let mut more = String::new();
        for _ in 0..=self.chance.below(60) {
            let fact = Fact::random(&mut self.chance, now, 60 * DAY, DAY / 24);
            let line = fact.line();
            lines += 1;
            if self.chance.below(10) == 0 {
                // Without its end it is no JSON.
                more.push_str(&line[..line.len() - 2]);
                more.push('\n');
                self.durable.note("refused not_json", 1);
                rejected += 1;
                continue;
            }
            more.push_str(&line);
            match fact.judged_as_line(now) {
                Ok(at) => {
                    let at = if self.flaw == Some(Flaw::ZoneIsOff) { at - 3_600 } else { at };
                    self.durable.add(&fact, at);
                    accepted += 1;
                }
                Err(reason) => {
                    self.durable.note(&format!("refused {}", reason.reason()), 1);
                    rejected += 1;
                }
            }
        }
        let (name, text) = self.sources.get_mut(place).unwrap();
        text.push_str(&more);
        let (name, text) = (name.clone(), text.clone());
        let report = self.store().import(&name, text.as_bytes()).unwrap();
        assert_eq!((report.lines, report.accepted), (lines, accepted), "{report:?}");
        assert_eq!(report.rejected.values().sum::<u64>(), rejected, "{report:?}");
    }

    fn import_again(&mut self) {
        if self.sources.is_empty() {
            return;
        }
        let place = usize::try_from(self.chance.below(self.sources.len() as u64)).unwrap();
        let (name, text) = self.sources.get(place).unwrap();
        let report = self.store().import(name, text.as_bytes()).unwrap();
        assert_eq!((report.lines, report.accepted), (0, 0), "{report:?}");
        assert_eq!(report.already_read, text.lines().count() as u64, "{report:?}");
        if self.flaw == Some(Flaw::ImportsRepeat) {
            self.durable.note("stored", report.already_read);
        }
    }

    /// Asks for everything, and for random windows, of the store or of a reader beside it.
    fn ask(&mut self) {
        let beside;
        let reader = if self.chance.below(2) == 0 {
            self.store.as_ref().unwrap().reader()
        } else {
            beside = Reader::open(self.path()).unwrap().with_clock(self.clock.clone());
            &beside
        };
        assert_eq!(reader.ledger().unwrap().stored, self.durable.stored());
        let today = self.clock.now().unix_seconds() / DAY;
        for rule in Plain::rules() {
            let from = today - i64::try_from(self.chance.below(60)).unwrap();
            let to = from + 1 + i64::try_from(self.chance.below(40)).unwrap();
            // Edges at any hour, where there are hours.
            let by_hour = matches!(rule.kind(), headcount::RuleKind::Count | headcount::RuleKind::Sum);
            let mut hours =
                || if by_hour { i64::try_from(self.chance.below(24)).unwrap() * 3_600 } else { 0 };
            let edges = [from * DAY + hours(), to * DAY + hours()].map(Timestamp::from_unix_seconds);
            let range = TimeRange::new(edges[0], edges[1]).ok();
            self.durable.assert_answer(reader, &rule, range);
            if self.chance.below(4) == 0 {
                self.durable.assert_answer(reader, &rule, None);
            }
        }
    }

    /// offered = accepted + refused, accepted = stored + queued + lost.
    fn assert_stats(&self) {
        let stats = self.store().stats();
        let refused: u64 = self.refused.values().sum();
        assert_eq!((stats.offered, stats.refused), (self.offered, self.refused.clone()));
        assert_eq!(stats.accepted, self.offered - refused);
        assert_eq!((stats.queued, stats.lost), (self.pending.stored(), 0));
        assert_eq!(stats.stored, stats.accepted - stats.queued);
    }
}
