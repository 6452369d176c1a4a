//! How far estimates are from the truth.

use crate::sketch::Sketch;
use crate::sketch::testing::Random;
use crate::sketch::tests::root_mean_square;
use crate::sketch::union::Union;

const TRIALS: u64 = 200;

fn relative_errors(ids: usize, make: fn(&mut Random, usize) -> Sketch) -> Vec<f64> {
    let errors = |seed| {
        let value = make(&mut Random::from_seed(seed), ids).estimate().value;
        value / ids as f64 - 1.0
    };
    std::thread::scope(|scope| {
        let halves = [0..TRIALS / 2, TRIALS / 2..TRIALS];
        let workers = halves.map(|seeds| scope.spawn(move || seeds.map(errors).collect::<Vec<_>>()));
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

#[test]
fn small_sets_are_exact_after_rounding() {
    for ids in [1, 2, 3, 10, 50, 100, 200, 350, 500] {
        let exact = (0..TRIALS).filter(|seed| {
            Random::from_seed(seed * 1_000 + ids).sketch(ids as usize).estimate().rounded() == ids
        });
        assert!(exact.count() as u64 * 100 >= TRIALS * 95, "{ids} ids");
    }
}

#[test]
fn codes_err_by_a_hundredth_of_a_percent() {
    for ids in [1_000, 2_000, 3_000] {
        let errors = relative_errors(ids, Random::sketch);
        assert!(root_mean_square(errors) <= 0.0002, "{ids} ids");
    }
}

#[test]
fn ten_thousand_err_by_less_than_0_7_percent() {
    let errors = relative_errors(10_000, Random::sketch);
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    assert!(root_mean_square(errors) <= 0.007);
    assert!(mean.abs() <= 0.0017, "bias {mean}");
}

#[test]
fn a_million_err_by_less_than_0_95_percent() {
    let errors = relative_errors(1_000_000, Random::sketch);
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    assert!(root_mean_square(errors) <= 0.0095);
    assert!(mean.abs() <= 0.0023, "bias {mean}");
}

#[test]
fn stated_standard_error_holds_two_thirds_and_twice_it_nearly_all() {
    for ids in [20_000, 200_000] {
        let errors = relative_errors(ids, Random::sketch);
        let within = |factor: f64| errors.iter().filter(|error| error.abs() <= factor * 0.008_125).count();
        assert!(within(1.0) >= 120 && within(2.0) >= 185, "{ids} ids: {} {}", within(1.0), within(2.0));
    }
}

#[test]
fn union_of_small_days_stays_precise_far_beyond_the_stored_limit() {
    let errors = (0..10).map(|seed| {
        let mut random = Random::from_seed(seed);
        let mut union = Union::new();
        for _ in 0..28 {
            union.unite_blob(&random.sketch(2_000).encode()).unwrap();
        }
        union.estimate().value / 56_000.0 - 1.0
    });
    assert!(root_mean_square(errors) <= 0.0004);
}
