//! How the tables are made, brought up to date, and refused.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::time::Duration;

use common::{Place, RETENTION, request, won};
use futures_util::future::{join_all, try_join_all};
use idem_core::{
    Claim, Fence, ListQuery, OwnerId, Resolution, Store, StoreError, Transactional, Written,
};
use idem_sqlite::{SetupError, SqliteStore};
use sqlx::{AssertSqlSafe, Executor};

const SLOTS: &str = include_str!("../src/migrations/1_slots.sql");

/// The tables as they were at version 1.
async fn make_version_1(store: &SqliteStore) {
    let slots = SLOTS.replace("{slots}", "\"idem_slots\"");
    store.writer().execute(AssertSqlSafe(slots)).await.unwrap();
    store
        .writer()
        .execute(
            "CREATE TABLE \"idem_slots_version\" (one INTEGER PRIMARY KEY CHECK (one = 1), \
             version INTEGER NOT NULL, works_with INTEGER NOT NULL) STRICT; \
             INSERT INTO \"idem_slots_version\" VALUES (1, 1, 1)",
        )
        .await
        .unwrap();
}

async fn say_version(store: &SqliteStore, version: i64, works_with: i64) {
    sqlx::query("UPDATE idem_slots_version SET version = ?1, works_with = ?2")
        .bind(version)
        .bind(works_with)
        .execute(store.writer())
        .await
        .unwrap();
}

async fn versions(store: &SqliteStore) -> (i64, i64) {
    sqlx::query_as("SELECT version, works_with FROM idem_slots_version")
        .fetch_one(store.readers())
        .await
        .unwrap()
}

async fn indexes(store: &SqliteStore) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*) FROM sqlite_master WHERE type = 'index' AND name = 'idem_slots_delete_at'",
    )
    .fetch_one(store.readers())
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_twenty_processes_that_make_a_new_file_at_once_all_succeed() {
    for _ in 0..40 {
        let place = Place::new();
        let stores = join_all((0..20).map(|_| {
            let builder = place.builder();
            tokio::spawn(async move {
                let store = builder.connect().await?;
                store.migrate().await?;
                Ok::<_, SetupError>(store)
            })
        }))
        .await;
        for store in stores {
            let store = store.unwrap().unwrap();
            assert_eq!(versions(&store).await, (3, 1));
            store.health().await.unwrap();
        }
    }
}

#[tokio::test]
async fn to_migrate_again_changes_nothing() {
    let place = Place::new();
    let store = place.store().await;
    won(&store, request(1)).await;
    store.migrate().await.unwrap();
    place.store().await;
    assert!(matches!(
        store.claim(request(1)).await.unwrap(),
        Claim::InFlight { .. }
    ));
}

#[tokio::test]
async fn a_service_starts_while_another_process_has_the_writer() {
    let place = Place::new();
    let store = place.store().await;
    let begun = store.begin(request(1)).await.unwrap();
    // Nobody gives the writer back: whatever waits for it fails.
    let other = place.store().await;
    other.health().await.unwrap();
    drop(begun);
}

#[tokio::test]
async fn older_tables_are_used_and_brought_up_to_date_with_their_rows() {
    let place = Place::new();
    let store = place.builder().connect().await.unwrap();
    make_version_1(&store).await;
    // Before a service migrates, or beside one that is older.
    store.health().await.unwrap();
    let granted = won(&store, request(1)).await;
    let done = store.complete(granted, "kept".into(), RETENTION).await;
    assert_eq!(done.unwrap(), Written::Done);
    assert_eq!(indexes(&store).await, 0);

    place.builder().connect().await.unwrap();
    store.migrate().await.unwrap();

    assert_eq!(versions(&store).await, (3, 1));
    assert_eq!(indexes(&store).await, 1);
    let claim = store.claim(request(1)).await.unwrap();
    assert!(
        matches!(&claim, Claim::Completed(completed) if completed.record == "kept"),
        "{claim:?}"
    );
}

#[tokio::test]
async fn newer_tables_that_exclude_this_version_are_refused_with_what_to_do() {
    let place = Place::new();
    let store = place.store().await;
    say_version(&store, 99, 99).await;

    let connected = place.builder().connect().await.map(drop);
    let migrated = store.migrate().await;
    for refused in [connected, migrated] {
        let error = refused.unwrap_err();
        assert!(matches!(
            error,
            SetupError::Newer {
                found: 99,
                known: 3,
                ..
            }
        ));
        let text = error.to_string();
        assert!(text.contains("update idem, or use another table"), "{text}");
    }
    let sick = store.health().await.unwrap_err();
    assert!(matches!(sick, StoreError::Refused { .. }), "{sick:?}");
    assert!(sick.to_string().contains("update idem"), "{sick}");
    assert_eq!(versions(&store).await, (99, 99));
}

#[tokio::test]
async fn newer_tables_that_include_this_version_are_used_and_not_taken_back() {
    let place = Place::new();
    say_version(&place.store().await, 99, 1).await;

    let store = place.store().await;
    store.health().await.unwrap();
    won(&store, request(1)).await;
    assert_eq!(versions(&store).await, (99, 1));
}

#[tokio::test]
async fn without_its_tables_everything_is_refused_with_what_to_call() {
    let place = Place::new();
    let store = place.builder().connect().await.unwrap();
    let granted = idem_core::Grant {
        slot: request(1).slot,
        owner: OwnerId::random(),
        fence: Fence::FIRST,
    };
    let step = idem_core::Checkpoint {
        name: "a".into(),
        value: "b".into(),
    };
    let query = ListQuery {
        state: None,
        after: None,
        limit: 1,
    };
    let give_back = Resolution::Release {
        ttl: Duration::from_secs(1),
    };
    let (slot, fence, operator) = (granted.slot, granted.fence, granted.owner);
    let second = Duration::from_secs(1);
    let refused = [
        ("claim", store.claim(request(1)).await.err()),
        ("renew", store.renew(granted, second).await.err()),
        ("checkpoint", store.checkpoint(granted, step).await.err()),
        (
            "complete",
            store.complete(granted, "".into(), RETENTION).await.err(),
        ),
        ("release", store.release(granted, second).await.err()),
        ("inspect", store.inspect(slot).await.err()),
        ("list", store.list(query).await.err()),
        (
            "resolve",
            store.resolve(slot, fence, operator, give_back).await.err(),
        ),
        ("health", store.health().await.err()),
        ("reap", store.reap(1).await.err()),
        ("begin", store.begin(request(1)).await.err()),
    ];
    for (verb, error) in refused {
        let error = error.unwrap();
        assert!(
            matches!(error, StoreError::Refused { .. }),
            "{verb}: {error:?}"
        );
        assert!(
            error.to_string().contains("store.migrate()"),
            "{verb}: {error}"
        );
    }
    // And then it works: nothing of this stays.
    store.migrate().await.unwrap();
    won(&store, request(1)).await;
}

#[tokio::test]
async fn tables_of_several_names_in_one_file_do_not_see_each_other() {
    let place = Place::new();
    let place = &place;
    let stores = try_join_all(["a", "b", "order", "select"].map(|table| async move {
        let store = place.builder().table(table).connect().await?;
        store.migrate().await?;
        Ok::<_, SetupError>(store)
    }));
    for store in stores.await.unwrap() {
        won(&store, request(1)).await;
    }
}

#[tokio::test]
async fn a_name_that_cannot_be_a_tables_is_refused_before_there_is_a_file() {
    let place = Place::new();
    for bad in ["", "Slots", "a b", "a\"; DROP TABLE b; --", "1a", "a.b"] {
        let error = place.builder().table(bad).connect().await.unwrap_err();
        assert!(matches!(error, SetupError::Name(_)), "{bad}");
        assert!(error.to_string().contains("lower-case letters"), "{error}");
    }
    let error = place.builder().table("sqlite_slots").connect().await;
    let text = error.unwrap_err().to_string();
    assert!(text.contains("SQLite's own"), "{text}");
    assert!(!place.path().exists());
}
