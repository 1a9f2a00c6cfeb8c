//! A store that counts what it is asked.

use std::{
    ops::Sub,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use axum::body::Bytes;
use idem_axum::Store;
use idem_core::{
    Checkpoint, Claim, ClaimRequest, Fence, Grant, ListQuery, OwnerId, Page, Renewal, Resolution,
    Resolved, Retention, Slot, SlotView, StoreError, Written,
};

#[derive(Debug)]
pub(crate) struct Counting<S>(Arc<Inner<S>>);

#[derive(Debug)]
struct Inner<S> {
    store: S,
    calls: AtomicU64,
    renewed: AtomicU64,
    failed: AtomicU64,
    fenced: AtomicU64,
    /// In µs.
    slowest: AtomicU64,
}

/// What has been asked of heartbeats, and how it ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) calls: u64,
    pub(crate) renewed: u64,
    /// Renewals without an answer: an error, or given up.
    pub(crate) failed: u64,
    pub(crate) fenced: u64,
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            calls: self.calls - before.calls,
            renewed: self.renewed - before.renewed,
            failed: self.failed - before.failed,
            fenced: self.fenced - before.fenced,
        }
    }
}

impl<S> Clone for Counting<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Store> Counting<S> {
    pub(crate) fn new(store: S) -> Self {
        Self(Arc::new(Inner {
            store,
            calls: AtomicU64::new(0),
            renewed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            fenced: AtomicU64::new(0),
            slowest: AtomicU64::new(0),
        }))
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            calls: self.0.calls.load(Relaxed),
            renewed: self.0.renewed.load(Relaxed),
            failed: self.0.failed.load(Relaxed),
            fenced: self.0.fenced.load(Relaxed),
        }
    }

    /// How long the slowest call since then took that was not given up.
    pub(crate) fn take_slowest(&self) -> Duration {
        Duration::from_micros(self.0.slowest.swap(0, Relaxed))
    }

    fn count(&self, written: Option<Written>) {
        let counter = match written {
            Some(Written::Done) => &self.0.renewed,
            Some(Written::Fenced) => &self.0.fenced,
            None => &self.0.failed,
        };
        counter.fetch_add(1, Relaxed);
    }

    fn ask(&self, renewals: usize) -> Asked<'_> {
        self.0.calls.fetch_add(1, Relaxed);
        Asked {
            failed: &self.0.failed,
            slowest: &self.0.slowest,
            at: Instant::now(),
            renewals,
        }
    }
}

/// Renewals that have failed when this is dropped without an answer.
struct Asked<'a> {
    failed: &'a AtomicU64,
    slowest: &'a AtomicU64,
    at: Instant,
    renewals: usize,
}

impl Asked<'_> {
    fn answered(mut self) {
        self.renewals = 0;
        let took = u64::try_from(self.at.elapsed().as_micros()).unwrap();
        self.slowest.fetch_max(took, Relaxed);
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.failed.fetch_add(self.renewals as u64, Relaxed);
    }
}

impl<S: Store> Store for Counting<S> {
    async fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError> {
        self.0.store.claim(request).await
    }

    async fn renew(&self, grant: Grant, lease: Duration) -> Result<Written, StoreError> {
        let asked = self.ask(1);
        let written = self.0.store.renew(grant, lease).await?;
        asked.answered();
        self.count(Some(written));
        Ok(written)
    }

    async fn renew_many(&self, renewals: &[Renewal]) -> Result<Vec<Option<Written>>, StoreError> {
        let asked = self.ask(renewals.len());
        let answers = self.0.store.renew_many(renewals).await?;
        asked.answered();
        for answer in &answers {
            self.count(*answer);
        }
        Ok(answers)
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
        self.0
            .store
            .resolve(slot, fence, operator, resolution)
            .await
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.0.store.health().await
    }
}
