//! What the proxy does to replication: a write can be lost, an acknowledged one cannot.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test"
)]

use std::time::Duration;

use idem_servers::{Redis, Replicated, until};

/// Writes, and waits for the acknowledgement of one replica. Returns how many there were.
async fn set_and_wait(master: &Redis, key: &str, ms: u64) -> usize {
    let mut connection = master.connection().await;
    let mut set = redis::cmd("SET");
    set.arg(key)
        .arg("v")
        .exec_async(&mut connection)
        .await
        .unwrap();
    let mut wait = redis::cmd("WAIT");
    wait.arg(1)
        .arg(ms)
        .query_async(&mut connection)
        .await
        .unwrap()
}

async fn has(redis: &Redis, key: &str) -> bool {
    redis.query::<u64>(&["EXISTS", key]).await.unwrap() == 1
}

#[tokio::test]
async fn what_was_not_acknowledged_dies_with_the_master() {
    let servers = Replicated::start(1, true).await;
    let (master, replica) = (&servers.master, &servers.replicas[0]);
    let proxy = servers.proxy.as_ref().unwrap();

    proxy.delay_replication(Duration::from_millis(300));
    assert_eq!(set_and_wait(master, "acknowledged", 5_000).await, 1);
    assert!(has(replica, "acknowledged").await);
    assert_eq!(set_and_wait(master, "lost", 50).await, 0);
    assert!(!has(replica, "lost").await);

    master.kill();
    proxy.die();
    replica.command(&["REPLICAOF", "NO", "ONE"]).await;
    until("nothing is on its way", async || proxy.connections() == 0).await;
    assert!(has(replica, "acknowledged").await && !has(replica, "lost").await);
}

#[tokio::test]
async fn a_mere_kill_loses_nothing() {
    let servers = Replicated::start(1, true).await;
    let (master, replica) = (&servers.master, &servers.replicas[0]);
    let proxy = servers.proxy.as_ref().unwrap();
    proxy.delay_replication(Duration::from_millis(300));
    assert_eq!(set_and_wait(master, "k", 50).await, 0);
    master.kill();
    assert!(!has(replica, "k").await);
    until("it arrives", async || has(replica, "k").await).await;
}

#[tokio::test]
async fn a_frozen_link_holds_until_it_heals() {
    let servers = Replicated::start(2, true).await;
    let master = &servers.master;
    let proxy = servers.proxy.as_ref().unwrap();
    proxy.freeze_replication();
    assert_eq!(set_and_wait(master, "k", 100).await, 0);
    // All else passes.
    let client = redis::Client::open(servers.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let value: String = redis::cmd("GET")
        .arg("k")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(value, "v");
    for replica in &servers.replicas {
        assert!(!has(replica, "k").await);
    }
    proxy.heal();
    for replica in &servers.replicas {
        until("it arrives", async || has(replica, "k").await).await;
    }
    // One was asked for; of two, both may have it by then.
    assert!(set_and_wait(master, "l", 5_000).await >= 1);
}

#[tokio::test]
async fn a_frozen_link_loses_all_when_its_master_dies() {
    let servers = Replicated::start(1, true).await;
    let (master, replica) = (&servers.master, &servers.replicas[0]);
    let proxy = servers.proxy.as_ref().unwrap();
    assert_eq!(set_and_wait(master, "kept", 5_000).await, 1);
    proxy.freeze_replication();
    for key in ["a", "b", "c"] {
        assert_eq!(set_and_wait(master, key, 20).await, 0);
    }
    proxy.die();
    master.kill();
    replica.command(&["REPLICAOF", "NO", "ONE"]).await;
    until("nothing is on its way", async || proxy.connections() == 0).await;
    assert_eq!(replica.query::<u64>(&["DBSIZE"]).await.unwrap(), 1);
}
