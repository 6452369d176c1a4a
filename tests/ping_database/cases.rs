//! What is asked of a million rows, as options of a metric and as plain SQL.

use crate::report::{Metric, Report};

/// The time frames with what plain SQL says of `{ts}`, whose unit the databases write.
pub(crate) const FRAMES: [(&str, Option<(&str, &str)>); 4] = [
    ("7d", Some(("2026-11-14", "2026-11-21"))),
    ("28d", Some(("2026-10-24", "2026-11-21"))),
    ("all", None),
    ("none", None),
];

/// Operation and column as options, and as SQL.
pub(crate) const OPERATIONS: [(&str, &str); 9] = [
    ("operation: count", "count(*)"),
    ("operation: distinct_count, column: author_id", "count(DISTINCT author_id)"),
    ("operation: sum, column: price", "coalesce(sum(price), 0)"),
    ("operation: average, column: weight", "avg(weight)"),
    ("operation: count, column: weight", "count(weight)"),
    ("operation: distinct_count, column: state", "count(DISTINCT state)"),
    ("operation: distinct_count, column: score", "count(DISTINCT score)"),
    ("operation: sum, column: weight", "coalesce(sum(weight), 0)"),
    ("operation: sum, column: score", "coalesce(sum(score), 0)"),
];

pub(crate) const FILTERS: [(&str, &str); 9] = [
    ("", "true"),
    ("where: {state: opened}", "state = 'opened'"),
    ("where: {state: {not: opened}}", "state <> 'opened'"),
    (
        "where: {state: [closed, locked], weight: {gte: 3, lt: 9}}",
        "state IN ('closed', 'locked') AND weight >= 3 AND weight < 9",
    ),
    ("where: {weight: null}", "weight IS NULL"),
    ("where: {weight: {not: null}, author_id: {gt: 40000}}", "weight IS NOT NULL AND author_id > 40000"),
    ("where: {score: {lte: 12.5}, price: {gte: 1}}", "score <= 12.5 AND price >= 1"),
    ("where: {is_public: true}", "is_public = true"),
    ("where: {state: nothing}", "state = 'nothing'"),
];

/// A metric with the SQL that says the same.
pub(crate) struct Case {
    pub(crate) key: String,
    frame: &'static str,
    pub(crate) options: String,
    pub(crate) sql: String,
}

/// Every operation over every time frame, and the first few with every filter; times are in `column`, and in `truth` for plain SQL.
pub(crate) fn all(column: &str, truth: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for o in 0..OPERATIONS.len() {
        for frame in 0..FRAMES.len() - 1 {
            cases.push(case(o, 0, frame, column, truth));
        }
    }
    for o in 0..4 {
        for f in 1..FILTERS.len() {
            cases.push(case(o, f, (o + f) % 3, column, truth));
        }
    }
    cases.push(case(0, 0, 3, column, truth));
    cases
}

/// A few over another column of times.
pub(crate) fn few(column: &str, truth: &str) -> Vec<Case> {
    (0..2).map(|frame| case(frame, 1, frame, column, truth)).collect()
}

fn case(o: usize, f: usize, frame: usize, column: &str, truth: &str) -> Case {
    let ((operation, selected), (filter, condition)) = (OPERATIONS[o], FILTERS[f]);
    let (frame, days) = FRAMES[frame];
    let during = match days {
        Some((from, to)) => format!("{truth} >= '{from}' AND {truth} < '{to}'"),
        None => "true".to_owned(),
    };
    Case {
        key: format!("c{o}_{f}_{frame}"),
        frame,
        options: format!("{{relation: issues, {operation}, timestamp_column: {column}, {filter}}}"),
        sql: format!("SELECT {selected} FROM issues WHERE {condition} AND {during}"),
    }
}

pub(crate) fn metrics(cases: &[Case]) -> Vec<Metric<'_>> {
    cases.iter().map(|case| (case.key.as_str(), case.frame, case.options.as_str())).collect()
}

/// Equal, or to 12 digits where the numbers need not be whole.
pub(crate) fn compare(report: &Report, key: &str, expected: Option<f64>, what: &str) {
    let value = report.value(key);
    let Some(expected) = expected else {
        assert!(value.is_null(), "{what}: {value}, and SQL says NULL");
        return;
    };
    let value = value.as_f64().unwrap_or_else(|| panic!("{what}: {value}"));
    let off = (value - expected).abs();
    assert!(off <= 1e-12 * expected.abs(), "{what}: {value}, and SQL says {expected}");
}
