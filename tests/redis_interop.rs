//! Sketches against a real Redis: registers and counts both ways.
//!
//! Runs with `HEADCOUNT_TEST_SERVERS=1` and `redis-server` in the path.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test stops where it is wrong, and says when it is skipped"
)]

#[path = "common/redis.rs"]
mod server;

use headcount::{Sketch, SketchKind};
use server::Redis;

/// Numbers of identifiers below, around and above Redis's switch (some 1,500) and ours (3,072).
const SIZES: [u64; 14] =
    [0, 1, 2, 10, 100, 500, 1_000, 1_500, 3_000, 3_060, 3_200, 10_000, 100_000, 1_000_000];

#[test]
fn redis_adds_and_we_read_the_same_registers() {
    let Some(mut redis) = Redis::start() else { return };
    for size in SIZES {
        for (style, id) in styles() {
            let key = format!("from:{style}:{size}");
            redis.add(&key, (0..size).map(id));
            let string = redis.get(&key);
            let theirs = Sketch::from_redis(&string).unwrap();
            let ours = sketch_of((0..size).map(id));
            assert_eq!(theirs, registers_of(&ours), "{key}");
            assert_eq!(theirs.kind(), SketchKind::Registers);
            assert_eq!(theirs.estimate().rounded(), redis.count(&[&key]), "{key}");
            // A key that nothing was added to has a valid cardinality of 0; all others are byte for byte what we write.
            match string[4] {
                0 => assert!(string == ours.to_redis(), "{key} dense"),
                _ if size == 0 => assert_eq!(string[16..], ours.to_redis_sparse().unwrap()[16..]),
                _ => assert_eq!(ours.to_redis_sparse().as_deref(), Some(&string[..]), "{key} sparse"),
            }
        }
    }
}

#[test]
fn sparse_strings_are_byte_for_byte_what_redis_builds() {
    let Some(mut redis) = Redis::start() else { return };
    let mut compared = 0;
    for trial in 0..300_u64 {
        let size = trial * 5;
        let id = |n: u64| format!("{trial}/{n}");
        let key = format!("sparse:{trial}");
        redis.add(&key, (0..size).map(id));
        let string = redis.get(&key);
        let ours = sketch_of((0..size).map(id));
        assert_eq!(registers_of(&ours), Sketch::from_redis(&string).unwrap(), "trial {trial}");
        if string[4] == 1 && size > 0 {
            assert_eq!(ours.to_redis_sparse(), Some(string), "trial {trial}");
            compared += 1;
        }
    }
    assert!(compared > 200, "{compared} of 300 keys were sparse");
}

#[test]
fn we_write_and_redis_goes_on() {
    let Some(mut redis) = Redis::start() else { return };
    for size in SIZES {
        let id = |n: u64| format!("user:{n}");
        let (original, copy) = (format!("original:{size}"), format!("copy:{size}"));
        redis.add(&original, (0..size).map(id));
        let ours = sketch_of((0..size).map(id));
        for string in [Some(ours.to_redis()), ours.to_redis_sparse()].into_iter().flatten() {
            redis.set(&copy, &string);
            assert_eq!(redis.count(&[&copy]), registers_of(&ours).estimate().rounded(), "{copy}");
            redis.command(&[b"DEL", b"merged"]);
            redis.command(&[b"PFMERGE", b"merged", original.as_bytes(), copy.as_bytes()]);
            assert_eq!(Sketch::from_redis(&redis.get("merged")).unwrap(), registers_of(&ours), "{copy}");
            // Adding more to the copy gives what adding all to one key gives.
            redis.add(&copy, (size..size + 777).map(id));
            let more = sketch_of((0..size + 777).map(id));
            assert_eq!(Sketch::from_redis(&redis.get(&copy)).unwrap(), registers_of(&more), "{copy}");
            assert_eq!(redis.count(&[&copy]), registers_of(&more).estimate().rounded(), "{copy}");
        }
    }
}

#[test]
fn unions_count_what_redis_counts() {
    let Some(mut redis) = Redis::start() else { return };
    for (size, shift) in [(10, 5), (400, 399), (3_000, 1_000), (5_000, 4_000), (60_000, 20_000)] {
        let keys: Vec<_> = (0..4).map(|day| format!("day:{size}:{day}")).collect();
        let mut ours = Sketch::new();
        let mut imported = Sketch::from_redis(&Sketch::new().to_redis()).unwrap();
        for (day, key) in (0_u64..).zip(&keys) {
            let ids = day * shift..day * shift + size;
            redis.add(key, ids.clone().map(|n| n.to_string()));
            ours.unite(&sketch_of(ids.map(|n| n.to_string())));
            imported.unite(&Sketch::from_redis(&redis.get(key)).unwrap());
        }
        let keys: Vec<_> = keys.iter().map(String::as_str).collect();
        assert_eq!(imported, registers_of(&ours));
        assert_eq!(redis.count(&keys), imported.estimate().rounded());
    }
}

/// The text of the identifier with a number.
type Id = fn(u64) -> String;

fn styles() -> [(&'static str, Id); 3] {
    [
        ("decimal", |n| n.to_string()),
        ("prefixed", |n| format!("user:{n}")),
        ("hex", |n| format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))),
    ]
}

fn sketch_of(ids: impl Iterator<Item = String>) -> Sketch {
    let mut sketch = Sketch::new();
    for id in ids {
        sketch.add(id.as_bytes());
    }
    sketch
}

/// The sketch with registers in place of codes.
fn registers_of(sketch: &Sketch) -> Sketch {
    Sketch::from_redis(&sketch.to_redis()).unwrap()
}
