//! What a record takes at the server beside its payload.

use std::time::Duration;

use axum::body::Bytes;
use futures_util::{StreamExt, stream};
use idem_axum::{OnCrash, RedisStore, Store};
use idem_core::{Claim, ClaimRequest, Fingerprint, Grant, OwnerId, Retention, Slot};
use idem_servers::Redis;

use crate::measure::Effort;

const RETENTION: Retention = Retention {
    ttl: Duration::from_secs(24 * 60 * 60),
    grace: Duration::from_secs(24 * 60 * 60),
};

pub(crate) async fn count(effort: Effort) {
    println!("\n| record's payload | bytes a record | beside its payload |");
    println!("| --- | --- | --- |");
    for payload in [0, 256, 1024, 16 * 1024] {
        let redis = Redis::start().await;
        let store = RedisStore::connect(&redis.url()).await.unwrap();
        let used = async || {
            let memory = redis.info("memory").await;
            memory["used_memory_dataset"].parse::<f64>().unwrap()
        };
        // The script cache and the client's buffers are there before.
        keep(&store, payload).await;
        let before = used().await;
        let records = effort.operations;
        stream::iter(0..records)
            .for_each_concurrent(50, |_| keep(&store, payload))
            .await;
        let bytes = (used().await - before) / records as f64;
        println!(
            "| {payload} B | {bytes:.0} B | {:.0} B |",
            bytes - payload as f64
        );
    }
}

async fn keep(store: &RedisStore, payload: usize) {
    let request = ClaimRequest {
        slot: Slot::from_bytes(rand::random()),
        fingerprint: Fingerprint::from_bytes([7; 32]),
        owner: OwnerId::random(),
        lease: Duration::from_secs(30),
        retention: RETENTION,
        on_crash: OnCrash::TakeOver,
    };
    let Claim::Claimed(claimed) = store.claim(request).await.unwrap() else {
        panic!("an absent slot was not won");
    };
    let grant = Grant {
        slot: request.slot,
        owner: request.owner,
        fence: claimed.fence,
    };
    let record = Bytes::from(vec![b'x'; payload]);
    let _ = store.complete(grant, record, RETENTION).await.unwrap();
}
