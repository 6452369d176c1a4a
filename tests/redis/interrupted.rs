//! Imports and exports that are killed and made again, mirrors whose Redis goes away.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use headcount::{
    Definitions, Event, EventDefinition, Query, Reader, RedisExport, RedisImport, RedisMirror,
    RedisMirrorStep, RedisVerify, Rule, Store,
};

use crate::common::Chance;
use crate::common::child::{Child, say};
use crate::common::figures::{figure, seed};
use crate::server::{Cluster, Redis, Reply};

const EVENTS: u32 = 40;
const PLACE: &str = "HEADCOUNT_TEST_PLACE";
const URL: &str = "HEADCOUNT_TEST_URL";

fn builder(path: &Path) -> headcount::Builder {
    let definitions = (0..EVENTS).fold(Definitions::new(), |definitions, event| {
        definitions
            .event(EventDefinition::new(format!("e{event}")).identifier("user").label().value())
            .unwrap()
    });
    (0..EVENTS).fold(Store::builder(path).definitions(definitions), |builder, event| {
        let name = format!("e{event}");
        builder
            .record(Rule::unique(&name, "user"))
            .record(Rule::sum(&name))
            .record(Rule::per_value(&name, "label"))
    })
}

fn track(store: &Store, chance: &mut Chance, events: u64) {
    for _ in 0..events {
        let name = format!("e{}", chance.below(u64::from(EVENTS)));
        let label = ["web", "api", "ide"][usize::try_from(chance.below(3)).unwrap()];
        let event = Event::new(&name).user(chance.below(50_000)).label(label);
        store.tracker().track(event.value(chance.below(100) as f64 / 4.0));
    }
}

/// The part of a process that is killed, or tracks.
pub(crate) fn play(role: &str) {
    let (place, url) = (std::env::var(PLACE).unwrap(), std::env::var(URL).unwrap());
    let path = Path::new(&place);
    match role {
        "import" => {
            let store = builder(path).for_imports().open().unwrap();
            say("ready");
            RedisImport::new().from_server(&store, &url, &mut |_| {}).unwrap();
            store.close().unwrap();
            say("done");
        }
        "export" => {
            let reader = Reader::open(path).unwrap();
            say("ready");
            RedisExport::new().to_server(&reader, &url).unwrap();
            say("done");
        }
        "track" => {
            let store = builder(path).open().unwrap();
            say("ready");
            let mut chance = Chance::quiet(u64::from(std::process::id()));
            for _ in 0..40 {
                track(&store, &mut chance, 500);
                store.flush().unwrap();
                std::thread::sleep(Duration::from_millis(60));
            }
            store.close().unwrap();
            say("done");
        }
        other => panic!("{other}"),
    }
}

fn child(role: &str, place: &Path, url: &str) -> Child {
    Child::start(role, &[(PLACE, place.to_str().unwrap()), (URL, url)])
}

/// Kills what a role does at random moments, then lets it come through; says how often it was in the middle.
fn kill_until_done(role: &str, place: &Path, url: &str, chance: &mut Chance, kills: u64) -> u64 {
    let mut cut = 0;
    for _ in 0..kills {
        let mut child = child(role, place, url);
        child.wait_for("ready");
        // Some milliseconds when it is compiled to be quick, a quarter of a second when it is not.
        let most = [5_000, 20_000, 80_000, 250_000][usize::try_from(chance.below(4)).unwrap()];
        std::thread::sleep(Duration::from_micros(chance.below(most)));
        cut += u64::from(child.kill().next("done").is_none());
    }
    let mut last = child(role, place, url);
    last.wait_for("done");
    last.succeeds();
    cut
}

#[test]
fn killed_imports_and_exports_that_are_made_again_are_as_one() {
    let Some(mut from) = Redis::start() else { return };
    let Some(mut to) = Redis::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut chance = Chance::new(seed());
    // A store fills the Redis from which the others come: all kinds of keys, of this week and of all time.
    let origin = builder(&folder.path().join("origin.db")).open().unwrap();
    track(&origin, &mut chance, 60_000);
    origin.flush().unwrap();
    RedisExport::new().to_server(origin.reader(), &from.url()).unwrap();
    let mut cut = 0;
    for round in 0..figure(3, 30) {
        let path = folder.path().join(format!("usage-{round}.db"));
        cut += kill_until_done("import", &path, &from.url(), &mut chance, 10);
        let reader = Reader::open(&path).unwrap();
        for event in 0..EVENTS {
            let event = format!("e{event}");
            for query in [Query::total(&event), Query::sum(&event), Query::per_value(&event, "label")] {
                assert_eq!(
                    reader.value(&query).unwrap().value,
                    origin.value(&query).unwrap().value,
                    "{event}"
                );
            }
        }
        to.ok(&["FLUSHALL"]);
        cut += kill_until_done("export", &path, &to.url(), &mut chance, 10);
        assert_eq!(RedisVerify::new().server(&reader, &to.url()).unwrap().differences, Vec::new());
        assert_eq!(RedisVerify::new().server(origin.reader(), &to.url()).unwrap().differences, Vec::new());
    }
    assert!(from.keys().len() > 280);
    println!("{cut} imports and exports were cut off");
    assert!(cut > 5, "too few were cut off in the middle");
}

#[test]
fn a_mirror_of_four_processes_whose_redis_goes_away_three_times_ends_clean() {
    let Some(mut redis) = Redis::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    builder(&path).open().unwrap().close().unwrap();
    let url = redis.url();
    let stop = AtomicBool::new(false);
    let (mut written, mut failed) = (0, 0);
    let mut children: Vec<Child> = (0..4).map(|_| child("track", &path, &url)).collect();
    std::thread::scope(|scope| {
        let mirror = scope.spawn(|| {
            let reader = Reader::open(&path).unwrap();
            RedisMirror::new().every(Duration::from_millis(50)).run(&reader, &url, &stop, &mut |step| {
                match step {
                    RedisMirrorStep::Written { keys } => written += keys,
                    RedisMirrorStep::Failed { .. } => failed += 1,
                    other => panic!("{other:?}"),
                }
            })
        });
        for time in 0..3 {
            let began = Instant::now();
            while redis.keys().len() < 100 && began.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(20));
            }
            // The first one loses all, the others what came since they were saved.
            redis.stop(time > 0);
            std::thread::sleep(Duration::from_millis(300));
            redis.start_again();
        }
        for child in &mut children {
            child.wait_for("done");
        }
        stop.store(true, Ordering::Relaxed);
        mirror.join().unwrap().unwrap();
    });
    let reader = Reader::open(&path).unwrap();
    let verified = RedisVerify::new().server(&reader, &url).unwrap();
    assert_eq!(verified.differences, Vec::new());
    let total: u64 = (0..EVENTS)
        .map(|event| reader.value(&Query::total(format!("e{event}"))).unwrap().count().unwrap())
        .sum();
    assert_eq!(total, 4 * 40 * 500);
    let there: u64 = (0..EVENTS)
        .map(|event| redis.text(&format!("{{event_counters}}_e{event}")).unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(there, total);
    println!("{written} keys were brought up, {failed} tries failed");
    assert!(failed > 0, "no outage was met");
}

#[test]
fn an_import_whose_redis_is_started_again_in_the_middle_misses_no_key() {
    let Some(mut redis) = Redis::start() else { return };
    for other in 0..6_000 {
        redis.ok(&["SET", &format!("session:{other}"), "x"]);
    }
    for event in 0..EVENTS {
        redis.ok(&["SET", &format!("{{event_counters}}_e{event}"), &(event + 1).to_string()]);
    }
    let folder = tempfile::tempdir().unwrap();
    let store = builder(&folder.path().join("usage.db")).for_imports().open().unwrap();
    let url = redis.url();
    let imported = std::thread::scope(|scope| {
        // Two scans of twelve steps with 100 ms between them.
        let import =
            scope.spawn(|| RedisImport::new().keys_per_second(5_000).from_server(&store, &url, &mut |_| {}));
        std::thread::sleep(Duration::from_millis(500));
        redis.stop(true);
        redis.start_again();
        import.join().unwrap().unwrap()
    });
    assert!(imported.reconnections > 0, "the import had ended before: {imported:?}");
    assert_eq!(imported.counts, u64::from(EVENTS));
    for event in 0..EVENTS {
        assert_eq!(
            store.value(&Query::total(format!("e{event}"))).unwrap().count(),
            Some(u64::from(event) + 1)
        );
    }
}

/// Moves the slot of a key to another node of the cluster, key by key.
fn move_slot(cluster: &mut Cluster, key: &str, from: usize, to: usize) {
    let id = |node: &mut Redis| String::from_utf8(node.bytes(&["CLUSTER", "MYID"])).unwrap();
    let slot = cluster.nodes[0].number(&[b"CLUSTER", b"KEYSLOT", key.as_bytes()]).to_string();
    let (source, target) = (id(&mut cluster.nodes[from]), id(&mut cluster.nodes[to]));
    cluster.nodes[to].ok(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &source]);
    cluster.nodes[from].ok(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &target]);
    let port = cluster.nodes[to].url().trim_end_matches('/').rsplit_once(':').unwrap().1.to_owned();
    loop {
        let Reply::List(keys) = cluster.nodes[from].ok(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]) else {
            panic!()
        };
        if keys.is_empty() {
            break;
        }
        for key in keys {
            let Reply::Bytes(key) = key else { panic!() };
            let key = String::from_utf8(key).unwrap();
            cluster.nodes[from].ok(&["MIGRATE", "127.0.0.1", &port, &key, "0", "5000"]);
        }
    }
    for node in &mut cluster.nodes {
        node.ok(&["CLUSTER", "SETSLOT", &slot, "NODE", &target]);
    }
}

#[test]
fn an_import_whose_keys_move_to_another_node_misses_none_or_says_so() {
    let Some(mut cluster) = Cluster::start() else { return };
    let slot = cluster.nodes[0].number(&[b"CLUSTER", b"KEYSLOT", b"{event_counters}_e0"]);
    let from = [5_460, 10_922, 16_383].iter().position(|last| slot <= *last).unwrap();
    for event in 0..EVENTS {
        cluster.nodes[from].ok(&["SET", &format!("{{event_counters}}_e{event}"), "7"]);
    }
    for other in 0..6_000 {
        cluster.nodes[from].ok(&["SET", &format!("{{event_counters}}_removed_{other}"), "1"]);
    }
    let folder = tempfile::tempdir().unwrap();
    let store = builder(&folder.path().join("usage.db")).for_imports().open().unwrap();
    let url = cluster.nodes[(from + 1) % 3].url();
    let to = (from + 2) % 3;
    let imported = std::thread::scope(|scope| {
        let import =
            scope.spawn(|| RedisImport::new().keys_per_second(5_000).from_server(&store, &url, &mut |_| {}));
        std::thread::sleep(Duration::from_millis(300));
        move_slot(&mut cluster, "{event_counters}_e0", from, to);
        import.join().unwrap()
    });
    match imported {
        Ok(imported) => assert_eq!(imported.counts, u64::from(EVENTS)),
        Err(error) => {
            assert!(error.to_string().contains("moving the slot"), "{error}");
            let imported = RedisImport::new().from_server(&store, &url, &mut |_| {}).unwrap();
            assert_eq!(imported.counts, u64::from(EVENTS));
        }
    }
}

#[test]
fn a_mirror_sees_within_a_minute_that_its_redis_was_emptied() {
    // Two minutes of waiting: with the long figures only.
    if figure(0, 1) == 0 {
        return;
    }
    let Some(mut redis) = Redis::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let store = builder(&path).open().unwrap();
    track(&store, &mut Chance::new(3), 100);
    store.flush().unwrap();
    let (url, stop) = (redis.url(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let reader = Reader::open(&path).unwrap();
        let (url, stop) = (&url, &stop);
        let mirror = scope.spawn(move || RedisMirror::new().run(&reader, url, stop, &mut |_| {}));
        let wait = |redis: &mut Redis| {
            let began = Instant::now();
            while redis.keys().len() < 20 {
                assert!(began.elapsed() < Duration::from_secs(90), "nothing came");
                std::thread::sleep(Duration::from_millis(100));
            }
        };
        wait(&mut redis);
        redis.ok(&["FLUSHALL"]);
        wait(&mut redis);
        stop.store(true, Ordering::Relaxed);
        mirror.join().unwrap().unwrap();
    });
    assert_eq!(RedisVerify::new().server(store.reader(), &url).unwrap().differences, Vec::new());
}

#[test]
fn an_import_whose_redis_comes_back_empty_imports_nothing() {
    let Some(mut redis) = Redis::start() else { return };
    for event in 0..EVENTS {
        for week in 10..52 {
            redis.ok(&["SET", &format!("{{event_counters}}_e{event}-2024-{week}"), "3"]);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let store = builder(&folder.path().join("usage.db")).for_imports().open().unwrap();
    let url = redis.url();
    let imported = std::thread::scope(|scope| {
        // Eight steps of a scan, then nine pages of values, with half a second between them.
        let import =
            scope.spawn(|| RedisImport::new().keys_per_second(1_000).from_server(&store, &url, &mut |_| {}));
        std::thread::sleep(Duration::from_millis(4_500));
        redis.ok(&["FLUSHALL"]);
        import.join().unwrap()
    });
    let error = imported.unwrap_err();
    assert!(error.to_string().contains("were gone when they were to be read"), "{error}");
    assert_eq!(store.value(&Query::total("e1")).unwrap_err().kind(), headcount::ErrorKind::NotRecorded);
}
