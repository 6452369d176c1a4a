//! What a Redis or a dump must not be able to do: half an import, a wrong number, a panic.

use std::path::{Path, PathBuf};

use headcount::{
    Definitions, ErrorKind, EventDefinition, ManualClock, Mode, Query, RedisImport, RedisImported, Rule,
    Sketch, Store, Timestamp,
};

use crate::server::Redis;

const WEEK: &str = "2026-47";

fn store() -> Store {
    let definitions =
        Definitions::new().event(EventDefinition::new("opened").identifier("user").label().value()).unwrap();
    Store::builder_in_memory()
        .definitions(definitions)
        .record(Rule::unique("opened", "user"))
        .record(Rule::sum("opened"))
        .record(Rule::per_value("opened", "label"))
        .clock(ManualClock::new(Timestamp::parse("2026-11-20T10:00:00Z").unwrap()))
        .mode(Mode::Inline)
        .for_imports()
        .open()
        .unwrap()
}

fn count_key() -> String {
    format!("{{event_counters}}_opened-{WEEK}")
}

fn sum_key() -> String {
    format!("{{event_sums}}_opened-operator:sum(value)-{WEEK}")
}

fn sketch_key() -> String {
    format!("{{hll_counters}}_opened-user-{WEEK}")
}

fn values_key() -> String {
    format!("{{hll_counters}}_opened-operator:total-label-{WEEK}")
}

/// What Redis writes, of this many.
fn dense(count: u32) -> Vec<u8> {
    let mut sketch = Sketch::new();
    for id in 0..count {
        sketch.add(id.to_string().as_bytes());
    }
    sketch.to_redis()
}

fn header(encoding: u8, body: &[u8]) -> Vec<u8> {
    let mut string = b"HYLL".to_vec();
    string.extend([encoding, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80]);
    string.extend(body);
    string
}

/// Nothing of the good key beside it may have been imported.
#[track_caller]
fn assert_untouched(store: &Store, why: &str) {
    assert_eq!(store.value(&Query::total("opened")).unwrap_err().kind(), ErrorKind::NotRecorded, "{why}");
    assert_eq!(store.value(&Query::sum("opened")).unwrap_err().kind(), ErrorKind::NotRecorded, "{why}");
}

#[track_caller]
fn assert_refused(imported: Result<RedisImported, headcount::Error>, store: &Store, says: &str) {
    let error = imported.expect_err(says);
    assert!(error.to_string().contains(says), "{says}: {error}");
    assert!(matches!(error.kind(), ErrorKind::Redis), "{says}: {error:?}");
    assert_untouched(store, says);
}

#[test]
fn values_that_are_not_what_their_key_says_are_refused_and_nothing_is_imported() {
    let Some(mut redis) = Redis::start() else { return };
    let (count, sum, sketch, values) = (count_key(), sum_key(), sketch_key(), values_key());
    let long = "9".repeat(500);
    let mut many_zeros = vec![0x7f, 0xff];
    many_zeros.extend(vec![0xff; 4_096]);
    let strings: Vec<(&str, Vec<u8>, &str)> = vec![
        (&count, b"abc".to_vec(), "no count"),
        (&count, b"".to_vec(), "no count"),
        (&count, b"-4".to_vec(), "below zero"),
        (&count, b"1.5".to_vec(), "no count"),
        (&count, b"9223372036854775808".to_vec(), "no count"),
        (&count, b"12\n".to_vec(), "no count"),
        (&count, long.into_bytes(), "at most 400 are read"),
        (&count, b"\xff\xfe".to_vec(), "no count"),
        (&sum, b"inf".to_vec(), "no finite number"),
        (&sum, b"nan".to_vec(), "no finite number"),
        (&sum, b"1e999".to_vec(), "no finite number"),
        (&sum, b"1,5".to_vec(), "no finite number"),
        (&sum, b"".to_vec(), "no finite number"),
        (&sum, vec![b'1'; 1 << 20], "at most 400 are read"),
        (&sketch, b"".to_vec(), "HyperLogLog"),
        (&sketch, b"42".to_vec(), "HyperLogLog"),
        (&sketch, b"HYLX\0\0\0\0\0\0\0\0\0\0\0\0".to_vec(), "HyperLogLog"),
        (&sketch, header(0, &[0; 12_287]), "HyperLogLog"),
        (&sketch, header(0, &[0; 12_289]), "HyperLogLog"),
        (&sketch, header(0, &[0xff; 12_288]), "HyperLogLog"),
        (&sketch, header(2, &[0; 12_288]), "HyperLogLog"),
        (&sketch, header(1, &[]), "HyperLogLog"),
        (&sketch, header(1, &[0x7f]), "HyperLogLog"),
        (&sketch, header(1, &[0x3f]), "HyperLogLog"),
        (&sketch, header(1, &many_zeros), "HyperLogLog"),
        (&sketch, header(1, &[0x7f, 0xfe, 0xff, 0xff]), "HyperLogLog"),
        (&sketch, vec![b'H'; 70_000], "at most 65536 are read"),
        (&values, b"3".to_vec(), "is of the type string"),
    ];
    let commands: Vec<(Vec<Vec<u8>>, &str)> = [
        (vec![b"LPUSH".to_vec(), count.as_bytes().to_vec(), b"3".to_vec()], "is of the type list"),
        (vec![b"SADD".to_vec(), sum.as_bytes().to_vec(), b"3".to_vec()], "is of the type set"),
        (
            vec![b"ZADD".to_vec(), sketch.as_bytes().to_vec(), b"1".to_vec(), b"a".to_vec()],
            "is of the type zset",
        ),
        (
            vec![b"XADD".to_vec(), values.as_bytes().to_vec(), b"*".to_vec(), b"a".to_vec(), b"1".to_vec()],
            "is of the type stream",
        ),
        (
            vec![b"HSET".to_vec(), count.as_bytes().to_vec(), b"a".to_vec(), b"1".to_vec()],
            "is of the type hash",
        ),
        (vec![b"HSET".to_vec(), values.as_bytes().to_vec(), b"web".to_vec(), b"many".to_vec()], "no count"),
        (vec![b"HSET".to_vec(), values.as_bytes().to_vec(), b"web".to_vec(), b"-1".to_vec()], "below zero"),
        (vec![b"HSET".to_vec(), values.as_bytes().to_vec(), b"\xff".to_vec(), b"1".to_vec()], "no text"),
        (vec![b"HSET".to_vec(), values.as_bytes().to_vec(), vec![b'x'; 2_000], b"1".to_vec()], "no text"),
        (
            [b"HSET".to_vec(), values.as_bytes().to_vec()]
                .into_iter()
                .chain((0..70_000).flat_map(|field| [field.to_string().into_bytes(), b"1".to_vec()]))
                .collect(),
            "at most 65536 are read",
        ),
    ]
    .into();
    let sets = strings.into_iter().map(|(key, value, says)| (vec![b"SET".to_vec(), key.into(), value], says));
    let folder = tempfile::tempdir().unwrap();
    let mut tried = 0;
    for (command, says) in sets.chain(commands) {
        redis.ok(&["FLUSHALL"]);
        // A good one, which must not come alone.
        redis.ok(&["SET", "{event_counters}_opened", "7"]);
        let reply = redis.command(&command.iter().map(Vec::as_slice).collect::<Vec<_>>());
        assert!(!format!("{reply:?}").contains("Refusal"), "{reply:?}");
        let store = store();
        assert_refused(RedisImport::new().from_server(&store, &redis.url(), &mut |_| {}), &store, says);
        // The same from a dump, whose messages may say it in other words.
        let dump = dumped(&mut redis, folder.path());
        let error = RedisImport::new().from_dump(&store, &dump).expect_err(says);
        assert_eq!(error.kind(), ErrorKind::Redis, "{error}");
        assert_untouched(&store, says);
        tried += 1;
    }
    assert_eq!(tried, 38);
}

/// Saves, and copies the dump.
fn dumped(redis: &mut Redis, folder: &Path) -> PathBuf {
    redis.ok(&["SAVE"]);
    let dump = folder.join("dump.rdb");
    std::fs::copy(redis.folder().join("dump.rdb"), &dump).unwrap();
    dump
}

#[test]
fn damaged_dumps_are_refused_and_nothing_is_imported() {
    let Some(mut redis) = Redis::start() else { return };
    redis.ok(&["SET", &count_key(), "7"]);
    redis.set(&sketch_key(), &dense(40_000));
    redis.ok(&["HSET", &values_key(), "web", "3"]);
    redis.ok(&["INCRBYFLOAT", &sum_key(), "1.5"]);
    redis.ok(&["LPUSH", "another", "1", "2"]);
    let folder = tempfile::tempdir().unwrap();
    let path = dumped(&mut redis, folder.path());
    let whole = std::fs::read(&path).unwrap();
    {
        let store = store();
        let imported = RedisImport::new().from_dump(&store, &path).unwrap();
        assert_eq!((imported.counts, imported.sums, imported.uniques, imported.per_value), (1, 1, 1, 1));
        assert_eq!(
            store.value(&Query::unique("opened", "user")).unwrap().count(),
            Some(redis.count(&[&sketch_key()]))
        );
    }
    let store = store();
    let refuse = |bytes: &[u8], what: &str| {
        std::fs::write(&path, bytes).unwrap();
        let error = RedisImport::new().from_dump(&store, &path).expect_err(what);
        assert_eq!(error.kind(), ErrorKind::Redis, "{what}: {error}");
        assert!(error.to_string().contains("dump.rdb"), "{what}: {error}");
        assert_untouched(&store, what);
    };
    for length in
        (0..whole.len()).step_by(211).chain([1, 5, 9, whole.len() - 9, whole.len() - 8, whole.len() - 1])
    {
        refuse(&whole[..length], &format!("cut to {length}"));
    }
    for at in (0..whole.len()).step_by(97) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        refuse(&bytes, &format!("byte {at}"));
    }
    let mut longer = whole;
    longer.extend(b"*1\r\n");
    refuse(&longer, "more behind the end");
    refuse(b"SQLite format 3\0", "another file");
    refuse(b"", "nothing");
    let missing = RedisImport::new().from_dump(&store, folder.path().join("none.rdb")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Io);
}

#[test]
fn a_dump_gives_what_its_server_gives() {
    let Some(mut redis) = Redis::start() else { return };
    redis.ok(&["SET", &count_key(), "12"]);
    redis.ok(&["SET", "{event_counters}_opened", "9000"]);
    redis.add(&sketch_key(), (0..500).map(|id: u32| id.to_string()));
    // GitLab takes an empty label for one.
    redis.ok(&["HSET", &values_key(), "web", "3", "é", "4", "", "2"]);
    // Of old, and of nobody that is known here.
    redis.ok(&["SET", "USAGE_SOURCE_CODE_PUSHES", "5"]);
    redis.ok(&["INCRBYFLOAT", &sum_key(), "1.75"]);
    redis.ok(&["SET", "{event_counters}_removed-2026-47", "5"]);
    redis.ok(&["SET", "{event_counters}_opened-2026-52", "5"]);
    redis.ok(&["SET", "{hll_counters}_opened-user", "5"]);
    redis.ok(&["SELECT", "3"]);
    redis.ok(&["SET", &count_key(), "13"]);
    let folder = tempfile::tempdir().unwrap();
    let path = dumped(&mut redis, folder.path());
    let (by_server, by_dump, of_three) = (store(), store(), store());
    let first = RedisImport::new().from_server(&by_server, &redis.url(), &mut |_| {}).unwrap();
    let second = RedisImport::new().from_dump(&by_dump, &path).unwrap();
    assert_eq!(first, second);
    // A week to come, an event that no definition has, distinct ones of all time: nobody guesses.
    assert_eq!(
        first.unknown,
        [
            "USAGE_SOURCE_CODE_PUSHES",
            "{event_counters}_opened-2026-52",
            "{event_counters}_removed-2026-47",
            "{hll_counters}_opened-user"
        ]
    );
    for query in [
        Query::total("opened"),
        Query::sum("opened"),
        Query::unique("opened", "user"),
        Query::per_value("opened", "label"),
    ] {
        assert_eq!(by_server.value(&query).unwrap().value, by_dump.value(&query).unwrap().value);
    }
    assert_eq!(by_server.value(&Query::total("opened")).unwrap().count(), Some(9_000));
    RedisImport::new().database(3).from_dump(&of_three, &path).unwrap();
    assert_eq!(of_three.value(&Query::total("opened")).unwrap().count(), Some(13));
    let url = format!("{}3", redis.url());
    let of_server = store();
    RedisImport::new().from_server(&of_server, &url, &mut |_| {}).unwrap();
    assert_eq!(of_server.value(&Query::total("opened")).unwrap().count(), Some(13));
    let error = RedisImport::new().database(7).from_dump(&store(), &path).unwrap_err();
    assert!(error.to_string().contains("in its database"), "{error}");
}

#[test]
fn servers_that_are_none_are_told_apart_from_refusals() {
    let Some(mut redis) = Redis::start() else { return };
    let store = store();
    let import = |url: &str| RedisImport::new().from_server(&store, url, &mut |_| {}).unwrap_err();
    let url = redis.url();
    redis.ok(&["CONFIG", "SET", "requirepass", "secret"]);
    let error = import(&url);
    assert_eq!(error.kind(), ErrorKind::Redis);
    assert!(error.to_string().contains("NOAUTH"), "{error}");
    let wrong = import(&url.replace("redis://", "redis://default:nonsense@"));
    assert!(!wrong.to_string().contains("nonsense"), "{wrong}");
    for (url, kind) in [
        ("redis://127.0.0.1:1/", ErrorKind::Unreachable),
        ("unix:///nowhere/redis.sock", ErrorKind::Unreachable),
        ("unix:///nowhere/redis.sock?user=u&pass=pass word@42", ErrorKind::Unreachable),
        ("localhost:6379", ErrorKind::Usage),
        ("rediss://localhost/", ErrorKind::Usage),
        ("redis://:pass word@/x/y z", ErrorKind::Usage),
    ] {
        let error = import(url);
        assert_eq!(error.kind(), kind, "{url}: {error}");
        assert!(!error.to_string().contains("pass word") && !error.to_string().contains("42"), "{error}");
    }
    assert_untouched(&store, "no server");
}

#[test]
fn an_import_scans_and_changes_nothing() {
    let Some(mut redis) = Redis::start() else { return };
    for other in 0..3_000 {
        redis.ok(&["SET", &format!("session:{other}"), "x"]);
    }
    redis.ok(&["SET", &count_key(), "12"]);
    redis.ok(&["EXPIRE", &count_key(), "1000000"]);
    redis.ok(&["CONFIG", "RESETSTAT"]);
    let began = std::time::Instant::now();
    RedisImport::new().keys_per_second(10_000).from_server(&store(), &redis.url(), &mut |_| {}).unwrap();
    // Six steps of a scan at least, with a pause of 50 ms between each two.
    assert!(began.elapsed() >= std::time::Duration::from_millis(250), "{:?}", began.elapsed());
    let stats = String::from_utf8(redis.bytes(&["INFO", "commandstats"])).unwrap();
    let mut used: Vec<&str> =
        stats.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split(':').next()).collect();
    used.retain(|command| !["config|resetstat", "info"].contains(command));
    used.sort_unstable();
    assert_eq!(used, ["get", "scan", "strlen", "type"], "{stats}");
}
