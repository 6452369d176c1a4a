//! What stands in the document, and what stands beside it.

use headcount::{
    Consent, DataCategory, DataSource, Definitions, EventDefinition, Failures, ManualClock, MetricDefinition,
    MetricOutcome, PingValue, Rule, SourceError, SourceFault, Sources, TimeFrame, ValueType,
};
use serde_json::json;

use super::{at, counted, definitions, json, report_of, store, value};

#[test]
fn metrics_stand_at_their_key_paths_beside_who_the_installation_is() {
    let clock = ManualClock::new(at("2026-11-25T09:00:00Z"));
    let store = counted(&clock);
    let sources = Sources::new().key_path("settings.theme", |_| Ok("dark".into()));
    let ping =
        store.ping().sources(sources).version("1.4.0").installation_type("package").fact("edition", "CE");
    let report = ping.build().unwrap();
    let document = json(&report);
    for (key_path, expected) in [
        ("counts.issues", json!(3)),
        ("users.creating_weekly", json!(2)),
        ("settings.theme", json!("dark")),
        (
            "settings.collected_data_categories",
            json!(["operational", "optional", "subscription", "standard"]),
        ),
        ("recorded_at", json!("2026-11-25T09:00:00Z")),
        ("recording_finished_at", json!("2026-11-25T09:00:00Z")),
        ("version", json!("1.4.0")),
        ("installation_type", json!("package")),
        ("edition", json!("CE")),
        ("schema_version", json!(1)),
        ("uuid", json!(ping.uuid().unwrap())),
    ] {
        assert_eq!(value(&document, key_path), Some(&expected), "{key_path}");
    }
    assert_eq!(value(&document, "counts.gone"), None, "what was removed is not reported");
    for key_path in
        ["hostname", "headcount.version", "headcount.sqlite_version", "headcount.operating_system"]
    {
        assert!(value(&document, key_path).unwrap().is_string(), "{key_path}");
    }
    assert!(value(&document, "headcount.store_bytes").unwrap().as_u64().unwrap() > 4_096);
    let users = report_of(&report, "users.creating_weekly");
    assert_eq!(users.outcome, MetricOutcome::Value);
    assert!(users.standard_error > 0.0 && users.is_partial);
    assert_eq!(users.window.unwrap().to_string(), "2026-11-16..2026-11-23");
    assert_eq!(users.since, Some(at("2026-11-18T09:00:00Z")));
    assert!(!report.is_partial);
    // The same moment has the same bytes.
    assert_eq!(ping.build().unwrap().document, report.document);
    assert!(report.document.ends_with("}\n"));
}

#[test]
fn metrics_of_events_have_one_duration_together_and_none_of_their_own() {
    let clock = ManualClock::new(at("2026-11-25T09:00:00Z"));
    let store = counted(&clock);
    let sources = Sources::new().key_path("settings.theme", |_| Ok("dark".into()));
    let ping = store.ping().sources(sources);
    let report = ping.build().unwrap();
    assert!(report.events_duration.unwrap() > std::time::Duration::ZERO);
    for key_path in ["counts.issues", "users.creating_weekly"] {
        assert_eq!(report_of(&report, key_path).duration, None, "{key_path}");
        assert!(ping.metric(key_path).unwrap().1.duration.is_some(), "{key_path} alone");
    }
    assert!(report_of(&report, "settings.theme").duration.is_some());
    ping.generate().unwrap();
    let kept = ping.last_kept(None).unwrap().unwrap();
    assert!(kept.events_duration().unwrap().is_some());
    let of_issues = kept.metrics().unwrap().into_iter().find(|metric| metric.key_path == "counts.issues");
    assert_eq!(of_issues.unwrap().duration, None);
    let none = Definitions::new()
        .metric(MetricDefinition::new("a", TimeFrame::None).source(DataSource::License))
        .unwrap();
    assert_eq!(super::store(none, &clock).ping().build().unwrap().events_duration, None);
}

#[test]
fn what_nothing_can_answer_is_left_out_and_listed_and_never_zero() {
    let clock = ManualClock::new(at("2026-11-25T09:00:00Z"));
    let definitions = definitions()
        .event(EventDefinition::new("never_tracked"))
        .unwrap()
        .metric(MetricDefinition::new("licence", TimeFrame::None).source(DataSource::License))
        .unwrap();
    let report = store(definitions, &clock).ping().build().unwrap();
    let document = json(&report);
    for (key_path, words) in [("licence", "license"), ("settings.theme", "system")] {
        assert_eq!(value(&document, key_path), None);
        let metric = report_of(&report, key_path);
        assert_eq!(metric.outcome, MetricOutcome::Unavailable);
        assert!(metric.message.contains(words), "{}", metric.message);
    }
    // It is recorded and did not happen: that is zero.
    assert_eq!(value(&document, "counts.issues"), Some(&json!(0)));
    assert!(!report.is_partial);
}

#[test]
fn metrics_that_fail_have_gitlabs_numbers_or_nothing_and_a_reason_beside() {
    let clock = ManualClock::new(at("2026-11-25T09:00:00Z"));
    let metric = |key_path: &str, value_type| {
        MetricDefinition::new(key_path, TimeFrame::None).source(DataSource::System).value(value_type)
    };
    let failing = [
        ("timeout", ValueType::Number, SourceFault::Timeout, json!(-1)),
        ("histogram", ValueType::Object, SourceFault::Failed, json!({"-1": -1})),
        ("text", ValueType::String, SourceFault::Locked, json!(-1)),
        ("old", ValueType::Number, SourceFault::Deprecated, json!(-1_000)),
        ("estimate", ValueType::Number, SourceFault::Imprecise, json!(-2)),
    ];
    let mut definitions = Definitions::new();
    let mut sources = Sources::new();
    for (key_path, value_type, fault, _) in &failing {
        definitions = definitions.metric(metric(key_path, *value_type)).unwrap();
        let fault = *fault;
        sources = sources.key_path(*key_path, move |_| Err(SourceError::new(fault, "for a test")));
    }
    let ping = store(definitions, &clock).ping().sources(sources);
    let report = ping.build().unwrap();
    let document = json(&report);
    for (key_path, _, fault, expected) in &failing {
        assert_eq!(value(&document, key_path), Some(expected), "{key_path}");
        let metric = report_of(&report, key_path);
        assert_eq!((metric.outcome, metric.reason.as_str()), (MetricOutcome::Failed, fault.as_str()));
        assert_eq!(metric.message, "for a test");
    }
    assert!(report.is_partial);
    let left_out = json(&ping.failures(Failures::LeftOut).build().unwrap());
    assert!(failing.iter().all(|(key_path, ..)| value(&left_out, key_path).is_none()));
}

#[test]
fn a_value_of_another_type_than_defined_fails() {
    let clock = ManualClock::new(at("2026-11-25T09:00:00Z"));
    for value in [PingValue::from(7), PingValue::from(true), PingValue::List(Vec::new())] {
        let sources = Sources::new().key_path("settings.theme", move |_| Ok(value.clone()));
        let report = store(definitions(), &clock).ping().sources(sources).build().unwrap();
        let theme = report_of(&report, "settings.theme");
        assert_eq!((theme.outcome, theme.reason.as_str()), (MetricOutcome::Failed, "invalid"));
        assert!(theme.message.contains("string"), "{}", theme.message);
    }
}

#[test]
fn categories_that_are_not_permitted_stay_out_with_what_belongs_to_them() {
    let clock = ManualClock::new(at("2026-11-25T09:00:00Z"));
    let store = counted(&clock);
    let sources = Sources::new().key_path("settings.theme", |_| Ok("dark".into()));
    let ping = store.ping().sources(sources);
    let without = |category| {
        ping.set_consent(&Consent::default().without(category)).unwrap();
        ping.build().unwrap()
    };
    let report = without(DataCategory::Optional);
    let document = json(&report);
    assert_eq!(value(&document, "counts.issues"), None);
    assert_eq!(report_of(&report, "counts.issues").outcome, MetricOutcome::Withheld);
    assert_eq!(value(&document, "settings.theme"), Some(&json!("dark")));
    let collected = json!(["operational", "subscription", "standard"]);
    assert_eq!(value(&document, "settings.collected_data_categories"), Some(&collected));
    let document = json(&without(DataCategory::Operational));
    assert_eq!((value(&document, "settings.theme"), value(&document, "headcount")), (None, None));
    let document = json(&without(DataCategory::Standard));
    for key_path in ["uuid", "hostname", "recorded_at"] {
        assert_eq!(value(&document, key_path), None, "{key_path}");
    }
}

#[test]
fn a_definition_at_the_place_of_a_fact_decides_about_it() {
    let clock = ManualClock::new(at("2026-11-25T09:00:00Z"));
    let named = |key_path: &str, class: &str| {
        let yaml = format!(
            "key_path: {key_path}\ndescription: d\nproduct_group: g\nvalue_type: string\nstatus: active\ntime_frame: none\n\
             data_source: system\ndata_category: optional\ninstrumentation_class: {class}\nmilestone: '17.0'\n\
             introduced_by_url: https://example.com\ntiers: [free]\n"
        );
        yaml
    };
    let (host, id) = (named("hostname", "HostnameMetric"), named("id_of_instance", "UuidMetric"));
    let Ok(definitions) = Definitions::embedded(&[("a.yml", host.as_str()), ("b.yml", id.as_str())]) else {
        panic!("the definitions are sound");
    };
    let ping = store(definitions, &clock).ping();
    let document = json(&ping.build().unwrap());
    assert!(value(&document, "hostname").unwrap().is_string());
    assert_eq!(value(&document, "id_of_instance"), Some(&json!(ping.uuid().unwrap())));
    ping.set_consent(&Consent::default().without(DataCategory::Optional)).unwrap();
    let document = json(&ping.build().unwrap());
    assert_eq!(value(&document, "hostname"), None, "the definition calls it optional");
    assert!(value(&document, "uuid").is_some());
}

#[test]
fn a_removed_definition_at_the_place_of_a_fact_keeps_it_out_and_is_listed() {
    let clock = ManualClock::new(at("2026-11-25T09:00:00Z"));
    let removed = |key_path: &str| {
        MetricDefinition::new(key_path, TimeFrame::None).source(DataSource::System).removed()
    };
    let facts = ["hostname", "recording_finished_at", "schema_version", "headcount.store_bytes"];
    let definitions = facts.iter().fold(definitions(), |all, fact| all.metric(removed(fact)).unwrap());
    let ping = store(definitions, &clock).ping();
    let report = ping.build().unwrap();
    for fact in facts {
        assert_eq!(value(&json(&report), fact), None, "{fact}");
        let listed = report_of(&report, fact);
        assert_eq!((listed.outcome, listed.reason.as_str()), (MetricOutcome::Removed, "removed"), "{fact}");
        assert_eq!(ping.metric(fact).unwrap().1.outcome, MetricOutcome::Removed);
    }
    assert!(value(&json(&report), "uuid").is_some() && !report.is_partial);
    assert!(report.metrics.iter().all(|metric| metric.key_path != "counts.gone"), "no fact is there");
    assert_eq!(ping.metric("counts.gone").unwrap().0, None);
    let error = ping.fact("hostname", "x").build().unwrap_err();
    assert!(error.to_string().contains("`hostname`"), "{error}");
}

#[test]
fn counts_of_few_users_are_suppressed_on_request() {
    let clock = ManualClock::new(at("2026-11-25T09:00:00Z"));
    let ping = counted(&clock).ping();
    ping.set_consent(&Consent::default().suppress_below(3)).unwrap();
    let report = ping.build().unwrap();
    assert_eq!(value(&json(&report), "users.creating_weekly"), None);
    assert_eq!(report_of(&report, "users.creating_weekly").outcome, MetricOutcome::Suppressed);
    assert_eq!(value(&json(&report), "counts.issues"), Some(&json!(3)), "events are not users");
    ping.set_consent(&Consent::default().suppress_below(2)).unwrap();
    assert_eq!(value(&json(&ping.build().unwrap()), "users.creating_weekly"), Some(&json!(2)));
}

#[test]
fn a_fact_without_a_place_is_refused() {
    let clock = ManualClock::new(at("2026-11-25T09:00:00Z"));
    let store = store(definitions(), &clock);
    for key_path in ["counts.issues", "counts", "counts.issues.more"] {
        let error = store.ping().fact(key_path, 1).build().unwrap_err();
        assert!(error.to_string().contains(key_path), "{error}");
    }
    assert!(store.ping().fact("x", f64::NAN).build().is_err());
}

#[test]
fn an_object_of_counts_per_value_nests_by_property() {
    let clock = ManualClock::new(at("2026-11-25T09:00:00Z"));
    let definitions = Definitions::new()
        .event(EventDefinition::new("used").label())
        .unwrap()
        .metric(MetricDefinition::new("counts.used", TimeFrame::All).rule(Rule::per_value("used", "label")))
        .unwrap();
    let store = store(definitions, &clock);
    for label in ["web", "web", "api"] {
        store.tracker().track(headcount::Event::new("used").label(label));
    }
    store.flush().unwrap();
    let document = json(&store.ping().build().unwrap());
    assert_eq!(value(&document, "counts.used"), Some(&json!({"label": {"api": 1, "web": 2}})));
}
