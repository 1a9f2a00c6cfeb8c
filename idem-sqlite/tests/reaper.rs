//! Expired rows go, and only they do.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::time::Duration;

use common::{Place, RETENTION, grant, request, until, won};
use idem_core::{Claim, ClaimRequest, Fence, OnCrash, Retention, Store, Written};
use idem_sqlite::SqliteStore;

/// Expired as soon as it is there.
const NONE: Retention = Retention {
    ttl: Duration::ZERO,
    grace: Duration::ZERO,
};

/// Completes so many slots, whose records are expired already.
async fn expired(store: &SqliteStore, slots: std::ops::Range<u64>) {
    for slot in slots {
        let granted = won(store, request(slot)).await;
        let done = store.complete(granted, "x".into(), NONE).await;
        assert_eq!(done.unwrap(), Written::Done);
    }
}

async fn rows(store: &SqliteStore) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM idem_slots")
        .fetch_one(store.readers())
        .await
        .unwrap()
}

#[tokio::test]
async fn expired_rows_are_deleted_in_batches_that_are_no_larger_than_asked_for() {
    let place = Place::new();
    let store = place.store().await;
    expired(&store, 0..25).await;
    let mut deleted = Vec::new();
    for _ in 0..4 {
        deleted.push(store.reap(10).await.unwrap());
    }
    assert_eq!(deleted, [10, 10, 5, 0]);
    assert_eq!(rows(&store).await, 0);
}

#[tokio::test]
async fn what_is_alive_recorded_released_or_refused_stays() {
    let place = Place::new();
    let store = place.store().await;
    won(&store, request(1)).await;
    let granted = won(&store, request(2)).await;
    let _ = store
        .complete(granted, "x".into(), RETENTION)
        .await
        .unwrap();
    let granted = won(&store, request(3)).await;
    let _ = store.release(granted, RETENTION.ttl).await.unwrap();
    // Silent for ever, under refuse: somebody has to look at it. That is what the
    // row of an escaped transaction is, too.
    let begun = idem_core::Transactional::begin(&store, request(4)).await;
    let idem_core::Begun::Claimed(mut transaction, claimed) = begun.unwrap() else {
        unreachable!("nobody else claims it")
    };
    sqlx::raw_sql("COMMIT")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let ending = idem_core::Ending::Complete {
        grant: grant(&request(4), &claimed),
        record: "x".into(),
        retention: NONE,
        writes: idem_core::Writes::Keep,
    };
    let concluded = idem_core::Transactional::conclude(&store, transaction, ending).await;
    assert_eq!(concluded.unwrap(), idem_core::Concluded::Escaped);
    expired(&store, 5..6).await;

    assert_eq!(store.reap(100).await.unwrap(), 1);
    assert_eq!(rows(&store).await, 4);
    assert_eq!(store.claim(request(4)).await.unwrap(), Claim::Unknown);
}

#[tokio::test]
async fn an_expired_row_that_is_not_deleted_yet_is_as_good_as_absent() {
    let place = Place::new();
    let store = place.store().await;
    expired(&store, 1..2).await;
    assert_eq!(rows(&store).await, 1);
    assert_eq!(store.inspect(request(1).slot).await.unwrap(), None);

    // Also for another payload.
    let claim = store.claim(common::with_another_payload(1)).await.unwrap();
    let Claim::Claimed(claimed) = claim else {
        unreachable!("{claim:?}")
    };
    assert_eq!((claimed.fence, claimed.attempt), (Fence::FIRST, 1));
    assert!(!claimed.taken_over);
    // It is alive now, and not to be deleted for what it was.
    assert_eq!(store.reap(100).await.unwrap(), 0);
}

#[tokio::test]
async fn an_abandoned_claim_goes_when_its_record_would_have() {
    let place = Place::new();
    let store = place.store().await;
    let silent = ClaimRequest {
        lease: Duration::ZERO,
        retention: NONE,
        ..request(1)
    };
    won(&store, silent).await;
    let refused = ClaimRequest {
        on_crash: OnCrash::Refuse,
        slot: request(2).slot,
        ..silent
    };
    won(&store, refused).await;
    assert_eq!(store.reap(100).await.unwrap(), 1);
    assert_eq!(rows(&store).await, 1);
}

#[tokio::test]
async fn the_background_reaper_deletes_by_itself_what_is_more_than_a_batch() {
    let place = Place::new();
    let store = place.store().await;
    expired(&store, 0..250).await;
    let reaping = SqliteStore::builder(place.url())
        .reap_every(Duration::from_millis(1))
        .connect()
        .await
        .unwrap();
    until("all are deleted", || async { rows(&reaping).await == 0 }).await;
}

#[tokio::test]
async fn the_background_reaper_ends_with_its_store() {
    let place = Place::new();
    let before = tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks();
    let store = SqliteStore::builder(place.url())
        .reap_every(Duration::from_millis(1))
        .connect()
        .await
        .unwrap();
    store.migrate().await.unwrap();
    drop(store);
    until("its task is gone", || async {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
            <= before
    })
    .await;
}
