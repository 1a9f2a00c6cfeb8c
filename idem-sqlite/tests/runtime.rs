//! What a runtime makes of the store's transactions.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use common::{Place, with_another_payload};
use idem_core::{
    Call, Claim, Execution, Fingerprint, Finish, OnceError, Operation, Overrides, ReplayCache,
    Runtime, Scope, Slot, Store, StoreError, Stored, Worked, Writes,
};
use idem_sqlite::{Sqlite, SqliteStore, Tx};
use sqlx::{Connection, Executor};

struct Shop {
    store: SqliteStore,
    runtime: Runtime,
    _place: Place,
}

impl Shop {
    async fn new() -> Self {
        let place = Place::new();
        let store = place.store().await;
        store
            .writer()
            .execute(
                "CREATE TABLE effects (x); CREATE TABLE a (id INTEGER PRIMARY KEY); \
                 CREATE TABLE b (a REFERENCES a (id) DEFERRABLE INITIALLY DEFERRED)",
            )
            .await
            .unwrap();
        let runtime = Runtime::builder(store.clone()).build().unwrap();
        Self {
            store,
            runtime,
            _place: place,
        }
    }

    async fn effects(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM effects")
            .fetch_one(self.store.readers())
            .await
            .unwrap()
    }

    fn call(&self, slot: u64) -> Call {
        Call::at(
            Operation::new("test"),
            slot_of(slot),
            Fingerprint::from_bytes([7; 32]),
            self.runtime.settings(),
        )
    }

    async fn run<F, W>(&self, slot: u64, writes: Writes, work: F) -> Execution<()>
    where
        F: FnOnce(Tx<Sqlite>) -> W + Send + 'static,
        W: Future<Output = Finish<()>> + Send + 'static,
    {
        let call = self.call(slot);
        let work = move |tx| {
            let work = work(tx);
            async move {
                Worked {
                    finish: work.await,
                    writes,
                    conflict: false,
                }
            }
        };
        self.runtime.execute_in(call, work).await
    }

    /// Runs what writes and then says this to SQLite.
    async fn say(&self, slot: u64, statements: &'static str) -> Execution<()> {
        self.run(slot, Writes::Keep, move |mut tx| async move {
            effect(&mut tx).await;
            tx.execute(statements).await.unwrap();
            record()
        })
        .await
    }

    async fn again(&self, slot: u64) -> Execution<()> {
        self.run(slot, Writes::Keep, |_| async { record() }).await
    }
}

fn slot_of(slot: u64) -> Slot {
    common::request(slot).slot
}

fn record() -> Finish<()> {
    Finish::Record {
        answer: (),
        record: "done".into(),
    }
}

async fn effect(tx: &mut Tx<Sqlite>) {
    tx.execute("INSERT INTO effects VALUES (1)").await.unwrap();
}

fn is_recorded(execution: &Execution<()>) -> bool {
    matches!(
        execution,
        Execution::Ran {
            stored: Stored::Recorded,
            ..
        }
    )
}

#[tokio::test]
async fn work_that_always_gives_way_runs_as_often_as_it_may_and_has_written_nothing() {
    let shop = Shop::new().await;
    for (slot, retries) in [(1, 0), (2, 3)] {
        let runs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&runs);
        let work = move |mut tx: Tx<Sqlite>| {
            counted.fetch_add(1, SeqCst);
            async move {
                effect(&mut tx).await;
                Worked {
                    finish: record(),
                    writes: Writes::Keep,
                    conflict: true,
                }
            }
        };
        let gave_way = shop
            .runtime
            .execute_in_retrying(shop.call(slot), retries, work)
            .await;
        assert!(
            matches!(gave_way, Execution::NotCommitted(StoreError::Conflict(_))),
            "{gave_way:?}"
        );
        assert_eq!(runs.load(SeqCst), retries + 1);
        assert_eq!(shop.effects().await, 0);
    }
    assert!(is_recorded(&shop.again(1).await));
}

#[tokio::test]
async fn what_a_transaction_has_recorded_is_replayed_without_the_store() {
    let mut shop = Shop::new().await;
    shop.runtime = Runtime::builder(shop.store.clone())
        .replay_cache(ReplayCache {
            max_bytes: 1 << 20,
            max_age: Duration::from_secs(60),
        })
        .build()
        .unwrap();
    let declined = |_| async { Finish::Release { answer: () } };
    shop.run(2, Writes::Keep, declined).await;
    let dangling = shop.say(3, "INSERT INTO b VALUES (1)").await;
    assert!(
        matches!(dangling, Execution::NotCommitted(_)),
        "{dangling:?}"
    );
    assert!(is_recorded(&shop.again(1).await));
    shop.store
        .writer()
        .execute("DROP TABLE idem_slots")
        .await
        .unwrap();
    let replayed = shop.again(1).await;
    assert!(matches!(replayed, Execution::Replayed(_)), "{replayed:?}");
    for not_recorded in [2, 3] {
        let unknown = shop.again(not_recorded).await;
        assert!(matches!(unknown, Execution::StoreFailed(_)), "{unknown:?}");
    }
}

#[tokio::test]
async fn a_store_that_is_shared_has_its_transactions() {
    let store = Shop::new().await.store;
    for runtime in [
        Runtime::builder(store.clone()),
        Runtime::builder(Arc::new(store)),
    ] {
        let runtime = runtime.build().unwrap();
        assert!(runtime.transactions().is_some());
        assert!(runtime.store_name().contains("SqliteStore"));
    }
}

#[tokio::test]
async fn work_and_its_result_are_there_once_however_often_it_is_asked_for() {
    let shop = Shop::new().await;
    for round in 0..3 {
        let once = shop
            .runtime
            .once_in(
                &Overrides::NONE,
                "order",
                &Scope::GLOBAL,
                "k-1",
                &7,
                |mut tx: Tx<Sqlite>| async move {
                    effect(&mut tx).await;
                    Ok::<_, String>("tea".to_owned())
                },
            )
            .await
            .unwrap();
        assert_eq!(once.value, "tea");
        assert_eq!(once.replayed, round > 0);
    }
    assert_eq!(shop.effects().await, 1);
}

#[tokio::test]
async fn work_that_fails_has_written_nothing_and_runs_again() {
    let shop = Shop::new().await;
    for _ in 0..2 {
        let once = shop
            .runtime
            .once_in(
                &Overrides::NONE,
                "order",
                &Scope::GLOBAL,
                "k-1",
                &7,
                |mut tx: Tx<Sqlite>| async move {
                    effect(&mut tx).await;
                    Err::<String, _>("no tea")
                },
            )
            .await;
        assert!(matches!(once, Err(OnceError::Work("no tea"))), "{once:?}");
    }
    assert_eq!(shop.effects().await, 0);
}

#[tokio::test]
async fn work_that_panics_has_written_nothing_and_runs_again() {
    let shop = Shop::new().await;
    let panicked = shop
        .run(1, Writes::Keep, |mut tx| async move {
            effect(&mut tx).await;
            panic!("on purpose")
        })
        .await;
    assert!(matches!(panicked, Execution::Panicked), "{panicked:?}");
    assert_eq!(shop.effects().await, 0);
    let again = shop.again(1).await;
    assert!(
        matches!(again, Execution::Ran { attempt: 2, .. }),
        "{again:?}"
    );
}

#[tokio::test]
async fn an_answer_may_be_recorded_without_its_writes() {
    let shop = Shop::new().await;
    let refused = shop
        .run(1, Writes::RollBack, |mut tx| async move {
            effect(&mut tx).await;
            record()
        })
        .await;
    assert!(is_recorded(&refused), "{refused:?}");
    assert_eq!(shop.effects().await, 0);
    assert!(matches!(shop.again(1).await, Execution::Replayed(_)));
}

#[tokio::test]
async fn work_that_ends_its_transaction_has_an_unknown_outcome_and_is_not_run_again() {
    let shop = Shop::new().await;
    let tricks = [
        "COMMIT",
        "ROLLBACK",
        "COMMIT; BEGIN",
        "ROLLBACK; BEGIN IMMEDIATE",
        "ROLLBACK; INSERT INTO effects VALUES (1)",
    ];
    for (slot, trick) in (1..).zip(tricks) {
        for execution in [shop.say(slot, trick).await, shop.again(slot).await] {
            assert!(
                matches!(execution, Execution::OutcomeUnknown),
                "{trick}: {execution:?}"
            );
        }
    }
}

#[tokio::test]
async fn work_that_keeps_its_transaction_is_not_committed_and_runs_again() {
    static KEPT: Mutex<Option<Tx<Sqlite>>> = Mutex::new(None);
    let shop = Shop::new().await;
    let kept = shop
        .run(1, Writes::Keep, |mut tx| async move {
            effect(&mut tx).await;
            *KEPT.lock().unwrap() = Some(tx);
            record()
        })
        .await;
    assert!(
        matches!(&kept, Execution::NotCommitted(StoreError::Refused { reason }) if reason.contains("kept its transaction")),
        "{kept:?}"
    );
    // It has the writer still, and the slot.
    let claim = shop.store.claim(with_another_payload(1)).await.unwrap();
    assert_eq!(claim, Claim::Mismatch);
    // What it does now is never committed either.
    let mut tx = KEPT.lock().unwrap().take().unwrap();
    effect(&mut tx).await;
    drop(tx);
    assert!(is_recorded(&shop.again(1).await));
    assert_eq!(shop.effects().await, 0);
}

#[tokio::test]
async fn work_that_forgets_a_savepoint_is_not_committed_and_runs_again() {
    let shop = Shop::new().await;
    let forgotten = shop
        .run(1, Writes::Keep, |mut tx| async move {
            effect(&mut tx).await;
            std::mem::forget(tx.begin().await.unwrap());
            record()
        })
        .await;
    assert!(
        matches!(
            &forgotten,
            Execution::NotCommitted(StoreError::Refused { .. })
        ),
        "{forgotten:?}"
    );
    assert_eq!(shop.effects().await, 0);
    assert!(is_recorded(&shop.again(1).await));
}

#[tokio::test]
async fn work_that_fails_at_its_commit_is_not_committed_and_runs_again() {
    let shop = Shop::new().await;
    let dangling = shop.say(1, "INSERT INTO b VALUES (1)").await;
    assert!(
        matches!(
            &dangling,
            Execution::NotCommitted(StoreError::Refused { .. })
        ),
        "{dangling:?}"
    );
    assert_eq!(shop.effects().await, 0);
    assert!(is_recorded(&shop.again(1).await));
}
