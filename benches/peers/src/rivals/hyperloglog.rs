//! The crate hyperloglogplus: its sketches, stored as their serde form, and united to answer.

use std::hash::{BuildHasher, Hasher};
use std::path::Path;

use hyperloglogplus::{HyperLogLog, HyperLogLogPlus};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use crate::Done;

/// As many registers as headcount and Redis have.
const PRECISION: u8 = 14;

/// Identifiers are mixed numbers, so that hashing costs the rival nothing.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct NoHash;

pub(crate) struct Same(u64);

impl BuildHasher for NoHash {
    type Hasher = Same;

    fn build_hasher(&self) -> Same {
        Same(0)
    }
}

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

pub(crate) type Sketch = HyperLogLogPlus<u64, NoHash>;

/// The sketch of some hashes, as bytes.
pub(crate) fn blob(hashes: impl Iterator<Item = u64>) -> Done<Vec<u8>> {
    let mut sketch = Sketch::new(PRECISION, NoHash)?;
    for hash in hashes {
        sketch.insert(&hash);
    }
    Ok(postcard::to_stdvec(&sketch)?)
}

/// Blobs by metric and day in a SQLite file, in the order in which they are asked for.
pub(crate) struct Blobs(Connection);

impl Blobs {
    pub(crate) fn create(path: &Path) -> Done<Self> {
        let connection = Connection::open(path)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL;
             CREATE TABLE blobs (metric INTEGER, day INTEGER, blob BLOB, PRIMARY KEY (metric, day)) WITHOUT ROWID;
             BEGIN;",
        )?;
        Ok(Self(connection))
    }

    pub(crate) fn put(&self, metric: usize, day: usize, blob: &[u8]) -> Done {
        let mut insert = self.0.prepare_cached("INSERT INTO blobs VALUES (?1, ?2, ?3)")?;
        insert.execute(params![i64::try_from(metric)?, i64::try_from(day)?, blob])?;
        Ok(())
    }

    pub(crate) fn commit(&self) -> Done {
        Ok(self.0.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)")?)
    }

    /// How many a metric has over all its days.
    pub(crate) fn count(&self, metric: usize) -> Done<f64> {
        let mut union = Sketch::new(PRECISION, NoHash)?;
        let mut select = self.0.prepare_cached("SELECT blob FROM blobs WHERE metric = ?1")?;
        let mut rows = select.query([i64::try_from(metric)?])?;
        while let Some(row) = rows.next()? {
            let sketch: Sketch = postcard::from_bytes(row.get_ref(0)?.as_blob()?)?;
            union.merge(&sketch)?;
        }
        Ok(union.count())
    }
}
