//! Where the values of metrics come from that no event counts: the trait, its question, its errors, and the list of sources.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::definition::metric::MetricDefinition;
use crate::definition::words::DataSource;
use crate::ping::found::About;
use crate::ping::value::PingValue;
use crate::time::range::TimeRange;
use crate::time::timestamp::Timestamp;

/// Gives the values of metrics that no event counts.
///
/// It is called on a thread of the ping's own, outside of any async runtime, one metric at a time. A call that does not come back
/// before its deadline makes its metric fail; the thread is left behind, and the other metrics go on. Closures are sources.
///
/// ```
/// use headcount::{DataSource, SourceError, Sources};
///
/// let sources = Sources::new()
///     .class("ContainerRegistryDbEnabledMetric", |_| Ok(true.into()))
///     .key_path("settings.smtp_server", |_| Err(SourceError::failed("no mail server is set up")))
///     .data_source(DataSource::License, |asked| Ok(asked.metric().key_path().into()));
/// # let _ = sources;
/// ```
pub trait MetricSource: Send + Sync + 'static {
    /// The value of the metric.
    ///
    /// # Errors
    ///
    /// Why there is none; the rest of the ping goes on.
    fn value(&self, asked: &Asked) -> Result<PingValue, SourceError>;
}

impl<F> MetricSource for F
where
    F: Fn(&Asked) -> Result<PingValue, SourceError> + Send + Sync + 'static,
{
    fn value(&self, asked: &Asked) -> Result<PingValue, SourceError> {
        self(asked)
    }
}

/// What a source is asked for.
///
/// ```
/// use headcount::{Asked, PingValue, SourceError};
///
/// fn setting(asked: &Asked) -> Result<PingValue, SourceError> {
///     match asked.option("setting_method") {
///         Some(PingValue::Text(name)) if name == "signup_enabled" => Ok(true.into()),
///         _ => Err(SourceError::unavailable("no such setting")),
///     }
/// }
/// # let _ = setting;
/// ```
#[derive(Debug, Clone)]
pub struct Asked {
    pub(crate) metric: Arc<MetricDefinition>,
    pub(crate) at: Timestamp,
    pub(crate) deadline: Instant,
    pub(crate) said: Arc<Mutex<Said>>,
    pub(crate) kept: Kept,
}

/// What sources keep for the next metric. It ends with the thread that asks them: a connection may not be closed on one of an async
/// runtime.
pub(crate) type Kept = Arc<Mutex<Vec<Box<dyn Any + Send>>>>;

/// What a source says beside a value.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Said {
    pub(crate) about: About,
    /// Whether the value is a number of distinct ones, which may be of few.
    pub(crate) is_distinct: bool,
}

impl Asked {
    /// The definition of the metric.
    #[must_use]
    pub fn metric(&self) -> &MetricDefinition {
        &self.metric
    }

    /// One of the `options` of the definition.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<PingValue> {
        self.metric.options()?.get(name).map(PingValue::of_json)
    }

    /// The instant that the ping is about, by the store's clock.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Says which time the value is about; it stands beside the document.
    pub fn about(&self, window: TimeRange) {
        self.said.lock().about.window = Some(window);
    }

    /// Says that the value is an estimate with this standard error; it stands beside the document. One that is negative or not finite
    /// makes the metric fail.
    pub fn estimated(&self, standard_error: f64) {
        self.said.lock().about.standard_error = standard_error;
    }

    /// How much time is left; zero when nobody waits for the value any more.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// Why a source has no value.
///
/// ```
/// use headcount::{SourceError, SourceFault};
///
/// let error = SourceError::new(SourceFault::Locked, "the table `issues` is locked");
/// assert_eq!(error.fault(), SourceFault::Locked);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceError {
    fault: SourceFault,
    message: String,
}

/// What kept a metric from its value, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SourceFault {
    /// There is nothing to ask here: the metric is left out, as one without a source.
    Unavailable,
    /// A limit in time passed.
    Timeout,
    /// A connection could not be made, or broke.
    Unreachable,
    /// A lock was not to be had.
    Locked,
    /// A table or a column is not there.
    Missing,
    /// The definition asks for something that makes no sense.
    Invalid,
    /// The metric is no longer supported; GitLab's document has -1000 for it.
    Deprecated,
    /// An estimate could not be made well enough; GitLab's document has -2 for it.
    Imprecise,
    /// Anything else.
    Failed,
}

impl SourceFault {
    /// Every one.
    pub(crate) const ALL: [Self; 9] = [
        Self::Unavailable,
        Self::Timeout,
        Self::Unreachable,
        Self::Locked,
        Self::Missing,
        Self::Invalid,
        Self::Deprecated,
        Self::Imprecise,
        Self::Failed,
    ];

    /// The word that documents use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Locked => "locked",
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::Deprecated => "deprecated",
            Self::Imprecise => "imprecise",
            Self::Failed => "failed",
        }
    }
}

impl SourceError {
    /// An error that names the object and the remedy.
    pub fn new(fault: SourceFault, message: impl Into<String>) -> Self {
        Self { fault, message: message.into() }
    }

    /// There is nothing to ask here; the metric is left out.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(SourceFault::Unavailable, message)
    }

    /// The value could not be had.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(SourceFault::Failed, message)
    }

    /// What kept the metric from its value.
    #[must_use]
    pub fn fault(&self) -> SourceFault {
        self.fault
    }

    /// The same, in words.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SourceError {}

/// The sources of a ping: by key path, by `instrumentation_class`, and by `data_source`, looked for in this order.
///
/// A source that is given again for the same takes the place of the one before.
///
/// ```
/// use headcount::Sources;
///
/// let sources = Sources::new().class("CountUsersMetric", |_| Ok(17.into()));
/// # let _ = sources;
/// ```
#[derive(Clone, Default)]
pub struct Sources {
    key_paths: BTreeMap<String, Arc<dyn MetricSource>>,
    classes: BTreeMap<String, Arc<dyn MetricSource>>,
    data_sources: BTreeMap<DataSource, Arc<dyn MetricSource>>,
}

impl Sources {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers for the metric at this key path.
    #[must_use]
    pub fn key_path<F>(self, key_path: impl Into<String>, source: F) -> Self
    where
        F: Fn(&Asked) -> Result<PingValue, SourceError> + Send + Sync + 'static,
    {
        self.key_path_from(key_path, source)
    }

    /// Answers for the metrics of this `instrumentation_class`.
    #[must_use]
    pub fn class<F>(self, class: impl Into<String>, source: F) -> Self
    where
        F: Fn(&Asked) -> Result<PingValue, SourceError> + Send + Sync + 'static,
    {
        self.class_from(class, source)
    }

    /// Answers for the metrics of this `data_source` that nothing else answers for.
    #[must_use]
    pub fn data_source<F>(self, data_source: DataSource, source: F) -> Self
    where
        F: Fn(&Asked) -> Result<PingValue, SourceError> + Send + Sync + 'static,
    {
        self.data_source_from(data_source, source)
    }

    /// As [`Sources::key_path`], from a source that is no closure.
    #[must_use]
    pub fn key_path_from(mut self, key_path: impl Into<String>, source: impl MetricSource) -> Self {
        self.key_paths.insert(key_path.into(), Arc::new(source));
        self
    }

    /// As [`Sources::class`], from a source that is no closure.
    #[must_use]
    pub fn class_from(mut self, class: impl Into<String>, source: impl MetricSource) -> Self {
        self.classes.insert(class.into(), Arc::new(source));
        self
    }

    /// As [`Sources::data_source`], from a source that is no closure, as a database.
    #[must_use]
    pub fn data_source_from(mut self, data_source: DataSource, source: impl MetricSource) -> Self {
        self.data_sources.insert(data_source, Arc::new(source));
        self
    }

    /// Whether a source was named for just this metric, or for its class.
    pub(crate) fn is_named(&self, metric: &MetricDefinition) -> bool {
        let is_of_class = |class| self.classes.contains_key(class);
        self.key_paths.contains_key(metric.key_path())
            || metric.instrumentation_class().is_some_and(is_of_class)
    }

    pub(crate) fn find(&self, metric: &MetricDefinition) -> Option<&Arc<dyn MetricSource>> {
        let of_class = || self.classes.get(metric.instrumentation_class()?);
        self.key_paths
            .get(metric.key_path())
            .or_else(of_class)
            .or_else(|| self.data_sources.get(&metric.data_source()))
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("key_paths", &self.key_paths.keys())
            .field("classes", &self.classes.keys())
            .field("data_sources", &self.data_sources.keys())
            .finish()
    }
}
