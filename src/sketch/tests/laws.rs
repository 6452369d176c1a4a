//! A sketch depends on the set alone: the laws of unions, in memory and as bytes.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::hash::IdHash;
use crate::sketch::estimate::Estimate;
use crate::sketch::testing::Random;
use crate::sketch::tests::sketch_of;
use crate::sketch::union::{UNION_CODES_LIMIT, Union};
use crate::sketch::{CODES_LIMIT, Sketch, SketchKind, blob};

/// Sets of hashes below, at and above the switch, with shared parts and with hashes of long zero runs.
fn hashes() -> impl Strategy<Value = Vec<u64>> {
    let size =
        prop_oneof![0_usize..50, 0_usize..3_000, CODES_LIMIT - 20..CODES_LIMIT + 20, 5_000_usize..9_000];
    (size, 0_u64..4, any::<u64>(), 0_u32..50).prop_map(|(size, shared, seed, zeros)| {
        let mut common = Random::from_seed(shared);
        let mut own = Random::from_seed(seed);
        let pick = |at: usize| match at % 3 {
            0 => common.next(),
            1 => own.next(),
            _ => own.next() & 0x1_ffff | own.next().checked_shl(zeros + 14).unwrap_or(0),
        };
        (0..size).map(pick).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn union_equals_inserting_everything_in_any_order(a in hashes(), b in hashes(), c in hashes()) {
        let (x, y, z) = (sketch_of(&a), sketch_of(&b), sketch_of(&c));
        let mut all: Vec<_> = a.iter().chain(&b).chain(&c).copied().collect();
        let expected = sketch_of(&all);
        all.sort_unstable();
        prop_assert_eq!(&sketch_of(&all), &expected);
        all.reverse();
        prop_assert_eq!(&sketch_of(&all), &expected);
        let mut left = x.clone();
        left.unite(&y);
        left.unite(&z);
        let mut right = z.clone();
        right.unite(&y);
        let mut right_first = x.clone();
        right_first.unite(&right);
        let mut from_blobs = Sketch::new();
        let mut answer = Union::new();
        for part in [&z, &x, &y, &x] {
            from_blobs.unite_blob(&part.encode()).unwrap();
            answer.unite_blob(&part.encode()).unwrap();
        }
        for united in [left, right_first, from_blobs, answer.into_sketch()] {
            prop_assert_eq!(&united, &expected);
            prop_assert_eq!(united.encode(), expected.encode());
        }
    }

    #[test]
    fn change_is_said_exactly_when_the_bytes_change(a in hashes(), b in hashes()) {
        let (mut x, y) = (sketch_of(&a), sketch_of(&b));
        let before = x.encode();
        let mut via_blob = x.clone();
        let changed = x.unite(&y);
        prop_assert_eq!(changed, before != x.encode());
        prop_assert_eq!(via_blob.unite_blob(&y.encode()).unwrap(), changed);
        prop_assert!(!x.unite(&y) && !x.unite_blob(&x.encode()).unwrap());
        let same = x.clone();
        prop_assert!(!x.unite(&same));
        for hash in a.iter().chain(&b) {
            prop_assert!(!x.insert(IdHash::from_bits(*hash)));
        }
    }

    #[test]
    fn decoding_gives_back_what_was_encoded(a in hashes()) {
        let sketch = sketch_of(&a);
        let blob = sketch.encode();
        prop_assert!(blob.len() <= blob::MAX_BLOB_BYTES);
        let decoded = Sketch::decode(&blob).unwrap();
        prop_assert_eq!(&decoded, &sketch);
        prop_assert_eq!(decoded.encode(), blob);
        prop_assert_eq!(decoded.estimate(), sketch.estimate());
    }

    #[test]
    fn registers_are_those_of_every_hash(a in hashes()) {
        let mut registers = vec![0_u8; 16_384];
        for hash in &a {
            let rank = (hash >> 14 | 1 << 50).trailing_zeros() as u8 + 1;
            let slot = &mut registers[(hash & 0x3fff) as usize];
            *slot = rank.max(*slot);
        }
        let sketch = sketch_of(&a);
        prop_assert!(sketch.registers().as_slice() == registers);
    }
}

#[test]
fn every_insert_says_whether_it_changed() {
    let mut random = Random::from_seed(5);
    let mut sketch = Sketch::new();
    let mut changes = 0;
    for _ in 0..4_000 {
        // 128 indexes, half of them with a tail that may rise.
        let hash = random.next() & (0x3f | u64::MAX << 24);
        let before = sketch.encode();
        let changed = sketch.insert(IdHash::from_bits(hash));
        assert_eq!(changed, before != sketch.encode());
        changes += u32::from(changed);
    }
    assert!((100..3_900).contains(&changes), "{changes}");
}

#[test]
fn the_code_above_the_limit_makes_registers() {
    let mut random = Random::from_seed(6);
    let mut sketch = Sketch::new();
    let mut indexes = BTreeSet::new();
    while sketch.kind() == SketchKind::Codes {
        assert!(indexes.len() <= CODES_LIMIT && sketch.memory_bytes() <= 16_500);
        let hash = random.next();
        assert_eq!(sketch.insert(IdHash::from_bits(hash)), indexes.insert(hash & 0x1ff_ffff));
    }
    assert_eq!(indexes.len(), CODES_LIMIT + 1);
    assert!(sketch.memory_bytes() <= 16_500);
}

#[test]
fn union_falls_to_registers_at_its_own_limit() {
    let mut random = Random::from_seed(7);
    let mut union = Union::new();
    let mut all = Sketch::new();
    let mut previous = 0.0;
    for day in 1..=110 {
        let part = random.sketch(CODES_LIMIT - 100);
        union.unite_blob(&part.encode()).unwrap();
        all.unite(&part);
        let truth = f64::from(day) * (CODES_LIMIT - 100) as f64;
        let error = union.estimate().value / truth - 1.0;
        let bound = if truth < UNION_CODES_LIMIT as f64 - 5_000.0 { 0.001 } else { 0.03 };
        assert!(error.abs() < bound, "day {day}: {error}");
        assert!(union.estimate().value > previous * 0.97);
        previous = union.estimate().value;
    }
    assert_eq!(union.into_sketch(), all);
}

#[test]
fn union_of_chosen_codes_is_counted_as_any_other() {
    let mut union = Union::new();
    let mut all = Sketch::new();
    // Neighbouring indexes.
    for day in 0..85_u64 {
        let chosen: Vec<_> = (0..3_072).map(|id| (1 << 20) + id * 85 + day).collect();
        let part = sketch_of(&chosen);
        union.unite_blob(&part.encode()).unwrap();
        all.unite(&part);
    }
    assert_eq!(union.estimate(), Estimate::of_codes(85 * 3_072));
    assert_eq!(union.into_sketch(), all);
}

#[test]
fn union_of_years_of_the_same_users_stays_with_codes() {
    let mut random = Random::from_seed(9);
    let users: Vec<_> = (0..30_000)
        .map(|id| if id % 100 == 0 { random.next() & !0x1ff_c000 } else { random.next() })
        .collect();
    let mut union = Union::new();
    let mut all = Sketch::new();
    let mut indexes = BTreeSet::new();
    for _ in 0..800 {
        let day: Vec<_> = (0..3_000).map(|_| users[random.below(users.len())]).collect();
        indexes.extend(day.iter().map(|hash| hash & 0x1ff_ffff));
        let part = sketch_of(&day);
        union.unite_blob(&part.encode()).unwrap();
        all.unite(&part);
    }
    assert_eq!(union.estimate(), Estimate::of_codes(indexes.len()));
    assert_eq!(union.into_sketch(), all);
}

#[test]
fn damaged_blob_leaves_a_union_as_it_was() {
    let mut random = Random::from_seed(10);
    let mut union = Union::new();
    let mut expected = Sketch::new();
    for ids in [100, 3_000, 20_000, 50] {
        let part = random.sketch(ids);
        let mut damaged = random.sketch(1_000).encode();
        damaged[900] ^= 1;
        union.unite_blob(&part.encode()).unwrap();
        union.unite_blob(&damaged).unwrap_err();
        // A checksum that is right, over codes too many for their header.
        damaged[4] ^= 3;
        damaged.truncate(damaged.len() - 4);
        let checksum = crc32c::crc32c(&damaged);
        damaged.extend(checksum.to_le_bytes());
        union.unite_blob(&damaged).unwrap_err();
        expected.unite(&part);
        assert_eq!(union.clone().into_sketch(), expected);
        assert!(union.estimate().value <= 1.02 * expected.estimate().value);
    }
}

#[test]
fn empty_is_the_neutral_element() {
    let empty = Sketch::new();
    assert!(empty.is_empty() && Sketch::default() == empty);
    assert_eq!(empty.memory_bytes(), size_of::<Sketch>());
    assert_eq!(Sketch::decode(&empty.encode()).unwrap(), empty);
    for ids in [0, 1, 100, 20_000] {
        let sketch = Random::from_seed(8).sketch(ids);
        let mut united = sketch.clone();
        assert!(!united.unite(&empty));
        assert_eq!(united, sketch);
        let mut united = Sketch::new();
        assert_eq!(united.unite(&sketch), ids > 0);
        assert_eq!(united, sketch);
        assert_eq!(sketch.is_empty(), ids == 0);
    }
}
