//! A disk without room, and with room again: nothing promised is lost, every loss is counted, and reading goes on.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops where it is wrong")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use headcount::{ErrorKind, Store};
use headcount_faults::chance::Chance;
use headcount_faults::disk::Disk;
use headcount_faults::model::{self, EVENTS_PER_BATCH, Model};
use headcount_faults::oracle;
use headcount_faults::run::{Session, is_endurance, scratch, seed, store_in};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const CYCLES: u64 = 50;
const CYCLES_FOR_ENDURANCE: u64 = 500;
/// How much room there is at most when a cycle begins.
const MOST_ROOM_BYTES: u64 = 96 * 1024;
/// A disk that still takes batches after so many is not full.
const MOST_BATCHES: usize = 1_000;
/// Tells the child where its store is.
const FOLDER: &str = "HEADCOUNT_FAULTS_FOLDER";

#[test]
fn a_full_disk_loses_nothing_that_was_promised() {
    let folder = scratch().unwrap();
    let path = folder.path().canonicalize().unwrap();
    let disk = Disk::watch(&path);
    let report = Cycles::of(&path, "space").run(|room| disk.give_space(room.map(|room| disk.used() + room)));
    println!("{report}");
}

/// Files may not grow beyond a limit of the process, which is a child for that, with the signal ignored that would end it.
#[test]
fn files_of_limited_size_lose_nothing_that_was_promised() {
    let folder = scratch().unwrap();
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "a_child_whose_files_are_limited", "--ignored", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert!(child.status.success(), "{out}\n{err}");
    println!("{}", out.lines().find(|line| line.contains("cycles")).expect("the child did nothing"));
}

#[test]
#[ignore = "is a child of another test"]
fn a_child_whose_files_are_limited() {
    let path = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let before = getrlimit(Resource::Fsize);
    let report = Cycles::of(&path, "file size").run(|room| {
        let largest =
            || std::fs::read_dir(&path).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).max();
        let current = room.map(|room| largest().unwrap_or(0) + room).or(before.current);
        setrlimit(Resource::Fsize, Rlimit { current, maximum: before.maximum }).unwrap();
    });
    println!("{report}");
}

struct Cycles<'a> {
    folder: &'a Path,
    kind: &'static str,
    chance: Chance,
    next_batch: usize,
    /// The batches that are in the file for sure.
    stored: Vec<usize>,
    /// Those that were tracked, and are not promised: they are in the file from the first on, or not.
    waiting: Vec<usize>,
    refusals: u64,
    restarts: u64,
    lost: u64,
}

impl<'a> Cycles<'a> {
    fn of(folder: &'a Path, kind: &'static str) -> Self {
        let seed = seed();
        println!("HEADCOUNT_SEED={seed}");
        Self {
            folder,
            kind,
            chance: Chance::of(seed, kind, 0),
            next_batch: 0,
            stored: Vec::new(),
            waiting: Vec::new(),
            refusals: 0,
            restarts: 0,
            lost: 0,
        }
    }

    /// Fills the disk again and again. `give_room` leaves so many bytes, or as many as there are.
    fn run(mut self, give_room: impl Fn(Option<u64>)) -> String {
        let cycles = if is_endurance() { CYCLES_FOR_ENDURANCE } else { CYCLES };
        let mut session = Session::new(self.folder, None, 0);
        session.store().unwrap();
        for _ in 0..cycles {
            // What a store does with its reserve is told elsewhere.
            drop(std::fs::remove_file(self.folder.join("store.db-reserve")));
            give_room(Some(self.chance.below(MOST_ROOM_BYTES)));
            self.fill(&mut session);
            self.stay_full(&mut session);
            if self.chance.below(3) == 0 {
                session = self.restart(session, &give_room);
            } else {
                give_room(None);
                session.store().unwrap().flush().expect("there is room again");
                self.stored.append(&mut self.waiting);
            }
            self.settle(self.folder);
        }
        session.close().unwrap();
        let Self { kind, stored, refusals, restarts, lost, .. } = self;
        format!(
            "{kind}: {cycles} cycles, {} batches stored, {refusals} flushes refused, {restarts} restarts while full, \
             {lost} events lost and counted",
            stored.len()
        )
    }

    fn track(&mut self, session: &mut Session<'_>) {
        session.track(self.next_batch).unwrap();
        self.waiting.push(self.next_batch);
        self.next_batch += 1;
    }

    /// Tracks and flushes until there is no more room.
    fn fill(&mut self, session: &mut Session<'_>) {
        for _ in 0..MOST_BATCHES {
            self.track(session);
            match session.store().unwrap().flush() {
                Ok(()) => self.stored.append(&mut self.waiting),
                Err(error) => {
                    self.refusals += 1;
                    let kind = error.kind();
                    assert!(matches!(kind, ErrorKind::StoreFull | ErrorKind::Io), "{kind:?}: {error}");
                    return;
                }
            }
        }
        panic!("the disk was never full");
    }

    /// While there is no room, events are taken and answers are given.
    fn stay_full(&mut self, session: &mut Session<'_>) {
        self.track(session);
        let store = session.store().unwrap();
        let total = store.value(&headcount::Query::total("opened")).expect("a full disk is read").count();
        let may_be = |waiting| self.model(waiting).total("opened");
        assert!((0..=self.waiting.len()).any(|waiting| total == Some(may_be(waiting))), "{total:?}");
        if store.flush().is_ok() {
            self.stored.append(&mut self.waiting);
        }
        self.keep_the_law(&store);
    }

    /// The process ends while the disk is full, and another one begins when it is not.
    fn restart(&mut self, mut session: Session<'a>, give_room: &impl Fn(Option<u64>)) -> Session<'a> {
        self.restarts += 1;
        let store = session.store().unwrap();
        session.give_up().unwrap();
        let lost = store.stats().lost;
        drop(store);
        give_room(None);
        let tables = oracle::sound_tables(&store_in(self.folder)).unwrap().expect("the store is there");
        let is_there = |waiting: &usize| tables == self.model(*waiting).tables();
        let there = (0..=self.waiting.len())
            .find(is_there)
            .expect("what was promised is there, and batches are whole");
        let missing = (self.waiting.len() - there) as u64 * EVENTS_PER_BATCH;
        assert!(lost >= missing, "{missing} events are not there, and {lost} are counted as lost");
        self.lost += lost;
        self.waiting.truncate(there);
        self.stored.append(&mut self.waiting);
        let mut session = Session::new(self.folder, None, 0);
        session.store().expect("there is room to open it");
        session
    }

    fn keep_the_law(&self, store: &Store) {
        let stats = store.stats();
        assert_eq!(stats.accepted, stats.stored + stats.queued + stats.lost, "{stats:?}");
        assert_eq!(stats.lost, 0, "nothing is given up while the store is open: {stats:?}");
        assert!(stats.queued <= self.waiting.len() as u64 * EVENTS_PER_BATCH, "{stats:?}");
    }

    /// With so many of the batches that wait.
    fn model(&self, waiting: usize) -> Model {
        let batches: Vec<usize> =
            self.stored.iter().chain(self.waiting.iter().take(waiting)).copied().collect();
        Model {
            unknown: batches.len() as u64,
            seen: batches.into_iter().flat_map(model::batch).collect(),
            ..Model::default()
        }
    }

    fn settle(&self, folder: &Path) {
        let tables = oracle::sound_tables(&store_in(folder)).unwrap().expect("the store is there");
        let promised = self.model(0).tables();
        assert!(tables == promised, "the store is not what was promised: {}", tables.unlike(&promised));
    }
}
