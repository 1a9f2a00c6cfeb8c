//! What waiting for a replica costs, and what more connections are good for.

use std::{sync::Arc, time::Duration};

use axum::body::Bytes;
use idem_axum::{OnCrash, RedisStore, RedisStoreBuilder, Store};
use idem_core::{Claim, ClaimRequest, Fingerprint, OwnerId, Slot};
use idem_servers::{Redis, Replicated};

use crate::{
    commands::{RETENTION, claim, claims},
    measure::{Effort, print, race},
};

async fn connect(builder: RedisStoreBuilder) -> Arc<RedisStore> {
    Arc::new(builder.connect().await.unwrap())
}

/// Claims, with and without a replica that each is waited for.
pub(crate) async fn with_replicas(effort: Effort) {
    let servers = Replicated::start(1, false).await;
    let url = servers.url();
    let without = connect(RedisStore::builder(&url)).await;
    let with = RedisStore::builder(&url).min_replicas(1, Duration::from_millis(400));
    let with = connect(with).await;
    for workers in [1, 50] {
        let contestants = [
            claims("idem: claim", &without),
            claims("idem: claim, `min_replicas(1)`", &with),
        ];
        let effort = Effort {
            operations: effort.operations / 4,
            ..effort
        };
        let shown = race(&contestants, workers, effort).await;
        print(
            &format!("With a replica, {workers} at a time"),
            &contestants,
            &shown,
        );
    }
}

/// Claims while records of 1 MiB are replayed over the same connections.
pub(crate) async fn beside_large_records(effort: Effort) {
    let redis = Redis::start().await;
    let stores = [
        connect(RedisStore::builder(redis.url())).await,
        connect(RedisStore::builder(redis.url()).connections(2)).await,
        connect(RedisStore::builder(redis.url()).connections(4)).await,
    ];
    let grant = claim(&stores[0]).await;
    let record = Bytes::from(vec![b'x'; 1 << 20]);
    let _ = stores[0].complete(grant, record, RETENTION).await.unwrap();
    let replays: Vec<_> = stores
        .iter()
        .map(|store| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                loop {
                    replay(&store, grant.slot).await;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            })
        })
        .collect();
    let contestants = [
        claims("1 connection", &stores[0]),
        claims("2 connections", &stores[1]),
        claims("4 connections", &stores[2]),
    ];
    let shown = race(&contestants, 8, effort).await;
    print(
        "Claims beside replays of 1 MiB, 8 at a time",
        &contestants,
        &shown,
    );
    for replay in replays {
        replay.abort();
    }
}

async fn replay(store: &RedisStore, slot: Slot) {
    let request = ClaimRequest {
        slot,
        fingerprint: Fingerprint::from_bytes([7; 32]),
        owner: OwnerId::random(),
        lease: Duration::from_secs(30),
        retention: RETENTION,
        on_crash: OnCrash::TakeOver,
        alias: None,
    };
    let claim = store.claim(request).await.unwrap();
    assert!(matches!(claim, Claim::Completed(_)));
}
