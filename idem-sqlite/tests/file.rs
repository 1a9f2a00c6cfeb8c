//! The file, its tables, and who may read it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::{fs, os::unix::fs::PermissionsExt};

use futures_util::future::join_all;
use idem_core::{Store, StoreError};
use idem_sqlite::{SetupError, SqliteStore};

#[tokio::test]
async fn the_file_and_what_belongs_to_it_are_its_owners_alone() {
    let directory = tempfile::tempdir().unwrap();
    let store = common::store(directory.path()).await;
    common::claim_and_complete(&store, [1; 32]).await;
    for name in ["slots.db", "slots.db-wal", "slots.db-shm"] {
        let metadata = fs::metadata(directory.path().join(name)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
    // What was answered is on the disk: 2 is FULL.
    let mut writer = store.writer().acquire().await.unwrap();
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous")
        .fetch_one(&mut *writer)
        .await
        .unwrap();
    assert_eq!(synchronous, 2);
}

#[tokio::test]
async fn what_cannot_be_a_store_is_refused_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display();
    fs::write(directory.path().join("text"), "no database ".repeat(100)).unwrap();
    for (url, says) in [
        ("sqlite::memory:".to_owned(), "MemoryStore"),
        ("sqlite://x?mode=memory".to_owned(), "MemoryStore"),
        (format!("sqlite:{path}/not/there.db"), "not/there.db"),
        (format!("sqlite:{path}/text"), "not a database"),
        ("postgres://x".to_owned(), "sqlite:PATH"),
    ] {
        let error = SqliteStore::connect(&url).await.unwrap_err().to_string();
        assert!(error.contains(says), "{url}: {error}");
    }
    let bad = common::builder(directory.path())
        .table("a b")
        .connect()
        .await;
    assert!(matches!(bad, Err(SetupError::Name(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_processes_migrate_one_new_file_at_once() {
    for _ in 0..10 {
        let directory = tempfile::tempdir().unwrap();
        let nodes = (0..10_u8).map(|number| {
            let builder = common::builder(directory.path());
            tokio::spawn(async move {
                let store = builder.connect().await.unwrap();
                store.migrate().await.unwrap();
                common::claim_and_complete(&store, [number; 32]).await;
            })
        });
        for node in join_all(nodes).await {
            node.unwrap();
        }
    }
}

#[tokio::test]
async fn older_tables_are_brought_up_to_date_and_newer_ones_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let store = common::builder(directory.path()).connect().await.unwrap();
    for error in [
        store.claim(common::request([1; 32])).await.unwrap_err(),
        store.health().await.unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
        assert!(error.to_string().contains("store.migrate()"), "{error}");
    }
    let run = async |sql: String| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(store.writer())
            .await
            .unwrap();
    };
    run(
        "CREATE TABLE idem_slots_version (one INTEGER PRIMARY KEY CHECK (one = 1), \
         version INTEGER NOT NULL, works_with INTEGER NOT NULL) STRICT; \
         INSERT INTO idem_slots_version VALUES (1, 1, 1)"
            .to_owned(),
    )
    .await;
    run(include_str!("../src/migrations/1_slots.sql").replace("{slots}", "idem_slots")).await;
    let slot = common::claim_and_complete(&store, [1; 32]).await;
    store.migrate().await.unwrap();
    store.migrate().await.unwrap();
    let version: i64 = sqlx::query_scalar("SELECT version FROM idem_slots_version")
        .fetch_one(store.readers())
        .await
        .unwrap();
    assert_eq!(version, 2);
    assert!(store.inspect(slot).await.unwrap().is_some());

    run("UPDATE idem_slots_version SET version = 99, works_with = 2".to_owned()).await;
    let again = common::builder(directory.path()).connect().await.unwrap();
    common::claim_and_complete(&again, [2; 32]).await;
    run("UPDATE idem_slots_version SET works_with = 3".to_owned()).await;
    let error = common::builder(directory.path())
        .connect()
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            SetupError::Newer {
                found: 99,
                known: 2,
                ..
            }
        ),
        "{error}"
    );
    assert!(store.migrate().await.is_err());
}

#[tokio::test]
async fn expired_rows_are_deleted_in_steps_and_by_themselves() {
    let directory = tempfile::tempdir().unwrap();
    let store = common::ready(common::builder(directory.path()).without_reaper()).await;
    common::claim_and_complete(&store, [1; 32]).await;
    let expire = async |rows: i64| {
        sqlx::query(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1) \
             INSERT INTO idem_slots SELECT randomblob(32), x'07', x'01', 9, 9, 2, 0, 0, 1, 1, 1, \
             '[]', x'00' FROM n",
        )
        .bind(rows)
        .execute(store.writer())
        .await
        .unwrap();
    };
    expire(25).await;
    assert_eq!(store.reap(10).await.unwrap(), 10);
    assert_eq!(store.reap(100).await.unwrap(), 15);
    assert_eq!(store.reap(100).await.unwrap(), 0);
    expire(1000).await;
    let builder = common::builder(directory.path());
    let node = builder.reap_every(std::time::Duration::from_millis(10));
    let _node = node.connect().await.unwrap();
    loop {
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM idem_slots")
            .fetch_one(store.readers())
            .await
            .unwrap();
        if rows == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
