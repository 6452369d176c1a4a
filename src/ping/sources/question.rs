//! Metrics of a database that the program asks itself: what is to be asked, and the answers.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::{Map, Value};

use crate::definition::metric::MetricDefinition;
use crate::definition::nearest::hint;
use crate::definition::words::MetricStatus;
use crate::error::{Error, ErrorKind};
use crate::ping::Ping;
use crate::ping::source::{Asked, SourceError, SourceFault};
use crate::ping::sources::database::{Condition, DatabaseMetric};
use crate::ping::value::PingValue;
use crate::time::range::TimeRange;
use crate::time::timestamp::Timestamp;

/// The longest text that answers are read from, in bytes.
const MAX_ANSWERS_BYTES: usize = 16 << 20;
const DAY_SECONDS: i64 = 86_400;
/// Letters of a day, as `2026-11-23`.
const DAY_LETTERS: usize = 10;

/// What a metric asks of the program's database, for a program that asks through its own connections.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// # let yaml = "key_path: counts.issues\ndescription: x\ndata_source: database\ntime_frame: 7d\nvalue_type: number\n\
/// #   options: {relation: issues, where: {state: opened}, timestamp_column: created_at}\n";
/// # let definitions = headcount::Definitions::embedded(&[("metrics/issues.yml", yaml)])?;
/// # let store = headcount::Store::builder_in_memory().definitions(definitions).open()?;
/// use headcount::{Answers, SourceError};
///
/// let mut answers = Answers::new();
/// for question in store.ping().questions()? {
///     // SELECT count(*) FROM issues WHERE state = 'opened' AND created_at >= from AND created_at < to
///     assert_eq!((question.metric.relation(), question.range.is_some()), ("issues", true));
///     answers = match Ok::<i64, String>(42) {
///         Ok(count) => answers.value(question.key_path, count),
///         Err(error) => answers.failed(question.key_path, SourceError::failed(error)),
///     };
/// }
/// let report = store.ping().answers(answers)?.build()?;
/// assert!(report.document.contains(r#""issues": 42"#));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Question {
    /// The metric's place in the document.
    pub key_path: String,
    /// What is asked: relation, operation, column, conditions.
    pub metric: DatabaseMetric,
    /// Rows whose timestamp lies in here, the first instant included and the last one not; nothing for all rows.
    pub range: Option<TimeRange>,
}

impl Question {
    /// The question as an object of JSON: `{"key_path", "relation", "operation", "column", "where": [{"column", "is", "value"}],
    /// "timestamp_column", "from", "to"}`, without what it has not; `is` is one of `=`, `!=`, `<`, `<=`, `>`, `>=`, `in` (with `values`),
    /// `is null` and `is not null`.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Texts and finite numbers alone: there is nothing that could not be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// As [`Question::to_json`].
impl Serialize for Question {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Question", 8)?;
        object.serialize_field("key_path", &self.key_path)?;
        object.serialize_field("relation", self.metric.relation())?;
        object.serialize_field("operation", self.metric.operation().as_str())?;
        if let Some(column) = self.metric.column() {
            object.serialize_field("column", column)?;
        }
        let conditions: Vec<Value> = self.metric.conditions().iter().map(condition).collect();
        object.serialize_field("where", &conditions)?;
        if let Some((column, range)) = self.metric.timestamp_column().zip(self.range) {
            object.serialize_field("timestamp_column", column)?;
            object.serialize_field("from", &range.from().to_string())?;
            object.serialize_field("to", &range.to().to_string())?;
        }
        object.end()
    }
}

fn condition(condition: &Condition) -> Value {
    let mut object = Map::new();
    object.insert("column".to_owned(), condition.column.clone().into());
    object.insert("is".to_owned(), condition.is.sign().into());
    let json = |value: &PingValue| serde_json::to_value(value).unwrap_or_default();
    match (condition.is.sign(), condition.is.values()) {
        ("in", values) => object.insert("values".to_owned(), values.iter().map(json).collect()),
        (_, [value]) => object.insert("value".to_owned(), json(value)),
        _ => None,
    };
    object.into()
}

/// What the program's database said, by key path: the answers to [`Ping::questions`], or values of any other metric.
///
/// ```
/// use headcount::{Answers, SourceError, SourceFault};
///
/// let gone = SourceError::new(SourceFault::Missing, "there is no table `issues`");
/// let answers = Answers::new().value("counts.users", 17).failed("counts.issues", gone);
/// # let _ = answers;
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answers {
    told: BTreeMap<String, Told>,
    day: Day,
}

/// The day on which the questions were asked.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Day {
    /// That on which a ping takes the answers.
    #[default]
    Running,
    /// That with this number since 1970.
    Of(i64),
    /// A file does not say it.
    Untold,
}

#[derive(Debug, Clone, PartialEq)]
struct Told {
    value: Result<PingValue, SourceError>,
    standard_error: f64,
}

impl Answers {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of the metric at this key path; a later answer takes the place of an earlier one.
    #[must_use]
    pub fn value(self, key_path: impl Into<String>, value: impl Into<PingValue>) -> Self {
        self.estimate(key_path, value, 0.0)
    }

    /// As [`Answers::value`], of an estimate with its standard error.
    #[must_use]
    pub fn estimate(
        mut self,
        key_path: impl Into<String>,
        value: impl Into<PingValue>,
        standard_error: f64,
    ) -> Self {
        self.told.insert(key_path.into(), Told { value: Ok(value.into()), standard_error });
        self
    }

    /// Why the metric at this key path has no value.
    #[must_use]
    pub fn failed(mut self, key_path: impl Into<String>, error: SourceError) -> Self {
        self.told.insert(key_path.into(), Told { value: Err(error), standard_error: 0.0 });
        self
    }

    /// Says that the questions were asked at this instant: pings of another day of UTC refuse the answers. Without it, it is the day on
    /// which a ping takes them.
    #[must_use]
    pub fn asked_at(mut self, instant: Timestamp) -> Self {
        self.day = Day::Of(day_of(instant));
        self
    }

    /// Reads `{"day": "2026-11-23", "answers": [{"key_path": "counts.users", "value": 17}, {"key_path": "counts.issues", "error": "..",
    /// "fault": "missing"}]}`.
    ///
    /// `day` is that of the questions, as `headcount ping questions --json` has it; only answers that are about no days go without it.
    /// A value may have a `standard_error`; `fault` is one of `unavailable`, `timeout`, `unreachable`, `locked`, `missing`, `invalid`,
    /// `deprecated`, `imprecise` and `failed`, which it is without one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for a text that is none of this, more than 16 MiB, or that answers for a metric twice.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        if json.len() > MAX_ANSWERS_BYTES {
            return Err(usage(format!("the answers have more than {MAX_ANSWERS_BYTES} bytes")));
        }
        let document: Value =
            serde_json::from_str(json).map_err(|error| usage(format!("the answers are no JSON: {error}")))?;
        let known = |object: &&Map<String, Value>| object.keys().all(|key| key == "answers" || key == "day");
        let object = document.as_object().filter(known);
        let answers = object.and_then(|object| object.get("answers")).and_then(Value::as_array);
        let answers = answers.ok_or_else(|| {
            usage(
                "the answers must be an object with a list of `answers` and their `day`, and nothing else"
                    .to_owned(),
            )
        })?;
        let day =
            match object.and_then(|object| object.get("day")) {
                None => Day::Untold,
                Some(day) => {
                    let day = day.as_str().filter(|day| day.len() == DAY_LETTERS);
                    let day = day.and_then(|day| Timestamp::parse(day).ok()).map(day_of);
                    Day::Of(day.ok_or_else(|| {
                        usage("the `day` of the answers must be one as 2026-11-23".to_owned())
                    })?)
                }
            };
        let mut read = BTreeMap::new();
        for (at, answer) in answers.iter().enumerate() {
            let (key_path, told) =
                read_one(answer).map_err(|what| usage(format!("`answers[{at}]` {what}")))?;
            if read.contains_key(&key_path) {
                return Err(usage(format!("`answers[{at}]` answers for `{key_path}` again")));
            }
            read.insert(key_path, told);
        }
        Ok(Self { told: read, day })
    }
}

fn read_one(answer: &Value) -> Result<(String, Told), String> {
    const KEYS: [&str; 5] = ["key_path", "value", "standard_error", "error", "fault"];
    let answer = answer.as_object().ok_or("is no object")?;
    if let Some(key) = answer.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let key: String = key.chars().take(60).collect();
        return Err(format!("has `{key}`, which means nothing{}", hint(&key, KEYS)));
    }
    let text = |key: &str| match answer.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(format!("has a `{key}` that is no text")),
    };
    let key_path = text("key_path")?.ok_or("has no `key_path`")?.to_owned();
    let standard_error = match answer.get("standard_error") {
        None => 0.0,
        Some(number) => number
            .as_f64()
            .filter(|number| *number >= 0.0)
            .ok_or("has a `standard_error` that is no number from 0 on")?,
    };
    let value = match (answer.get("value"), text("error")?) {
        (Some(value), None) if !answer.contains_key("fault") => Ok(PingValue::of_json(value)),
        (None, Some(error)) => {
            let word = text("fault")?.unwrap_or(SourceFault::Failed.as_str());
            let fault = SourceFault::ALL.iter().find(|fault| fault.as_str() == word);
            let known = || SourceFault::ALL.map(SourceFault::as_str);
            let fault = fault.ok_or_else(|| format!("has a `fault` that is none{}", hint(word, known())))?;
            Err(SourceError::new(*fault, error))
        }
        _ => return Err("must have either a `value` or an `error`".to_owned()),
    };
    Ok((key_path, Told { value, standard_error }))
}

impl Ping {
    /// What is to be asked of the program's database: each active and permitted metric that declares a relation in its `options`, and that
    /// no source answers for. The answers go to [`Ping::answers`], on the same day, since ranges are of whole days before the running one.
    ///
    /// A declaration that does not read is no question; the ping says what is wrong with it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Definitions`] when there are none; the errors of reading the store.
    pub fn questions(&self) -> Result<Vec<Question>, Error> {
        let (at, consent) = (self.reader.clock_now(), self.consent()?);
        let definitions = self.reader.definitions()?;
        let question = |metric: &MetricDefinition| {
            let is_asked = metric.status() != MetricStatus::Removed
                && consent.permits(metric.data_category())
                && metric.rules().is_empty()
                && self.sources.find(metric).is_none();
            let declared = DatabaseMetric::declared(metric).ok().flatten().filter(|_| is_asked)?;
            let range = declared.range(metric.time_frame(), at).ok()?;
            Some(Question { key_path: metric.key_path().to_owned(), metric: declared, range })
        };
        Ok(definitions.metrics().filter_map(question).collect())
    }

    /// Takes values from these answers, before any source of [`Ping::sources`], which is to be called first.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::UnknownMetric`] for an answer of no active metric; [`ErrorKind::Usage`] for answers of another day, and for one about
    /// days in a file that does not say its day; [`ErrorKind::Definitions`] when there are none; the errors of reading the store.
    pub fn answers(mut self, answers: Answers) -> Result<Self, Error> {
        let definitions = self.reader.definitions()?;
        let now = self.reader.clock_now();
        if let Day::Of(day) = answers.day
            && day != day_of(now)
        {
            let asked = Timestamp::from_unix_seconds(day.saturating_mul(DAY_SECONDS));
            let what = format!("the answers are of {}, and today is {}; ask again", date(asked), date(now));
            return Err(usage(what));
        }
        for (key_path, told) in answers.told {
            let is_active = |metric: &&MetricDefinition| metric.status() != MetricStatus::Removed;
            let Some(metric) = definitions.find_metric(&key_path).filter(is_active) else {
                let near = hint(&key_path, definitions.metrics().map(MetricDefinition::key_path));
                let what = format!("an answer is for `{key_path}`, which is no active metric{near}");
                return Err(Error::new(ErrorKind::UnknownMetric, what));
            };
            let of_days = |declared: DatabaseMetric| declared.range(metric.time_frame(), now).ok().flatten();
            let meant = DatabaseMetric::declared(metric).ok().flatten().and_then(of_days);
            if answers.day == Day::Untold && meant.is_some() {
                return Err(usage(format!(
                    "the answer for `{key_path}` is about days that depend on when it was asked; give the `day` of the questions beside `answers`"
                )));
            }
            self.sources = self.sources.key_path(key_path, move |asked: &Asked| {
                if let Ok(Some(declared)) = DatabaseMetric::declared(asked.metric()) {
                    // Who answered knows what to make of a declaration without its days.
                    if let (Ok(Some(range)), Some(meant)) = (declared.tell(asked), meant)
                        && range != meant
                    {
                        return Err(SourceError::new(
                            SourceFault::Invalid,
                            format!("its answer is about {meant}, and this ping is about {range}; ask again"),
                        ));
                    }
                }
                asked.estimated(told.standard_error);
                told.value.clone()
            });
        }
        Ok(self)
    }
}

fn day_of(at: Timestamp) -> i64 {
    at.unix_seconds().div_euclid(DAY_SECONDS)
}

fn date(at: Timestamp) -> String {
    at.to_string().chars().take(DAY_LETTERS).collect()
}

fn usage(what: String) -> Error {
    Error::new(ErrorKind::Usage, what)
}
