//! PostgreSQL: every operation against plain SQL over a million rows, and keys, types and times of every form.

use std::time::Instant;

use crate::cases;
use crate::report::ask;
use crate::server::{Server, number};

/// As the rows of SQLite's test.
const MILLION: &str = "
    CREATE UNLOGGED TABLE issues (id bigint, author_id integer, state text, weight smallint, score float8, price numeric(12, 2),
        is_public boolean, created_at timestamp, created_z timestamptz, created_on date, created_s bigint);
    INSERT INTO issues SELECT i * 3 + i % 2 + (i > 500000)::int * 1000000000000, nullif(i * 7 % 50021, 13),
        (ARRAY['opened', 'closed', 'locked'])[i % 3 + 1], nullif(i % 11, 5), (i % 1000) / 7.0::float8, (i % 10000) / 100.0,
        i % 4 = 0, to_timestamp(s) AT TIME ZONE 'UTC', to_timestamp(s), (to_timestamp(s) AT TIME ZONE 'UTC')::date, s
    FROM (SELECT i, 1790251200 + i * 31 % 5184000 AS s FROM generate_series(1::bigint, 1000000) AS i) AS rows;
    ALTER TABLE issues ADD PRIMARY KEY (id);
    ANALYZE issues;";

#[test]
fn a_million_rows_of_postgresql_are_worth_what_plain_sql_says() {
    let Some(server) = Server::start() else { return };
    let mut client = server.connect();
    let began = Instant::now();
    client.batch_execute(MILLION).unwrap();
    // Days do not depend on where the server is.
    client.batch_execute("ALTER ROLE tests SET TimeZone = 'Pacific/Kiritimati'; ALTER ROLE tests SET DateStyle = 'SQL, DMY'").unwrap();
    println!("made in {:?}", began.elapsed());
    let mut few = cases::few("created_z", "created_at");
    for (number, column) in ["created_on", "created_s"].into_iter().enumerate() {
        let mut other = cases::few(column, "created_at");
        other.iter_mut().for_each(|case| case.key.push_str(&number.to_string()));
        few.append(&mut other);
    }
    for cases in [cases::all("created_at", "created_at"), few] {
        let report = ask(&cases::metrics(&cases), server.source());
        for case in &cases {
            cases::compare(&report, &case.key, number(&mut client, &case.sql), &case.options);
        }
    }
    for (options, sql) in [
        ("relation: issues", "SELECT count(*) FROM issues"),
        ("relation: issues, where: {state: opened}", "SELECT count(*) FROM issues WHERE state = 'opened'"),
        (
            "relation: issues, operation: distinct_count, column: author_id",
            "SELECT count(DISTINCT author_id) FROM issues",
        ),
        ("relation: issues, operation: distinct_count, column: id", "SELECT count(DISTINCT id) FROM issues"),
        ("relation: issues, operation: sum, column: weight", "SELECT sum(weight) FROM issues"),
    ] {
        let began = Instant::now();
        number(&mut client, sql);
        let plain = began.elapsed();
        let options = format!("{{{options}}}");
        let report = ask(&[("a", "all", &options)], server.source());
        println!("{options}: {:?}, plain SQL {plain:?}", report.metrics["a"].duration);
    }
}

#[test]
fn keys_and_types_of_every_form_are_walked() {
    let Some(server) = Server::start() else { return };
    let mut client = server.connect();
    client
        .batch_execute(
            "CREATE TYPE mood AS ENUM ('glad', 'sad');
             CREATE DOMAIN amount AS numeric(8, 3);
             CREATE SCHEMA apart;
             CREATE TABLE texts (id varchar(20) COLLATE \"C\" PRIMARY KEY, n int);
             INSERT INTO texts SELECT (CASE i % 2 WHEN 0 THEN 'A''b-' ELSE 'ü\"-' END) || i, i FROM generate_series(1, 260000) i;
             CREATE TABLE uuids (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), n int);
             INSERT INTO uuids (n) SELECT generate_series(1, 260000);
             CREATE TABLE floats (id float8 PRIMARY KEY, n int);
             INSERT INTO floats SELECT i / 3.0::float8, i FROM generate_series(1, 260000) i;
             CREATE TABLE instants (id timestamptz PRIMARY KEY, n int);
             INSERT INTO instants SELECT '2026-01-01'::timestamptz + i * interval '1.5 seconds', i FROM generate_series(1, 260000) i;
             CREATE TABLE pairs (a int, b int, n int, PRIMARY KEY (a, b));
             CREATE TABLE keyless (grp int, n int);
             INSERT INTO keyless SELECT nullif(i % 3, 1), i FROM generate_series(1, 260000) i;
             CREATE TABLE apart.\"odd \"\"name\" (\"the id\" int PRIMARY KEY, \"n\"\"m\" int);
             INSERT INTO apart.\"odd \"\"name\" SELECT i, i FROM generate_series(1, 100) i;
             CREATE TABLE kinds (id serial PRIMARY KEY, mood mood, amount amount, free numeric, real real, flag boolean, code char(5),
                big bigint, blob bytea, document jsonb, day date);
             INSERT INTO kinds (mood, amount, free, real, flag, code, big, blob, document, day) VALUES
                ('glad', 1.5, 1.0, 0.1, true, 'ab', 9223372036854775807, '\\x00ff', '{\"a\": 1}', '2026-11-20'),
                ('glad', 1.500, 1.00, 0.1, false, 'ab ', 9223372036854775807, '\\x00', '{\"a\": 1.0}', '2026-11-21'),
                ('sad', 2, 99999999999999999999999999.5, 'NaN', NULL, 'cd', -1, NULL, NULL, '2026-11-13'),
                (NULL, NULL, NULL, '-0', NULL, NULL, NULL, NULL, NULL, NULL),
                (NULL, NULL, 1e-9, 0, NULL, NULL, NULL, NULL, NULL, NULL);
             CREATE VIEW seen AS SELECT * FROM texts;
             CREATE TABLE empty (id int PRIMARY KEY, n int, at timestamptz);",
        )
        .unwrap();
    let metrics = [
        ("texts", "all", "{relation: texts, operation: sum, column: n}"),
        ("uuids", "all", "{relation: public.uuids, operation: sum, column: n}"),
        ("floats", "all", "{relation: floats, operation: sum, column: n}"),
        ("instants", "all", "{relation: instants, operation: sum, column: n}"),
        ("pairs", "all", "{relation: pairs}"),
        ("pairs_by_a", "all", "{relation: pairs, batch_column: a, operation: average, column: n}"),
        ("keyless", "all", "{relation: keyless, batch_column: grp, operation: sum, column: n}"),
        ("odd", "all", "{relation: 'apart.odd \"name', operation: sum, column: 'n\"m'}"),
        ("seen", "all", "{relation: seen, batch_column: id}"),
        ("empty", "7d", "{relation: empty, timestamp_column: at}"),
        ("empty_sum", "all", "{relation: empty, operation: sum, column: n}"),
        ("mood", "all", "{relation: kinds, operation: distinct_count, column: mood}"),
        ("glad", "all", "{relation: kinds, where: {mood: glad, flag: [true, false]}}"),
        ("amount", "all", "{relation: kinds, operation: distinct_count, column: amount}"),
        ("amounts", "all", "{relation: kinds, operation: sum, column: amount}"),
        ("free", "all", "{relation: kinds, operation: distinct_count, column: free}"),
        ("frees", "all", "{relation: kinds, operation: sum, column: free}"),
        ("real", "all", "{relation: kinds, operation: distinct_count, column: real}"),
        ("reals", "all", "{relation: kinds, operation: sum, column: real}"),
        ("code", "all", "{relation: kinds, operation: distinct_count, column: code}"),
        ("codes", "all", "{relation: kinds, where: {code: ab}}"),
        ("big", "all", "{relation: kinds, operation: sum, column: big}"),
        ("blob", "all", "{relation: kinds, operation: distinct_count, column: blob}"),
        ("document", "all", "{relation: kinds, operation: distinct_count, column: document}"),
        ("days", "7d", "{relation: kinds, timestamp_column: day}"),
        ("no_time", "7d", "{relation: kinds, timestamp_column: code}"),
        ("no_number", "all", "{relation: kinds, operation: sum, column: code}"),
        ("no_mood", "all", "{relation: kinds, where: {mood: furious}}"),
        ("no_integer", "all", "{relation: kinds, where: {big: {gt: 1.5}}}"),
    ];
    let report = ask(&metrics, server.source());
    let n = 260_000.0;
    let sum = n * (n + 1.0) / 2.0;
    for (key, expected) in [
        ("texts", sum),
        ("uuids", sum),
        ("floats", sum),
        ("instants", sum),
        ("keyless", sum),
        ("odd", 5_050.0),
        ("seen", n),
        ("empty", 0.0),
        ("empty_sum", 0.0),
        ("glad", 2.0),
        ("codes", 2.0),
        ("days", 1.0),
    ] {
        cases::compare(&report, key, Some(expected), key);
    }
    cases::compare(&report, "pairs_by_a", None, "pairs_by_a");
    for (key, selected) in [
        ("mood", "count(DISTINCT mood)"),
        ("amount", "count(DISTINCT amount)"),
        ("amounts", "sum(amount)"),
        ("free", "count(DISTINCT free)"),
        ("frees", "sum(free)"),
        ("real", "count(DISTINCT real)"),
        ("code", "count(DISTINCT code)"),
        ("big", "sum(big)"),
        ("blob", "count(DISTINCT blob)"),
    ] {
        let expected = number(&mut client, &format!("SELECT {selected} FROM kinds"));
        cases::compare(&report, key, expected, key);
    }
    for (key, fault, told) in [
        ("pairs", "invalid", "`batch_column`"),
        ("document", "invalid", "`jsonb`"),
        ("no_time", "invalid", "no time"),
        ("no_number", "invalid", "does not add up"),
        ("no_mood", "invalid", "furious"),
        ("no_integer", "invalid", "1.5"),
        ("reals", "failed", "no finite number"),
    ] {
        let (reason, message) = report.failure(key);
        assert!(reason == fault && message.contains(told), "{key}: {reason}: {message}");
    }
}

#[test]
fn whole_numbers_that_are_no_seconds_make_a_window_fail_and_give_no_number() {
    let Some(server) = Server::start() else { return };
    let mut client = server.connect();
    client
        .batch_execute(
            "CREATE TABLE notes (id serial PRIMARY KEY, seconds bigint, milliseconds bigint, days int);
             INSERT INTO notes (seconds, milliseconds, days) SELECT 1794700000, 1794700000000, 20771 FROM generate_series(1, 1000);
             INSERT INTO notes (seconds, milliseconds, days) VALUES (0, 0, 0), (NULL, NULL, NULL);",
        )
        .unwrap();
    let columns = ["seconds", "milliseconds", "days"];
    let options = columns.map(|column| format!("{{relation: notes, timestamp_column: {column}}}"));
    let metrics: Vec<_> =
        columns.iter().zip(&options).map(|(column, options)| (*column, "7d", options.as_str())).collect();
    let report = ask(&metrics, server.source());
    assert_eq!(report.number("seconds"), 1_000.0);
    for (column, told) in [("milliseconds", "past the year 2200"), ("days", "before 1973")] {
        let (reason, message) = report.failure(column);
        assert!(reason == "invalid" && message.contains(told), "{column}: {reason}: {message}");
    }
}
