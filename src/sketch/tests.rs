//! What a sketch promises, held against exact sets, the laws of sets, and `hyperloglogplus`.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::error::ErrorKind;
use crate::hash::IdHash;
use crate::sketch::bridge::second_opinion;
use crate::sketch::testing::Random;
use crate::sketch::union::{UNION_CODES_LIMIT, Union};
use crate::sketch::{CODES_LIMIT, Sketch, SketchKind, blob};

fn sketch_of<'a>(hashes: impl IntoIterator<Item = &'a u64>) -> Sketch {
    let mut sketch = Sketch::new();
    for hash in hashes {
        sketch.insert(IdHash::from_bits(*hash));
    }
    sketch
}

fn root_mean_square(errors: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) =
        errors.into_iter().fold((0.0, 0.0), |(sum, count), error| (sum + error * error, count + 1.0));
    f64::sqrt(sum / count)
}

mod accuracy {
    use super::*;

    const TRIALS: u64 = 200;

    fn relative_errors(ids: usize, make: fn(&mut Random, usize) -> Sketch) -> Vec<f64> {
        let errors = |seed| {
            let value = make(&mut Random::from_seed(seed), ids).estimate().value;
            value / ids as f64 - 1.0
        };
        std::thread::scope(|scope| {
            let halves = [0..TRIALS / 2, TRIALS / 2..TRIALS];
            let workers = halves.map(|seeds| scope.spawn(move || seeds.map(errors).collect::<Vec<_>>()));
            workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
        })
    }

    #[test]
    fn small_sets_are_exact_after_rounding() {
        for ids in [1, 2, 3, 10, 50, 100, 200, 350, 500] {
            let exact = (0..TRIALS).filter(|seed| {
                Random::from_seed(seed * 1_000 + ids).sketch(ids as usize).estimate().rounded() == ids
            });
            assert!(exact.count() as u64 * 100 >= TRIALS * 95, "{ids} ids");
        }
    }

    #[test]
    fn codes_err_by_a_hundredth_of_a_percent() {
        for ids in [1_000, 3_000, 5_700] {
            let errors = relative_errors(ids, Random::sketch);
            assert!(root_mean_square(errors) <= 0.0002, "{ids} ids");
        }
    }

    #[test]
    fn ten_thousand_err_by_less_than_0_7_percent() {
        let errors = relative_errors(10_000, Random::sketch);
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        assert!(root_mean_square(errors) <= 0.007);
        assert!(mean.abs() <= 0.0017, "bias {mean}");
    }

    #[test]
    fn a_million_err_by_less_than_0_95_percent() {
        let errors = relative_errors(1_000_000, Random::sketch);
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        assert!(root_mean_square(errors) <= 0.0095);
        assert!(mean.abs() <= 0.0023, "bias {mean}");
    }

    #[test]
    fn stated_standard_error_holds_two_thirds_and_twice_it_nearly_all() {
        for ids in [20_000, 200_000] {
            let errors = relative_errors(ids, Random::sketch);
            let within =
                |factor: f64| errors.iter().filter(|error| error.abs() <= factor * 0.008_125).count();
            assert!(within(1.0) >= 120 && within(2.0) >= 185, "{ids} ids: {} {}", within(1.0), within(2.0));
        }
    }

    #[test]
    fn union_of_small_days_stays_precise_far_beyond_the_stored_limit() {
        let errors = (0..10).map(|seed| {
            let mut random = Random::from_seed(seed);
            let mut union = Union::new();
            for _ in 0..28 {
                union.unite_blob(&random.sketch(2_000).encode()).unwrap();
            }
            union.estimate().value / 56_000.0 - 1.0
        });
        assert!(root_mean_square(errors) <= 0.0004);
    }
}

mod laws {
    use super::*;

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
                answer.unite(part);
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
            assert!(indexes.len() <= CODES_LIMIT && sketch.memory_bytes() <= 33_000);
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
        for day in 1..=60 {
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
}

mod against_hyperloglogplus {
    use std::hash::{BuildHasher, Hasher};

    use hyperloglogplus::{HyperLogLog, HyperLogLogPlus};

    use super::*;

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
            [0, 1, 2, 10, 100, 500, 1_000, 2_000, 4_000, 5_799, 5_800, 6_500, 10_000, 20_000, 60_000, 200_000]
        {
            let hashes: Vec<_> = (0..ids).map(|_| random.next()).collect();
            let (ours, theirs) = (sketch_of(&hashes).estimate(), crate_estimate(&hashes));
            let n = f64::from(ids);
            let allowed = if ids <= 5_800 { n * n / 2_f64.powi(26) * 1.01 + 1e-6 } else { n * 0.006 };
            assert!((ours.value - theirs).abs() <= allowed, "{ids} ids: {} and {theirs}", ours.value);
        }
    }

    #[test]
    fn second_opinion_is_the_estimate_of_a_crate_that_saw_every_hash() {
        let mut random = Random::from_seed(10);
        // Between 5,800 and about 5,950 the crate still has codes where we have registers.
        for ids in [0, 1, 7, 100, 1_000, 5_700, 6_500, 12_000, 50_000, 200_000] {
            let mut hashes: Vec<_> = (0..ids).map(|_| random.next()).collect();
            for hash in hashes.iter_mut().step_by(50) {
                *hash &= 0x3fff | u64::MAX << (14 + random.next() % 20);
            }
            let hashes: Vec<_> = hashes.into_iter().collect();
            let sketch = sketch_of(&hashes);
            let opinion = second_opinion(&sketch).unwrap();
            // The crate counts two ranks of one index as two codes; a sketch keeps one.
            let allowed =
                if sketch.kind() == SketchKind::Codes { f64::from(ids) * 0.02 } else { 1e-6 * opinion };
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
}

mod blobs {
    use super::*;

    /// A body with a header and a checksum that are right.
    fn seal(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut blob = vec![b'H', 1, kind << 5 | 14, 1];
        blob.extend_from_slice(&u16::try_from(body.len()).unwrap().to_le_bytes());
        blob.extend_from_slice(body);
        reseal(blob)
    }

    fn reseal(mut covered: Vec<u8>) -> Vec<u8> {
        let checksum = crc32c::crc32c(&covered);
        covered.extend_from_slice(&checksum.to_le_bytes());
        covered
    }

    fn refusal(blob: &[u8]) -> String {
        let mut sketch = Random::from_seed(1).sketch(10);
        let before = sketch.clone();
        let error = sketch.unite_blob(blob).unwrap_err();
        assert_eq!(sketch, before);
        assert_eq!(error.kind(), ErrorKind::Sketch);
        assert_eq!(Sketch::decode(blob).unwrap_err().to_string(), error.to_string());
        error.to_string()
    }

    #[test]
    fn layout_is_what_the_format_says() {
        assert_eq!(Sketch::new().encode(), seal(1, &[]));
        let mut sketch = Sketch::new();
        // Index 1 comes from the hash bit 24, index 2^24 from bit 0, index 0 from no bit.
        sketch.insert(IdHash::from_bits(1 << 24));
        sketch.insert(IdHash::from_bits(1));
        sketch.insert(IdHash::from_bits(1 << 30));
        let expected = [
            0, 6, // index 0, tail 6: bit 30 is the sixth above the index
            0, 40, // index 1, no gap: nothing above it
            0xfe, 0xff, 0xff, 0x07, // index 2^24, which needs no tail
        ];
        assert_eq!(sketch.encode(), seal(1, &expected));
        let mut planes = vec![0; 12_288];
        // Rank 7 in register 0, and in register 12,289, two bits in each plane.
        (planes[0], planes[1], planes[4_096 + 1]) = (7, 0b11 << 6, 0b01 << 6);
        let mut registers = Sketch::from_redis(&Sketch::new().to_redis()).unwrap();
        registers.insert(IdHash::from_bits(1 << 20));
        registers.insert(IdHash::from_bits(12_289 | 1 << 20));
        assert_eq!(Sketch::decode(&registers.encode()).unwrap(), registers);
        assert_eq!(registers.encode(), seal(2, &planes));
    }

    #[test]
    fn sizes_stay_within_the_budget() {
        for (ids, budget) in
            [(10, 52), (100, 313), (1_000, 2_810), (CODES_LIMIT - 10, 12_288), (1_000_000, 12_310)]
        {
            for seed in 0..5 {
                let bytes = Random::from_seed(seed).sketch(ids).encode().len();
                assert!(bytes <= budget, "{ids} ids: {bytes} bytes");
            }
        }
    }

    #[test]
    fn every_damage_is_named() {
        let codes = Random::from_seed(2).sketch(100).encode();
        let registers = Random::from_seed(2).sketch(10_000).encode();
        let change = |at: usize, byte: u8| {
            let mut blob = codes[..codes.len() - 4].to_vec();
            blob[at] = byte;
            reseal(blob)
        };
        assert!(refusal(&[]).contains("0 bytes"));
        assert!(refusal(&codes[..9]).contains("checksum"));
        assert!(refusal(&change(0, b'h')).contains("begins with"));
        assert!(refusal(&change(1, 2)).contains("version 2"));
        assert!(refusal(&change(2, 3 << 5 | 14)).contains("kind 3"));
        assert!(refusal(&change(2, 1 << 5 | 12)).contains("precision 12"));
        assert!(refusal(&change(3, 2)).contains("different hashes"));
        assert!(refusal(&change(4, 1)).contains("its header says"));
        assert!(refusal(&codes[..codes.len() - 1]).contains("its header says"));
        assert!(refusal(&[&codes[..], &[0]].concat()).contains("its header says"));
        let mut flipped = registers.clone();
        flipped[5_000] ^= 1;
        assert!(refusal(&flipped).contains("checksum"));
        assert!(refusal(&seal(2, &[0; 12_287])).contains("12287 bytes"));
        assert!(refusal(&seal(2, &[0; 8_192])).contains("8192 bytes"));
        for at in [0, 4_000, 4_096, 12_287] {
            let mut planes = [0; 12_288];
            planes[at] = 52;
            assert!(refusal(&seal(2, &planes)).contains("rank 52"));
        }
        assert!(refusal(&seal(2, &[0xc0; 12_288])).contains("rank 63"));
    }

    #[test]
    fn every_code_that_has_another_form_is_refused() {
        for (body, reason) in [
            (&[1, 1, 0x80][..], "cut short"),
            (&[0x80, 0x80, 0x80, 0x80, 1], "four bytes"),
            (&[0x80, 0x80, 0x80, 0x80], "four bytes"),
            (&[0x81, 0x00], "longer than it has to be"),
            (&[0x81, 0x80, 0x00], "longer than it has to be"),
            (&[0x81, 0x80, 0x80, 0x00], "longer than it has to be"),
            (&[0x80, 0x80, 0x80, 0x10, 1], "beyond 2^25"),
            (&[0xff, 0xff, 0xff, 0x0f, 0], "beyond 2^25"),
            (&[0], "missing"),
            (&[0, 0], "not in 1..=40"),
            (&[0, 41], "not in 1..=40"),
        ] {
            assert!(refusal(&seal(1, body)).contains(reason), "{body:x?}");
        }
        assert!(Sketch::decode(&seal(1, &[0xff, 0xff, 0xff, 0x0f])).is_ok());
        // Gaps of 0 are neighbours, here from index 2^14 on.
        let run = |codes: usize| {
            let mut body = vec![0x80, 0x80, 0x01];
            body.resize(codes + 2, 0);
            seal(1, &body)
        };
        assert_eq!(Sketch::decode(&run(CODES_LIMIT)).unwrap().encode(), run(CODES_LIMIT));
        assert!(refusal(&run(CODES_LIMIT + 1)).contains("5801 codes"));
    }

    #[test]
    fn crowded_codes_cost_no_more_than_the_limit_allows() {
        // Every code has a tail.
        let mut sketch = Sketch::new();
        for register in (0..16_384_u64).rev().take(CODES_LIMIT) {
            sketch.insert(IdHash::from_bits(register | 1 << 60));
        }
        assert_eq!(sketch.kind(), SketchKind::Codes);
        let blob = sketch.encode();
        assert!(blob.len() <= blob::MAX_BLOB_BYTES);
        assert_eq!(Sketch::decode(&blob).unwrap(), sketch);
        // All codes have one home.
        let mut crowded = Sketch::new();
        for at in (1..=CODES_LIMIT as u32).rev() {
            crowded.insert(IdHash::from_bits(u64::from((1 << 25) - at)));
        }
        assert_eq!(Sketch::decode(&crowded.encode()).unwrap(), crowded);
    }

    #[test]
    fn mutated_blobs_are_refused_or_another_state_and_never_panic() {
        let mut random = Random::from_seed(11);
        let originals: Vec<_> =
            [0, 1, 10, 300, 3_000, 5_790, 6_100, 100_000].map(|ids| random.sketch(ids).encode()).into();
        let (mut accepted, mut accepted_resealed) = (0, 0);
        for trial in 0..240_000 {
            // Small ones more often: a fault in the header or a code shows there.
            let original = &originals[random.below(originals.len()).min(random.below(originals.len()))];
            let mut blob = original.clone();
            match random.next() % 6 {
                0 => blob.truncate(random.below(original.len() + 1)),
                1 => blob.extend((0..random.below(9)).map(|byte| byte as u8)),
                2 => {
                    let start = random.below(original.len());
                    blob.iter_mut().skip(start).take(16).for_each(|byte| *byte = 0);
                }
                3 => blob = (0..random.below(64)).map(|_| random.next() as u8).collect(),
                _ => {
                    for _ in 0..=random.below(4) {
                        let at = random.below(original.len());
                        blob[at] ^= 1 << (random.next() % 8);
                    }
                }
            }
            match Sketch::decode(&blob) {
                Ok(_) if blob == *original => accepted += 1,
                Ok(_) => panic!("trial {trial}: damage passed the checksum"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Sketch),
            }
            // The same damage with length and checksum made right: what is read must be canonical.
            blob.truncate(blob.len().saturating_sub(4));
            if let Some(length) = blob.len().checked_sub(6) {
                blob[4..6].copy_from_slice(&u16::try_from(length).unwrap().to_le_bytes());
            }
            let blob = reseal(blob);
            if let Ok(sketch) = Sketch::decode(&blob) {
                accepted_resealed += 1;
                assert_eq!(sketch.encode(), blob, "trial {trial}");
                assert!(sketch.estimate().value.is_finite());
            }
        }
        assert!(accepted > 100 && accepted_resealed > 20_000, "{accepted} and {accepted_resealed}");
    }
}

mod redis_strings {
    use super::*;

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
        let originals = [
            sparse(&[0x7f, 0xff]),
            random.sketch(500).to_redis_sparse().unwrap(),
            random.sketch(900).to_redis(),
        ];
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
}
