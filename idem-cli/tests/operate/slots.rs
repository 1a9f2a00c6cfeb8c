//! Slots of every state, made by a store's own verbs.

use std::time::Duration;

use bytes::Bytes;
use idem_core::{
    Checkpoint, Claim, ClaimRequest, Fence, Fingerprint, Grant, OnCrash, OwnerId, Retention, Slot,
    SlotState, StateKind, Store, Written,
    record::{Record, RecordedBody},
};
use idem_servers::until;

pub(crate) const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_millis(1);
const FINGERPRINT: Fingerprint = Fingerprint::from_bytes([9; 32]);

/// What must not be printed unless it is asked for.
pub(crate) const PERSONAL: &str = "ana@example.org";

/// The slot `n`, which begins with `n` in eight digits.
pub(crate) fn slot(n: u8) -> Slot {
    Slot::from_bytes([n; 32])
}

pub(crate) fn digits(n: u8) -> String {
    slot(n).to_string()
}

pub(crate) fn answer() -> Bytes {
    let record = Record::Response {
        status: 201,
        headers: vec![("location".into(), "/payments/7".into())],
        body: RecordedBody::Full(format!("{{\"mail\":\"{PERSONAL}\"}}").into()),
    };
    record.encode()
}

pub(crate) fn request(slot: Slot, lease: Duration, on_crash: OnCrash) -> ClaimRequest {
    ClaimRequest {
        slot,
        fingerprint: FINGERPRINT,
        owner: OwnerId::random(),
        lease,
        retention: Retention {
            ttl: HOUR,
            grace: HOUR,
        },
        on_crash,
        alias: None,
    }
}

/// Claims it, which must be possible.
pub(crate) async fn claim(store: &impl Store, request: ClaimRequest) -> Grant {
    match store.claim(request).await.unwrap() {
        Claim::Claimed(claimed) => Grant {
            slot: request.slot,
            owner: request.owner,
            fence: claimed.fence,
        },
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn in_flight(store: &impl Store, n: u8) -> Grant {
    claim(store, request(slot(n), HOUR, OnCrash::TakeOver)).await
}

/// With a finished step.
pub(crate) async fn lapsed(store: &impl Store, n: u8) {
    silent(store, slot(n), OnCrash::TakeOver).await;
}

pub(crate) async fn unknown(store: &impl Store, n: u8) {
    silent(store, slot(n), OnCrash::Refuse).await;
}

pub(crate) async fn silent(store: &impl Store, slot: Slot, on_crash: OnCrash) {
    let grant = claim(store, request(slot, HOUR, on_crash)).await;
    let step = Checkpoint {
        name: "charge".to_owned(),
        value: Bytes::from_static(b"1"),
    };
    assert_eq!(store.checkpoint(grant, step).await.unwrap(), Written::Done);
    assert_eq!(store.renew(grant, MOMENT).await.unwrap(), Written::Done);
    let kind = match on_crash {
        OnCrash::TakeOver => StateKind::Lapsed,
        OnCrash::Refuse => StateKind::Unknown,
    };
    until("its lease is over", async || {
        kind_of(store, slot).await == Some(kind)
    })
    .await;
}

pub(crate) async fn kind_of(store: &impl Store, slot: Slot) -> Option<StateKind> {
    let view = store.inspect(slot).await.unwrap();
    view.map(|view| view.state.kind())
}

pub(crate) async fn completed(store: &impl Store, n: u8) {
    complete(store, n, HOUR, HOUR).await;
}

/// Past its ttl.
pub(crate) async fn expired(store: &impl Store, n: u8) {
    complete(store, n, MOMENT, HOUR).await;
    until("its ttl has passed", async || {
        let view = store.inspect(slot(n)).await.unwrap().unwrap();
        matches!(view.state, SlotState::Completed { expired: true, .. })
    })
    .await;
}

/// Past its grace.
pub(crate) async fn due(store: &impl Store, n: u8) {
    // PostgreSQL deletes nothing before the end that a claim has foreseen; and one that must not be
    // taken over is there until it is completed.
    let mut request = request(slot(n), MOMENT, OnCrash::Refuse);
    request.retention = Retention {
        ttl: MOMENT,
        grace: Duration::ZERO,
    };
    let grant = claim(store, request).await;
    let written = store.complete(grant, answer(), request.retention).await;
    assert_eq!(written.unwrap(), Written::Done);
    until("its grace has passed", async || {
        kind_of(store, slot(n)).await.is_none()
    })
    .await;
}

async fn complete(store: &impl Store, n: u8, ttl: Duration, grace: Duration) {
    let grant = in_flight(store, n).await;
    let retention = Retention { ttl, grace };
    let written = store.complete(grant, answer(), retention).await.unwrap();
    assert_eq!(written, Written::Done);
}

pub(crate) async fn released(store: &impl Store, n: u8) {
    let grant = in_flight(store, n).await;
    let written = store.release(grant, HOUR).await.unwrap();
    assert_eq!(written, Written::Done);
}

/// Another execution of the same request.
pub(crate) async fn claim_again(store: &impl Store, n: u8) -> Claim {
    let request = request(slot(n), HOUR, OnCrash::TakeOver);
    store.claim(request).await.unwrap()
}

pub(crate) async fn fence_of(store: &impl Store, n: u8) -> Fence {
    store.inspect(slot(n)).await.unwrap().unwrap().fence
}
