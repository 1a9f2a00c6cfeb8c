//! Files, claims, and a table for the work's writes.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::panic,
    clippy::unwrap_used,
    reason = "each test file uses a part"
)]

use std::{path::Path, time::Duration};

use bytes::Bytes;
use idem_core::{
    Begun, Claim, ClaimRequest, Claimed, Fingerprint, Grant, OnCrash, OwnerId, Retention, Slot,
    Store, Transactional, Written,
};
use idem_sqlite::{OpenTransaction, Sqlite, SqliteStore, SqliteStoreBuilder};
use sqlx::SqliteConnection;

pub const RETENTION: Retention = Retention {
    ttl: Duration::from_secs(60),
    grace: Duration::from_secs(60),
};

pub const RECORD: &[u8] = b"the record";

pub fn builder(directory: &Path) -> SqliteStoreBuilder {
    SqliteStore::builder(format!("sqlite:{}/slots.db", directory.display()))
}

/// A store on the directory's file, migrated, with a table `effects`.
pub async fn store(directory: &Path) -> SqliteStore {
    ready(builder(directory)).await
}

pub async fn ready(builder: SqliteStoreBuilder) -> SqliteStore {
    let store = builder.connect().await.unwrap();
    store.migrate().await.unwrap();
    sqlx::raw_sql("CREATE TABLE IF NOT EXISTS effects (name TEXT)")
        .execute(store.writer())
        .await
        .unwrap();
    store
}

pub fn request(slot: [u8; 32]) -> ClaimRequest {
    ClaimRequest {
        slot: Slot::from_bytes(slot),
        fingerprint: Fingerprint::from_bytes([7; 32]),
        owner: OwnerId::random(),
        lease: Duration::from_secs(30),
        retention: RETENTION,
        on_crash: OnCrash::TakeOver,
    }
}

pub fn other_fingerprint(mut request: ClaimRequest) -> ClaimRequest {
    request.owner = OwnerId::random();
    request.fingerprint = Fingerprint::from_bytes([8; 32]);
    request
}

pub async fn claim_and_complete(store: &SqliteStore, slot: [u8; 32]) -> Slot {
    let request = request(slot);
    let grant = claimed(store, request).await;
    let record = Bytes::from_static(RECORD);
    let written = store.complete(grant, record, RETENTION).await;
    assert_eq!(written.unwrap(), Written::Done);
    request.slot
}

pub async fn claimed(store: &SqliteStore, request: ClaimRequest) -> Grant {
    match store.claim(request).await.unwrap() {
        Claim::Claimed(claimed) => grant(&request, &claimed),
        other => panic!("{other:?}"),
    }
}

fn grant(request: &ClaimRequest, claimed: &Claimed) -> Grant {
    Grant {
        slot: request.slot,
        owner: request.owner,
        fence: claimed.fence,
    }
}

pub async fn begun(
    store: &SqliteStore,
    request: ClaimRequest,
) -> (OpenTransaction<Sqlite>, Grant, Claimed) {
    match store.begin(request).await.unwrap() {
        Begun::Claimed(transaction, claimed) => (transaction, grant(&request, &claimed), claimed),
        Begun::Not(claim) => panic!("{claim:?}"),
    }
}

pub async fn met(store: &SqliteStore, request: ClaimRequest) -> Claim {
    match store.begin(request).await.unwrap() {
        Begun::Claimed(_, claimed) => panic!("{claimed:?}"),
        Begun::Not(claim) => claim,
    }
}

pub async fn effect(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO effects VALUES ('x')")
        .execute(connection)
        .await?;
    Ok(())
}

pub async fn effects(store: &SqliteStore) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM effects")
        .fetch_one(store.readers())
        .await
        .unwrap()
}
