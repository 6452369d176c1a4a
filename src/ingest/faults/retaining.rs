//! Removing old buckets fails or panics: events go on, and the health says so.

use super::*;
use crate::ingest::health::Status;

#[test]
fn a_failure_to_remove_old_buckets_is_told_and_costs_no_event() {
    for mode in MODES {
        let clock = ManualClock::new(Timestamp::from_unix_seconds(1_800_000_000));
        let bench = Bench::new(Settings { clock: Clock::from(clock.clone()), ..settings(mode) });
        let status = || bench.pipeline.shared().health().status;
        bench.lever.set(Fault::FailToRetain);
        bench.track(0..10);
        bench.pipeline.flush().unwrap();
        wait_until("the failure", || status() == Status::Failing);
        assert_eq!(bench.pipeline.shared().health().trouble.unwrap().kind, ErrorKind::StoreFull);
        bench.lever.set(Fault::None);
        clock.advance(Duration::from_secs(60));
        bench.track(10..20);
        bench.pipeline.flush().unwrap();
        wait_until("healing", || status() == Status::Working);
        bench.check(Own { accepted: 20, ..Own::default() });
    }
}

#[test]
fn a_panic_in_removing_old_buckets_ends_nothing() {
    let bench = Bench::new(settings(Mode::Background));
    bench.lever.set(Fault::PanicInRetaining);
    for round in 0..3 {
        bench.track(round * 10..(round + 1) * 10);
        bench.pipeline.flush().unwrap();
    }
    bench.check(Own { accepted: 30, ..Own::default() });
    assert_eq!(bench.pipeline.close(PATIENCE).unwrap().stored, 30);
}
