//! What is odd but means something.

use headcount::{Definitions, Rule};

use crate::{METRIC, load};

#[test]
fn what_is_odd_but_meaningful_loads_with_a_warning() {
    let metric = |rest: &str| format!("{METRIC}{rest}");
    let cases: &[(String, &str, &str)] = &[
        ("action: a\nproduct_stage: x\n".into(), "2:1", "`product_stage` is of an older schema"),
        ("action: a\n".into(), "1:1", "has no `internal_events: true`"),
        ("action: a\nmilestone: soon\n".into(), "2:12", "should be a version"),
        ("action: a-b\n".into(), "1:9", "should hold only a-z, 0-9 and _"),
        ("action: a\nstatus: removed\n".into(), "1:1", "removed but has no `removed_by_url`"),
        ("action: a\ntiers: [free, gold]\n".into(), "2:15", "found `gold`"),
        ("action: a\nadditional_properties:\n  user:\n".into(), "3:3", "the property `user` has no description"),
        ("action: a\nidentifiers: [user, user]\n".into(), "2:21", "listed twice"),
        (metric("data_category: Optional\nevents: [{name: a}]\n"), "4:16", "did you mean `optional`?"),
        (metric("status: data_available\nevents: [{name: a}]\n"), "4:9", "read as active"),
        (metric("status: broken\nevents: [{name: a}]\n"), "1:1", "broken but has no `repair_issue_url`"),
        (metric("instrumentation_class: A\nevents: [{name: a}]\n"), "4:1", "has no effect on a metric of events"),
        (metric("value_type: string\nevents: [{name: a}]\n"), "4:13", "is of type number"),
        (metric("events: [{name: a}, {name: a}]\n"), "4:21", "counts once"),
        (metric("events: [{name: a, unique: user}]\n"), "4:28", "writes `user.id`"),
        (metric("events: [{name: a, unique: user.id}, {name: a, unique: label}]\n"), "4:56", "count different things, `user` and `label`"),
        ("key_path: a\ntime_frame: all\ndata_source: internal_events\nevents: [{name: a, unique: user.id}]\n".into(), "2:13", "by the week and refuses `all`"),
        ("key_path: a\ntime_frame: 7d\ndata_source: database\nevents: [{name: a}]\n".into(), "4:1", "no effect with `data_source: database`"),
        ("key_path: a\ntime_frame: 7d\ndata_source: ruby\n".into(), "3:14", "read as system"),
        ("key_path: a\ntime_frame: 7d\n".into(), "1:1", "`data_source` is missing and read as system"),
        ("key_path: a\ndata_source: system\n".into(), "1:1", "`time_frame` is missing"),
    ];
    for (yaml, place, fragment) in cases {
        let definitions = load(yaml).unwrap_or_else(|error| panic!("{yaml}\n{error}"));
        let found: Vec<String> =
            definitions.warnings().iter().map(|p| format!("{}:{} {}", p.line, p.column, p.message)).collect();
        let expected =
            found.iter().any(|line| line.starts_with(&format!("{place} ")) && line.contains(fragment));
        assert!(expected, "{yaml}\nexpected {place} {fragment}\nfound {found:#?}");
    }
}

#[test]
fn a_complete_definition_has_no_warning() {
    let event = "---\ndescription: d\ninternal_events: true\naction: a\nproduct_group: g\nmilestone: '17.0'\n\
        introduced_by_url: null\ntiers: [free]\nx-owner: {team: 1}\nidentifiers:\n- user\n- device\n";
    let metric = "key_path: c.a\ndescription: d\nproduct_group: g\nproduct_categories: [x]\nvalue_type: number\n\
        status: active\nmilestone: \"<13.9\"\nintroduced_by_url: u\ntime_frame: [7d, 28d]\ndata_source: internal_events\n\
        data_category: optional\ntiers: [free]\nevents:\n- name: a\n  unique: device\n";
    let definitions = Definitions::embedded(&[("a.yml", event), ("m.yml", metric)]).unwrap();
    assert_eq!(definitions.warnings(), []);
    assert_eq!(definitions.find_metric("c.a_weekly").unwrap().rules(), [Rule::unique("a", "device")]);
}
