//! Short names for what the tests do to a store, and what they ask of it.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "shared by tests, each of which uses its part"
)]

use std::time::Duration;

use bytes::Bytes;
pub use idem_core::testing::insist;
use idem_core::{
    Claim, ClaimRequest, Claimed, Fence, Fingerprint, Grant, OnCrash, OwnerId, Retention, Slot,
    Store,
};
use idem_redis::RedisStore;

pub const SECOND: Duration = Duration::from_secs(1);
pub const MINUTE: Duration = Duration::from_secs(60);
pub const RETENTION: Retention = Retention {
    ttl: Duration::from_secs(600),
    grace: Duration::from_secs(60),
};

pub async fn connect(url: &str) -> RedisStore {
    RedisStore::connect(url).await.expect("the store connects")
}

/// A claim of a new slot by a new owner.
pub fn request() -> ClaimRequest {
    ClaimRequest {
        slot: Slot::from_bytes(rand::random()),
        fingerprint: Fingerprint::from_bytes([7; 32]),
        owner: OwnerId::random(),
        lease: MINUTE,
        retention: RETENTION,
        on_crash: OnCrash::TakeOver,
        alias: None,
    }
}

/// The same request, by another.
pub fn again(request: ClaimRequest) -> ClaimRequest {
    ClaimRequest {
        owner: OwnerId::random(),
        ..request
    }
}

pub fn grant(request: &ClaimRequest, fence: Fence) -> Grant {
    Grant {
        slot: request.slot,
        owner: request.owner,
        fence,
    }
}

pub fn won(claim: &Claim) -> &Claimed {
    match claim {
        Claim::Claimed(claimed) => claimed,
        other => panic!("the claim should have been won, and is {other:?}"),
    }
}

pub fn recorded(claim: &Claim) -> &Bytes {
    match claim {
        Claim::Completed(completed) => &completed.record,
        other => panic!("the slot should be completed, and the claim is {other:?}"),
    }
}

/// Claims a new slot and completes it.
pub async fn completed(store: &impl Store, record: &'static str) -> ClaimRequest {
    let request = request();
    let fence = won(&store.claim(request).await.unwrap()).fence;
    let done = store
        .complete(grant(&request, fence), Bytes::from(record), RETENTION)
        .await;
    assert_eq!(done.unwrap(), idem_core::Written::Done);
    request
}

/// An error and all its causes, as a log shows it.
pub fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
