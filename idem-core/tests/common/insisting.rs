//! A store behind a bad network, asked until it answers: what the runtime does
//! for the verbs it uses, for every verb.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use idem_core::{
    Checkpoint, Claim, ClaimRequest, Fence, Grant, ListQuery, MemoryStore, OwnerId, Page,
    Resolution, Resolved, Retention, Slot, SlotView, Store, StoreError, Written,
    testing::{ChaosStore, Fault, Verb},
};

/// Every command meets the fault once, and is sent again when its reply is lost.
pub struct Insisting {
    store: ChaosStore<Arc<MemoryStore>>,
    fault: Fault,
}

impl Insisting {
    pub fn new(fault: Fault) -> Self {
        Self {
            store: ChaosStore::new(Arc::default()),
            fault,
        }
    }

    async fn insist<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        verb: Verb,
        call: impl Fn() -> F,
    ) -> Result<T, StoreError> {
        self.store.plan().next(verb, self.fault);
        loop {
            match call().await {
                Err(error) if error.is_ambiguous() => {}
                answer => return answer,
            }
        }
    }
}

impl Store for Insisting {
    async fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError> {
        self.insist(Verb::Claim, || self.store.claim(request)).await
    }

    async fn renew(&self, grant: Grant, lease: Duration) -> Result<Written, StoreError> {
        self.insist(Verb::Renew, || self.store.renew(grant, lease))
            .await
    }

    async fn checkpoint(&self, grant: Grant, step: Checkpoint) -> Result<Written, StoreError> {
        self.insist(Verb::Checkpoint, || {
            self.store.checkpoint(grant, step.clone())
        })
        .await
    }

    async fn complete(
        &self,
        grant: Grant,
        record: Bytes,
        retention: Retention,
    ) -> Result<Written, StoreError> {
        self.insist(Verb::Complete, || {
            self.store.complete(grant, record.clone(), retention)
        })
        .await
    }

    async fn release(&self, grant: Grant, ttl: Duration) -> Result<Written, StoreError> {
        self.insist(Verb::Release, || self.store.release(grant, ttl))
            .await
    }

    async fn inspect(&self, slot: Slot) -> Result<Option<SlotView>, StoreError> {
        self.insist(Verb::Inspect, || self.store.inspect(slot))
            .await
    }

    async fn list(&self, query: ListQuery) -> Result<Page, StoreError> {
        self.insist(Verb::List, || self.store.list(query.clone()))
            .await
    }

    async fn resolve(
        &self,
        slot: Slot,
        fence: Fence,
        operator: OwnerId,
        resolution: Resolution,
    ) -> Result<Resolved, StoreError> {
        self.insist(Verb::Resolve, || {
            self.store
                .resolve(slot, fence, operator, resolution.clone())
        })
        .await
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.insist(Verb::Health, || self.store.health()).await
    }
}
