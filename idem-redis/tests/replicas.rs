//! Writes that wait for replicas, and what becomes of those that too few of them have.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use common::{RETENTION, again, completed, grant, recorded, request, told, won};
use futures_util::future::join_all;
use idem_core::{
    Checkpoint, Claim, Execution, FingerprintBuilder, Finish, IdempotencyKey, Operation, Runtime,
    Scope, SlotState, Store, StoreError, Written,
};
use idem_redis::RedisStore;
use idem_servers::{Replicated, Sentinels, until};

const MS: Duration = Duration::from_millis(1);

async fn replicated() -> (Replicated, RedisStore) {
    let servers = Replicated::start(1, true).await;
    let store = RedisStore::builder(servers.url()).min_replicas(1, 50 * MS);
    let store = store.connect().await.unwrap();
    (servers, store)
}

#[tokio::test]
async fn a_claim_that_no_replica_has_is_withdrawn() {
    let (servers, store) = replicated().await;
    servers.replicas[0].stop();
    let request = request();
    let error = store.claim(request).await.unwrap_err();
    assert!(!error.is_ambiguous() && !error.is_transient(), "{error:?}");
    assert!(told(&error).contains("0 of 1 replicas"), "{}", told(&error));
    until("the claim is withdrawn", async || {
        let view = store.inspect(request.slot).await.unwrap().unwrap();
        view.state == SlotState::Released
    })
    .await;

    servers.replicas[0].resume();
    let claim = common::insist(|| store.claim(again(request))).await;
    let claim = match claim {
        // The replica may still be behind.
        Err(StoreError::Underreplicated { .. }) => store.claim(again(request)).await,
        claim => claim,
    };
    assert!(matches!(claim.unwrap(), Claim::Claimed(_)));
}

/// What was taken back may be taken back later than it seems, and would then end what
/// the same owner has won meanwhile: so its claim is not to be sent again.
#[tokio::test]
async fn a_claim_is_not_asked_for_again_because_its_withdrawal_fails() {
    let servers = Replicated::start(1, true).await;
    let store = RedisStore::builder(servers.url())
        .command_timeout(10 * common::SECOND)
        .min_replicas(1, 500 * MS);
    let store = Arc::new(store.connect().await.unwrap());
    servers.replicas[0].stop();
    let request = request();
    let keys = async || servers.master.query::<u64>(&["DBSIZE"]).await.unwrap();
    let before = keys().await;
    let claim = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.claim(request).await }
    });
    until("the claim is applied", async || keys().await > before).await;
    // While it waits for its replica, the master comes to take no more writes.
    let refuse = ["CONFIG", "SET", "min-replicas-to-write", "2"];
    servers.master.command(&refuse).await;
    let error = claim.await.unwrap().unwrap_err();
    assert!(
        matches!(error, StoreError::Underreplicated { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_write_that_no_replica_has_is_not_done_until_it_has() {
    let (servers, store) = replicated().await;
    let request = request();
    let fence = won(&store.claim(request).await.unwrap()).fence;
    let grant = grant(&request, fence);
    servers.replicas[0].stop();
    let step = Checkpoint {
        name: "charge".to_owned(),
        value: Bytes::from("ch_1"),
    };
    let record = Bytes::from("answer");
    for error in [
        store.renew(grant, common::MINUTE).await.unwrap_err(),
        store.checkpoint(grant, step).await.unwrap_err(),
        store
            .complete(grant, record.clone(), RETENTION)
            .await
            .unwrap_err(),
        // Sent again it writes nothing, and still nobody has the record.
        store
            .complete(grant, record.clone(), RETENTION)
            .await
            .unwrap_err(),
    ] {
        assert!(error.is_ambiguous() && error.is_transient(), "{error:?}");
        assert!(told(&error).contains("0 of 1 replicas"), "{}", told(&error));
    }
    // Nobody is shown what a failover would lose.
    for error in [
        store.claim(again(request)).await.unwrap_err(),
        store.inspect(request.slot).await.unwrap_err(),
    ] {
        assert!(error.is_transient() && !error.is_ambiguous(), "{error:?}");
        assert!(told(&error).contains("0 of 1 replicas"), "{}", told(&error));
    }
    servers.replicas[0].resume();
    let complete = || store.complete(grant, record.clone(), RETENTION);
    assert_eq!(common::insist(complete).await.unwrap(), Written::Done);
    let claim = common::insist(|| store.claim(again(request))).await;
    assert_eq!(recorded(&claim.unwrap()), "answer");
}

/// The same on a connection that has written nothing: `WAIT` speaks of what its
/// own connection has written, and a new one has nothing to wait for.
#[tokio::test]
async fn a_completion_sent_again_over_a_new_connection_is_not_done_either() {
    let (servers, store) = replicated().await;
    let request = request();
    let fence = won(&store.claim(request).await.unwrap()).fence;
    let grant = grant(&request, fence);
    servers.replicas[0].stop();
    let record = Bytes::from("answer");
    let complete = || store.complete(grant, record.clone(), RETENTION);
    assert!(complete().await.is_err());
    for _ in 0..3 {
        let other = RedisStore::builder(servers.url()).min_replicas(1, 50 * MS);
        let other = other.connect().await.unwrap();
        let again = other.complete(grant, record.clone(), RETENTION).await;
        assert!(told(&again.unwrap_err()).contains("0 of 1 replicas"));
    }
    servers.replicas[0].resume();
    assert_eq!(common::insist(complete).await.unwrap(), Written::Done);
}

/// Whoever has completed it may be dead, and nobody asks for the replicas any more.
#[tokio::test]
async fn a_record_that_no_replica_has_is_replayed_to_nobody() {
    let (servers, store) = replicated().await;
    let request = request();
    let fence = won(&store.claim(request).await.unwrap()).fence;
    servers.replicas[0].stop();
    let record = Bytes::from("answer");
    let completed = store.complete(grant(&request, fence), record, RETENTION);
    assert!(completed.await.is_err());
    let other = RedisStore::builder(servers.url()).min_replicas(1, 50 * MS);
    let other = other.connect().await.unwrap();
    for store in [&store, &other] {
        let error = store.claim(again(request)).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        assert!(told(&error).contains("0 of 1 replicas"), "{}", told(&error));
    }
    servers.replicas[0].resume();
    let claim = common::insist(|| store.claim(again(request))).await;
    assert_eq!(recorded(&claim.unwrap()), "answer");
}

#[tokio::test]
async fn a_handler_does_not_run_while_no_replica_answers() {
    let (servers, store) = replicated().await;
    servers.replicas[0].stop();
    let runtime = Runtime::builder(store).build().unwrap();
    let operation = Operation::new("pay");
    let key = IdempotencyKey::new("k-1").unwrap();
    let asked = FingerprintBuilder::new().finish();
    let call = runtime.call(operation, &Scope::GLOBAL, &key, asked, runtime.settings());
    let work = async { panic!("it ran") };
    let execution: Execution<()> = runtime
        .execute(call, async {
            let () = work.await;
            Finish::Release { answer: () }
        })
        .await;
    let Execution::StoreFailed(error) = execution else {
        panic!("{execution:?}");
    };
    assert!(
        matches!(
            error,
            StoreError::Underreplicated {
                wanted: 1,
                reached: 0
            }
        ),
        "{error:?}"
    );
}

/// A master that is cut off from its replicas has a successor, perhaps, and
/// still answers: whoever waits for replicas finds the successor.
#[tokio::test]
async fn a_master_without_replicas_is_left_for_the_one_that_the_sentinels_name_now() {
    let servers = Sentinels::start(false).await;
    let store = RedisStore::builder(servers.url()).min_replicas(1, 50 * MS);
    let store = store.connect().await.unwrap();
    completed(&store, "answer").await;

    let successor = Replicated::start(1, false).await;
    let port = successor.port().to_string();
    for sentinel in &servers.sentinels {
        let name = servers.name();
        sentinel.command(&["SENTINEL", "REMOVE", name]).await;
        sentinel
            .command(&["SENTINEL", "MONITOR", name, "127.0.0.1", &port, "2"])
            .await;
    }
    servers.servers.replicas[0].kill();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while let Err(error) = store.claim(request()).await {
        assert!(tokio::time::Instant::now() < deadline, "{error:?}");
        tokio::time::sleep(20 * MS).await;
    }
    let connected = successor.master.info("commandstats").await;
    assert!(connected.contains_key("cmdstat_wait"), "{connected:?}");
}

/// Writes that are in flight together share a `WAIT`.
#[tokio::test]
async fn many_writes_wait_as_one() {
    let (servers, store) = replicated().await;
    completed(&store, "answer").await;
    let before = servers.master.calls("wait").await;
    let store = Arc::new(store);
    join_all((0..400).map(|_| {
        let store = Arc::clone(&store);
        async move { won(&store.claim(request()).await.unwrap()).fence }
    }))
    .await;
    let waits = servers.master.calls("wait").await - before;
    assert!(waits <= 40, "{waits} waits for 400 claims");
}
