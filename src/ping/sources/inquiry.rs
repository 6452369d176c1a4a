//! The statements of one metric over a relation that the catalogue knows.

use crate::ping::source::SourceError;
use crate::ping::sources::catalogue::{Column, Relation};
use crate::ping::sources::database::{ColumnIs, Condition, DatabaseMetric, DatabaseOperation, invalid};
use crate::ping::sources::engine::Engine;
use crate::ping::sources::statement::{Cell, Statement};
use crate::ping::value::PingValue;
use crate::time::range::TimeRange;

/// A metric whose names were found.
#[derive(Debug)]
pub(crate) struct Inquiry {
    pub(crate) relation: Relation,
    /// The column by which the relation is walked.
    pub(crate) key: Column,
    pub(crate) operation: DatabaseOperation,
    pub(crate) column: Option<Column>,
    pub(crate) during: Option<(Column, TimeRange)>,
    conditions: Vec<(Column, ColumnIs)>,
}

/// A piece of a relation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Span<'a> {
    /// The rows without a key.
    Keyless,
    /// The rows behind a key up to another one, which is among them.
    Keys { after: Option<&'a Cell>, up_to: Option<&'a Cell> },
}

impl Inquiry {
    pub(crate) fn new(
        metric: &DatabaseMetric,
        relation: Relation,
        range: Option<TimeRange>,
    ) -> Result<Self, SourceError> {
        let find = |name: &Option<String>| name.as_ref().map(|name| relation.column(name)).transpose();
        let key = find(&metric.batch_column)?.or(relation.key.as_ref()).cloned().ok_or_else(|| {
            invalid(format!(
                "`{}` has no primary key of one column to walk by; name a column with an index as `batch_column`",
                relation.name()
            ))
        })?;
        let column = find(&metric.column)?.cloned();
        let during = find(&metric.timestamp_column)?.cloned().zip(range);
        let with_column = |condition: &Condition| -> Result<(Column, ColumnIs), SourceError> {
            Ok((relation.column(&condition.column)?.clone(), condition.is.clone()))
        };
        let conditions = metric.conditions.iter().map(with_column).collect::<Result<_, _>>()?;
        Ok(Self { key, operation: metric.operation, column, during, conditions, relation })
    }

    /// Finds the key of the row that ends a batch of `rows` rows behind `after`; there is none when fewer are left.
    pub(crate) fn boundary(&self, engine: &dyn Engine, after: Option<&Cell>, rows: u32) -> Statement {
        let mut statement = Statement::new("SELECT ");
        engine.write_key(&mut statement, &self.key);
        statement.sql(" FROM ");
        self.relation.write(&mut statement);
        statement.sql(" WHERE ").name(&self.key.name).sql(" IS NOT NULL");
        self.write_after(engine, &mut statement, after);
        // With its relation: a bare name would be that of the selected text, and order as texts do.
        statement.sql(" ORDER BY ");
        self.relation.write(&mut statement);
        statement.sql(".").name(&self.key.name).sql(" LIMIT 1 OFFSET ").number(rows.saturating_sub(1));
        statement
    }

    /// Asks about the rows of a piece.
    pub(crate) fn batch(&self, engine: &dyn Engine, span: &Span<'_>) -> Result<Statement, SourceError> {
        let mut statement = Statement::new("SELECT ");
        engine.write_selected(&mut statement, self.operation, self.column.as_ref())?;
        statement.sql(" FROM ");
        self.write_rows(engine, &mut statement, span);
        if let Some((column, range)) = &self.during {
            statement.sql(" AND (");
            engine.write_range(&mut statement, column, *range)?;
            statement.sql(")");
        }
        Ok(statement)
    }

    /// Asks what is wrong with a time of the piece, if its column may hold what is none.
    pub(crate) fn fault_of_time(&self, engine: &dyn Engine, span: &Span<'_>) -> Option<(&Column, Statement)> {
        let (column, _) = self.during.as_ref()?;
        let mut statement = Statement::new("SELECT fault FROM (SELECT ");
        if !engine.write_fault_of_time(&mut statement, column) {
            return None;
        }
        statement.sql(" AS fault FROM ");
        self.write_rows(engine, &mut statement, span);
        statement.sql(") AS seen WHERE fault IS NOT NULL LIMIT 1");
        Some((column, statement))
    }

    /// Writes the relation, and which of its rows of a piece are asked about at any time.
    fn write_rows(&self, engine: &dyn Engine, statement: &mut Statement, span: &Span<'_>) {
        self.relation.write(statement);
        statement.sql(" WHERE ");
        match *span {
            Span::Keyless => {
                statement.name(&self.key.name).sql(" IS NULL");
            }
            Span::Keys { after, up_to } => {
                statement.name(&self.key.name).sql(" IS NOT NULL");
                self.write_after(engine, statement, after);
                if let Some(up_to) = up_to {
                    statement.sql(" AND ").name(&self.key.name).sql(" <= ");
                    engine.write_value(statement, &self.key, up_to.clone());
                }
            }
        }
        if let Some(column) = &self.column {
            statement.sql(" AND ").name(&column.name).sql(" IS NOT NULL");
        }
        for (column, comparison) in &self.conditions {
            statement.sql(" AND ").name(&column.name);
            write_comparison(engine, statement, column, comparison);
        }
    }

    fn write_after(&self, engine: &dyn Engine, statement: &mut Statement, after: Option<&Cell>) {
        if let Some(after) = after {
            statement.sql(" AND ").name(&self.key.name).sql(" > ");
            engine.write_value(statement, &self.key, after.clone());
        }
    }
}

fn write_comparison(engine: &dyn Engine, statement: &mut Statement, column: &Column, comparison: &ColumnIs) {
    let sign = match comparison {
        ColumnIs::Null => " IS NULL",
        ColumnIs::NotNull => " IS NOT NULL",
        ColumnIs::Equal(_) => " = ",
        ColumnIs::NotEqual(_) => " <> ",
        ColumnIs::Less(_) => " < ",
        ColumnIs::AtMost(_) => " <= ",
        ColumnIs::Greater(_) => " > ",
        ColumnIs::AtLeast(_) => " >= ",
        ColumnIs::OneOf(_) => " IN (",
    };
    statement.sql(sign);
    for (at, value) in comparison.values().iter().enumerate() {
        if at > 0 {
            statement.sql(", ");
        }
        engine.write_value(statement, column, cell(value));
    }
    if matches!(comparison, ColumnIs::OneOf(_)) {
        statement.sql(")");
    }
}

/// A value to compare with; [`DatabaseMetric::check`] has refused what is no single one.
fn cell(value: &PingValue) -> Cell {
    match value {
        PingValue::Boolean(is) => Cell::Boolean(*is),
        PingValue::Integer(number) => Cell::Integer(*number),
        PingValue::Number(number) => Cell::Number(*number),
        PingValue::Text(text) => Cell::Text(text.clone()),
        PingValue::Null | PingValue::List(_) | PingValue::Object(_) => Cell::Text(String::new()),
    }
}
