//! Every encoding by the description of the format, and what must come out.

use super::build::{File, Item, length, listpack, long, lzf, text, texts, ziplist, zipmap};
use super::{read, refusal};
use crate::redis::rdb::{Checksum, Entry, Field, Value};

const TEXT: u8 = 0;
const EARLIEST_MS: i64 = 1_700_000_000_000;

fn value(kind: u8, body: &[u8]) -> Value {
    let (mut entries, _) = read(&File::of(kind, body), b"").unwrap();
    assert_eq!(entries.len(), 1);
    entries.remove(0).value
}

fn fields(pairs: &[(&[u8], &[u8], Option<i64>)]) -> Value {
    let field = |(name, value, expires_at_ms): &(&[u8], &[u8], Option<i64>)| Field {
        name: name.to_vec(),
        value: value.to_vec(),
        expires_at_ms: *expires_at_ms,
    };
    Value::Hash(pairs.iter().map(field).collect())
}

#[test]
fn strings_are_plain_numbers_or_compressed() {
    let cases: &[(&[u8], &[u8])] = &[
        (&[0], b""),
        (&[3, b'a', b'b', b'c'], b"abc"),
        (&[0x40, 3, b'a', b'b', b'c'], b"abc"),
        (&[0x80, 0, 0, 0, 3, b'a', b'b', b'c'], b"abc"),
        (&[0x81, 0, 0, 0, 0, 0, 0, 0, 3, b'a', b'b', b'c'], b"abc"),
        (&[0xc0, 0x80], b"-128"),
        (&[0xc0, 0x7f], b"127"),
        (&[0xc1, 0x00, 0x80], b"-32768"),
        (&[0xc1, 0xff, 0x7f], b"32767"),
        (&[0xc2, 0, 0, 0, 0x80], b"-2147483648"),
        (&[0xc2, 0xff, 0xff, 0xff, 0x7f], b"2147483647"),
        // Three plain bytes; then four bytes from two back.
        (&[0xc3, 6, 7, 2, b'a', b'b', b'c', 0x40, 1], b"abcbcbc"),
    ];
    for (body, expected) in cases {
        assert_eq!(value(TEXT, body), Value::Text(expected.to_vec()), "{body:02x?}");
    }
    // A byte and a reference of 264 bytes to it.
    assert_eq!(value(TEXT, &lzf(&[0, b'x', 0xe0, 255, 0], 265)), Value::Text(vec![b'x'; 265]));
    let far: Vec<u8> = (0..=255).cycle().take(8_192).collect();
    let plain: Vec<u8> = far.chunks(32).flat_map(|run| [&[31], run].concat()).collect();
    // From the farthest place there is, 8,192 bytes back.
    let packed = [plain.as_slice(), &[0x3f, 0xff]].concat();
    assert_eq!(value(TEXT, &lzf(&packed, 8_195)), Value::Text([far.as_slice(), &far[..3]].concat()));
}

#[test]
fn hashes_come_out_of_every_encoding() {
    let big = vec![b'v'; 70_000];
    let expected: Value =
        fields(&[(b"a", b"1", None), (b"b", b"text", None), (b"", b"", None), (b"long", &big, None)]);
    let pairs: [(&[u8], &[u8]); 4] = [(b"a", b"1"), (b"b", b"text"), (b"", b""), (b"long", &big)];
    let flat: Vec<&[u8]> = pairs.iter().flat_map(|(name, value)| [*name, *value]).collect();
    let items: Vec<Item> = flat.iter().map(|text| Item::Text(text)).collect();
    let table = [length(4), texts(&flat)].concat();
    assert_eq!(value(4, &table), expected);
    assert_eq!(value(9, &text(&zipmap(&pairs, 0))), expected);
    assert_eq!(value(9, &text(&zipmap(&pairs, 9))), expected);
    assert_eq!(value(13, &text(&ziplist(&items))), expected);
    assert_eq!(value(16, &text(&listpack(&items))), expected);
}

#[test]
fn packed_numbers_are_those_that_were_put_in() {
    let bounds = |bits: u32| [-1_i64 << (bits - 1), -1, 0, 1, (1 << (bits - 1)) - 1];
    let mut listed = vec![Item::Number(0, 7), Item::Number(127, 7)];
    for bits in [13, 16, 24, 32] {
        listed.extend(bounds(bits).map(|number| Item::Number(number, bits)));
    }
    listed.extend([i64::MIN, -1, 0, i64::MAX].map(|number| Item::Number(number, 64)));
    let mut zipped = vec![Item::Number(0, 4), Item::Number(12, 4)];
    for bits in [8, 16, 24, 32] {
        zipped.extend(bounds(bits).map(|number| Item::Number(number, bits)));
    }
    zipped.extend([i64::MIN, -1, 0, i64::MAX].map(|number| Item::Number(number, 64)));
    for (kind, numbers) in [(16, listed), (13, zipped)] {
        let names: Vec<String> = (0..numbers.len()).map(|place| format!("n{place}")).collect();
        let items: Vec<Item> = names
            .iter()
            .zip(&numbers)
            .flat_map(|(name, number)| [Item::Text(name.as_bytes()), *number])
            .collect();
        let packed = if kind == 16 { listpack(&items) } else { ziplist(&items) };
        let Value::Hash(fields) = value(kind, &text(&packed)) else { panic!("no hash") };
        for (field, number) in fields.iter().zip(&numbers) {
            let Item::Number(number, bits) = number else { continue };
            assert_eq!(field.value, number.to_string().into_bytes(), "{bits} bits in a value of type {kind}");
        }
        assert_eq!(fields.len(), numbers.len());
    }
}

#[test]
fn packed_elements_of_every_length_are_read() {
    let around = [0, 1, 62, 63, 64, 65, 124, 125, 126, 127, 128, 129, 250, 251, 252, 253, 254, 255, 256];
    let far = [4_094, 4_095, 4_096, 16_376, 16_377, 16_378, 16_379, 16_383, 16_384, 20_000];
    for size in around.into_iter().chain(far).chain([2_097_145, 2_097_146, 2_097_147]) {
        let one = vec![b'x'; size];
        let items = [Item::Text(b"a"), Item::Text(&one), Item::Text(b"b"), Item::Text(b"2")];
        let expected = fields(&[(b"a", &one, None), (b"b", b"2", None)]);
        assert_eq!(value(16, &text(&listpack(&items))), expected, "listpack with {size}");
        assert_eq!(value(13, &text(&ziplist(&items))), expected, "ziplist with {size}");
        assert_eq!(
            value(9, &text(&zipmap(&[(b"a", &one), (b"b", b"2")], 1))),
            expected,
            "zipmap with {size}"
        );
    }
}

#[test]
fn more_elements_than_the_header_counts_are_read() {
    let names: Vec<String> = (0..40_000).map(|number| format!("f{number}")).collect();
    let items: Vec<Item> =
        names.iter().flat_map(|name| [Item::Text(name.as_bytes()), Item::Number(1, 16)]).collect();
    for (kind, packed) in [(16, listpack(&items)), (13, ziplist(&items))] {
        let Value::Hash(fields) = value(kind, &text(&packed)) else { panic!("no hash") };
        assert_eq!(fields.len(), names.len());
        assert!(fields.iter().zip(&names).all(|(field, name)| field.name == name.as_bytes()));
    }
    let pairs: Vec<(&[u8], &[u8])> = names[..300].iter().map(|name| (name.as_bytes(), &b"1"[..])).collect();
    let Value::Hash(fields) = value(9, &text(&zipmap(&pairs, 0))) else { panic!("no hash") };
    assert_eq!(fields.len(), 300);
}

#[test]
fn fields_carry_their_own_expiry() {
    let pairs = [length(0), texts(&[b"a", b"1"]), length(1), texts(&[b"b", b"2"]), long(5_001)];
    let table = [length(3), pairs.concat(), texts(&[b"c", b"3"])].concat();
    let earliest = EARLIEST_MS.to_le_bytes();
    let expected = fields(&[
        (b"a", b"1", None),
        (b"b", b"2", Some(EARLIEST_MS)),
        (b"c", b"3", Some(EARLIEST_MS + 5_000)),
    ]);
    assert_eq!(value(24, &[&earliest[..], &table].concat()), expected);
    let alone = fields(&[(b"a", b"1", None), (b"b", b"2", Some(1)), (b"c", b"3", Some(5_001))]);
    assert_eq!(value(22, &table), alone);
    let items = [
        Item::Text(b"a"),
        Item::Text(b"1"),
        Item::Number(0, 7),
        Item::Text(b"b"),
        Item::Number(2, 7),
        Item::Number(EARLIEST_MS, 64),
    ];
    let expected = fields(&[(b"a", b"1", None), (b"b", b"2", Some(EARLIEST_MS))]);
    assert_eq!(value(23, &text(&listpack(&items))), expected);
    assert_eq!(value(25, &[&earliest[..], &text(&listpack(&items))].concat()), expected);
}

/// A body of each type that is never handed over, with the name that `TYPE` has for it.
pub(super) fn others() -> Vec<(u8, &'static str, Vec<u8>)> {
    let strings = [length(2), texts(&[b"one", b"two"])].concat();
    let decimal =
        [length(5), text(b"a"), vec![3], b"1.5".to_vec(), text(b"b"), vec![253], text(b"c"), vec![254]];
    let decimal = [decimal.concat(), text(b"d"), vec![255], text(b"e"), vec![0]].concat();
    let binary = [length(1), text(b"a"), 1.5_f64.to_le_bytes().to_vec()].concat();
    let packed = text(&listpack(&[Item::Text(b"a"), Item::Number(1, 7)]));
    let old = text(&ziplist(&[Item::Text(b"a"), Item::Number(1, 4)]));
    let integers = text(&[2, 0, 0, 0, 1, 0, 0, 0, 5, 0]);
    let nodes = [length(2), length(1), text(b"plain"), length(2), packed.clone()].concat();
    let module =
        [long(0x1234_5678_9abc_de00), vec![1], long(u64::MAX), vec![2, 7, 3, 0, 0, 0, 0, 4], vec![0; 8]];
    let module = [module.concat(), vec![5], text(b"inside"), vec![0]].concat();
    vec![
        (1, "list", strings.clone()),
        (2, "set", strings.clone()),
        (3, "zset", decimal),
        (5, "zset", binary),
        (7, "module", module),
        (10, "list", old.clone()),
        (11, "set", integers),
        (12, "zset", old),
        (14, "list", strings),
        (15, "stream", stream(1)),
        (17, "zset", packed.clone()),
        (18, "list", nodes),
        (19, "stream", stream(2)),
        (20, "set", packed),
        (21, "stream", stream(3)),
    ]
}

/// A stream of two listpacks with two groups, of which one has two consumers.
fn stream(form: usize) -> Vec<u8> {
    let pack = text(&listpack(&[Item::Number(1, 7), Item::Text(b"x")]));
    let id = |number: u8| [[number; 8], [0; 8]].concat();
    let node = |number: u8| [text(&id(number)), pack.clone()].concat();
    let numbers = |count: usize| (0..count).flat_map(|number| long(number as u64)).collect::<Vec<u8>>();
    let time = EARLIEST_MS.to_le_bytes();
    let pending = [length(2), id(1), time.to_vec(), length(1), id(2), time.to_vec(), length(300)].concat();
    let times = if form == 3 { [time, time].concat() } else { time.to_vec() };
    let consumer = |name: &[u8], owned: &[u8]| {
        let owned = [length(owned.len()), owned.iter().flat_map(|number| id(*number)).collect()].concat();
        [text(name), times.clone(), owned].concat()
    };
    let read = if form >= 2 { 3 } else { 2 };
    let group =
        [text(b"g"), numbers(read), pending, length(2), consumer(b"c1", &[1, 2]), consumer(b"c2", &[])];
    let empty = [text(b"empty"), numbers(read), length(0), length(0)].concat();
    let known = numbers(if form >= 2 { 8 } else { 3 });
    [length(2), node(1), node(2), known, length(2), group.concat(), empty].concat()
}

#[test]
fn every_other_type_is_passed_over_to_its_last_byte() {
    for (kind, name, body) in others() {
        let bytes = File::new(12).key(kind, b"other", &body).key(TEXT, b"wanted", &text(b"1")).end();
        let (entries, summary) =
            read(&bytes, b"wanted").unwrap_or_else(|error| panic!("type {kind}: {error}"));
        assert_eq!((entries.len(), summary.keys), (1, 2), "type {kind}");
        assert_eq!(entries[0].value, Value::Text(b"1".to_vec()));
        let (entries, _) = read(&bytes, b"").unwrap();
        assert_eq!(entries[0].value, Value::Other(name), "type {kind}");
    }
}

#[test]
fn what_stands_between_keys_is_passed_over_or_told() {
    let seconds = 1_600_000_000_i32;
    let bytes = File::new(12)
        .raw(&[250])
        .raw(&texts(&[b"redis-ver", b"7.4.1"]))
        .raw(&[250])
        .raw(&[&text(b"ctime")[..], &[0xc2], &seconds.to_le_bytes()].concat())
        .raw(&[250])
        .raw(&[&text(b"aof-base")[..], &[0xc0, 1]].concat())
        .raw(&[250])
        .raw(&texts(&[b"lua", &[b'x'; 5_000]]))
        .raw(&[245])
        .raw(&text(b"#!lua name=lib"))
        .raw(&[246])
        .raw(&[texts(&[b"lib", b"lua"]), vec![1], texts(&[b"said", b"code"])].concat())
        .raw(&[246])
        .raw(&[texts(&[b"lib", b"lua"]), vec![0], text(b"code")].concat())
        .raw(&[&[247][..], &long(77), &[2, 1, 1, 9, 0]].concat())
        .raw(&[254, 3, 251, 5, 2, 244, 7, 1, 1])
        .raw(&[253])
        .raw(&seconds.to_le_bytes())
        .key(TEXT, b"old", &text(b"1"))
        .raw(&[252])
        .raw(&EARLIEST_MS.to_le_bytes())
        .raw(&[248, 0x40, 200, 249, 255])
        .key(TEXT, b"new", &text(b"2"))
        .raw(&[249, 3])
        .raw(&[254, 0])
        .bytes;
    // An idle time belongs to a key.
    let error = refusal(&File::new(12).raw(&bytes[9..]).end());
    assert!(error.contains("not followed by a key"), "{error}");
    let bytes = File::new(12).raw(&bytes[9..bytes.len() - 4]).key(TEXT, b"plain", &text(b"3")).end();
    let (entries, summary) = read(&bytes, b"").unwrap();
    let entry = |key: &[u8], expires_at_ms, value: &[u8]| Entry {
        database: 3,
        key: key.to_vec(),
        expires_at_ms,
        value: Value::Text(value.to_vec()),
    };
    let expected = [
        entry(b"old", Some(i64::from(seconds) * 1_000), b"1"),
        entry(b"new", Some(EARLIEST_MS), b"2"),
        entry(b"plain", None, b"3"),
    ];
    assert_eq!(entries, expected);
    assert_eq!((summary.server.as_deref(), summary.made_at), (Some("7.4.1"), Some(i64::from(seconds))));
    assert!(summary.is_base_of_aof);
}

#[test]
fn every_known_version_is_read_and_none_after() {
    for version in 1..=12 {
        let (entries, summary) = read(&File::new(version).key(TEXT, b"k", &text(b"v")).end(), b"").unwrap();
        assert_eq!((entries.len(), summary.version), (1, version));
        let checksum = if version < 5 { Checksum::None } else { Checksum::Right };
        assert_eq!(summary.checksum, checksum, "version {version}");
    }
    for version in [13, 80, 9_999] {
        let error = refusal(&File::new(version).key(TEXT, b"k", &text(b"v")).end());
        assert!(error.contains("known are those up to 12") && error.contains("running server"), "{error}");
    }
}

#[test]
fn keys_too_long_to_be_asked_for_are_counted() {
    let long = vec![b'k'; (64 << 10) + 1];
    let bytes = File::new(12).key(TEXT, &long, &text(b"v")).key(TEXT, b"k", &text(b"v")).end();
    let (entries, summary) = read(&bytes, b"").unwrap();
    assert_eq!((entries.len(), summary.keys, summary.wanted, summary.too_long), (1, 2, 1, 1));
    let longest = File::new(12).key(TEXT, &long[1..], &text(b"v")).end();
    assert_eq!(read(&longest, b"").unwrap().0[0].key, long[1..]);
}
