//! How a metric is asked of PostgreSQL: its catalogue, and what differs in its SQL. All values cross as texts, with casts to the types that
//! the catalogue names.

use std::time::Duration;

use crate::ping::source::SourceError;
use crate::ping::sources::catalogue::{Column, Kind, MAX_NAMES, Relation, no_relation};
use crate::ping::sources::database::{DatabaseOperation, invalid};
use crate::ping::sources::engine::{Engine, Folding, Halt, TakeRow, write_fault_of_seconds};
use crate::ping::sources::postgres::link::Link;
use crate::ping::sources::statement::{Cell, CellRef, Statement, TypeName};
use crate::time::range::TimeRange;
use crate::time::timestamp::Timestamp;

/// The longest name; PostgreSQL cuts what is longer, and would find another relation.
const MAX_NAME_BYTES: usize = 63;

const RELATION: &str = "SELECT c.oid::text FROM pg_class c WHERE c.oid = to_regclass(";
const RELATION_KINDS: &str = ") AND c.relkind IN ('r', 'p', 'v', 'm', 'f')";
const NAMES: &str = "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_table_is_visible(oid) LIMIT ";
/// Name, type, base type, whether it may be NULL, whether it alone is the primary key, and whether equal texts may differ in bytes.
const COLUMNS: &str = "SELECT a.attname::text, format_type(a.atttypid, -1)::text, coalesce(b.typname, t.typname)::text,
        CASE WHEN a.attnotnull THEN 'filled' ELSE 'nullable' END,
        CASE WHEN k.indrelid IS NOT NULL THEN 'key' ELSE '' END,
        CASE WHEN coalesce(b.typtype, t.typtype) = 'e' THEN 'e' WHEN NOT coalesce(l.collisdeterministic, true) THEN 'f' ELSE '' END
    FROM pg_attribute a
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype
    LEFT JOIN pg_collation l ON l.oid = a.attcollation
    LEFT JOIN pg_index k ON k.indrelid = a.attrelid AND k.indisprimary AND k.indnkeyatts = 1 AND k.indkey[0] = a.attnum
    WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid = ";

/// A connection that can be made anew.
pub(super) struct Postgres<'a> {
    pub(super) link: Link,
    pub(super) connect: &'a dyn Fn(Duration) -> Result<Link, SourceError>,
}

impl Engine for Postgres<'_> {
    fn relation(&mut self, name: &str, limit: Duration) -> Result<Relation, Halt> {
        let path: Vec<String> = name.splitn(2, '.').map(str::to_owned).collect();
        let mut select = Statement::new(RELATION);
        select.value(Cell::Text(quoted(&path))).sql(RELATION_KINDS);
        let is_possible = path.iter().all(|part| (1..=MAX_NAME_BYTES).contains(&part.len()));
        let found = if is_possible { self.texts(&select, limit)?.pop() } else { None };
        let Some(oid) = found else {
            let mut select = Statement::new(NAMES);
            select.number(MAX_NAMES);
            let known = self.texts(&select, limit)?;
            return Err(no_relation(name, known.iter().map(String::as_str)).into());
        };
        let mut select = Statement::new(COLUMNS);
        select.value(Cell::Text(oid)).cast(&TypeName("oid".to_owned())).sql(" ORDER BY a.attnum");
        let mut columns = Vec::new();
        let mut key = None;
        self.rows(&select, limit, &mut |row| {
            let texts: Vec<&str> = row.iter().map(|cell| text(*cell)).collect();
            if let [name, type_name, base, nullable, is_key, traits] = texts[..] {
                let column = Column {
                    name: name.to_owned(),
                    type_name: TypeName(type_name.to_owned()),
                    kind: kind(base, traits),
                    is_nullable: nullable == "nullable",
                };
                if is_key == "key" {
                    key = Some(column.clone());
                }
                columns.push(column);
            }
            Ok(())
        })?;
        Ok(Relation { path, columns, key })
    }

    fn rows(&mut self, statement: &Statement, limit: Duration, take: TakeRow<'_>) -> Result<(), Halt> {
        self.link.rows(statement, limit, take)
    }

    fn renew(&mut self, limit: Duration) -> Result<(), SourceError> {
        self.link = (self.connect)(limit)?;
        Ok(())
    }

    fn write_key(&self, statement: &mut Statement, column: &Column) {
        statement.name(&column.name).sql("::text");
    }

    fn write_value(&self, statement: &mut Statement, column: &Column, value: Cell) {
        statement.value(value).cast(&column.type_name);
    }

    fn write_range(
        &self,
        statement: &mut Statement,
        column: &Column,
        range: TimeRange,
    ) -> Result<(), SourceError> {
        let bound = |at: Timestamp| match column.kind {
            Kind::Integer => Some(Cell::Integer(at.unix_seconds())),
            // Without a time zone the `Z` is passed over.
            Kind::Instant | Kind::LocalTime | Kind::Date => Some(Cell::Text(at.to_string())),
            _ => None,
        };
        let (Some(from), Some(to)) = (bound(range.from()), bound(range.to())) else {
            return Err(invalid(format!(
                "the column `{}` is of the type `{}`, which is no time; a timestamp, a date or whole seconds since 1970 are",
                column.name, column.type_name.0
            )));
        };
        statement.name(&column.name).sql(" >= ");
        self.write_value(statement, column, from);
        statement.sql(" AND ").name(&column.name).sql(" < ");
        self.write_value(statement, column, to);
        Ok(())
    }

    fn write_selected(
        &self,
        statement: &mut Statement,
        operation: DatabaseOperation,
        column: Option<&Column>,
    ) -> Result<(), SourceError> {
        let refused = |column: &Column, what: &str| {
            invalid(format!("the column `{}` is of the type `{}`, {what}", column.name, column.type_name.0))
        };
        match (operation, column) {
            (DatabaseOperation::DistinctCount, Some(column)) => {
                statement.sql("DISTINCT ");
                // Texts of equal values: `1.0` and `1.00` are equal, as are 0 and -0.
                match column.kind {
                    Kind::Decimal => statement.sql("trim_scale(").name(&column.name).sql(")::text"),
                    Kind::Float => statement.sql("(").name(&column.name).sql(" + 0)::text"),
                    Kind::Any | Kind::Other => {
                        return Err(refused(column, "whose distinct values are not counted here"));
                    }
                    _ => statement.name(&column.name).sql("::text"),
                };
            }
            (DatabaseOperation::Sum | DatabaseOperation::Average, Some(column)) => {
                match column.kind {
                    Kind::Integer | Kind::Decimal => statement.sql("sum(").name(&column.name).sql(")::text"),
                    // A sum of `real` would have six digits.
                    Kind::Float => statement.sql("sum(").name(&column.name).sql("::float8)::text"),
                    _ => return Err(refused(column, "which does not add up")),
                };
                statement.sql(", count(*)::text");
            }
            _ => {
                statement.sql("count(*)::text");
            }
        }
        Ok(())
    }

    fn folding(&mut self, _: &Relation, _: &Column, _: Duration) -> Result<Folding, Halt> {
        Ok(Folding::Bytes)
    }

    fn write_fault_of_time(&self, statement: &mut Statement, column: &Column) -> bool {
        let is_number = column.kind == Kind::Integer;
        if is_number {
            write_fault_of_seconds(statement, column);
        }
        is_number
    }
}

fn text(cell: CellRef<'_>) -> &str {
    match cell {
        CellRef::Text(text) => std::str::from_utf8(text).unwrap_or_default(),
        _ => "",
    }
}

/// The relation as `to_regclass` reads it.
fn quoted(path: &[String]) -> String {
    let parts: Vec<String> =
        path.iter().map(|part| ["\"", &part.replace('"', "\"\""), "\""].concat()).collect();
    parts.join(".")
}

/// The kind of a type by its name in the catalogue.
fn kind(base: &str, traits: &str) -> Kind {
    match (base, traits) {
        (_, "e") => Kind::Plain,
        (_, "f") => Kind::Other,
        ("int2" | "int4" | "int8", _) => Kind::Integer,
        ("numeric", _) => Kind::Decimal,
        ("float4" | "float8", _) => Kind::Float,
        ("timestamptz", _) => Kind::Instant,
        ("timestamp", _) => Kind::LocalTime,
        ("date", _) => Kind::Date,
        (
            "text" | "varchar" | "bpchar" | "name" | "char" | "bool" | "uuid" | "bytea" | "oid" | "inet"
            | "cidr" | "macaddr" | "macaddr8" | "time" | "bit" | "varbit",
            _,
        ) => Kind::Plain,
        _ => Kind::Other,
    }
}
