//! Files that were made to do harm, each with what is said of it.

use super::build::{File, Item, length, listpack, long, lzf, text, texts, ziplist, zipmap};
use super::forms::others;
use super::{Chance, read, refusal};
use crate::error::{Error, ErrorKind};
use crate::redis::rdb::{self, Checksum};

const TEXT: u8 = 0;
const TABLE: u8 = 4;
const ZIPMAP: u8 = 9;
const ZIPLIST: u8 = 13;
const LISTPACK: u8 = 16;

/// `bytes` with one of them replaced.
fn with(bytes: &[u8], place: usize, byte: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[place] = byte;
    bytes
}

/// A file that ends with the body of its one key.
fn cut(kind: u8, body: &[u8]) -> Vec<u8> {
    File::new(12).key(kind, b"k", body).bytes
}

#[test]
fn each_hostile_file_is_refused_for_what_it_is() {
    let ends = "the file ends here";
    let pack = listpack(&[Item::Text(b"name"), Item::Number(7, 7)]);
    let list = ziplist(&[Item::Text(b"name"), Item::Number(7, 4)]);
    let map = zipmap(&[(b"name", b"7")], 0);
    let many = |packed: &[u8]| text(packed);
    let twice = [Item::Text(b"a"), Item::Text(b"1"), Item::Text(b"a"), Item::Text(b"2")];
    let odd = [Item::Text(b"a"), Item::Text(b"1"), Item::Text(b"b")];
    let time = [Item::Text(b"a"), Item::Text(b"1"), Item::Text(b"soon")];
    let table: Vec<(&str, Vec<u8>, &str)> = vec![
        ("nothing", Vec::new(), ends),
        ("half a header", b"REDIS00".to_vec(), ends),
        ("a header alone", b"REDIS0012".to_vec(), ends),
        ("another file", b"SQLite format 3\0".to_vec(), "no RDB file"),
        ("an append-only file", b"*2\r\n$6\r\nSELECT\r\n".to_vec(), "no RDB file"),
        ("Valkey 9", b"VALKEY080\xff".to_vec(), "Valkey 9"),
        ("version 0", File::new(0).end(), "`0000` is no version"),
        ("a version of letters", [&b"REDIS00x1"[..], &[255; 9]].concat(), "`00x1` is no version"),
        ("a negative version", [&b"REDIS-001"[..], &[255; 9]].concat(), "`-001` is no version"),
        ("no end", File::new(12).key(TEXT, b"k", &text(b"v")).bytes, ends),
        ("no checksum", File::new(12).raw(&[255]).bytes, ends),
        ("half a checksum", File::new(12).raw(&[255, 1, 2, 3, 4]).bytes, ends),
        (
            "a wrong checksum",
            File::new(12).raw(&[255, 1, 2, 3, 4, 5, 6, 7, 8]).bytes,
            "the checksum is 08070605",
        ),
        ("a byte behind the end", [&File::new(12).end()[..], b"x"].concat(), "bytes behind the end"),
        ("a byte behind an old end", [&File::new(4).end()[..], b"x"].concat(), "bytes behind the end"),
        ("an unknown type", File::of(8, &text(b"v")), "no value has type 8"),
        ("a type of tomorrow", File::of(26, &text(b"v")), "no value has type 26"),
        ("an unknown opcode", File::new(12).raw(&[243, 0]).end(), "no value has type 243"),
        ("a module's first form", File::of(6, &long(1)), "cannot be passed over"),
        ("a key twice", File::new(12).key(0, b"k", &text(b"1")).key(0, b"k", &text(b"2")).end(), "twice"),
        (
            "an expiry of an opcode",
            File::new(12).raw(&[253, 1, 1, 1, 1, 254, 0]).end(),
            "not followed by a key",
        ),
        ("an expiry of the end", File::new(12).raw(&[253, 1, 1, 1, 1]).end(), "not followed by a key"),
        (
            "two expiries",
            File::new(12).raw(&[253, 1, 1, 1, 1, 253, 1, 1, 1, 1]).key(0, b"k", b"\0").end(),
            "two",
        ),
        (
            "a database beyond all",
            File::new(12).raw(&[254]).raw(&long(1 << 31)).end(),
            "no Redis has a database",
        ),
        ("a database that is a string", File::new(12).raw(&[254, 0xc0, 1]).end(), "where a number must"),
        ("a key of 2^63 bytes", File::new(12).raw(&[0]).raw(&long(1 << 63)).raw(b"k").end(), ends),
        ("a key past the end", File::new(12).raw(&[0, 60]).raw(b"k").end(), ends),
        ("a string of 2^63 bytes", File::of(TEXT, &long(1 << 63)), ends),
        ("a string of 2^64-1 bytes", File::of(TEXT, &long(u64::MAX)), ends),
        ("a string past the end", File::of(TEXT, &[0x80, 0, 1, 0, 0, b'v']), ends),
        (
            "a string over the limit",
            File::of(TEXT, &text(&vec![0; (1 << 20) + 1])),
            "1048577 bytes, more than 1048576",
        ),
        ("a length of no form", File::of(TEXT, &[0x82, 0, 0, 0, 1]), "no length begins with 0x82"),
        ("a string of no form", File::of(TEXT, &[0xc4]), "no string has form 4"),
        (
            "compressed to 2^63",
            File::of(TEXT, &[&[0xc3][..], &long(5), &long(1 << 63)].concat()),
            "cannot be",
        ),
        (
            "compressed from 2^63",
            File::of(TEXT, &[&[0xc3][..], &long(1 << 63), &long(9)].concat()),
            "cannot be",
        ),
        (
            "compressed to more than can be",
            File::of(TEXT, &lzf(&[0, b'x', 0xe0, 255, 0], 441)),
            "cannot be 441",
        ),
        ("compressed from too much", File::of(TEXT, &lzf(&[0, b'x', 0, b'y', 0, b'z'], 2)), "cannot be 2"),
        ("a reference before the begin", File::of(TEXT, &lzf(&[0, b'x', 0x20, 1], 4)), "before its begin"),
        ("a reference to nothing", File::of(TEXT, &lzf(&[0x20, 0], 3)), "before its begin"),
        ("a reference too long", File::of(TEXT, &lzf(&[0, b'x', 0xe0, 255, 0], 264)), "longer than it says"),
        (
            "a reference too short",
            File::of(TEXT, &lzf(&[0, b'x', 0xe0, 255, 0], 266)),
            "shorter than it says",
        ),
        ("a run too long", File::of(TEXT, &lzf(&[2, b'x', b'y', b'z'], 2)), "longer than it says"),
        ("a run past the end", File::of(TEXT, &lzf(&[9, b'x'], 10)), "ends too early"),
        ("half a reference", File::of(TEXT, &lzf(&[0, b'x', 0x20], 4)), "ends too early"),
        ("half a long reference", File::of(TEXT, &lzf(&[0, b'x', 0xe0], 10)), "ends too early"),
        ("an empty hash", File::of(TABLE, &length(0)), "empty"),
        ("a hash of 2^63 fields", cut(TABLE, &[long(1 << 63), texts(&[b"a", b"1"])].concat()), ends),
        ("a field twice", File::of(TABLE, &[length(2), texts(&[b"a", b"1", b"a", b"2"])].concat()), "twice"),
        (
            "a field twice of three",
            File::of(TABLE, &[length(3), texts(&[b"a", b"", b"b", b"", b"a", b""])].concat()),
            "twice",
        ),
        ("an empty listpack", File::of(LISTPACK, &many(&listpack(&[]))), "empty"),
        ("a string that is no listpack", File::of(LISTPACK, &many(b"")), "ends too early"),
        ("a listpack of another length", File::of(LISTPACK, &many(&with(&pack, 0, 99))), "another length"),
        ("a listpack of another count", File::of(LISTPACK, &many(&with(&pack, 4, 3))), "another number"),
        (
            "a listpack without end",
            File::of(LISTPACK, &many(&with(&pack, pack.len() - 1, 1))),
            "ends too early",
        ),
        ("a listpack that ends before", File::of(LISTPACK, &many(&with(&pack, 6, 255))), "behind its end"),
        ("a listpack of no form", File::of(LISTPACK, &many(&with(&pack, 6, 0xf5))), "no known form"),
        ("a listpack past its end", File::of(LISTPACK, &many(&with(&pack, 6, 0xbf))), "ends too early"),
        ("a listpack of two lengths", File::of(LISTPACK, &many(&with(&pack, 11, 6))), "two lengths differ"),
        (
            "a listpack of a shorter length",
            File::of(LISTPACK, &many(&with(&pack, 11, 4))),
            "two lengths differ",
        ),
        (
            "a listpack of endless length",
            File::of(LISTPACK, &many(&with(&pack, 11, 0x85))),
            "two lengths differ",
        ),
        (
            "a listpack with 2^32 bytes",
            File::of(
                LISTPACK,
                &many(&{
                    let mut bytes = with(&pack, 6, 0xf0);
                    bytes[7..11].fill(0xff);
                    bytes
                }),
            ),
            "ends too early",
        ),
        ("a listpack with a field twice", File::of(LISTPACK, &many(&listpack(&twice))), "twice"),
        ("a listpack with half a field", File::of(LISTPACK, &many(&listpack(&odd))), "ends within a field"),
        ("a listpack over the limit", File::of(LISTPACK, &long((8 << 20) + 1)), ends),
        ("a listpack without times", File::of(23, &many(&pack)), "ends within a field"),
        ("a listpack with a time in words", File::of(23, &many(&listpack(&time))), "text for a time"),
        (
            "a field that never expires",
            File::of(22, &[length(1), long(u64::MAX), texts(&[b"a", b"1"])].concat()),
            "clock",
        ),
        (
            "a field beyond time",
            File::of(24, &[&i64::MAX.to_le_bytes()[..], &[1, 2], &texts(&[b"a", b"1"])].concat()),
            "clock",
        ),
        ("a ziplist of another length", File::of(ZIPLIST, &many(&with(&list, 0, 99))), "another length"),
        ("a ziplist of another count", File::of(ZIPLIST, &many(&with(&list, 8, 3))), "another number"),
        ("a ziplist with its tail elsewhere", File::of(ZIPLIST, &many(&with(&list, 4, 10))), "elsewhere"),
        (
            "a ziplist without end",
            File::of(ZIPLIST, &many(&with(&list, list.len() - 1, 2))),
            "ends too early",
        ),
        ("a ziplist that ends before", File::of(ZIPLIST, &many(&with(&list, 10, 255))), "behind its end"),
        ("a ziplist of no form", File::of(ZIPLIST, &many(&with(&list, 11, 0x81))), "no known form"),
        ("a ziplist of two lengths", File::of(ZIPLIST, &many(&with(&list, 16, 5))), "two lengths differ"),
        ("a ziplist past its end", File::of(ZIPLIST, &many(&with(&list, 11, 0x3f))), "ends too early"),
        ("a ziplist with a field twice", File::of(ZIPLIST, &many(&ziplist(&twice))), "twice"),
        ("a ziplist with half a field", File::of(ZIPLIST, &many(&ziplist(&odd))), "ends within a field"),
        ("a zipmap of another count", File::of(ZIPMAP, &many(&with(&map, 0, 2))), "another number"),
        ("a zipmap without end", File::of(ZIPMAP, &many(&with(&map, map.len() - 1, 0))), "ends too early"),
        ("a zipmap that ends before", File::of(ZIPMAP, &many(&with(&map, 1, 255))), "behind its end"),
        ("a zipmap with half a field", File::of(ZIPMAP, &many(&with(&map, 6, 255))), "name without a value"),
        ("a zipmap with waste past its end", File::of(ZIPMAP, &many(&with(&map, 7, 200))), "ends too early"),
        ("a set of 2^63", cut(2, &[long(1 << 63), text(b"a")].concat()), ends),
        ("a stream of 2^63 groups", cut(15, &[&[0, 0, 0, 0][..], &long(1 << 63)].concat()), ends),
        ("a module without end", cut(7, &[&long(1)[..], &[1, 1]].concat()), ends),
        ("a module's part of no type", File::of(7, &[&long(1)[..], &[6]].concat()), "no part of a module"),
    ];
    assert!(table.len() >= 80);
    for (name, bytes, expected) in table {
        let error = refusal(&bytes);
        assert!(error.contains(expected), "{name}: {error}");
        assert!(error.contains("byte ") && error.contains("; "), "{name} has no place or no remedy: {error}");
    }
}

#[test]
fn a_refusal_names_the_key_and_the_place() {
    let bytes =
        File::new(12).key(TEXT, b"good", &text(b"1")).key(LISTPACK, b"{hll}\n", &text(b"1234567")).end();
    let error = refusal(&bytes);
    let place = bytes.windows(8).position(|part| part == b"\x071234567").unwrap();
    let expected = format!(
        "key `{{hll}}\\n`: byte {place}: a listpack has another length than it says, at its byte 4; make the file again with \
         SAVE or BGSAVE, and copy it whole"
    );
    assert_eq!(error, expected);
}

/// So many zeros, compressed by the longest references: 3 bytes for 264.
fn zeros(references: usize) -> Vec<u8> {
    lzf(&[&[0, 0][..], &[0xe0, 255, 0].repeat(references)].concat(), 1 + 264 * references)
}

#[test]
fn wanted_values_end_at_their_limits() {
    let field = |number: u32| texts(&[&number.to_be_bytes(), b""]);
    let most = 1 << 20;
    let mut fields: Vec<u8> = (0..most).flat_map(field).collect();
    let count = |count: u32| length(usize::try_from(count).unwrap());
    let (entries, _) = read(&File::of(TABLE, &[count(most), fields.clone()].concat()), b"").unwrap();
    assert_eq!(entries.len(), 1);
    fields.extend(field(most));
    let error = refusal(&File::of(TABLE, &[count(most + 1), fields].concat()));
    assert!(error.contains("more than 1048576 fields") && error.contains("leave it out"), "{error}");

    // Some 16,900 bytes of file for each mebibyte.
    let values = |count: usize| {
        let one = |number: usize| [text(&number.to_be_bytes()), zeros(3_971)].concat();
        File::of(TABLE, &[length(count), (0..count).flat_map(one).collect()].concat())
    };
    assert_eq!(read(&values(63), b"").unwrap().0.len(), 1);
    let error = refusal(&values(65));
    assert!(error.contains("67108864 bytes"), "{error}");

    for kind in [ZIPMAP, ZIPLIST, LISTPACK] {
        let error = refusal(&File::of(kind, &zeros((8 << 20) / 264 + 1)));
        assert!(error.contains("more than 8388608"), "type {kind}: {error}");
    }
}

#[test]
fn what_nobody_wants_is_not_looked_into() {
    let bytes = File::new(12).key(LISTPACK, b"other", &text(b"1234567")).key(TEXT, b"k", &text(b"1")).end();
    assert_eq!(read(&bytes, b"k").unwrap().0.len(), 1);
    // More than any limit.
    let bytes = File::new(12).key(TEXT, b"other", &zeros(1_000_000)).key(TEXT, b"k", &text(b"1")).end();
    let used = allocation_counter::measure(|| assert_eq!(read(&bytes, b"k").unwrap().0.len(), 1));
    assert!(used.bytes_max < 100_000, "{} bytes", used.bytes_max);
}

#[test]
fn a_promise_of_bytes_takes_no_memory() {
    for body in [long(1 << 19), long(1 << 63), [&[0xc3][..], &long(1 << 18), &long(1 << 20)].concat()] {
        for kind in [TEXT, TABLE, LISTPACK] {
            let bytes = File::of(kind, &body);
            let used = allocation_counter::measure(|| drop(refusal(&bytes)));
            assert!(used.bytes_max < 100_000, "{} bytes for {body:02x?} of type {kind}", used.bytes_max);
        }
    }
}

/// Two million fields, all of one name, out of 95 kB.
#[test]
fn a_repeated_field_takes_no_memory() {
    let references = 31_000;
    let full = 8 + 264 * references;
    let header = [u32::try_from(full).unwrap().to_le_bytes().as_slice(), &[255, 255]].concat();
    // The number 0 with its length behind it, from two bytes back again and again.
    let packed = [&[7][..], &header, &[0, 1], &[0xe0, 255, 1].repeat(references)].concat();
    let bytes = File::of(LISTPACK, &lzf(&packed, full));
    let used = allocation_counter::measure(|| assert!(refusal(&bytes).contains("twice")));
    assert!(used.bytes_max < 100_000 + 90 * bytes.len() as u64, "{} for {}", used.bytes_max, bytes.len());
}

#[test]
fn a_checksum_of_zero_is_switched_off_and_told() {
    let bytes = File::new(12).key(TEXT, b"k", &text(b"v")).end();
    assert_eq!(read(&bytes, b"").unwrap().1.checksum, Checksum::Right);
    let off = [&bytes[..bytes.len() - 8], &[0; 8]].concat();
    assert_eq!(read(&off, b"").unwrap().1.checksum, Checksum::SwitchedOff);
}

#[test]
fn an_error_of_the_caller_or_the_disk_comes_back_as_it_is() {
    let bytes = File::new(12).key(TEXT, b"k", &text(b"v")).end();
    let mut show = |_| Err(Error::new(ErrorKind::Closed, "enough"));
    let error = rdb::read(bytes.as_slice(), &mut |_, _| true, &mut show).unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Closed, "enough"));

    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::from_raw_os_error(5))
        }
    }
    let error = rdb::read(Broken, &mut |_, _| true, &mut |_| Ok(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().starts_with("byte 0: the file cannot be read: "), "{error}");
}

/// Whatever stands where the body of a value must is refused or taken, as wanted and as unwanted.
#[test]
fn random_bodies_of_every_type_do_no_harm() {
    let mut chance = Chance::new(20_261_123);
    let others = others();
    for round in 0..20_000 {
        let kind = u8::try_from(round % 27).unwrap();
        let mut body: Vec<u8> = (0..chance.below(60)).map(|_| chance.byte()).collect();
        if let Some((_, _, good)) = others.iter().find(|(other, _, _)| *other == kind) {
            body.clone_from(good);
            let place = chance.below(body.len());
            body[place] = chance.byte();
        }
        super::checks::check(&File::of(kind, &body));
    }
}
