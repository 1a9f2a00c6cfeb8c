//! A store behind a pointer, so that the runtime is one type for all of them.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::{
    Checkpoint, Claim, ClaimRequest, Fence, Grant, ListQuery, OwnerId, Page, Renewal, Resolution,
    Resolved, Retention, ScopeTag, Slot, SlotView, Spent, Store, StoreError, Written,
};

type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// The verbs of [`Store`], with boxed futures.
pub(crate) trait ErasedStore: Send + Sync {
    fn claim(&self, request: ClaimRequest) -> Answer<'_, Claim>;
    fn renew(&self, grant: Grant, lease: Duration) -> Answer<'_, Written>;
    fn renew_many<'a>(&'a self, renewals: &'a [Renewal]) -> Answer<'a, Vec<Option<Written>>>;
    fn checkpoint(&self, grant: Grant, step: Checkpoint) -> Answer<'_, Written>;
    fn complete(&self, grant: Grant, record: Bytes, retention: Retention) -> Answer<'_, Written>;
    fn release(&self, grant: Grant, ttl: Duration) -> Answer<'_, Written>;
    fn inspect(&self, slot: Slot) -> Answer<'_, Option<SlotView>>;
    fn list(&self, query: ListQuery) -> Answer<'_, Page>;
    fn resolve(
        &self,
        slot: Slot,
        fence: Fence,
        operator: OwnerId,
        resolution: Resolution,
    ) -> Answer<'_, Resolved>;
    fn health(&self) -> Answer<'_, ()>;
    fn meters(&self) -> bool;
    fn spend(&self, tag: ScopeTag, bytes: u64, window: Duration) -> Answer<'_, Spent>;
}

impl<S: Store> ErasedStore for S {
    fn claim(&self, request: ClaimRequest) -> Answer<'_, Claim> {
        Box::pin(Store::claim(self, request))
    }

    fn renew(&self, grant: Grant, lease: Duration) -> Answer<'_, Written> {
        Box::pin(Store::renew(self, grant, lease))
    }

    fn renew_many<'a>(&'a self, renewals: &'a [Renewal]) -> Answer<'a, Vec<Option<Written>>> {
        Box::pin(Store::renew_many(self, renewals))
    }

    fn checkpoint(&self, grant: Grant, step: Checkpoint) -> Answer<'_, Written> {
        Box::pin(Store::checkpoint(self, grant, step))
    }

    fn complete(&self, grant: Grant, record: Bytes, retention: Retention) -> Answer<'_, Written> {
        Box::pin(Store::complete(self, grant, record, retention))
    }

    fn release(&self, grant: Grant, ttl: Duration) -> Answer<'_, Written> {
        Box::pin(Store::release(self, grant, ttl))
    }

    fn inspect(&self, slot: Slot) -> Answer<'_, Option<SlotView>> {
        Box::pin(Store::inspect(self, slot))
    }

    fn list(&self, query: ListQuery) -> Answer<'_, Page> {
        Box::pin(Store::list(self, query))
    }

    fn resolve(
        &self,
        slot: Slot,
        fence: Fence,
        operator: OwnerId,
        resolution: Resolution,
    ) -> Answer<'_, Resolved> {
        Box::pin(Store::resolve(self, slot, fence, operator, resolution))
    }

    fn health(&self) -> Answer<'_, ()> {
        Box::pin(Store::health(self))
    }

    fn meters(&self) -> bool {
        Store::meters(self)
    }

    fn spend(&self, tag: ScopeTag, bytes: u64, window: Duration) -> Answer<'_, Spent> {
        Box::pin(Store::spend(self, tag, bytes, window))
    }
}
