//! SQLite: every operation against plain SQL over a million rows, and keys and times of every form.

use std::path::{Path, PathBuf};
use std::time::Instant;

use headcount::{ColumnIs, DatabaseMetric, Sources, SqliteSource};
use rusqlite::Connection;

use crate::cases;
use crate::report::{ask, ask_within};

pub(crate) struct Database {
    pub(crate) connection: Connection,
    folder: tempfile::TempDir,
}

impl Database {
    pub(crate) fn new(sql: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::open(folder.path().join("host.db")).unwrap();
        connection.execute_batch(sql).unwrap();
        Self { connection, folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("host.db")
    }

    pub(crate) fn source(&self) -> SqliteSource {
        SqliteSource::new(self.path())
    }

    pub(crate) fn number(&self, sql: &str) -> Option<f64> {
        self.connection.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}

/// Ids with gaps, a wide one in the middle; authors and weights that are sometimes NULL; 60 days that end now.
const MILLION: &str = "
    PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY;
    CREATE TABLE issues (id INTEGER PRIMARY KEY, author_id INTEGER, state TEXT, weight INTEGER, score REAL, price NUMERIC,
        is_public BOOLEAN, created_at TEXT, created_s INTEGER);
    WITH RECURSIVE rows(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM rows WHERE i < 1000000)
    INSERT INTO issues SELECT i * 3 + i % 2 + (i > 500000) * 1000000000000, nullif(i * 7 % 50021, 13),
        CASE i % 3 WHEN 0 THEN 'opened' WHEN 1 THEN 'closed' ELSE 'locked' END, nullif(i % 11, 5), (i % 1000) / 7.0,
        (i % 10000) / 100.0, i % 4 = 0, strftime('%Y-%m-%d %H:%M:%S', 1763899200 + i * 31 % 5184000 + 26352000, 'unixepoch'),
        1763899200 + i * 31 % 5184000 + 26352000
    FROM rows;";

#[test]
fn a_million_rows_of_sqlite_are_worth_what_plain_sql_says() {
    let began = Instant::now();
    let database = Database::new(MILLION);
    println!("made in {:?}", began.elapsed());
    for cases in [cases::all("created_at", "created_at"), cases::few("created_s", "created_at")] {
        let report = ask(&cases::metrics(&cases), database.source());
        for case in &cases {
            cases::compare(&report, &case.key, database.number(&case.sql), &case.options);
        }
    }
    time(&database);
}

/// What walking costs beside plain SQL.
fn time(database: &Database) {
    for (options, sql) in [
        ("relation: issues", "SELECT count(*) FROM issues"),
        ("relation: issues, where: {state: opened}", "SELECT count(*) FROM issues WHERE state = 'opened'"),
        (
            "relation: issues, operation: distinct_count, column: author_id",
            "SELECT count(DISTINCT author_id) FROM issues",
        ),
        ("relation: issues, operation: sum, column: weight", "SELECT sum(weight) FROM issues"),
    ] {
        let began = Instant::now();
        database.number(sql);
        let plain = began.elapsed();
        let options = format!("{{{options}}}");
        let report = ask(&[("a", "all", &options)], database.source());
        println!("{options}: {:?}, plain SQL {plain:?}", report.metrics["a"].duration);
    }
}

#[test]
fn keys_of_every_form_are_walked() {
    let database = Database::new(
        "WITH RECURSIVE rows(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM rows WHERE i < 260000)
         SELECT 1;
         CREATE TABLE numbers AS WITH RECURSIVE rows(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM rows WHERE i < 260000)
         SELECT i FROM rows;
         CREATE TABLE texts (id TEXT PRIMARY KEY COLLATE NOCASE, n INTEGER);
         INSERT INTO texts SELECT printf('%s-%d', CASE i % 2 WHEN 0 THEN 'A' ELSE 'b' END, i), i FROM numbers;
         INSERT INTO texts (id, n) SELECT NULL, i FROM numbers LIMIT 7;
         CREATE TABLE uuids (id BLOB PRIMARY KEY, n INTEGER) WITHOUT ROWID;
         INSERT INTO uuids SELECT randomblob(16), i FROM numbers;
         CREATE TABLE pairs (a INTEGER, b INTEGER, rowid TEXT, PRIMARY KEY (a, b));
         INSERT INTO pairs SELECT i, -i, 'x' FROM numbers;
         CREATE TABLE narrow (a INTEGER, b INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID;
         INSERT INTO narrow SELECT i, i % 3 FROM numbers;
         CREATE TABLE repeated (id INTEGER PRIMARY KEY, grp INTEGER, n INTEGER);
         INSERT INTO repeated SELECT i, nullif(i % 2, 1) + 5, i FROM numbers;
         CREATE INDEX repeated_grp ON repeated (grp);
         CREATE TABLE wide AS SELECT 9223372036854775807 - i AS n FROM numbers;
         CREATE TABLE empty (id INTEGER PRIMARY KEY, n INTEGER);
         CREATE TABLE \"odd \"\"name\" (\"the \"\"id\" INTEGER PRIMARY KEY, \"a.b\" INTEGER);
         INSERT INTO \"odd \"\"name\" SELECT i, i % 5 FROM numbers LIMIT 100;
         CREATE VIEW seen AS SELECT * FROM repeated;",
    );
    let metrics = [
        ("texts", "all", "{relation: texts, operation: sum, column: n}"),
        ("uuids", "all", "{relation: uuids, operation: sum, column: n}"),
        ("pairs", "all", "{relation: pairs, operation: sum, column: b}"),
        ("narrow", "all", "{relation: narrow}"),
        ("narrow_by_a", "all", "{relation: narrow, batch_column: a}"),
        ("repeated", "all", "{relation: repeated, operation: sum, column: n, batch_column: grp}"),
        ("wide", "all", "{relation: wide, operation: sum, column: n}"),
        ("empty", "all", "{relation: empty}"),
        ("empty_distinct", "all", "{relation: empty, operation: distinct_count, column: n}"),
        ("empty_sum", "all", "{relation: empty, operation: sum, column: n}"),
        ("empty_average", "all", "{relation: empty, operation: average, column: n}"),
        ("odd", "all", "{relation: 'odd \"name', operation: sum, column: a.b}"),
        ("seen", "all", "{relation: seen}"),
        ("seen_by_id", "all", "{relation: seen, batch_column: id}"),
        ("late", "7d", "{relation: empty}"),
        ("unset", "none", "{limit: 5}"),
    ];
    let report = ask(&metrics, database.source());
    let n = 260_000.0;
    let sum = n * (n + 1.0) / 2.0;
    for (key, expected) in [
        ("texts", sum + 28.0),
        ("uuids", sum),
        ("pairs", -sum),
        ("narrow_by_a", n),
        ("repeated", sum),
        ("wide", n * 9_223_372_036_854_775_807.0 - sum),
        ("empty", 0.0),
        ("empty_distinct", 0.0),
        ("empty_sum", 0.0),
        ("odd", 200.0),
        ("seen_by_id", n),
    ] {
        cases::compare(&report, key, Some(expected), key);
    }
    cases::compare(&report, "empty_average", None, "empty_average");
    for (key, fault, told) in [
        ("narrow", "invalid", "`batch_column`"),
        ("seen", "invalid", "`batch_column`"),
        ("late", "invalid", "`timestamp_column`"),
        ("unset", "unavailable", "no `relation`"),
    ] {
        let (reason, message) = report.failure(key);
        assert!(reason == fault && message.contains(told), "{key}: {reason}: {message}");
    }
}

#[test]
fn times_of_every_form_lie_in_their_days() {
    let database = Database::new("CREATE TABLE notes (id INTEGER PRIMARY KEY, t, s INTEGER)");
    let forms = [
        "strftime('%Y-%m-%d %H:%M:%S', s, 'unixepoch')",
        "strftime('%Y-%m-%dT%H:%M:%SZ', s, 'unixepoch')",
        "strftime('%Y-%m-%dT%H:%M:%fZ', s, 'unixepoch')",
        "strftime('%Y-%m-%d %H:%M', s - s % 60, 'unixepoch')",
        "strftime('%Y-%m-%dT%H:%M:%S', s + 19800, 'unixepoch') || '+05:30'",
        "strftime('%Y-%m-%d %H:%M:%S', s - 28800, 'unixepoch') || '-08:00'",
        "s",
    ];
    // Every quarter of an hour of 40 days, and a second before.
    for form in forms {
        let insert = format!(
            "WITH RECURSIVE rows(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM rows WHERE i < 7680),
             times(s) AS (SELECT 1791806400 + i / 2 * 900 - i % 2 FROM rows)
             INSERT INTO notes (t, s) SELECT {form}, s FROM times;"
        );
        database.connection.execute_batch(&insert).unwrap();
    }
    database
        .connection
        .execute_batch("INSERT INTO notes (t, s) VALUES ('2026-11-14', 1794614400), (NULL, 1794614400)")
        .unwrap();
    let frames = [
        ("week", "7d", 1_794_614_400_i64, 1_795_219_200_i64),
        ("month", "28d", 1_792_800_000, 1_795_219_200),
    ];
    let metrics: Vec<_> = frames
        .iter()
        .map(|(key, frame, ..)| (*key, *frame, "{relation: notes, timestamp_column: t}"))
        .collect();
    let report = ask(&metrics, database.source());
    for (key, _, from, to) in frames {
        let sql = format!("SELECT count(*) FROM notes WHERE s >= {from} AND s < {to} AND t IS NOT NULL");
        cases::compare(&report, key, database.number(&sql), key);
        assert!(report.number(key) > 4_000.0);
    }
    let window = report.metrics["week"].window.unwrap();
    assert_eq!(window.to_string(), "2026-11-14..2026-11-21");
}

#[test]
fn times_of_forms_that_are_none_make_a_window_fail_and_give_no_number() {
    let week = [("week", "7d", "{relation: notes, timestamp_column: t, where: {id: {gt: 0}}}")];
    let seconds = "1794700000";
    for (before, values, told) in [
        ("0", "1794700000000", "past the year 2200"),
        (seconds, "1794700000000", "past the year 2200"),
        ("0", "20771", "before 1973"),
        ("0", "20261115", "before 1973"),
        ("'2026-11-15'", "1794700000.5", "not whole"),
        ("'2026-11-15'", "julianday('2026-11-15')", "not whole"),
        ("NULL", "'2461359.5'", "a text of another form"),
        ("0", "'2026-11-15T10:00:00-0500'", "a text of another form"),
        (seconds, "'2026-11-15T10:00:00-05'", "a text of another form"),
        (seconds, "'2026-11-15 10:00:00 +0000 UTC'", "a text of another form"),
        (seconds, "'2026-11-15T10:00:00+05:30 '", "a text of another form"),
        (seconds, "'10:00:00'", "a text of another form"),
        (seconds, "x'31'", "bytes"),
    ] {
        // The odd one stands in another batch than the first one, or in the same.
        for rows in [1, 120_000] {
            let database = Database::new(&format!(
                "CREATE TABLE notes (id INTEGER PRIMARY KEY, t);
                 WITH RECURSIVE rows(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM rows WHERE i < {rows})
                 INSERT INTO notes (t) SELECT {before} FROM rows;
                 INSERT INTO notes (t) VALUES ({values}); INSERT INTO notes (id, t) VALUES (-1, 'not asked about');"
            ));
            let report = ask(&week, database.source());
            let (reason, message) = report.failure("week");
            assert!(reason == "invalid" && message.contains(told), "{values}: {reason}: {message}");
            assert!(message.contains("`t` of `notes`"), "{message}");
            database
                .connection
                .execute("DELETE FROM notes WHERE t IS NOT ?1 AND id > ?2", (None::<i64>, rows))
                .unwrap();
            let of_window = if before == "0" || before == "NULL" { 0 } else { rows };
            assert_eq!(ask(&week, database.source()).number("week"), f64::from(of_window), "{values}");
        }
    }
}

#[test]
fn values_are_distinct_as_their_collation_says() {
    let database = Database::new(
        "CREATE TABLE names (id INTEGER PRIMARY KEY, plain TEXT, folded TEXT COLLATE NOCASE, trimmed TEXT COLLATE RTRIM, any);
         INSERT INTO names (plain, folded, trimmed, any) VALUES ('a', 'a', 'a', 1), ('A', 'A', 'a ', 1.0), ('a ', 'b', 'a  ', '1'),
             (NULL, NULL, NULL, x'31'), ('a', 'B', 'A', 1.5);",
    );
    let columns = ["plain", "folded", "trimmed", "any"];
    let options =
        columns.map(|column| format!("{{relation: names, operation: distinct_count, column: {column}}}"));
    let metrics: Vec<_> =
        columns.iter().zip(&options).map(|(column, options)| (*column, "all", options.as_str())).collect();
    let report = ask(&metrics, database.source());
    for column in columns {
        let sql = format!("SELECT count(DISTINCT {column}) FROM names");
        cases::compare(&report, column, database.number(&sql), column);
    }
}

#[test]
fn a_metric_from_rust_needs_no_definition_of_its_own() {
    let database = Database::new(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, kind TEXT, karma INTEGER);
         INSERT INTO users (kind, karma) VALUES ('human', 4), ('human', 8), ('bot', 15), ('ghost', NULL);",
    );
    let source = database.source();
    let heard =
        DatabaseMetric::average("users", "karma").filter("kind", ColumnIs::one_of(["human", "ghost"]));
    let sources = Sources::new()
        .key_path("active_user_count", source.metric(DatabaseMetric::count("users").filter("kind", "human")))
        .key_path("karma", source.metric(heard))
        .key_path(
            "most",
            source.metric(
                DatabaseMetric::count_of("users", "karma").filter("karma", ColumnIs::Less(15.into())),
            ),
        );
    let metrics = [("active_user_count", "none", ""), ("karma", "none", ""), ("most", "none", "")];
    let report = ask_within(&metrics, sources, std::time::Duration::from_secs(10));
    assert_eq!(
        [report.number("active_user_count"), report.number("karma"), report.number("most")],
        [2.0, 6.0, 2.0]
    );
}

#[test]
fn nothing_is_written_beside_a_database_or_made_where_none_is() {
    let report = ask(&[("a", "all", "{relation: t}")], SqliteSource::new("/nowhere/at.all"));
    let (reason, message) = report.failure("a");
    assert!(reason == "unreachable" && message.contains("/nowhere/at.all"), "{message}");
    assert!(!Path::new("/nowhere").exists());
    assert_eq!(report.document["a"], -1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("no.db");
    std::fs::write(&path, "this is no database, and long enough not to be taken for an empty one").unwrap();
    let report = ask(&[("a", "all", "{relation: t}")], SqliteSource::new(&path));
    assert_eq!(report.failure("a").0, "unreachable");
}
