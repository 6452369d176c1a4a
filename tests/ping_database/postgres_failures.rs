//! PostgreSQL that is slow, locked, changed, cut off or gone: the metric fails in time and by its name, and the others arrive.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use headcount::{DataSource, PingValue, PostgresSource, Sources};

use crate::report::{Metric, Report, ask, ask_within, store};
use crate::server::{Server, number};

const ROWS: &str = "
    CREATE TABLE issues (id int PRIMARY KEY, n int);
    INSERT INTO issues SELECT i, i FROM generate_series(1, 20000) i;
    CREATE TABLE notes (id int PRIMARY KEY, extra int);
    INSERT INTO notes SELECT i, i FROM generate_series(1, 10) i;
    CREATE TABLE doomed (id int PRIMARY KEY);
    CREATE VIEW endless AS SELECT a.id FROM issues a, issues b, issues c;
    CREATE FUNCTION nap(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 
        'DECLARE s int := 0; BEGIN FOR k IN 1..300 LOOP s := s + k; END LOOP; RETURN i; END';
    CREATE VIEW slow AS SELECT id, nap(n) AS n FROM issues;";

/// What must arrive whatever becomes of the others; it is asked last.
const LAST: Metric<'_> = ("zz_last", "all", "{relation: notes}");

fn sources(source: &PostgresSource) -> Sources {
    Sources::new().data_source_from(DataSource::Database, source.clone())
}

fn assert_fails(report: &Report, key: &str, reason: &str, told: &str) {
    let failure = report.failure(key);
    assert!(failure.0 == reason && failure.1.contains(told), "{key}: {failure:?}");
    assert_eq!(report.document[key], -1);
}

#[test]
fn slow_locked_and_changed_relations_fail_in_time_and_alone() {
    let Some(server) = Server::start() else { return };
    let mut client = server.connect();
    client.batch_execute(ROWS).unwrap();
    let mut locker = server.connect();
    let mut lock = locker.transaction().unwrap();
    lock.batch_execute("LOCK TABLE issues IN ACCESS EXCLUSIVE MODE").unwrap();
    let source = server.source();
    let changer = std::sync::Mutex::new(server.connect());
    let change = move |_: &headcount::Asked| {
        changer
            .lock()
            .unwrap()
            .batch_execute("ALTER TABLE notes DROP COLUMN extra; DROP TABLE doomed")
            .unwrap();
        Ok(PingValue::Null)
    };
    let metrics = [
        ("a_locked", "all", "{relation: issues}"),
        ("b_before", "all", "{relation: notes, operation: sum, column: extra}"),
        ("c_before", "all", "{relation: doomed}"),
        ("d_change", "none", ""),
        ("e_column", "all", "{relation: notes, operation: sum, column: extra}"),
        ("f_table", "all", "{relation: doomed}"),
        ("g_near", "all", "{relation: isues}"),
        ("h_near", "all", "{relation: notes, where: {idd: 1}}"),
        LAST,
    ];
    let began = Instant::now();
    let report = ask_within(&metrics, sources(&source).key_path("d_change", change), Duration::from_secs(20));
    let took = began.elapsed();
    assert!(took < Duration::from_secs(15), "{took:?}");
    assert_fails(&report, "a_locked", "locked", "lock timeout");
    assert_fails(&report, "e_column", "missing", "`notes` has no column `extra`");
    assert_fails(&report, "f_table", "missing", "there is no table or view `doomed`");
    assert_fails(&report, "g_near", "missing", "did you mean `issues`?");
    assert_fails(&report, "h_near", "missing", "did you mean `id`?");
    assert_eq!(
        [report.number("b_before"), report.number("c_before"), report.number(LAST.0)],
        [55.0, 0.0, 10.0]
    );
    lock.commit().unwrap();

    let slow = [("a_endless", "all", "{relation: endless, batch_column: id}"), LAST];
    let began = Instant::now();
    let report = ask_within(&slow, sources(&source), Duration::from_secs(3));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_fails(&report, "a_endless", "timeout", "`endless`");
    assert_eq!(report.number(LAST.0), 10.0);
}

#[test]
fn batches_that_are_too_slow_are_halved_until_they_are_not() {
    let Some(server) = Server::start() else { return };
    let mut client = server.connect();
    client.batch_execute(ROWS).unwrap();
    let began = Instant::now();
    number(&mut client, "SELECT sum(n) FROM slow WHERE n IS NOT NULL");
    let whole = began.elapsed();
    let metrics = [("slow", "all", "{relation: slow, batch_column: id, operation: sum, column: n}"), LAST];
    // Too little for all rows in one, and enough for the fewest, unless a busy machine holds one of them up.
    let mut tries = (0..10).map(|_| ask(&metrics, server.source().query_limit(whole / 3)));
    let report = tries.find(|report| report.failure("slow").0 != "timeout").unwrap();
    assert_eq!([report.number("slow"), report.number(LAST.0)], [200_010_000.0, 10.0]);
}

#[test]
fn a_connection_that_is_killed_is_made_anew_once_for_each_metric() {
    let Some(server) = Server::start() else { return };
    server.connect().batch_execute(ROWS).unwrap();
    let metrics = [("slow", "all", "{relation: slow, batch_column: id, operation: sum, column: n}"), LAST];
    let kills = |most: u64| {
        let (killed, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (mine, over) = (Arc::clone(&killed), Arc::clone(&done));
        let mut client = server.connect();
        let killer = thread::spawn(move || {
            let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                        WHERE application_name = 'headcount' AND query LIKE '%slow%' AND state = 'active'";
            while !over.load(Ordering::Relaxed) && mine.load(Ordering::Relaxed) < most {
                let some: i64 = client.query_one(kill, &[]).unwrap().get(0);
                mine.fetch_add(u64::try_from(some).unwrap(), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(2));
            }
        });
        (killed, done, killer)
    };
    let (killed, done, killer) = kills(1);
    let report = ask(&metrics, server.source());
    done.store(true, Ordering::Relaxed);
    killer.join().unwrap();
    assert_eq!(killed.load(Ordering::Relaxed), 1);
    assert_eq!([report.number("slow"), report.number(LAST.0)], [200_010_000.0, 10.0]);

    let (killed, done, killer) = kills(u64::MAX);
    let report = ask(&metrics, server.source());
    done.store(true, Ordering::Relaxed);
    killer.join().unwrap();
    assert!(killed.load(Ordering::Relaxed) >= 2);
    assert_fails(&report, "slow", "unreachable", "terminating connection");
    assert_eq!(report.number(LAST.0), 10.0);
}

#[test]
fn a_server_that_stops_leaves_the_other_sources() {
    let Some(server) = Server::start() else { return };
    server.connect().batch_execute(ROWS).unwrap();
    let stop = server.stopper();
    let stopping = move |_: &headcount::Asked| {
        stop();
        Ok(PingValue::Null)
    };
    let metrics = [
        ("a", "all", "{relation: notes}"),
        ("b_stop", "none", ""),
        ("c", "all", "{relation: notes}"),
        ("d", "all", "{relation: issues}"),
        ("e_setting", "none", ""),
    ];
    let sources = sources(&server.source())
        .key_path("b_stop", stopping)
        .key_path("e_setting", |_: &headcount::Asked| Ok(7.into()));
    let began = Instant::now();
    let report = ask_within(&metrics, sources, Duration::from_secs(20));
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!([report.number("a"), report.number("e_setting")], [10.0, 7.0]);
    for key in ["c", "d"] {
        assert_fails(&report, key, "unreachable", "PostgreSQL cannot be reached");
        assert!(!report.failure(key).1.contains(&server.parameters()));
    }
}

#[test]
fn names_that_mean_harm_are_names_that_are_not_there() {
    let Some(server) = Server::start() else { return };
    let mut client = server.connect();
    client.batch_execute(ROWS).unwrap();
    let long = "x".repeat(70);
    let hostile = [
        "notes; DROP TABLE notes",
        "notes\"; DROP TABLE notes; --",
        "\"notes\"",
        "public.notes; --",
        "a.b.c",
        ".",
        "notes WHERE true",
        "pg_class'",
        &long,
    ];
    let mut metrics: Vec<(String, String)> = Vec::new();
    for (at, name) in hostile.iter().enumerate() {
        let name = serde_json::to_string(name).unwrap();
        metrics.push((format!("r{at}"), format!("{{relation: {name}}}")));
        metrics.push((format!("c{at}"), format!("{{relation: notes, operation: sum, column: {name}}}")));
        metrics.push((format!("w{at}"), format!("{{relation: notes, where: {{{name}: 1}}}}")));
        metrics.push((format!("b{at}"), format!("{{relation: notes, batch_column: {name}}}")));
        metrics.push((
            format!("v{at}"),
            format!("{{relation: pg_class, batch_column: oid, where: {{relname: {name}}}}}"),
        ));
    }
    metrics.push(("nul".to_owned(), r#"{relation: "notes\0"}"#.to_owned()));
    metrics.push((LAST.0.to_owned(), LAST.2.to_owned()));
    let metrics: Vec<Metric<'_>> =
        metrics.iter().map(|(key, options)| (key.as_str(), "all", options.as_str())).collect();
    let report = ask(&metrics, server.source());
    for (key, ..) in &metrics {
        match key.as_bytes()[0] {
            b'v' => assert_eq!(report.number(key), 0.0, "{key}"),
            b'z' => assert_eq!(report.number(key), 10.0),
            b'n' => assert_eq!(report.failure(key).0, "invalid"),
            _ => assert_eq!(report.failure(key).0, "missing", "{key}: {:?}", report.failure(key)),
        }
    }
    assert_eq!(client.query("SELECT 1 FROM notes", &[]).unwrap().len(), 10);
}

#[test]
fn a_worker_of_an_async_runtime_may_build_and_drop_a_ping() {
    let Some(server) = Server::start() else { return };
    server.connect().batch_execute(ROWS).unwrap();
    let parameters = server.parameters();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let value = runtime.block_on(async move {
        let store = store(&[LAST]);
        let ping = store.ping().sources(sources(&PostgresSource::new(&parameters).unwrap()));
        let report = ping.build().unwrap();
        drop(ping);
        report.document
    });
    assert!(value.contains("\"zz_last\": 10"), "{value}");
}

#[test]
fn one_connection_serves_all_metrics_and_only_reads() {
    let Some(server) = Server::start() else { return };
    server.connect().batch_execute(ROWS).unwrap();
    server
        .connect()
        .batch_execute(
            "CREATE TABLE seen (pid int); CREATE FUNCTION note() RETURNS int LANGUAGE plpgsql AS
             'BEGIN INSERT INTO seen VALUES (pg_backend_pid()); RETURN 1; END';
             CREATE VIEW writing AS SELECT id, note() AS n FROM notes;
             CREATE VIEW pids AS SELECT id, pg_backend_pid() AS pid FROM notes;",
        )
        .unwrap();
    let metrics = [
        ("a_pid", "all", "{relation: pids, batch_column: id, operation: average, column: pid}"),
        ("b_write", "all", "{relation: writing, batch_column: id, operation: sum, column: n}"),
        ("c_pid", "all", "{relation: pids, batch_column: id, operation: average, column: pid}"),
    ];
    let report = ask(&metrics, server.source());
    assert_eq!(report.number("a_pid"), report.number("c_pid"));
    assert_fails(&report, "b_write", "failed", "read-only transaction");
    // It is closed with the ping.
    let (mut client, deadline) = (server.connect(), Instant::now() + Duration::from_secs(20));
    let open = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'headcount'";
    while number(&mut client, open) != Some(0.0) {
        assert!(Instant::now() < deadline, "a connection is left");
        thread::yield_now();
    }
}
