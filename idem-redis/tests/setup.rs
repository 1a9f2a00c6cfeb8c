//! What is found out about a server before it is trusted with records, and what is said about it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::time::Duration;

use common::{completed, recorded, request, told};
use idem_core::{Store, StoreError};
use idem_redis::{Hazard, RedisStore, SetupError};
use idem_servers::{Cluster, Redis, Replicated, Sentinels};

async fn refusal(url: &str) -> String {
    refusal_of(RedisStore::builder(url)).await
}

async fn refusal_of(builder: idem_redis::RedisStoreBuilder) -> String {
    let error = builder
        .connect()
        .await
        .err()
        .unwrap_or_else(|| panic!("it was not refused"));
    told(&error)
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let redis = Redis::start().await;
    let url = redis.url();
    redis.kill();
    let refusal = refusal(&url).await;
    let address = format!("127.0.0.1:{}", redis.port());
    assert!(
        refusal.contains(&address) && refusal.contains("no Redis answers"),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_server_that_is_no_redis_is_refused_in_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    // It takes connections and says nothing.
    let store = RedisStore::builder(url).connect_timeout(Duration::from_millis(100));
    let refusal = refusal_of(store).await;
    assert!(refusal.contains("no Redis answers"), "{refusal}");
}

#[tokio::test]
async fn a_server_that_drops_records_is_refused_unless_that_is_accepted() {
    let evicts = [("maxmemory", "100mb"), ("maxmemory-policy", "allkeys-lru")];
    let redis = Redis::start_with(&evicts).await;
    let refusal = refusal(&redis.url()).await;
    assert!(
        refusal.contains("maxmemory-policy to noeviction"),
        "{refusal}"
    );
    assert!(
        refusal.contains("allkeys-lru") && refusal.contains("104857600"),
        "{refusal}"
    );

    let accepted = RedisStore::builder(redis.url()).allow_eviction();
    let accepted = accepted.connect().await.unwrap();
    assert!(accepted.hazards().iter().any(|hazard| matches!(
        hazard,
        Hazard::Evicts { policy, .. } if policy == "allkeys-lru"
    )));
    // Without a limit nothing is dropped yet: that is a warning.
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    let unlimited = RedisStore::connect(&redis.url()).await.unwrap();
    assert!(
        unlimited
            .hazards()
            .iter()
            .any(|hazard| matches!(hazard, Hazard::Evicts { .. }))
    );
}

#[tokio::test]
async fn what_a_server_may_forget_is_a_hazard() {
    let redis = Redis::start().await;
    let set = async |name: &str, value: &str| {
        redis.command(&["CONFIG", "SET", name, value]).await;
    };
    let told = async || {
        let store = RedisStore::connect(&redis.url()).await.unwrap();
        let told = store.hazards().iter().map(ToString::to_string);
        told.collect::<Vec<_>>().join("\n")
    };
    let nothing = told().await;
    assert!(
        nothing.contains("keeps nothing over a restart"),
        "{nothing}"
    );
    assert!(nothing.contains("set appendonly to yes"), "{nothing}");
    set("save", "3600 1").await;
    assert!(told().await.contains("since its last snapshot"));
    set("appendonly", "yes").await;
    assert!(told().await.contains("set appendfsync to always"));
    set("appendfsync", "always").await;
    assert_eq!(told().await, "");

    // Replicas know what a master forgets.
    set("appendfsync", "everysec").await;
    let replicated = RedisStore::builder(redis.url()).min_replicas(1, Duration::from_millis(10));
    let replicated = replicated.connect().await.unwrap();
    assert!(matches!(
        replicated.hazards(),
        [Hazard::TooFewReplicas { .. }]
    ));
}

#[tokio::test]
async fn a_replica_is_refused_and_its_master_named() {
    let servers = Replicated::start(1, false).await;
    let refusal = refusal(&servers.replicas[0].url()).await;
    let master = format!("is a replica of 127.0.0.1:{}", servers.master.port());
    assert!(refusal.contains(&master), "{refusal}");
}

#[tokio::test]
async fn what_is_not_what_the_url_says_is_refused_with_the_right_url() {
    let single = Redis::start().await;
    let as_cluster = refusal(&single.url().replace("redis://", "redis-cluster://")).await;
    assert!(as_cluster.contains("write redis://"), "{as_cluster}");
    let port = single.port();
    let as_sentinel = refusal(&format!("redis-sentinel://127.0.0.1:{port}/mymaster")).await;
    assert!(as_sentinel.contains("no Redis answers"), "{as_sentinel}");

    let cluster = Cluster::start().await;
    let node = cluster.node(0).port();
    let as_single = refusal(&format!("redis://127.0.0.1:{node}")).await;
    assert!(as_single.contains("write redis-cluster://"), "{as_single}");

    let sentinels = Sentinels::start(false).await;
    let url = sentinels.url();
    let (first, _) = url.split_once(',').unwrap();
    let sentinel_as_single = refusal(&first.replace("redis-sentinel://", "redis://")).await;
    assert!(
        sentinel_as_single.contains("redis-sentinel://"),
        "{sentinel_as_single}"
    );
    let unknown = refusal(&url.replace("mymaster", "other")).await;
    assert!(unknown.contains("knows no master `other`"), "{unknown}");
}

#[tokio::test]
async fn a_wrong_password_is_said_to_be_one() {
    let redis = Redis::start_with(&[("requirepass", "right")]).await;
    let port = redis.port();
    for url in [
        format!("redis://127.0.0.1:{port}"),
        format!("redis://:wrong@127.0.0.1:{port}"),
    ] {
        let refusal = refusal(&url).await;
        assert!(refusal.contains("credentials"), "{refusal}");
        assert!(!refusal.contains("wrong@"), "{refusal}");
    }
    let right = format!("redis://:right@127.0.0.1:{port}");
    completed(&RedisStore::connect(&right).await.unwrap(), "answer").await;
}

#[tokio::test]
async fn a_user_who_may_not_do_what_is_needed_is_refused_with_the_command() {
    let redis = Redis::start().await;
    let acl = async |rules: &[&str]| {
        let mut command = vec!["ACL", "SETUSER", "idem", "reset", "on", ">pass"];
        command.extend(rules);
        redis.command(&command).await;
    };
    let url = format!("redis://idem:pass@127.0.0.1:{}", redis.port());
    let enough = [
        "~idem:*",
        "+eval",
        "+evalsha",
        "+get",
        "+getrange",
        "+set",
        "+pexpire",
        "+pttl",
        "+info",
    ];

    for missing in ["+get", "+set", "+pexpire", "+pttl", "+getrange"] {
        let rules: Vec<_> = enough.into_iter().filter(|rule| *rule != missing).collect();
        acl(&rules).await;
        let refusal = refusal(&url).await;
        let command = missing[1..].to_uppercase();
        assert!(
            refusal.contains(&format!("denies {command}")),
            "{missing}: {refusal}"
        );
        assert!(refusal.contains("+evalsha"), "{refusal}");
    }
    acl(&["~other:*", "+@all"]).await;
    let keys = refusal(&url).await;
    assert!(
        keys.contains("denies") && keys.contains("~idem:*"),
        "{keys}"
    );
    acl(&["~idem:*", "+info"]).await;
    let scripts = refusal(&url).await;
    assert!(scripts.contains("denies a script"), "{scripts}");

    acl(&enough).await;
    let store = RedisStore::connect(&url).await.unwrap();
    let request = completed(&store, "answer").await;
    assert_eq!(
        recorded(&store.claim(common::again(request)).await.unwrap()),
        "answer"
    );
    store.health().await.unwrap();

    // Not to be told what a server is like is no reason to refuse it.
    acl(&enough[..8]).await;
    let store = RedisStore::connect(&url).await.unwrap();
    assert!(
        matches!(store.hazards(), [Hazard::Unknown { .. }]),
        "{:?}",
        store.hazards()
    );

    // What is taken away later is said at the verb, and by health.
    acl(&["~idem:*", "+eval", "+evalsha", "+pttl"]).await;
    let error = store.claim(common::request()).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
    assert!(told(&error).contains("widen the ACL"), "{}", told(&error));
    let error = store.health().await.unwrap_err();
    assert!(told(&error).contains("denies"), "{}", told(&error));
}

#[tokio::test]
async fn too_few_replicas_are_a_hazard() {
    let redis = Redis::start_with(&[("appendonly", "yes")]).await;
    let store = RedisStore::builder(redis.url()).min_replicas(2, Duration::from_millis(20));
    let store = store.connect().await.unwrap();
    let [hazard @ Hazard::TooFewReplicas { .. }] = store.hazards() else {
        panic!("{:?}", store.hazards());
    };
    assert!(hazard.to_string().contains("0 replicas"), "{hazard}");
    assert!(store.health().await.is_err());
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_before_anything_is_sent() {
    for namespace in ["{shop}", "shop*", "a b", &"x".repeat(65)] {
        let store = RedisStore::builder("redis://127.0.0.1:1").namespace(namespace);
        let error = store.connect().await.unwrap_err();
        assert!(matches!(error, SetupError::Namespace { .. }), "{error}");
    }
    let slow = RedisStore::builder("redis://127.0.0.1:1").min_replicas(1, common::SECOND);
    let error = slow.connect().await.unwrap_err();
    assert!(
        matches!(error, SetupError::ReplicasTooSlow { .. }),
        "{error}"
    );
    let cluster = RedisStore::builder("redis-cluster://127.0.0.1:1").database(2);
    let error = cluster.connect().await.unwrap_err();
    assert!(
        matches!(error, SetupError::DatabaseOfCluster { database: 2 }),
        "{error}"
    );
}

#[tokio::test]
async fn a_full_server_refuses_claims_and_says_what_to_do() {
    let redis = Redis::start_with(&[("maxmemory-policy", "noeviction")]).await;
    let store = RedisStore::connect(&redis.url()).await.unwrap();
    let running = request();
    store.claim(running).await.unwrap();
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let error = store.claim(request()).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
    assert!(told(&error).contains("raise maxmemory"), "{}", told(&error));
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]).await;
    // What was in flight is still there.
    let claim = store.claim(common::again(running)).await.unwrap();
    assert!(
        matches!(claim, idem_core::Claim::InFlight { .. }),
        "{claim:?}"
    );
}
