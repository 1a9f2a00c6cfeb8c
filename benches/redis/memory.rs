//! What a record takes at the server beside its payload.

use axum::body::Bytes;
use futures_util::{StreamExt, stream};
use idem_axum::{RedisStore, Store};
use idem_servers::Redis;

use crate::{
    commands::{RETENTION, claim},
    measure::Effort,
};

pub(crate) async fn count(effort: Effort) {
    println!("\n| payload | bytes a record | a bare `SET` of it with an expiry | idem's own |");
    println!("| --- | --- | --- | --- |");
    for payload in [0, 256, 1024, 16 * 1024] {
        let record = Bytes::from(vec![b'x'; payload]);
        let redis = Redis::start().await;
        let store = RedisStore::connect(&redis.url()).await.unwrap();
        let kept = used(&redis, effort.operations, async || {
            let grant = claim(&store).await;
            let _ = store
                .complete(grant, record.clone(), RETENTION)
                .await
                .unwrap();
        })
        .await;
        let redis = Redis::start().await;
        let connection = redis.connection().await;
        let bare = used(&redis, effort.operations, async || {
            let mut connection = connection.clone();
            redis::cmd("SET")
                .arg(format!("{:032x}", rand::random::<u128>()))
                .arg(&record[..])
                .arg("EX")
                .arg(86_400)
                .exec_async(&mut connection)
                .await
                .unwrap();
        })
        .await;
        println!(
            "| {payload} B | {kept:.0} B | {bare:.0} B | {:.0} B |",
            kept - bare
        );
    }
}

/// What each of many takes of the server's memory.
async fn used(redis: &Redis, records: usize, keep: impl AsyncFn()) -> f64 {
    let used = async || {
        let memory = redis.info("memory").await;
        memory["used_memory_dataset"].parse::<f64>().unwrap()
    };
    // The script cache and the client's buffers are there before.
    keep().await;
    let before = used().await;
    stream::iter(0..records)
        .for_each_concurrent(50, |_| keep())
        .await;
    (used().await - before) / records as f64
}
