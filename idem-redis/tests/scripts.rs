//! One script and one round trip for each verb, what they leave at the server, and what they
//! refuse to read.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{again, completed, connect, grant, recorded, request, told, won};
use futures_util::StreamExt;
use idem_core::{Checkpoint, ClaimRequest, OwnerId, Resolution, Store, StoreError, Written};
use idem_servers::Redis;

/// Commands that the server was sent, not counting those inside scripts.
async fn sent(redis: &Redis) -> u64 {
    redis.calls("evalsha").await + redis.calls("eval").await
}

#[tokio::test]
async fn each_verb_is_one_round_trip() {
    let redis = Redis::start().await;
    let store = connect(&redis.url()).await;
    // The first of each kind makes the script known.
    for round in 0..2 {
        let before = (sent(&redis).await, redis.calls("eval").await);
        let slot = ClaimRequest {
            lease: Duration::ZERO,
            ..request()
        };
        let fence = won(&store.claim(slot).await.unwrap()).fence;
        let grant = grant(&slot, fence);
        let _ = store.renew(grant, Duration::ZERO).await.unwrap();
        let step = Checkpoint {
            name: "charge".to_owned(),
            value: Bytes::from("ch_1"),
        };
        let _ = store.checkpoint(grant, step).await.unwrap();
        let _ = store.release(grant, common::MINUTE).await.unwrap();
        let resolution = Resolution::Release {
            ttl: common::MINUTE,
        };
        let _ = store
            .resolve(slot.slot, fence, OwnerId::random(), resolution)
            .await
            .unwrap();
        store.inspect(slot.slot).await.unwrap();
        completed(&store, "answer").await;
        if round > 0 {
            let after = (sent(&redis).await, redis.calls("eval").await);
            assert_eq!((after.0 - before.0, after.1 - before.1), (8, 0));
        }
    }
}

#[tokio::test]
async fn a_server_that_forgets_its_scripts_is_told_them_again() {
    let redis = Redis::start().await;
    let store = connect(&redis.url()).await;
    for _ in 0..3 {
        redis.command(&["SCRIPT", "FLUSH"]).await;
        let request = completed(&store, "answer").await;
        redis.command(&["SCRIPT", "FLUSH"]).await;
        assert_eq!(
            recorded(&store.claim(again(request)).await.unwrap()),
            "answer"
        );
        store.health().await.unwrap();
    }
}

#[tokio::test]
async fn a_slot_can_be_read_with_get() {
    let redis = Redis::start().await;
    let store = connect(&redis.url()).await;
    let request = request();
    let fence = won(&store.claim(request).await.unwrap()).fence;
    let key = format!("idem:{}", request.slot);
    let text: String = redis.query(&["GET", &key]).await.unwrap();
    let words: Vec<&str> = text.trim_end().split(' ').collect();
    let [
        version,
        state,
        number,
        attempt,
        flags,
        owner,
        fingerprint,
        span,
    ] = words[..]
    else {
        panic!("{text}");
    };
    assert_eq!((version, state), ("idem1", "in-flight"));
    assert_eq!((number, attempt, flags), ("1", "1", "-"));
    let expected = u128::from_be_bytes(*request.owner.as_bytes());
    assert_eq!(owner, format!("{expected:032x}"));
    assert_eq!(fingerprint, "07".repeat(32));
    assert_eq!(span, "660000");
    // A lease of a minute, and the retention after it.
    let left: u64 = redis.query(&["PTTL", &key]).await.unwrap();
    assert!((700_000..=720_000).contains(&left), "{left}");

    let record = Bytes::from("the\nanswer");
    let done = store
        .complete(grant(&request, fence), record, common::RETENTION)
        .await;
    assert_eq!(done.unwrap(), Written::Done);
    let text: String = redis.query(&["GET", &key]).await.unwrap();
    assert!(text.starts_with("idem1 completed 1 1 - "), "{text}");
    assert!(text.ends_with(" 60000\nthe\nanswer"), "{text}");
    let left: u64 = redis.query(&["PTTL", &key]).await.unwrap();
    assert!((640_000..=660_000).contains(&left), "{left}");
}

/// Without its key's expiry a slot has no time, so nobody may say that its lease is over, or that
/// its record is not.
#[tokio::test]
async fn a_slot_whose_expiry_was_taken_away_is_refused() {
    let redis = Redis::start().await;
    let store = connect(&redis.url()).await;
    let request = request();
    won(&store.claim(request).await.unwrap());
    let persist = async || {
        let key = format!("idem:{}", request.slot);
        redis.command(&["PERSIST", &key]).await;
    };
    persist().await;
    let other = store.claim(again(request)).await.unwrap_err();
    assert!(told(&other).contains("PERSIST"), "{}", told(&other));
    assert!(store.inspect(request.slot).await.is_err());
    // A sign of life of its owner mends it.
    let renewed = store.renew(grant(&request, idem_core::Fence::FIRST), common::MINUTE);
    assert_eq!(renewed.await.unwrap(), Written::Done);
    let other = store.claim(again(request)).await.unwrap();
    assert!(
        matches!(other, idem_core::Claim::InFlight { .. }),
        "{other:?}"
    );

    let (own, record) = (grant(&request, idem_core::Fence::FIRST), Bytes::from("17"));
    let done = store.complete(own, record, common::RETENTION).await;
    assert_eq!(done.unwrap(), Written::Done);
    persist().await;
    let retry = store.claim(again(request)).await.unwrap_err();
    assert!(told(&retry).contains("PERSIST"), "{}", told(&retry));
}

/// Every verb refuses a value that it cannot read, and leaves it as it is.
#[tokio::test]
async fn what_cannot_be_read_is_refused_by_every_verb_and_left_alone() {
    let redis = Redis::start().await;
    let store = connect(&redis.url()).await;
    for (value, says) in [
        ("idem2 in-flight 1 1 - aa bb 1\n", "layout idem2"),
        ("idem2", "layout idem2"),
        ("{\"status\":\"paid\"}", "not a slot of idem"),
        ("idem1 paused 1 1 - aa bb 1\n", "not a slot of idem"),
        ("idem1 in-flight 1 1 - aa", "not a slot of idem"),
    ] {
        let request = request();
        let key = format!("idem:{}", request.slot);
        redis.command(&["SET", &key, value]).await;
        for error in every_verb(&store, &request).await {
            let told = told(&error);
            assert!(matches!(error, StoreError::Corrupt { slot, .. } if slot == request.slot));
            assert!(told.contains(says), "{value:?}: {told}");
        }
        assert_eq!(
            redis.query::<String>(&["GET", &key]).await.as_deref(),
            Ok(value)
        );
        let query = idem_core::ListQuery {
            state: None,
            after: None,
            limit: 10,
        };
        let error = store.list(query).await.unwrap_err();
        assert!(told(&error).contains(says), "{}", told(&error));
        redis.command(&["DEL", &key]).await;
    }
    let request = request();
    let key = format!("idem:{}", request.slot);
    redis.command(&["HSET", &key, "state", "paid"]).await;
    for error in every_verb(&store, &request).await {
        assert!(told(&error).contains("holds no string"), "{}", told(&error));
    }
    assert_eq!(redis.query::<i64>(&["HLEN", &key]).await, Ok(1));
}

async fn every_verb(store: &impl Store, request: &ClaimRequest) -> Vec<StoreError> {
    let grant = grant(request, idem_core::Fence::FIRST);
    let step = Checkpoint {
        name: "charge".to_owned(),
        value: Bytes::new(),
    };
    let ttl = common::MINUTE;
    let release = Resolution::Release { ttl };
    let operator = OwnerId::random();
    let record = Bytes::from("answer");
    vec![
        store.claim(*request).await.unwrap_err(),
        store.renew(grant, ttl).await.unwrap_err(),
        store.checkpoint(grant, step).await.unwrap_err(),
        store
            .complete(grant, record, common::RETENTION)
            .await
            .unwrap_err(),
        store.release(grant, ttl).await.unwrap_err(),
        store.inspect(request.slot).await.unwrap_err(),
        store
            .resolve(request.slot, grant.fence, operator, release)
            .await
            .unwrap_err(),
    ]
}

/// Two services of different namespaces on one server do not see each other.
#[tokio::test]
async fn namespaces_are_apart() {
    let redis = Redis::start().await;
    let shop = idem_redis::RedisStore::builder(redis.url()).namespace("shop");
    let shop = shop.connect().await.unwrap();
    let bank = idem_redis::RedisStore::builder(redis.url()).namespace("bank");
    let bank = bank.connect().await.unwrap();
    let request = completed(&shop, "shop's").await;
    won(&bank.claim(again(request)).await.unwrap());
    let query = idem_core::ListQuery {
        state: None,
        after: None,
        limit: 10,
    };
    assert_eq!(shop.list(query.clone()).await.unwrap().slots.len(), 1);
    assert_eq!(bank.list(query).await.unwrap().slots.len(), 1);
}

/// A server looks at its keys in several goes.
#[tokio::test]
async fn of_thousands_of_slots_each_is_listed_once() {
    let redis = Redis::start().await;
    let store = connect(&redis.url()).await;
    let mut claimed = futures_util::stream::iter(0..2_500)
        .map(|_| async {
            let request = request();
            won(&store.claim(request).await.unwrap());
            request.slot
        })
        .buffer_unordered(100)
        .collect::<Vec<_>>()
        .await;
    claimed.sort_unstable();
    let mut query = idem_core::ListQuery {
        state: None,
        after: None,
        limit: 700,
    };
    let mut listed = Vec::new();
    loop {
        let page = store.list(query.clone()).await.unwrap();
        listed.extend(page.slots.iter().map(|view| view.slot));
        if page.next.is_none() {
            break;
        }
        query.after = page.next;
    }
    assert_eq!(listed, claimed);
}
