//! One client cannot take the whole service: over HTTP's semantics, in one process.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{
    Extension, Json, Router,
    body::Body,
    extract::FromRef,
    http::{Request, Response, StatusCode, header},
    routing::post,
};
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use idem_axum::{Idempotency, Limits, MemoryStore, Problem, SLOT_BYTES, idempotent};
use serde_json::Value;
use tokio::sync::Semaphore;
use tower::ServiceExt;

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
}

/// What the handlers wait for, and how many have begun.
#[derive(Clone)]
struct Gate {
    open: Arc<Semaphore>,
    begun: Arc<AtomicUsize>,
}

impl Gate {
    fn new(open: usize) -> Self {
        Self {
            open: Arc::new(Semaphore::new(open)),
            begun: Arc::default(),
        }
    }
}

/// Answers with as many bytes as it is asked for.
#[idempotent(ttl = "24h", scope = "user", state = App)]
async fn import(Extension(gate): Extension<Gate>, Json(bytes): Json<usize>) -> String {
    gate.begun.fetch_add(1, SeqCst);
    gate.open.acquire().await.unwrap().forget();
    "x".repeat(bytes)
}

fn service(store: Arc<MemoryStore>, limits: Limits, gate: &Gate) -> Router {
    let idempotency = Idempotency::builder(store)
        .scope("user", |parts| {
            let user = parts.headers.get("x-user")?;
            user.to_str().ok().map(str::to_owned)
        })
        .limits(limits)
        .build()
        .unwrap();
    Router::new()
        .route("/import", post(import))
        .layer(Extension(gate.clone()))
        .with_state(App { idempotency })
}

async fn send(service: &Router, user: &str, key: &str, bytes: usize) -> Response<Body> {
    let request = Request::post("/import")
        .header("x-user", user)
        .header("idempotency-key", key)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(bytes.to_string()))
        .unwrap();
    service.clone().oneshot(request).await.unwrap()
}

async fn problem(response: Response<Body>) -> Value {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_client_at_its_limit_is_told_429_and_nobody_else_notices() {
    let gate = Gate::new(0);
    let limits = Limits {
        live_claims: Some(1),
        ..Limits::NONE
    };
    let service = service(Arc::default(), limits, &gate);
    let running = tokio::spawn({
        let service = service.clone();
        async move { send(&service, "ana", "1", 5).await.status() }
    });
    while gate.begun.load(SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    let refused = send(&service, "ana", "2", 5).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
    assert_eq!(refused.headers()[header::CACHE_CONTROL], "no-store");
    assert_eq!(
        refused.extensions().get::<Problem>(),
        Some(&Problem::TooManyInFlight)
    );
    let document = problem(refused).await;
    assert_eq!(document["type"], "urn:idem:problem:too-many-in-flight");
    assert_eq!(document["status"], 429);
    assert_eq!(document["retryable"], true);
    assert_eq!(document["retry_after_ms"], 1000);
    assert_eq!(document["limit"], "live-claims");

    let duplicate = send(&service, "ana", "1", 5).await;
    assert_eq!(duplicate.status(), StatusCode::CONFLICT);
    gate.open.add_permits(2);
    assert_eq!(send(&service, "bob", "2", 5).await.status(), StatusCode::OK);
    assert_eq!(running.await.unwrap(), StatusCode::OK);
    gate.open.add_permits(1);
    assert_eq!(send(&service, "ana", "2", 5).await.status(), StatusCode::OK);
}

/// The attacker of SECURITY.md: fresh keys, large answers, many at a time.
#[tokio::test(start_paused = true)]
async fn one_client_with_2000_fresh_keys_fills_its_own_share_and_nobody_elses() {
    const ANSWER: usize = 64 << 10;
    const BUDGET: u64 = 1 << 20;
    const AT_ONCE: u64 = 8;
    let gate = Gate::new(10_000);
    let store = Arc::new(MemoryStore::new());
    let limits = Limits {
        live_claims: Some(AT_ONCE as u32),
        stored_bytes: Some(BUDGET),
    };
    let service = service(Arc::clone(&store), limits, &gate);
    let attack = stream::iter(0..2000_u32).map(|key| {
        let service = service.clone();
        async move {
            send(&service, "mallory", &key.to_string(), ANSWER)
                .await
                .status()
        }
    });
    let attack = attack.buffer_unordered(50).collect::<Vec<_>>();
    let others = stream::iter(0..100_u32).then(async |key| {
        tokio::task::yield_now().await;
        send(&service, "bob", &key.to_string(), 100).await.status()
    });
    let (attack, others) = tokio::join!(attack, others.collect::<Vec<_>>());

    assert!(
        others.iter().all(|status| *status == StatusCode::OK),
        "{others:?}"
    );
    let count = |wanted| attack.iter().filter(|status| **status == wanted).count();
    let (served, refused) = (count(StatusCode::OK), count(StatusCode::TOO_MANY_REQUESTS));
    assert_eq!(served + refused, 2000);
    // Its own share it has.
    assert!(served >= 10, "{served}");
    let one_answer = ANSWER as u64 + SLOT_BYTES;
    let bobs = 100 * (100 + 2 * SLOT_BYTES);
    let bound = BUDGET + AT_ONCE * one_answer + bobs;
    assert!(
        (store.bytes() as u64) < bound,
        "{} of {bound}",
        store.bytes()
    );
    // What was answered is answered still.
    let again = send(&service, "bob", "7", 100).await;
    assert_eq!(again.headers()["idempotent-replayed"], "true");
}
