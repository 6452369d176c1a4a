//! How much the suites of chance do, and the seed from which they replay.

/// The figure of a usual run, or the long one where `HEADCOUNT_ENDURANCE=1` asks for it.
pub(crate) fn figure(usual: u64, endurance: u64) -> u64 {
    let asked = std::env::var("HEADCOUNT_ENDURANCE").is_ok_and(|asked| asked == "1");
    if asked { endurance } else { usual }
}

/// The seed of `HEADCOUNT_SEED`, else a new one; printed, so that a failure replays.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("HEADCOUNT_SEED").ok().map(|seed| seed.parse().unwrap());
    let seed = given.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        u64::try_from(now.as_nanos() % 1_000_000_000_000).unwrap()
    });
    println!("HEADCOUNT_SEED={seed}");
    seed
}
