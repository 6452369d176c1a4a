//! What is refused, and where and with what remedy.

use headcount::Definitions;

use crate::{METRIC, errors};

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
        ("key_path: a\ndata_source: database\ntime_frame: weekly\n".into(), "3:13", "found the text `weekly`; did you mean `7d`?"),
        ("key_path: a\ndata_source: database\ntime_frame: 7\n".into(), "3:13", "found the number 7; did you mean `7d`?"),
        ("key_path: a\ndata_source: database\ntime_frame: [7d, 28]\n".into(), "3:18", "found the number 28; did you mean `28d`?"),
        ("key_path: [a]\ndata_source: system\ntime_frame: none\ndescription: 5\n".into(), "4:14", "`description` must be text"),
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

#[test]
fn windows_line_ends_keep_the_places() {
    let found = errors("action: a\r\nidentifers: [user]\r\n");
    assert!(found[0].starts_with("2:1 unknown key `identifers`"), "{found:?}");
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
