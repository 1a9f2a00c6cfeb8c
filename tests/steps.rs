//! Handlers that take their recovery points, over HTTP's semantics.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{
    convert::Infallible,
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
use http_body_util::BodyExt;
use idem_axum::{Idempotency, Lease, MemoryStore, StepError, Steps, idempotent};
use serde_json::{Value, json};
use tower::ServiceExt;

#[derive(Clone, Default)]
struct Effects(Arc<AtomicUsize>);

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
    effects: Effects,
}

#[derive(Debug)]
struct Failure(&'static str);

impl From<StepError<Infallible>> for Failure {
    fn from(_: StepError<Infallible>) -> Self {
        // Which would be recorded, if it were the handler's own.
        Self("this answer is replaced")
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (StatusCode::UNPROCESSABLE_ENTITY, self.0).into_response()
    }
}

/// Charges in a step, and ends as it is told.
#[idempotent(ttl = "24h", scope = "global", key = "optional")]
async fn pay(
    State(effects): State<Effects>,
    lease: Lease,
    steps: Steps,
    Json(end): Json<String>,
) -> Result<Json<Value>, Failure> {
    let charged = steps
        .run("charge", || async {
            Ok(effects.0.fetch_add(1, SeqCst) + 1)
        })
        .await?;
    // The first attempt of some ends here.
    let is_first = steps.attempt() == 1;
    match end.as_str() {
        "refused" => return Err(Failure("refused")),
        "panicked" if is_first => panic!("on purpose"),
        "twice" if is_first => {
            steps.run("charge", || async { Ok(0) }).await?;
        }
        "swallowed" if is_first => {
            let swallowed: Result<u32, StepError<Infallible>> =
                steps.run("charge", || async { Ok(0) }).await;
            assert!(swallowed.is_err());
        }
        _ => {}
    }
    Ok(Json(json!({
        "charged": charged,
        "attempt": lease.attempt(),
        "fence": lease.fence().map(idem_axum::Fence::get),
    })))
}

struct Service {
    router: Router,
    effects: Effects,
}

impl Service {
    fn new() -> Self {
        let idempotency = Idempotency::builder(MemoryStore::new()).build().unwrap();
        let effects = Effects::default();
        let router = Router::new().route("/", post(pay)).with_state(App {
            idempotency,
            effects: effects.clone(),
        });
        Self { router, effects }
    }

    async fn pay(&self, key: Option<&str>, end: &str) -> (StatusCode, bool, Value) {
        let mut request = Request::post("/").header(header::CONTENT_TYPE, "application/json");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request = request.body(Body::from(json!(end).to_string())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let replayed = response.headers().contains_key("idempotent-replayed");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&body)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&body)));
        (status, replayed, body)
    }

    fn effects(&self) -> usize {
        self.effects.0.load(SeqCst)
    }
}

#[tokio::test]
async fn an_execution_that_a_step_has_ended_is_not_recorded_and_goes_on_with_the_retry() {
    for end in ["twice", "swallowed", "panicked"] {
        let service = Service::new();
        let (status, _, problem) = service.pay(Some("k"), end).await;
        assert_eq!(
            status,
            StatusCode::INTERNAL_SERVER_ERROR,
            "{end}: {problem}"
        );
        assert_eq!(
            problem["type"], "urn:idem:problem:execution-failed",
            "{end}"
        );
        assert_eq!(problem["retryable"], true, "{end}");
        let answered = (
            StatusCode::OK,
            false,
            json!({"charged": 1, "attempt": 2, "fence": 2}),
        );
        assert_eq!(service.pay(Some("k"), end).await, answered, "{end}");
        let (status, replayed, body) = service.pay(Some("k"), end).await;
        assert_eq!(
            (status, replayed, body),
            (answered.0, true, answered.2),
            "{end}"
        );
        assert_eq!(service.effects(), 1, "{end}");
    }
}

#[tokio::test]
async fn a_refusal_of_the_handlers_own_is_recorded_as_ever() {
    let service = Service::new();
    let (status, replayed, _) = service.pay(Some("k"), "refused").await;
    assert_eq!(
        (status, replayed),
        (StatusCode::UNPROCESSABLE_ENTITY, false)
    );
    let (status, replayed, _) = service.pay(Some("k"), "refused").await;
    assert_eq!((status, replayed), (StatusCode::UNPROCESSABLE_ENTITY, true));
    assert_eq!(service.effects(), 1);
}

#[tokio::test]
async fn without_a_key_every_request_runs_all_its_steps() {
    let service = Service::new();
    for count in 1..=3 {
        let (status, replayed, body) = service.pay(None, "").await;
        assert_eq!((status, replayed), (StatusCode::OK, false));
        let unprotected = json!({"charged": count, "attempt": 1, "fence": null});
        assert_eq!(body, unprotected);
    }
}
