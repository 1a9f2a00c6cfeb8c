//! It is a store: in a file of its own, beside others in one, and over several processes.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use common::Place;
use idem_core::{
    Checkpoint, Claim, ClaimRequest, Fence, Grant, ListQuery, OwnerId, Page, Resolution, Resolved,
    Retention, ScopeTag, Slot, SlotView, Spent, Store, StoreError, Written,
    testing::{
        TestClock,
        conformance::{Subject, every_behaviour},
    },
};
use idem_sqlite::SqliteStore;

/// Many times as long as a write that waits for the disk and for its turn.
const TICK: Duration = Duration::from_millis(150);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_file_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let next = AtomicU32::new(0);
    every_behaviour(|| async {
        let file = directory
            .path()
            .join(format!("{}.db", next.fetch_add(1, Relaxed)));
        let store = SqliteStore::connect(&format!("sqlite:{}", file.display()))
            .await
            .unwrap();
        store.migrate().await.unwrap();
        Subject::new(Arc::new(store), TestClock::real(TICK))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_tables_of_its_own_beside_others_in_one_file() {
    let place = Place::new();
    let next = AtomicU32::new(0);
    every_behaviour(|| async {
        let table = format!("slots_{}", next.fetch_add(1, Relaxed));
        let store = place.builder().table(table).connect().await.unwrap();
        store.migrate().await.unwrap();
        Subject::new(Arc::new(store), TestClock::real(TICK))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_two_processes_of_one_file_in_turn() {
    let place = Place::new();
    let pair = Arc::new(InTurn {
        stores: [place.store().await, place.store().await],
        next: AtomicU32::new(0),
    });
    every_behaviour(|| async { Subject::new(Arc::clone(&pair), TestClock::real(TICK)) }).await;
    assert!(pair.next.load(Relaxed) > 100, "the verbs went to the pair");
}

/// Sends each verb to the next of two stores.
struct InTurn {
    stores: [SqliteStore; 2],
    next: AtomicU32,
}

impl InTurn {
    fn next(&self) -> &SqliteStore {
        let [one, other] = &self.stores;
        if self.next.fetch_add(1, Relaxed).is_multiple_of(2) {
            one
        } else {
            other
        }
    }
}

impl Store for InTurn {
    async fn claim(&self, request: ClaimRequest) -> Result<Claim, StoreError> {
        self.next().claim(request).await
    }

    async fn renew(&self, grant: Grant, lease: Duration) -> Result<Written, StoreError> {
        self.next().renew(grant, lease).await
    }

    async fn checkpoint(&self, grant: Grant, step: Checkpoint) -> Result<Written, StoreError> {
        self.next().checkpoint(grant, step).await
    }

    async fn complete(
        &self,
        grant: Grant,
        record: Bytes,
        retention: Retention,
    ) -> Result<Written, StoreError> {
        self.next().complete(grant, record, retention).await
    }

    async fn release(&self, grant: Grant, ttl: Duration) -> Result<Written, StoreError> {
        self.next().release(grant, ttl).await
    }

    async fn inspect(&self, slot: Slot) -> Result<Option<SlotView>, StoreError> {
        self.next().inspect(slot).await
    }

    async fn list(&self, query: ListQuery) -> Result<Page, StoreError> {
        self.next().list(query).await
    }

    async fn resolve(
        &self,
        slot: Slot,
        fence: Fence,
        operator: OwnerId,
        resolution: Resolution,
    ) -> Result<Resolved, StoreError> {
        self.next().resolve(slot, fence, operator, resolution).await
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.next().health().await
    }

    fn meters(&self) -> bool {
        self.next().meters()
    }

    async fn spend(
        &self,
        tag: ScopeTag,
        bytes: u64,
        window: Duration,
    ) -> Result<Spent, StoreError> {
        self.next().spend(tag, bytes, window).await
    }
}
