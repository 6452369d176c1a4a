//! What a real Redis saves, against what it answers itself.
//!
//! Runs with `HEADCOUNT_TEST_SERVERS=1` and `redis-server` in the path.

use std::collections::BTreeMap;

use super::server::{Reply, Server};
use super::{Chance, read, refusal};
use crate::redis::rdb::{Checksum, Entry, Field, Value};

const DATABASES: [u64; 4] = [0, 1, 7, 15];
const SEED: u64 = 20_261_123;
const TYPES: [&str; 6] = ["string", "hash", "list", "set", "zset", "stream"];

type Keys = BTreeMap<(u64, Vec<u8>), (Option<i64>, Value)>;

#[test]
fn every_key_is_read_as_redis_answers_it() {
    for (setting, checksum) in [("yes", Checksum::Right), ("no", Checksum::SwitchedOff)] {
        let Some(mut redis) = Server::start(&["--rdbchecksum", setting]) else { return };
        fill(&mut redis);
        let expected = answers(&mut redis);
        for name in TYPES {
            let found = expected.values().filter(|(_, value)| of_type(value, name)).count();
            assert!(found > 1, "{found} keys of type {name} in the test");
        }
        // The policies write how often, or how long ago, a key was used.
        for (compression, policy) in [("yes", "noeviction"), ("no", "allkeys-lru"), ("yes", "allkeys-lfu")] {
            redis.say(&format!("CONFIG SET rdbcompression {compression}"));
            redis.say(&format!("CONFIG SET maxmemory-policy {policy}"));
            let case = format!("checksum {setting}, compression {compression}, {policy}");
            let bytes = redis.dump();
            let (entries, all) = read(&bytes, b"").unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_same(entries, &expected, &case);
            assert_eq!((all.keys, all.wanted), (expected.len() as u64, expected.len() as u64), "{case}");
            assert_eq!((all.version, all.bytes, all.checksum), (10, bytes.len() as u64, checksum), "{case}");
            assert!(all.server.is_some_and(|server| server.starts_with("7.")), "{case}");
            assert!(all.made_at.is_some_and(|time| time > 1_700_000_000), "{case}");

            let (entries, some) = read(&bytes, b"h:").unwrap();
            let mut wanted = expected.clone();
            wanted.retain(|(_, key), _| key.starts_with(b"h:"));
            assert_eq!((some.keys, some.wanted), (all.keys, wanted.len() as u64), "{case}");
            assert_same(entries, &wanted, &case);
        }
    }
}

#[test]
fn damage_to_what_redis_saved_is_noticed() {
    let Some(mut redis) = Server::start(&[]) else { return };
    redis.command(&[
        "FUNCTION",
        "LOAD",
        "#!lua name=lib\nredis.register_function('f', function() return 1 end)",
    ]);
    redis.say("SET a 1");
    redis.say("HSET h a 1 b two");
    redis.say(&format!("SET long {}", "x".repeat(100)));
    redis.say("XADD x 1-1 a 1");
    redis.say("XGROUP CREATE x g 0");
    redis.say("XREADGROUP GROUP g c STREAMS x >");
    redis.say("PEXPIRE a 100000");
    let good = redis.dump();
    assert_eq!(read(&good, b"").unwrap().1.keys, 4);
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        refusal(&bad);
    }
    for length in 0..good.len() {
        refusal(&good[..length]);
    }
}

/// Keys of every type in every encoding that this server writes.
fn fill(redis: &mut Server) {
    let mut chance = Chance::new(SEED);
    redis.command(&[
        "FUNCTION",
        "LOAD",
        "#!lua name=lib\nredis.register_function('f', function() return 1 end)",
    ]);
    for database in DATABASES {
        redis.say(&format!("SELECT {database}"));
        strings(redis, &mut chance);
        hashes(redis, &mut chance);
        others(redis, &mut chance);
    }
}

fn strings(redis: &mut Server, chance: &mut Chance) {
    let mut texts: Vec<Vec<u8>> =
        vec![Vec::new(), b"3.14".to_vec(), b"00".to_vec(), b"-0".to_vec(), (0..=255).collect()];
    for bits in [0, 7, 8, 15, 16, 31, 32, 62, 63] {
        for number in [(1_i128 << bits) - 1, 1 << bits, -(1 << bits), -(1 << bits) - 1] {
            texts.push(number.to_string().into_bytes());
        }
    }
    for size in [19, 20, 21, 63, 64, 100, 264, 265, 300, 8_192, 16_383, 16_384, 65_536, 200_000, 1 << 20] {
        texts.push(vec![b'x'; size]);
        texts.push((0..size).map(|_| chance.byte()).collect());
        // Words that come again from near and far.
        texts.push((0..size).map(|place| b"abcdefgh"[(place / 3 * 7 + chance.below(2)) % 8]).collect());
        texts.push((0..size).map(|place| u8::try_from(place / 40 % 251).unwrap()).collect());
    }
    for (number, text) in texts.iter().enumerate() {
        redis.command(&[b"SET", format!("s:{number}").as_bytes(), text]);
    }
    for size in [0, 1, 100, 3_000, 20_000] {
        let key = format!("s:hll:{size}");
        redis.say(&format!("PFADD {key}"));
        let ids: Vec<String> = (0..size).map(|number| format!("user{number}")).collect();
        for some in ids.chunks(1_000) {
            redis.say(&format!("PFADD {key} {}", some.join(" ")));
        }
    }
    redis.say("SET s:seconds 1 EXAT 4102444800");
    redis.say("SET s:milliseconds 2 PXAT 4102444800123");
    redis.say("SET s:soon 3 EX 3600");
    redis.command(&[&b"SET"[..], &[b'k'; 20_000], b"long key"]);
    redis.command(&[&b"SET"[..], b"\0\xff\n", b"odd key"]);
}

fn hashes(redis: &mut Server, chance: &mut Chance) {
    redis.say("HSET h:one a 1");
    redis.say("HSET h:expires a 1 b 2");
    redis.say("PEXPIREAT h:expires 4102444800123");
    for (key, packed) in [("packed", "100000"), ("table", "1")] {
        redis.say(&format!("CONFIG SET hash-max-listpack-value {packed}"));
        for bits in [0, 6, 7, 11, 12, 15, 16, 23, 24, 31, 32, 62] {
            for number in [(1_i64 << bits) - 1, 1 << bits, -(1 << bits), -(1 << bits) - 1] {
                redis.say(&format!("HSET h:numbers:{key} {number} {number}"));
            }
        }
        for size in [0, 1, 62, 63, 64, 65, 124, 125, 126, 127, 4_095, 4_096, 16_377, 16_378, 16_379, 70_000] {
            redis.say(&format!("HSET h:lengths:{key} n{size} {}", "v".repeat(size)));
            let random: Vec<u8> = (0..size).map(|_| chance.byte()).collect();
            redis.command(&[
                b"HSET",
                format!("h:random:{key}").as_bytes(),
                format!("n{size}").as_bytes(),
                &random,
            ]);
        }
    }
    redis.say("CONFIG SET hash-max-listpack-value 64");
    for count in [127, 128, 129, 512, 513, 5_000] {
        for number in 0..count {
            redis.say(&format!("HINCRBY h:count:{count} label{number} {}", chance.below(1 << 20)));
        }
    }
    assert_eq!(redis.say("OBJECT ENCODING h:lengths:packed"), Reply::Bytes(b"listpack".to_vec()));
    assert_eq!(redis.say("OBJECT ENCODING h:lengths:table"), Reply::Bytes(b"hashtable".to_vec()));
    assert_eq!(redis.say("OBJECT ENCODING h:count:5000"), Reply::Bytes(b"hashtable".to_vec()));
}

fn others(redis: &mut Server, chance: &mut Chance) {
    redis.say("DEBUG QUICKLIST-PACKED-THRESHOLD 2000");
    for count in [1, 3, 200, 3_000] {
        for number in 0..count {
            let text = "t".repeat(chance.below(40));
            redis.say(&format!("RPUSH l:{count} {number}{text}"));
            redis.say(&format!("SADD set:{count} {number}"));
            redis.say(&format!("SADD words:{count} {number}{text}"));
            redis.say(&format!("ZADD z:{count} {}.5 {number}{text}", chance.below(1_000)));
        }
    }
    redis.say(&format!("RPUSH l:3 {}", "p".repeat(5_000)));
    redis.say("DEBUG QUICKLIST-PACKED-THRESHOLD 0");
    redis.say("ZADD z:infinite -inf a +inf b 0 c 1e300 d");
    for count in [1, 500] {
        for number in 1..=count {
            redis.say(&format!("XADD x:{count} {number}-1 field {number} other {}", "o".repeat(number)));
        }
        redis.say(&format!("XGROUP CREATE x:{count} first 0"));
        redis.say(&format!("XGROUP CREATE x:{count} second $"));
        redis.say(&format!("XREADGROUP GROUP first ada COUNT 100 STREAMS x:{count} >"));
        redis.say(&format!("XREADGROUP GROUP first grace COUNT 50 STREAMS x:{count} >"));
        redis.say(&format!("XACK x:{count} first 1-1"));
        redis.say(&format!("XDEL x:{count} 1-1"));
    }
    redis.say("XGROUP CREATE x:empty g $ MKSTREAM");
    redis.say("EXPIREAT x:500 4102444800");
}

/// What the server says of each key.
fn answers(redis: &mut Server) -> Keys {
    let mut keys = Keys::new();
    for database in DATABASES {
        redis.say(&format!("SELECT {database}"));
        for key in redis.bytes(&["KEYS", "*"]) {
            let ask = |command: &str| vec![command.as_bytes().to_vec(), key.clone()];
            let expires = redis.number(&ask("PEXPIRETIME"));
            let name = String::from_utf8(redis.bytes(&ask("TYPE")).remove(0)).unwrap();
            let value = match name.as_str() {
                "string" => Value::Text(redis.bytes(&ask("GET")).remove(0)),
                "hash" => Value::Hash(sorted(redis.bytes(&ask("HGETALL")).chunks(2).map(field).collect())),
                _ => Value::Other(TYPES.into_iter().find(|known| *known == name).unwrap()),
            };
            keys.insert((database, key), ((expires >= 0).then_some(expires), value));
        }
    }
    keys
}

fn field(pair: &[Vec<u8>]) -> Field {
    Field { name: pair[0].clone(), value: pair[1].clone(), expires_at_ms: None }
}

fn sorted(mut fields: Vec<Field>) -> Vec<Field> {
    fields.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    fields
}

fn of_type(value: &Value, name: &str) -> bool {
    match value {
        Value::Text(_) => name == "string",
        Value::Hash(_) => name == "hash",
        Value::Other(other) => *other == name,
    }
}

fn assert_same(entries: Vec<Entry>, expected: &Keys, case: &str) {
    let mut found = Keys::new();
    for Entry { database, key, expires_at_ms, value } in entries {
        let value = match value {
            Value::Hash(fields) => Value::Hash(sorted(fields)),
            other => other,
        };
        found.insert((database, key), (expires_at_ms, value));
    }
    for (key, value) in expected {
        let shown = key.1.escape_ascii();
        assert!(found.get(key) == Some(value), "{case}: {shown} of database {} differs", key.0);
    }
    assert_eq!(found.len(), expected.len(), "{case}");
}
