//! The work's writes and the record commit together or not at all.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::{sync::Mutex, time::Duration};

use bytes::Bytes;
use common::{RECORD, RETENTION, begun, effect, effects, met, other_fingerprint, request};
use futures_util::future::join_all;
use idem_core::{
    Begun, Call, Claim, Concluded, Ending, Execution, Fingerprint, Finish, Grant, Operation,
    Runtime, Slot, SlotState, Store, StoreError, Stored, Transactional, Worked, Writes,
};
use idem_sqlite::{Sqlite, SqliteStore, Tx};
use sqlx::Connection;

fn complete(grant: Grant, writes: Writes) -> Ending {
    Ending::Complete {
        grant,
        record: Bytes::from_static(RECORD),
        retention: RETENTION,
        writes,
    }
}

#[tokio::test]
async fn each_ending_keeps_what_it_says() {
    let directory = tempfile::tempdir().unwrap();
    let store = common::store(directory.path()).await;

    let (mut transaction, grant, _) = begun(&store, request([1; 32])).await;
    effect(&mut transaction).await.unwrap();
    let ended = store
        .conclude(transaction, complete(grant, Writes::Keep))
        .await;
    assert_eq!(ended.unwrap(), Concluded::Done);
    assert_eq!(effects(&store).await, 1);
    assert!(
        matches!(met(&store, request([1; 32])).await, Claim::Completed(done) if done.record == RECORD)
    );

    let (mut transaction, grant, _) = begun(&store, request([2; 32])).await;
    effect(&mut transaction).await.unwrap();
    let ended = store
        .conclude(transaction, complete(grant, Writes::RollBack))
        .await;
    assert_eq!(ended.unwrap(), Concluded::Done);
    assert_eq!(effects(&store).await, 1);
    assert!(matches!(
        met(&store, request([2; 32])).await,
        Claim::Completed(_)
    ));

    let released = request([3; 32]);
    let (mut transaction, grant, _) = begun(&store, released).await;
    effect(&mut transaction).await.unwrap();
    let ttl = Duration::from_secs(60);
    let ended = store
        .conclude(transaction, Ending::Release { grant, ttl })
        .await;
    assert_eq!(ended.unwrap(), Concluded::Done);
    assert!(matches!(
        met(&store, other_fingerprint(released)).await,
        Claim::Mismatch
    ));
    let (transaction, _, claimed) = begun(&store, request([3; 32])).await;
    assert_eq!((claimed.fence.get(), claimed.attempt), (2, 2));
    let ended = store.conclude(transaction, Ending::Abandon).await;
    assert_eq!(ended.unwrap(), Concluded::Done);

    let (mut transaction, _, _) = begun(&store, request([4; 32])).await;
    effect(&mut transaction).await.unwrap();
    drop(transaction);
    let (transaction, _, claimed) = begun(&store, request([4; 32])).await;
    assert_eq!(claimed.attempt, 1);
    drop(transaction);
    assert_eq!(effects(&store).await, 1);
}

#[tokio::test]
async fn while_a_transaction_has_the_writer_duplicates_are_told_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let store = common::store(directory.path()).await;
    let done = common::claim_and_complete(&store, [9; 32]).await;
    let first = request([1; 32]);
    let (mut transaction, grant, _) = begun(&store, first).await;
    effect(&mut transaction).await.unwrap();
    // None of these could be answered if it queued for the one writer.
    for meets in join_all((0..300).map(|_| met(&store, request([1; 32])))).await {
        assert!(matches!(meets, Claim::InFlight { .. }));
    }
    assert!(matches!(
        met(&store, other_fingerprint(first)).await,
        Claim::Mismatch
    ));
    let plain = store.claim(request([1; 32])).await.unwrap();
    assert!(matches!(plain, Claim::InFlight { .. }));
    let replay = store.claim(request(*done.as_bytes())).await.unwrap();
    assert!(matches!(replay, Claim::Completed(_)));
    assert!(matches!(
        met(&store, request(*done.as_bytes())).await,
        Claim::Completed(_)
    ));
    // Another process waits for its turn, and sees what was committed.
    let other = common::store(directory.path());
    let other = async {
        let other = other.await;
        met(&other, request([1; 32])).await
    };
    let ended = store.conclude(transaction, complete(grant, Writes::Keep));
    let (ended, met) = tokio::join!(ended, other);
    assert_eq!(ended.unwrap(), Concluded::Done);
    assert!(matches!(met, Claim::Completed(_)));
}

#[tokio::test]
async fn who_waits_in_vain_for_another_process_may_ask_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = common::store(directory.path()).await;
    let impatient = common::builder(directory.path()).busy_timeout(Duration::from_millis(20));
    let other = impatient.connect().await.unwrap();
    let (transaction, _, _) = begun(&store, request([1; 32])).await;
    let error = other.claim(request([2; 32])).await.unwrap_err();
    assert!(error.is_transient() && !error.is_ambiguous(), "{error:?}");
    let error = other.begin(request([2; 32])).await.unwrap_err();
    assert!(error.is_transient() && !error.is_ambiguous(), "{error:?}");
    let ended = store.conclude(transaction, Ending::Abandon).await;
    assert_eq!(ended.unwrap(), Concluded::Done);
    common::claim_and_complete(&other, [2; 32]).await;
}

#[tokio::test]
async fn a_begin_that_is_given_up_at_any_moment_blocks_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let store = common::store(directory.path()).await;
    for step in 0..200_u64 {
        let begin = store.begin(request([1; 32]));
        let _ = tokio::time::timeout(Duration::from_millis(step % 4), begin).await;
    }
    let claim = idem_core::testing::insist(|| store.begin(request([1; 32]))).await;
    assert!(matches!(claim.unwrap(), Begun::Claimed(..)));
}

struct Bench {
    runtime: Runtime,
    store: SqliteStore,
}

impl Bench {
    async fn run<F, W>(&self, slot: [u8; 32], work: F) -> Execution<()>
    where
        F: FnOnce(Tx<Sqlite>) -> W + Send + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let call = Call {
            operation: Operation::new("test"),
            slot: Slot::from_bytes(slot),
            fingerprint: Fingerprint::from_bytes([7; 32]),
            settings: self.runtime.settings(),
        };
        let work = move |tx| {
            let work = work(tx);
            async move {
                work.await;
                Worked {
                    finish: Finish::Record {
                        answer: (),
                        record: Bytes::from_static(RECORD),
                    },
                    writes: Writes::Keep,
                    conflict: false,
                }
            }
        };
        self.runtime.execute_in(call, work).await
    }
}

#[tokio::test]
async fn what_the_work_does_to_its_own_transaction_does_not_pass_as_done() {
    static KEPT: Mutex<Option<Tx<Sqlite>>> = Mutex::new(None);
    let directory = tempfile::tempdir().unwrap();
    let store = common::store(directory.path()).await;
    let runtime = Runtime::builder(store.clone()).build().unwrap();
    let bench = Bench { runtime, store };
    sqlx::raw_sql(
        "CREATE TABLE parents (id INT PRIMARY KEY); \
         CREATE TABLE children (id INT REFERENCES parents DEFERRABLE INITIALLY DEFERRED)",
    )
    .execute(bench.store.writer())
    .await
    .unwrap();
    let endings: [&'static str; 4] = ["COMMIT", "ROLLBACK", "COMMIT; BEGIN", "ROLLBACK; BEGIN"];
    for (number, ending) in (1..).zip(endings) {
        let slot = [number; 32];
        let escaped = bench
            .run(slot, move |mut tx| async move {
                sqlx::raw_sql(ending).execute(&mut *tx).await.unwrap();
            })
            .await;
        assert!(
            matches!(escaped, Execution::OutcomeUnknown),
            "{ending}: {escaped:?}"
        );
        let again = bench.run(slot, |_| async { panic!("it ran again") }).await;
        assert!(
            matches!(again, Execution::OutcomeUnknown),
            "{ending}: {again:?}"
        );
        let view = bench.store.inspect(Slot::from_bytes(slot)).await;
        assert_eq!(view.unwrap().unwrap().state, SlotState::Unknown);
    }

    let nested = bench
        .run([10; 32], |mut tx| async move {
            let mut nested = tx.begin().await.unwrap();
            effect(&mut nested).await.unwrap();
            std::mem::forget(nested);
        })
        .await;
    let deferred = bench
        .run([11; 32], |mut tx| async move {
            effect(&mut tx).await.unwrap();
            let orphan = sqlx::query("INSERT INTO children VALUES (1)");
            orphan.execute(&mut *tx).await.unwrap();
        })
        .await;
    let kept = bench
        .run([12; 32], |mut tx| async move {
            effect(&mut tx).await.unwrap();
            *KEPT.lock().unwrap() = Some(tx);
        })
        .await;
    for execution in [nested, deferred, kept] {
        let Execution::NotCommitted(StoreError::Refused { .. }) = execution else {
            panic!("{execution:?}");
        };
    }
    drop(KEPT.lock().unwrap().take());
    assert_eq!(effects(&bench.store).await, 0);
    for number in 10..=12 {
        let again = bench.run([number; 32], |_| async {}).await;
        assert!(
            matches!(
                again,
                Execution::Ran {
                    stored: Stored::Recorded,
                    ..
                }
            ),
            "{again:?}"
        );
    }
    // A statement that fails does not spoil the others.
    let failed = bench
        .run([13; 32], |mut tx| async move {
            effect(&mut tx).await.unwrap();
            let wrong = sqlx::query("INSERT INTO nowhere VALUES (1)");
            assert!(wrong.execute(&mut *tx).await.is_err());
        })
        .await;
    assert!(matches!(
        failed,
        Execution::Ran {
            stored: Stored::Recorded,
            ..
        }
    ));
    assert_eq!(effects(&bench.store).await, 1);
}
