//! Import, then export: the same keys, byte for byte.

use std::collections::BTreeMap;

use headcount::{
    Clock, Definitions, ErrorKind, EventDefinition, IsoWeek, Query, RedisExport, RedisImport, RedisVerify,
    Rule, Sketch, Store,
};

use crate::common::Chance;
use crate::server::{Cluster, Redis};

const EVENTS: u64 = 100;
const WEEKS: u32 = 6;

fn definitions() -> (Definitions, Vec<Rule>) {
    let mut rules = Vec::new();
    let definitions = (0..EVENTS).fold(Definitions::new(), |definitions, event| {
        let name = format!("e{event}");
        rules.extend([Rule::unique(&name, "user"), Rule::sum(&name), Rule::per_value(&name, "label")]);
        definitions.event(EventDefinition::new(name).identifier("user").label().value()).unwrap()
    });
    (definitions, rules)
}

fn store(folder: &tempfile::TempDir, name: &str) -> Store {
    let (definitions, rules) = definitions();
    let builder = Store::builder(folder.path().join(name)).definitions(definitions).for_imports();
    rules.into_iter().fold(builder, headcount::Builder::record).open().unwrap()
}

/// `2024-20`, of the week so many weeks ago.
fn week(ago: u32) -> String {
    IsoWeek::of(Clock::system().now()).minus(ago).to_string().replace("-W", "-")
}

/// So many distinct ones has the set of an event and a week: none, few as a sparse string, many as a dense one.
fn size(event: u64, ago: u32) -> u64 {
    let sizes = [0, 1, 7, 60, 400, 1_400, 1_700, 3_000, 9_000, 30_000];
    match (event, ago) {
        (99, 0) => 1_000_000,
        (98, 0) => 200_000,
        _ => sizes[usize::try_from((event + u64::from(ago)) % 10).unwrap()],
    }
}

/// 600 keys of each kind.
fn fill(redis: &mut Redis) {
    let mut chance = Chance::new(7);
    for event in 0..EVENTS {
        for ago in 0..WEEKS {
            let week = week(ago);
            redis.add(
                &format!("{{hll_counters}}_e{event}-user-{week}"),
                (0..size(event, ago)).map(|n| format!("{event}/{n}")),
            );
            redis.ok(&[
                "SET",
                &format!("{{event_counters}}_e{event}-{week}"),
                &(1 + chance.below(1 << 40)).to_string(),
            ]);
            let sum = format!("{}.{}", 1 + chance.below(1 << 30), 1 + chance.below(99));
            redis.ok(&["INCRBYFLOAT", &format!("{{event_sums}}_e{event}-operator:sum(value)-{week}"), &sum]);
            for label in 0..=chance.below(4) {
                let key = format!("{{hll_counters}}_e{event}-operator:total-label-{week}");
                redis.ok(&["HINCRBY", &key, &format!("é l/{label}"), &(1 + chance.below(1_000)).to_string()]);
            }
        }
    }
}

#[test]
fn import_then_export_gives_the_same_registers_and_numbers() {
    let Some(mut from) = Redis::start() else { return };
    let Some(mut to) = Redis::start() else { return };
    fill(&mut from);
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder, "usage.db");
    let imported = RedisImport::new().from_server(&store, &from.url(), &mut |_| {}).unwrap();
    assert_eq!((imported.counts, imported.sums, imported.uniques, imported.per_value), (600, 600, 600, 600));
    let exported = RedisExport::new().to_server(store.reader(), &to.url()).unwrap();
    assert_eq!((exported.small_uniques, exported.left_out), (0, Vec::new()));
    let verified = RedisVerify::new().server(store.reader(), &to.url()).unwrap();
    assert_eq!((verified.differences, verified.unknown), (Vec::new(), Vec::new()));
    let (mut compared, mut dense) = (0, 0);
    for key in from.keys() {
        if key.contains("-operator:total-") {
            assert_eq!(from.hash(&key), to.hash(&key), "{key}");
        } else if key.starts_with("{hll_") {
            let (theirs, number) = (from.get(&key), from.count(&[&key]));
            assert_eq!(to.count(&[&key]), number, "{key}");
            if number == 0 {
                // An empty set is no key.
                assert_eq!(to.text(&key), None);
            } else {
                let ours = to.get(&key);
                // All but the cached number, which Redis makes anew.
                assert_eq!((&theirs[..8], &theirs[16..]), (&ours[..8], &ours[16..]), "{key}");
                dense += u64::from(theirs[4] == 0);
            }
            let (event, week) = key.strip_prefix("{hll_counters}_").unwrap().split_once("-user-").unwrap();
            let week = IsoWeek::parse(&week.replace('-', "-W")).unwrap();
            let query = Query::unique(event, "user").range(week.range());
            assert_eq!(store.value(&query).unwrap().count(), Some(number), "{key}");
        } else {
            let (theirs, ours): (f64, f64) =
                (from.text(&key).unwrap().parse().unwrap(), to.text(&key).unwrap().parse().unwrap());
            assert_eq!(theirs, ours, "{key}");
        }
        // Only weeks: all of them end.
        if to.text_or_none(&key) {
            let left = to.number(&[b"TTL", key.as_bytes()]);
            assert!(left > 0 && left <= 7 * 7 * 86_400, "{key} {left}");
        }
        compared += 1;
    }
    assert_eq!(compared, 2_400);
    assert!(dense > 150, "{dense}");
    // All time of weeks alone is their sum.
    let total: u64 = (0..WEEKS)
        .map(|ago| {
            from.text(&format!("{{event_counters}}_e3-{}", week(ago))).unwrap().parse::<u64>().unwrap()
        })
        .sum();
    assert_eq!(store.value(&Query::total("e3")).unwrap().count(), Some(total));
}

impl Redis {
    fn text_or_none(&mut self, key: &str) -> bool {
        self.number(&[b"EXISTS", key.as_bytes()]) == 1
    }
}

#[test]
fn a_cluster_takes_an_export_and_gives_it_back() {
    let Some(mut from) = Redis::start() else { return };
    let Some(cluster) = Cluster::start() else { return };
    fill(&mut from);
    let folder = tempfile::tempdir().unwrap();
    let first = store(&folder, "first.db");
    RedisImport::new().from_server(&first, &from.url(), &mut |_| {}).unwrap();
    let url = cluster.nodes[2].url();
    RedisExport::new().to_server(first.reader(), &url).unwrap();
    assert_eq!(RedisVerify::new().server(first.reader(), &url).unwrap().differences, Vec::new());
    let second = store(&folder, "second.db");
    let imported = RedisImport::new().from_server(&second, &url, &mut |_| {}).unwrap();
    assert_eq!(imported.unknown, Vec::<String>::new());
    for event in 0..EVENTS {
        for query in [
            Query::total(format!("e{event}")),
            Query::unique(format!("e{event}"), "user"),
            Query::sum(format!("e{event}")),
        ] {
            assert_eq!(first.value(&query).unwrap().value, second.value(&query).unwrap().value);
        }
    }
}

#[test]
fn an_export_repeats_and_brings_only_what_is_new_and_refuses_what_others_wrote() {
    let Some(mut redis) = Redis::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let definitions = || Definitions::new().event(EventDefinition::new("opened").identifier("user")).unwrap();
    let store = Store::builder(folder.path().join("usage.db"))
        .definitions(definitions())
        .record(Rule::unique("opened", "user"))
        .open()
        .unwrap();
    let track = |count: u64| {
        (0..count).for_each(|user| store.tracker().track(headcount::Event::new("opened").user(user)));
        store.flush().unwrap();
    };
    track(10);
    let week = week(0);
    redis.ok(&["SET", &format!("{{event_counters}}_opened-{week}"), "3"]);
    let refused = RedisExport::new().to_server(store.reader(), &redis.url()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Redis);
    assert!(refused.to_string().contains("overwrite"), "{refused}");
    assert_eq!(redis.keys().len(), 1, "nothing was written");
    let exported = RedisExport::new().overwrite().to_server(store.reader(), &redis.url()).unwrap();
    assert_eq!((exported.written, exported.small_uniques), (3, 1));
    track(20);
    // Somebody else counts there, too.
    redis.ok(&["INCRBY", "{event_counters}_opened", "5"]);
    let exported = RedisExport::new().to_server(store.reader(), &redis.url()).unwrap();
    assert_eq!(exported.written, 3);
    assert_eq!(redis.text("{event_counters}_opened").as_deref(), Some("35"));
    assert_eq!(redis.text(&format!("{{event_counters}}_opened-{week}")).as_deref(), Some("30"));
    assert_eq!(redis.count(&[&format!("{{hll_counters}}_opened-user-{week}")]), 20);
    let verified = RedisVerify::new().server(store.reader(), &redis.url()).unwrap();
    let difference = &verified.differences[0];
    assert_eq!(
        (difference.key.as_str(), difference.here.as_str(), difference.in_redis.as_str()),
        ("{event_counters}_opened", "30", "35")
    );
    assert_eq!((verified.differences.len(), verified.equal), (1, 2));
    // What is there as it should be is left alone, sketches too.
    let exported = RedisExport::new().to_server(store.reader(), &redis.url()).unwrap();
    assert_eq!((exported.written, exported.unchanged), (0, 3));
    // Keys that were deleted come back whole, although nothing else is new.
    redis.ok(&[
        "DEL",
        &format!("{{event_counters}}_opened-{week}"),
        &format!("{{hll_counters}}_opened-user-{week}"),
    ]);
    let exported = RedisExport::new().to_server(store.reader(), &redis.url()).unwrap();
    assert_eq!((exported.written, exported.unchanged), (2, 1));
    assert_eq!(redis.text(&format!("{{event_counters}}_opened-{week}")).as_deref(), Some("30"));
    assert_eq!(redis.count(&[&format!("{{hll_counters}}_opened-user-{week}")]), 20);
    redis.ok(&["FLUSHALL"]);
    assert_eq!(RedisExport::new().to_server(store.reader(), &redis.url()).unwrap().written, 3);
    // What is in the way is named, and is no outage.
    redis.ok(&["DEL", "{event_counters}_opened"]);
    redis.ok(&["LPUSH", "{event_counters}_opened", "1"]);
    track(1);
    let error = RedisExport::new().to_server(store.reader(), &redis.url()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Redis, "{error}");
    assert!(error.to_string().contains("{event_counters}_opened"), "{error}");
    RedisExport::new().overwrite().to_server(store.reader(), &redis.url()).unwrap();
    assert_eq!(redis.text("{event_counters}_opened").as_deref(), Some("31"));
    // What came from the store does not come back to it.
    let refused = RedisImport::new().until_now().from_server(&store, &redis.url(), &mut |_| {}).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Redis);
    assert!(refused.to_string().contains("would count twice"), "{refused}");
}

#[test]
fn a_file_of_commands_says_the_same_as_an_export() {
    let Some(mut from) = Redis::start() else { return };
    let (Some(mut by_export), Some(mut by_file)) = (Redis::start(), Redis::start()) else { return };
    fill(&mut from);
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder, "usage.db");
    RedisImport::new().from_server(&store, &from.url(), &mut |_| {}).unwrap();
    RedisExport::new().to_server(store.reader(), &by_export.url()).unwrap();
    let file = folder.path().join("commands.resp");
    let exported = RedisExport::new().to_file(store.reader(), &file).unwrap();
    assert!(exported.written > 2_000);
    assert_eq!(RedisExport::new().to_file(store.reader(), &file).unwrap_err().kind(), ErrorKind::Io);
    let port = by_file.url().rsplit_once(':').unwrap().1.trim_end_matches('/').to_owned();
    let piped = std::process::Command::new("redis-cli")
        .args(["-p", &port, "--pipe"])
        .stdin(std::fs::File::open(&file).unwrap())
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&piped.stdout).contains("errors: 0"), "{piped:?}");
    assert_eq!(by_export.keys(), by_file.keys());
    assert_eq!(RedisVerify::new().server(store.reader(), &by_file.url()).unwrap().differences, Vec::new());
    // An export goes on where the file ended.
    assert_eq!(RedisExport::new().to_server(store.reader(), &by_file.url()).unwrap().left_out, Vec::new());
    let sketch = by_file.get(&format!("{{hll_counters}}_e99-user-{}", week(0)));
    assert!(Sketch::from_redis(&sketch).is_ok());
    let _: BTreeMap<String, String> =
        by_file.hash(&format!("{{hll_counters}}_e1-operator:total-label-{}", week(1)));
}

#[test]
fn what_became_nothing_in_the_store_becomes_nothing_in_redis() {
    let Some(mut redis) = Redis::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("usage.db");
    let open = || {
        let event = EventDefinition::new("opened").identifier("user").label().value();
        Store::builder(&path)
            .definitions(Definitions::new().event(event).unwrap())
            .record(Rule::sum("opened"))
            .record(Rule::unique("opened", "user"))
            .record(Rule::per_value("opened", "label"))
            .open()
            .unwrap()
    };
    let store = open();
    let track = |store: &Store, label: &str, value: f64| {
        let user = value.to_string();
        store.tracker().track(headcount::Event::new("opened").user(user.as_str()).label(label).value(value));
        store.flush().unwrap();
    };
    track(&store, "web", 60.0);
    store.close().unwrap();
    let backup = folder.path().join("backup.db");
    headcount::Reader::open(&path).unwrap().backup(&backup).unwrap();
    let store = open();
    track(&store, "api", -60.0);
    RedisExport::new().to_server(store.reader(), &redis.url()).unwrap();
    assert_eq!(RedisVerify::new().server(store.reader(), &redis.url()).unwrap().differences, Vec::new());
    track(&store, "web", 25.0);
    RedisExport::new().to_server(store.reader(), &redis.url()).unwrap();
    track(&store, "web", -25.0);
    RedisExport::new().to_server(store.reader(), &redis.url()).unwrap();
    assert_eq!(RedisVerify::new().server(store.reader(), &redis.url()).unwrap().differences, Vec::new());
    store.close().unwrap();
    // Asking changes a number in the string, and nothing else.
    let users = format!("{{hll_counters}}_opened-user-{}", week(0));
    assert_eq!(redis.count(&[&users]), 4);
    // A backup has less of everything, and one label not at all.
    std::fs::remove_file(&path).unwrap();
    std::fs::copy(&backup, &path).unwrap();
    let reader = headcount::Reader::open(&path).unwrap();
    RedisExport::new().to_server(&reader, &redis.url()).unwrap();
    assert_eq!(RedisVerify::new().server(&reader, &redis.url()).unwrap().differences, Vec::new());
}
