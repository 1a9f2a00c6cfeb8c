//! Many at once, over one store and over several of one file.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::time::Duration;

use common::{Place, RETENTION, grant, request, until, won};
use futures_util::future::join_all;
use idem_core::{Begun, Concluded, Ending, SlotState, Store, Transactional, Writes, Written};
use idem_sqlite::SqliteStore;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::time::timeout;

async fn record(store: &SqliteStore, slot: u64) {
    let granted = won(store, request(slot)).await;
    let done = store.complete(granted, "done".into(), RETENTION).await;
    assert_eq!(done.unwrap(), Written::Done);
}

async fn is_recorded(store: &SqliteStore, slot: u64) -> bool {
    let view = store.inspect(request(slot).slot).await.unwrap();
    matches!(view, Some(view) if matches!(view.state, SlotState::Completed { .. }))
}

/// Eight tasks record so many slots each, over these stores in turn.
async fn eight_tasks(stores: &[SqliteStore], slots: u64) {
    let tasks = (0..8_u64).map(|task| {
        let stores = stores.to_vec();
        tokio::spawn(async move {
            for number in 0..slots {
                let store = &stores[usize::try_from(task + number).unwrap() % stores.len()];
                record(store, task * slots + number).await;
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    for slot in 0..8 * slots {
        assert!(is_recorded(&stores[0], slot).await, "slot {slot}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_over_one_store_meet_no_error() {
    let place = Place::new();
    eight_tasks(&[place.store().await], 150).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_over_two_stores_of_one_file_meet_no_error() {
    let place = Place::new();
    eight_tasks(&[place.store().await, place.store().await], 150).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_and_plain_claims_over_two_stores_meet_no_error() {
    let place = Place::new();
    let stores = [place.store().await, place.store().await];
    let tasks = (0..8_u64).map(|task| {
        let stores = stores.clone();
        tokio::spawn(async move {
            for number in 0..60 {
                let store = &stores[usize::try_from(task + number).unwrap() % 2];
                let slot = task * 60 + number;
                if number.is_multiple_of(3) {
                    record(store, slot).await;
                } else {
                    transact(store, slot).await;
                }
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    for slot in 0..8 * 60 {
        assert!(is_recorded(&stores[0], slot).await, "slot {slot}");
    }
}

async fn transact(store: &SqliteStore, slot: u64) {
    let request = request(slot);
    let begun = store.begin(request).await.unwrap();
    let Begun::Claimed(transaction, claimed) = begun else {
        panic!("each slot is claimed once: {begun:?}")
    };
    let ending = Ending::Complete {
        grant: grant(&request, &claimed),
        record: "done".into(),
        retention: RETENTION,
        writes: Writes::Keep,
    };
    let concluded = store.conclude(transaction, ending).await.unwrap();
    assert_eq!(concluded, Concluded::Done);
}

#[tokio::test]
async fn who_waits_in_vain_for_another_process_may_ask_again() {
    let place = Place::new();
    let other = place.store().await;
    let impatient = place.builder().busy_timeout(Duration::from_millis(20));
    let store = impatient.connect().await.unwrap();
    let granted = won(&store, request(1)).await;
    let Begun::Claimed(open, _) = other.begin(request(2)).await.unwrap() else {
        panic!("nobody else claims it")
    };
    for _ in 0..3 {
        let complete = store.complete(granted, "done".into(), RETENTION).await;
        let errors = [
            store.claim(request(3)).await.unwrap_err(),
            store.begin(request(3)).await.unwrap_err(),
            complete.unwrap_err(),
            store.reap(1).await.unwrap_err(),
        ];
        for error in errors {
            assert!(error.is_transient() && !error.is_ambiguous(), "{error:?}");
        }
    }
    drop(open);
    // Its connection is closed in the background.
    until("the writer is given back", || async {
        store.reap(1).await.is_ok()
    })
    .await;
    let done = store.complete(granted, "done".into(), RETENTION).await;
    assert_eq!(done.unwrap(), Written::Done);
    record(&store, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verbs_that_are_dropped_at_any_moment_leave_a_store_that_works() {
    let place = Place::new();
    let store = place.store().await;
    let seed: u64 = rand::random();
    println!("the seed of this run is {seed}");
    let tasks = (0..4_u64).map(|task| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut dice = StdRng::seed_from_u64(seed + task);
            for number in 0..150 {
                let slot = task * 1000 + number;
                let patience = Duration::from_micros(dice.random_range(0..3000));
                let dropping = async {
                    match number % 3 {
                        0 => record(&store, slot).await,
                        1 => transact(&store, slot).await,
                        _ => drop(store.begin(request(slot)).await.unwrap()),
                    }
                };
                let _ = timeout(patience, dropping).await;
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    for slot in 10_000..10_050 {
        record(&store, slot).await;
        transact(&store, slot + 100).await;
    }
    // Nothing is held on to: not the writer, and not a slot.
    for task in 0..4 {
        for number in (2..150).step_by(3) {
            let slot = task * 1000 + number;
            assert_eq!(store.inspect(request(slot).slot).await.unwrap(), None);
            transact(&store, slot).await;
        }
    }
    let check: String = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_one(store.writer())
        .await
        .unwrap();
    assert_eq!(check, "ok");
}
