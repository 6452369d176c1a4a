//! Closing while the disk fails or hangs, and calls from a fork.

use super::*;

#[test]
fn closing_with_a_disk_that_fails_says_how_many_are_lost_within_the_limit() {
    for mode in MODES {
        let bench = Bench::new(settings(mode));
        bench.lever.set(Fault::Fail);
        bench.track(0..300);
        bench.pipeline.flush().unwrap_err();
        bench.track(300..500);
        let began = Instant::now();
        let error = bench.pipeline.close(Duration::from_millis(200)).unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(3), "{mode:?}: {:?}", began.elapsed());
        assert_eq!(error.kind(), ErrorKind::StoreFull, "{mode:?}: {error}");
        assert!(error.to_string().contains("lost 500 events"), "{mode:?}: {error}");
        bench.check(Own { accepted: 500, lost: 500, ..Own::default() });
        assert_eq!(bench.tracker().try_track(one(1)), Err(TrackError::Closed));
        assert_eq!(bench.pipeline.flush().unwrap_err().kind(), ErrorKind::Closed);
        // What is lost is lost once, and does not come back.
        bench.lever.set(Fault::None);
        let again = bench.pipeline.close(PATIENCE).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::StoreFull, "{mode:?}");
        assert!(again.to_string().contains("lost 500 events"), "{mode:?}: {again}");
        bench.check(Own { accepted: 500, refused: 1, lost: 500, queued: 0 });
    }
}

#[test]
fn closing_with_a_disk_that_hangs_ends_within_the_limit() {
    let bench = Bench::new(settings(Mode::Background));
    bench.lever.set(Fault::Hang);
    bench.track(0..500);
    let began = Instant::now();
    let closed = closed_on_another_thread(&bench, Duration::from_millis(200));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let error = closed.expect("closing hung with the disk").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline, "{error}");
    assert!(error.to_string().contains("lost 500 events"), "{error}");
    let stats = bench.pipeline.shared().stats();
    assert_eq!((stats.accepted, stats.lost, stats.queued), (500, 500, 0));
    bench.lever.set(Fault::None);
}

/// `None` when closing has not ended after three seconds; the disk is then let go, so that the test can end.
fn closed_on_another_thread(
    bench: &Bench,
    limit: Duration,
) -> Option<Result<crate::ingest::stats::Stats, Error>> {
    std::thread::scope(|scope| {
        let (sender, receiver) = std::sync::mpsc::channel();
        scope.spawn(move || sender.send(bench.pipeline.close(limit)));
        let closed = receiver.recv_timeout(Duration::from_secs(3)).ok();
        if closed.is_none() {
            bench.lever.set(Fault::None);
        }
        closed
    })
}

#[test]
fn dropping_a_store_whose_disk_hangs_takes_five_seconds_at_the_most() {
    let Bench { pipeline, lever, .. } = Bench::new(settings(Mode::Background));
    Tracker::new(Arc::clone(pipeline.shared())).try_track(one(1)).unwrap();
    lever.set(Fault::Hang);
    let (sender, dropped) = std::sync::mpsc::channel();
    let began = Instant::now();
    std::thread::spawn(move || {
        drop(pipeline);
        sender.send(())
    });
    let outcome = dropped.recv_timeout(Duration::from_secs(8));
    lever.set(Fault::None);
    outcome.expect("dropping hung with the disk, or panicked");
    assert!(began.elapsed() >= Duration::from_secs(4), "the disk was given no time");
}

#[test]
fn calls_from_a_fork_are_refused_and_dropping_it_waits_for_no_thread() {
    for mode in MODES {
        let bench = Bench::new(settings(mode));
        bench.track(0..10);
        bench.pipeline.flush().unwrap();
        bench.pipeline.shared().pretend_fork();
        let tracker = bench.tracker();
        let refusal = (0..3_000).find_map(|user| tracker.try_track(one(user)).err());
        assert_eq!(refusal, Some(TrackError::Forked), "{mode:?}");
        std::thread::scope(|scope| {
            let of_another_thread = scope.spawn(|| tracker.try_track(one(0))).join().unwrap();
            assert_eq!(of_another_thread, Err(TrackError::Forked));
        });
        assert_eq!(bench.pipeline.flush().unwrap_err().kind(), ErrorKind::Forked);
        assert_eq!(bench.pipeline.close(PATIENCE).unwrap_err().kind(), ErrorKind::Forked);
        assert_eq!(bench.pipeline.shared().stats().offered, 0);
        assert_eq!(bench.stored().events, 10, "nothing of the parent is sent again");
        let began = Instant::now();
        drop(bench);
        assert!(began.elapsed() < PATIENCE / 4);
    }
}

#[test]
fn any_limit_may_be_set_for_closing() {
    for mode in MODES {
        let bench = Bench::new(settings(mode));
        bench.track(0..10);
        assert_eq!(bench.pipeline.close(Duration::MAX).unwrap().stored, 10);
        assert_eq!(bench.pipeline.close(Duration::ZERO).unwrap().stored, 10);
    }
}
