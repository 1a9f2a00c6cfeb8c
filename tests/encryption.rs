//! What is on the disk of a service that seals its records, and what becomes of who alters it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{
    convert::Infallible,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use axum::{
    Json, Router,
    body::Body,
    extract::{FromRef, State},
    http::{Request, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use http_body_util::BodyExt;
use idem_axum::{
    Fingerprint, Idempotency, IdempotencyBuilder, OnStoreError, Operation, Policy, Problem,
    Runtime, Slot, Sqlite, SqliteStore, StepError, Steps, StoreError, Tx,
    encryption::{Key, Keyring},
    idempotent,
};
use idem_core::{Call, Execution, Finish, Worked, Writes};
use serde_json::Value;
use tower::ServiceExt;

const ACCOUNT: &str = "DE02120300000000202051";

#[derive(Clone, Default)]
struct Effects(Arc<AtomicUsize>);

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
    effects: Effects,
}

/// Its answer has an account in a header and in its body.
#[idempotent(ttl = "24h", scope = "global")]
async fn pay(State(effects): State<Effects>, Json(amount): Json<u64>) -> Response {
    let number = effects.0.fetch_add(1, SeqCst) + 1;
    let body = format!("{number}: paid {amount} to {ACCOUNT}");
    (StatusCode::CREATED, [("x-account", ACCOUNT)], body).into_response()
}

/// The same in a transaction of the store's database.
#[idempotent(ttl = "24h", scope = "global")]
async fn transfer(mut tx: Tx<Sqlite>, Json(amount): Json<u64>) -> String {
    sqlx::query("INSERT INTO transfers VALUES (?)")
        .bind(amount as i64)
        .execute(&mut *tx)
        .await
        .unwrap();
    format!("sent {amount} to {ACCOUNT}")
}

/// Charges in a step, and then fails the first time.
#[idempotent(ttl = "24h", scope = "global")]
async fn order(
    State(effects): State<Effects>,
    steps: Steps,
    Json(amount): Json<u64>,
) -> Result<String, Response> {
    effects.0.fetch_add(1, SeqCst);
    let charge = || async { Ok::<_, Infallible>(format!("charged {ACCOUNT}")) };
    let charged = steps.run("charge", charge).await;
    let charged =
        charged.map_err(|_: StepError<Infallible>| StatusCode::CONFLICT.into_response())?;
    match steps.attempt() {
        1 => Err(StatusCode::SERVICE_UNAVAILABLE.into_response()),
        _ => Ok(format!("{charged} for {amount}")),
    }
}

struct Service {
    store: SqliteStore,
    effects: Effects,
    directory: tempfile::TempDir,
}

impl Service {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/t.db", directory.path().display());
        let store = SqliteStore::connect(&url).await.unwrap();
        store.migrate().await.unwrap();
        sqlx::raw_sql("CREATE TABLE transfers (amount INT)")
            .execute(store.writer())
            .await
            .unwrap();
        Self {
            store,
            effects: Effects::default(),
            directory,
        }
    }

    /// A node that fails open, so that nothing but the seal keeps it from running.
    fn node(&self, build: impl FnOnce(IdempotencyBuilder) -> IdempotencyBuilder) -> Router {
        let policy = Policy {
            store_error: OnStoreError::FailOpen,
            ..Policy::default()
        };
        let builder = Idempotency::builder(self.store.clone()).policy(policy);
        let app = App {
            idempotency: build(builder).build().unwrap(),
            effects: self.effects.clone(),
        };
        Router::new()
            .route("/pay", post(pay))
            .route("/transfer", post(transfer))
            .route("/order", post(order))
            .with_state(app)
    }

    fn sealing(&self) -> Router {
        self.node(|builder| builder.encryption(keys()))
    }

    /// What somebody finds who has the disk.
    fn files(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.directory.path()).unwrap();
        let read = |path: &Path| std::fs::read(path).unwrap();
        files.flat_map(|file| read(&file.unwrap().path())).collect()
    }

    fn effects(&self) -> usize {
        self.effects.0.load(SeqCst)
    }

    /// Gives each of two slots the record of the other.
    async fn swap_records(&self) {
        let swaps = "CREATE TABLE was AS SELECT slot, record FROM idem_slots;
            UPDATE idem_slots SET record = (SELECT record FROM was WHERE was.slot <> idem_slots.slot);
            DROP TABLE was";
        let done = sqlx::raw_sql(swaps).execute(self.store.writer()).await;
        done.unwrap();
    }

    async fn sql(&self, text: &'static str) -> u64 {
        let done = sqlx::query(text).execute(self.store.writer()).await;
        done.unwrap().rows_affected()
    }
}

fn keys() -> Keyring {
    Keyring::new(Key::new("2026-11", &[11; 32]).unwrap())
}

/// As it is, or in the hexadecimal digits that SQLite keeps steps in.
fn contains(bytes: &[u8], text: &str) -> bool {
    let digits: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    let has = |what: &str| {
        let mut parts = bytes.windows(what.len());
        parts.any(|part| part.eq_ignore_ascii_case(what.as_bytes()))
    };
    has(text) || has(&digits)
}

async fn send(node: &Router, path: &str, key: &str, amount: u64) -> (StatusCode, Response) {
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .header("idempotency-key", key)
        .body(Body::from(amount.to_string()))
        .unwrap();
    let answer = node.clone().oneshot(request).await.unwrap();
    (answer.status(), answer)
}

async fn body(answer: Response) -> String {
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// It says that it will not be repeated, and who has to look.
async fn is_unopened((status, answer): (StatusCode, Response)) {
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.extensions().get(), Some(&Problem::RecordUnopened));
    assert!(!answer.headers().contains_key(header::RETRY_AFTER));
    let document: Value = serde_json::from_str(&body(answer).await).unwrap();
    assert_eq!(document["type"], "urn:idem:problem:record-unopened");
    assert_eq!(document["retryable"], false);
    let detail = document["detail"].as_str().unwrap();
    assert!(detail.contains("operator"), "{detail}");
}

#[tokio::test]
async fn nothing_of_an_answer_or_a_step_is_on_the_disk_and_retries_get_it() {
    let service = Service::start().await;
    // What is looked for is found where nothing is sealed.
    let plain = Service::start().await;
    let node = plain.node(|builder| builder);
    send(&node, "/pay", "p", 7).await;
    send(&node, "/order", "o", 9).await;
    let files = plain.files();
    for text in [ACCOUNT, "x-account", "charged", "String"] {
        assert!(contains(&files, text), "{text} is not looked for rightly");
    }

    let node = service.sealing();
    let (status, first) = send(&node, "/pay", "p", 7).await;
    assert_eq!(status, StatusCode::CREATED);
    let first = body(first).await;
    assert_eq!(send(&node, "/transfer", "t", 8).await.0, StatusCode::OK);
    let (status, _) = send(&node, "/order", "o", 9).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let files = service.files();
    for text in [ACCOUNT, "x-account", "paid", "sent 8", "charged", "String"] {
        assert!(!contains(&files, text), "{text} is on the disk");
    }
    for text in ["2026-11", "charge"] {
        assert!(contains(&files, text), "{text} is not hidden");
    }

    let (status, again) = send(&service.sealing(), "/pay", "p", 7).await;
    assert_eq!(
        (status, &again.headers()["x-account"]),
        (StatusCode::CREATED, &ACCOUNT.parse().unwrap())
    );
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(body(again).await, first);
    let (_, again) = send(&node, "/transfer", "t", 8).await;
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(body(again).await, format!("sent 8 to {ACCOUNT}"));
    let (_, rest) = send(&node, "/order", "o", 9).await;
    assert_eq!(body(rest).await, format!("charged {ACCOUNT} for 9"));
    assert!(!contains(&service.files(), ACCOUNT));
    assert_eq!(service.effects(), 3);
}

#[tokio::test]
async fn who_alters_the_database_gets_no_answer_and_no_second_execution() {
    let service = Service::start().await;
    let node = service.sealing();
    send(&node, "/pay", "p", 7).await;
    send(&node, "/transfer", "t", 8).await;
    service.swap_records().await;
    for (path, key, amount) in [("/pay", "p", 7), ("/transfer", "t", 8)] {
        is_unopened(send(&node, path, key, amount).await).await;
        is_unopened(send(&service.sealing(), path, key, amount).await).await;
    }
    assert_eq!(service.effects(), 1);
    assert_eq!(service.sql("UPDATE transfers SET amount = amount").await, 1);
    service.swap_records().await;
    let (status, back) = send(&node, "/pay", "p", 7).await;
    assert_eq!(status, StatusCode::CREATED);
    assert!(back.headers().contains_key("idempotent-replayed"));

    let cut = "UPDATE idem_slots SET record = substr(record, 1, length(record) - 30)";
    assert_eq!(service.sql(cut).await, 2);
    is_unopened(send(&node, "/pay", "p", 7).await).await;
    assert_eq!(service.effects(), 1);
}

#[tokio::test]
async fn work_in_a_transaction_does_not_begin_over_a_step_that_does_not_open() {
    let service = Service::start().await;
    let runtime = |keys: Option<Keyring>| {
        let builder = Runtime::builder(service.store.clone());
        let builder = match keys {
            Some(keys) => builder.encryption(keys),
            None => builder,
        };
        builder.build().unwrap()
    };
    let sealing = runtime(Some(keys()));
    let call = || {
        Call::at(
            Operation::new("transfer"),
            Slot::from_bytes([1; 32]),
            Fingerprint::from_bytes([2; 32]),
            sealing.settings(),
        )
    };
    let work = |steps: Steps| async move {
        let _ = steps
            .run("charge", || async { Ok::<_, Infallible>(1) })
            .await;
        Finish::Release { answer: () }
    };
    let released = sealing.execute_in_steps(call(), work).await;
    assert!(matches!(released, Execution::Ran { .. }), "{released:?}");

    // A version of the work that has a transaction, and had steps.
    let transfer = |mut tx: Tx<Sqlite>| async move {
        let write = sqlx::query("INSERT INTO transfers VALUES (1)");
        write.execute(&mut *tx).await.unwrap();
        Worked {
            finish: Finish::Record {
                answer: (),
                record: Bytes::from(ACCOUNT),
            },
            writes: Writes::Keep,
            conflict: false,
        }
    };
    let refused = runtime(None).execute_in(call(), transfer).await;
    assert!(
        matches!(&refused, Execution::StoreFailed(StoreError::Unopened { cause, .. }) if cause.step.is_some()),
        "{refused:?}"
    );
    let written = "UPDATE transfers SET amount = amount";
    assert_eq!(service.sql(written).await, 0);
    let done = sealing.execute_in(call(), transfer).await;
    assert!(
        matches!(done, Execution::Ran { attempt: 2, .. }),
        "{done:?}"
    );
    assert_eq!(service.sql(written).await, 1);
    assert!(!contains(&service.files(), ACCOUNT));
}

#[tokio::test]
async fn without_the_key_or_without_a_seal_there_is_no_answer_and_no_second_execution() {
    let service = Service::start().await;
    let sealing = service.sealing();
    send(&sealing, "/pay", "p", 7).await;
    send(&sealing, "/order", "o", 9).await;
    let plain = service.node(|builder| builder);
    send(&plain, "/pay", "plain", 7).await;
    assert_eq!(service.effects(), 3);
    let other = Keyring::new(Key::new("other", &[1; 32]).unwrap());
    let other = service.node(|builder| builder.encryption(other));
    for node in [&plain, &other] {
        is_unopened(send(node, "/pay", "p", 7).await).await;
        is_unopened(send(node, "/order", "o", 9).await).await;
    }
    is_unopened(send(&sealing, "/pay", "plain", 7).await).await;
    assert_eq!(service.effects(), 3);
    // What could not be opened was left as it was.
    let (_, rest) = send(&sealing, "/order", "o", 9).await;
    assert_eq!(body(rest).await, format!("charged {ACCOUNT} for 9"));
    let moving = service.node(|builder| builder.encryption(keys().reads_unsealed()));
    let (status, _) = send(&moving, "/pay", "plain", 7).await;
    assert_eq!((status, service.effects()), (StatusCode::CREATED, 4));
}
