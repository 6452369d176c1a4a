//! What a flush writes does not grow with the history.

use crate::typical_second::TypicalSeconds;

/// The write-ahead log of a flush of a typical second. All changed pages are in it.
const LOG_BYTES: u64 = 1_020_000;
/// With 400 stored days against 28.
const GROWTH: f64 = 1.02;
const DAYS: [i64; 2] = [28, 400];
const FLUSHES: u32 = 3;
/// What the tree itself keeps of a large row, at the least; the rest is in pages of its own. With old sketches cut to it, the
/// tree is as deep as with whole ones, and 400 days take 70 MB instead of 600.
const SKETCH_BYTES_IN_THE_TREE: i64 = 480;

#[test]
fn a_typical_second_writes_the_same_with_28_and_400_days_stored() {
    let folder = tempfile::tempdir().unwrap();
    let [short, long] = DAYS.map(|days| {
        let path = folder.path().join(format!("{days}.db"));
        let mut seconds = TypicalSeconds::new(&path, days, SKETCH_BYTES_IN_THE_TREE);
        let flushes: Vec<_> = (0..FLUSHES).map(|_| seconds.flush()).collect();
        println!("{days} days: {flushes:?}");
        flushes.iter().map(|flush| flush.log_bytes).max().unwrap()
    });
    assert!(short.max(long) <= LOG_BYTES, "{short} and {long} bytes of log");
    let growth = long as f64 / short as f64;
    assert!(growth <= GROWTH, "{growth:.3} times: {short} and {long} bytes of log");
}
