//! Each topology starts, answers, and survives what it is there for.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test"
)]

use std::time::Instant;

use idem_servers::{
    Cluster, ClusterOptions, Redis, Replicated, SentinelOptions, Sentinels, slot_of, until,
};
use redis::Value;

async fn set(redis: &Redis, key: &str, value: &str) {
    assert_eq!(redis.command(&["SET", key, value]).await, Value::Okay);
}

async fn get(redis: &Redis, key: &str) -> Option<String> {
    redis.query(&["GET", key]).await.unwrap()
}

#[tokio::test]
async fn one_server() {
    let redis = Redis::start_with(&[("appendonly", "yes"), ("appendfsync", "always")]).await;
    set(&redis, "k", "v").await;
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut eval = redis::cmd("EVAL");
    eval.arg("return redis.call('GET', KEYS[1])")
        .arg(1)
        .arg("k");
    let value: String = eval.query_async(&mut connection).await.unwrap();
    assert_eq!(value, "v");
    assert_eq!(
        (redis.calls("eval").await, redis.calls("mget").await),
        (1, 0)
    );

    let client = redis::Client::open(redis.socket_url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let value: String = redis::cmd("GET")
        .arg("k")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(value, "v");

    redis.kill();
    assert!(redis.query::<Value>(&["PING"]).await.is_err());
    redis.restart().await;
    assert_eq!(get(&redis, "k").await.as_deref(), Some("v"));

    redis.stop();
    assert!(redis.is_running() && !redis.is_awake());
    redis.resume();
    assert_eq!(
        redis.info("server").await["tcp_port"],
        redis.port().to_string()
    );
}

#[tokio::test]
async fn a_password_is_the_servers_own_matter() {
    let redis = Redis::start_with(&[("requirepass", "secret")]).await;
    set(&redis, "k", "v").await;
    let client = redis::Client::open(redis.url()).unwrap();
    let mut stranger = client.get_multiplexed_async_connection().await.unwrap();
    let refused = redis::cmd("GET")
        .arg("k")
        .query_async::<Value>(&mut stranger)
        .await;
    assert_eq!(refused.unwrap_err().code(), Some("NOAUTH"));
}

#[tokio::test]
#[should_panic(expected = "Bad directive")]
async fn a_server_that_does_not_start_says_why() {
    let _ = Redis::start_with(&[("no-such-directive", "1")]).await;
}

#[tokio::test]
async fn replicas_follow_the_master() {
    for via_proxy in [false, true] {
        let start = Instant::now();
        let servers = Replicated::start(2, via_proxy).await;
        println!("replicated({via_proxy}): {:?}", start.elapsed());
        set(&servers.master, "k", "v").await;
        for replica in &servers.replicas {
            until("it arrives", async || get(replica, "k").await.is_some()).await;
            let info = replica.info("replication").await;
            assert_eq!(info["master_port"], servers.port().to_string());
        }
    }
}

async fn sentinel_fails_over(options: SentinelOptions) {
    let start = Instant::now();
    let sentinels = Sentinels::start_with(&options).await;
    println!("sentinels: {:?}", start.elapsed());
    let old = sentinels.master_port().await;
    assert_eq!(old, sentinels.servers.port());
    set(&sentinels.servers.master, "k", "v").await;
    until("it arrives", async || {
        get(&sentinels.servers.replicas[0], "k").await.is_some()
    })
    .await;
    if options.via_proxy {
        sentinels.proxy().die();
    }
    sentinels.servers.master.kill();
    let start = Instant::now();
    let new = sentinels.until_failover(old).await;
    println!("sentinels failed over: {:?}", start.elapsed());
    let server = sentinels.server(new);
    assert_eq!(get(server, "k").await.as_deref(), Some("v"));
    set(server, "k", "w").await;
    sentinels.bring_back().await;
    until("the write since then has come back, too", async || {
        get(&sentinels.servers.master, "k").await.as_deref() == Some("w")
    })
    .await;
}

#[tokio::test]
async fn sentinels_replace_a_master() {
    sentinel_fails_over(SentinelOptions::default()).await;
}

#[tokio::test]
async fn sentinels_replace_a_master_behind_a_proxy() {
    sentinel_fails_over(SentinelOptions {
        via_proxy: true,
        replicas: 2,
        ..SentinelOptions::default()
    })
    .await;
}

async fn cluster_fails_over(options: ClusterOptions) {
    let start = Instant::now();
    let via_proxy = options.via_proxy;
    let cluster = Cluster::start_with(options).await;
    println!("cluster: {:?}", start.elapsed());
    let old = cluster.master_of_key("k").await;
    let node = cluster.node(old);
    assert_eq!(node.redis.port() == node.port(), !via_proxy);
    set(&node.redis, "k", "v").await;
    let replica = cluster.replicas_of(old).await[0];
    let replica = &cluster.node(replica).redis;
    let master_port = replica.info("replication").await["master_port"].clone();
    assert_eq!(master_port, node.port().to_string());
    let arrived = async || {
        !replica
            .query::<Value>(&["DBSIZE"])
            .await
            .unwrap()
            .eq(&Value::Int(0))
    };
    until("it arrives", arrived).await;
    // A redirect names the announced port.
    let other = cluster.node((old + 1) % 3);
    let moved = other.redis.query::<Value>(&["GET", "k"]).await.unwrap_err();
    let place = format!("{} 127.0.0.1:{}", slot_of("k"), node.port());
    assert!(moved.to_string().contains(&place), "{moved} {place}");

    node.redis.kill();
    let start = Instant::now();
    let new = cluster.until_failover(old).await;
    println!("cluster failed over: {:?}", start.elapsed());
    assert_eq!(cluster.master_of_key("k").await, new);
    assert_eq!(
        get(&cluster.node(new).redis, "k").await.as_deref(),
        Some("v")
    );
    // The old one comes back as a replica.
    node.redis.restart().await;
    until("it follows", async || {
        cluster.replicas_of(new).await == [old]
            && node.redis.info("replication").await["master_link_status"] == "up"
    })
    .await;
}

/// Everything can be used from a task that moves between threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_any_thread() {
    let work = tokio::spawn(async {
        let redis = Redis::start().await;
        until("it answers", async || {
            redis.query::<Value>(&["PING"]).await.is_ok()
        })
        .await;
        redis.restart().await;
    });
    let sentinels = tokio::spawn(async {
        let sentinels = Sentinels::start(false).await;
        let old = sentinels.master_port().await;
        sentinels.servers.master.kill();
        sentinels.until_failover(old).await
    });
    let cluster = tokio::spawn(async {
        let cluster = Cluster::start().await;
        cluster.migrate_slot(0, 0, 1).await;
        cluster.node(2).redis.kill();
        cluster.until_failover(2).await
    });
    work.await.unwrap();
    sentinels.await.unwrap();
    assert_eq!(cluster.await.unwrap(), 5);
}

#[tokio::test]
async fn a_cluster_replaces_a_master() {
    cluster_fails_over(ClusterOptions::default()).await;
}

#[tokio::test]
async fn a_cluster_replaces_a_master_behind_a_proxy() {
    cluster_fails_over(ClusterOptions {
        via_proxy: true,
        ..ClusterOptions::default()
    })
    .await;
}

#[tokio::test]
async fn a_slot_moves() {
    let cluster = Cluster::start_with(ClusterOptions {
        replicas_per_master: 0,
        ..ClusterOptions::default()
    })
    .await;
    let slot = slot_of("k");
    let from = cluster.master_of(slot).await;
    let to = (from + 1) % 3;
    let (source, target) = (&cluster.node(from).redis, &cluster.node(to).redis);
    set(source, "k", "v").await;

    cluster.begin_migration(slot, from, to).await;
    assert_eq!(get(source, "k").await.as_deref(), Some("v"));
    let ask = source.query::<Value>(&["GET", "{k}2"]).await.unwrap_err();
    assert_eq!(ask.code(), Some("ASK"));
    assert_eq!(cluster.migrate_keys(slot, from, to).await, 1);
    let ask = source.query::<Value>(&["GET", "k"]).await.unwrap_err();
    assert_eq!(ask.code(), Some("ASK"));
    cluster.finish_migration(slot, from, to).await;
    assert_eq!(get(target, "k").await.as_deref(), Some("v"));
    assert_eq!(cluster.master_of(slot).await, to);

    cluster.migrate_slot(slot, to, from).await;
    assert_eq!(get(source, "k").await.as_deref(), Some("v"));
    let own = source
        .query::<u16>(&["CLUSTER", "KEYSLOT", "a{b}c{d}"])
        .await;
    assert_eq!(own.unwrap(), slot_of("a{b}c{d}"));
}
