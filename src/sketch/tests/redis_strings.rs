//! Redis's strings: both encodings, and hostile ones.

use crate::error::ErrorKind;
use crate::hash::IdHash;
use crate::sketch::testing::Random;
use crate::sketch::{Sketch, SketchKind};

const EMPTY_HEADER: &[u8] = b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80";

fn sparse(body: &[u8]) -> Vec<u8> {
    [EMPTY_HEADER, body].concat()
}

fn refusal(string: &[u8]) -> String {
    let error = Sketch::from_redis(string).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Sketch);
    error.to_string()
}

#[test]
fn both_encodings_hold_the_same_registers() {
    for ids in [0, 1, 10, 300, 1_000, 5_000, 50_000] {
        let sketch = Random::from_seed(12).sketch(ids);
        let dense = Sketch::from_redis(&sketch.to_redis()).unwrap();
        assert_eq!(dense.kind(), SketchKind::Registers);
        assert_eq!(dense.registers().as_slice(), sketch.registers().as_slice());
        assert_eq!(sketch.to_redis(), dense.to_redis());
        assert_eq!(sketch.to_redis().len(), 12_304);
        assert_eq!(sketch.to_redis_sparse().is_some(), ids <= 1_000);
        if let Some(string) = sketch.to_redis_sparse() {
            assert_eq!(Sketch::from_redis(&string).unwrap(), dense);
        }
    }
    assert_eq!(Sketch::new().to_redis_sparse().unwrap(), sparse(&[0x7f, 0xff]));
}

#[test]
fn high_ranks_have_no_sparse_form() {
    let mut sketch = Sketch::new();
    sketch.insert(IdHash::from_bits(1 << (14 + 31)));
    assert!(sketch.to_redis_sparse().is_some());
    sketch.insert(IdHash::from_bits(1 | 1 << (14 + 32)));
    assert_eq!(sketch.to_redis_sparse(), None);
}

#[test]
fn hostile_strings_are_refused_with_a_reason() {
    let dense = Random::from_seed(13).sketch(10_000).to_redis();
    let change = |at: usize, byte: u8| {
        let mut string = dense.clone();
        string[at] = byte;
        string
    };
    assert!(refusal(b"").contains("0 bytes"));
    assert!(refusal(&dense[..15]).contains("15 bytes"));
    assert!(refusal(&change(0, b'h')).contains("begin with HYLL"));
    assert!(refusal(&change(4, 2)).contains("unknown encoding 2"));
    assert!(refusal(&change(4, 255)).contains("unknown encoding 255"));
    for at in 5..8 {
        assert!(refusal(&change(at, 1)).contains("newer Redis"));
    }
    assert!(refusal(&change(16, 52)).contains("rank 52"));
    assert!(refusal(&change(12_303, 63 << 2)).contains("rank 63"));
    assert!(refusal(&dense[..12_303]).contains("12287 bytes"));
    assert!(refusal(&[&dense[..], &[0]].concat()).contains("12289 bytes"));
    assert!(refusal(&sparse(&[])).contains("end at register 0"));
    assert!(refusal(&sparse(&[0x7f])).contains("cut short"));
    assert!(refusal(&sparse(&[0x7f, 0xfe])).contains("end at register 16383"));
    assert!(refusal(&sparse(&[0x7f, 0xff, 0x00])).contains("register 16385"));
    assert!(refusal(&sparse(&[0x7f, 0xff, 0x80])).contains("register 16385"));
    assert!(refusal(&sparse(&[0x7f, 0xfe, 0x81])).contains("register 16385"));
    assert!(refusal(&sparse(&[0x7f, 0xff].repeat(131_073))).contains("register 32768"));
    assert!(refusal(&sparse(&[0xff; 4_097])).contains("register 16388"));
    assert!(Sketch::from_redis(&sparse(&[0xff; 4_096])).is_ok());
}

#[test]
fn cached_cardinality_is_not_believed() {
    let mut string = Sketch::new().to_redis();
    string[8..16].copy_from_slice(&424_242_u64.to_le_bytes());
    assert!(Sketch::from_redis(&string).unwrap().is_empty());
}

#[test]
fn mutated_strings_never_panic() {
    let mut random = Random::from_seed(14);
    let originals =
        [sparse(&[0x7f, 0xff]), random.sketch(500).to_redis_sparse().unwrap(), random.sketch(900).to_redis()];
    let mut accepted = 0;
    for _ in 0..60_000 {
        let mut string = originals[random.below(3)].clone();
        for _ in 0..=random.below(3) {
            let at = random.below(string.len());
            string[at] = random.next() as u8;
        }
        string.truncate(random.below(string.len() * 3).max(1));
        if let Ok(sketch) = Sketch::from_redis(&string) {
            accepted += 1;
            assert_eq!(Sketch::from_redis(&sketch.to_redis()).unwrap(), sketch);
        }
    }
    assert!(accepted > 1_000, "{accepted}");
}
