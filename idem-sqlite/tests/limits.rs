//! Limits where handlers take the store's transaction.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::time::Duration;

use common::{Place, until};
use idem_core::{
    Drained, Execution, FingerprintBuilder, Finish, IdempotencyKey, Limit, Limits, Operation,
    Retention, Runtime, SLOT_BYTES, Scope, ScopeTag, Store, Worked, Writes, Written,
};
use idem_sqlite::{Sqlite, SqliteStore, Tx};
use tokio::sync::oneshot;

/// Expired as soon as it is there.
const NONE: Retention = Retention {
    ttl: Duration::ZERO,
    grace: Duration::ZERO,
};
const PATIENCE: Duration = Duration::from_secs(30);

fn runtime(store: &SqliteStore, limits: Limits) -> Runtime {
    Runtime::builder(store.clone())
        .limits(limits)
        .build()
        .unwrap()
}

/// Runs in a transaction until it is told to end.
async fn pay(
    runtime: Runtime,
    key: u32,
    record: bool,
    end: impl Future<Output = ()> + Send + 'static,
) -> Execution<()> {
    let call = runtime.call(
        Operation::new("pay"),
        &Scope::new("user", "ana").unwrap(),
        &IdempotencyKey::new(key.to_string()).unwrap(),
        FingerprintBuilder::new().finish(),
        runtime.settings(),
    );
    let work = move |tx: Tx<Sqlite>| async move {
        end.await;
        drop(tx);
        let finish = if record {
            Finish::Record {
                answer: (),
                record: vec![b'r'; 1000].into(),
            }
        } else {
            Finish::Release { answer: () }
        };
        Worked {
            finish,
            writes: Writes::Keep,
            conflict: false,
        }
    };
    runtime.execute_in(call, work).await
}

#[tokio::test]
async fn what_a_transaction_has_committed_is_counted_beside_it() {
    let place = Place::new();
    let limits = Limits {
        stored_bytes: Some(SLOT_BYTES + SLOT_BYTES + 1000),
        ..Limits::NONE
    };
    let runtime = runtime(&place.store().await, limits);
    for (key, record) in [(1, false), (2, true)] {
        let ran = pay(runtime.clone(), key, record, async {}).await;
        assert!(matches!(ran, Execution::Ran { .. }), "{ran:?}");
        assert_eq!(runtime.drain(PATIENCE).await, Drained::Clean);
    }
    let refused = pay(runtime.clone(), 3, true, async {}).await;
    assert!(
        matches!(
            refused,
            Execution::Limited {
                limit: Limit::StoredBytes,
                ..
            }
        ),
        "{refused:?}"
    );
    let replayed = pay(runtime, 2, true, async {}).await;
    assert!(matches!(replayed, Execution::Replayed(_)), "{replayed:?}");
}

/// Nobody outside sees its row; the process that runs it knows.
#[tokio::test]
async fn at_the_limit_what_runs_in_a_transaction_is_in_progress() {
    let place = Place::new();
    let limits = Limits {
        live_claims: Some(1),
        ..Limits::NONE
    };
    let runtime = runtime(&place.store().await, limits);
    let (begin, begun) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let running = tokio::spawn(pay(runtime.clone(), 1, true, async move {
        begin.send(()).unwrap();
        ended.await.unwrap();
    }));
    begun.await.unwrap();
    let duplicate = pay(runtime.clone(), 1, true, async {}).await;
    assert!(
        matches!(duplicate, Execution::InProgress { .. }),
        "{duplicate:?}"
    );
    let fresh = pay(runtime.clone(), 2, true, async {}).await;
    assert!(matches!(fresh, Execution::Limited { .. }), "{fresh:?}");
    end.send(()).unwrap();
    let ran = running.await.unwrap();
    assert!(matches!(ran, Execution::Ran { .. }), "{ran:?}");
    let fresh = pay(runtime, 2, true, async {}).await;
    assert!(matches!(fresh, Execution::Ran { .. }), "{fresh:?}");
}

#[tokio::test]
async fn the_reaper_deletes_meters_whose_window_has_ended() {
    let place = Place::new();
    let store = place.store().await;
    let tag = |byte| ScopeTag::from_bytes([byte; 16]);
    let meters = async || -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM idem_slots_meters")
            .fetch_one(store.readers())
            .await
            .unwrap()
    };
    for byte in 1..=3 {
        store
            .spend(tag(byte), 1, Duration::from_millis(1))
            .await
            .unwrap();
    }
    store.spend(tag(4), 1, PATIENCE).await.unwrap();
    assert_eq!(meters().await, 4);
    until("two of them are deleted", async || {
        let _ = store.reap(1).await.unwrap();
        meters().await <= 2
    })
    .await;
    until("all that are due are deleted", async || {
        let _ = store.reap(100).await.unwrap();
        meters().await == 1
    })
    .await;
    assert_eq!(store.reap(100).await.unwrap(), 0);
    assert_eq!(store.spend(tag(4), 1, PATIENCE).await.unwrap().total, 2);
    // Slots and meters count alike.
    for number in 0..3 {
        let granted = common::won(&store, common::request(number)).await;
        let done = store.complete(granted, "x".into(), NONE).await;
        assert_eq!(done.unwrap(), Written::Done);
    }
    for byte in 5..=6 {
        store.spend(tag(byte), 1, Duration::ZERO).await.unwrap();
    }
    assert_eq!(store.reap(100).await.unwrap(), 3 + 2);
}
