//! What holds for every input, whoever made it: panics where the reader breaks its word. The fuzz target feeds the same checks.

use super::rdb::{self, Checksum, Entry, Summary, Value};

/// The longest string that may come out, and so much of a hash.
const MAX_BYTES: usize = 64 << 20;

/// An input is refused, or read the same however it comes. The checksum keeps random bytes out, so the same bytes are checked
/// with a checksum that fits, and with one that is switched off.
pub(crate) fn check(input: &[u8]) {
    check_one(input);
    if let Some(body) = input.len().checked_sub(8).and_then(|length| input.get(..length)) {
        check_one(&[body, &checksum(body).to_le_bytes()].concat());
        check_one(&[body, &[0; 8]].concat());
    }
}

fn check_one(input: &[u8]) {
    let passed = read(input, false);
    let Ok((entries, summary)) = read(input, true) else { return };
    assert_eq!(summary.bytes, input.len() as u64, "a file was taken of which something is left");
    assert_eq!(summary.wanted, entries.len() as u64);
    assert_eq!(summary.keys, summary.wanted + summary.too_long);
    assert_eq!(summary.checksum == Checksum::None, summary.version < 5);
    let mut keys: Vec<_> = entries.iter().map(|entry| (entry.database, entry.key.as_slice())).collect();
    keys.sort_unstable();
    assert!(keys.is_sorted_by(|a, b| a < b), "a key was shown twice");
    for entry in &entries {
        match &entry.value {
            Value::Text(text) => assert!(text.len() <= MAX_BYTES),
            Value::Hash(fields) => {
                let mut names: Vec<_> = fields.iter().map(|field| field.name.as_slice()).collect();
                names.sort_unstable();
                assert!(!names.is_empty() && names.is_sorted_by(|a, b| a < b), "a field was shown twice");
                let bytes: usize = fields.iter().map(|field| field.name.len() + field.value.len()).sum();
                assert!(bytes <= MAX_BYTES);
            }
            Value::Other(name) => assert!(!name.is_empty()),
        }
    }
    let (none, passed) = passed.expect("what can be read can be passed over");
    assert!(none.is_empty());
    assert_eq!(passed, Summary { wanted: 0, ..summary.clone() });
    let mut again = Vec::new();
    let crumbs = rdb::read(Crumbs(input), &mut |_, _| true, &mut |entry| {
        again.push(entry);
        Ok(())
    });
    assert_eq!(crumbs.unwrap(), summary, "a slow source makes a difference");
    assert_eq!(again, entries, "a slow source makes a difference");
}

fn read(input: &[u8], is_wanted: bool) -> Result<(Vec<Entry>, Summary), String> {
    let mut entries = Vec::new();
    let summary = rdb::read(input, &mut |_, _| is_wanted, &mut |entry| {
        entries.push(entry);
        Ok(())
    });
    match summary {
        Ok(summary) => Ok((entries, summary)),
        Err(error) => {
            let message = error.to_string();
            assert!(
                message.contains("byte ") && message.contains("; "),
                "neither place nor remedy: {message}"
            );
            Err(message)
        }
    }
}

/// Gives three bytes at a time at most.
struct Crumbs<'a>(&'a [u8]);

impl std::io::Read for Crumbs<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.len().min(buffer.len()).min(3);
        let (now, later) = self.0.split_at(count);
        buffer[..count].copy_from_slice(now);
        self.0 = later;
        Ok(count)
    }
}

/// CRC-64 by its definition, bit by bit: the polynomial of Jones, reflected, without initial value.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ u64::from(*byte), |sum, _| {
            if sum & 1 == 1 { sum >> 1 ^ 0x95ac_9329_ac4b_c9b5 } else { sum >> 1 }
        })
    })
}

#[test]
fn the_checksum_is_that_of_its_definition() {
    assert_eq!(checksum(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
}
