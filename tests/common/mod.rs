//! What several test files share: seeded chance, and the content of a store file by plain SQL.

#![allow(dead_code, reason = "each test file uses its own part")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "the helpers of tests may fail as tests do, and say their seeds"
)]

pub(crate) mod child;
pub(crate) mod figures;

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

/// SplitMix64: chance that replays from its seed, which is printed with every failure.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        println!("seed {seed}");
        Self(seed)
    }

    /// Chance that somebody else tells the seed of.
    pub(crate) fn quiet(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `bound - 1`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let choice = usize::try_from(self.below(choices.len() as u64)).unwrap();
        *choices.get(choice).unwrap()
    }
}

/// A second connection, which only reads.
pub(crate) fn connect(path: &Path) -> Connection {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

/// How often all events together are counted in the file.
pub(crate) fn counted(connection: &Connection) -> u64 {
    let sql = "SELECT coalesce(sum(count), 0) FROM counts JOIN series ON series.id = series
               WHERE bucket = 0 AND kind = 1 AND key NOT LIKE '%-%'";
    connection.prepare_cached(sql).unwrap().query_row([], |row| count(row, 0)).unwrap()
}

/// The ledger: `entry reason` and count.
pub(crate) fn ledger(path: &Path) -> BTreeMap<String, u64> {
    let connection = connect(path);
    let mut select = connection.prepare("SELECT trim(entry || ' ' || reason), count FROM ledger").unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, count(row, 1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

fn count(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|count| u64::try_from(count).unwrap())
}

/// A bucket and the key of a series.
pub(crate) type Cell = (i64, String);

/// What a store holds, by the names of its series, so that stores with other numbers compare.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Contents {
    pub(crate) counts: BTreeMap<Cell, u64>,
    pub(crate) sums: BTreeMap<Cell, f64>,
    pub(crate) sketches: BTreeMap<Cell, Vec<u8>>,
    pub(crate) per_value: BTreeMap<(i64, String, String), u64>,
}

pub(crate) fn contents(path: &Path) -> Contents {
    let connection = connect(path);
    let cells = |table: &str, column: &str| {
        format!("SELECT bucket, key, {column} FROM {table} JOIN series ON series.id = {table}.series")
    };
    let mut contents = Contents::default();
    let mut select = connection.prepare(&cells("counts", "count")).unwrap();
    let rows = select.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), count(row, 2)?))).unwrap();
    contents.counts = rows.map(Result::unwrap).collect();
    let mut select = connection.prepare(&cells("sums", "sum + carry")).unwrap();
    let rows = select.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?))).unwrap();
    contents.sums = rows.map(Result::unwrap).collect();
    let mut select = connection.prepare(&cells("sketches", "blob")).unwrap();
    let rows = select.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?))).unwrap();
    contents.sketches = rows.map(Result::unwrap).collect();
    let sql = "SELECT bucket, key, coalesce(text, '(other)'), count FROM per_value AS cell
               JOIN series ON series.id = cell.series
               LEFT JOIN value_names AS name ON name.series = cell.series AND name.value = cell.value";
    let mut select = connection.prepare(sql).unwrap();
    let rows =
        select.query_map([], |row| Ok(((row.get(0)?, row.get(1)?, row.get(2)?), count(row, 3)?))).unwrap();
    contents.per_value = rows.map(Result::unwrap).collect();
    contents
}

/// Every row of every table as text, but for the random identities of the store and its producers.
pub(crate) fn dump(path: &Path) -> Vec<String> {
    let connection = connect(path);
    let mut tables =
        connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut lines = Vec::new();
    for table in tables {
        let mut columns = connection.prepare("SELECT name FROM pragma_table_info(?1) ORDER BY cid").unwrap();
        let columns: Vec<String> =
            columns.query_map([&table], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let random = |column: &str| column == "uuid" || table == "producers" && column == "id";
        let shown: Vec<String> = columns
            .into_iter()
            .filter(|column| !random(column))
            .map(|column| format!("quote(\"{column}\")"))
            .collect();
        let sql = format!("SELECT {} FROM \"{table}\"", shown.join(" || '|' || "));
        let mut select = connection.prepare(&sql).unwrap();
        let rows = select.query_map([], |row| row.get::<_, String>(0)).unwrap();
        lines.extend(rows.map(|row| format!("{table}: {}", row.unwrap())));
    }
    lines
}

/// The number that the file has for a day.
pub(crate) fn day_bucket(unix_seconds: i64) -> i64 {
    2 << 40 | unix_seconds.div_euclid(86_400)
}
