//! What a program with SQLite alone would write: counts, and exact unique rows.

use std::path::Path;

use rusqlite::{Connection, params};
use tempfile::TempDir;

use crate::workload::{Happening, Workload};
use crate::{Done, check};

const DAY: i64 = 20_779;

/// A database with counts by day and in all, and a row for each user and project of a day.
pub(crate) struct Sqlite {
    connection: Connection,
    _folder: TempDir,
}

impl Sqlite {
    /// Write-ahead log, every commit synced, and as much cache as our live sketches may take.
    pub(crate) fn open() -> Done<Self> {
        let folder = tempfile::tempdir()?;
        let connection = Connection::open(Path::new(folder.path()).join("rival.db"))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -64 * 1024)?;
        connection.execute_batch(
            "CREATE TABLE days (day INTEGER, kind INTEGER, count INTEGER, PRIMARY KEY (day, kind)) WITHOUT ROWID;
             CREATE TABLE totals (kind INTEGER PRIMARY KEY, count INTEGER);
             CREATE TABLE users (day INTEGER, kind INTEGER, id INTEGER, PRIMARY KEY (day, kind, id)) WITHOUT ROWID;
             CREATE TABLE projects (day INTEGER, kind INTEGER, id INTEGER, PRIMARY KEY (day, kind, id)) WITHOUT ROWID;",
        )?;
        Ok(Self { connection, _folder: folder })
    }

    pub(crate) fn version() -> &'static str {
        rusqlite::version()
    }

    /// Counts events in one transaction.
    pub(crate) fn count(&mut self, events: &[Happening]) -> Done {
        let transaction = self.connection.transaction()?;
        {
            let mut day = transaction.prepare_cached(
                "INSERT INTO days VALUES (?1, ?2, 1) ON CONFLICT DO UPDATE SET count = count + 1",
            )?;
            let mut total = transaction.prepare_cached(
                "INSERT INTO totals VALUES (?1, 1) ON CONFLICT DO UPDATE SET count = count + 1",
            )?;
            let mut user = transaction.prepare_cached("INSERT OR IGNORE INTO users VALUES (?1, ?2, ?3)")?;
            let mut project =
                transaction.prepare_cached("INSERT OR IGNORE INTO projects VALUES (?1, ?2, ?3)")?;
            for event in events {
                day.execute(params![DAY, event.kind])?;
                total.execute([event.kind])?;
                user.execute(params![DAY, event.kind, event.user])?;
                project.execute(params![DAY, event.kind, event.project])?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Has all unique rows of a workload, so that no round pays for new ones.
    pub(crate) fn warm(&mut self, workload: &Workload) -> Done {
        let transaction = self.connection.transaction()?;
        for (table, id) in [("users", user as fn(&Happening) -> u32), ("projects", project)] {
            let mut pairs: Vec<_> = workload.events.iter().map(|event| (event.kind, id(event))).collect();
            pairs.sort_unstable();
            pairs.dedup();
            let mut insert = transaction.prepare(&format!("INSERT INTO {table} VALUES (?1, ?2, ?3)"))?;
            for (kind, id) in pairs {
                insert.execute(params![DAY, kind, id])?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// The totals, and that the days say the same.
    pub(crate) fn totals(&self, workload: &Workload) -> Done<Vec<u64>> {
        let read = |sql| -> Done<Vec<u64>> {
            let mut counts = vec![0; workload.names.len()];
            let mut select = self.connection.prepare(sql)?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                counts[usize::from(row.get::<_, u16>(0)?)] = row.get::<_, i64>(1)?.cast_unsigned();
            }
            Ok(counts)
        };
        let totals = read("SELECT kind, count FROM totals")?;
        check::same("SQLite's days", totals.clone(), read("SELECT kind, count FROM days")?)?;
        Ok(totals)
    }

    pub(crate) fn check_users(&self, workload: &Workload) -> Done {
        let sql = "SELECT count(*) FROM users WHERE kind = 0";
        let users: i64 = self.connection.query_row(sql, [], |row| row.get(0))?;
        check::same("SQLite's users", workload.users(0), users.cast_unsigned())
    }
}

fn user(event: &Happening) -> u32 {
    event.user
}

fn project(event: &Happening) -> u32 {
    event.project
}
