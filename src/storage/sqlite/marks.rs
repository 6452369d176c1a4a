//! Marks: instants that people have given a name.

use rusqlite::{Connection, Transaction, params};

use crate::error::{Error, ErrorKind};
use crate::storage::batch::Marking;
use crate::storage::mark::Mark;
use crate::storage::sqlite::failure::During;
use crate::time::timestamp::Timestamp;

/// Marks are read all at once.
const MAX_MARKS: i64 = 10_000;

const SELECT: &str = "SELECT name, at FROM marks ORDER BY at, name";
const MAKE: &str = "INSERT INTO marks (name, at, made) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO NOTHING";
const PUT: &str = "INSERT INTO marks (name, at, made) VALUES (?1, ?2, ?3)
     ON CONFLICT (name) DO UPDATE SET at = excluded.at, made = excluded.made";
const REMOVE: &str = "DELETE FROM marks WHERE name = ?1";
const COUNT_OTHERS: &str = "SELECT count(*) FROM marks WHERE name != ?1";

/// Every mark, by time.
pub(crate) fn all(connection: &Connection) -> Result<Vec<Mark>, Error> {
    let mut select = connection.prepare_cached(SELECT).during("reading the marks")?;
    let marks = select
        .query_map([], |row| Ok(Mark { name: row.get(0)?, at: Timestamp::from_unix_seconds(row.get(1)?) }))
        .during("reading the marks")?;
    marks.collect::<rusqlite::Result<_>>().during("reading the marks")
}

/// Whether the mark is as asked for by this call: `false` if it was there already, or was not there to be removed.
pub(crate) fn put(transaction: &Transaction<'_>, marking: &Marking, now: Timestamp) -> Result<bool, Error> {
    let made = now.unix_seconds();
    if let Marking::Make(mark) | Marking::Put(mark) = marking {
        let others: i64 = transaction
            .query_row(COUNT_OTHERS, params![mark.name], |row| row.get(0))
            .during("counting the marks")?;
        if others >= MAX_MARKS {
            return Err(Error::new(
                ErrorKind::Usage,
                format!(
                    "the store has {MAX_MARKS} marks, which is the most; remove some to make `{}`",
                    mark.name
                ),
            ));
        }
    }
    let rows = match marking {
        Marking::Make(mark) => transaction.execute(MAKE, params![mark.name, mark.at.unix_seconds(), made]),
        Marking::Put(mark) => transaction.execute(PUT, params![mark.name, mark.at.unix_seconds(), made]),
        Marking::Remove { name } => transaction.execute(REMOVE, params![name]),
    };
    Ok(rows.during("setting a mark")? == 1)
}
