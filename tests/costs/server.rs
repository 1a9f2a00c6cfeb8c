//! What a request waits for at its store's server.

use std::{sync::Arc, time::Duration};

use axum::{Router, http::StatusCode};
use idem_axum::{Idempotency, PostgresStore, RedisStore, ReplayCache, Store};
use idem_servers::{Postgres, Proxy, Redis};

use crate::requests::{app, request, send, transacting_app};

const CACHE: ReplayCache = ReplayCache {
    max_bytes: 1 << 20,
    max_age: Duration::from_secs(60),
};

/// Each of these as often, so that what a store does on its own now and then is not counted.
const TIMES: u64 = 20;

fn over(store: impl Store, cache: Option<ReplayCache>) -> Router {
    let builder = Idempotency::builder(store);
    let builder = match cache {
        Some(cache) => builder.replay_cache(cache),
        None => builder,
    };
    app(builder)
}

/// How often such a request waits for the server behind the proxy.
async fn round_trips(
    proxy: &Proxy,
    app: &Router,
    path: &str,
    keys: &str,
    amount: u64,
    status: StatusCode,
) -> u64 {
    let before = proxy.round_trips();
    for number in 0..TIMES {
        let answer = send(app, request(path, &format!("{keys}-{number}"), amount)).await;
        assert_eq!(answer.status(), status, "{path} {keys}");
    }
    (proxy.round_trips() - before) / TIMES
}

/// What every server does the same: the first two times of a key, and what is no first time.
/// A key that was released and runs again is waited for `again` times.
async fn assert_costs(proxy: &Proxy, [plain, other, cached]: [&Router; 3], again: u64) {
    use StatusCode as Is;
    // Connections, scripts and prepared statements are there from here on.
    for (app, keys) in [
        (plain, "warm"),
        (other, "warm-other"),
        (cached, "warm-cached"),
    ] {
        for amount in [1, 0, 0] {
            let status = if amount == 0 {
                Is::SERVICE_UNAVAILABLE
            } else {
                Is::CREATED
            };
            let keys = format!("{keys}-{amount}");
            round_trips(proxy, app, "/protected", &keys, amount, status).await;
        }
        let keys = format!("{keys}-1");
        round_trips(proxy, app, "/protected", &keys, 2, Is::CONFLICT).await;
    }
    let cases = [
        ("a fresh key", plain, "k", 1, Is::CREATED, 2),
        ("a replay", plain, "k", 1, Is::CREATED, 1),
        ("a replay elsewhere", other, "k", 1, Is::CREATED, 1),
        ("another payload", plain, "k", 2, Is::CONFLICT, 1),
        ("a released key", plain, "r", 0, Is::SERVICE_UNAVAILABLE, 2),
        (
            "a released key, again",
            plain,
            "r",
            0,
            Is::SERVICE_UNAVAILABLE,
            again,
        ),
        ("a fresh key, with a cache", cached, "c", 1, Is::CREATED, 2),
        ("a replay from the cache", cached, "c", 1, Is::CREATED, 0),
        (
            "another node's answer, first",
            cached,
            "k",
            1,
            Is::CREATED,
            1,
        ),
        (
            "another node's answer, then",
            cached,
            "k",
            1,
            Is::CREATED,
            0,
        ),
    ];
    for (what, app, keys, amount, status, expected) in cases {
        let counted = round_trips(proxy, app, "/protected", keys, amount, status).await;
        assert_eq!(counted, expected, "{what}");
    }
}

#[tokio::test]
async fn redis_is_waited_for_twice_for_a_fresh_key_and_otherwise_once_or_not_at_all() {
    let redis = Redis::start().await;
    let proxy = Proxy::start(redis.port()).await;
    let with = async |cache| over(RedisStore::connect(&proxy.url()).await.unwrap(), cache);
    let (plain, other, cached) = (with(None).await, with(None).await, with(Some(CACHE)).await);
    assert_costs(&proxy, [&plain, &other, &cached], 2).await;
}

#[tokio::test]
async fn postgres_is_waited_for_as_often_as_redis_and_four_times_around_a_transaction() {
    let postgres = Postgres::start().await;
    let proxy = Proxy::start(postgres.port()).await;
    let url = postgres.url_through(&proxy);
    let store = async || PostgresStore::connect(&url).await.unwrap();
    store().await.migrate().await.unwrap();
    let with = async |cache| over(store().await, cache);
    let (plain, other, cached) = (with(None).await, with(None).await, with(Some(CACHE)).await);
    // It is met by the claim that is a plain insert, and won by the other.
    assert_costs(&proxy, [&plain, &other, &cached], 3).await;

    let app = transacting_app(Idempotency::builder(store().await));
    let count =
        async |keys| round_trips(&proxy, &app, "/transacting", keys, 1, StatusCode::CREATED).await;
    count("warm-tx").await;
    // BEGIN, the claim, the handler's own statement, the record, COMMIT.
    assert_eq!(count("tx").await, 4 + 1);
    // BEGIN, the claim, a look at what is there, ROLLBACK.
    assert_eq!(count("tx").await, 4);
}

/// Waited for by a node that accepts another secret too: by a fresh key, by a replay, and by the
/// replay of what is stored under the other secret.
async fn by_two_names(proxy: &Proxy, store: impl Store + Clone) -> [u64; 3] {
    let builder = || Idempotency::builder(store.clone());
    let before = app(builder().secret("the old one"));
    let both = app(builder().secret("the new one").accept_secret("the old one"));
    let count =
        async |app, keys| round_trips(proxy, app, "/protected", keys, 1, StatusCode::CREATED).await;
    count(&before, "old").await;
    for keys in ["warm", "warm", "old"] {
        count(&both, keys).await;
    }
    let fresh = count(&both, "k").await;
    [fresh, count(&both, "k").await, count(&both, "old").await]
}

#[tokio::test]
async fn two_names_are_one_claim_at_redis() {
    let redis = Redis::start().await;
    let proxy = Proxy::start(redis.port()).await;
    let store = RedisStore::connect(&proxy.url()).await.unwrap();
    assert_eq!(by_two_names(&proxy, Arc::new(store)).await, [2, 1, 1]);
}

#[tokio::test]
async fn two_names_are_locked_looked_at_and_claimed_at_postgres() {
    let postgres = Postgres::start().await;
    let proxy = Proxy::start(postgres.port()).await;
    let url = postgres.url_through(&proxy);
    let store = PostgresStore::connect(&url).await.unwrap();
    store.migrate().await.unwrap();
    // BEGIN with the locks, a look at both slots, the claim if neither has it, COMMIT; and the
    // record.
    assert_eq!(by_two_names(&proxy, store).await, [5, 3, 3]);
}
