//! SQLite that is slow, locked or changed: the metric fails in time and by its name, and the others arrive.

use std::time::{Duration, Instant};

use headcount::{Asked, DataSource, PingValue, Sources};
use rusqlite::Connection;

use crate::report::{Metric, ask, ask_within};
use crate::sqlite_values::Database;

const ROWS: &str = "
    CREATE TABLE issues (id INTEGER PRIMARY KEY, n INTEGER);
    WITH RECURSIVE rows(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM rows WHERE i < 20000) INSERT INTO issues SELECT i, i FROM rows;
    CREATE TABLE notes (id INTEGER PRIMARY KEY, extra INTEGER);
    INSERT INTO notes (extra) VALUES (1), (2), (3);
    CREATE TABLE doomed (id INTEGER PRIMARY KEY);
    CREATE VIEW endless AS WITH RECURSIVE rows(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM rows) SELECT id FROM rows;
    CREATE VIEW slow AS SELECT id, (SELECT count(*) FROM issues b WHERE b.id <= 400 AND b.n >= issues.n) AS n FROM issues;";
const LAST: Metric<'_> = ("zz_last", "all", "{relation: notes}");

#[test]
fn slow_and_changed_relations_fail_in_time_and_alone() {
    let database = Database::new(ROWS);
    let path = database.path();
    let change = move |_: &Asked| {
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("ALTER TABLE notes DROP COLUMN extra; DROP TABLE doomed").unwrap();
        Ok(PingValue::Null)
    };
    let metrics = [
        ("a_endless", "all", "{relation: endless, batch_column: id}"),
        ("b_before", "all", "{relation: notes, operation: sum, column: extra}"),
        ("c_before", "all", "{relation: doomed}"),
        ("d_change", "none", ""),
        ("e_column", "all", "{relation: notes, operation: sum, column: extra}"),
        ("f_table", "all", "{relation: doomed}"),
        ("g_near", "all", "{relation: isues}"),
        LAST,
    ];
    let sources =
        Sources::new().data_source_from(DataSource::Database, database.source()).key_path("d_change", change);
    let began = Instant::now();
    let report = ask_within(&metrics, sources, Duration::from_secs(3));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    for (key, reason, told) in [
        ("a_endless", "timeout", "`endless`"),
        ("e_column", "missing", "`notes` has no column `extra`"),
        ("f_table", "missing", "there is no table or view `doomed`"),
        ("g_near", "missing", "did you mean `issues`?"),
    ] {
        let failure = report.failure(key);
        assert!(failure.0 == reason && failure.1.contains(told), "{key}: {failure:?}");
        assert_eq!(report.document[key], -1);
    }
    assert_eq!(
        [report.number("b_before"), report.number("c_before"), report.number(LAST.0)],
        [6.0, 0.0, 3.0]
    );
}

#[test]
fn batches_that_are_too_slow_are_halved_until_they_are_not() {
    let database = Database::new(ROWS);
    let began = Instant::now();
    let plain = database.number("SELECT sum(n) FROM slow");
    let whole = began.elapsed();
    let metrics = [("slow", "all", "{relation: slow, batch_column: id, operation: sum, column: n}"), LAST];
    // Too little for all rows in one, and enough for the fewest, unless a busy machine holds one of them up.
    let mut tries = (0..10).map(|_| ask(&metrics, database.source().query_limit(whole / 3)));
    let report = tries.find(|report| report.failure("slow").0 != "timeout").unwrap();
    assert_eq!((Some(report.number("slow")), report.number(LAST.0)), (plain, 3.0));
}

#[test]
fn a_locked_database_is_waited_for_shortly() {
    let database = Database::new(ROWS);
    database.connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let sources = || {
        Sources::new()
            .data_source_from(DataSource::Database, database.source())
            .key_path("zz_setting", |_: &Asked| Ok(7.into()))
    };
    let metrics = [("a", "all", "{relation: issues}"), ("zz_setting", "none", "")];
    let began = Instant::now();
    let report = ask_within(&metrics, sources(), Duration::from_secs(20));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!((report.failure("a").0, report.number("zz_setting")), ("locked", 7.0));
    database.connection.execute_batch("COMMIT").unwrap();
    let report = ask_within(&metrics, sources(), Duration::from_secs(20));
    assert_eq!(report.number("a"), 20_000.0);
}

#[test]
fn names_that_mean_harm_are_names_that_are_not_there() {
    let database = Database::new(ROWS);
    let hostile = [
        "notes; DROP TABLE notes",
        "notes\"; DROP TABLE notes; --",
        "\"notes\"",
        "main.notes",
        "'notes'",
        "notes --",
        "sqlite_schem",
    ];
    let mut metrics: Vec<(String, String)> = Vec::new();
    for (at, name) in hostile.iter().enumerate() {
        let name = serde_json::to_string(name).unwrap();
        metrics.push((format!("r{at}"), format!("{{relation: {name}}}")));
        metrics.push((format!("c{at}"), format!("{{relation: notes, operation: sum, column: {name}}}")));
        metrics.push((format!("w{at}"), format!("{{relation: notes, where: {{{name}: 1}}}}")));
        metrics.push((format!("b{at}"), format!("{{relation: notes, batch_column: {name}}}")));
        metrics.push((format!("v{at}"), format!("{{relation: notes, where: {{extra: {name}}}}}")));
    }
    metrics.push(("nul".to_owned(), r#"{relation: "notes\0"}"#.to_owned()));
    metrics.push((LAST.0.to_owned(), LAST.2.to_owned()));
    let metrics: Vec<Metric<'_>> =
        metrics.iter().map(|(key, options)| (key.as_str(), "all", options.as_str())).collect();
    let report = ask(&metrics, database.source());
    for (key, ..) in &metrics {
        match key.as_bytes()[0] {
            b'v' => assert_eq!(report.number(key), 0.0, "{key}"),
            b'z' => assert_eq!(report.number(key), 3.0),
            b'n' => assert_eq!(report.failure(key).0, "invalid"),
            _ => assert_eq!(report.failure(key).0, "missing", "{key}: {:?}", report.failure(key)),
        }
    }
    assert_eq!(database.number("SELECT count(*) FROM notes"), Some(3.0));
}
