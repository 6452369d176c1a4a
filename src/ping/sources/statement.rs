//! Statements of SQL, made of constant pieces, quoted names and bound values: no other text gets into one.

/// A value of a database.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Boolean(bool),
    Integer(i64),
    Number(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A value as a row has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum CellRef<'a> {
    Null,
    Integer(i64),
    Number(f64),
    Text(&'a [u8]),
    Bytes(&'a [u8]),
}

/// The name of a type as the database's catalogue has it, quoted where it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypeName(pub(in crate::ping::sources) String);

/// A statement that is being made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statement {
    text: String,
    values: Vec<Cell>,
}

impl Statement {
    pub(crate) fn new(sql: &'static str) -> Self {
        Self { text: sql.to_owned(), values: Vec::new() }
    }

    pub(crate) fn sql(&mut self, sql: &'static str) -> &mut Self {
        self.text.push_str(sql);
        self
    }

    /// A name, quoted.
    pub(crate) fn name(&mut self, name: &str) -> &mut Self {
        self.text.push('"');
        self.text.push_str(&name.replace('"', "\"\""));
        self.text.push('"');
        self
    }

    /// A value, which is bound: PostgreSQL and SQLite both number them so.
    pub(crate) fn value(&mut self, value: Cell) -> &mut Self {
        self.values.push(value);
        self.text.push('$');
        self.text.push_str(&self.values.len().to_string());
        self
    }

    /// A whole number.
    pub(crate) fn number(&mut self, number: u32) -> &mut Self {
        self.text.push_str(&number.to_string());
        self
    }

    /// Makes what stands before it one of a type.
    #[cfg(feature = "postgres")]
    pub(crate) fn cast(&mut self, to: &TypeName) -> &mut Self {
        self.text.push_str("::");
        self.text.push_str(&to.0);
        self
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn values(&self) -> &[Cell] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_values_bound() {
        let mut statement = Statement::new("SELECT ");
        statement
            .name("a\"; DROP TABLE b; --")
            .sql(" = ")
            .value(Cell::Integer(7))
            .sql(", ")
            .value(Cell::Boolean(true));
        assert_eq!(statement.text(), "SELECT \"a\"\"; DROP TABLE b; --\" = $1, $2");
        assert_eq!(statement.values(), [Cell::Integer(7), Cell::Boolean(true)]);
    }
}
