//! What a database's catalogue says of a relation, and of names that are not there.

use crate::definition::nearest::hint;
use crate::ping::source::{SourceError, SourceFault};
use crate::ping::sources::statement::{Statement, TypeName};

/// The most relations among which the nearest name is looked for.
pub(crate) const MAX_NAMES: u32 = 10_000;

/// A table or a view.
#[derive(Debug, Clone)]
pub(crate) struct Relation {
    /// Schema and name, or the name alone.
    pub(crate) path: Vec<String>,
    pub(crate) columns: Vec<Column>,
    /// The column by which rows are told apart, if there is one.
    pub(crate) key: Option<Column>,
}

#[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "SQLite's columns have no types"))]
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) type_name: TypeName,
    pub(crate) kind: Kind,
    pub(crate) is_nullable: bool,
}

/// Of which kind the values of a column are, as far as that makes a difference.
#[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "SQLite's columns have no types"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Of any: SQLite's columns.
    Any,
    Integer,
    Decimal,
    Float,
    Instant,
    LocalTime,
    Date,
    /// Values are equal if and only if their texts are.
    Plain,
    Other,
}

impl Relation {
    pub(crate) fn name(&self) -> String {
        self.path.join(".")
    }

    /// Its name in a statement.
    pub(crate) fn write(&self, statement: &mut Statement) {
        for (at, part) in self.path.iter().enumerate() {
            if at > 0 {
                statement.sql(".");
            }
            statement.name(part);
        }
    }

    pub(crate) fn column(&self, name: &str) -> Result<&Column, SourceError> {
        self.columns.iter().find(|column| column.name == name).ok_or_else(|| {
            let near = hint(name, self.columns.iter().map(|column| column.name.as_str()));
            missing(format!("`{}` has no column `{}`{near}", self.name(), shown(name)))
        })
    }
}

/// A relation that is not there.
pub(crate) fn no_relation<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> SourceError {
    missing(format!("there is no table or view `{}`{}", shown(name), hint(name, known)))
}

fn missing(message: String) -> SourceError {
    SourceError::new(SourceFault::Missing, message)
}

fn shown(name: &str) -> String {
    name.chars().take(80).collect::<String>().escape_debug().to_string()
}
