//! Sources: which one answers, and what those that do not come back cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use headcount::{
    DataSource, Definitions, ManualClock, MetricDefinition, MetricOutcome, PingLimits, Sources, TimeFrame,
    ValueType,
};
use serde_json::json;

use super::{at, json, report_of, store, value};

/// Longer than a panic takes to be reported on a busy machine.
const STUCK_FOR: Duration = Duration::from_secs(3);

fn now() -> ManualClock {
    ManualClock::new(at("2026-11-25T09:00:00Z"))
}

fn numbers(key_paths: &[&str]) -> Definitions {
    key_paths.iter().fold(Definitions::new(), |definitions, key_path| {
        definitions
            .metric(MetricDefinition::new(*key_path, TimeFrame::None).source(DataSource::Database))
            .unwrap()
    })
}

#[test]
fn the_nearest_source_answers() {
    let yaml = |key_path: &str, class: &str| {
        format!(
            "key_path: {key_path}\ndescription: d\nproduct_group: g\nvalue_type: string\nstatus: active\ntime_frame: none\n\
             data_source: license\ndata_category: optional\n{class}milestone: '17.0'\nintroduced_by_url: https://example.com\n\
             tiers: [free]\noptions:\n  setting_method: theme\n"
        )
    };
    let class = "instrumentation_class: PlanMetric\n";
    let files = [
        yaml("a", class),
        yaml("b", class),
        yaml("c", ""),
        yaml("d", "instrumentation_class: OtherMetric\n"),
    ];
    let names = ["a.yml", "b.yml", "c.yml", "d.yml"];
    let files: Vec<_> = names.into_iter().zip(files.iter().map(String::as_str)).collect();
    let sources = Sources::new()
        .key_path("a", |_| Ok("key path".into()))
        .class("PlanMetric", |asked| Ok(asked.option("setting_method").unwrap()))
        .data_source(DataSource::License, |asked| Ok(asked.metric().key_path().into()));
    let store = store(Definitions::embedded(&files).unwrap(), &now());
    let document = json(&store.ping().sources(sources).build().unwrap());
    for (key_path, expected) in [("a", "key path"), ("b", "theme"), ("c", "c"), ("d", "d")] {
        assert_eq!(value(&document, key_path), Some(&json!(expected)));
    }
}

#[test]
fn a_source_that_does_not_come_back_costs_its_limit_and_no_other_metric() {
    let sources = Sources::new()
        .key_path("counts.stuck", |_| {
            loop {
                std::thread::park();
            }
        })
        .key_path("counts.panicking", |_| panic!("in a test"))
        .data_source(DataSource::Database, |_| Ok(1.into()));
    let key_paths = ["counts.a", "counts.panicking", "counts.stuck", "counts.z"];
    let limits = PingLimits { metric: STUCK_FOR, ..PingLimits::default() };
    let began = Instant::now();
    let report = store(numbers(&key_paths), &now()).ping().sources(sources).limits(limits).build().unwrap();
    assert!(began.elapsed() < 10 * STUCK_FOR);
    for key_path in ["counts.a", "counts.z"] {
        assert_eq!(value(&json(&report), key_path), Some(&json!(1)));
    }
    let stuck = report_of(&report, "counts.stuck");
    assert_eq!((stuck.outcome, stuck.reason.as_str()), (MetricOutcome::Failed, "timeout"));
    assert!(stuck.duration.unwrap() >= STUCK_FOR);
    assert_eq!(report_of(&report, "counts.panicking").reason, "failed");
    assert!(report.is_partial);
}

#[test]
fn a_ping_ends_at_its_limit_and_says_what_was_not_asked() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let sources = Sources::new().data_source(DataSource::Database, move |question| {
        counted.fetch_add(1, Ordering::Relaxed);
        // Heeds its deadline, as a database with a limit for statements.
        std::thread::sleep(question.remaining());
        Err(headcount::SourceError::new(headcount::SourceFault::Timeout, "slow"))
    });
    let key_paths: Vec<String> = (0..50).map(|number| format!("counts.n{number:02}")).collect();
    let key_paths: Vec<&str> = key_paths.iter().map(String::as_str).collect();
    let limits = PingLimits { metric: Duration::from_millis(40), ping: Duration::from_millis(100) };
    let report = store(numbers(&key_paths), &now()).ping().sources(sources).limits(limits).build().unwrap();
    assert!(asked.load(Ordering::Relaxed) <= 4, "three fit");
    assert!(report.metrics.iter().all(|metric| metric.reason == "timeout"));
    assert!(report.is_partial && report.metrics.len() == 50);
}

#[test]
fn progress_is_told_before_each_metric_of_a_source() {
    let sources = Sources::new().data_source(DataSource::Database, |_| Ok(1.into()));
    let mut told = Vec::new();
    let ping = store(numbers(&["a", "b"]), &now()).ping().sources(sources);
    ping.build_telling(&mut |done, all, key_path| told.push((done, all, key_path.to_owned()))).unwrap();
    assert_eq!(told, [(0, 2, "a".to_owned()), (1, 2, "b".to_owned())]);
}

#[test]
fn the_type_of_each_value_is_kept() {
    let typed = |key_path: &str, value_type| {
        MetricDefinition::new(key_path, TimeFrame::None).source(DataSource::System).value(value_type)
    };
    let definitions = Definitions::new()
        .metric(typed("a", ValueType::Boolean))
        .unwrap()
        .metric(typed("b", ValueType::Number))
        .unwrap()
        .metric(typed("c", ValueType::Object))
        .unwrap();
    let sources = Sources::new()
        .key_path("a", |_| Ok(false.into()))
        .key_path("b", |_| Ok(0.1.into()))
        .key_path("c", |_| {
            let list = headcount::PingValue::List(vec![1.into(), headcount::PingValue::Null]);
            Ok(headcount::PingValue::Object([("list".to_owned(), list)].into()))
        });
    let document = json(&store(definitions, &now()).ping().sources(sources).build().unwrap());
    for (key_path, expected) in [("a", json!(false)), ("b", json!(0.1)), ("c", json!({"list": [1, null]}))] {
        assert_eq!(value(&document, key_path), Some(&expected));
    }
}
