//! Sources that do what no source should: each costs its own metric, and the rest of the ping is kept and can be read.

use std::panic::panic_any;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use headcount::{
    DataSource, Definitions, ManualClock, MetricDefinition, MetricOutcome, Ping, PingLimits, PingValue,
    SourceError, Sources, TimeFrame, ValueType,
};
use serde_json::{Value as Json, json};

use super::{at, store, value};

/// Longer than anything here takes that is to have a value, on a busy machine too.
const LIMIT: Duration = Duration::from_secs(3);

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("in a test, while dropped");
    }
}

fn texts(count: usize, bytes: usize) -> PingValue {
    PingValue::List(vec!["x".repeat(bytes).into(); count])
}

#[test]
fn whatever_a_source_does_costs_no_other_metric_and_the_ping_is_kept_and_read() {
    let own: Arc<OnceLock<Ping>> = Arc::default();
    let (recursive, nested) = (Arc::clone(&own), Arc::clone(&own));
    let clock = ManualClock::new(at("2026-11-25T09:00:00Z"));
    let sources = Sources::new()
        .data_source(DataSource::Database, |_| Ok(7.into()))
        .key_path("bad.hangs", |_| {
            loop {
                thread::park();
            }
        })
        .key_path("bad.late", |asked| {
            thread::sleep(asked.remaining() + Duration::from_secs(1));
            Ok(1.into())
        })
        .key_path("bad.panics_with_a_number", |_| panic_any(42))
        .key_path("bad.panics_with_a_panic", |_| panic_any(PanicsWhenDropped))
        .key_path("bad.nan", |_| Ok(f64::NAN.into()))
        .key_path("bad.infinite", |_| Ok(f64::NEG_INFINITY.into()))
        .key_path("bad.error_is_nan", |asked| {
            asked.estimated(f64::NAN);
            Ok(1.into())
        })
        .key_path("bad.error_is_negative", |asked| {
            asked.estimated(-1.0);
            Ok(1.into())
        })
        .key_path("bad.long_text", |_| Ok("x".repeat(10 << 20).into()))
        .key_path("bad.many_texts", |_| Ok(texts(9_000, 60 << 10)))
        .key_path("bad.many_parts", |_| Ok(texts(1_000_000, 0)))
        .key_path("bad.deep", |_| {
            Ok((0..1_000).fold(PingValue::Null, |inner, _| PingValue::List(vec![inner])))
        })
        .key_path("bad.long_error", |_| Err(SourceError::failed("\u{1b}[2J\u{202e}\0".repeat(1 << 20))))
        .key_path("bad.asks_for_itself", move |_| {
            match recursive.get().unwrap().metric("bad.asks_for_itself") {
                Ok((Some(value), _)) => Ok(value),
                Ok((None, report)) => Err(SourceError::failed(report.message)),
                Err(error) => Err(SourceError::failed(error.to_string())),
            }
        })
        .key_path("good.asks_the_ping", move |_| {
            let (value, _) = nested.get().unwrap().metric("good.z").unwrap();
            value.ok_or_else(|| SourceError::failed("nothing"))
        })
        .key_path("good.largest", |_| Ok(f64::MAX.into()))
        .key_path("good.smallest", |_| Ok(i64::MIN.into()));
    let bad = [
        ("hangs", "timeout"),
        ("late", "timeout"),
        ("panics_with_a_number", "failed"),
        ("panics_with_a_panic", "failed"),
        ("nan", "invalid"),
        ("infinite", "invalid"),
        ("error_is_nan", "invalid"),
        ("error_is_negative", "invalid"),
        ("long_text", "invalid"),
        ("many_texts", "invalid"),
        ("many_parts", "invalid"),
        ("deep", "invalid"),
        ("long_error", "failed"),
        ("asks_for_itself", "failed"),
    ];
    let types = |key_path: &str| match key_path {
        "bad.long_text" => ValueType::String,
        "bad.many_texts" | "bad.many_parts" | "bad.deep" => ValueType::Object,
        _ => ValueType::Number,
    };
    let good = ["asks_the_ping", "largest", "smallest", "z"];
    let mut key_paths: Vec<String> = bad.iter().map(|(name, _)| format!("bad.{name}")).collect();
    key_paths.extend(good.map(|name| format!("good.{name}")));
    key_paths.push("zz".to_owned());
    let definitions = key_paths.iter().fold(Definitions::new(), |all, key_path| {
        let metric = MetricDefinition::new(key_path, TimeFrame::None).source(DataSource::Database);
        all.metric(metric.value(types(key_path))).unwrap()
    });
    let store = store(definitions, &clock);
    let limits = PingLimits { metric: LIMIT, ..PingLimits::default() };
    let ping = own.get_or_init(|| store.ping().sources(sources).limits(limits));
    let began = Instant::now();
    let kept = ping.generate().unwrap();
    assert!(began.elapsed() < 8 * LIMIT, "{:?}", began.elapsed());
    assert!(kept.is_partial);
    let document: Json = serde_json::from_str(&kept.document).unwrap();
    let metrics = ping.kept(kept.week).unwrap().unwrap().metrics().unwrap();
    assert_eq!(metrics.len(), key_paths.len());
    for (name, reason) in bad {
        let metric = metrics.iter().find(|metric| metric.key_path == format!("bad.{name}")).unwrap();
        assert_eq!((metric.outcome, metric.reason.as_str()), (MetricOutcome::Failed, reason), "{name}");
        assert!(metric.message.len() < 8 << 10, "{name}: {} bytes", metric.message.len());
        let expected =
            if types(&metric.key_path) == ValueType::Object { json!({"-1": -1}) } else { json!(-1) };
        assert_eq!(value(&document, &metric.key_path), Some(&expected), "{name}");
    }
    for (key_path, expected) in [
        ("good.asks_the_ping", json!(7)),
        ("good.largest", json!(f64::MAX)),
        ("good.smallest", json!(i64::MIN)),
        ("good.z", json!(7)),
        ("zz", json!(7)),
    ] {
        assert_eq!(value(&document, key_path), Some(&expected), "{key_path}");
    }
}

#[test]
fn a_source_may_use_the_store_that_asks_it() {
    let clock = ManualClock::new(at("2026-11-25T09:00:00Z"));
    let definitions = ["a", "b"].iter().fold(Definitions::new(), |all, key_path| {
        let event = headcount::EventDefinition::new(format!("event_{key_path}"));
        let metric = MetricDefinition::new(*key_path, TimeFrame::None).source(DataSource::Database);
        all.event(event).unwrap().metric(metric).unwrap()
    });
    let store = store(definitions, &clock);
    let inner = store.clone();
    let sources = Sources::new().data_source(DataSource::Database, move |_| {
        inner.tracker().track(headcount::Event::new("event_a"));
        inner.flush().map_err(|error| SourceError::failed(error.to_string()))?;
        inner.ping().set_consent(&inner.ping().consent().unwrap()).unwrap();
        Ok(7.into())
    });
    let kept = store.ping().sources(sources).generate().unwrap();
    let document: Json = serde_json::from_str(&kept.document).unwrap();
    assert_eq!([&document["a"], &document["b"]], [&json!(7), &json!(7)]);
}

#[test]
fn a_ping_is_never_larger_than_can_be_kept() {
    const METRICS: usize = 80;
    let clock = ManualClock::new(at("2026-11-25T09:00:00Z"));
    let definitions = (0..METRICS).fold(Definitions::new(), |all, number| {
        let metric =
            MetricDefinition::new(format!("n{number:02}"), TimeFrame::None).source(DataSource::Database);
        all.metric(metric.value(ValueType::Object)).unwrap()
    });
    let sources = Sources::new().data_source(DataSource::Database, |_| Ok(texts(16, 65_000)));
    let ping = store(definitions, &clock).ping().sources(sources);
    let report = ping.build().unwrap();
    let values = report.metrics.iter().filter(|metric| metric.outcome == MetricOutcome::Value).count();
    assert!((60..METRICS).contains(&values), "{values}");
    let last = report.metrics.last().unwrap();
    assert_eq!(
        (last.outcome, last.reason.as_str()),
        (MetricOutcome::Failed, "too_large"),
        "{}",
        last.message
    );
    assert!(
        report.document.len() < 65 << 20 && report.document.contains("\"uuid\""),
        "{}",
        report.document.len()
    );
}
