//! The server goes away, and comes back.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::time::Duration;

use idem_core::{Claim, SlotState, Store, StoreError, testing::insist};
use idem_postgres::PostgresStore;
use idem_servers::{Postgres, Proxy, until};
use sqlx::{Connection, PgConnection};

async fn store(url: &str) -> PostgresStore {
    let store = PostgresStore::builder(url).connections(4);
    let store = store.statement_timeout(Duration::from_millis(300));
    let store = store.connect().await.unwrap();
    store.migrate().await.unwrap();
    store
}

async fn works(store: &PostgresStore, number: u8) {
    let request = common::request([number; 32]);
    let claim = insist(|| store.claim(request)).await.unwrap();
    assert!(matches!(claim, Claim::Claimed(_)), "{claim:?}");
}

#[tokio::test]
async fn what_was_answered_outlives_a_kill_and_the_store_comes_back() {
    let server = Postgres::start().await;
    let store = store(&server.url()).await;
    for round in 0..3_u8 {
        let slot = common::claim_and_complete(&store, [round + 1; 32]).await;
        server.kill();
        let error = store.claim(common::request([100; 32])).await.unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        server.restart().await;
        let kept = insist(|| store.inspect(slot)).await.unwrap().unwrap();
        assert!(matches!(kept.state, SlotState::Completed { .. }));
        works(&store, 200 + round).await;
    }
}

/// More often than there are connections, so that none is lost on the way.
#[tokio::test]
async fn verbs_that_are_given_up_leave_their_connections_to_others() {
    let server = Postgres::start().await;
    let store = store(&server.url()).await;
    server.stop();
    for _ in 0..12 {
        let claim = store.claim(common::request([1; 32]));
        assert!(
            tokio::time::timeout(Duration::from_millis(20), claim)
                .await
                .is_err()
        );
    }
    server.resume();
    works(&store, 2).await;
    for step in 0..100_u64 {
        let claim = store.claim(common::request([3; 32]));
        let _ = tokio::time::timeout(Duration::from_millis(step % 4), claim).await;
    }
    works(&store, 4).await;
    until("no session is in a transaction", || async {
        let open = "SELECT count(*)::text FROM pg_stat_activity \
                    WHERE application_name = 'idem' AND xact_start IS NOT NULL";
        server.text(open).await.as_deref() == Some("0")
    })
    .await;
}

#[tokio::test]
async fn a_network_that_fails_is_no_reason_to_give_up() {
    let server = Postgres::start().await;
    let proxy = Proxy::start(server.port()).await;
    let store = store(&server.url_through(&proxy)).await;
    proxy.refuse();
    proxy.cut();
    let error = store.claim(common::request([1; 32])).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    proxy.heal();
    works(&store, 1).await;
}

#[tokio::test]
async fn a_statement_that_waits_too_long_or_finds_a_standby_is_asked_for_again() {
    let server = Postgres::start().await;
    let store = store(&server.url()).await;
    let mut other = PgConnection::connect(&server.url()).await.unwrap();
    let mut locked = other.begin().await.unwrap();
    sqlx::query("LOCK TABLE idem.slots IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *locked)
        .await
        .unwrap();
    let error = store.claim(common::request([1; 32])).await.unwrap_err();
    assert!(error.is_transient() && !error.is_ambiguous(), "{error:?}");
    locked.rollback().await.unwrap();
    works(&store, 1).await;

    server
        .execute("ALTER DATABASE idem SET default_transaction_read_only = on")
        .await;
    let standby = PostgresStore::builder(server.url()).connections(1);
    let standby = standby.connect().await.unwrap();
    let error = standby.claim(common::request([2; 32])).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable(_)), "{error:?}");
    // This session is from before.
    sqlx::query("ALTER DATABASE idem RESET default_transaction_read_only")
        .execute(&mut other)
        .await
        .unwrap();
    // The connection is replaced: by one to the master, after a failover.
    works(&standby, 2).await;
}
