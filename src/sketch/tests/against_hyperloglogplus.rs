//! Estimates and second opinions against the `hyperloglogplus` crate.

use std::hash::{BuildHasher, Hasher};

use hyperloglogplus::{HyperLogLog, HyperLogLogPlus};

use crate::sketch::bridge::second_opinion;
use crate::sketch::testing::Random;
use crate::sketch::tests::sketch_of;
use crate::sketch::{Sketch, SketchKind};

/// Hands over a hash as it is; written apart from the bridge, which it checks.
#[derive(Default)]
struct Given(u64);

impl BuildHasher for Given {
    type Hasher = Self;
    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for Given {
    fn write(&mut self, _: &[u8]) {
        panic!("only u64 is hashed");
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

fn crate_estimate(hashes: &[u64]) -> f64 {
    let mut plus = HyperLogLogPlus::<u64, _>::new(14, Given::default()).unwrap();
    hashes.iter().for_each(|hash| plus.insert(&hash.reverse_bits()));
    plus.count()
}

#[test]
fn estimates_agree_from_nothing_to_two_hundred_thousand() {
    let mut random = Random::from_seed(9);
    for ids in
        [0, 1, 2, 10, 100, 500, 1_000, 2_000, 3_071, 3_072, 3_200, 6_500, 10_000, 20_000, 60_000, 200_000]
    {
        let hashes: Vec<_> = (0..ids).map(|_| random.next()).collect();
        let (ours, theirs) = (sketch_of(&hashes).estimate(), crate_estimate(&hashes));
        let n = f64::from(ids);
        let allowed = if ids <= 3_072 { n * n / 2_f64.powi(26) * 1.01 + 1e-6 } else { n * 0.006 };
        assert!((ours.value - theirs).abs() <= allowed, "{ids} ids: {} and {theirs}", ours.value);
    }
}

#[test]
fn second_opinion_is_the_estimate_of_a_crate_that_saw_every_hash() {
    let mut random = Random::from_seed(10);
    // Between 3,072 and about 5,950 the crate still has codes where we have registers.
    for ids in [0, 1, 7, 100, 1_000, 3_000, 6_500, 12_000, 50_000, 200_000] {
        let mut hashes: Vec<_> = (0..ids).map(|_| random.next()).collect();
        for hash in hashes.iter_mut().step_by(50) {
            *hash &= 0x3fff | u64::MAX << (14 + random.next() % 20);
        }
        let hashes: Vec<_> = hashes.into_iter().collect();
        let sketch = sketch_of(&hashes);
        let opinion = second_opinion(&sketch).unwrap();
        // The crate counts two ranks of one index as two codes; a sketch keeps one.
        let allowed = if sketch.kind() == SketchKind::Codes { f64::from(ids) * 0.02 } else { 1e-6 * opinion };
        assert!((opinion - crate_estimate(&hashes)).abs() <= allowed, "{ids} ids: {opinion}");
    }
}

#[test]
fn second_opinion_agrees_for_registers_of_few_identifiers() {
    for ids in [0, 1, 100, 3_000] {
        let sketch = Sketch::from_redis(&Random::from_seed(ids).sketch(ids as usize).to_redis()).unwrap();
        let (ours, theirs) = (sketch.estimate().value, second_opinion(&sketch).unwrap());
        assert!((ours - theirs).abs() <= 0.005 * ours, "{ids} ids: {ours} and {theirs}");
    }
}

/// Some number of identifiers, as likely small as large, or where one of the two changes its way.
fn some_number(random: &mut Random) -> usize {
    match random.below(5) {
        0 => 3_000 + random.below(400),
        1 => 10_000 + random.below(10_000),
        _ => {
            let bits = 1 + random.below(19);
            1 + random.below((1_usize << bits).min(500_000))
        }
    }
}

#[test]
fn second_opinions_lie_within_the_known_difference_and_errors_of_three_percent_beyond() {
    let mut random = Random::from_seed(11);
    for round in 0..3_000 {
        let ids = some_number(&mut random);
        let sketch = random.sketch(ids);
        // As a sketch that came from Redis: registers, however few.
        let sketch = if round % 5 == 0 { Sketch::from_redis(&sketch.to_redis()).unwrap() } else { sketch };
        let (ours, theirs) = (sketch.estimate().value, second_opinion(&sketch).unwrap());
        let known = sketch.known_difference();
        let difference = (ours - theirs).abs();
        assert!(difference <= known, "{ids} ids, {:?}: {ours} and {theirs}, known {known}", sketch.kind());
        if ids >= 100 {
            for wrong in [ours * 0.97, ours * 1.03] {
                assert!((wrong - theirs).abs() > known, "{ids} ids: {wrong} would pass beside {theirs}");
            }
        }
    }
}
