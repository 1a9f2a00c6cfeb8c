//! Short names for what the tests do to a store, and a store that insists.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "shared by tests, each of which uses its part"
)]

pub mod insisting;

use std::time::Duration;

use bytes::Bytes;
use idem_core::{
    Claim, ClaimRequest, Claimed, Fence, Fingerprint, Grant, OnCrash, OwnerId, Retention, Slot,
    Store, StoreError,
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

/// Asks until the answer is no passing error, as the runtime does.
pub async fn insist<T, F>(ask: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        match ask().await {
            Err(error) if error.is_transient() && tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            answer => return answer,
        }
    }
}
