//! A file that is none: what a store's writer would have on its disk, kept in memory, with faults on demand.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::definition::rule::Rule;
use crate::error::{Error, ErrorKind};
use crate::storage::batch::{Batch, LedgerEntry, SeriesId};
use crate::storage::retention::Retention;
use crate::storage::{Commit, Pass, Recording, Writer};
use crate::sync::{Condvar, Mutex, step};
use crate::time::timestamp::Timestamp;

/// What a commit does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Fail,
    ApplyThenFail,
    Panic,
    ApplyThenPanic,
    /// It does not return before it is let go.
    Hang,
}

/// What is on the disk. Tests look at it without a step.
#[derive(Debug, Clone, Default)]
pub(crate) struct Contents {
    /// The events that the ledger has as stored.
    pub(crate) events: u64,
    pub(crate) lost: u64,
    pub(crate) refused: u64,
    /// A bit for each event of value `2^n`.
    pub(crate) valued: u64,
    /// Events without a value.
    pub(crate) opened: u64,
    /// Batches of imports.
    pub(crate) imports: u64,
    sequences: BTreeMap<[u8; 16], u64>,
}

pub(crate) struct File {
    rules: Vec<Rule>,
    contents: parking_lot::Mutex<Contents>,
    /// What the next commits do; then they succeed.
    faults: parking_lot::Mutex<VecDeque<Fault>>,
    /// The content of each batch of which a commit was tried, by producer and number.
    tried: parking_lot::Mutex<BTreeMap<([u8; 16], u64), String>>,
    hangs: Mutex<bool>,
    let_go: Condvar,
}

/// The file's one writer.
pub(crate) struct FileWriter(pub(crate) Arc<File>);

impl File {
    pub(crate) fn new(rules: &[Rule], faults: impl IntoIterator<Item = Fault>) -> Arc<Self> {
        Arc::new(Self {
            rules: rules.to_vec(),
            contents: parking_lot::Mutex::default(),
            faults: parking_lot::Mutex::new(faults.into_iter().collect()),
            tried: parking_lot::Mutex::default(),
            hangs: Mutex::new(true),
            let_go: Condvar::new(),
        })
    }

    pub(crate) fn contents(&self) -> Contents {
        self.contents.lock().clone()
    }

    /// Lets commits that hang go on, and no later one hang.
    pub(crate) fn let_go(&self) {
        *self.hangs.lock() = false;
        self.let_go.notify_all();
    }

    fn hang(&self) {
        let mut hangs = self.hangs.lock();
        while *hangs {
            self.let_go.wait(&mut hangs);
        }
    }

    fn apply(&self, batch: &Batch) -> Commit {
        step();
        let mut contents = self.contents.lock();
        let last = contents.sequences.entry(batch.producer.0).or_default();
        if batch.sequence <= *last {
            return Commit::Repeated;
        }
        *last = batch.sequence;
        let rule = |id: &SeriesId| &self.rules[usize::try_from(id.0).unwrap()];
        for (id, _, count) in &batch.counts {
            if rule(id).event() == "opened" {
                contents.opened += count;
            }
        }
        let valued = valued(batch);
        assert_eq!(contents.valued & valued, 0, "an event counts twice");
        contents.valued |= valued;
        for (entry, count) in &batch.ledger {
            match entry {
                LedgerEntry::Stored => contents.events += count,
                LedgerEntry::Lost(_) => contents.lost += count,
                LedgerEntry::Refused(_) => contents.refused += count,
                LedgerEntry::Noted("import") => contents.imports += count,
                LedgerEntry::Noted(_) => (),
            }
        }
        let sums_up = contents.events == u64::from(contents.valued.count_ones()) + contents.opened;
        assert!(sums_up, "the parts of a batch disagree, or an event counts twice: {contents:?}");
        drop(contents);
        step();
        Commit::Applied
    }
}

/// The events of a batch, each a bit: their values are different powers of two.
fn valued(batch: &Batch) -> u64 {
    batch.sums.iter().map(|(_, _, sum)| sum.value() as u64).sum()
}

impl Writer for FileWriter {
    fn commit(&mut self, batch: &Batch) -> Result<Commit, Error> {
        step();
        let content = format!("{:?} {:?} {:?}", batch.counts, batch.sums, batch.ledger);
        let number = (batch.producer.0, batch.sequence);
        let before = self.0.tried.lock().entry(number).or_insert_with(|| content.clone()).clone();
        assert_eq!(before, content, "a batch has changed before its fate was known");
        let fault = self.0.faults.lock().pop_front();
        match fault {
            None => Ok(self.0.apply(batch)),
            Some(Fault::Fail) => Err(no_room()),
            Some(Fault::ApplyThenFail) => {
                self.0.apply(batch);
                Err(no_room())
            }
            Some(Fault::Panic) => panic!("a panic put in by a test"),
            Some(Fault::ApplyThenPanic) => {
                let commit = self.0.apply(batch);
                panic!("a panic put in by a test: {commit:?}")
            }
            Some(Fault::Hang) => {
                self.0.hang();
                Ok(self.0.apply(batch))
            }
        }
    }

    fn retain(&mut self, _: Timestamp) -> Result<Pass, Error> {
        step();
        Ok(Pass::DONE)
    }

    fn register(&mut self, _: &[Rule], _: Recording, _: Timestamp) -> Result<Vec<SeriesId>, Error> {
        Ok(Vec::new())
    }

    fn value_names(&mut self, _: SeriesId) -> Result<Vec<String>, Error> {
        Ok(Vec::new())
    }

    fn keep_definitions(&mut self, _: &str, _: &str, _: Timestamp) -> Result<(), Error> {
        Ok(())
    }

    fn set_retention(&mut self, _: Retention, _: Timestamp) -> Result<(), Error> {
        Ok(())
    }
}

fn no_room() -> Error {
    Error::new(ErrorKind::StoreFull, "the disk of the test is full")
}
