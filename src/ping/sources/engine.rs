//! What walking a relation needs of a database.

use std::time::Duration;

use crate::ping::source::SourceError;
use crate::ping::sources::catalogue::{Column, Relation};
use crate::ping::sources::database::DatabaseOperation;
use crate::ping::sources::statement::{Cell, CellRef, Statement};
use crate::time::range::TimeRange;

/// Why a statement came to no end.
#[derive(Debug)]
pub(crate) enum Halt {
    /// Its limit in time passed; a smaller piece may do.
    TimedOut,
    /// The connection broke; another one may do.
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "a file has no connection that breaks"))]
    Broken(SourceError),
    /// It would not do another time either.
    Fault(SourceError),
}

impl From<SourceError> for Halt {
    fn from(error: SourceError) -> Self {
        Self::Fault(error)
    }
}

/// Takes the cells of a row.
pub(crate) type TakeRow<'a> = &'a mut dyn FnMut(&[CellRef<'_>]) -> Result<(), SourceError>;

/// A connection to a database, and how its SQL is written. No statement leaves a transaction open.
pub(crate) trait Engine {
    /// What the catalogue says of a relation.
    fn relation(&mut self, name: &str, limit: Duration) -> Result<Relation, Halt>;

    /// Takes every row of a statement, within the limit.
    fn rows(&mut self, statement: &Statement, limit: Duration, take: TakeRow<'_>) -> Result<(), Halt>;

    /// The rows of a statement that selects one text.
    fn texts(&mut self, statement: &Statement, limit: Duration) -> Result<Vec<String>, Halt> {
        let mut texts = Vec::new();
        self.rows(statement, limit, &mut |row| {
            if let [CellRef::Text(text)] = row {
                texts.push(String::from_utf8_lossy(text).into_owned());
            }
            Ok(())
        })?;
        Ok(texts)
    }

    /// Makes the connection anew after it broke.
    fn renew(&mut self, limit: Duration) -> Result<(), SourceError>;

    /// Writes a column so that its value can be bound again.
    fn write_key(&self, statement: &mut Statement, column: &Column);

    /// Writes a value to compare the column with.
    fn write_value(&self, statement: &mut Statement, column: &Column, value: Cell);

    /// Writes that the column lies in the range.
    fn write_range(
        &self,
        statement: &mut Statement,
        column: &Column,
        range: TimeRange,
    ) -> Result<(), SourceError>;

    /// Writes what is selected of the rows, as [`Totals`](crate::ping::sources::totals::Totals) takes it: a count; or each value; or
    /// its sum, and of how many.
    fn write_selected(
        &self,
        statement: &mut Statement,
        operation: DatabaseOperation,
        column: Option<&Column>,
    ) -> Result<(), SourceError>;

    /// What makes two texts of the column the same.
    fn folding(&mut self, relation: &Relation, column: &Column, limit: Duration) -> Result<Folding, Halt>;

    /// Writes what is wrong with a value of the column as a time: a text, and NULL where nothing is. Writes nothing and says so where no
    /// value could be wrong.
    fn write_fault_of_time(&self, statement: &mut Statement, column: &Column) -> bool;
}

/// Writes what is wrong with a whole number as seconds since 1970. Nothing was recorded before 1973, and nothing is recorded past 2200;
/// 0 is what many columns have where no time is.
pub(crate) fn write_fault_of_seconds(statement: &mut Statement, column: &Column) {
    statement.sql("CASE WHEN ").name(&column.name);
    statement
        .sql(" > 7258118400 THEN 'a number of seconds past the year 2200, as milliseconds would be' WHEN ");
    statement.name(&column.name);
    statement.sql(
        " BETWEEN 1 AND 99999999 THEN 'a number of seconds before 1973, as days or minutes would be' END",
    );
}

/// What makes two texts of a column the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Folding {
    /// Their bytes.
    Bytes,
    /// Their bytes, but for ASCII letters of either case.
    AsciiCase,
    /// Their bytes, but for spaces at the end.
    TrailingSpaces,
}
