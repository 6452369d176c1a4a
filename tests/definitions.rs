//! Definitions through the public interface: what is refused and where, what GitLab's files mean, and that no input breaks the reader.

#![cfg(feature = "yaml")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of tests may fail as tests do")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use headcount::{
    DataCategory, DataSource, Definitions, Error, ErrorKind, EventDefinition, FilterValue, MetricDefinition,
    MetricStatus, Rule, RuleKind, Severity, TimeFrame, ValueType,
};

/// A metric whose first three lines are fine, so that what follows begins in line 4.
const METRIC: &str = "key_path: counts.x\ndata_source: internal_events\ntime_frame: 7d\n";

fn load(yaml: &str) -> Result<Definitions, Error> {
    Definitions::embedded(&[("a.yml", yaml)])
}

/// Everything wrong with one file as `line:column message`.
fn errors(yaml: &str) -> Vec<String> {
    let error = load(yaml).expect_err(yaml);
    assert_eq!(error.kind(), ErrorKind::Definitions);
    error.problems().iter().map(|p| format!("{}:{} {}", p.line, p.column, p.message)).collect()
}

#[test]
fn every_mistake_is_refused_with_its_place_and_remedy() {
    let metric = |rest: &str| format!("{METRIC}{rest}");
    let cases: &[(String, &str, &str)] = &[
        // Files.
        (String::new(), "0:0", "empty; an event has an `action`"),
        ("# nothing\n".into(), "0:0", "the file is empty"),
        ("- a\n- b\n".into(), "1:1", "must be a mapping, found a list"),
        ("just text\n".into(), "1:1", "must be a mapping, found the text `just text`"),
        ("description: x\n".into(), "1:1", "neither `action`"),
        ("description: x\nacton: push\n".into(), "2:1", "by `acton`, did you mean `action`?"),
        ("keypath: a.b\n".into(), "1:1", "did you mean `key_path`?"),
        ("action: a\nkey_path: b\n".into(), "2:1", "this one has both"),
        ("action: a\n---\naction: b\n".into(), "2:1", "a second document begins here"),
        // YAML.
        ("action: a\ndescription: 'open\n".into(), "2:14", "not valid YAML"),
        ("action: a\ndescription: b: c\n".into(), "2:15", "not valid YAML"),
        ("action: a\n\tlabel: b\n".into(), "2:1", "a tab indents the line; use spaces"),
        ("action: a\naction: b\n".into(), "2:1", "the key `action` is already in this mapping, at 1:1"),
        ("action: a\n? [x]\n: y\n".into(), "2:3", "a key must be text, not a list"),
        ("action: a\ntiers: &t [*t]\n".into(), "2:12", "this alias refers to what it is part of"),
        ("action: a\ntiers: *t\n".into(), "2:8", "not valid YAML"),
        ("action: !ruby/object a\n".into(), "1:22", "the tag `!ruby/object` is not supported"),
        // Keys.
        ("action: a\nidentifers: [user]\n".into(), "2:1", "unknown key `identifers`; did you mean `identifiers`?"),
        ("action: a\ncolour: red\n".into(), "2:1", "unknown key `colour`; remove it, or begin its name with `x-`"),
        ("action: a\n<<: {}\n".into(), "2:1", "merge keys are not supported"),
        ("key_path: a\nevents_: []\n".into(), "2:1", "did you mean `events`?"),
        // Events.
        ("action: 5\n".into(), "1:9", "`action` must be text, found the number 5; quote it as '5'"),
        ("action: ''\n".into(), "1:9", "`action` must not be empty"),
        (format!("action: {}\n", "x".repeat(257)), "1:9", "has 257 bytes; at most 256"),
        ("action: a\nmilestone: 17.10\n".into(), "2:12", "found the number 17.10; quote it as '17.10'"),
        ("action: a\nidentifiers: user\n".into(), "2:14", "must be a list such as [user, project, namespace]"),
        ("action: a\nidentifiers:\n- user\n- 7\n".into(), "4:3", "found the number 7 in it"),
        ("action: a\nidentifiers: [label]\n".into(), "2:15", "the identifier `label` means something else"),
        ("action: a\nidentifiers: [User]\n".into(), "2:15", "must begin with a lower-case letter"),
        ("action: a\ninternal_events: yes\n".into(), "2:18", "must be true or absent, found the text `yes`"),
        ("action: a\ninternal_events: false\n".into(), "2:18", "found the boolean false"),
        ("action: a\nstatus: remove\n".into(), "2:9", "must be one of active, removed, found `remove`; did you mean `removed`?"),
        ("action: a\nadditional_properties: [label]\n".into(), "2:24", "must be a mapping of names"),
        ("action: a\nadditional_properties:\n  label: The label\n".into(), "3:10", "the property `label` must be a mapping"),
        (
            "action: a\nadditional_properties:\n  label: {descripton: x}\n".into(),
            "3:11",
            "unknown key `descripton` of the property `label`",
        ),
        ("action: a\nadditional_properties:\n  '': {description: x}\n".into(), "3:3", "must not be empty"),
        // Metrics.
        ("key_path: a..b\ndata_source: system\ntime_frame: none\n".into(), "1:11", "names separated by single dots"),
        ("key_path: a b\ndata_source: system\ntime_frame: none\n".into(), "1:11", "names separated by single dots"),
        ("key_path: a\ntime_frame: 7d\nevents: [{name: b}]\n".into(), "1:1", "`data_source` is missing"),
        (
            "key_path: a\ntime_frame: 7d\ndata_source: internal_event\n".into(),
            "3:14",
            "found `internal_event`; did you mean `internal_events`?",
        ),
        ("key_path: a\ndata_source: internal_events\nevents: [{name: b}]\n".into(), "1:1", "`time_frame` is missing"),
        (
            "key_path: a\ndata_source: internal_events\ntime_frame: {weeks: 1}\nevents: [{name: b}]\n".into(),
            "3:13",
            "`time_frame` must be one of 7d, 28d, all, none or a list such as [7d, 28d], found a mapping",
        ),
        ("key_path: a\ndata_source: database\ntime_frame: weekly\n".into(), "3:13", "found the text `weekly`"),
        ("key_path: a\ndata_source: database\ntime_frame: 7\n".into(), "3:13", "found the number 7"),
        ("key_path: a\ndata_source: database\ntime_frame: [7d, none]\n".into(), "3:18", "`time_frame: none` stands alone"),
        ("key_path: a\ndata_source: database\ntime_frame: [7d, 7d]\n".into(), "3:18", "listed twice"),
        ("key_path: a\ndata_source: database\ntime_frame: []\n".into(), "3:13", "an empty list"),
        (
            "key_path: a\ndata_source: internal_events\ntime_frame: none\nevents: [{name: b}]\n".into(),
            "3:13",
            "takes a time frame of 7d, 28d or all",
        ),
        (metric("status: activ\n"), "4:9", "did you mean `active`?"),
        (metric("options: [a]\n"), "4:10", "`options` must be a mapping, found a list"),
        (metric(""), "1:1", "it names no events; add `events:`"),
        (metric("events: []\n"), "4:9", "`events` is empty"),
        (metric("events: push\n"), "4:9", "`events` must be a list of rules"),
        // Rules.
        (metric("events:\n- push\n"), "5:3", "must be a mapping such as `name: push_code`, found the text `push`"),
        (metric("events:\n- unique: user.id\n"), "5:3", "a rule needs the `name` of an event"),
        (metric("events:\n- name: a\n  uniqe: user.id\n"), "6:3", "unknown key `uniqe` of a rule"),
        (metric("events:\n- name: a\n  uniqe: user.id\n"), "6:3", "did you mean `unique`?"),
        (metric("events:\n- name: [a]\n"), "5:9", "`name` must be text, found a list"),
        (metric("events:\n- name: a\n  unique: user.di\n"), "6:11", "did you mean `user.id`?"),
        (metric("events:\n- name: a\n  unique: [user.id]\n"), "6:11", "found a list"),
        (metric("events:\n- name: a\n  unique: 5\n"), "6:11", "found the number 5"),
        (metric("events:\n- name: a\n  operator: sum(vlaue)\n"), "6:13", "did you mean `sum(value)`?"),
        (metric("events:\n- name: a\n  operator: average\n"), "6:13", "must be sum(value) or total"),
        (metric("events:\n- name: a\n  operator: total\n"), "6:13", "add `unique`, or remove the operator"),
        (
            metric("events:\n- name: a\n  unique: user.id\n  operator: total\n"),
            "6:11",
            "refused for the identifier `user`",
        ),
        (
            metric("events:\n- name: a\n  unique: user.id\n  operator: sum(value)\n"),
            "7:13",
            "remove one of them",
        ),
        (metric("events:\n- name: a\n  filter: web\n"), "6:11", "`filter` must be a mapping"),
        (metric("events:\n- name: a\n  filter: {label: 5}\n"), "6:19", "the filter on `label` must be text, found the number 5"),
        (metric("events:\n- name: a\n  filter: {value: '5'}\n"), "6:19", "the filter on `value` must be a number"),
        (metric("events:\n- name: a\n  filter: {value: .inf}\n"), "6:19", "must be a finite number"),
        (metric("events:\n- name: a\n  filter: {is_admin: true}\n"), "6:22", "quote it as 'true'"),
        (metric("events:\n- name: a\n  filter: {é: ü, label: [1]}\n"), "6:25", "found a list"),
        (
            metric("events:\n- name: a\n- name: b\n  unique: user.id\n"),
            "6:9",
            "all rules of a metric must be of one kind",
        ),
        (
            "key_path: a\ntime_frame: 7d\ndata_source: redis_hll\noptions:\n  events: [a]\n  aggregate: {operator: XOR}\n".into(),
            "6:25",
            "must be OR or AND, found `XOR`",
        ),
        (
            "key_path: a\ntime_frame: 7d\ndata_source: redis\noptions: {event: a, prefix: [b]}\n".into(),
            "4:29",
            "`options.prefix` must be text or null",
        ),
    ];
    assert!(cases.len() >= 40);
    for (yaml, place, fragment) in cases {
        let found = errors(yaml);
        let expected =
            found.iter().any(|line| line.starts_with(&format!("{place} ")) && line.contains(fragment));
        assert!(expected, "{yaml}\nexpected {place} {fragment}\nfound {found:#?}");
    }
}

#[test]
fn rules_are_held_against_the_event_they_name() {
    let event = "action: push\nidentifiers: [user]\nadditional_properties:\n  label: {description: x}\n";
    let cases = [
        (
            "  filter: {labl: a}\n",
            "6:12",
            "does not declare; add it to its additional_properties; did you mean `label`?",
        ),
        ("  filter: {user: a}\n", "6:12", "only properties can be filtered on"),
        ("  unique: project.id\n", "6:11", "neither an identifier nor a property `project`"),
        ("  unique: usr\n", "6:11", "did you mean `user`?"),
        ("  operator: sum(value)\n", "6:13", "sum(value) needs `value`"),
        ("  unique: property\n  operator: total\n", "6:11", "does not declare `property`"),
    ];
    for (rest, place, fragment) in cases {
        let metric = format!("{METRIC}events:\n- name: push\n{rest}");
        // The order of the files makes no difference.
        for files in [[("e.yml", event), ("m.yml", &metric)], [("m.yml", &metric), ("e.yml", event)]] {
            let error = Definitions::embedded(&files).expect_err(rest);
            let [problem] = error.problems() else { panic!("{error}") };
            assert_eq!(
                (problem.file.as_str(), format!("{}:{}", problem.line, problem.column)),
                ("m.yml", place.into())
            );
            assert!(problem.message.contains(fragment), "{error}");
        }
    }
}

#[test]
fn an_event_with_errors_does_not_make_rules_on_it_wrong() {
    let event = "action: push\nadditional_properties: 5\n";
    let metric = format!("{METRIC}events:\n- name: push\n  filter: {{label: a}}\n");
    let error = Definitions::embedded(&[("e.yml", event), ("m.yml", &metric)]).unwrap_err();
    assert_eq!(error.problems().len(), 1, "{error}");
}

#[test]
fn all_problems_of_a_folder_are_found_in_one_run() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("a.yml", b"action: one\nidentifers: [user]\nmilestone: 1.0\n");
    write("b/c.yaml", b"action: one\n");
    write("b/d.yml", b"action: [\n");
    write("b/e.yml", b"action: t\xc3\xa4g\nx-note: \xff\n");
    write("m.yml", format!("{METRIC}events:\n- name: on\n").as_bytes());
    write("n.yml", b"key_path: counts.x\ndata_source: system\ntime_frame: none\n");
    write(".hidden/z.yml", b"nonsense");
    write(".z.yml", b"nonsense");
    write("readme.md", b"nonsense");
    let checked = Definitions::check(folder.path()).unwrap();
    assert!(checked.definitions().is_none());
    let base = format!("{}/", folder.path().display());
    let found: Vec<String> =
        checked.problems().iter().map(|problem| problem.to_string().replace(&base, "")).collect();
    let expected = [
        "a.yml:2:1: error: unknown key `identifers`; did you mean `identifiers`?",
        "a.yml:3:12: error: `milestone` must be text, found the number 1.0; quote it as '1.0'",
        "b/c.yaml:1:9: error: the event `one` is already defined at a.yml:1:9; remove one of them",
        "b/d.yml:1:9: error: this is not valid YAML",
        "b/e.yml:2:9: error: the file is not UTF-8 from here on",
        "m.yml:5:9: warning: no definition here declares the event `on`; did you mean `one`?",
        "n.yml:1:11: error: the metric `counts.x` is already defined at m.yml:1:11; remove one of them",
    ];
    for line in expected {
        assert!(found.iter().any(|problem| problem.starts_with(line)), "{line}\n{found:#?}");
    }
    let errors = checked.problems().iter().filter(|problem| problem.severity == Severity::Error).count();
    assert_eq!(errors, 6, "{found:#?}");
    assert_eq!(Definitions::load(folder.path()).unwrap_err().problems().len(), 6);
}

#[test]
fn key_paths_that_meet_after_expansion_are_refused() {
    let listed = "key_path: counts.x\ndata_source: database\ntime_frame: [7d, all]\n";
    let spelt = "key_path: counts.x_weekly\ndata_source: database\ntime_frame: 7d\n";
    let error = Definitions::embedded(&[("a.yml", listed), ("b.yml", spelt)]).unwrap_err();
    assert_eq!(
        error.problems()[0].to_string(),
        "b.yml:1:11: error: the metric `counts.x_weekly` is already defined at a.yml:1:11; remove one of them"
    );
}

#[test]
fn what_is_odd_but_meaningful_loads_with_a_warning() {
    let metric = |rest: &str| format!("{METRIC}{rest}");
    let cases: &[(String, &str, &str)] = &[
        ("action: a\nproduct_stage: x\n".into(), "2:1", "`product_stage` is of an older schema"),
        ("action: a\n".into(), "1:1", "GitLab's schema also asks for `description`, `product_group`, `milestone`"),
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
        (metric("events: [{name: a, unique: user.id}, {name: a, unique: label}]\n"), "4:56", "of different things"),
        ("key_path: a\ntime_frame: all\ndata_source: internal_events\nevents: [{name: a, unique: user.id}]\n".into(), "2:13", "GitLab counts no distinct ones over all time"),
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
fn hostile_yaml_is_refused_quickly() {
    let mut bomb = String::from("action: a\nx-0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..20 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("x-{level}: &a{level} [{below}]\n"));
    }
    let long_text =
        format!("action: a\nx-a: &a {}\nx-b: [{}*a]\n", "x".repeat(500_000), "*a, ".repeat(1_000));
    let nested = "[".repeat(20);
    let (open, close) = (&nested, "]".repeat(20));
    let deep_alias = format!("action: a\nx-a: &a {open}{close}\nx-b: {open}*a{close}\n");
    let cases = [
        (deep_alias, "nested deeper than 32"),
        (bomb, "more than 100000 values"),
        (long_text, "bytes of text, repeated text included"),
        (format!("action: {}a{}\n", "[".repeat(100_000), "]".repeat(100_000)), "nested deeper than 32"),
        (format!("action:\n  {}a\n", "- ".repeat(100_000)), "nested deeper than 32"),
        (format!("action: {}a{}\n", "{a: ".repeat(100), "}".repeat(100)), "nested deeper than 32"),
        (format!("action: a\nx-a: [{}]\n", "a, ".repeat(200_000)), "more than 100000 values"),
        (format!("action: a\n{}", "b: c\n".repeat(40_000)), "already in this mapping"),
        ((0..40_000).map(|n| format!("b{n}: c\n")).collect::<String>() + "action: a\n", "more errors"),
        (format!("action: a\n#{}", "x".repeat((1 << 20) - 10)), "more than 1048576 bytes"),
    ];
    for (yaml, fragment) in cases {
        let begun = Instant::now();
        let error = load(&yaml).expect_err(fragment);
        assert!(error.to_string().contains(fragment), "{fragment}: {:.300}", error.to_string());
        assert!(error.problems().len() <= 200);
        assert!(begun.elapsed() < Duration::from_secs(5), "{fragment} took {:?}", begun.elapsed());
    }
    let largest = format!("action: a\n#{}", "x".repeat((1 << 20) - 11));
    assert_eq!(largest.len(), 1 << 20);
    assert!(load(&largest).is_ok());
}

#[test]
fn windows_line_ends_keep_the_places() {
    let found = errors("action: a\r\nidentifers: [user]\r\n");
    assert!(found[0].starts_with("2:1 unknown key `identifers`"), "{found:?}");
}

#[test]
fn aliases_repeat_what_they_name() {
    let definitions =
        load("action: a\nidentifiers: &ids [user]\nx-more: {also: *ids}\nproduct_categories: *ids\n")
            .unwrap();
    assert!(definitions.find_event("a").unwrap().has_identifier("user"));
}

#[test]
fn paths_without_definitions_are_errors_that_name_them() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("missing")] {
        let error = Definitions::load(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Definitions);
        assert!(error.to_string().contains(path.to_str().unwrap()));
    }
}

#[cfg(unix)]
#[test]
fn links_are_followed_once_and_loops_end() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("events")).unwrap();
    std::fs::write(folder.path().join("events/a.yml"), "action: a\n").unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("events/loop")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("events"), folder.path().join("other")).unwrap();
    assert_eq!(Definitions::load(folder.path()).unwrap().events().len(), 1);
    std::os::unix::fs::symlink(folder.path().join("gone"), folder.path().join("b.yml")).unwrap();
    let error = Definitions::load(folder.path()).unwrap_err();
    assert!(error.to_string().contains("b.yml: error: the file cannot be read"), "{error}");
}

#[test]
fn a_folder_nested_too_deep_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let deep = (0..40).fold(folder.path().to_owned(), |path, _| path.join("d"));
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::write(deep.join("a.yml"), "action: a\n").unwrap();
    assert!(Definitions::load(folder.path()).unwrap_err().to_string().contains("nested deeper than 32"));
}

/// The folder of GitLab's own definitions, if the machine has it; with `HEADCOUNT_TEST_SERVERS=1` it must.
fn gitlab() -> Option<PathBuf> {
    let folder = std::env::var_os("HEADCOUNT_GITLAB_DEFINITIONS").map(PathBuf::from);
    if folder.is_none() {
        let required = std::env::var("HEADCOUNT_TEST_SERVERS").is_ok_and(|value| value == "1");
        assert!(!required, "HEADCOUNT_GITLAB_DEFINITIONS must name the folder of GitLab's definitions");
        skipped("HEADCOUNT_GITLAB_DEFINITIONS is not set");
    }
    folder
}

#[expect(clippy::print_stderr, reason = "a test that did not run must say so")]
fn skipped(reason: &str) {
    eprintln!("skipped: {reason}");
}

fn yaml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            yaml_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            found.push(path);
        }
    }
    found.sort();
}

#[test]
fn gitlabs_own_definitions_load() {
    let Some(folder) = gitlab() else { return };
    let config = Definitions::load(folder.join("config")).unwrap();
    let mut files = Vec::new();
    yaml_files(&folder.join("config"), &mut files);
    assert_eq!(
        config.events().len() + config.metrics().len(),
        files.len(),
        "no list of time frames among them"
    );

    let guest = config.find_metric("counts.package_events_i_package_pull_package_by_guest").unwrap();
    assert_eq!(guest.rules(), [Rule::count("pull_package_from_registry").filter("property", "guest")]);
    let merge_requests =
        config.find_metric("redis_hll_counters.code_review.i_code_review_user_close_mr_monthly").unwrap();
    assert_eq!(merge_requests.rules(), [Rule::unique("i_code_review_user_close_mr", "user")]);
    let setting = config.find_metric("instance_auto_devops_enabled").unwrap();
    assert_eq!((setting.data_source(), setting.value_type()), (DataSource::System, ValueType::Boolean));
    assert_eq!(config.find_metric("topology").unwrap().data_category(), DataCategory::Optional);
    assert!(config.find_event("i_quickactions_ship").unwrap().is_removed());

    let mut fixtures = Vec::new();
    yaml_files(&folder.join("spec"), &mut fixtures);
    assert_eq!(files.len() + fixtures.len(), 117);
    for file in &fixtures {
        Definitions::load(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
    let custom =
        fixtures.iter().find(|file| file.ends_with("user_id_single_event_custom_key_filter.yml")).unwrap();
    let custom = Definitions::load(custom).unwrap();
    let keys: Vec<String> = custom.metrics().flat_map(|metric| metric.rules()).map(Rule::key).collect();
    assert_eq!(
        keys[0],
        "internal_events_cli_used-filter:[custom_key1:metrics,custom_key3:30,custom_key4:12.4,label:failure]-user"
    );
}

#[test]
fn no_mutation_of_a_definition_breaks_the_reader() {
    let mut texts: Vec<Vec<u8>> = vec![
        format!("{METRIC}options: {{a: [1, .5, 'x']}}\nevents:\n- name: a\n  unique: user.id\n  filter: {{label: x}}\n").into_bytes(),
        b"---\naction: &a push\nidentifiers:\n- user\nadditional_properties:\n  label: {description: *a}\n".to_vec(),
    ];
    if let Some(folder) = gitlab() {
        let mut files = Vec::new();
        yaml_files(&folder, &mut files);
        texts.extend(files.iter().map(|file| std::fs::read(file).unwrap()));
    }
    let seed: u64 =
        std::env::var("HEADCOUNT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
        });
    let mut state = seed | 1;
    let mut below = move |limit: usize| {
        // xorshift64*; any generator does.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        usize::try_from(state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % limit.max(1)
    };
    let bits: [&[u8]; 24] = [
        b"\n",
        b" ",
        b"  ",
        b"- ",
        b": ",
        b"[",
        b"]",
        b"{",
        b"}",
        b"'",
        b"\"",
        b"&a ",
        b"*a",
        b"!!str ",
        b"#",
        b"|\n",
        b">\n",
        b"---\n",
        b"\t",
        b"? ",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\r",
        b"%YAML 1.2\n",
    ];
    for round in 0..6_000 {
        let mut text = texts[below(texts.len())].clone();
        for _ in 0..=below(4) {
            let at = below(text.len() + 1);
            match below(4) {
                0 => drop(text.splice(at..at, bits[below(bits.len())].iter().copied())),
                1 => drop(text.drain(at..(at + below(20)).min(text.len()))),
                2 => text.truncate(at),
                _ => {
                    let from = below(text.len() + 1);
                    let piece = text[from..(from + below(40)).min(text.len())].to_vec();
                    drop(text.splice(at..at, piece));
                }
            }
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        let outcome = std::panic::catch_unwind(|| load(&text).map(|definitions| definitions.events().len()));
        assert!(outcome.is_ok(), "HEADCOUNT_SEED={seed} round {round}\n{text}");
        if let Ok(Err(error)) = outcome {
            assert!(!error.problems().is_empty());
        }
    }
}

#[test]
fn what_is_wrong_with_a_rule_hides_nothing_else_that_is() {
    let event = "action: pushed\nidentifiers: [user]\nadditional_properties:\n  label: {description: x}\n";
    let metric = "key_path: a\ntime_frame: 7d\ndata_source: internal_events\nevents:\n";
    let table = [
        (
            "- name: pushd\n  uniqe: user.id\n  filter: {label: 5}\n  operator: sum\n",
            &[
                (6, "did you mean `unique`?"),
                (7, "must be text, found the number 5"),
                (8, "did you mean `sum(value)`?"),
            ][..],
        ),
        (
            "- name: pushed\n  unique: tenant.id\n- name: pushed\n  filter: {lable: y}\n",
            &[
                (6, "neither an identifier nor a property `tenant`"),
                (7, "must be of one kind"),
                (8, "did you mean `label`?"),
            ][..],
        ),
        (
            "- name: pushed\n  operator: total\n  filter: {lable: y, label: [1]}\n",
            &[(6, "add `unique`"), (7, "did you mean `label`?"), (7, "found a list")][..],
        ),
    ];
    for (rules, expected) in table {
        let metric = format!("{metric}{rules}");
        let error = Definitions::embedded(&[("event.yml", event), ("metric.yml", &metric)]).unwrap_err();
        let found: Vec<_> = error
            .problems()
            .iter()
            .filter(|problem| problem.file == "metric.yml" && problem.line > 4)
            .map(|problem| (problem.line, problem.message.as_str()))
            .collect();
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (line, words) in expected {
            assert!(
                found.iter().any(|(at, message)| at == line && message.contains(words)),
                "{words}: {found:#?}"
            );
        }
    }
}
