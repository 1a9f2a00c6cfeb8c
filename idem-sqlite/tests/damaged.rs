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

use common::Place;
use idem_core::{OnceError, Runtime, Scope};
use sqlx::{AssertSqlSafe, ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};

/// What is wrong, and how it is made so in the row of a completed slot.
const COMPLETED: &[(&str, &str)] = &[
    ("the state is unknown", "state = 9"),
    ("the state is negative", "state = -1"),
    ("there is no record", "record = NULL"),
    ("the record is empty", "record = x''"),
    (
        "the record is cut",
        "record = substr(record, 1, length(record) - 3)",
    ),
    ("the record is another's", "record = x'00112233'"),
    ("the fingerprint is cut", "fingerprint = x'00'"),
    ("the steps are no list", "steps = '{'"),
    ("the time overflows", "until = -9223372036854775808"),
];

/// The same for the row of a slot in flight whose lease has lapsed, so that the next claim takes over.
const LAPSED: &[(&str, &str)] = &[
    ("the fence is negative", "fence = -5"),
    ("the fence was none", "fence = -1"),
    ("the fence cannot grow", "fence = 9223372036854775807"),
    ("the attempt is negative", "attempt = -7"),
    ("the steps are no JSON", "steps = 'nonsense'"),
    ("a step has no value", "steps = '[[\"charge\"]]'"),
    (
        "a step's value is no number",
        "steps = '[[\"charge\", \"zz\"]]'",
    ),
    ("the steps are no list", "steps = '{\"charge\": \"00\"}'"),
];

struct Bench {
    runtime: Runtime,
    raw: SqliteConnection,
    runs: Arc<AtomicUsize>,
    _place: Place,
}

impl Bench {
    async fn new() -> Self {
        let place = Place::new();
        let runtime = Runtime::builder(place.store().await)
            .store_deadline(Duration::from_millis(500))
            .build()
            .unwrap();
        let options = SqliteConnectOptions::new().filename(place.path());
        Self {
            runtime,
            raw: options.connect().await.unwrap(),
            runs: Arc::default(),
            _place: place,
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

    /// Changes the only row.
    async fn damage(&mut self, how: &str) {
        let update = format!("UPDATE idem_slots SET {how}");
        let done = sqlx::raw_sql(AssertSqlSafe(update))
            .execute(&mut self.raw)
            .await;
        assert_eq!(done.unwrap().rows_affected(), 1, "{how}");
    }
}

#[tokio::test]
async fn a_damaged_record_is_an_error_and_never_runs_again() {
    for (what, how) in COMPLETED {
        let mut bench = Bench::new().await;
        bench.once("k").await.unwrap();
        bench.damage(how).await;
        let ended = bench.once("k").await;
        let refused = matches!(
            ended,
            Err(OnceError::Store(_) | OnceError::Record(_) | OnceError::KeyReused)
        );
        assert!(refused, "{what}: {ended:?}");
        assert_eq!(bench.runs.load(SeqCst), 1, "{what}");
    }
}

#[tokio::test]
async fn a_damaged_claim_is_not_taken_over() {
    for (what, how) in LAPSED {
        let mut bench = Bench::new().await;
        bench.once("k").await.unwrap();
        bench
            .damage(&format!("state = 1, record = NULL, until = 0, {how}"))
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
    }
}
