//! Allocations are counted, not timed: the numbers are the same on every machine.

use crate::{
    fingerprint,
    requests::{Bench, order},
};

/// Allocations of one run of each, by the name of its row in the table.
pub(crate) fn count() -> Vec<(&'static str, u64)> {
    let (plain, cached) = (Bench::new(), Bench::with_cache());
    let send = |bench: &Bench, path: &str, key: &str| {
        let request = bench.request(path, key);
        allocations(|| bench.send(request))
    };
    // What is made once (the route's caches, the heartbeat's task) is made here.
    for bench in [&plain, &cached] {
        for number in 0..200 {
            let key = format!("warm-{number}");
            send(bench, "/bare", &key);
            send(bench, "/protected", &key);
            send(bench, "/protected", &key);
        }
    }
    fingerprint::typed(&order(18));
    vec![
        ("request/bare", send(&plain, "/bare", "k")),
        ("request/fresh", send(&plain, "/protected", "k")),
        ("request/replay", send(&plain, "/protected", "k")),
        ("request/cached", send(&cached, "/protected", "warm-1")),
        (
            "fingerprint-small/json",
            allocations(|| fingerprint::json(&fingerprint::small())),
        ),
        (
            "fingerprint-small/typed",
            allocations(|| fingerprint::typed(&fingerprint::small())),
        ),
        ("fingerprint-kilobyte/json", of_order(fingerprint::json)),
        ("fingerprint-kilobyte/typed", of_order(fingerprint::typed)),
    ]
}

fn of_order<T>(hash: impl Fn(&crate::requests::Order) -> T) -> u64 {
    let order = order(18);
    allocations(|| hash(&order))
}

fn allocations<T>(work: impl FnOnce() -> T) -> u64 {
    let mut result = None;
    let info = allocation_counter::measure(|| result = Some(work()));
    drop(result);
    info.count_total
}
