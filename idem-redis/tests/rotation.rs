//! The secret is changed while nodes of two neighbouring stages claim the same keys.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::time::Duration;

use common::{MINUTE, again, connect, grant, told, won};
use idem_core::testing::Stages;
use idem_core::{
    Alias, ClaimRequest, Fingerprint, PolicyError, Runtime, Slot, SlotState, Store, StoreError,
    Under,
};
use idem_redis::RedisStore;
use idem_servers::{Cluster, Redis, Replicated};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_duplicates_at_neighbouring_stages_run_once() {
    let redis = Redis::start().await;
    let stages = Stages::over([connect(&redis.url()).await, connect(&redis.url()).await]).unwrap();
    stages.race(150, 6).await;
}

/// A claim of a slot and of another name of it.
fn by_two() -> ClaimRequest {
    ClaimRequest {
        alias: Some(Alias {
            slot: Slot::from_bytes(rand::random()),
            fingerprint: Fingerprint::from_bytes([8; 32]),
        }),
        ..common::request()
    }
}

/// Where only the other name is stored.
fn under_the_other(request: ClaimRequest) -> ClaimRequest {
    again(request.under(Under::Alias))
}

#[tokio::test]
async fn a_claim_by_two_names_is_one_round_trip() {
    let redis = Redis::start().await;
    let store = connect(&redis.url()).await;
    // The first of each kind makes the script known.
    won(&store.claim(by_two()).await.unwrap());
    won(&store.claim(common::request()).await.unwrap());
    let calls = async || (redis.calls("evalsha").await, redis.calls("eval").await);
    let before = calls().await;
    let request = by_two();
    won(&store.claim(under_the_other(request)).await.unwrap());
    for request in [request, request, by_two()] {
        let _ = store.claim(request).await.unwrap();
    }
    let after = calls().await;
    assert_eq!((after.0 - before.0, after.1 - before.1), (4, 0));
}

/// The error names the slot that it is about.
#[tokio::test]
async fn what_cannot_be_read_under_the_other_name_is_an_error_about_that() {
    let redis = Redis::start().await;
    let store = connect(&redis.url()).await;
    let request = by_two();
    let alias = request.under(Under::Alias).slot;
    let key = format!("idem:{alias}");
    for (set, says) in [
        (
            &["SET", &key, "someone else's", "PX", "60000"][..],
            "someone",
        ),
        (&["PERSIST", &key], "expiry"),
    ] {
        if says == "expiry" {
            redis.command(&["DEL", &key]).await;
            won(&store.claim(under_the_other(request)).await.unwrap());
        }
        redis.command(set).await;
        let error = store.claim(request).await.unwrap_err();
        assert!(told(&error).contains(says), "{}", told(&error));
        assert!(matches!(error, StoreError::Corrupt { slot, .. } if slot == alias));
    }
    assert_eq!(store.inspect(request.slot).await.unwrap(), None);
}

#[tokio::test]
async fn a_claim_under_the_other_name_that_no_replica_has_is_withdrawn_there() {
    let servers = Replicated::start(1, true).await;
    let store = RedisStore::builder(servers.url());
    let store = store.min_replicas(1, Duration::from_millis(50));
    let store = store.connect().await.unwrap();
    let request = by_two();
    let first = under_the_other(request);
    let fence = won(&store.claim(first).await.unwrap()).fence;
    let _ = store.release(grant(&first, fence), MINUTE).await.unwrap();
    servers.replicas[0].stop();
    let error = store.claim(request).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Underreplicated { .. }),
        "{error:?}"
    );
    servers.replicas[0].resume();
    let view = store.inspect(first.slot).await.unwrap().unwrap();
    assert_eq!((view.state, view.attempt), (SlotState::Released, 2));
    assert_eq!(store.inspect(request.slot).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_cluster_a_second_secret_is_refused() {
    let servers = Cluster::start().await;
    let builder = Runtime::builder(connect(&servers.url()).await).secret("new");
    assert!(builder.clone().build().is_ok());
    let error = builder.accept_secret("old").build().unwrap_err();
    assert!(matches!(error, PolicyError::SecondSecret { .. }));
    assert!(error.to_string().contains("Redis Cluster"), "{error}");
    let store = connect(&servers.url()).await;
    let refused = store.claim(by_two()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Refused { .. }), "{refused:?}");
}
