//! What definitions mean, in YAML and in code.

use headcount::{
    DataCategory, DataSource, Definitions, Error, ErrorKind, EventDefinition, FilterValue, MetricDefinition,
    MetricStatus, Rule, RuleKind, TimeFrame, ValueType,
};

use crate::load;

#[test]
fn lists_of_time_frames_expand_as_in_gitlab() {
    let metric = |frames: &str| {
        let yaml = format!(
            "key_path: counts.count_total_x\ndata_source: internal_events\ntime_frame: {frames}\nevents: [{{name: x}}]\n"
        );
        let definitions = load(&yaml).unwrap();
        definitions
            .metrics()
            .map(|metric| (metric.key_path().to_owned(), metric.time_frame()))
            .collect::<Vec<_>>()
    };
    let (all, month, week) =
        ("counts.count_total_x", "counts.count_total_x_monthly", "counts.count_total_x_weekly");
    assert_eq!(
        metric("[28d, 7d, all]"),
        [
            (all.to_owned(), TimeFrame::All),
            (month.to_owned(), TimeFrame::TwentyEightDays),
            (week.to_owned(), TimeFrame::SevenDays)
        ]
    );
    assert_eq!(metric("[7d]"), [(week.to_owned(), TimeFrame::SevenDays)]);
    assert_eq!(metric("7d"), [(all.to_owned(), TimeFrame::SevenDays)]);
}

#[test]
fn older_forms_of_gitlab_become_rules() {
    let metric = |source: &str, options: &str| {
        let yaml = format!("key_path: a\ntime_frame: 7d\ndata_source: {source}\noptions: {options}\n");
        load(&yaml).unwrap().find_metric("a").unwrap().clone()
    };
    let rules = |source: &str, options: &str| metric(source, options).rules().to_vec();
    assert_eq!(
        rules("redis_hll", "{events: [a, b]}"),
        [Rule::unique("a", "user"), Rule::unique("b", "user")]
    );
    assert_eq!(
        rules("redis_hll", "{aggregate: {operator: OR, attribute: project_id}, events: [a]}"),
        [Rule::unique("a", "project")]
    );
    assert_eq!(rules("redis", "{prefix: web_ide, event: views}"), [Rule::count("web_ide_views")]);
    assert_eq!(rules("redis", "{prefix: , event: views}"), [Rule::count("views")]);
    let intersection = metric("redis_hll", "{aggregate: {operator: AND, attribute: user_id}, events: [a]}");
    assert_eq!(intersection.kind(), None);
    assert!(intersection.without_rules().unwrap().contains("intersection"));
    assert!(
        metric("redis", "{counter_class: C, event: pushes}").without_rules().unwrap().contains("`prefix`")
    );
}

#[test]
fn series_keys_are_gitlabs_paths() {
    let vectors = [
        (Rule::count("push_package_to_registry"), "push_package_to_registry"),
        (
            Rule::count("push_package_to_registry").filter("label", "npm"),
            "push_package_to_registry-filter:[label:npm]",
        ),
        (Rule::unique("create_ci_build", "user"), "create_ci_build-user"),
        (Rule::sum("x").filter("label", "failure"), "x-operator:sum(value)-filter:[label:failure]"),
        (Rule::per_value("gitlab_cli_command_used", "label"), "gitlab_cli_command_used-operator:total-label"),
        (
            Rule::unique("x", "user").filter("value", 60.0).filter("label", "a b/c"),
            "x-filter:[label:a%20b/c,value:60]-user",
        ),
        (Rule::count("x").filter("k", 12.4).filter("j", -0.0), "x-filter:[j:0,k:12.4]"),
        (
            Rule::count("x").filter("k", 1e21).filter("j", 5e-7),
            "x-filter:[j:0.0000005,k:1000000000000000000000]",
        ),
        (Rule::count("x").filter("k", "60"), "x-filter:[k:%360]"),
        (Rule::count("x").filter("k", "-1e5"), "x-filter:[k:%2D1e5]"),
        (Rule::count("x").filter("k", "a,b]:%").filter("l", ""), "x-filter:[k:a%2Cb%5D%3A%25,l:]"),
        (Rule::count("a-b").filter("k:", "ü"), "a%2Db-filter:[k%3A:%C3%BC]"),
    ];
    for (rule, key) in vectors {
        assert_eq!(rule.key(), key);
    }
    assert_eq!(FilterValue::from(7_i64), FilterValue::from(7.0));
    assert_ne!(Rule::count("x").filter("k", 60).key(), Rule::count("x").filter("k", "60").key());
    assert_eq!(Rule::count("x").filter("k", 60), Rule::count("x").filter("k", 60.0));
}

#[test]
fn yaml_and_code_define_the_same() {
    let event = "description: d\ninternal_events: true\naction: issue_created\nidentifiers: [user, device]\n\
        additional_properties:\n  label: {description: ''}\n  value:\n  template:\n";
    let metric = "key_path: counts.issues\ndata_source: internal_events\ntime_frame: [7d]\ndescription: m\n\
        events:\n- name: issue_created\n  unique: device\n  filter: {template: 3, label: web}\n";
    let per_value = "key_path: labels\ndata_source: internal_events\ntime_frame: all\nvalue_type: object\n\
        events:\n- {name: issue_created, unique: label, operator: total}\n";
    let setting = "key_path: settings.mode\ndata_source: system\ntime_frame: none\nvalue_type: string\n\
        data_category: operational\nstatus: removed\n";
    let loaded =
        Definitions::embedded(&[("e", event), ("m", metric), ("p", per_value), ("s", setting)]).unwrap();
    let event =
        EventDefinition::new("issue_created").description("d").identifier("user").identifier("device");
    let built = Definitions::new()
        .event(event.label().value().custom("template"))
        .unwrap()
        .metric(
            MetricDefinition::new("counts.issues_weekly", TimeFrame::SevenDays)
                .description("m")
                .rule(Rule::unique("issue_created", "device").filter("label", "web").filter("template", 3.0)),
        )
        .unwrap()
        .metric(
            MetricDefinition::new("labels", TimeFrame::All).rule(Rule::per_value("issue_created", "label")),
        )
        .unwrap()
        .metric(
            MetricDefinition::new("settings.mode", TimeFrame::None)
                .source(DataSource::System)
                .value(ValueType::String)
                .category(DataCategory::Operational)
                .removed(),
        )
        .unwrap();
    assert_eq!(loaded, built);
    assert_eq!(built.find_metric("labels").unwrap().kind(), Some(RuleKind::PerValue));
    assert_eq!(built.find_metric("settings.mode").unwrap().status(), MetricStatus::Removed);
    assert_ne!(loaded, Definitions::new());
}

#[test]
fn definitions_built_in_code_are_held_to_the_same() {
    let event = || EventDefinition::new("e").identifier("user").label();
    let with_event = || Definitions::new().event(event()).unwrap();
    let metric = |rule: Rule| MetricDefinition::new("m", TimeFrame::All).rule(rule);
    let refused: Vec<(Result<Definitions, Error>, &str)> = vec![
        (with_event().event(event()), "already defined at <code>"),
        (Definitions::new().event(EventDefinition::new("")), "must not be empty"),
        (Definitions::new().event(EventDefinition::new("e").identifier("User Id")), "lower-case letter"),
        (with_event().metric(metric(Rule::sum("e"))), "needs `value`"),
        (with_event().metric(metric(Rule::unique("e", "usr"))), "did you mean `user`?"),
        (with_event().metric(metric(Rule::count("e")).rule(Rule::unique("e", "user"))), "of one kind"),
        (with_event().metric(metric(Rule::count("e").filter("label", f64::NAN))), "must be a finite number"),
        (with_event().metric(metric(Rule::count("e").filter("label", 5))), "must be text"),
        (with_event().metric(MetricDefinition::new("m", TimeFrame::All)), "has no rule"),
        (with_event().metric(MetricDefinition::new("m.", TimeFrame::None)), "single dots"),
        (
            with_event().metric(MetricDefinition::new("m", TimeFrame::None).rule(Rule::count("e"))),
            "7d, 28d or all",
        ),
        (Definitions::new().metric(metric(Rule::count(""))), "has no name"),
        (Definitions::new().metric(metric(Rule::sum("e"))).unwrap().event(event()), "needs `value`"),
    ];
    for (result, fragment) in refused {
        let error = result.expect_err(fragment);
        assert_eq!(error.kind(), ErrorKind::Definitions);
        assert!(error.to_string().contains(fragment), "{error}");
    }
}

#[test]
fn aliases_repeat_what_they_name() {
    let definitions =
        load("action: a\nidentifiers: &ids [user]\nx-more: {also: *ids}\nproduct_categories: *ids\n")
            .unwrap();
    assert!(definitions.find_event("a").unwrap().has_identifier("user"));
}
