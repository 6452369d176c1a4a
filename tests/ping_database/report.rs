//! A ping over metrics that are written down as YAML.

use std::collections::BTreeMap;
use std::time::Duration;

use headcount::{
    DataSource, Definitions, ManualClock, MetricReport, MetricSource, Ping, PingLimits, Sources, Store,
    Timestamp,
};
use serde_json::Value;

/// The running instant of all tests.
pub(crate) const NOW: &str = "2026-11-23T12:00:00Z";

/// A metric: key path, time frame, and its options in YAML.
pub(crate) type Metric<'a> = (&'a str, &'a str, &'a str);

pub(crate) struct Report {
    pub(crate) document: Value,
    pub(crate) metrics: BTreeMap<String, MetricReport>,
}

impl Report {
    /// The value of a metric, which has one.
    pub(crate) fn value(&self, key_path: &str) -> &Value {
        let report = &self.metrics[key_path];
        assert_eq!(report.reason, "", "{key_path}: {}", report.message);
        key_path.split('.').fold(&self.document, |value, key| &value[key])
    }

    pub(crate) fn number(&self, key_path: &str) -> f64 {
        let value = self.value(key_path);
        value.as_f64().unwrap_or_else(|| panic!("{key_path} is {value}"))
    }

    /// Why a metric has no value: word and message.
    pub(crate) fn failure(&self, key_path: &str) -> (&str, &str) {
        let report = &self.metrics[key_path];
        (&report.reason, &report.message)
    }
}

/// A store with these metrics; those without options are of the data source `system`.
pub(crate) fn store(metrics: &[Metric<'_>]) -> Store {
    let files: Vec<(String, String)> = metrics
        .iter()
        .map(|(key_path, frame, options)| {
            let source = if options.is_empty() { "system" } else { "database" };
            let options = if options.is_empty() { "{}" } else { options };
            let text = format!(
                "key_path: {key_path}\ndescription: x\ndata_source: {source}\ntime_frame: {frame}\nvalue_type: number\n\
                 options: {options}\n"
            );
            (format!("metrics/{key_path}.yml"), text)
        })
        .collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    let clock = ManualClock::new(Timestamp::parse(NOW).unwrap());
    let definitions = Definitions::embedded(&files).unwrap_or_else(|error| panic!("{error}"));
    Store::builder_in_memory().definitions(definitions).clock(clock).open().unwrap()
}

pub(crate) fn ask(metrics: &[Metric<'_>], database: impl MetricSource) -> Report {
    ask_within(
        metrics,
        Sources::new().data_source_from(DataSource::Database, database),
        Duration::from_secs(60),
    )
}

pub(crate) fn ask_within(metrics: &[Metric<'_>], sources: Sources, limit: Duration) -> Report {
    let store = store(metrics);
    let limits = PingLimits { metric: limit, ..PingLimits::default() };
    build(&store.ping().sources(sources).limits(limits))
}

pub(crate) fn build(ping: &Ping) -> Report {
    let report = ping.build().unwrap();
    let metrics = report.metrics.into_iter().map(|metric| (metric.key_path.clone(), metric)).collect();
    Report { document: serde_json::from_str(&report.document).unwrap(), metrics }
}
