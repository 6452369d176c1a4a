//! A connection to PostgreSQL: read-only, with limits for each statement.

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
/// A limit is not set anew while the one that stands is at most so much longer, and not longer than it should be.
const SLACK: u32 = 2;
/// The most columns that a statement here selects.
const MAX_COLUMNS: usize = 8;

/// What every session is set to: it only reads, texts are the same whatever the server is set to, no statement takes more than one of the
/// server's processes, and a session that is left alone ends (from PostgreSQL 14 on).
const SETTINGS: &str = "SELECT set_config(name, wanted, false)::text FROM pg_settings JOIN (VALUES
    ('default_transaction_read_only', 'on'), ('TimeZone', 'UTC'), ('DateStyle', 'ISO, YMD'), ('extra_float_digits', '1'),
    ('bytea_output', 'hex'), ('standard_conforming_strings', 'on'), ('jit', 'off'), ('max_parallel_workers_per_gather', '0'),
    ('idle_session_timeout', '60s')) AS wanted(wanted_name, wanted) ON name = wanted_name";
const LIMITS: &str =
    "SELECT set_config('statement_timeout', $1, false), set_config('lock_timeout', $2, false)";

pub(super) struct Link {
    client: Client,
    /// The limit of a statement that the session has.
    limit: Option<Duration>,
}

impl Link {
    pub(super) fn open(config: &Config, limit: Duration) -> Result<Self, SourceError> {
        let mut config = config.clone();
        let limit = config.get_connect_timeout().copied().unwrap_or(CONNECT_LIMIT).min(limit);
        // A limit of zero would be none.
        config.connect_timeout(limit.max(Duration::from_millis(1)));
        let client = config.connect(NoTls).map_err(|error| failure::unreachable(&error))?;
        let mut link = Self { client, limit: None };
        link.client.query_typed(SETTINGS, &[]).map_err(|error| failure::unreachable(&error))?;
        Ok(link)
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
        self.set_limit(limit)?;
        let values: Vec<String> = statement.values().iter().map(text).collect();
        let values: Vec<(&(dyn ToSql + Sync), Type)> =
            values.iter().map(|value| (value as &(dyn ToSql + Sync), Type::TEXT)).collect();
        let rows =
            self.client.query_typed(statement.text(), &values).map_err(|error| failure::halt(&error))?;
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

    fn set_limit(&mut self, limit: Duration) -> Result<(), Halt> {
        let stands = |set: Duration| set <= limit && limit <= set * SLACK;
        if self.limit.is_some_and(stands) {
            return Ok(());
        }
        let milliseconds = |limit: Duration| limit.as_millis().max(1).to_string();
        let (statement, lock) = (milliseconds(limit), milliseconds(LOCK_WAIT.min(limit / 2)));
        let values: [(&(dyn ToSql + Sync), Type); 2] = [(&statement, Type::TEXT), (&lock, Type::TEXT)];
        self.client.query_typed(LIMITS, &values).map_err(|error| failure::halt(&error))?;
        self.limit = Some(limit);
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
