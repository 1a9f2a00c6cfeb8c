//! A store in memory of which no more is there than a store must have.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use idem_core::{
    Checkpoint, Claim, ClaimRequest, Fence, Grant, ListQuery, MemoryStore, OwnerId, Page, Policy,
    Renewal, Resolution, Resolved, Retention, Runtime, Slot, SlotView, Store, StoreError, Written,
};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};

use super::{LEASE, TTL};

/// Counts the renewals, and can answer them in its own way. It keeps no meters.
#[derive(Clone, Default)]
pub struct Counting(pub Arc<Counted>);

#[derive(Default)]
pub struct Counted {
    pub store: MemoryStore,
    /// Calls of `renew`.
    pub single: AtomicUsize,
    /// Calls of `renew_many`, and how many renewals they were for.
    pub many: AtomicUsize,
    pub renewals: AtomicUsize,
    /// Calls that were given up.
    pub given_up: AtomicUsize,
    /// Each call is worked at for so long, one after the other.
    pub slow: Option<(Semaphore, Duration)>,
    /// From now on every grant is fenced; when it was said first.
    pub fences: Mutex<Option<Option<Instant>>>,
}

impl Counting {
    /// One that works at each call for so long, and at one call at a time.
    pub fn slow(time: Duration) -> Self {
        Self(Arc::new(Counted {
            slow: Some((Semaphore::new(1), time)),
            ..Counted::default()
        }))
    }

    pub fn runtime(&self) -> Runtime {
        let policy = Policy {
            ttl: TTL,
            lease: LEASE,
            ..Policy::default()
        };
        let builder = Runtime::builder(self.clone()).policy(policy);
        builder.build().unwrap()
    }
}

struct GivenUp<'a>(Option<&'a AtomicUsize>);

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        if let Some(count) = self.0 {
            count.fetch_add(1, SeqCst);
        }
    }
}

impl Store for Counting {
    async fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError> {
        self.0.store.claim(request).await
    }

    async fn renew(&self, grant: Grant, lease: Duration) -> Result<Written, StoreError> {
        self.0.single.fetch_add(1, SeqCst);
        self.0.store.renew(grant, lease).await
    }

    async fn renew_many(&self, renewals: &[Renewal]) -> Result<Vec<Option<Written>>, StoreError> {
        let counted = &*self.0;
        counted.many.fetch_add(1, SeqCst);
        counted.renewals.fetch_add(renewals.len(), SeqCst);
        let mut given_up = GivenUp(Some(&counted.given_up));
        if let Some((turns, time)) = &counted.slow {
            let _turn = turns.acquire().await.unwrap();
            sleep(*time).await;
        }
        given_up.0 = None;
        if let Some(said) = &mut *counted.fences.lock().unwrap() {
            said.get_or_insert_with(Instant::now);
            return Ok(vec![Some(Written::Fenced); renewals.len()]);
        }
        counted.store.renew_many(renewals).await
    }

    async fn checkpoint(&self, grant: Grant, step: Checkpoint) -> Result<Written, StoreError> {
        self.0.store.checkpoint(grant, step).await
    }

    async fn complete(
        &self,
        grant: Grant,
        record: Bytes,
        retention: Retention,
    ) -> Result<Written, StoreError> {
        self.0.store.complete(grant, record, retention).await
    }

    async fn release(&self, grant: Grant, ttl: Duration) -> Result<Written, StoreError> {
        self.0.store.release(grant, ttl).await
    }

    async fn inspect(&self, slot: Slot) -> Result<Option<SlotView>, StoreError> {
        self.0.store.inspect(slot).await
    }

    async fn list(&self, query: ListQuery) -> Result<Page, StoreError> {
        self.0.store.list(query).await
    }

    async fn resolve(
        &self,
        slot: Slot,
        fence: Fence,
        operator: OwnerId,
        resolution: Resolution,
    ) -> Result<Resolved, StoreError> {
        let store = &self.0.store;
        store.resolve(slot, fence, operator, resolution).await
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.0.store.health().await
    }
}
