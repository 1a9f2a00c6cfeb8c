//! A server that is slow, stopped, killed, restarted, or at the end of a broken line.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{RETENTION, again, completed, connect, grant, insist, recorded, request, told, won};
use idem_core::{Claim, Store, StoreError, Written};
use idem_redis::{RedisStore, RedisStoreBuilder};
use idem_servers::{Proxy, Redis};
use tokio::time::timeout;

const MS: Duration = Duration::from_millis(1);
/// Far more than any verb may take here.
const IN_TIME: Duration = Duration::from_secs(5);

fn quick(url: &str) -> RedisStoreBuilder {
    RedisStore::builder(url)
        .command_timeout(300 * MS)
        .connect_timeout(300 * MS)
        .reconnect(5 * MS, 50 * MS)
}

async fn fails(store: &RedisStore) -> StoreError {
    let claim = timeout(IN_TIME, store.claim(request())).await;
    claim.expect("a verb ends at its deadline").unwrap_err()
}

#[tokio::test]
async fn a_claim_whose_answer_comes_too_late_is_the_same_claim() {
    let redis = Redis::start().await;
    let store = quick(&redis.url()).connect().await.unwrap();
    let request = request();
    redis.command(&["CLIENT", "PAUSE", "1000", "WRITE"]).await;
    let error = store.claim(request).await.unwrap_err();
    assert!(error.is_ambiguous(), "{error:?}");
    // It was applied in the end, and asked for again it is won once more.
    let claim = insist(|| store.claim(request)).await.unwrap();
    assert_eq!(won(&claim).attempt, 1);
    let other = store.claim(again(request)).await.unwrap();
    assert!(matches!(other, Claim::InFlight { .. }), "{other:?}");
}

#[tokio::test]
async fn a_stopped_server_fails_verbs_in_time_and_is_found_again() {
    let redis = Redis::start().await;
    // A verb does not wait until a connection is given up.
    let store = quick(&redis.url()).connect_timeout(3_000 * MS);
    let store = store.connect().await.unwrap();
    let request = completed(&store, "answer").await;
    redis.stop();
    let error = fails(&store).await;
    assert!(error.is_ambiguous(), "{error:?}");
    // Silent for that long, the connection is given up; a stopped server takes
    // new ones and does not greet, so nothing more is sent to it.
    let mut tries = 0;
    loop {
        let error = fails(&store).await;
        assert!(error.is_transient(), "{error:?}");
        if !error.is_ambiguous() {
            assert!(told(&error).contains("no connection"), "{}", told(&error));
            break;
        }
        tries += 1;
        assert!(tries < 10, "{error:?}");
    }
    redis.resume();
    let claim = insist(|| store.claim(again(request))).await.unwrap();
    assert_eq!(recorded(&claim), "answer");
}

#[tokio::test]
async fn a_killed_server_is_said_to_be_unreachable_and_found_again_with_its_records() {
    let file = [("appendonly", "yes"), ("appendfsync", "always")];
    let redis = Redis::start_with(&file).await;
    let store = quick(&redis.url()).connect().await.unwrap();
    let before = completed(&store, "answer").await;
    redis.kill();
    // The first may have gone out on the connection that breaks.
    let _ = store.claim(request()).await;
    let error = fails(&store).await;
    assert!(matches!(error, StoreError::Unreachable(_)), "{error:?}");
    assert!(
        told(&error).contains(&redis.port().to_string()),
        "{}",
        told(&error)
    );
    assert!(store.health().await.is_err());
    redis.restart().await;
    let claim = insist(|| store.claim(again(before))).await.unwrap();
    assert_eq!(recorded(&claim), "answer");
    insist(|| store.health()).await.unwrap();
}

#[tokio::test]
async fn a_reply_lost_with_its_connection_leaves_open_whether_it_was_applied() {
    let redis = Redis::start().await;
    let proxy = Proxy::start(redis.port()).await;
    let store = quick(&proxy.url()).connect().await.unwrap();
    completed(&store, "answer").await;
    proxy.reset_after_request(1);
    let error = fails(&store).await;
    assert_eq!(proxy.lost_replies(), 1);
    assert!(error.is_ambiguous() && error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn who_is_not_let_in_neither_knocks_all_the_time_nor_waits() {
    let redis = Redis::start().await;
    let pause = 10 * common::SECOND;
    let store = RedisStore::builder(redis.url()).reconnect(pause, pause);
    let store = store.connect().await.unwrap();
    let mut inside = redis.connection().await;
    let mut ask = async |words: &[&str]| {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command
            .query_async::<redis::Value>(&mut inside)
            .await
            .unwrap()
    };
    ask(&["CONFIG", "SET", "maxclients", "1"]).await;
    ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
    for number in 0..200 {
        let error = store.claim(request()).await.unwrap_err();
        // The first may have gone out on the connection that was killed. None
        // waits for the next attempt until its time is up.
        let at_once =
            matches!(error, StoreError::Unreachable(_)) && !told(&error).contains("within");
        assert!(at_once || number == 0, "{number}: {error:?}");
    }
    let redis::Value::BulkString(stats) = ask(&["INFO", "stats"]).await else {
        panic!("INFO is a text");
    };
    let stats = String::from_utf8(stats).unwrap();
    let rejected = stats
        .lines()
        .find_map(|line| line.strip_prefix("rejected_connections:"));
    let rejected: u32 = rejected.unwrap().parse().unwrap();
    assert!(
        (1..=3).contains(&rejected),
        "{rejected} attempts to connect"
    );
}

#[tokio::test]
async fn a_line_that_loses_every_reply_is_given_up_and_nothing_is_applied_twice() {
    let redis = Redis::start().await;
    let proxy = Proxy::start(redis.port()).await;
    let store = quick(&proxy.url()).connect().await.unwrap();
    // From here on the server knows the scripts.
    completed(&store, "answer").await;
    let request = request();
    let fence = won(&store.claim(request).await.unwrap()).fence;
    let grant = grant(&request, fence);

    proxy.drop_replies();
    let error = store
        .complete(grant, Bytes::from("first"), RETENTION)
        .await
        .unwrap_err();
    assert!(error.is_ambiguous(), "{error:?}");
    proxy.heal();
    // Applied: what is sent again changes nothing.
    let again_sent = || store.complete(grant, Bytes::from("second"), RETENTION);
    assert_eq!(insist(again_sent).await.unwrap(), Written::Done);
    let claim = insist(|| store.claim(again(request))).await.unwrap();
    assert_eq!(recorded(&claim), "first");
}

#[tokio::test]
async fn a_line_that_swallows_everything_is_replaced() {
    let redis = Redis::start().await;
    let proxy = Proxy::start(redis.port()).await;
    let store = quick(&proxy.url()).connect().await.unwrap();
    completed(&store, "answer").await;
    proxy.blackhole();
    let error = fails(&store).await;
    assert!(matches!(error, StoreError::TimedOut(_)), "{error:?}");
    // The old connection would stay silent for ever: no word comes of a machine
    // that is gone. Healed, the proxy closes nothing that was open.
    let replaced = fails(&store).await;
    assert!(
        matches!(replaced, StoreError::Unreachable(_)),
        "{replaced:?}"
    );
    proxy.heal();
    insist(|| store.claim(request())).await.unwrap();
}

/// What one caller gives up on is nobody else's answer.
#[tokio::test]
async fn replies_go_to_those_who_asked_also_when_others_have_given_up() {
    let redis = Redis::start().await;
    let store = connect(&redis.url()).await;
    let known = completed(&store, "answer").await;
    for _ in 0..200 {
        let abandoned = store.claim(request());
        // Sent, and dropped before its reply is read.
        let _ = timeout(Duration::ZERO, abandoned).await;
        let claim = store.claim(again(known)).await.unwrap();
        assert_eq!(recorded(&claim), "answer");
    }
}
