//! The tables are made, brought up to date, and left alone if they are a later version's.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use futures_util::future::join_all;
use idem_core::{Store, StoreError};
use idem_postgres::{PostgresStore, SetupError};
use idem_servers::Postgres;
use sqlx::{Connection, PgConnection};

async fn connection(url: &str) -> PgConnection {
    PgConnection::connect(url).await.unwrap()
}

async fn run(connection: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(connection).await.unwrap();
}

async fn version(connection: &mut PgConnection) -> i32 {
    sqlx::query_scalar("SELECT version FROM idem.slots_version")
        .fetch_one(connection)
        .await
        .unwrap()
}

/// What a migration of the tables with the default names waits for.
const HOLD_MIGRATIONS: &str =
    "SELECT pg_advisory_lock(hashtextextended('idem migrate \"idem\".\"slots_version\"', 0))";

const WAITING: &str =
    "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_nodes_migrate_an_empty_database_at_once() {
    let server = Postgres::start().await;
    for _ in 0..5 {
        let url = common::database(&server).await;
        // All begin before any of them has made the tables: they wait for a lock.
        let mut gate = connection(&url).await;
        run(&mut gate, HOLD_MIGRATIONS).await;
        let nodes: Vec<_> = (0..10)
            .map(|_| {
                let url = url.clone();
                tokio::spawn(async move {
                    let store = PostgresStore::connect(&url).await.unwrap();
                    store.health().await.unwrap_err();
                    store.migrate().await.unwrap();
                    common::claim_and_complete(&store, rand::random()).await;
                    store.health().await.unwrap();
                })
            })
            .collect();
        idem_servers::until("ten nodes wait to migrate", async || {
            server.text(WAITING).await.as_deref() == Some("10")
        })
        .await;
        gate.close().await.unwrap();
        for node in join_all(nodes).await {
            node.unwrap();
        }
        assert_eq!(version(&mut connection(&url).await).await, 3);
    }
}

#[tokio::test]
async fn an_older_schema_works_and_is_brought_up_to_date_with_its_rows() {
    let server = Postgres::start().await;
    let url = common::database(&server).await;
    let mut connection = connection(&url).await;
    run(
        &mut connection,
        "CREATE SCHEMA idem; \
         CREATE TABLE idem.slots_version (version integer NOT NULL, works_with integer NOT NULL); \
         INSERT INTO idem.slots_version VALUES (1, 1)",
    )
    .await;
    let first = include_str!("../src/migrations/1_slots.sql")
        .replace("{slots}", "idem.slots")
        .replace("{table}", "slots");
    sqlx::raw_sql(sqlx::AssertSqlSafe(first))
        .execute(&mut connection)
        .await
        .unwrap();

    let store = PostgresStore::connect(&url).await.unwrap();
    let slot = common::claim_and_complete(&store, [1; 32]).await;
    store.migrate().await.unwrap();
    store.migrate().await.unwrap();
    assert_eq!(version(&mut connection).await, 3);
    assert!(store.inspect(slot).await.unwrap().is_some());
    let tuned: Option<Vec<String>> =
        sqlx::query_scalar("SELECT reloptions FROM pg_class WHERE oid = 'idem.slots'::regclass")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    let tuned = tuned.unwrap();
    assert!(
        tuned.iter().any(|option| option.starts_with("autovacuum")),
        "{tuned:?}"
    );
}

#[tokio::test]
async fn a_newer_schema_is_used_as_far_as_it_says_that_it_may_be() {
    let server = Postgres::start().await;
    let url = common::database(&server).await;
    let mut connection = connection(&url).await;
    let store = PostgresStore::connect(&url).await.unwrap();
    store.migrate().await.unwrap();

    run(
        &mut connection,
        "UPDATE idem.slots_version SET version = 99, works_with = 3",
    )
    .await;
    let old = PostgresStore::connect(&url).await.unwrap();
    old.migrate().await.unwrap();
    common::claim_and_complete(&old, [1; 32]).await;
    assert_eq!(version(&mut connection).await, 99);

    run(
        &mut connection,
        "UPDATE idem.slots_version SET works_with = 4",
    )
    .await;
    for refused in [
        PostgresStore::connect(&url).await.map(|_| ()),
        old.migrate().await,
    ] {
        let error = refused.unwrap_err();
        assert!(
            matches!(
                error,
                SetupError::Newer {
                    found: 99,
                    known: 3,
                    ..
                }
            ),
            "{error}"
        );
        assert!(error.to_string().contains("update idem"), "{error}");
    }
    assert!(matches!(
        old.health().await,
        Err(StoreError::Refused { .. })
    ));
}

#[tokio::test]
async fn what_is_missing_is_named_with_what_to_do() {
    let server = Postgres::start().await;
    let url = common::database(&server).await;
    let store = PostgresStore::connect(&url).await.unwrap();
    let claim = store.claim(common::request([1; 32])).await.unwrap_err();
    let health = store.health().await.unwrap_err();
    for error in [claim, health] {
        assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
        assert!(error.to_string().contains("store.migrate()"), "{error}");
    }

    let named = PostgresStore::builder(&url).schema("shop").table("keys");
    let named = named.connect().await.unwrap();
    named.migrate().await.unwrap();
    common::claim_and_complete(&named, [1; 32]).await;
    let mut connection = connection(&url).await;
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM shop.keys")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(rows, 1);
    assert!(store.claim(common::request([1; 32])).await.is_err());

    for (bad, says) in [
        (
            PostgresStore::builder(&url).table("a\"b"),
            "cannot be the name",
        ),
        (PostgresStore::builder("mysql://x"), "postgres://USER"),
        (PostgresStore::builder(server.url_of("nowhere")), "nowhere"),
        (
            PostgresStore::builder("postgres://x@127.0.0.1:1/x"),
            "refused",
        ),
    ] {
        let error = bad.connect().await.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }

    run(&mut connection, "CREATE ROLE poor LOGIN").await;
    let poor = PostgresStore::connect(&url.replace("idem@", "poor@"))
        .await
        .unwrap();
    assert!(
        poor.migrate()
            .await
            .unwrap_err()
            .to_string()
            .contains("permission denied")
    );
}
