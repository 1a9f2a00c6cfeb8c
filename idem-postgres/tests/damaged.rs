//! Rows that somebody has damaged: an error, and nothing that runs a second time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use idem_core::{OnceError, Runtime, Scope};
use idem_postgres::PostgresStore;
use idem_servers::Postgres;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// What is wrong, and how it is made so in the row of a completed slot.
const COMPLETED: &[(&str, &str)] = &[
    ("the state is unknown", "state = 9"),
    ("the state is negative", "state = -1"),
    ("there is no record", "record = NULL"),
    ("the record is empty", "record = ''"),
    (
        "the record is cut",
        "record = substring(record from 1 for 5)",
    ),
    ("the record is another's", "record = '\\x00112233'"),
    ("the fingerprint is cut", "fingerprint = '\\x00'"),
    ("a step has no result", "step_names = '{charge}'"),
    ("the time has no end", "until = 'infinity'"),
];

/// The same for the row of a slot in flight whose lease has lapsed, so that the next claim takes over.
const LAPSED: &[(&str, &str)] = &[
    ("the fence is negative", "fence = -5"),
    ("the fence was none", "fence = -1"),
    ("the fence cannot grow", "fence = 9223372036854775807"),
    ("the attempt is negative", "attempt = -7"),
    ("a step has no result", "step_names = '{charge}'"),
    ("a result has no step", "step_values = '{\"\\\\x00\"}'"),
    (
        "a step has no name",
        "step_names = '{NULL}', step_values = '{\"\\\\x00\"}'",
    ),
];

struct Bench {
    runtime: Runtime,
    raw: PgConnection,
    runs: Arc<AtomicUsize>,
}

impl Bench {
    async fn new(server: &Postgres) -> Self {
        let url = common::database(server).await;
        let store = PostgresStore::builder(url.clone()).connect().await.unwrap();
        store.migrate().await.unwrap();
        Self {
            runtime: Runtime::builder(store)
                .store_deadline(Duration::from_secs(2))
                .build()
                .unwrap(),
            raw: PgConnection::connect(&url).await.unwrap(),
            runs: Arc::default(),
        }
    }

    async fn once(&self, key: &str) -> Result<String, OnceError<std::io::Error>> {
        let runs = Arc::clone(&self.runs);
        let work = move || async move {
            runs.fetch_add(1, SeqCst);
            Ok("done".to_owned())
        };
        let once = self
            .runtime
            .once("job", &Scope::GLOBAL, key, &(), work)
            .await;
        once.map(|once| once.value)
    }

    /// Completes a slot and damages its row, the only one.
    async fn damaged(&mut self, how: &str) {
        self.once("k").await.unwrap();
        let update = format!("UPDATE idem.slots SET {how}");
        let done = sqlx::raw_sql(AssertSqlSafe(update))
            .execute(&mut self.raw)
            .await;
        assert_eq!(done.unwrap().rows_affected(), 1, "{how}");
    }

    async fn undo(&mut self) {
        let done = sqlx::raw_sql("DELETE FROM idem.slots")
            .execute(&mut self.raw)
            .await;
        done.unwrap();
        self.runs.store(0, SeqCst);
    }
}

#[tokio::test]
async fn a_damaged_record_is_an_error_and_never_runs_again() {
    let server = Postgres::start().await;
    let mut bench = Bench::new(&server).await;
    for (what, how) in COMPLETED {
        bench.damaged(how).await;
        let ended = bench.once("k").await;
        let refused = matches!(
            ended,
            Err(OnceError::Store(_) | OnceError::Record(_) | OnceError::KeyReused)
        );
        assert!(refused, "{what}: {ended:?}");
        assert_eq!(bench.runs.load(SeqCst), 1, "{what}");
        bench.undo().await;
    }
}

#[tokio::test]
async fn a_damaged_claim_is_not_taken_over() {
    let server = Postgres::start().await;
    let mut bench = Bench::new(&server).await;
    for (what, how) in LAPSED {
        bench
            .damaged(&format!("state = 1, record = NULL, until = 'epoch', {how}"))
            .await;
        for _ in 0..2 {
            let ended = bench.once("k").await;
            let refused = matches!(
                ended,
                Err(OnceError::Store(_) | OnceError::InProgress { .. })
            );
            assert!(refused, "{what}: {ended:?}");
        }
        assert_eq!(bench.runs.load(SeqCst), 1, "{what}");
        bench.undo().await;
    }
}
