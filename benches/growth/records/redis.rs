//! A server for each size.

use idem_axum::RedisStore;
use idem_servers::Redis;

use super::{
    Filled,
    executions::{PATIENCE, fill, runtime},
};

pub(crate) async fn filled(sizes: &[usize]) -> (Vec<Filled>, Vec<Redis>) {
    let (mut stores, mut servers) = (Vec::new(), Vec::new());
    for &records in sizes {
        let redis = Redis::start().await;
        let store = RedisStore::builder(redis.url()).command_timeout(PATIENCE);
        let runtime = runtime(store.connect().await.unwrap());
        let before = used(&redis).await;
        fill("Redis", &runtime, records).await;
        stores.push(Filled {
            runtime,
            records,
            bytes: Some((used(&redis).await - before) / records as f64),
        });
        servers.push(redis);
    }
    (stores, servers)
}

async fn used(redis: &Redis) -> f64 {
    redis.info("memory").await["used_memory"].parse().unwrap()
}
