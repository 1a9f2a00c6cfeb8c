//! One slot of one subject, and short names for what the behaviours do to it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::Subject;
use crate::{
    Checkpoint, Claim, ClaimRequest, Claimed, Completed, Fence, Fingerprint, Grant, OnCrash,
    OwnerId, Resolution, Resolved, Retention, Slot, SlotState, SlotView, Store, StoreError,
    Written,
};

/// How long leases, ttls and graces are, in ticks. What must happen within one
/// of them has ticks to spare, so that a busy machine does not fail a test.
pub(super) const LEASE: u32 = 6;
pub(super) const TTL: u32 = 10;
pub(super) const GRACE: u32 = 10;

pub(super) struct Case<S> {
    pub(super) subject: Arc<Subject<S>>,
    pub(super) slot: Slot,
}

impl<S> Clone for Case<S> {
    fn clone(&self) -> Self {
        Self {
            subject: Arc::clone(&self.subject),
            slot: self.slot,
        }
    }
}

impl<S: Store> Case<S> {
    pub(super) fn new(subject: Subject<S>) -> Self {
        Self {
            subject: Arc::new(subject),
            slot: Slot::from_bytes(rand::random()),
        }
    }

    /// The same subject, another slot.
    pub(super) fn elsewhere(&self) -> Self {
        Self {
            subject: Arc::clone(&self.subject),
            slot: Slot::from_bytes(rand::random()),
        }
    }

    /// The same subject, that slot.
    pub(super) fn elsewhere_at(&self, slot: Slot) -> Self {
        Self {
            subject: Arc::clone(&self.subject),
            slot,
        }
    }

    pub(super) fn store(&self) -> &S {
        &self.subject.store
    }

    pub(super) fn ticks(&self, count: u32) -> Duration {
        self.subject.clock.ticks(count)
    }

    pub(super) async fn pass(&self, ticks: u32) {
        self.subject.clock.pass(self.ticks(ticks)).await;
    }

    pub(super) fn retention(&self) -> Retention {
        Retention {
            ttl: self.ticks(TTL),
            grace: self.ticks(GRACE),
        }
    }

    /// A claim by a new owner.
    pub(super) fn request(&self) -> ClaimRequest {
        ClaimRequest {
            slot: self.slot,
            fingerprint: Fingerprint::from_bytes([7; 32]),
            owner: OwnerId::random(),
            lease: self.ticks(LEASE),
            retention: self.retention(),
            on_crash: OnCrash::TakeOver,
            alias: None,
        }
    }

    /// The same by a request with another payload.
    pub(super) fn other_request(&self) -> ClaimRequest {
        ClaimRequest {
            fingerprint: Fingerprint::from_bytes([8; 32]),
            ..self.request()
        }
    }

    pub(super) async fn claim(&self, request: ClaimRequest) -> Claim {
        answered("claim", self.store().claim(request).await)
    }

    /// Claims and must win.
    pub(super) async fn win(&self, request: ClaimRequest) -> (Grant, Claimed) {
        match self.claim(request).await {
            Claim::Claimed(claimed) => (grant(&request, &claimed), claimed),
            other => panic!("the claim should have been won, and is {other:?}"),
        }
    }

    /// Claims the slot for a new owner.
    pub(super) async fn own(&self) -> Grant {
        self.win(self.request()).await.0
    }

    /// Claims, and must be told that somebody else is at work.
    pub(super) async fn kept_out(&self, request: ClaimRequest) -> Duration {
        match self.claim(request).await {
            Claim::InFlight { lease_left } => lease_left,
            other => panic!("the slot should be in flight, and the claim is {other:?}"),
        }
    }

    /// Claims, and must get the record.
    pub(super) async fn recorded(&self) -> Completed {
        match self.claim(self.request()).await {
            Claim::Completed(completed) => completed,
            other => panic!("the slot should be completed, and the claim is {other:?}"),
        }
    }

    pub(super) async fn renew(&self, grant: Grant) -> Written {
        answered("renew", self.store().renew(grant, self.ticks(LEASE)).await)
    }

    pub(super) async fn checkpoint(&self, grant: Grant, name: &str, value: Bytes) -> Written {
        let step = Checkpoint {
            name: name.to_owned(),
            value,
        };
        answered("checkpoint", self.store().checkpoint(grant, step).await)
    }

    pub(super) async fn complete(&self, grant: Grant, record: impl Into<Bytes>) -> Written {
        let written = self
            .store()
            .complete(grant, record.into(), self.retention())
            .await;
        answered("complete", written)
    }

    pub(super) async fn release(&self, grant: Grant) -> Written {
        answered(
            "release",
            self.store().release(grant, self.ticks(TTL)).await,
        )
    }

    pub(super) async fn view(&self) -> Option<SlotView> {
        answered("inspect", self.store().inspect(self.slot).await)
    }

    /// Views a slot that must be there.
    pub(super) async fn state(&self) -> SlotState {
        self.view().await.expect("the slot should be there").state
    }

    pub(super) async fn resolve(
        &self,
        fence: Fence,
        operator: OwnerId,
        resolution: Resolution,
    ) -> Resolved {
        let resolved = self
            .store()
            .resolve(self.slot, fence, operator, resolution)
            .await;
        answered("resolve", resolved)
    }

    /// What an operator decides: this happened, or it did not.
    pub(super) fn completion(&self, record: &'static str) -> Resolution {
        Resolution::Complete {
            record: Bytes::from(record),
            retention: self.retention(),
        }
    }

    pub(super) fn give_back(&self) -> Resolution {
        Resolution::Release {
            ttl: self.ticks(TTL),
        }
    }
}

pub(super) fn grant(request: &ClaimRequest, claimed: &Claimed) -> Grant {
    Grant {
        slot: request.under(claimed.under).slot,
        owner: request.owner,
        fence: claimed.fence,
    }
}

pub(super) fn answered<T>(verb: &str, answer: Result<T, StoreError>) -> T {
    answer.unwrap_or_else(|error| panic!("the store failed at {verb}: {error:?}"))
}
