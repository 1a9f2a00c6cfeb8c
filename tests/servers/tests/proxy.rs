//! What each mode of the proxy does to a client.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test"
)]

use std::time::{Duration, Instant};

use idem_servers::{Proxy, Redis, until};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisResult};

/// How long a client waits for what will not come.
const SILENCE: Duration = Duration::from_millis(200);

async fn connect(proxy: &Proxy) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(SILENCE))
        .set_response_timeout(Some(SILENCE));
    Client::open(proxy.url())?
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

/// Counts up by a script.
async fn incr(connection: &mut MultiplexedConnection) -> RedisResult<u64> {
    let mut eval = redis::cmd("EVAL");
    eval.arg("return redis.call('INCR', KEYS[1])")
        .arg(1)
        .arg("n");
    eval.query_async(connection).await
}

async fn count(redis: &Redis) -> u64 {
    let count = redis.query::<Option<u64>>(&["GET", "n"]).await.unwrap();
    count.unwrap_or(0)
}

async fn start() -> (Redis, Proxy, MultiplexedConnection) {
    let redis = Redis::start().await;
    let proxy = Proxy::start(redis.port()).await;
    let mut connection = connect(&proxy).await.unwrap();
    assert_eq!(incr(&mut connection).await.unwrap(), 1);
    (redis, proxy, connection)
}

#[tokio::test]
async fn everything_passes() {
    let (_redis, proxy, mut connection) = start().await;
    let long = "x".repeat(3_000_000);
    let mut echo = redis::cmd("ECHO");
    let back: String = echo.arg(&long).query_async(&mut connection).await.unwrap();
    assert!(back == long);
    assert_eq!(proxy.connections(), 1);
    drop(connection);
    until("it is closed", async || proxy.connections() == 0).await;
}

#[tokio::test]
async fn a_dropped_reply_is_silence_about_what_was_done() {
    let (redis, proxy, mut connection) = start().await;
    proxy.drop_replies();
    assert!(incr(&mut connection).await.unwrap_err().is_timeout());
    until("it is applied", async || count(&redis).await == 2).await;
    assert!(connect(&proxy).await.is_err());
    proxy.heal();
    // The old connection is closed, lest it take a later answer for an earlier one.
    until("it is closed", async || proxy.connections() == 0).await;
    assert!(incr(&mut connection).await.is_err());
    let mut connection = connect(&proxy).await.unwrap();
    assert_eq!(incr(&mut connection).await.unwrap(), 3);
}

#[tokio::test]
async fn what_is_delayed_arrives_all_the_same() {
    let (redis, proxy, mut connection) = start().await;
    proxy.delay(2 * SILENCE);
    assert!(incr(&mut connection).await.unwrap_err().is_timeout());
    until("it is applied", async || count(&redis).await == 2).await;
    proxy.heal();
    let mut connection = connect(&proxy).await.unwrap();
    assert_eq!(incr(&mut connection).await.unwrap(), 3);
}

#[tokio::test]
async fn a_lost_reply_is_a_reset_after_the_request_was_applied() {
    let (redis, proxy, mut old) = start().await;
    proxy.reset_after_request(2);
    assert!(incr(&mut old).await.unwrap_err().is_connection_dropped());
    assert_eq!((proxy.lost_replies(), count(&redis).await), (1, 2));
    // A client that connects and asks does not count before it calls a script.
    let mut fresh = connect(&proxy).await.unwrap();
    redis::cmd("PING")
        .query_async::<()>(&mut fresh)
        .await
        .unwrap();
    assert_eq!(proxy.lost_replies(), 1);
    assert!(incr(&mut fresh).await.unwrap_err().is_connection_dropped());
    assert_eq!((proxy.lost_replies(), count(&redis).await), (2, 3));
    let mut last = connect(&proxy).await.unwrap();
    assert_eq!(incr(&mut last).await.unwrap(), 4);
}

#[tokio::test]
async fn refused_and_cut() {
    let (redis, proxy, mut connection) = start().await;
    proxy.refuse();
    assert!(incr(&mut connection).await.is_err());
    assert!(connect(&proxy).await.is_err());
    assert_eq!(count(&redis).await, 1);
    proxy.heal();
    let mut connection = connect(&proxy).await.unwrap();
    assert_eq!(incr(&mut connection).await.unwrap(), 2);
    proxy.cut();
    assert!(incr(&mut connection).await.is_err());
    let mut connection = connect(&proxy).await.unwrap();
    assert_eq!(incr(&mut connection).await.unwrap(), 3);
}

#[tokio::test]
async fn in_a_black_hole_nothing_passes_and_nothing_ends() {
    let (redis, proxy, mut connection) = start().await;
    proxy.blackhole();
    assert!(incr(&mut connection).await.unwrap_err().is_timeout());
    assert!(connect(&proxy).await.unwrap_err().is_timeout());
    assert_eq!(count(&redis).await, 1);
    proxy.heal();
    // What was sent arrives late, and the connection is as good as before.
    until("it arrives", async || count(&redis).await == 2).await;
    assert_eq!(incr(&mut connection).await.unwrap(), 3);

    proxy.blackhole();
    assert!(incr(&mut connection).await.unwrap_err().is_timeout());
    proxy.cut();
    until("all are closed", async || proxy.connections() == 0).await;
    proxy.heal();
    let mut connection = connect(&proxy).await.unwrap();
    assert_eq!(incr(&mut connection).await.unwrap(), 4);
}

#[tokio::test]
async fn a_dropped_proxy_closes_everything() {
    let (redis, proxy, mut connection) = start().await;
    let (port, start) = (proxy.port(), Instant::now());
    drop(proxy);
    assert!(incr(&mut connection).await.is_err());
    assert!(
        tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
    );
    assert!(start.elapsed() < Duration::from_secs(10));
    until("the server's clients are gone", async || {
        redis.info("clients").await["connected_clients"] == "1"
    })
    .await;
}

#[tokio::test]
async fn nobody_behind_is_a_reset() {
    let (redis, proxy, mut connection) = start().await;
    redis.kill();
    assert!(incr(&mut connection).await.is_err());
    assert!(connect(&proxy).await.is_err());
    redis.restart().await;
    let mut connection = connect(&proxy).await.unwrap();
    assert_eq!(incr(&mut connection).await.unwrap(), 1);
}
