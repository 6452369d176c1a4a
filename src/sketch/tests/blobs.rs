//! The stored form: layout, sizes, damage.

use crate::error::ErrorKind;
use crate::hash::IdHash;
use crate::sketch::testing::Random;
use crate::sketch::{CODES_LIMIT, Sketch, SketchKind, blob};

/// A body with a header and a checksum that are right.
fn seal(kind: u8, count: usize, body: &[u8]) -> Vec<u8> {
    let mut blob = vec![b'H', 1, kind << 5 | 14, 1];
    blob.extend_from_slice(&u16::try_from(count).unwrap().to_le_bytes());
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

/// Codes as the format describes them, bit by bit: pairs of index and tail.
fn codes_by_the_book(codes: &[(u32, u8)]) -> Vec<u8> {
    let Some(log) = codes.len().checked_ilog2() else { return seal(1, 0, &[]) };
    let low_bits = 24 - log;
    let mut bits = vec![false; codes.len() + (1 << (25 - low_bits)) - 1];
    for (place, (index, _)) in codes.iter().enumerate() {
        bits[(index >> low_bits) as usize + place] = true;
    }
    bits.extend(codes.iter().flat_map(|(index, _)| (0..low_bits).map(move |bit| index >> bit & 1 == 1)));
    let byte = |bits: &[bool]| bits.iter().rev().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    let mut body: Vec<u8> = bits.chunks(8).map(byte).collect();
    body.extend(codes.iter().filter(|(index, _)| *index < 1 << 14).map(|(_, tail)| tail));
    seal(1, codes.len(), &body)
}

/// Registers as the format describes them.
fn registers_by_the_book(ranks: &[u8]) -> Vec<u8> {
    let sum: usize = ranks.iter().map(|rank| usize::from(*rank)).sum();
    let base = (sum / 16_384).saturating_sub(5) as u8;
    let is_near = |rank: u8| (base + 1..=base + 15).contains(&rank);
    let nibble = |rank: u8| if is_near(rank) { rank - base } else { 0 };
    let (low, high) = ranks.split_at(8_192);
    let mut body = vec![base];
    body.extend(low.iter().zip(high).map(|(low, high)| nibble(*low) | nibble(*high) << 4));
    let mut apart = 0;
    for (register, rank) in ranks.iter().enumerate().filter(|(_, rank)| **rank > 0 && !is_near(**rank)) {
        body.extend_from_slice(&[register as u8, (register >> 8) as u8, *rank]);
        apart += 1;
    }
    seal(2, apart, &body)
}

#[test]
fn layout_is_what_the_format_says() {
    assert_eq!(Sketch::new().encode(), seal(1, 0, &[]));
    let mut sketch = Sketch::new();
    // Index 1 comes from the hash bit 24, index 2^24 from bit 0, index 0 from no bit.
    sketch.insert(IdHash::from_bits(1 << 24));
    sketch.insert(IdHash::from_bits(1));
    sketch.insert(IdHash::from_bits(1 << 30));
    assert_eq!(sketch.kind(), SketchKind::Codes);
    let of_hash = |bits: u64| ((bits & 0x1ff_ffff) as u32, (bits >> 25 | 1 << 39).trailing_zeros() as u8 + 1);
    assert_eq!(sketch.encode(), codes_by_the_book(&[of_hash(1 << 30), of_hash(1), of_hash(1 << 24)]));
    let mut random = Random::from_seed(3);
    for ids in [1, 2, 3, 4, 5, 7, 8, 9, 63, 64, 65, 1_000, 2_047, 2_048, 2_049, CODES_LIMIT] {
        // Tails for a third.
        let hashes = (0..ids).map(|id| random.next() & if id % 3 == 0 { !0 << 25 | 0x3fff } else { !0 });
        let codes: std::collections::BTreeMap<_, _> = hashes.map(of_hash).collect();
        let codes: Vec<_> = codes.into_iter().collect();
        let mut sketch = Sketch::new();
        for (index, tail) in &codes {
            sketch.insert(IdHash::from_bits(u64::from(*index) | 1 << (24 + u64::from(*tail))));
        }
        assert_eq!(sketch.encode(), codes_by_the_book(&codes), "{ids} ids");
        assert_eq!(Sketch::decode(&sketch.encode()).unwrap(), sketch);
    }
}

#[test]
fn registers_lie_as_the_format_says() {
    let mut random = Random::from_seed(4);
    for ids in [0, 1, 5, 6_000, 20_000, 300_000, 3_000_000] {
        let sketch = Sketch::from_redis(&random.sketch(ids).to_redis()).unwrap();
        let blob = sketch.encode();
        assert_eq!(blob, registers_by_the_book(sketch.registers().as_slice()), "{ids} ids");
        assert_eq!(Sketch::decode(&blob).unwrap(), sketch);
        assert!(blob.len() <= 8_203 + 30 * 3, "{ids} ids: {} bytes", blob.len());
    }
    // Any rank in any register.
    for (least, below) in [(0, 52), (1, 51), (20, 20), (51, 1), (40, 12), (36, 16), (0, 2)] {
        let ranks: Vec<_> = (0..16_384).map(|_| (least + random.below(below)) as u8).collect();
        let blob = registers_by_the_book(&ranks);
        assert!(blob.len() <= blob::MAX_BLOB_BYTES);
        let sketch = Sketch::decode(&blob).unwrap();
        assert_eq!(sketch.registers().as_slice(), ranks);
        assert_eq!(sketch.encode(), blob);
    }
}

#[test]
fn sizes_stay_within_the_budget() {
    for (ids, budget) in
        [(10, 41), (100, 266), (1_000, 2_142), (CODES_LIMIT - 10, 5_960), (20_000, 8_250), (1_000_000, 8_270)]
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
    assert!(refusal(&change(4, 99)).contains("codes"));
    assert!(refusal(&codes[..codes.len() - 1]).contains("checksum"));
    assert!(refusal(&[&codes[..], &[0]].concat()).contains("checksum"));
    let mut flipped = registers;
    flipped[5_000] ^= 1;
    assert!(refusal(&flipped).contains("checksum"));
}

#[test]
fn every_code_that_has_another_form_is_refused() {
    let good = codes_by_the_book(&[(3, 7), (1 << 20, 0), (1 << 24, 0)]);
    assert!(Sketch::decode(&good).is_ok());
    let body = &good[6..good.len() - 4];
    // 3 + 2^2 - 1 upper bits, 3 * 23 lower ones, 5 unused, 1 tail.
    assert_eq!(body.len(), 11);
    let change = |at: usize, mask: u8| {
        let mut body = body.to_vec();
        body[at] ^= mask;
        seal(1, 3, &body)
    };
    assert!(refusal(&change(9, 0x08)).contains("not 0"));
    assert!(refusal(&change(9, 0x80)).contains("not 0"));
    assert!(refusal(&change(0, 0x08)).contains("4 codes"));
    assert!(refusal(&change(0, 0x01)).contains("2 codes"));
    assert!(refusal(&seal(1, 3, &body[..9])).contains("have 9 bytes instead of 10"));
    assert!(refusal(&seal(1, 3, &body[..10])).contains("0 tails for 1 codes"));
    assert!(refusal(&seal(1, 3, &[body, &[1]].concat())).contains("2 tails for 1 codes"));
    for tail in [0, 41, 255] {
        let bad = [&body[..10], &[tail]].concat();
        assert!(refusal(&seal(1, 3, &bad)).contains("not in 1..=40"));
    }
    assert!(refusal(&codes_by_the_book(&[(5, 1), (4, 1)])).contains("do not ascend"));
    assert!(refusal(&codes_by_the_book(&[(5, 1), (5, 1)])).contains("do not ascend"));
    assert!(refusal(&seal(1, 0, &[0])).contains("1 tails for 0 codes"));
    let run = |codes: u32| {
        codes_by_the_book(&(1 << 14..(1 << 14) + codes).map(|index| (index, 0)).collect::<Vec<_>>())
    };
    // Surplus codes, all of them in words behind the last one that has a code, whose lower bits would lie behind the end.
    let crowded = codes_by_the_book(&(0..64).map(|n| (20_000 + 7 * n, 0)).collect::<Vec<_>>());
    for surplus in [&[100, 101][..], &[70, 80, 90]] {
        let mut more = crowded[6..crowded.len() - 4].to_vec();
        for bit in surplus {
            more[bit / 8] |= 1 << (bit % 8);
        }
        assert!(refusal(&seal(1, 64, &more)).contains("more codes than its header says"));
    }
    let limit = CODES_LIMIT as u32;
    assert_eq!(Sketch::decode(&run(limit)).unwrap().encode(), run(limit));
    assert!(refusal(&run(limit + 1)).contains("3073 codes"));
}

#[test]
fn registers_that_have_another_form_are_refused() {
    let mut random = Random::from_seed(5);
    let mut ranks: Vec<_> = (0..16_384).map(|_| (8 + random.below(10)) as u8).collect();
    (ranks[3], ranks[9_000]) = (1, 40);
    let good = registers_by_the_book(&ranks);
    assert!(Sketch::decode(&good).is_ok());
    let body = &good[6..good.len() - 4];
    let (base, apart) = (body[0], body.len() - 6);
    assert_eq!((base, body.len()), (7, 1 + 8_192 + 6));
    let change = |at: usize, byte: u8| {
        let mut body = body.to_vec();
        body[at] = byte;
        refusal(&seal(2, 2, &body))
    };
    for length in [0, 1, 8_192, body.len() - 1, body.len() - 3] {
        assert!(refusal(&seal(2, 2, &body[..length])).contains("instead of 8199"), "{length}");
    }
    assert!(refusal(&seal(2, 1, body)).contains("instead of 8196"));
    assert!(refusal(&seal(2, 0, &[&[3][..], &[0x11; 8_192]].concat())).contains("base 3 instead of 0"));
    assert!(refusal(&seal(2, 0, &[&[0][..], &[0x77; 8_192]].concat())).contains("base 0 instead of 2"));
    assert!(change(0, 47).contains("base 47"));
    assert!(change(0, 255).contains("base 255"));
    assert!(change(apart + 2, 52).contains("rank 52"));
    // Ranks that four bits can hold, and no rank at all.
    for rank in [0, base + 1, base + 15] {
        assert!(change(apart + 2, rank).contains("need not be"), "{rank}");
    }
    assert!(change(apart, 4).contains("register 4 is apart and need not be"));
    assert!(change(apart + 4, 0x40).contains("register 16424"));
    assert!(change(apart + 1, 0x24).contains("need not be"));
    let swapped = [&body[..apart], &body[apart + 3..], &body[apart..apart + 3]].concat();
    assert!(refusal(&seal(2, 2, &swapped)).contains("do not ascend"));
    let twice = [body, &body[apart + 3..]].concat();
    assert!(refusal(&seal(2, 3, &twice)).contains("do not ascend"));
    // With the largest base four bits reach beyond the largest rank.
    let mut highest = vec![46];
    highest.resize(1 + 8_192, 0x55);
    assert!(Sketch::decode(&seal(2, 0, &highest)).is_ok());
    highest[100] = 0x64;
    assert!(refusal(&seal(2, 0, &highest)).contains("rank 52"));
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
    let originals: Vec<_> = [0, 1, 10, 300, 1_000, CODES_LIMIT - 10, CODES_LIMIT + 100, 100_000]
        .map(|ids| random.sketch(ids).encode())
        .into();
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
        // The same damage with a checksum that is right: what is read must be canonical.
        blob.truncate(blob.len().saturating_sub(4));
        let blob = reseal(blob);
        if let Ok(sketch) = Sketch::decode(&blob) {
            accepted_resealed += 1;
            assert_eq!(sketch.encode(), blob, "trial {trial}");
            assert!(sketch.estimate().value.is_finite());
        }
    }
    assert!(accepted > 100 && accepted_resealed > 20_000, "{accepted} and {accepted_resealed}");
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused_or_another_state() {
    let mut random = Random::from_seed(12);
    let apart = Sketch::from_redis(&random.sketch(40_000).to_redis()).unwrap();
    let originals = [random.sketch(1), random.sketch(9), random.sketch(70), random.sketch(700), apart];
    for original in originals {
        let blob = original.encode();
        let covered = &blob[..blob.len() - 4];
        let check = |damaged: Vec<u8>| {
            let blob = reseal(damaged);
            match Sketch::decode(&blob) {
                Ok(other) => assert!(other != original && other.encode() == blob),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Sketch),
            }
        };
        // Of registers every seventh byte, with the header and those apart.
        let step = if blob.len() > 8_000 { 7 } else { 1 };
        for at in (0..covered.len()).filter(|at| at % step == 0 || *at < 8 || *at > 8_190) {
            for bit in 0..8 {
                let mut damaged = covered.to_vec();
                damaged[at] ^= 1 << bit;
                check(damaged);
            }
            check(covered[..at].to_vec());
        }
    }
}
