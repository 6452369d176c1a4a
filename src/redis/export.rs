//! Handing to Redis what a store has counted.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use crate::error::{Error, ErrorKind, plain};
use crate::ping::Ping;
use crate::redis::bring::{Bringer, Look, entries};
use crate::redis::holdings::{Held, Holdings, holdings, redis_string};
use crate::redis::mark::Marks;
use crate::redis::names::RedisNames;
use crate::redis::patience::Patient;
use crate::report::evaluate::Amount;
use crate::report::reader::Reader;

/// For how long an outage is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Hands what a store has counted to a Redis, under GitLab's keys and with their expiry, so that what reads those goes on.
///
/// Counts and values come out exact, sums as doubles, and registers bit by bit. Distinct ones that are few are exact in a store, and
/// come out with the error of registers ([`RedisExported::small_uniques`]). Keys of all time do not end; those of the last six weeks
/// end when GitLab's would.
///
/// Beside the keys stand marks of this store, by which an export can be repeated, after an interruption too: it brings the difference.
/// Keys that the store did not write are refused, unless they may be overwritten.
///
/// ```no_run
/// use headcount::{Reader, RedisExport};
///
/// let exported = RedisExport::new().to_server(&Reader::open("usage.db")?, "redis://localhost/0")?;
/// println!("{} keys written", exported.written);
/// # Ok::<(), headcount::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "it exports nothing until it is given a store"]
pub struct RedisExport {
    names: RedisNames,
    overwrite: bool,
}

/// What an export has written.
///
/// ```
/// assert_eq!(headcount::RedisExported::default().written, 0);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RedisExported {
    /// Keys that were written.
    pub written: u64,
    /// Keys that were there as they should be.
    pub unchanged: u64,
    /// Sets of distinct ones that are exact in the store and have the error of registers, 0.81 %, in Redis.
    pub small_uniques: u64,
    /// Keys that are not written since the store cannot tell their value, with the reason.
    pub left_out: Vec<(String, String)>,
}

impl RedisExport {
    /// An export by GitLab's names.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keys are named so.
    pub fn names(mut self, names: RedisNames) -> Self {
        self.names = names;
        self
    }

    /// Writes over keys that the store did not write, and over those that somebody changed.
    pub fn overwrite(mut self) -> Self {
        self.overwrite = true;
        self
    }

    /// Brings a server, or a cluster, to what the store holds.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unreachable`]; [`ErrorKind::Redis`] where keys stand that are not from this store, and nothing is written then;
    /// [`ErrorKind::Definitions`]; the errors of reading the store. An export that failed is made again.
    pub fn to_server(&self, reader: &Reader, url: &str) -> Result<RedisExported, Error> {
        let now = reader.clock_now();
        let holdings = holdings(reader, &self.names, now)?;
        let marks = Marks::of(&Ping::of(reader).uuid()?);
        let mut bringer = Bringer::new(Patient::connect(url, PATIENCE)?, marks);
        if !self.overwrite {
            bringer.refuse_foreign(&holdings.held)?;
        }
        let brought = bringer.bring(&holdings, Look::AtKeys, self.overwrite, now)?;
        if !brought.foreign.is_empty() {
            return Err(bringer.refuse(&brought.foreign));
        }
        Ok(exported(holdings, brought.written, brought.unchanged))
    }

    /// Writes a new file of commands in Redis's protocol, for an empty database: `redis-cli --pipe < FILE`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] when there is a file of this name, or it cannot be written; [`ErrorKind::Definitions`]; the errors of reading
    /// the store.
    pub fn to_file(&self, reader: &Reader, path: impl AsRef<Path>) -> Result<RedisExported, Error> {
        let path = path.as_ref();
        let holdings = holdings(reader, &self.names, reader.clock_now())?;
        let marks = Marks::of(&Ping::of(reader).uuid()?);
        let failed = |error: std::io::Error| {
            Error::new(ErrorKind::Io, format!("{}: {}", path.display(), plain(&error))).with_source(error)
        };
        // A link fails where a name is taken; a file that is cut never has the name.
        let scratch = path.with_extension(format!("{}.new", std::process::id()));
        let written =
            write(&scratch, &holdings.held, &marks).and_then(|()| std::fs::hard_link(&scratch, path));
        let removed = std::fs::remove_file(&scratch);
        written.map_err(failed)?;
        removed.map_err(failed)?;
        let count = holdings.held.len() as u64;
        Ok(exported(holdings, count, 0))
    }
}

fn exported(holdings: Holdings, written: u64, unchanged: u64) -> RedisExported {
    RedisExported {
        written,
        unchanged,
        small_uniques: holdings.small_sketches(),
        left_out: holdings.left_out,
    }
}

fn write(path: &Path, held: &[Held], marks: &Marks) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut file = BufWriter::new(options.write(true).create_new(true).open(path)?);
    for held in held {
        let key = held.key.as_bytes();
        match &held.amount {
            Amount::Count(count) => command(&mut file, &[b"SET", key, count.to_string().as_bytes()])?,
            Amount::Sum(sum) => command(&mut file, &[b"SET", key, sum.to_string().as_bytes()])?,
            Amount::Unique(sketch) => command(&mut file, &[b"SET", key, &redis_string(sketch)])?,
            Amount::PerValue(values) => {
                command(&mut file, &[b"DEL", key])?;
                for (value, count) in values {
                    command(&mut file, &[b"HSET", key, value.as_bytes(), count.to_string().as_bytes()])?;
                }
            }
        }
        if let Some(at) = held.expires_at {
            command(&mut file, &[b"EXPIREAT", key, at.unix_seconds().to_string().as_bytes()])?;
        }
        let mark = marks.of_key(&held.key);
        for (name, value) in entries(held) {
            command(&mut file, &[b"HSET", mark.as_bytes(), name.as_bytes(), value.as_bytes()])?;
        }
    }
    file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()
}

fn command(file: &mut impl Write, words: &[&[u8]]) -> std::io::Result<()> {
    write!(file, "*{}\r\n", words.len())?;
    for word in words {
        write!(file, "${}\r\n", word.len())?;
        file.write_all(word)?;
        file.write_all(b"\r\n")?;
    }
    Ok(())
}
