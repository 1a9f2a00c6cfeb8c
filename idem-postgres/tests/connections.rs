//! Connections go from one verb to the next, and are never more than was said.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod common;

use futures_util::{FutureExt, future::join_all};
use idem_core::{Begun, Claim, Concluded, Ending, Store, Transactional};
use idem_postgres::PostgresStore;
use idem_servers::Postgres;
use sqlx::{Connection, PgConnection};

/// The process ids of the backends that serve the store. Asked over a connection that is none
/// of its pools': one that is on its way back to its pool would be counted beside the next.
async fn backends(store: &PostgresStore) -> Vec<i32> {
    let options = (*store.pool().connect_options()).clone();
    let options = options.application_name("asking");
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let asked = sqlx::query_scalar(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'idem' \
         AND datname = current_database() ORDER BY pid",
    );
    asked.fetch_all(&mut connection).await.unwrap()
}

fn slot(number: u8) -> [u8; 32] {
    [number; 32]
}

#[tokio::test]
async fn a_crowd_of_verbs_shares_two_connections_which_stay() {
    let server = Postgres::start().await;
    let builder = common::builder(&server)
        .await
        .connections(2)
        .without_reaper();
    let store = builder.connect().await.unwrap();
    store.migrate().await.unwrap();
    let crowd = || async {
        let claims = (0..50).map(|number| store.claim(common::request(slot(number))));
        join_all(claims).await
    };
    for claim in crowd().await {
        assert!(matches!(claim.unwrap(), Claim::Claimed(_)));
    }
    let first = backends(&store).await;
    assert!((1..=2).contains(&first.len()), "{first:?}");
    for claim in crowd().await {
        assert!(matches!(claim.unwrap(), Claim::InFlight { .. }));
    }
    let then = backends(&store).await;
    assert!(
        first.iter().all(|backend| then.contains(backend)),
        "{first:?} {then:?}"
    );
    assert!(then.len() <= 2, "{then:?}");
}

#[tokio::test]
async fn a_verb_that_is_dropped_in_the_middle_leaves_room_for_the_next() {
    let server = Postgres::start().await;
    let builder = common::builder(&server)
        .await
        .connections(1)
        .without_reaper();
    let store = builder.connect().await.unwrap();
    store.migrate().await.unwrap();
    for number in 0..20 {
        // It is on its way, or waits for the one before it, and is dropped.
        let claim = store.claim(common::request(slot(number))).now_or_never();
        assert!(claim.is_none());
    }
    common::claimed(&store, common::request(slot(100))).await;
}

#[tokio::test]
async fn a_transaction_has_a_connection_again_after_one_that_was_ended_or_dropped() {
    let server = Postgres::start().await;
    let builder = common::builder(&server).await.transaction_connections(1);
    let store = builder.connect().await.unwrap();
    store.migrate().await.unwrap();
    for number in 0..6 {
        let begun = store.begin(common::request(slot(number))).await.unwrap();
        let Begun::Claimed(transaction, _) = begun else {
            panic!("{begun:?}");
        };
        // A connection for statements beside it is to be had all the same.
        let asked = sqlx::query("SELECT 1").execute(store.pool());
        assert_eq!(asked.await.unwrap().rows_affected(), 1);
        match number % 2 {
            0 => drop(transaction),
            _ => {
                let concluded = store.conclude(transaction, Ending::Abandon).await;
                assert_eq!(concluded.unwrap(), Concluded::Done);
            }
        }
    }
}

#[tokio::test]
async fn what_was_kept_and_has_died_is_replaced() {
    let server = Postgres::start().await;
    let store = common::store(&server).await;
    common::claimed(&store, common::request(slot(1))).await;
    for backend in backends(&store).await {
        let asked = sqlx::query("SELECT pg_terminate_backend($1)").bind(backend);
        asked.execute(store.pool()).await.unwrap();
    }
    let claim = idem_core::testing::insist(|| store.claim(common::request(slot(2)))).await;
    assert!(matches!(claim.unwrap(), Claim::Claimed(_)));
}

#[test]
fn a_store_may_be_dropped_where_there_is_no_runtime_any_more() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (server, store) = runtime.block_on(async {
        let server = Postgres::start().await;
        let store = common::store(&server).await;
        common::claimed(&store, common::request(slot(1))).await;
        let begun = store.begin(common::request(slot(2))).await.unwrap();
        let Begun::Claimed(transaction, _) = begun else {
            panic!("{begun:?}");
        };
        let concluded = store.conclude(transaction, Ending::Abandon).await;
        assert_eq!(concluded.unwrap(), Concluded::Done);
        (server, store)
    });
    drop(runtime);
    drop(store);
    drop(server);
}
