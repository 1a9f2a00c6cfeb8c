//! Failovers that lose what no replica has: with `min_replicas` nothing happens twice, and
//! without it something does, which shows that the test can see it.
//!
//! A master that is killed on loopback loses nothing, because the kernel still delivers its
//! bytes. So each master stands behind a proxy, which stalls the replication for a while under
//! load and dies with the master, and what it held is gone.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::join_all;
use idem_core::{OnceError, Overrides, Policy, Runtime, Scope};
use idem_redis::RedisStore;
use idem_servers::{Cluster, ClusterOptions, Proxy, Redis, SentinelOptions, Sentinels};
use tokio::time::{Instant, sleep};

const KEYS: usize = 300;
const BETWEEN: Duration = Duration::from_millis(2);
/// When the replication stalls, and when its master dies.
const STALL: Duration = Duration::from_millis(200);
const DEATH: Duration = Duration::from_millis(400);
const PATIENCE: Duration = Duration::from_secs(40);

async fn runtime(url: &str, min_replicas: u32) -> Runtime {
    let mut store = RedisStore::builder(url);
    if min_replicas > 0 {
        store = store.min_replicas(min_replicas, Duration::from_millis(100));
    }
    let policy = Policy {
        lease: Duration::from_secs(4),
        ..Policy::default()
    };
    let runtime = Runtime::builder(store.connect().await.unwrap()).policy(policy);
    runtime.build().unwrap()
}

/// What happened, by key.
#[derive(Clone, Default)]
struct Effects(Arc<Mutex<HashMap<usize, u32>>>);

impl Effects {
    fn happen(&self, key: usize) -> u32 {
        let mut effects = self.0.lock().unwrap();
        let count = effects.entry(key).or_default();
        *count += 1;
        *count
    }

    fn twice(&self) -> usize {
        self.0
            .lock()
            .unwrap()
            .values()
            .filter(|count| **count > 1)
            .count()
    }
}

/// Asks under one key until there is an answer, as a client does.
async fn ask(runtime: &Runtime, effects: &Effects, key: usize) -> u32 {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (effects, name) = (effects.clone(), format!("k{key}"));
        let work = || async move { Ok::<_, std::convert::Infallible>(effects.happen(key)) };
        let answer = runtime
            .once_with(&Overrides::NONE, "pay", &Scope::GLOBAL, &name, &key, work)
            .await;
        match answer {
            Ok(once) => return once.value,
            Err(OnceError::Store(_) | OnceError::InProgress { .. }) => {
                assert!(
                    Instant::now() < deadline,
                    "key {key} has no answer: {answer:?}"
                );
                sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("key {key}: {error:?}"),
        }
    }
}

/// One key after the other while the master fails, then every key again from
/// another node. Answers how many keys had two effects.
async fn twice(url: &str, min_replicas: u32, fail: impl Future<Output = ()>) -> usize {
    let first = runtime(url, min_replicas).await;
    let effects = Effects::default();
    let started = Instant::now();
    let load = join_all((0..KEYS).map(|key| {
        let (first, effects) = (first.clone(), effects.clone());
        tokio::spawn(async move {
            tokio::time::sleep_until(started + BETWEEN * u32::try_from(key).unwrap()).await;
            ask(&first, &effects, key).await
        })
    }));
    let (answers, ()) = tokio::join!(load, fail);

    let other = runtime(url, min_replicas).await;
    let again = join_all((0..KEYS).map(|key| ask(&other, &effects, key))).await;
    let changed = answers.into_iter().zip(again);
    let changed = changed.filter(|(before, after)| before.as_ref().unwrap() != after);
    let twice = effects.twice();
    assert_eq!(
        changed.count(),
        twice,
        "an answer has changed without an effect"
    );
    twice
}

async fn stall_and_die(proxy: &Proxy, master: &Redis) {
    sleep(STALL).await;
    proxy.freeze_replication();
    sleep(DEATH - STALL).await;
    proxy.die();
    master.kill();
}

async fn with_sentinels(min_replicas: u32) -> usize {
    let servers = Sentinels::start_with(&SentinelOptions {
        via_proxy: true,
        ..SentinelOptions::default()
    })
    .await;
    let old = servers.master_port().await;
    let fail = async {
        stall_and_die(servers.proxy(), &servers.servers.master).await;
        servers.until_failover(old).await;
        // Until its successor has a replica, every write is refused.
        servers.bring_back().await;
    };
    Box::pin(twice(&servers.url(), min_replicas, fail)).await
}

async fn with_a_cluster(min_replicas: u32) -> usize {
    let servers = Cluster::start_with(ClusterOptions {
        via_proxy: true,
        ..ClusterOptions::default()
    })
    .await;
    let master = servers.node(0);
    let proxy = master.proxy.as_ref().unwrap();
    let fail = async {
        stall_and_die(proxy, &master.redis).await;
        servers.until_failover(0).await;
        // As a replica of its successor.
        proxy.heal();
        master.redis.restart().await;
    };
    Box::pin(twice(&servers.url(), min_replicas, fail)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinel_with_a_replica_for_every_write_loses_nothing() {
    assert_eq!(with_sentinels(1).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinel_without_loses_what_no_replica_had() {
    let twice = with_sentinels(0).await;
    println!("{twice} of {KEYS} keys had two effects");
    assert!(twice > 0, "nothing was lost: the test sees nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_with_a_replica_for_every_write_loses_nothing() {
    assert_eq!(with_a_cluster(1).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_without_loses_what_no_replica_had() {
    let twice = with_a_cluster(0).await;
    println!("{twice} of {KEYS} keys had two effects");
    assert!(twice > 0, "nothing was lost: the test sees nothing");
}
