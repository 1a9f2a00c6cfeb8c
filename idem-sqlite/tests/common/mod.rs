//! A file, stores of it, and claims.
#![allow(
    dead_code,
    unreachable_pub,
    missing_debug_implementations,
    clippy::unwrap_used,
    clippy::panic,
    reason = "shared by tests, each of which uses its part"
)]

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use idem_core::{
    Claim, ClaimRequest, Claimed, Fingerprint, Grant, OnCrash, OwnerId, Retention, Slot, Store,
};
use idem_sqlite::{SqliteStore, SqliteStoreBuilder};
use tempfile::TempDir;

pub const RETENTION: Retention = Retention {
    ttl: Duration::from_secs(3600),
    grace: Duration::from_secs(3600),
};

/// A directory of a test's own, with a place for a file.
pub struct Place(TempDir);

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> PathBuf {
        self.0.path().join("idem.db")
    }

    pub fn url(&self) -> String {
        format!("sqlite:{}", self.path().display())
    }

    pub fn builder(&self) -> SqliteStoreBuilder {
        SqliteStore::builder(self.url()).without_reaper()
    }

    /// What another process would have of the file: connections of its own, and
    /// no knowledge of this one's transactions.
    pub async fn store(&self) -> SqliteStore {
        let store = self.builder().connect().await.unwrap();
        store.migrate().await.unwrap();
        store
    }
}

pub fn request(slot: u64) -> ClaimRequest {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&slot.to_be_bytes());
    ClaimRequest {
        slot: Slot::from_bytes(bytes),
        fingerprint: Fingerprint::from_bytes([7; 32]),
        owner: OwnerId::random(),
        lease: Duration::from_secs(600),
        retention: RETENTION,
        on_crash: OnCrash::TakeOver,
        alias: None,
    }
}

pub fn with_another_payload(slot: u64) -> ClaimRequest {
    ClaimRequest {
        fingerprint: Fingerprint::from_bytes([8; 32]),
        ..request(slot)
    }
}

pub fn grant(request: &ClaimRequest, claimed: &Claimed) -> Grant {
    Grant {
        slot: request.slot,
        owner: request.owner,
        fence: claimed.fence,
    }
}

/// Claims and must win.
pub async fn won(store: &impl Store, request: ClaimRequest) -> Grant {
    match store.claim(request).await.unwrap() {
        Claim::Claimed(claimed) => grant(&request, &claimed),
        other => panic!("the claim should have been won, and is {other:?}"),
    }
}

/// Asks until it is so. The deadline is for a test that would hang.
pub async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds().await {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
