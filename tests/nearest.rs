//! A misspelt event or key path is answered with the name that was meant.

use headcount::{
    Definitions, ErrorKind, EventDefinition, MetricDefinition, Query, Rule, Store, TimeFrame, Unit,
};

#[test]
fn unknown_events_and_key_paths_name_the_nearest() {
    let definitions = Definitions::new()
        .event(EventDefinition::new("issue_created"))
        .and_then(|all| {
            all.metric(
                MetricDefinition::new("counts.issues", TimeFrame::All).rule(Rule::count("issue_created")),
            )
        })
        .unwrap();
    let store = Store::builder_in_memory().definitions(definitions).open().unwrap();
    let misspelt = Query::total("issue_created").and_event("issue_craeted");
    for error in
        [store.value(&misspelt).unwrap_err(), store.series(&misspelt.last_days(1), Unit::Day).unwrap_err()]
    {
        assert_eq!(error.kind(), ErrorKind::UnknownEvent);
        assert!(error.to_string().ends_with("; did you mean `issue_created`?"), "{error}");
    }
    let error = store.value(&Query::total("epic_closed")).unwrap_err();
    assert!(!error.to_string().contains("did you mean"), "{error}");
    let error = store.metric("counts.isues").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownMetric);
    assert!(error.to_string().ends_with("; did you mean `counts.issues`?"), "{error}");
}
