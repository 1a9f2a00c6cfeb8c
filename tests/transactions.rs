//! Handlers that take their transaction, over HTTP's semantics and the builder's checks.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use axum::{
    Json, Router,
    body::Body,
    extract::FromRef,
    http::{Request, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use http_body_util::BodyExt;
use idem_axum::{
    BuildError, EndpointProblem, Idempotency, MemoryStore, Outcome, Overrides, Scope, Sqlite,
    SqliteStore, Tx, Writes, idempotent,
};
use tower::ServiceExt;

mod over_sqlite {
    use super::*;

    /// Writes a row, and answers as it is told.
    #[idempotent(ttl = "24h", scope = "global", key = "optional")]
    pub(super) async fn write(mut tx: Tx<Sqlite>, Json(answer): Json<String>) -> Response {
        sqlx::query("INSERT INTO effects VALUES (1)")
            .execute(&mut *tx)
            .await
            .unwrap();
        match answer.as_str() {
            "created" => StatusCode::CREATED.into_response(),
            "declined" => StatusCode::PAYMENT_REQUIRED.into_response(),
            "declined, kept" => (StatusCode::PAYMENT_REQUIRED, Writes::Keep, "").into_response(),
            "done, undone" => (StatusCode::OK, Writes::RollBack, "").into_response(),
            "failed" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            "released" => (StatusCode::OK, Outcome::Release, "").into_response(),
            "panicked" => panic!("on purpose"),
            "broken" => {
                sqlx::raw_sql("COMMIT").execute(&mut *tx).await.unwrap();
                StatusCode::OK.into_response()
            }
            other => unreachable!("{other}"),
        }
    }
}

mod over_postgres {
    use idem_axum::Postgres;

    use super::*;

    #[idempotent(ttl = "24h", scope = "global")]
    pub(super) async fn other(tx: Tx<Postgres>) -> &'static str {
        drop(tx);
        "done"
    }
}

mod in_steps {
    use idem_axum::Steps;

    use super::*;

    #[idempotent(ttl = "24h", scope = "global")]
    pub(super) async fn both(tx: Tx<Sqlite>, steps: Steps) -> String {
        drop(tx);
        steps.key("k")
    }
}

const MODULE: &str = concat!(module_path!(), "::over_sqlite");

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
}

struct Service {
    store: SqliteStore,
    idempotency: Idempotency,
    router: Router,
    _directory: tempfile::TempDir,
}

impl Service {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/t.db", directory.path().display());
        let store = SqliteStore::connect(&url).await.unwrap();
        store.migrate().await.unwrap();
        sqlx::raw_sql("CREATE TABLE effects (n INT)")
            .execute(store.writer())
            .await
            .unwrap();
        let idempotency = Idempotency::builder(store.clone())
            .only_modules([MODULE])
            .build()
            .unwrap();
        let app = App {
            idempotency: idempotency.clone(),
        };
        Self {
            store,
            idempotency,
            router: Router::new()
                .route("/", post(over_sqlite::write))
                .with_state(app),
            _directory: directory,
        }
    }

    async fn effects(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM effects")
            .fetch_one(self.store.readers())
            .await
            .unwrap()
    }

    /// The status, the problem if it is one, and whether it is a replay.
    async fn post(&self, key: Option<&str>, answer: &str) -> (u16, String, bool) {
        let mut request = Request::post("/").header(header::CONTENT_TYPE, "application/json");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let body = Body::from(serde_json::to_vec(answer).unwrap());
        let request = request.body(body).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let replayed = response.headers().contains_key("idempotent-replayed");
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let problem = serde_json::from_slice::<serde_json::Value>(&body)
            .ok()
            .and_then(|problem| Some(problem["type"].as_str()?.rsplit(':').next()?.to_owned()));
        (status, problem.unwrap_or_default(), replayed)
    }
}

#[tokio::test]
async fn what_is_recorded_and_what_is_written_agree() {
    // The first answer, a retry's, and how many rows there are then.
    let cases = [
        ("created", (201, "", 201, true), 1),
        ("declined", (402, "", 402, true), 0),
        ("declined, kept", (402, "", 402, true), 1),
        ("done, undone", (200, "", 200, true), 0),
        ("failed", (500, "", 500, false), 0),
        ("released", (200, "", 200, false), 0),
        ("panicked", (500, "execution-failed", 500, false), 0),
        ("broken", (409, "outcome-unknown", 409, false), 1),
    ];
    for (answer, (first, problem, retry, replayed), rows) in cases {
        let service = Service::start().await;
        let asked = service.post(Some("k"), answer).await;
        assert_eq!(asked, (first, problem.to_owned(), false), "{answer}");
        let asked = service.post(Some("k"), answer).await;
        assert_eq!((asked.0, asked.2), (retry, replayed), "{answer}");
        assert_eq!(service.effects().await, rows, "{answer}");
        let other = service.post(Some("k"), "created").await;
        if answer != "created" {
            assert_eq!((other.0, other.1.as_str()), (409, "key-reused"), "{answer}");
        }
    }
}

#[tokio::test]
async fn without_a_key_that_is_optional_each_request_has_its_own_transaction() {
    let service = Service::start().await;
    for _ in 0..3 {
        assert_eq!(service.post(None, "created").await.0, 201);
    }
    assert_eq!(service.post(None, "declined").await.0, 402);
    assert_eq!(service.effects().await, 3);
}

#[tokio::test]
async fn work_outside_http_commits_with_its_result() {
    let service = Service::start().await;
    let runtime = service.idempotency.runtime();
    let consume = async |fails: bool| {
        let work = move |mut tx: Tx<Sqlite>| async move {
            sqlx::query("INSERT INTO effects VALUES (1)")
                .execute(&mut *tx)
                .await?;
            if fails {
                return Err(sqlx::Error::RowNotFound);
            }
            Ok::<_, sqlx::Error>("consumed".to_owned())
        };
        let done = runtime.once_in(
            &Overrides::NONE,
            "consume",
            &Scope::GLOBAL,
            "message-1",
            &1,
            work,
        );
        done.await
    };
    assert!(consume(true).await.is_err());
    assert_eq!(service.effects().await, 0);
    let first = consume(false).await.unwrap();
    let again = consume(false).await.unwrap();
    assert!(!first.replayed && again.replayed);
    assert_eq!(again.value, "consumed");
    assert_eq!(service.effects().await, 1);
}

#[tokio::test]
async fn a_store_that_cannot_have_the_transaction_is_refused_with_the_handlers_name() {
    let _ = over_postgres::other;
    let service = Service::start().await;
    let without = Idempotency::builder(MemoryStore::new()).build();
    let built_of = |module: &str| {
        let module = format!("{}::{module}", module_path!());
        Idempotency::builder(service.store.clone())
            .only_modules([module])
            .build()
    };
    let other = built_of("over_postgres");
    let problems = |built: Result<Idempotency, BuildError>| match built.unwrap_err() {
        BuildError::Endpoints(endpoints) => endpoints,
        error => panic!("{error}"),
    };
    let without = problems(without);
    assert_eq!(without.len(), 3);
    for endpoint in &without {
        let text = endpoint.to_string();
        assert!(matches!(
            endpoint.reason,
            EndpointProblem::NoTransactions { .. }
        ));
        assert!(
            text.contains("MemoryStore") && text.contains("tests/transactions.rs:"),
            "{text}"
        );
    }
    let other = problems(other);
    assert_eq!(other.len(), 1);
    let text = other[0].to_string();
    assert!(
        matches!(other[0].reason, EndpointProblem::OtherDatabase { .. }),
        "{text}"
    );
    assert!(text.contains("over_postgres::other"), "{text}");
    assert!(
        text.contains("Tx<Postgres>") && text.contains("SqliteStore"),
        "{text}"
    );
    let _ = in_steps::both;
    let steps = problems(built_of("in_steps"));
    let text = steps[0].to_string();
    assert!(
        matches!(steps[0].reason, EndpointProblem::StepsInTransaction { .. }),
        "{text}"
    );
    assert!(
        text.contains("in_steps::both") && text.contains("one writer"),
        "{text}"
    );
}
