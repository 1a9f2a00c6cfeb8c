//! Real processes over real stores, while everything fails that can: a short run over each store.
//! `cargo run -p idem-proof --bin nemesis` does the same for as long as one likes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::time::Duration;

use idem_proof::nemesis::{
    Config, Store, report, run,
    schedule::{Fault, LEASE, Schedule, Step},
    windows::{Window, silences},
};

async fn nothing_is_broken(store: Store, seed: u64) {
    let config = Config {
        store,
        seed,
        time: Duration::from_secs(20),
        min_replicas: true,
        clients: 12,
    };
    let report = run(config).await;
    println!("{}", report::table(std::slice::from_ref(&report)));
    assert!(report.is_clean(), "{}", report.failure());
    assert!(
        report.lost.is_empty(),
        "the store has lost what it had acknowledged: {:?}",
        report.lost
    );
    // It was a test at all.
    assert!(report.counts.executions >= 20, "{:?}", report.counts);
    assert!(
        report.faults.values().sum::<u64>() >= 4,
        "{:?}",
        report.faults
    );
    assert_ne!(report.transfers, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_redis() {
    nothing_is_broken(Store::Redis, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_sentinel_with_failovers() {
    nothing_is_broken(Store::Sentinel, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_cluster_with_failovers() {
    nothing_is_broken(Store::Cluster, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_postgres_and_transfers_happen_exactly_once() {
    nothing_is_broken(Store::Postgres, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_sqlite_and_transfers_happen_exactly_once() {
    nothing_is_broken(Store::Sqlite, 5).await;
}

#[test]
fn a_seed_is_one_schedule_and_a_longer_one_begins_alike() {
    for store in Store::ALL {
        let of = |seconds| Schedule::new(store, 3, 7, Duration::from_secs(seconds));
        let (short, long) = (of(60), of(600));
        assert_eq!(short, of(60));
        assert!(long.nodes.starts_with(&short.nodes) && long.store.starts_with(&short.store));
        assert_ne!(short, Schedule::new(store, 3, 8, Duration::from_secs(60)));
        let overtaken = |step: &Step| matches!(step.fault, Fault::Overtake { .. });
        for seed in 1..100 {
            let schedule = Schedule::new(store, 3, seed, Duration::from_secs(20));
            assert!(schedule.nodes.iter().any(overtaken), "{schedule}");
        }
        let stops = long.nodes.iter().filter_map(|step| match step.fault {
            Fault::Stop { time, .. } => Some(time),
            _ => None,
        });
        let (longer, shorter): (Vec<_>, Vec<_>) = stops.partition(|time| *time > LEASE);
        assert!(!longer.is_empty() && !shorter.is_empty());
    }
}

fn window(node: Option<usize>, from: u64, to: u64) -> Window {
    Window {
        node,
        from: Duration::from_millis(from),
        to: Duration::from_millis(to),
        why: "",
    }
}

#[test]
fn what_is_short_and_alone_excuses_nothing() {
    let windows = [window(Some(0), 0, 900), window(Some(1), 0, 5_000)];
    assert!(silences(&windows, 0).is_empty());
}

#[test]
fn what_is_near_to_one_another_counts_as_one() {
    let windows = [window(Some(0), 1_500, 2_000), window(None, 0, 900)];
    let all = (Duration::ZERO, Duration::from_secs(2));
    assert_eq!(silences(&windows, 0), [all]);
    assert!(silences(&windows, 1).is_empty());
}
