//! A connection to PostgreSQL: each statement in a transaction of its own, which only reads and has limits in time.

use std::time::Duration;

use postgres::types::{ToSql, Type};
use postgres::{Client, Config, NoTls};

use crate::ping::source::SourceError;
use crate::ping::sources::engine::{Halt, TakeRow};
use crate::ping::sources::postgres::failure;
use crate::ping::sources::statement::{Cell, CellRef, Statement};

/// The longest that a connection may take to be made.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long a statement waits for a lock.
const LOCK_WAIT: Duration = Duration::from_secs(1);
/// The most columns that a statement here selects.
const MAX_COLUMNS: usize = 8;

/// What every statement runs under: it only reads, texts are the same whatever the server is set to, it takes no more than one of the
/// server's processes, and a transaction that is left alone ends. None of it outlives the transaction: behind a pooler the session is
/// somebody else's next.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD';
    SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; SET LOCAL standard_conforming_strings = on; SET LOCAL jit = off;
    SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL idle_in_transaction_session_timeout = '10s'";

pub(super) struct Link {
    client: Client,
}

impl Link {
    pub(super) fn open(config: &Config, limit: Duration) -> Result<Self, SourceError> {
        let mut config = config.clone();
        let limit = config.get_connect_timeout().copied().unwrap_or(CONNECT_LIMIT).min(limit);
        // A limit of zero would be none.
        config.connect_timeout(limit.max(Duration::from_millis(1)));
        let client = config.connect(NoTls).map_err(|error| failure::unreachable(&error))?;
        Ok(Self { client })
    }

    pub(super) fn is_open(&self) -> bool {
        !self.client.is_closed()
    }

    /// Takes every row of a statement, whose columns are texts.
    pub(super) fn rows(
        &mut self,
        statement: &Statement,
        limit: Duration,
        take: TakeRow<'_>,
    ) -> Result<(), Halt> {
        let values: Vec<String> = statement.values().iter().map(text).collect();
        let values: Vec<(&(dyn ToSql + Sync), Type)> =
            values.iter().map(|value| (value as &(dyn ToSql + Sync), Type::TEXT)).collect();
        let milliseconds = |limit: Duration| limit.as_millis().max(1);
        let (all, lock) = (milliseconds(limit), milliseconds(LOCK_WAIT.min(limit / 2)));
        let begin = format!("{BEGIN}; SET LOCAL statement_timeout = {all}; SET LOCAL lock_timeout = {lock}");
        let rows = self
            .client
            .batch_execute(&begin)
            .and_then(|()| self.client.query_typed(statement.text(), &values));
        // Nothing was written. Before the rows are looked at, so that no snapshot waits for that.
        let ended = self.client.batch_execute("ROLLBACK");
        let rows = rows.and_then(|rows| ended.map(|()| rows)).map_err(|error| failure::halt(&error))?;
        for row in &rows {
            let mut cells = [CellRef::Null; MAX_COLUMNS];
            for (at, cell) in cells.iter_mut().enumerate().take(row.len()) {
                let text: Option<&str> = row.try_get(at).map_err(|error| failure::halt(&error))?;
                *cell = text.map_or(CellRef::Null, |text| CellRef::Text(text.as_bytes()));
            }
            take(cells.get(..row.len()).unwrap_or_default())?;
        }
        Ok(())
    }
}

fn text(value: &Cell) -> String {
    match value {
        Cell::Boolean(is) => is.to_string(),
        Cell::Integer(number) => number.to_string(),
        Cell::Number(number) => number.to_string(),
        Cell::Text(text) => text.clone(),
        Cell::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}
