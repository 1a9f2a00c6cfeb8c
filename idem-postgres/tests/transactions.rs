//! The work's writes and the record commit together or not at all.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, future::join_all};
use idem_core::{
    Begun, Call, Claim, ClaimRequest, Claimed, Concluded, Ending, Execution, Fingerprint, Finish,
    Grant, Operation, OwnerId, Runtime, Slot, SlotState, Store, StoreError, Stored,
    TransactionHandle, Transactional, Worked, Writes,
    encryption::{Key, Keyring},
};
use idem_postgres::{Isolation, OpenTransaction, Postgres as Db, PostgresStore, Tx};
use idem_servers::{Postgres, Proxy, until};
use sqlx::{Connection, PgConnection};

use common::{RECORD, RETENTION, request};

/// A store, and a table for the work's writes.
async fn store(server: &Postgres) -> PostgresStore {
    with_table(common::store(server).await).await
}

async fn with_table(store: PostgresStore) -> PostgresStore {
    sqlx::raw_sql("CREATE TABLE IF NOT EXISTS effects (name TEXT)")
        .execute(store.pool())
        .await
        .unwrap();
    store
}

async fn effects(store: &PostgresStore) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM effects")
        .fetch_one(store.pool())
        .await
        .unwrap()
}

async fn effect(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO effects VALUES ('x')")
        .execute(connection)
        .await?;
    Ok(())
}

async fn begun(
    store: &PostgresStore,
    request: ClaimRequest,
) -> (OpenTransaction<Db>, Grant, Claimed) {
    match store.begin(request).await.unwrap() {
        Begun::Claimed(transaction, claimed) => {
            let grant = Grant {
                slot: request.slot,
                owner: request.owner,
                fence: claimed.fence,
            };
            (transaction, grant, claimed)
        }
        Begun::Not(claim) => panic!("{claim:?}"),
    }
}

async fn met(store: &PostgresStore, request: ClaimRequest) -> Claim {
    match store.begin(request).await.unwrap() {
        Begun::Claimed(_, claimed) => panic!("{claimed:?}"),
        Begun::Not(claim) => claim,
    }
}

fn complete(grant: Grant, writes: Writes) -> Ending {
    Ending::Complete {
        grant,
        record: Bytes::from_static(RECORD),
        retention: RETENTION,
        writes,
    }
}

fn other_fingerprint(mut request: ClaimRequest) -> ClaimRequest {
    request.owner = OwnerId::random();
    request.fingerprint = Fingerprint::from_bytes([8; 32]);
    request
}

/// No session of the store's is left in a transaction.
async fn until_idle(server: &Postgres) {
    until("no transaction is open", || async {
        let open = "SELECT count(*)::text FROM pg_stat_activity \
                    WHERE application_name = 'idem' AND state LIKE 'idle in transaction%'";
        server.text(open).await.as_deref() == Some("0")
    })
    .await;
}

#[tokio::test]
async fn each_ending_keeps_what_it_says() {
    let server = Postgres::start().await;
    let store = store(&server).await;

    let kept = request([1; 32]);
    let (mut transaction, grant, claimed) = begun(&store, kept).await;
    assert_eq!((claimed.fence.get(), claimed.attempt), (1, 1));
    effect(&mut transaction).await.unwrap();
    let ended = store
        .conclude(transaction, complete(grant, Writes::Keep))
        .await;
    assert_eq!(ended.unwrap(), Concluded::Done);
    assert_eq!(effects(&store).await, 1);
    assert!(
        matches!(met(&store, request([1; 32])).await, Claim::Completed(done) if done.record == RECORD)
    );
    assert!(matches!(
        met(&store, other_fingerprint(kept)).await,
        Claim::Mismatch
    ));

    let (mut transaction, grant, _) = begun(&store, request([2; 32])).await;
    effect(&mut transaction).await.unwrap();
    // A failed statement does not keep the record from being kept.
    assert!(
        sqlx::query("SELECT 1/0")
            .execute(&mut *transaction)
            .await
            .is_err()
    );
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
    assert_eq!(effects(&store).await, 1);
    assert!(matches!(
        met(&store, other_fingerprint(released)).await,
        Claim::Mismatch
    ));
    let (transaction, grant, claimed) = begun(&store, request([3; 32])).await;
    assert_eq!(
        (claimed.fence.get(), claimed.attempt, claimed.taken_over),
        (2, 2, false)
    );
    let ended = store
        .conclude(transaction, complete(grant, Writes::Keep))
        .await;
    assert_eq!(ended.unwrap(), Concluded::Done);

    let (mut transaction, _, _) = begun(&store, request([4; 32])).await;
    effect(&mut transaction).await.unwrap();
    assert_eq!(
        store.conclude(transaction, Ending::Abandon).await.unwrap(),
        Concluded::Done
    );
    let (mut transaction, _, claimed) = begun(&store, request([4; 32])).await;
    assert_eq!(claimed.attempt, 1);
    effect(&mut transaction).await.unwrap();
    drop(transaction);
    until_idle(&server).await;
    assert_eq!(effects(&store).await, 1);
    assert!(
        store
            .inspect(Slot::from_bytes([4; 32]))
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn while_a_transaction_is_open_nobody_waits_for_it_and_nobody_gets_past_it() {
    let server = Postgres::start().await;
    let store = store(&server).await;
    let first = request([1; 32]);
    let (mut transaction, grant, _) = begun(&store, first).await;
    effect(&mut transaction).await.unwrap();
    assert!(matches!(
        met(&store, request([1; 32])).await,
        Claim::InFlight { .. }
    ));
    assert!(matches!(
        met(&store, other_fingerprint(first)).await,
        Claim::Mismatch
    ));
    // Without a transaction it waits for the end of this one.
    let plain = tokio::spawn({
        let store = store.clone();
        async move { store.claim(request([1; 32])).await }
    });
    let waits = "SELECT count(*)::text FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    until("it waits", || async {
        server.text(waits).await.as_deref() == Some("1")
    })
    .await;
    let ended = store
        .conclude(transaction, complete(grant, Writes::Keep))
        .await;
    assert_eq!(ended.unwrap(), Concluded::Done);
    assert!(matches!(plain.await.unwrap().unwrap(), Claim::Completed(_)));

    // Of many at once one has it, and of many replays none is told that it is in progress.
    let crowd = join_all((0..50).map(|_| store.begin(request([2; 32])))).await;
    let mut won = Vec::new();
    for begun in crowd {
        match begun.unwrap() {
            Begun::Claimed(transaction, _) => won.push(transaction),
            Begun::Not(claim) => assert!(matches!(claim, Claim::InFlight { .. }), "{claim:?}"),
        }
    }
    assert_eq!(won.len(), 1);
    for replay in join_all((0..50).map(|_| met(&store, request([1; 32])))).await {
        assert!(matches!(replay, Claim::Completed(_)), "{replay:?}");
    }
}

/// A future that is dropped leaves neither a claim nor an open transaction behind.
#[tokio::test]
async fn a_begin_that_is_given_up_at_any_moment_leaves_nothing_behind() {
    let server = Postgres::start().await;
    let store = common::builder(&server).await.transaction_connections(3);
    let store = with_table({
        let store = store.connect().await.unwrap();
        store.migrate().await.unwrap();
        store
    })
    .await;
    for micros in (0..200).map(|step| step * 20) {
        let begin = store.begin(request([1; 32]));
        // Whether it is claimed or given up, it is dropped.
        let _ = tokio::time::timeout(Duration::from_micros(micros), begin).await;
    }
    until_idle(&server).await;
    until("it can be claimed", || async {
        matches!(store.begin(request([1; 32])).await, Ok(Begun::Claimed(..)))
    })
    .await;
    assert_eq!(effects(&store).await, 0);
}

struct Bench {
    runtime: Runtime,
    store: PostgresStore,
}

impl Bench {
    fn over(store: PostgresStore) -> Self {
        let runtime = Runtime::builder(store.clone()).build().unwrap();
        Self { runtime, store }
    }

    /// A node that seals what it stores.
    fn sealing(store: PostgresStore) -> Self {
        let keys = Keyring::new(Key::new("k", &[1; 32]).unwrap());
        let runtime = Runtime::builder(store.clone()).encryption(keys);
        let runtime = runtime.build().unwrap();
        Self { runtime, store }
    }

    fn call(&self, slot: [u8; 32]) -> Call {
        Call::at(
            Operation::new("test"),
            Slot::from_bytes(slot),
            Fingerprint::from_bytes([7; 32]),
            self.runtime.settings(),
        )
    }

    /// Runs `work` in the slot; its writes are kept and its answer recorded.
    async fn run<F, W>(&self, slot: [u8; 32], work: F) -> Execution<()>
    where
        F: FnOnce(Tx<Db>) -> W + Send + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let work = move |tx| {
            let work = work(tx);
            async move {
                work.await;
                recorded(())
            }
        };
        self.runtime.execute_in(self.call(slot), work).await
    }
}

fn recorded<A>(answer: A) -> Worked<A> {
    Worked {
        finish: Finish::Record {
            answer,
            record: Bytes::from_static(RECORD),
        },
        writes: Writes::Keep,
        conflict: false,
    }
}

fn ran<A>(execution: &Execution<A>) -> bool {
    matches!(
        execution,
        Execution::Ran {
            stored: Stored::Recorded,
            ..
        }
    )
}

/// What the work does to its own transaction does not pass as done.
#[tokio::test]
async fn work_that_ends_its_transaction_itself_is_not_run_again() {
    let server = Postgres::start().await;
    let bench = Bench::over(store(&server).await);
    let endings: [&'static str; 4] = ["COMMIT", "ROLLBACK", "COMMIT; BEGIN", "ROLLBACK; BEGIN"];
    for (number, ending) in (1..).zip(endings) {
        let slot = [number; 32];
        let escaped = bench
            .run(slot, move |mut tx| async move {
                effect(&mut tx).await.unwrap();
                sqlx::raw_sql(ending).execute(&mut *tx).await.unwrap();
                effect(&mut tx).await.unwrap();
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
        let view = bench
            .store
            .inspect(Slot::from_bytes(slot))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(view.state, SlotState::Unknown);
    }
    // sqlx rolls the whole transaction back when a nested `begin` is dropped on its way.
    let escaped = bench
        .run([10; 32], |mut tx| async move {
            effect(&mut tx).await.unwrap();
            // Until one is not there yet when it is dropped.
            while tx.begin().now_or_never().is_some() {}
        })
        .await;
    assert!(matches!(escaped, Execution::OutcomeUnknown), "{escaped:?}");
    // A forgotten savepoint does not hide it.
    let escaped = bench
        .run([11; 32], |mut tx| async move {
            std::mem::forget(tx.begin().await.unwrap());
            sqlx::raw_sql("COMMIT").execute(&mut *tx).await.unwrap();
        })
        .await;
    assert!(matches!(escaped, Execution::OutcomeUnknown), "{escaped:?}");
    until_idle(&server).await;
}

#[tokio::test]
async fn a_transaction_that_cannot_commit_is_not_recorded() {
    static KEPT: Mutex<Option<Tx<Db>>> = Mutex::new(None);
    let server = Postgres::start().await;
    let bench = Bench::over(store(&server).await);
    sqlx::raw_sql(
        "CREATE TABLE parents (id INT PRIMARY KEY); \
         CREATE TABLE children (id INT REFERENCES parents DEFERRABLE INITIALLY DEFERRED)",
    )
    .execute(bench.store.pool())
    .await
    .unwrap();
    let kept = bench
        .run([1; 32], |mut tx| async move {
            effect(&mut tx).await.unwrap();
            *KEPT.lock().unwrap() = Some(tx);
        })
        .await;
    let nested = bench
        .run([2; 32], |mut tx| async move {
            let mut nested = tx.begin().await.unwrap();
            effect(&mut nested).await.unwrap();
            std::mem::forget(nested);
        })
        .await;
    let failed = bench
        .run([3; 32], |mut tx| async move {
            effect(&mut tx).await.unwrap();
            let _ = sqlx::query("SELECT 1/0").execute(&mut *tx).await;
        })
        .await;
    let deferred = bench
        .run([4; 32], |mut tx| async move {
            effect(&mut tx).await.unwrap();
            let orphan = sqlx::query("INSERT INTO children VALUES (1)");
            orphan.execute(&mut *tx).await.unwrap();
        })
        .await;
    for (execution, says) in [
        (kept, "kept"),
        (nested, "nested"),
        (failed, "savepoint"),
        (deferred, "foreign key"),
    ] {
        let Execution::NotCommitted(StoreError::Refused { reason }) = execution else {
            panic!("{says}: {execution:?}");
        };
        assert!(reason.contains(says), "{reason}");
    }
    drop(KEPT.lock().unwrap().take());
    until_idle(&server).await;
    assert_eq!(effects(&bench.store).await, 0);
    for number in 1..=4 {
        assert!(
            ran(&bench.run([number; 32], |_| async {}).await),
            "{number}"
        );
    }

    let panicked = bench
        .run([5; 32], |mut tx| async move {
            effect(&mut tx).await.unwrap();
            panic!("on purpose");
        })
        .await;
    assert!(matches!(panicked, Execution::Panicked));
    assert_eq!(effects(&bench.store).await, 0);
    let again = bench.run([5; 32], |_| async {}).await;
    assert!(
        matches!(again, Execution::Ran { attempt: 2, .. }),
        "{again:?}"
    );
}

const COMMITTING: &str = "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted";

/// The commit happens, and its reply never arrives.
#[tokio::test]
async fn a_commit_whose_reply_is_lost_is_read_and_not_repeated() {
    let server = Postgres::start().await;
    let proxy = Arc::new(Proxy::start(server.port()).await);
    let direct = with_table({
        let store = PostgresStore::connect(&server.url()).await.unwrap();
        store.migrate().await.unwrap();
        store
    })
    .await;
    let behind = PostgresStore::connect(&server.url_through(&proxy))
        .await
        .unwrap();
    let benches = [Bench::over(behind.clone()), Bench::sealing(behind)];
    server
        .execute(
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN PERFORM pg_advisory_xact_lock_shared(77); RETURN NULL; END $$",
        )
        .await;
    server
        .execute(
            "CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON effects \
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()",
        )
        .await;
    let mut holder = PgConnection::connect(&server.url()).await.unwrap();
    for number in 1..=10_u8 {
        sqlx::query("SELECT pg_advisory_lock(77)")
            .execute(&mut holder)
            .await
            .unwrap();
        // What is read back is open, and compared with what was sealed.
        let bench = &benches[usize::from(number % 2)];
        let lost = bench.run([number; 32], move |mut tx| async move {
            effect(&mut tx).await.unwrap();
        });
        let broken = async {
            // The trigger's lock is asked for by the commit, after the record.
            until("it commits", || async {
                server.text(COMMITTING).await.as_deref() == Some("1")
            })
            .await;
            proxy.drop_replies();
            sqlx::query("SELECT pg_advisory_unlock(77)")
                .execute(&mut holder)
                .await
                .unwrap();
            let slot = Slot::from_bytes([number; 32]);
            until("it has committed", || async {
                direct.inspect(slot).await.unwrap().is_some()
            })
            .await;
            proxy.cut();
            proxy.heal();
        };
        let (execution, ()) = tokio::join!(lost, broken);
        assert!(ran(&execution), "{execution:?}");
        assert_eq!(effects(&direct).await, i64::from(number));
    }
}

/// 40001 and 40P01: both effects happen, each once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_gave_way_to_another_runs_again_where_it_may() {
    let server = Postgres::start_with(&[("deadlock_timeout", "10ms")]).await;
    let store = common::builder(&server)
        .await
        .isolation(Isolation::Serializable);
    let store = with_table({
        let store = store.connect().await.unwrap();
        store.migrate().await.unwrap();
        store
    })
    .await;
    sqlx::raw_sql("CREATE TABLE counter AS SELECT 0 AS n")
        .execute(store.pool())
        .await
        .unwrap();
    let bench = Arc::new(Bench::over(store));
    let runs = Arc::new(AtomicU32::new(0));
    let tasks = (0..16_u8).map(|number| {
        let (bench, runs) = (Arc::clone(&bench), Arc::clone(&runs));
        tokio::spawn(async move {
            let work = move |mut tx: Tx<Db>| {
                runs.fetch_add(1, SeqCst);
                async move {
                    let read = sqlx::query_scalar("SELECT n FROM counter");
                    let write = |n: i32| sqlx::query("UPDATE counter SET n = $1").bind(n + 1);
                    let added = async {
                        let n: i32 = read.fetch_one(&mut *tx).await?;
                        write(n).execute(&mut *tx).await
                    };
                    let failed = added.await.err();
                    let conflict = failed.is_some_and(|error| Tx::<Db>::is_conflict(&error));
                    Worked {
                        conflict,
                        ..recorded(())
                    }
                }
            };
            let call = bench.call([number + 1; 32]);
            bench.runtime.execute_in_retrying(call, 100, work).await
        })
    });
    for task in join_all(tasks).await {
        let execution = task.unwrap();
        assert!(ran(&execution), "{execution:?}");
    }
    let n: i32 = sqlx::query_scalar("SELECT n FROM counter")
        .fetch_one(bench.store.pool())
        .await
        .unwrap();
    assert_eq!(n, 16);
    assert!(runs.load(SeqCst) > 16, "nothing gave way");
}

/// Its row was committed in flight, and refuses to be taken over.
#[tokio::test]
async fn what_work_has_committed_itself_is_not_run_again_though_its_process_is_gone() {
    let server = Postgres::start().await;
    let store = store(&server).await;
    let mut request = request([1; 32]);
    request.lease = Duration::from_millis(1);
    let (mut transaction, _, _) = begun(&store, request).await;
    effect(&mut transaction).await.unwrap();
    sqlx::raw_sql("COMMIT")
        .execute(&mut *transaction)
        .await
        .unwrap();
    drop(transaction);
    until("its lease has lapsed, and nobody may take over", || async {
        matches!(met(&store, common::request([1; 32])).await, Claim::Unknown)
    })
    .await;
}

/// The row is committed after the transaction's snapshot was taken.
#[tokio::test]
async fn a_claim_that_a_snapshot_is_too_old_for_is_made_again() {
    let server = Postgres::start().await;
    let url = common::database(&server).await;
    let store = PostgresStore::builder(&url).isolation(Isolation::RepeatableRead);
    let store = store.connect().await.unwrap();
    store.migrate().await.unwrap();
    let mut other = PgConnection::connect(&url).await.unwrap();
    let mut open = other.begin().await.unwrap();
    sqlx::query(
        "INSERT INTO idem.slots (slot, fingerprint, owner, fence, attempt, state, refuse, \
         taken_over, retention, until, reap_at) \
         VALUES ($1, 'other', 'o', 1, 1, 1, true, false, '1 h', now() + interval '1 h', now())",
    )
    .bind([1_u8; 32].to_vec())
    .execute(&mut *open)
    .await
    .unwrap();
    let claim = tokio::spawn({
        let store = store.clone();
        async move { met(&store, request([1; 32])).await }
    });
    let waits = "SELECT count(*)::text FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    until("it waits", || async {
        server.text(waits).await.as_deref() == Some("1")
    })
    .await;
    open.commit().await.unwrap();
    assert_eq!(claim.await.unwrap(), Claim::Mismatch);
}

#[tokio::test]
async fn a_transaction_that_cannot_begin_says_why() {
    let server = Postgres::start().await;
    let store = common::builder(&server).await.connect().await.unwrap();
    let error = store.begin(request([1; 32])).await.unwrap_err();
    assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains("`store.migrate()`"), "{error}");
}
