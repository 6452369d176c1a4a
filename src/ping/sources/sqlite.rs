//! Metrics of a host program's SQLite database.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, params_from_iter};

use crate::ping::source::{Asked, MetricSource, SourceError, SourceFault};
use crate::ping::sources::catalogue::{Column, Kind, MAX_NAMES, Relation, no_relation};
use crate::ping::sources::database::{DatabaseMetric, DatabaseOperation};
use crate::ping::sources::engine::{Engine, Folding, Halt, TakeRow, write_fault_of_seconds};
use crate::ping::sources::statement::{Cell, CellRef, Statement, TypeName};
use crate::ping::sources::walk;
use crate::ping::value::PingValue;
use crate::time::range::TimeRange;
use crate::time::timestamp::Timestamp;

/// How long a statement waits for a lock that another connection has.
const LOCK_WAIT: Duration = Duration::from_secs(1);
/// Instructions of SQLite's machine between two looks at the clock.
const STEPS_PER_LOOK: i32 = 1_000;
const DAY_SECONDS: i64 = 86_400;

/// The metrics of an SQLite database: each that declares a `relation` in its `options`, or is given here.
///
/// Every metric has a connection of its own, which only reads and is closed with the answer. It walks the relation by the primary key
/// (or the rowid) in batches of 50,000 or 100,000 rows, each of which is a statement outside of any transaction: a writer waits for one
/// batch at most, and rows that change meanwhile are counted before or after. A batch that passes its limit is halved.
///
/// Names must be written as the schema has them. `VACUUM` while a table without a primary key is walked may count rows twice or not at all.
///
/// ```no_run
/// use headcount::{DataSource, DatabaseMetric, Sources, SqliteSource};
///
/// let database = SqliteSource::new("/var/lib/tracker/tracker.db");
/// let opened = DatabaseMetric::count("issues").filter("state", "opened").timestamp("created_at");
/// let sources = Sources::new()
///     .key_path("counts.issues_opened_weekly", database.metric(opened))
///     .data_source_from(DataSource::Database, database);
/// # let _ = sources;
/// ```
#[derive(Clone)]
pub struct SqliteSource {
    path: Arc<Path>,
    query_limit: Duration,
}

impl SqliteSource {
    /// The database in this file; it is opened when the first metric is asked.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into().into(), query_limit: walk::QUERY_LIMIT }
    }

    /// Sets how long one statement may take, 5 seconds by default, and never more than half of what its metric has left.
    #[must_use]
    pub fn query_limit(mut self, limit: Duration) -> Self {
        self.query_limit = limit;
        self
    }

    /// A source of one metric.
    pub fn metric(
        &self,
        metric: DatabaseMetric,
    ) -> impl Fn(&Asked) -> Result<PingValue, SourceError> + Send + Sync + use<> {
        let source = self.clone();
        move |asked: &Asked| source.ask(&metric, asked)
    }

    fn ask(&self, metric: &DatabaseMetric, asked: &Asked) -> Result<PingValue, SourceError> {
        let mut engine = Sqlite::open(&self.path)?;
        walk::ask(&mut engine, metric, asked, self.query_limit)
    }
}

impl MetricSource for SqliteSource {
    fn value(&self, asked: &Asked) -> Result<PingValue, SourceError> {
        self.ask(&DatabaseMetric::of_asked(asked)?, asked)
    }
}

impl fmt::Debug for SqliteSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteSource").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A connection.
struct Sqlite {
    connection: Connection,
    path: PathBuf,
}

impl Sqlite {
    fn open(path: &Path) -> Result<Self, SourceError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || {
            let connection = Connection::open_with_flags(path, flags)?;
            // An unknown name in double quotes would be a text else.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
            Ok(connection)
        };
        let connection = open().map_err(|error: rusqlite::Error| {
            let what = format!("the database {} could not be opened: {error}", path.display());
            SourceError::new(SourceFault::Unreachable, what)
        })?;
        Ok(Self { connection, path: path.to_owned() })
    }

    fn run(&mut self, statement: &Statement, limit: Duration, take: TakeRow<'_>) -> Result<(), Stop> {
        let until = Instant::now() + limit;
        self.connection.busy_timeout(LOCK_WAIT.min(limit))?;
        self.connection.progress_handler(STEPS_PER_LOOK, Some(move || Instant::now() >= until))?;
        let mut prepared = self.connection.prepare(statement.text())?;
        let columns = prepared.column_count();
        let mut rows = prepared.query(params_from_iter(statement.values()))?;
        while let Some(row) = rows.next()? {
            let mut cells = [CellRef::Null; MAX_COLUMNS];
            for (at, cell) in cells.iter_mut().enumerate().take(columns) {
                *cell = match row.get_ref(at)? {
                    ValueRef::Null => CellRef::Null,
                    ValueRef::Integer(number) => CellRef::Integer(number),
                    ValueRef::Real(number) => CellRef::Number(number),
                    ValueRef::Text(text) => CellRef::Text(text),
                    ValueRef::Blob(bytes) => CellRef::Bytes(bytes),
                };
            }
            take(cells.get(..columns).unwrap_or_default()).map_err(Stop::Refused)?;
        }
        Ok(())
    }

    fn halt(&self, error: &rusqlite::Error) -> Halt {
        let name = self.path.display();
        let (fault, what) = match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => return Halt::TimedOut,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                (SourceFault::Locked, format!("the database {name} is locked by another connection"))
            }
            Some(ErrorCode::CannotOpen | ErrorCode::SystemIoFailure | ErrorCode::NotADatabase) => {
                (SourceFault::Unreachable, format!("the database {name} cannot be read: {error}"))
            }
            _ if is_missing(error) => {
                (SourceFault::Missing, format!("the database {name} has changed: {error}"))
            }
            _ => (SourceFault::Failed, format!("the database {name}: {error}")),
        };
        Halt::Fault(SourceError::new(fault, what))
    }

    /// Whether there is a table that numbers its rows.
    fn has_rowid(&mut self, name: &str, limit: Duration) -> Result<Option<bool>, Halt> {
        let mut select = Statement::new(
            "SELECT type = 'table' AND NOT wr FROM pragma_table_list WHERE schema = 'main' AND name = ",
        );
        select.value(Cell::Text(name.to_owned()));
        let mut found = None;
        self.rows(&select, limit, &mut |row| {
            found = Some(matches!(row, [CellRef::Integer(1)]));
            Ok(())
        })?;
        Ok(found)
    }
}

/// The most columns that a statement here selects.
const MAX_COLUMNS: usize = 4;

/// Why rows are read no further.
enum Stop {
    Database(rusqlite::Error),
    Refused(SourceError),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

fn is_missing(error: &rusqlite::Error) -> bool {
    let told = error.to_string();
    told.contains("no such table") || told.contains("no such column")
}

impl Engine for Sqlite {
    fn relation(&mut self, name: &str, limit: Duration) -> Result<Relation, Halt> {
        let Some(has_rowid) = self.has_rowid(name, limit)? else {
            let mut select =
                Statement::new("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') LIMIT ");
            select.number(MAX_NAMES);
            let known = self.texts(&select, limit)?;
            return Err(no_relation(name, known.iter().map(String::as_str)).into());
        };
        let mut select = Statement::new("SELECT name, \"notnull\", pk FROM pragma_table_xinfo(");
        select.value(Cell::Text(name.to_owned())).sql(")");
        let mut columns = Vec::new();
        let mut key = Vec::new();
        self.rows(&select, limit, &mut |row| {
            if let [CellRef::Text(name), CellRef::Integer(is_filled), CellRef::Integer(pk)] = row {
                let name = String::from_utf8_lossy(name).into_owned();
                let column = column(name, *is_filled == 0);
                if *pk > 0 {
                    key.push(column.clone());
                }
                columns.push(column);
            }
            Ok(())
        })?;
        let is_free =
            |name: &&str| !columns.iter().any(|column: &Column| column.name.eq_ignore_ascii_case(name));
        let key = match key.as_slice() {
            [only] => Some(only.clone()),
            // Views and virtual tables number nothing that could be relied on.
            _ if has_rowid => ["rowid", "_rowid_", "oid"]
                .iter()
                .find(|name| is_free(name))
                .map(|name| column((*name).to_owned(), false)),
            _ => None,
        };
        Ok(Relation { path: vec![name.to_owned()], columns, key })
    }

    fn rows(&mut self, statement: &Statement, limit: Duration, take: TakeRow<'_>) -> Result<(), Halt> {
        self.run(statement, limit, take).map_err(|stop| match stop {
            Stop::Database(error) => self.halt(&error),
            Stop::Refused(error) => Halt::Fault(error),
        })
    }

    fn renew(&mut self, _: Duration) -> Result<(), SourceError> {
        *self = Self::open(&self.path)?;
        Ok(())
    }

    fn write_key(&self, statement: &mut Statement, column: &Column) {
        statement.name(&column.name);
    }

    fn write_value(&self, statement: &mut Statement, _: &Column, value: Cell) {
        statement.value(value);
    }

    /// Whole days, so that texts compare as they are, up to their first ten letters: dates, and times of UTC however they are written.
    /// Only a text that ends in an offset is converted, when it lies within a day of the range.
    fn write_range(
        &self,
        statement: &mut Statement,
        column: &Column,
        range: TimeRange,
    ) -> Result<(), SourceError> {
        let (from, to) = (range.from(), range.to());
        let name = column.name.as_str();
        let seconds = |statement: &mut Statement| {
            statement.sql(" >= ").value(Cell::Integer(from.unix_seconds())).sql(" AND ");
        };
        let date = |days: i64, at: Timestamp| {
            Cell::Text(at.plus_seconds(days * DAY_SECONDS).to_string().chars().take(10).collect())
        };
        statement.sql("CASE typeof(").name(name).sql(") WHEN 'integer' THEN ").name(name);
        seconds(statement);
        statement.name(name).sql(" < ").value(Cell::Integer(to.unix_seconds()));
        statement.sql(" WHEN 'text' THEN ").name(name).sql(" >= ").value(date(-1, from));
        statement.sql(" AND ").name(name).sql(" < ").value(date(1, to));
        statement.sql(" AND CASE WHEN length(").name(name).sql(") > 16 AND substr(").name(name);
        statement.sql(", -6, 1) IN ('+', '-') THEN unixepoch(").name(name).sql(")");
        seconds(statement);
        statement.sql("unixepoch(").name(name).sql(") < ").value(Cell::Integer(to.unix_seconds()));
        statement.sql(" ELSE ").name(name).sql(" >= ").value(date(0, from));
        statement.sql(" AND ").name(name).sql(" < ").value(date(0, to)).sql(" END END");
        Ok(())
    }

    fn write_selected(
        &self,
        statement: &mut Statement,
        operation: DatabaseOperation,
        column: Option<&Column>,
    ) -> Result<(), SourceError> {
        match (operation, column) {
            (DatabaseOperation::DistinctCount, Some(column)) => statement.name(&column.name),
            // Texts that begin as numbers count as those, as for SQLite's own sum, which overflows where this does not.
            (DatabaseOperation::Sum | DatabaseOperation::Average, Some(column)) => {
                statement.name(&column.name).sql(" + 0")
            }
            _ => statement.sql("count(*)"),
        };
        Ok(())
    }

    fn folding(&mut self, relation: &Relation, column: &Column, limit: Duration) -> Result<Folding, Halt> {
        // Of a compound the first column's collation decides which texts are the same.
        let from = |probe: &mut Statement| {
            probe.name(&column.name).sql(" FROM ");
            relation.write(probe);
        };
        let mut folding = Folding::Bytes;
        let mut probe = Statement::new("SELECT (SELECT count(*) FROM (SELECT ");
        from(&mut probe);
        probe.sql(" WHERE 0 UNION SELECT 'a' UNION SELECT 'A')), (SELECT count(*) FROM (SELECT ");
        from(&mut probe);
        probe.sql(" WHERE 0 UNION SELECT 'a' UNION SELECT 'a '))");
        self.rows(&probe, limit, &mut |row| {
            folding = match row {
                [CellRef::Integer(1), _] => Folding::AsciiCase,
                [_, CellRef::Integer(1)] => Folding::TrailingSpaces,
                _ => Folding::Bytes,
            };
            Ok(())
        })?;
        Ok(folding)
    }

    /// A text must be written so that [`Self::write_range`] compares it rightly, and SQLite must read it too: `unixepoch` alone takes
    /// numbers and times of no day, and offsets of no other form than `+05:30`.
    fn write_fault_of_time(&self, statement: &mut Statement, column: &Column) -> bool {
        let name = column.name.as_str();
        statement.sql("CASE typeof(").name(name).sql(") WHEN 'null' THEN NULL WHEN 'integer' THEN ");
        write_fault_of_seconds(statement, column);
        statement.sql(" WHEN 'text' THEN CASE WHEN ").name(name);
        statement.sql(" GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*' AND substr(").name(name);
        statement.sql(", -1) GLOB '[0-9Zz]' AND unixepoch(").name(name);
        statement.sql(") IS NOT NULL THEN NULL ELSE 'a text of another form' END");
        statement.sql(" WHEN 'real' THEN 'a number that is not whole' ELSE 'bytes' END");
        true
    }
}

fn column(name: String, is_nullable: bool) -> Column {
    Column { name, type_name: TypeName(String::new()), kind: Kind::Any, is_nullable }
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Boolean(is) => ToSqlOutput::Owned(Value::Integer((*is).into())),
            Self::Integer(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            Self::Number(number) => ToSqlOutput::Owned(Value::Real(*number)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}
