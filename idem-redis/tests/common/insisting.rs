//! A store whose every verb is asked for until it has an answer.

use std::time::Duration;

use bytes::Bytes;
use idem_core::{
    Checkpoint, Claim, ClaimRequest, Fence, Grant, ListQuery, OwnerId, Page, Resolution, Resolved,
    Retention, Slot, SlotView, Store, StoreError, Written,
};

use super::insist;

/// Runs `before` ahead of each verb, such as to break something.
pub struct Insisting<S, B> {
    pub store: S,
    pub before: B,
}

impl<S: Store, B: Fn() + Send + Sync + 'static> Insisting<S, B> {
    fn store(&self) -> &S {
        (self.before)();
        &self.store
    }
}

impl<S: Store, B: Fn() + Send + Sync + 'static> Store for Insisting<S, B> {
    async fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError> {
        let store = self.store();
        insist(|| store.claim(request)).await
    }

    async fn renew(&self, grant: Grant, lease: Duration) -> Result<Written, StoreError> {
        let store = self.store();
        insist(|| store.renew(grant, lease)).await
    }

    async fn checkpoint(&self, grant: Grant, step: Checkpoint) -> Result<Written, StoreError> {
        let store = self.store();
        insist(|| store.checkpoint(grant, step.clone())).await
    }

    async fn complete(
        &self,
        grant: Grant,
        record: Bytes,
        retention: Retention,
    ) -> Result<Written, StoreError> {
        let store = self.store();
        insist(|| store.complete(grant, record.clone(), retention)).await
    }

    async fn release(&self, grant: Grant, ttl: Duration) -> Result<Written, StoreError> {
        let store = self.store();
        insist(|| store.release(grant, ttl)).await
    }

    async fn inspect(&self, slot: Slot) -> Result<Option<SlotView>, StoreError> {
        let store = self.store();
        insist(|| store.inspect(slot)).await
    }

    async fn list(&self, query: ListQuery) -> Result<Page, StoreError> {
        let store = self.store();
        insist(|| store.list(query.clone())).await
    }

    async fn resolve(
        &self,
        slot: Slot,
        fence: Fence,
        operator: OwnerId,
        resolution: Resolution,
    ) -> Result<Resolved, StoreError> {
        let store = self.store();
        insist(|| store.resolve(slot, fence, operator, resolution.clone())).await
    }

    async fn health(&self) -> Result<(), StoreError> {
        let store = self.store();
        insist(|| store.health()).await
    }
}
