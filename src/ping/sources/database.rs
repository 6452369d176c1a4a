//! What a metric asks a database: the model, and the days that it is about.

use crate::definition::metric::MetricDefinition;
use crate::ping::source::{Asked, SourceError, SourceFault};
use crate::ping::sources::options;
use crate::ping::value::PingValue;
use crate::time::frame::TimeFrame;
use crate::time::range::TimeRange;
use crate::time::timestamp::Timestamp;

/// The longest name of a relation or a column, in bytes.
const MAX_NAME_BYTES: usize = 256;
/// The most conditions of a metric.
const MAX_CONDITIONS: usize = 100;
/// The most values of a list that a column is compared with.
const MAX_LISTED: usize = 1_000;
/// The longest text that a column is compared with, in bytes.
const MAX_TEXT_BYTES: usize = 64 * 1024;
const DAY_SECONDS: i64 = 86_400;
/// How many days before the running one the days of `7d` and `28d` end: rows that come late are counted in the next week.
const DAYS_LEFT_OUT: i64 = 2;

/// What a metric asks a database: how many rows, how many distinct values, a sum, or an average, of one relation.
///
/// It is written so from Rust, or as `options` of a metric's definition:
///
/// ```yaml
/// data_source: database
/// options:
///   relation: issues                 # PostgreSQL takes `schema.issues` too
///   operation: distinct_count        # count (the default), distinct_count, sum, average
///   column: author_id
///   where:                           # all of them hold
///     state: opened
///     kind: [issue, incident]
///     deleted_at: null
///     weight: {gte: 1, lt: 10}       # eq, not, lt, lte, gt, gte, in
///   timestamp_column: created_at     # needed for 7d and 28d
///   batch_column: id                 # the primary key of one column, if none is given
/// ```
///
/// Names are looked up in the database's catalogue and quoted; values are bound. Nothing of a definition is ever SQL.
///
/// - Over `all` and `none` it asks about every row, over `7d` and `28d` about the rows whose timestamp lies in GitLab's days for metrics
///   of databases: from 9, or 30, days before the running day up to 2 days before it, whole days of UTC, the first one included and the
///   last one not.
/// - NULL is as SQL has it: a count of a column, distinct values, sums and averages leave it out, and so does `not` with a value. The sum
///   of nothing is 0, the average of nothing null.
///
/// ```
/// use headcount::{ColumnIs, DatabaseMetric};
///
/// let authors = DatabaseMetric::distinct_count("issues", "author_id")
///     .filter("state", "opened")
///     .filter("weight", ColumnIs::AtLeast(3.into()))
///     .timestamp("created_at");
/// assert_eq!(authors.relation(), "issues");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct DatabaseMetric {
    pub(crate) relation: String,
    pub(crate) operation: DatabaseOperation,
    pub(crate) column: Option<String>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) timestamp_column: Option<String>,
    pub(crate) batch_column: Option<String>,
}

/// What is made of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DatabaseOperation {
    /// How many rows there are; with a column, how many that have a value there.
    Count,
    /// How many distinct values the column has.
    DistinctCount,
    /// The sum of the column.
    Sum,
    /// The mean of the column.
    Average,
}

/// A condition that rows meet: a column compared with a value.
///
/// ```
/// use headcount::{ColumnIs, DatabaseMetric};
///
/// let heavy = DatabaseMetric::count("issues").filter("weight", ColumnIs::Greater(5.into()));
/// assert_eq!(heavy.conditions()[0].column, "weight");
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Condition {
    /// The column.
    pub column: String,
    /// What holds of it.
    pub is: ColumnIs,
}

/// What holds of a column. Values are booleans, numbers and texts.
///
/// ```
/// use headcount::{ColumnIs, DatabaseMetric};
///
/// let open = ColumnIs::one_of(["opened", "reopened"]);
/// let count = DatabaseMetric::count("issues").filter("state", open).filter("deleted_at", ColumnIs::Null);
/// # let _ = count;
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ColumnIs {
    /// It is the value; any value turns into this.
    Equal(PingValue),
    /// It is another value; NULL is none.
    NotEqual(PingValue),
    /// It is less.
    Less(PingValue),
    /// It is less, or the same.
    AtMost(PingValue),
    /// It is more.
    Greater(PingValue),
    /// It is more, or the same.
    AtLeast(PingValue),
    /// It is one of the values, up to 1,000.
    OneOf(Vec<PingValue>),
    /// It is NULL.
    Null,
    /// It is not NULL.
    NotNull,
}

impl DatabaseMetric {
    /// How many rows the relation has.
    #[must_use]
    pub fn count(relation: impl Into<String>) -> Self {
        Self::of(relation.into(), DatabaseOperation::Count, None)
    }

    /// How many rows have a value in the column.
    #[must_use]
    pub fn count_of(relation: impl Into<String>, column: impl Into<String>) -> Self {
        Self::of(relation.into(), DatabaseOperation::Count, Some(column.into()))
    }

    /// How many distinct values the column has: exact up to 3,670,016, an estimate with a standard error of 0.8125 % beyond.
    #[must_use]
    pub fn distinct_count(relation: impl Into<String>, column: impl Into<String>) -> Self {
        Self::of(relation.into(), DatabaseOperation::DistinctCount, Some(column.into()))
    }

    /// The sum of the column: of whole numbers exact, and as a number that need not be whole beyond 64 bits.
    #[must_use]
    pub fn sum(relation: impl Into<String>, column: impl Into<String>) -> Self {
        Self::of(relation.into(), DatabaseOperation::Sum, Some(column.into()))
    }

    /// The mean of the column.
    #[must_use]
    pub fn average(relation: impl Into<String>, column: impl Into<String>) -> Self {
        Self::of(relation.into(), DatabaseOperation::Average, Some(column.into()))
    }

    pub(crate) fn of(relation: String, operation: DatabaseOperation, column: Option<String>) -> Self {
        Self {
            relation,
            operation,
            column,
            conditions: Vec::new(),
            timestamp_column: None,
            batch_column: None,
        }
    }

    /// Asks only about rows that meet the condition too: `filter("state", "opened")`, or any other [`ColumnIs`].
    #[must_use]
    pub fn filter(mut self, column: impl Into<String>, is: impl Into<ColumnIs>) -> Self {
        self.conditions.push(Condition { column: column.into(), is: is.into() });
        self
    }

    /// Names the column that says when a row came to be.
    ///
    /// PostgreSQL: a timestamp with time zone, one without (taken as UTC), a date, or whole numbers of seconds since 1970. SQLite, by
    /// each value: a text as `2026-11-22`, `2026-11-22 10:00:00` or `2026-11-22T10:00:00Z` (UTC unless it ends in an offset), or whole
    /// seconds since 1970.
    #[must_use]
    pub fn timestamp(mut self, column: impl Into<String>) -> Self {
        self.timestamp_column = Some(column.into());
        self
    }

    /// Names the column by which the relation is walked; it should have an index. It need not be unique.
    #[must_use]
    pub fn batch_column(mut self, column: impl Into<String>) -> Self {
        self.batch_column = Some(column.into());
        self
    }

    /// The table or view.
    #[must_use]
    pub fn relation(&self) -> &str {
        &self.relation
    }

    /// What is made of its rows.
    #[must_use]
    pub fn operation(&self) -> DatabaseOperation {
        self.operation
    }

    /// The column that it is made of.
    #[must_use]
    pub fn column(&self) -> Option<&str> {
        self.column.as_deref()
    }

    /// What holds of the rows.
    #[must_use]
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// The column that says when a row came to be.
    #[must_use]
    pub fn timestamp_column(&self) -> Option<&str> {
        self.timestamp_column.as_deref()
    }

    /// What the `options` of a definition declare; nothing if they have no `relation`.
    pub(crate) fn declared(metric: &MetricDefinition) -> Result<Option<Self>, SourceError> {
        metric.options().map_or(Ok(None), options::read)
    }

    /// As [`Self::declared`], for a database that is asked.
    pub(crate) fn of_asked(asked: &Asked) -> Result<Self, SourceError> {
        Self::declared(asked.metric())?.ok_or_else(|| {
            SourceError::unavailable(
                "its `options` name no `relation` of the database; name one, or answer for its class (`Sources::class`)",
            )
        })
    }

    /// Says beside the value what it is about, and gives the days.
    pub(crate) fn tell(&self, asked: &Asked) -> Result<Option<TimeRange>, SourceError> {
        asked.said.lock().is_distinct = self.operation == DatabaseOperation::DistinctCount;
        let range = self.range(asked.metric().time_frame(), asked.at())?;
        range.into_iter().for_each(|range| asked.about(range));
        Ok(range)
    }

    /// Refuses what no database could answer.
    pub(crate) fn check(&self) -> Result<(), SourceError> {
        let columns = self.conditions.iter().map(|condition| &condition.column);
        let named = [&self.column, &self.timestamp_column, &self.batch_column];
        for name in [&self.relation].into_iter().chain(named.into_iter().flatten()).chain(columns) {
            check_name(name)?;
        }
        if self.column.is_none() && self.operation != DatabaseOperation::Count {
            return Err(invalid(format!("`{}` needs a column; name one", self.operation.as_str())));
        }
        if self.conditions.len() > MAX_CONDITIONS {
            return Err(invalid(format!("there are more than {MAX_CONDITIONS} conditions")));
        }
        self.conditions.iter().try_for_each(Condition::check)
    }

    /// The days that a metric of the time frame is about; nothing for all time.
    pub(crate) fn range(&self, frame: TimeFrame, at: Timestamp) -> Result<Option<TimeRange>, SourceError> {
        let days_back = match frame {
            TimeFrame::All | TimeFrame::None => return Ok(None),
            TimeFrame::SevenDays => 9,
            TimeFrame::TwentyEightDays => 30,
        };
        if self.timestamp_column.is_none() {
            return Err(invalid(format!(
                "over `{frame}` it needs a column that says when a row came to be; give it `timestamp_column`"
            )));
        }
        let today = at.unix_seconds().div_euclid(DAY_SECONDS);
        let midnight =
            |back: i64| Timestamp::from_unix_seconds(today.saturating_sub(back).saturating_mul(DAY_SECONDS));
        Ok(Some(TimeRange::clamped(midnight(days_back), midnight(DAYS_LEFT_OUT))))
    }
}

impl DatabaseOperation {
    /// The word that definitions use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::DistinctCount => "distinct_count",
            Self::Sum => "sum",
            Self::Average => "average",
        }
    }
}

impl Condition {
    fn check(&self) -> Result<(), SourceError> {
        let values = self.is.values();
        if matches!(self.is, ColumnIs::OneOf(_)) && !(1..=MAX_LISTED).contains(&values.len()) {
            return Err(invalid(format!(
                "`{}` is compared with a list of {} values; 1 to {MAX_LISTED} are possible",
                self.column,
                values.len()
            )));
        }
        for value in values {
            let why = match value {
                PingValue::Boolean(_) | PingValue::Integer(_) => continue,
                PingValue::Number(number) if number.is_finite() => continue,
                PingValue::Text(text) if text.len() > MAX_TEXT_BYTES => "a text that is too long",
                PingValue::Text(text) if text.contains('\0') => "a text with a NUL",
                PingValue::Text(_) => continue,
                PingValue::Null => "null; say Null or NotNull",
                PingValue::Number(_) => "a number that is not finite",
                PingValue::List(_) | PingValue::Object(_) => "something that is no single value",
            };
            return Err(invalid(format!("`{}` is compared with {why}", self.column)));
        }
        Ok(())
    }
}

impl ColumnIs {
    /// It is one of the values.
    pub fn one_of<V: Into<PingValue>>(values: impl IntoIterator<Item = V>) -> Self {
        Self::OneOf(values.into_iter().map(Into::into).collect())
    }

    /// The comparison as SQL writes it: `=`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `is null`, `is not null`.
    #[must_use]
    pub fn sign(&self) -> &'static str {
        match self {
            Self::Equal(_) => "=",
            Self::NotEqual(_) => "!=",
            Self::Less(_) => "<",
            Self::AtMost(_) => "<=",
            Self::Greater(_) => ">",
            Self::AtLeast(_) => ">=",
            Self::OneOf(_) => "in",
            Self::Null => "is null",
            Self::NotNull => "is not null",
        }
    }

    /// What the column is compared with, to be bound: none, one, or those of a list.
    #[must_use]
    pub fn values(&self) -> &[PingValue] {
        match self {
            Self::Equal(value)
            | Self::NotEqual(value)
            | Self::Less(value)
            | Self::AtMost(value)
            | Self::Greater(value)
            | Self::AtLeast(value) => std::slice::from_ref(value),
            Self::OneOf(values) => values,
            Self::Null | Self::NotNull => &[],
        }
    }
}

impl<V: Into<PingValue>> From<V> for ColumnIs {
    fn from(value: V) -> Self {
        Self::Equal(value.into())
    }
}

pub(crate) fn invalid(message: impl Into<String>) -> SourceError {
    SourceError::new(SourceFault::Invalid, message)
}

fn check_name(name: &str) -> Result<(), SourceError> {
    let why = match name {
        "" => "empty",
        name if name.len() > MAX_NAME_BYTES => "too long",
        name if name.contains('\0') => "one with a NUL",
        _ => return Ok(()),
    };
    let shown: String = name.chars().take(40).collect();
    Err(invalid(format!("the name `{}` of a relation or a column is {why}", shown.escape_debug())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_days_of_a_metric_end_two_days_before_the_running_one() {
        let at = |text| Timestamp::parse(text).unwrap();
        let metric = DatabaseMetric::count("issues").timestamp("created_at");
        for now in ["2026-11-23", "2026-11-23T23:59:59Z"] {
            let range = |frame| metric.range(frame, at(now)).unwrap().map(|range| range.to_string());
            assert_eq!(range(TimeFrame::SevenDays).as_deref(), Some("2026-11-14..2026-11-21"));
            assert_eq!(range(TimeFrame::TwentyEightDays).as_deref(), Some("2026-10-24..2026-11-21"));
            assert_eq!(range(TimeFrame::All), None);
            assert_eq!(range(TimeFrame::None), None);
        }
        let timeless = DatabaseMetric::count("issues").range(TimeFrame::SevenDays, at("2026-11-23"));
        assert_eq!(timeless.unwrap_err().fault(), SourceFault::Invalid);
    }

    #[test]
    fn what_no_database_could_answer_is_refused() {
        let many = DatabaseMetric::count("t").filter("c", ColumnIs::OneOf(vec![1.into(); MAX_LISTED + 1]));
        for metric in [
            DatabaseMetric::count(""),
            DatabaseMetric::count("a\0b"),
            DatabaseMetric::count("x".repeat(MAX_NAME_BYTES + 1)),
            DatabaseMetric::count("t").filter("", 1),
            DatabaseMetric::count("t").filter("c", f64::NAN),
            DatabaseMetric::count("t").filter("c", "a\0b"),
            DatabaseMetric::count("t").filter("c", PingValue::Null),
            DatabaseMetric::count("t").filter("c", ColumnIs::OneOf(Vec::new())),
            many,
            DatabaseMetric::of("t".to_owned(), DatabaseOperation::Sum, None),
        ] {
            assert_eq!(metric.check().unwrap_err().fault(), SourceFault::Invalid, "{metric:?}");
        }
        DatabaseMetric::sum("t", "c").filter("d", ColumnIs::NotNull).check().unwrap();
    }
}
