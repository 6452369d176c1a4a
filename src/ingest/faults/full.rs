//! A full queue and full memory.

use super::*;

/// A pipeline whose commits hang and whose memory is full at once, so that the queue fills up; and one event in it.
fn clogged(overflow: Overflow) -> (Bench, u64) {
    let narrow = Settings { overflow, max_sketch_bytes: 0, queue_buffers: 2, ..settings(Mode::Background) };
    let bench = Bench::new(narrow);
    bench.lever.set(Fault::Hang);
    bench.track(0..1);
    (bench, 1)
}

#[test]
fn a_full_queue_refuses_counts_and_loses_nothing() {
    let (bench, mut accepted) = clogged(Overflow::Refuse);
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| bench.pipeline.flush());
        bench.lever.wait_for_commit_after(0);
        let tracker = bench.tracker();
        let (mut refused, mut user) = (0, 1);
        let deadline = Instant::now() + PATIENCE;
        while refused < 1_000 {
            match tracker.try_track(one(user)) {
                Ok(()) => accepted += 1,
                Err(error) => {
                    assert_eq!(error, TrackError::QueueFull);
                    refused += 1;
                }
            }
            user += 1;
            assert!(Instant::now() < deadline, "the queue never filled up; {accepted} events taken");
        }
        bench.check(Own { accepted, refused, queued: accepted, lost: 0 });
        bench.lever.set(Fault::None);
        flush.join().unwrap().unwrap();
        bench.pipeline.flush().unwrap();
        bench.check(Own { accepted, refused, ..Own::default() });
        assert_eq!(bench.stored().ledger.get("refused queue_full"), Some(&refused));
        // There is room again.
        tracker.try_track(one(0)).unwrap();
    });
}

#[test]
fn a_caller_that_waits_for_room_gets_it() {
    let (bench, _) = clogged(Overflow::Wait(PATIENCE));
    let (stop, taken) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| bench.pipeline.flush());
        bench.lever.wait_for_commit_after(0);
        let callers: Vec<_> = (0..2_u32)
            .map(|caller| {
                let (tracker, stop, taken) = (bench.tracker(), &stop, &taken);
                scope.spawn(move || {
                    let mut user = caller;
                    while !stop.load(Ordering::SeqCst) {
                        tracker.try_track(one(user)).unwrap();
                        taken.fetch_add(1, Ordering::SeqCst);
                        user += 2;
                    }
                })
            })
            .collect();
        let shared = bench.pipeline.shared();
        wait_until("both callers to wait", || shared.queue.waiting_callers() == 2);
        stop.store(true, Ordering::SeqCst);
        bench.lever.set(Fault::None);
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        flush.join().unwrap().unwrap();
        bench.pipeline.flush().unwrap();
        bench.check(Own { accepted: 1 + taken.load(Ordering::SeqCst), ..Own::default() });
    });
}

#[test]
fn a_caller_that_waits_for_room_is_refused_at_its_deadline() {
    let limit = Duration::from_millis(60);
    let (bench, mut accepted) = clogged(Overflow::Wait(limit));
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| bench.pipeline.flush());
        bench.lever.wait_for_commit_after(0);
        let tracker = bench.tracker();
        let patience = Instant::now() + PATIENCE;
        let waited = (0..)
            .find_map(|user| {
                let began = Instant::now();
                assert!(began < patience, "the queue never filled up");
                match tracker.try_track(one(user)) {
                    Ok(()) => {
                        accepted += 1;
                        None
                    }
                    Err(error) => {
                        assert_eq!(error, TrackError::QueueFull);
                        Some(began.elapsed())
                    }
                }
            })
            .unwrap();
        assert!(waited >= limit && waited < Duration::from_secs(5), "{waited:?}");
        bench.lever.set(Fault::None);
        flush.join().unwrap().unwrap();
        bench.pipeline.flush().unwrap();
        bench.check(Own { accepted, refused: 1, ..Own::default() });
    });
}

#[test]
fn a_caller_that_waits_and_a_flush_that_waits_are_told_when_the_store_closes() {
    let (bench, mut accepted) = clogged(Overflow::Wait(PATIENCE));
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| bench.pipeline.flush());
        bench.lever.wait_for_commit_after(0);
        let tracker = bench.tracker();
        let caller = scope.spawn(move || {
            let mut taken = 0;
            loop {
                match tracker.try_track(one(taken)) {
                    Ok(()) => taken += 1,
                    Err(error) => return (u64::from(taken), error),
                }
            }
        });
        let shared = bench.pipeline.shared();
        wait_until("the caller to wait", || shared.queue.waiting_callers() == 1);
        let began = Instant::now();
        bench.pipeline.close(Duration::from_millis(100)).unwrap_err();
        let (taken, error) = caller.join().unwrap();
        accepted += taken;
        assert_eq!(error, TrackError::Closed);
        assert_eq!(flush.join().unwrap().unwrap_err().kind(), ErrorKind::Closed);
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        let stats = shared.stats();
        assert_eq!((stats.accepted, stats.lost, stats.queued), (accepted, accepted, 0));
        bench.lever.set(Fault::None);
    });
}

#[test]
fn memory_that_is_always_full_costs_commits_and_no_users() {
    for mode in MODES {
        let bench = Bench::new(Settings {
            max_sketch_bytes: 0,
            overflow: Overflow::Wait(PATIENCE),
            ..settings(mode)
        });
        for round in 0..5 {
            bench.track(round * 2_000..round * 2_000 + 6_000);
        }
        bench.pipeline.flush().unwrap();
        bench.check(Own { accepted: 30_000, ..Own::default() });
        let mut users = crate::sketch::Sketch::new();
        for user in 0..14_000 {
            users.add(user.to_string().as_bytes());
        }
        assert_eq!(bench.stored().users, users.estimate().rounded(), "{mode:?}");
        if mode == Mode::Inline {
            assert!(bench.lever.entered.load(Ordering::SeqCst) > 1, "memory was never full");
        }
    }
}

#[test]
fn without_threads_full_memory_and_a_failing_disk_refuse_and_count() {
    let bench = Bench::new(Settings { max_sketch_bytes: 0, ..settings(Mode::Inline) });
    bench.lever.set(Fault::Fail);
    let tracker = bench.tracker();
    let (mut own, mut user) = (Own::default(), 0);
    while own.refused < 100 {
        match tracker.try_track(one(user)) {
            Ok(()) => own.accepted += 1,
            Err(error) => {
                assert_eq!(error, TrackError::QueueFull);
                own.refused += 1;
            }
        }
        user += 1;
        assert!(user < 100_000, "memory was never full");
    }
    own.queued = own.accepted;
    bench.check(own);
    bench.lever.set(Fault::None);
    tracker.try_track(one(user)).unwrap();
    bench.pipeline.flush().unwrap();
    bench.check(Own { accepted: own.accepted + 1, refused: own.refused, ..Own::default() });
}
