//! A server for each test process, and a database of it for each store.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::panic,
    clippy::unwrap_used,
    reason = "each test file uses a part"
)]

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;
use idem_core::{
    Claim, ClaimRequest, Fingerprint, Grant, OnCrash, OwnerId, Retention, Slot, Store, Written,
};
use idem_postgres::{PostgresStore, PostgresStoreBuilder};
use idem_servers::Postgres;

/// A store on a fresh database of the server, migrated.
pub async fn store(server: &Postgres) -> PostgresStore {
    let store = builder(server).await.connect().await.unwrap();
    store.migrate().await.unwrap();
    store
}

/// A store-to-be on a fresh database of the server.
pub async fn builder(server: &Postgres) -> PostgresStoreBuilder {
    PostgresStore::builder(database(server).await)
}

/// The address of a fresh database.
pub async fn database(server: &Postgres) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("d{}", NEXT.fetch_add(1, Relaxed));
    server.create_database(&name).await;
    server.url_of(&name)
}

/// A claim of the slot with these bytes, by a new owner.
pub fn request(slot: [u8; 32]) -> ClaimRequest {
    ClaimRequest {
        slot: Slot::from_bytes(slot),
        fingerprint: Fingerprint::from_bytes([7; 32]),
        owner: OwnerId::random(),
        lease: Duration::from_secs(30),
        retention: RETENTION,
        on_crash: OnCrash::TakeOver,
        alias: None,
    }
}

pub const RETENTION: Retention = Retention {
    ttl: Duration::from_secs(60),
    grace: Duration::from_secs(60),
};

pub const RECORD: &[u8] = b"the record";

pub async fn claim_and_complete(store: &PostgresStore, slot: [u8; 32]) -> Slot {
    let request = request(slot);
    let grant = claimed(store, request).await;
    let written = store
        .complete(grant, Bytes::from_static(RECORD), RETENTION)
        .await;
    assert_eq!(written.unwrap(), Written::Done);
    request.slot
}

pub async fn claimed(store: &PostgresStore, request: ClaimRequest) -> Grant {
    match store.claim(request).await.unwrap() {
        Claim::Claimed(claimed) => Grant {
            slot: request.slot,
            owner: request.owner,
            fence: claimed.fence,
        },
        other => panic!("{other:?}"),
    }
}
