//! Damage of every kind to good files: never taken with a checksum, never a panic, never much memory without.

use std::fs;
use std::path::Path;

use super::build::{File, Item, length, listpack, lzf, text, texts, ziplist, zipmap};
use super::checks::{check, checksum};
use super::forms::others;
use super::{Chance, read};

const MUTANTS: usize = 20_000;
const SEED: u64 = 20_261_123;
/// One block and what a reading keeps in any case.
const MAX_BASE_BYTES: u64 = 100_000;
/// A compressed byte stands for 88 at most; fields that differ do not compress so, and take some 30 times their bytes.
const MAX_TIMES_INPUT: u64 = 120;

/// A key of every type and encoding.
fn everything(version: u32) -> Vec<u8> {
    let items = [Item::Text(b"a"), Item::Number(-5, 13), Item::Text(b"bc"), Item::Number(1 << 40, 64)];
    let zipped = [Item::Text(b"a"), Item::Number(3, 4), Item::Text(b"bc"), Item::Number(1 << 20, 24)];
    let times = [Item::Text(b"a"), Item::Text(b"1"), Item::Number(1_000, 16)];
    let table = [length(2), texts(&[b"a", b"1", b"bc", b"2"])].concat();
    let expiring = [&5_i64.to_le_bytes()[..], &[1, 3], &texts(&[b"a", b"1"])].concat();
    let mut file = File::new(version)
        .raw(&[250])
        .raw(&texts(&[b"redis-ver", b"7.0.15"]))
        .raw(&[254, 0, 251, 9, 1])
        .key(0, b"plain", &text(b"value"))
        .key(0, b"number", &[0xc1, 0x39, 0x30])
        .key(0, b"packed", &lzf(&[0, b'x', 0xe0, 25, 0, 1, b'y', b'z', 0x20, 1], 40))
        .raw(&[253, 1, 2, 3, 4])
        .key(4, b"table", &table)
        .raw(&[252, 1, 2, 3, 4, 5, 1, 0, 0, 248, 9])
        .key(9, b"zipmap", &text(&zipmap(&[(b"a", b"1"), (b"bc", b"2")], 1)))
        .key(13, b"ziplist", &text(&ziplist(&zipped)))
        .key(16, b"listpack", &text(&listpack(&items)))
        .raw(&[254, 3])
        .key(24, b"expiring", &expiring)
        .key(25, b"times", &[&5_i64.to_le_bytes()[..], &text(&listpack(&times))].concat());
    for (kind, _, body) in others() {
        file = file.key(kind, format!("other {kind}").as_bytes(), &body);
    }
    file.end()
}

#[test]
fn every_flipped_bit_is_noticed() {
    for version in [5, 12] {
        let good = everything(version);
        read(&good, b"").unwrap();
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&bad, b"").is_err(), "bit {bit} of version {version}");
            assert!(read(&bad, b"\0").is_err(), "bit {bit} of version {version}, nothing wanted");
        }
    }
}

#[test]
fn every_other_byte_is_noticed() {
    let good = everything(12);
    for place in 0..good.len() {
        for add in [1, 85, 128, 255] {
            let mut bad = good.clone();
            bad[place] = bad[place].wrapping_add(add);
            assert!(read(&bad, b"").is_err(), "byte {place}, {add} more");
        }
    }
}

#[test]
fn every_truncation_is_noticed() {
    for version in [4, 5, 12] {
        let good = everything(version);
        read(&good, b"").unwrap();
        for length in 0..good.len() {
            let error = read(&good[..length], b"").unwrap_err().to_string();
            assert!(error.contains("the file ends here"), "{length} bytes of version {version}: {error}");
            assert!(read(&good[..length], b"\0").is_err(), "{length} bytes, nothing wanted");
        }
    }
}

#[test]
fn mutants_do_no_harm_and_take_little_memory() {
    let good = everything(12);
    let mut chance = Chance::new(SEED);
    let mut taken = 0;
    for _ in 0..MUTANTS {
        let mut bytes = mutant(&good[..good.len() - 8], &mut chance);
        let sum = if chance.below(2) == 0 { 0 } else { checksum(&bytes) };
        bytes.extend_from_slice(&sum.to_le_bytes());
        let used = allocation_counter::measure(|| taken += usize::from(read(&bytes, b"").is_ok()));
        let most = MAX_BASE_BYTES + MAX_TIMES_INPUT * bytes.len() as u64;
        assert!(used.bytes_max <= most, "{} bytes for {}", used.bytes_max, bytes.len());
        check(&bytes);
    }
    // Neither all nor none, or the test would show nothing.
    assert!(taken > MUTANTS / 100 && taken < MUTANTS / 2, "{taken} of {MUTANTS} mutants were taken");
}

fn mutant(good: &[u8], chance: &mut Chance) -> Vec<u8> {
    const EDGES: [u8; 12] = [0, 1, 63, 64, 127, 128, 129, 192, 195, 253, 254, 255];
    let mut bytes = good.to_vec();
    for _ in 0..=chance.below(4) {
        let place = chance.below(bytes.len());
        match chance.below(6) {
            0 => bytes[place] ^= 1 << chance.below(8),
            1 => bytes[place] = chance.byte(),
            2 => bytes[place] = EDGES[chance.below(EDGES.len())],
            3 => drop(bytes.drain(place..(place + chance.below(9)).min(bytes.len()))),
            4 => bytes.insert(place, EDGES[chance.below(EDGES.len())]),
            _ => {
                let end = (place + chance.below(40)).min(bytes.len());
                let part = bytes[place..end].to_vec();
                bytes.splice(place..place, part);
            }
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
    bytes
}

/// What the fuzzer starts from and what it found. The folder is not in the published crate.
#[test]
fn the_fuzzers_corpus_keeps_the_checks() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/rdb");
    let Ok(files) = fs::read_dir(folder) else { return };
    let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    assert!(files.len() > 2, "the corpus is missing");
    let mut chance = Chance::new(SEED);
    for path in files {
        let bytes = fs::read(&path).unwrap();
        check(&bytes);
        for _ in 0..200 {
            check(&mutant(&bytes, &mut chance));
        }
    }
}
