//! PostgreSQL behind a pooler in transaction mode: limits hold, and nothing of them stays in a session that is somebody else's next.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use headcount::{DataSource, Sources};
use postgres::{Client, SimpleQueryMessage};

use crate::report::ask_within;
use crate::server::Server;

const ROWS: &str = "
    CREATE TABLE notes (id int PRIMARY KEY);
    INSERT INTO notes SELECT i FROM generate_series(1, 1000) i;
    CREATE TABLE written (id serial PRIMARY KEY);
    CREATE VIEW endless AS SELECT a.id FROM notes a, notes b, notes c, notes d;";
/// The session and what it is set to. Its name the pooler itself gives it.
const SETTINGS: &str = "SELECT pg_backend_pid()::text || string_agg(E'\\n' || name || '=' || setting, '' ORDER BY name) FROM pg_settings
    WHERE name <> 'application_name'";

/// Without a prepared statement, which the pooler's session would keep.
fn text(client: &mut Client, sql: &str) -> String {
    let told = client.simple_query(sql).unwrap();
    let row = told.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    row.unwrap().to_owned()
}

#[test]
fn what_a_ping_sets_holds_for_its_statements_and_for_no_other() {
    let Some(server) = Server::start() else { return };
    server.connect().batch_execute(ROWS).unwrap();
    let pooler = server.pooler();
    let mut other = pooler.connect();
    let before = text(&mut other, SETTINGS);
    let over = AtomicBool::new(false);
    let (report, written, took) = thread::scope(|scope| {
        // Statements of the program come between those of the ping, in the same session.
        let writing = scope.spawn(|| {
            let mut client = pooler.connect();
            let mut written = 0_u32;
            while written == 0 || !over.load(Ordering::Relaxed) {
                client.batch_execute("INSERT INTO written DEFAULT VALUES").unwrap();
                written += 1;
            }
            written
        });
        let metrics = [
            ("a_first", "all", "{relation: notes}"),
            ("b_endless", "all", "{relation: endless, batch_column: id}"),
            ("c_last", "all", "{relation: notes, operation: distinct_count, column: id}"),
        ];
        let sources = Sources::new().data_source_from(DataSource::Database, pooler.source());
        let began = Instant::now();
        let report = ask_within(&metrics, sources, Duration::from_secs(3));
        over.store(true, Ordering::Relaxed);
        (report, writing.join().unwrap(), began.elapsed())
    });
    assert_eq!([report.number("a_first"), report.number("c_last")], [1_000.0, 1_000.0]);
    assert_eq!(report.failure("b_endless").0, "timeout");
    assert!(took < Duration::from_secs(10), "{took:?}");
    let after = text(&mut other, SETTINGS);
    let changed: Vec<_> =
        after.lines().zip(before.lines()).filter(|(after, before)| after != before).collect();
    assert!(changed.is_empty(), "another session, or settings that stayed in it: {changed:?}");
    assert_eq!(text(&mut other, "SELECT count(*)::text FROM written"), written.to_string());
}
