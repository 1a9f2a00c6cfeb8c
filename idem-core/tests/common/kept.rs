//! What a store keeps of a slot, and what comes of it when somebody else has written it.

use std::sync::Arc;

use bytes::Bytes;
use idem_core::{
    Call, Checkpoint, Claim, ClaimRequest, Execution, Fingerprint, Grant, MemoryStore, OnCrash,
    OnStoreError, Overrides, OwnerId, Retention, Slot, SlotState, Store, StoreError, Written,
    record::Unopened,
};

use super::{LEASE, Node, Outcome, TTL};

pub const RETENTION: Retention = Retention {
    ttl: TTL,
    grace: TTL,
};

pub fn failing_open(node: &Node) -> Node {
    node.clone().with(Overrides {
        store_error: Some(OnStoreError::FailOpen),
        ..Overrides::NONE
    })
}

/// The record as it is stored.
pub async fn stored(store: &MemoryStore, slot: Slot) -> Bytes {
    match store.inspect(slot).await.unwrap().unwrap().state {
        SlotState::Completed { record, .. } => record,
        other => panic!("{other:?}"),
    }
}

/// Becomes the owner of a slot behind the runtime's back.
pub async fn owned(
    store: &MemoryStore,
    slot: Slot,
    fingerprint: Fingerprint,
) -> (Grant, Vec<Checkpoint>) {
    let owner = OwnerId::random();
    let request = ClaimRequest {
        slot,
        fingerprint,
        owner,
        lease: LEASE,
        retention: RETENTION,
        on_crash: OnCrash::TakeOver,
        alias: None,
    };
    match store.claim(request).await.unwrap() {
        Claim::Claimed(claimed) => {
            let fence = claimed.fence;
            (Grant { slot, owner, fence }, claimed.checkpoints)
        }
        other => panic!("{other:?}"),
    }
}

/// A store in which somebody has written `record` for the call.
pub async fn with_record(call: &Call, record: Bytes) -> Arc<MemoryStore> {
    let store = Arc::<MemoryStore>::default();
    let (grant, _) = owned(&store, call.slot, call.fingerprint).await;
    let written = store.complete(grant, record, RETENTION).await.unwrap();
    assert_eq!(written, Written::Done);
    store
}

#[track_caller]
pub fn unopened(outcome: &Outcome) -> (Option<&str>, Unopened) {
    match outcome {
        Execution::StoreFailed(StoreError::Unopened { cause, .. }) => {
            (cause.step.as_deref(), cause.reason)
        }
        other => panic!("it should not open, and is {other:?}"),
    }
}

/// Neither once nor again, nor where the call would run without a store.
pub async fn never_runs(node: &Node) -> Unopened {
    let (step, reason) = {
        let outcome = node.pay("k").await;
        let (step, reason) = unopened(&outcome);
        (step.map(str::to_owned), reason)
    };
    assert_eq!(step, None);
    assert_eq!(unopened(&node.pay("k").await), (None, reason));
    assert_eq!(unopened(&failing_open(node).pay("k").await).1, reason);
    assert_eq!(node.effects(), 0);
    reason
}
