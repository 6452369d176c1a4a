//! The stored form: layout, sizes, damage.

use crate::error::ErrorKind;
use crate::hash::IdHash;
use crate::sketch::testing::Random;
use crate::sketch::{CODES_LIMIT, Sketch, SketchKind, blob};

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
    let mut flipped = registers;
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
