//! A plain HyperLogLog of 2^14 registers, as the paper and Redis have it, to hold stored sketches against.

/// Redis's seed of MurmurHash64A.
const SEED: u64 = 0xadc8_3b19;
const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;
pub(crate) const REGISTERS: usize = 1 << 14;
/// The header of a Redis string: magic, encoding, and the cached count.
const HEADER_BYTES: usize = 16;

/// The highest rank that each register has seen.
pub(crate) fn registers<'a>(ids: impl IntoIterator<Item = &'a String>) -> Vec<u8> {
    let mut registers = vec![0; REGISTERS];
    for id in ids {
        let hash = murmur64a(id.as_bytes());
        let register = registers.get_mut(usize::try_from(hash % REGISTERS as u64).unwrap()).unwrap();
        // A bit behind the 50 ends a run of zeros.
        let rank = ((hash / REGISTERS as u64) | (1 << 50)).trailing_zeros() + 1;
        *register = (*register).max(u8::try_from(rank).unwrap());
    }
    registers
}

/// The registers of a dense Redis string, six bits each, the lowest first.
pub(crate) fn of_redis(string: &[u8]) -> Vec<u8> {
    assert_eq!(string.get(..5), Some(&b"HYLL\0"[..]));
    let four = |bytes: &[u8]| {
        let bits = bytes.iter().rev().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        [0, 6, 12, 18].map(|place| u8::try_from(bits >> place & 63).unwrap())
    };
    string.get(HEADER_BYTES..).unwrap().chunks_exact(3).flat_map(four).take(REGISTERS).collect()
}

fn murmur64a(bytes: &[u8]) -> u64 {
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(MULTIPLIER);
    for chunk in bytes.chunks(8) {
        let word = chunk.iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
        if chunk.len() == 8 {
            let mixed = word.wrapping_mul(MULTIPLIER);
            hash ^= (mixed ^ mixed >> 47).wrapping_mul(MULTIPLIER);
        } else {
            hash ^= word;
        }
        hash = hash.wrapping_mul(MULTIPLIER);
    }
    hash = (hash ^ hash >> 47).wrapping_mul(MULTIPLIER);
    hash ^ hash >> 47
}
