//! Four processes that write one file, killed and halted at random, with a reader and a checkpointer beside.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use headcount::{ManualClock, Query, Reader};
use rusqlite::{Connection, OpenFlags};

use crate::common::child::{Child, acknowledge};
use crate::common::figures::{figure, seed};
use crate::common::{Chance, connect};
use crate::expected::{Expected, total};
use crate::stream::{self, EVENTS, Stream, noon};
use crate::tracking::{Habit, start};

pub(crate) const READER: &str = "reads";
pub(crate) const CHECKPOINTER: &str = "checkpoints";
pub(crate) const LOCKER: &str = "locks";
const FILE: &str = "HEADCOUNT_TEST_FILE";
/// The events of each batch: a total that it does not divide is half a batch.
const BATCH: u64 = 7;
const KILLS_BETWEEN_CHECKS: u64 = 25;

fn file() -> PathBuf {
    PathBuf::from(std::env::var(FILE).unwrap())
}

fn writers() -> &'static [&'static str] {
    EVENTS.split_first().unwrap().1
}

/// Reads the file for ever: totals never fall, and are whole batches.
pub(crate) fn read() {
    let reader = Reader::open(file()).unwrap().with_clock(ManualClock::new(noon()));
    let mut before = vec![0; writers().len()];
    for n in 1.. {
        for (event, before) in writers().iter().zip(&mut before) {
            let total = reader.value(&Query::total(*event)).unwrap().count().unwrap();
            assert!(total >= *before, "{event}: {before}, then {total}");
            assert_eq!(total % BATCH, 0, "{event}: half a batch is seen");
            *before = total;
            let users = reader.value(&Query::unique(*event, "user")).unwrap().count().unwrap();
            assert!(total == 0 || users > 0);
        }
        acknowledge(n);
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Empties the log for ever, as an administrator's program might.
pub(crate) fn checkpoint() {
    let connection = Connection::open_with_flags(file(), OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    connection.busy_timeout(Duration::from_millis(20)).unwrap();
    for n in 1.. {
        // Whether others were in the way does not matter.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)).unwrap();
        acknowledge(n);
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Takes the lock for writing and keeps it.
pub(crate) fn lock() {
    let connection = Connection::open_with_flags(file(), OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    acknowledge(1);
    std::thread::sleep(Duration::from_secs(3_600));
}

struct Writer {
    stream: Stream,
    child: Child,
}

struct Crowd {
    path: PathBuf,
    chance: Chance,
    expected: Expected,
    habit: Habit,
    writers: Vec<Writer>,
    reader: Child,
    checkpointer: Child,
}

impl Crowd {
    fn start(folder: &Path, seed: u64, habit: Habit) -> Self {
        let path = folder.join("shared.db");
        drop(stream::open(&path, Duration::from_secs(1)));
        let writers = writers().iter().map(|event| {
            let stream = Stream { event, seed, life: 0, size: Some(BATCH) };
            Writer { stream, child: start(&path, stream, habit) }
        });
        let variables = [(FILE, path.to_str().unwrap())];
        Self {
            chance: Chance::new(seed),
            expected: Expected::default(),
            habit,
            writers: writers.collect(),
            reader: Child::start(READER, &variables),
            checkpointer: Child::start(CHECKPOINTER, &variables),
            path,
        }
    }

    fn pause(&mut self, to_milliseconds: u64) {
        std::thread::sleep(Duration::from_micros(self.chance.below(to_milliseconds * 1_000)));
    }

    /// Kills one writer, which may be halted at that moment, judges what it left, and starts it again.
    fn kill_one(&mut self) -> Result<(), String> {
        let victim = usize::try_from(self.chance.below(self.writers.len() as u64)).unwrap();
        let is_halted = self.chance.below(3) == 0;
        let Writer { stream, child } = self.writers.swap_remove(victim);
        if is_halted {
            child.stop();
            self.pause(30);
        }
        self.expected.settle(&self.path, stream, child.kill().acknowledged(), true)?;
        let stream = Stream { life: stream.life + 1, ..stream };
        self.writers.push(Writer { stream, child: start(&self.path, stream, self.habit) });
        Ok(())
    }

    /// Halts one writer for a while, which may hold the lock; all go on behind it.
    fn halt_one(&mut self) {
        let place = usize::try_from(self.chance.below(self.writers.len() as u64)).unwrap();
        let halted = self.writers.get(place).unwrap();
        halted.child.stop();
        std::thread::sleep(Duration::from_micros(self.chance.below(50_000)));
        halted.child.resume();
    }

    /// Nobody has failed because of another, and everybody still gets ahead.
    fn all_go_on(&mut self) -> Result<(), String> {
        for Writer { stream, child } in &mut self.writers {
            if !child.is_running() {
                return Err(format!("{} ended by itself", stream.event));
            }
            child.goes_on();
        }
        for (child, who) in [(&mut self.reader, "the reader"), (&mut self.checkpointer, "the checkpointer")] {
            if !child.is_running() {
                return Err(format!("{who} ended by itself"));
            }
            child.goes_on();
        }
        Ok(())
    }

    /// Kills everybody, and compares the whole file. A batch whose writer was killed between its sync and its announcement to the
    /// others is seen only when nobody is left and the log is read anew, so that nobody is judged before.
    fn end(mut self) -> Result<u64, String> {
        self.reader.kill();
        self.checkpointer.kill();
        let killed: Vec<_> = self
            .writers
            .drain(..)
            .map(|Writer { stream, child }| (stream, child.kill().acknowledged()))
            .collect();
        for (stream, acknowledged) in killed {
            self.expected.settle(&self.path, stream, acknowledged, true)?;
        }
        self.expected.compare(&self.path)?;
        let fine: String =
            connect(&self.path).query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        if fine == "ok" { Ok(self.expected.events()) } else { Err(fine) }
    }
}

fn disturb(kills: u64, seed: u64, habit: Habit) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let mut crowd = Crowd::start(folder.path(), seed, habit);
    let mut halts = 0;
    let mut killed = 0;
    crowd.all_go_on()?;
    while killed < kills {
        crowd.pause(40);
        match crowd.chance.below(10) {
            0..=5 => {
                crowd.kill_one()?;
                killed += 1;
                if killed % KILLS_BETWEEN_CHECKS == 0 {
                    crowd.all_go_on()?;
                }
            }
            6..=8 => {
                crowd.halt_one();
                halts += 1;
            }
            _ => {
                let variables = [(FILE, crowd.path.to_str().unwrap())];
                let (reader, checkpointer) =
                    (Child::start(READER, &variables), Child::start(CHECKPOINTER, &variables));
                std::mem::replace(&mut crowd.reader, reader).kill();
                std::mem::replace(&mut crowd.checkpointer, checkpointer).kill();
            }
        }
    }
    crowd.all_go_on()?;
    let events = crowd.end()?;
    println!("{kills} kills, {halts} halts, {events} events, {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}

#[test]
fn writers_killed_and_halted_beside_each_other_lose_nothing_and_fail_nobody() {
    disturb(figure(100, 1_000), seed(), Habit::Flushes).unwrap();
}

#[test]
fn a_writer_that_acknowledges_early_is_found_out_among_others() {
    let found = disturb(200, seed(), Habit::AcknowledgesEarly).unwrap_err();
    assert!(found.contains("were acknowledged"), "{found}");
}

#[test]
fn a_halted_process_that_holds_the_lock_costs_delay_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shared.db");
    let stream = Stream { event: "page_viewed", seed: 1, life: 0, size: Some(BATCH) };
    let store = stream::open(&path, Duration::from_secs(3_600));
    let mut locker = Child::start(LOCKER, &[(FILE, path.to_str().unwrap())]);
    locker.wait_for("acked");
    locker.stop();
    let began = Instant::now();
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| {
            stream.batch(0).iter().for_each(|fact| fact.track(&store));
            store.flush()
        });
        std::thread::sleep(Duration::from_millis(500));
        // Tracking and answers do not wait for it.
        stream.batch(1).iter().for_each(|fact| fact.track(&store));
        assert_eq!(store.value(&Query::total("page_viewed")).unwrap().count(), Some(0));
        assert!(!flush.is_finished(), "the lock holds nobody up");
        locker.kill();
        flush.join().unwrap().unwrap();
    });
    println!("flushed {:?} after the lock was taken", began.elapsed());
    store.close().unwrap();
    assert_eq!(total(&path, "page_viewed"), 2 * BATCH);
}

/// Why every transaction begins by taking the lock: one that first reads fails at once where another wrote, however long it may wait.
#[test]
fn a_transaction_that_reads_before_it_writes_would_fail_where_others_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shared.db");
    drop(stream::open(&path, Duration::from_secs(1)));
    let open = || {
        let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        connection.busy_timeout(Duration::from_secs(30)).unwrap();
        connection
    };
    let (one, other) = (open(), open());
    let write = "UPDATE store SET committed = 1";
    one.execute_batch("BEGIN DEFERRED").unwrap();
    one.query_row("SELECT count(*) FROM store", [], |row| row.get::<_, i64>(0)).unwrap();
    other.execute_batch(write).unwrap();
    let began = Instant::now();
    let refused = one.execute_batch(write).unwrap_err();
    assert_eq!(refused.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseBusy), "{refused}");
    assert!(began.elapsed() < Duration::from_secs(20), "it waited");
}
