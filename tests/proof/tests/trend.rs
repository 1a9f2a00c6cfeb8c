//! What the soak takes for growth.

use idem_proof::soak::trend::trend;

const FLOOR: f64 = 10.0;

/// 200 measurements, three seconds apart.
fn grows(value: impl Fn(f64) -> f64) -> bool {
    let points: Vec<_> = (0..200)
        .map(|number| 3.0 * f64::from(number))
        .map(|at| (at, value(at)))
        .collect();
    trend(&points, FLOOR).grows
}

#[test]
fn a_leak_grows() {
    assert!(grows(|at| 100.0 + 0.1 * at));
    assert!(grows(|at| 100.0 + 0.1 * at + 5.0 * (at / 7.0).sin()));
}

#[test]
fn what_warms_up_and_what_goes_up_and_down_does_not() {
    assert!(!grows(|_| 100.0));
    assert!(!grows(|at| 200.0 - 100.0 * (-at / 60.0).exp()));
    // As between two runs of a reaper.
    assert!(!grows(|at| 100.0 + at % 30.0));
    assert!(!grows(|at| 100.0 - 0.1 * at));
}

#[test]
fn less_than_the_floor_means_nothing() {
    assert!(!grows(|at| 10.0 + 0.02 * at));
}
