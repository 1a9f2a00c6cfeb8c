//! A transaction beside a claim: the work's writes and the record commit together, and
//! the steps are kept whatever becomes of them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use idem_core::{
    Call, Drained, Execution, Fingerprint, Finish, IdempotencyKey, Limit, Limits, Operation,
    Overrides, Renewal, Runtime, SLOT_BYTES, Scope, Slot, SlotState, StepError, Steps, Stop, Store,
    StoreError, Stored, Worked, Writes, Written,
    encryption::{Key, Keyring},
};
use idem_postgres::{Isolation, Postgres as Db, PostgresStore, Tx};
use idem_servers::{Postgres, Proxy, until};
use sqlx::{Connection, PgConnection};

const LEASE: Duration = Duration::from_secs(2);

type Outcome = Execution<String>;

/// How a run of the work ends.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Record,
    Declined,
    Release,
    Panic,
    /// With a `COMMIT` of its own.
    Commit,
    /// With a step of a name that it has used already.
    Misstep,
}

struct Bench {
    store: PostgresStore,
    runtime: Runtime,
    steps_run: Arc<AtomicU32>,
}

impl Bench {
    async fn new(server: &Postgres) -> Self {
        let store = common::store(server).await;
        sqlx::raw_sql("CREATE TABLE IF NOT EXISTS effects (name TEXT)")
            .execute(store.pool())
            .await
            .unwrap();
        Self::over(store)
    }

    fn over(store: PostgresStore) -> Self {
        Self {
            runtime: Runtime::builder(store.clone()).build().unwrap(),
            store,
            steps_run: Arc::default(),
        }
    }

    /// A node that seals what it stores.
    fn sealing(&self) -> Self {
        let keys = Keyring::new(Key::new("k", &[1; 32]).unwrap());
        let runtime = Runtime::builder(self.store.clone()).encryption(keys);
        Self {
            store: self.store.clone(),
            runtime: runtime.build().unwrap(),
            steps_run: Arc::clone(&self.steps_run),
        }
    }

    fn call(&self, slot: u8) -> Call {
        let lease = Overrides {
            lease: Some(LEASE),
            ..Overrides::NONE
        };
        Call::at(
            Operation::new("test"),
            Slot::from_bytes([slot; 32]),
            Fingerprint::from_bytes([7; 32]),
            self.runtime.settings_for(&lease).unwrap(),
        )
    }

    /// A row, a step, another row, `then`, and the end.
    async fn run<F>(&self, slot: u8, end: End, then: impl FnOnce() -> F + Send + 'static) -> Outcome
    where
        F: Future<Output = ()> + Send,
    {
        let steps_run = Arc::clone(&self.steps_run);
        let work = async move |mut tx: Tx<Db>, steps: Steps| {
            effect(&mut tx).await;
            let stepped = step(&steps, &steps_run, "step").await;
            effect(&mut tx).await;
            then().await;
            match end {
                End::Panic => std::panic::resume_unwind(Box::new("on purpose")),
                End::Commit => {
                    sqlx::raw_sql("COMMIT").execute(&mut *tx).await.unwrap();
                }
                End::Misstep => {
                    let again = step(&steps, &steps_run, "step").await;
                    assert!(matches!(again, Err(StepError::Steps(_))));
                }
                End::Record | End::Declined | End::Release => {}
            }
            let answer = stepped.map_or_else(|error| error.to_string(), |step| step.to_string());
            Worked {
                finish: if end == End::Release {
                    Finish::Release { answer }
                } else {
                    Finish::Record {
                        record: Bytes::from(answer.clone()),
                        answer,
                    }
                },
                writes: if end == End::Declined {
                    Writes::RollBack
                } else {
                    Writes::Keep
                },
                conflict: false,
            }
        };
        let work = move |tx, steps| Box::pin(work(tx, steps));
        self.runtime
            .execute_in_steps_and(self.call(slot), work)
            .await
    }

    async fn effects(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM effects")
            .fetch_one(self.store.pool())
            .await
            .unwrap()
    }

    fn steps_run(&self) -> u32 {
        self.steps_run.load(SeqCst)
    }

    async fn state(&self, slot: u8) -> SlotState {
        let view = self.store.inspect(Slot::from_bytes([slot; 32])).await;
        view.unwrap().unwrap().state
    }
}

async fn effect(connection: &mut PgConnection) {
    sqlx::query("INSERT INTO effects VALUES ('x')")
        .execute(connection)
        .await
        .unwrap();
}

async fn step(
    steps: &Steps,
    run: &AtomicU32,
    name: &str,
) -> Result<u32, StepError<std::convert::Infallible>> {
    steps
        .run(name, || async { Ok(run.fetch_add(1, SeqCst) + 1) })
        .await
}

#[track_caller]
fn ran(outcome: &Outcome) -> (&str, u32, Stored) {
    match outcome {
        Execution::Ran {
            answer,
            attempt,
            stored,
        } => (answer, *attempt, *stored),
        other => panic!("{other:?}"),
    }
}

async fn nothing() {}

#[tokio::test]
async fn whatever_becomes_of_the_writes_a_finished_step_is_kept() {
    let server = Postgres::start().await;
    let bench = Bench::new(&server).await;

    let released = bench.run(1, End::Release, nothing).await;
    assert_eq!(ran(&released), ("1", 1, Stored::Released));
    assert!(matches!(
        bench.run(1, End::Panic, nothing).await,
        Execution::Panicked
    ));
    let misstep = bench.run(1, End::Misstep, nothing).await;
    assert!(
        matches!(misstep, Execution::Stopped(Stop::Steps)),
        "{misstep:?}"
    );
    assert_eq!((bench.effects().await, bench.steps_run()), (0, 1));

    let recorded = bench.run(1, End::Record, nothing).await;
    assert_eq!(ran(&recorded), ("1", 4, Stored::Recorded));
    assert_eq!((bench.effects().await, bench.steps_run()), (2, 1));
    let again = bench.run(1, End::Record, nothing).await;
    assert!(matches!(again, Execution::Replayed(replay) if replay.record == "1"));

    // A recorded refusal: its writes are rolled back, and its step has happened.
    let declined = bench.run(2, End::Declined, nothing).await;
    assert_eq!(ran(&declined), ("2", 1, Stored::Recorded));
    let again = bench.run(2, End::Declined, nothing).await;
    assert!(matches!(again, Execution::Replayed(_)), "{again:?}");
    assert_eq!((bench.effects().await, bench.steps_run()), (2, 2));
}

#[tokio::test]
async fn the_steps_and_the_record_beside_a_transaction_are_sealed() {
    let server = Postgres::start().await;
    let plain = Bench::new(&server).await;
    let sealing = plain.sealing();
    let released = sealing.run(1, End::Release, nothing).await;
    assert_eq!(ran(&released), ("1", 1, Stored::Released));
    let step = |outcome: &Outcome| match outcome {
        Execution::StoreFailed(StoreError::Unopened { cause, .. }) => cause.step.clone(),
        other => panic!("{other:?}"),
    };
    let unopened = plain.run(1, End::Record, nothing).await;
    assert_eq!(step(&unopened).as_deref(), Some("step"));
    assert_eq!((plain.effects().await, plain.steps_run()), (0, 1));
    let recorded = sealing.run(1, End::Record, nothing).await;
    assert_eq!(ran(&recorded), ("1", 3, Stored::Recorded));
    let unopened = plain.run(1, End::Record, nothing).await;
    assert_eq!(step(&unopened), None);
    let again = sealing.run(1, End::Record, nothing).await;
    assert!(matches!(again, Execution::Replayed(replay) if replay.record == "1"));
    assert_eq!((plain.effects().await, plain.steps_run()), (2, 1));
}

#[tokio::test]
async fn what_is_kept_beside_a_transaction_is_counted_released_or_committed() {
    let server = Postgres::start().await;
    let limits = Limits {
        stored_bytes: Some(2 * SLOT_BYTES + 1000),
        ..Limits::NONE
    };
    let runtime = Runtime::builder(common::store(&server).await).limits(limits);
    let runtime = runtime.build().unwrap();
    let pay = async |key: &str, record: bool| {
        let call = runtime.call(
            Operation::new("pay"),
            &Scope::GLOBAL,
            &IdempotencyKey::new(key).unwrap(),
            Fingerprint::from_bytes([7; 32]),
            runtime.settings(),
        );
        let work = async move |tx: Tx<Db>, steps: Steps, record: bool| {
            step(&steps, &AtomicU32::new(0), "step").await.unwrap();
            drop(tx);
            let record = record.then(|| vec![b'r'; 1000].into());
            let finish = match record {
                Some(record) => Finish::Record { answer: (), record },
                None => Finish::Release { answer: () },
            };
            Worked {
                finish,
                writes: Writes::Keep,
                conflict: false,
            }
        };
        let work = move |tx, steps| Box::pin(work(tx, steps, record));
        let execution = runtime.execute_in_steps_and(call, work).await;
        assert_eq!(runtime.drain(4 * LEASE).await, Drained::Clean);
        execution
    };
    for (key, record) in [("1", false), ("2", true)] {
        let ran = pay(key, record).await;
        assert!(matches!(ran, Execution::Ran { .. }), "{ran:?}");
    }
    let refused = pay("3", true).await;
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
}

#[tokio::test]
async fn work_that_ends_its_transaction_itself_is_not_run_again() {
    let server = Postgres::start().await;
    let bench = Bench::new(&server).await;
    let escaped = bench.run(1, End::Commit, nothing).await;
    assert!(matches!(escaped, Execution::OutcomeUnknown), "{escaped:?}");
    let again = bench.run(1, End::Record, nothing).await;
    assert!(matches!(again, Execution::OutcomeUnknown), "{again:?}");
    assert_eq!(bench.state(1).await, SlotState::Unknown);
    assert_eq!(bench.steps_run(), 1);
}

/// The lease is taken away, as by another execution.
async fn take_over(store: &PostgresStore) {
    let taken = sqlx::query(
        "UPDATE idem.slots SET fence = fence + 1, owner = '\\x0102030405060708090a0b0c0d0e0f10'",
    )
    .execute(store.pool())
    .await
    .unwrap();
    assert_eq!(taken.rows_affected(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i2_an_owner_that_was_replaced_commits_nothing() {
    let server = Postgres::start().await;
    for end in [End::Record, End::Declined, End::Release] {
        let bench = Bench::new(&server).await;
        let store = bench.store.clone();
        let fenced = bench
            .run(1, end, move || async move { take_over(&store).await })
            .await;
        // The other is at work for as long as anybody can see.
        assert!(
            matches!(fenced, Execution::InProgress { .. }),
            "{end:?}: {fenced:?}"
        );
        assert_eq!(bench.effects().await, 0, "{end:?}");
        let state = bench.state(1).await;
        assert!(
            matches!(state, SlotState::InFlight { .. } | SlotState::Lapsed),
            "{end:?}: {state:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lease_is_renewed_while_the_transaction_is_open() {
    let server = Postgres::start().await;
    let bench = Arc::new(Bench::new(&server).await);
    let (asked, kept_out) = (Arc::clone(&bench), Arc::new(AtomicU32::new(0)));
    let counted = Arc::clone(&kept_out);
    let outcome = bench
        .run(1, End::Record, move || async move {
            let start = std::time::Instant::now();
            while start.elapsed() < 2 * LEASE {
                assert!(matches!(asked.state(1).await, SlotState::InFlight { .. }));
                counted.fetch_add(1, SeqCst);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    assert_eq!(ran(&outcome), ("1", 1, Stored::Recorded));
    assert!(kept_out.load(SeqCst) > 10);
}

#[tokio::test]
async fn a_transaction_that_gives_way_runs_again_and_its_steps_do_not() {
    let server = Postgres::start().await;
    let bench = Bench::new(&server).await;
    let (steps_run, runs) = (Arc::clone(&bench.steps_run), Arc::new(AtomicU32::new(0)));
    let counted = Arc::clone(&runs);
    let work = move |mut tx: Tx<Db>, steps: Steps| {
        let (steps_run, run) = (Arc::clone(&steps_run), counted.fetch_add(1, SeqCst));
        Box::pin(async move {
            effect(&mut tx).await;
            let stepped = step(&steps, &steps_run, "step").await;
            let answer = stepped.unwrap().to_string();
            if run > 0 {
                // As far as the first run did not come.
                let later = step(&steps, &steps_run, "later").await;
                assert_eq!(later.unwrap(), 2);
            }
            Worked {
                finish: Finish::Record {
                    record: Bytes::from(answer.clone()),
                    answer,
                },
                writes: Writes::Keep,
                conflict: run < 2,
            }
        })
    };
    let call = bench.call(1);
    let gave_up = bench
        .runtime
        .execute_in_steps_and_retrying(call.clone(), 1, work.clone())
        .await;
    assert!(
        matches!(gave_up, Execution::NotCommitted(StoreError::Conflict(_))),
        "{gave_up:?}"
    );
    let outcome = bench
        .runtime
        .execute_in_steps_and_retrying(call, 1, work)
        .await;
    assert_eq!(ran(&outcome), ("1", 2, Stored::Recorded));
    assert_eq!((bench.effects().await, bench.steps_run()), (1, 2));
    assert_eq!(runs.load(SeqCst), 3);
}

/// Its snapshot is older than the steps that are kept while it is open.
#[tokio::test]
async fn a_stricter_isolation_is_refused_with_what_to_do() {
    let server = Postgres::start().await;
    let url = common::database(&server).await;
    let said = |refusal: &Outcome| match refusal {
        Execution::StoreFailed(StoreError::Refused { reason }) => reason.clone(),
        other => panic!("{other:?}"),
    };
    let strict = PostgresStore::builder(&url).isolation(Isolation::Serializable);
    let strict = strict.connect().await.unwrap();
    strict.migrate().await.unwrap();
    let refused = strict.transactions().unwrap().refuse_steps();
    assert!(refused.unwrap().contains("Isolation::ReadCommitted"));
    let bench = Bench::over(strict);
    let refused = bench.run(1, End::Record, nothing).await;
    assert!(said(&refused).contains("Isolation::ReadCommitted"));

    // Or if the database's sessions are, which nobody knows before.
    let name = url.rsplit('/').next().unwrap().split('?').next().unwrap();
    let alter =
        format!("ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'");
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(alter))
        .execute(&mut connection)
        .await
        .unwrap();
    let bench = Bench::over(PostgresStore::connect(&url).await.unwrap());
    let refused = bench.run(1, End::Record, nothing).await;
    assert!(said(&refused).contains("Isolation::ReadCommitted"));
    assert_eq!(bench.state(1).await, SlotState::Released);
    let explicit = PostgresStore::builder(&url).isolation(Isolation::ReadCommitted);
    let bench = Bench::over(explicit.connect().await.unwrap());
    sqlx::raw_sql("CREATE TABLE effects (name TEXT)")
        .execute(bench.store.pool())
        .await
        .unwrap();
    let outcome = bench.run(1, End::Record, nothing).await;
    assert_eq!(ran(&outcome), ("1", 3, Stored::Recorded));
}

const COMMITTING: &str = "SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted";

/// The commit's reply is lost: whether it happens all the same, or its backend dies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i10_a_commit_whose_reply_is_lost_is_read_and_not_repeated() {
    let server = Postgres::start().await;
    let proxy = Arc::new(Proxy::start(server.port()).await);
    let direct = PostgresStore::connect(&server.url()).await.unwrap();
    direct.migrate().await.unwrap();
    for statement in [
        "CREATE TABLE effects (name TEXT)",
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN PERFORM pg_advisory_xact_lock_shared(77); RETURN NULL; END $$",
        "CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON effects \
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()",
    ] {
        server.execute(statement).await;
    }
    let direct = Bench::over(direct);
    let behind = Bench::over(
        PostgresStore::connect(&server.url_through(&proxy))
            .await
            .unwrap(),
    );
    let sealing = behind.sealing();
    let mut holder = PgConnection::connect(&server.url()).await.unwrap();
    let mut effects = 0;
    for number in 1..=10_u8 {
        let commits = number % 2 == 1;
        // What is read back is open, and compared with what was sealed.
        let behind = if number % 4 < 2 { &behind } else { &sealing };
        hold(&mut holder, true).await;
        let lost = behind.run(number, End::Record, nothing);
        let broken = async {
            until("it commits", || async {
                server.text(COMMITTING).await.as_deref() == Some("1")
            })
            .await;
            proxy.cut();
            if commits {
                hold(&mut holder, false).await;
            } else {
                let pid = "SELECT pid::text FROM pg_locks WHERE locktype = 'advisory' AND objid = 77 AND NOT granted";
                let pid = server.text(pid).await.unwrap();
                let end = format!("SELECT pg_terminate_backend({pid})::text");
                assert_eq!(
                    server
                        .text(Box::leak(end.into_boxed_str()))
                        .await
                        .as_deref(),
                    Some("true")
                );
                hold(&mut holder, false).await;
            }
        };
        let (execution, ()) = tokio::join!(lost, broken);
        if commits {
            assert_eq!(ran(&execution).2, Stored::Recorded, "{execution:?}");
        } else {
            assert!(
                matches!(execution, Execution::NotCommitted(_)),
                "{execution:?}"
            );
            assert_eq!(direct.effects().await, effects);
            let retry = behind.run(number, End::Record, nothing).await;
            assert_eq!(ran(&retry).2, Stored::Recorded, "{retry:?}");
        }
        effects += 2;
        assert_eq!(direct.effects().await, effects);
        assert_eq!(behind.steps_run(), u32::from(number));
    }
}

async fn hold(holder: &mut PgConnection, lock: bool) {
    let sql = if lock {
        "SELECT pg_advisory_lock(77)"
    } else {
        "SELECT pg_advisory_unlock(77)"
    };
    sqlx::query(sql).execute(holder).await.unwrap();
}

/// As a completion whose commit waits for a standby has its row.
#[tokio::test]
async fn a_row_that_is_locked_holds_up_no_other_lease() {
    let server = Postgres::start().await;
    let store = common::store(&server).await;
    let mut renewals = Vec::new();
    for number in 1..=3 {
        let grant = common::claimed(&store, common::request([number; 32])).await;
        renewals.push(Renewal {
            grant,
            lease: LEASE,
        });
    }
    let mut locked = store.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM idem.slots WHERE slot = $1 FOR UPDATE")
        .bind([2_u8; 32].to_vec())
        .execute(&mut *locked)
        .await
        .unwrap();
    let answers = store.renew_many(&renewals).await.unwrap();
    assert_eq!(answers, [Some(Written::Done), None, Some(Written::Done)]);
    locked.rollback().await.unwrap();
    let answers = store.renew_many(&renewals).await.unwrap();
    assert_eq!(answers, [Some(Written::Done); 3]);
}

/// It gave way, and then there was no transaction to run again in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_successor_finds_no_database_is_not_said_never_to_have_begun() {
    let server = Postgres::start().await;
    let proxy = Arc::new(Proxy::start(server.port()).await);
    let behind = PostgresStore::connect(&server.url_through(&proxy))
        .await
        .unwrap();
    behind.migrate().await.unwrap();
    let bench = Bench::over(behind);
    let (steps_run, cutting) = (Arc::clone(&bench.steps_run), Arc::clone(&proxy));
    let work = move |tx: Tx<Db>, steps: Steps| {
        let (steps_run, proxy) = (Arc::clone(&steps_run), Arc::clone(&cutting));
        Box::pin(async move {
            let answer = step(&steps, &steps_run, "step").await.unwrap().to_string();
            drop(tx);
            let is_first = steps.attempt() == 1;
            if is_first {
                proxy.refuse();
                proxy.cut();
            }
            Worked {
                finish: Finish::Record {
                    record: Bytes::from(answer.clone()),
                    answer,
                },
                writes: Writes::Keep,
                conflict: is_first,
            }
        })
    };
    let runtime = &bench.runtime;
    let lost = runtime.execute_in_steps_and_retrying(bench.call(1), 3, work.clone());
    let lost = lost.await;
    assert!(matches!(lost, Execution::NotCommitted(_)), "{lost:?}");
    proxy.heal();
    until("a retry goes on", || async {
        let retry = runtime.execute_in_steps_and_retrying(bench.call(1), 3, work.clone());
        matches!(
            retry.await,
            Execution::Ran {
                attempt: 2,
                stored: Stored::Recorded,
                ..
            }
        )
    })
    .await;
    assert_eq!(bench.steps_run(), 1);
}
