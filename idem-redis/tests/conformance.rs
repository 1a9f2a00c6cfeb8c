//! It is a store, wherever the Redis is and whatever is between it and us.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use common::connect;
use idem_core::{
    Store,
    testing::{
        Insisting, TestClock,
        conformance::{Subject, every_behaviour},
    },
};
use idem_redis::RedisStore;
use idem_servers::{Cluster, Proxy, Redis, Replicated, Sentinels};

/// Every behaviour on its own connection to the same servers.
async fn holds<S: Store>(store: impl AsyncFn() -> S) {
    let subject = || async {
        let clock = TestClock::real(Duration::from_millis(150));
        Subject::new(Arc::new(store().await), clock)
    };
    every_behaviour(subject).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_single_server() {
    let redis = Redis::start().await;
    holds(async || connect(&redis.url()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_a_unix_socket_with_several_connections_in_another_database() {
    let redis = Redis::start().await;
    holds(async || {
        let store = RedisStore::builder(redis.socket_url()).database(3);
        let store = store.connections(3).namespace("shop");
        store.connect().await.unwrap()
    })
    .await;
    assert_eq!(redis.query::<usize>(&["DBSIZE"]).await, Ok(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_master_that_sentinels_name() {
    let servers = Sentinels::start(false).await;
    holds(async || connect(&servers.url()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_cluster() {
    let servers = Cluster::start().await;
    holds(async || connect(&servers.url()).await).await;
}

async fn waiting_for_a_replica(url: &str) -> RedisStore {
    let store = RedisStore::builder(url);
    let store = store.min_replicas(1, Duration::from_millis(400));
    store.connect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_every_write_waits_for_a_replica() {
    let servers = Replicated::start(1, false).await;
    holds(async || waiting_for_a_replica(&servers.url()).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_every_write_waits_for_a_replica_in_a_cluster() {
    let servers = Cluster::start().await;
    holds(async || waiting_for_a_replica(&servers.url()).await).await;
}

/// Invariant I8. Each verb is applied, its reply is lost with the connection,
/// and it is asked for again. The proxy is each behaviour's own, so that no
/// other's verb takes the blow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i8_when_the_reply_to_every_verb_is_lost() {
    let redis = Redis::start().await;
    let proxies = Mutex::new(Vec::new());
    holds(async || {
        let proxy = Arc::new(Proxy::start(redis.port()).await);
        let store = RedisStore::builder(proxy.url());
        let store = store.reconnect(Duration::from_millis(1), Duration::from_millis(10));
        let store = store.connect().await.unwrap();
        proxies.lock().unwrap().push(Arc::clone(&proxy));
        Insisting::new(store, move |_| proxy.reset_after_request(1))
    })
    .await;
    let proxies = proxies.into_inner().unwrap();
    let lost: u64 = proxies.iter().map(|proxy| proxy.lost_replies()).sum();
    assert!(lost > 200, "only {lost} replies were lost");
}
