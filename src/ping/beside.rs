//! What stands beside the document: how each metric came to its value, or why it has none.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::time::range::TimeRange;
use crate::time::timestamp::Timestamp;

/// What became of one metric of a ping.
///
/// ```
/// # fn main() -> Result<(), headcount::Error> {
/// # use headcount::{Definitions, MetricDefinition, MetricOutcome, DataSource, Store, TimeFrame};
/// # let definitions = Definitions::new()
/// #     .metric(MetricDefinition::new("license_id", TimeFrame::None).source(DataSource::License))?;
/// # let store = Store::builder_in_memory().definitions(definitions).open()?;
/// let report = store.ping().build()?;
/// assert_eq!(report.metrics[0].outcome, MetricOutcome::Unavailable);
/// println!("{}: {}", report.metrics[0].key_path, report.metrics[0].message);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MetricReport {
    /// The metric's place in the document.
    pub key_path: String,
    /// What became of it.
    pub outcome: MetricOutcome,
    /// Why it has no value, as one word; empty when it has one.
    pub reason: String,
    /// The same in words; empty when it has one.
    pub message: String,
    /// The time that its value took; nothing for metrics of events that are read together.
    pub duration: Option<Duration>,
    /// One standard deviation of the value's error, of a sum at the most; 0 for exact values.
    pub standard_error: f64,
    /// The time that the value is about, where it is one.
    pub window: Option<TimeRange>,
    /// Since when its events were recorded.
    pub since: Option<Timestamp>,
    /// Whether its events were not recorded during all of the window.
    pub is_partial: bool,
}

/// What became of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MetricOutcome {
    /// Its value stands in the document.
    Value,
    /// It has a source, which failed: the document has the number that stands for that, or nothing.
    Failed,
    /// Nothing here can say its value: it is left out.
    Unavailable,
    /// Its category is not permitted: it is left out.
    Withheld,
    /// Its value is about fewer users than the operator lets out: it is left out.
    Suppressed,
    /// Its definition says that it is removed: it is left out, with what would stand there without a definition.
    Removed,
}

impl MetricOutcome {
    /// The word that documents use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Failed => "failed",
            Self::Unavailable => "unavailable",
            Self::Withheld => "withheld",
            Self::Suppressed => "suppressed",
            Self::Removed => "removed",
        }
    }
}

impl MetricReport {
    pub(crate) fn value(key_path: &str, duration: Option<Duration>) -> Self {
        Self {
            key_path: key_path.to_owned(),
            outcome: MetricOutcome::Value,
            reason: String::new(),
            message: String::new(),
            duration,
            standard_error: 0.0,
            window: None,
            since: None,
            is_partial: false,
        }
    }

    pub(crate) fn without(
        key_path: &str,
        outcome: MetricOutcome,
        reason: &str,
        message: impl Into<String>,
        duration: Option<Duration>,
    ) -> Self {
        let (reason, message) = (reason.to_owned(), message.into());
        Self { outcome, reason, message, ..Self::value(key_path, duration) }
    }
}

/// Its form as JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    recorded_at: String,
    finished_at: String,
    partial: bool,
    duration_ms: f64,
    /// The metrics of events, together.
    #[serde(default)]
    events_ms: Option<f64>,
    metrics: Vec<StoredMetric>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredMetric {
    key_path: String,
    outcome: MetricOutcome,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    message: String,
    duration_ms: Option<f64>,
    #[serde(default, skip_serializing_if = "is_zero")]
    standard_error: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<StoredWindow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredWindow {
    from: String,
    to: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

/// What stands beside a document.
pub(crate) struct Beside<'a> {
    pub(crate) recorded_at: Timestamp,
    pub(crate) finished_at: Timestamp,
    pub(crate) is_partial: bool,
    pub(crate) duration: Duration,
    pub(crate) events_duration: Option<Duration>,
    pub(crate) metrics: &'a [MetricReport],
}

impl Beside<'_> {
    pub(crate) fn render(&self) -> Result<String, Error> {
        let metric = |metric: &MetricReport| StoredMetric {
            key_path: metric.key_path.clone(),
            outcome: metric.outcome,
            reason: metric.reason.clone(),
            message: metric.message.clone(),
            duration_ms: metric.duration.map(milliseconds),
            standard_error: metric.standard_error,
            window: metric
                .window
                .map(|window| StoredWindow { from: window.from().to_string(), to: window.to().to_string() }),
            since: metric.since.map(|since| since.to_string()),
            partial: metric.is_partial,
        };
        let stored = Stored {
            recorded_at: self.recorded_at.to_string(),
            finished_at: self.finished_at.to_string(),
            partial: self.is_partial,
            duration_ms: milliseconds(self.duration),
            events_ms: self.events_duration.map(milliseconds),
            metrics: self.metrics.iter().map(metric).collect(),
        };
        write(&stored)
    }
}

fn write(stored: &Stored) -> Result<String, Error> {
    let mut json = serde_json::to_string_pretty(stored).map_err(|error| {
        Error::new(ErrorKind::Internal, format!("what stands beside the ping is no JSON: {error}"))
    })?;
    json.push('\n');
    Ok(json)
}

fn read(json: &str) -> Result<Stored, Error> {
    serde_json::from_str(json).map_err(|error| damaged(&error.to_string()))
}

#[cold]
fn damaged(what: &str) -> Error {
    Error::new(ErrorKind::StoreDamaged, format!("what stands beside the ping is damaged: {what}"))
}

/// In thousandths of a millisecond: finer ones are noise.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn from_milliseconds(milliseconds: f64) -> Duration {
    Duration::try_from_secs_f64(milliseconds / 1e3).unwrap_or_default()
}

/// The time that the metrics of events took together, of a text which [`Beside::render`] made.
pub(crate) fn events_duration(json: &str) -> Result<Option<Duration>, Error> {
    Ok(read(json)?.events_ms.map(from_milliseconds))
}

/// What [`Beside::render`] made, without the words of sources that failed: they may name paths, servers and values. Why a metric has no
/// value is said in one word all the same.
pub(crate) fn without_messages(json: &str) -> Result<String, Error> {
    let mut stored = read(json)?;
    stored.metrics.iter_mut().for_each(|metric| metric.message.clear());
    write(&stored)
}

/// The metrics that a text which [`Beside::render`] made is about.
pub(crate) fn metrics(json: &str) -> Result<Vec<MetricReport>, Error> {
    let stored = read(json)?;
    let metric = |metric: StoredMetric| {
        let window = metric.window.map(|window| {
            let (from, to) = (Timestamp::parse(&window.from)?, Timestamp::parse(&window.to)?);
            // That of all time is empty in the second in which the store was made.
            if from == to { Ok(TimeRange::clamped(from, to)) } else { TimeRange::new(from, to) }
        });
        Ok(MetricReport {
            key_path: metric.key_path,
            outcome: metric.outcome,
            reason: metric.reason,
            message: metric.message,
            duration: metric.duration_ms.map(from_milliseconds),
            standard_error: metric.standard_error,
            window: window.transpose()?,
            since: metric.since.as_deref().map(Timestamp::parse).transpose()?,
            is_partial: metric.partial,
        })
    };
    let metrics: Result<Vec<_>, Error> = stored.metrics.into_iter().map(metric).collect();
    metrics.map_err(|error| damaged(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_beside_a_ping_reads_back() {
        let at = |text| Timestamp::parse(text).unwrap();
        let mut counted = MetricReport::value("counts.a", Some(Duration::from_micros(1_250)));
        counted.standard_error = 1.5;
        counted.window = Some(TimeRange::new(at("2026-11-09"), at("2026-11-16")).unwrap());
        counted.since = Some(at("2026-11-12T08:00:00Z"));
        counted.is_partial = true;
        let failed = MetricReport::without(
            "b",
            MetricOutcome::Failed,
            "timeout",
            "too slow",
            Some(Duration::from_secs(3)),
        );
        let mut early = MetricReport::value("e", None);
        early.window = Some(TimeRange::clamped(at("2026-11-09"), at("2026-11-09")));
        let removed =
            MetricReport::without("c", MetricOutcome::Removed, "removed", "gone", Some(Duration::ZERO));
        let reports = [counted, failed, early, removed];
        let beside = Beside {
            recorded_at: at("2026-11-23"),
            finished_at: at("2026-11-23T00:00:04Z"),
            is_partial: true,
            duration: Duration::from_secs(4),
            events_duration: Some(Duration::from_millis(7)),
            metrics: &reports,
        };
        let written = beside.render().unwrap();
        assert_eq!(metrics(&written).unwrap(), reports);
        assert_eq!(events_duration(&written).unwrap(), Some(Duration::from_millis(7)));
        assert_eq!(metrics("{}").unwrap_err().kind(), ErrorKind::StoreDamaged);
    }
}
