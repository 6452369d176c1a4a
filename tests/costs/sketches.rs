//! The bytes of sketches, in the file and in memory.

use headcount::{Sketch, SketchKind};

use crate::common::Chance;

/// Identifiers, and the most bytes: encoded (mean of many sets), in memory.
const LIMITS: [(u64, f64, usize); 5] = [
    (10, 40.0, 100),
    (100, 265.0, 1_060),
    (1_000, 2_142.0, 8_230),
    (3_000, 5_830.0, 16_430),
    (100_000, 8_250.0, 16_420),
];
const SETS: u64 = 20;

#[test]
fn encoded_sketches_take_few_bytes() {
    for (ids, limit, _) in LIMITS {
        let mean = sets(ids).map(|set| set.encode().len() as f64).sum::<f64>() / SETS as f64;
        println!("{ids} identifiers: {mean:.1} bytes");
        assert!(mean <= limit, "{ids} identifiers: {mean:.1} bytes in the mean, more than {limit}");
    }
}

#[test]
fn sketches_in_memory_take_few_bytes() {
    for (ids, _, limit) in LIMITS {
        let most = sets(ids).map(|set| set.memory_bytes()).max().unwrap();
        println!("{ids} identifiers: {most} bytes");
        assert!(most <= limit, "{ids} identifiers: {most} bytes in memory, more than {limit}");
    }
}

#[test]
fn a_sketch_that_grew_keeps_nothing_of_its_codes() {
    let grown = sets(100_000).next().unwrap();
    assert_eq!(grown.kind(), SketchKind::Registers);
    assert_eq!(grown.memory_bytes(), Sketch::decode(&grown.encode()).unwrap().memory_bytes());
}

/// Sketches of so many random identifiers.
fn sets(ids: u64) -> impl Iterator<Item = Sketch> {
    let mut chance = Chance::new(ids);
    (0..SETS).map(move |_| {
        let mut set = Sketch::new();
        for _ in 0..ids {
            set.add(&chance.next().to_le_bytes());
        }
        set
    })
}
