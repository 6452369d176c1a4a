//! Commits that fail, and panics.

use super::*;

#[test]
fn failing_commits_are_told_to_every_flush_and_count_once_in_the_end() {
    for mode in MODES {
        let bench = Bench::new(settings(mode));
        bench.lever.set(Fault::Fail);
        for round in 1..=3 {
            bench.track((round - 1) * 500..round * 500);
            let error = bench.pipeline.flush().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StoreFull, "{mode:?}");
            let accepted = u64::from(round) * 500;
            bench.check(Own { accepted, queued: accepted, ..Own::default() });
        }
        bench.lever.set(Fault::None);
        bench.pipeline.flush().unwrap();
        bench.check(Own { accepted: 1_500, ..Own::default() });
        assert_eq!(bench.stored().users, 1_500, "{mode:?}");
        assert_eq!(bench.pipeline.close(PATIENCE).unwrap().stored, 1_500);
    }
}

#[test]
fn a_commit_that_was_applied_and_reported_an_error_counts_once() {
    for mode in MODES {
        let bench = Bench::new(settings(mode));
        bench.lever.set(Fault::ApplyThenFail);
        bench.track(0..700);
        bench.pipeline.flush().unwrap_err();
        bench.track(700..900);
        bench.lever.set(Fault::None);
        bench.pipeline.flush().unwrap();
        bench.check(Own { accepted: 900, ..Own::default() });
        assert_eq!(bench.stored().users, 900, "{mode:?}");
    }
}

#[test]
fn a_writer_that_panics_is_asked_again_and_loses_nothing() {
    for fault in [Fault::Panic, Fault::ApplyThenPanic] {
        let bench = Bench::new(settings(Mode::Background));
        bench.track(0..300);
        bench.lever.set(fault);
        assert_eq!(bench.pipeline.flush().unwrap_err().kind(), ErrorKind::Internal);
        bench.lever.set(Fault::None);
        bench.track(300..400);
        bench.pipeline.flush().unwrap();
        bench.check(Own { accepted: 400, ..Own::default() });
        assert_eq!(bench.stored().users, 400, "{fault:?}");
    }
}

#[test]
fn a_panic_while_adding_up_costs_one_event_which_is_counted() {
    let bench = Bench::panicking_at(settings(Mode::Background), Some(13.0));
    let tracker = bench.tracker();
    for offending in 0..3_u64 {
        bench.track(0..400);
        tracker.try_track(Event::new("build_finished").user(7).value(13.0)).unwrap();
        bench.track(400..900);
        bench.pipeline.flush().unwrap();
        bench.check(Own { accepted: 901 * (offending + 1), lost: offending + 1, ..Own::default() });
        assert_eq!(bench.stored().ledger.get("lost panic"), Some(&(offending + 1)));
    }
    assert_eq!(bench.stored().users, 900);
}

#[test]
fn closing_after_a_panic_stores_the_rest_and_blames_no_deadline() {
    let bench = Bench::panicking_at(settings(Mode::Background), Some(13.0));
    bench.tracker().try_track(Event::new("build_finished").value(13.0)).unwrap();
    bench.track(0..100);
    let stats = bench.pipeline.close(PATIENCE).unwrap();
    assert_eq!((stats.accepted, stats.stored, stats.lost, stats.queued), (101, 100, 1, 0));
    bench.check(Own { accepted: 101, lost: 1, ..Own::default() });
}

#[test]
fn what_a_panic_cost_stays_counted_when_the_disk_then_fails_for_good() {
    let bench = Bench::panicking_at(settings(Mode::Background), Some(13.0));
    bench.lever.set(Fault::Fail);
    bench.tracker().try_track(Event::new("build_finished").value(13.0)).unwrap();
    bench.track(0..100);
    bench.pipeline.flush().unwrap_err();
    bench.tracker().try_track(Event::new("build_finished").value(13.0)).unwrap();
    bench.track(0..100);
    let error = bench.pipeline.close(Duration::from_millis(100)).unwrap_err();
    assert!(error.to_string().contains("202 events"), "{error}");
    bench.check(Own { accepted: 202, lost: 202, ..Own::default() });
}
