//! In which order things happen: authentication, key, body, claim, deferred
//! arguments, handler. In process, on a paused clock.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

use axum::{
    Router,
    body::Body,
    extract::{FromRef, FromRequestParts, State},
    http::{Request, StatusCode, request::Parts},
    response::Response,
    routing::post,
};
use bytes::Bytes;
use http_body::Frame;
use idem_axum::{Idempotency, MemoryStore, Problem, idempotent};
use tower::ServiceExt;

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
    switches: Arc<Switches>,
}

#[derive(Default)]
struct Switches {
    locked_out: AtomicBool,
    pool_empty: AtomicBool,
    connections: AtomicUsize,
    effects: AtomicUsize,
}

/// Authentication that can be revoked.
struct Auth;

impl FromRequestParts<App> for Auth {
    type Rejection = StatusCode;

    async fn from_request_parts(_: &mut Parts, app: &App) -> Result<Self, StatusCode> {
        match app.switches.locked_out.load(SeqCst) {
            true => Err(StatusCode::FORBIDDEN),
            false => Ok(Self),
        }
    }
}

/// A connection from a pool that may be empty.
struct Connection;

impl FromRequestParts<App> for Connection {
    type Rejection = StatusCode;

    async fn from_request_parts(_: &mut Parts, app: &App) -> Result<Self, StatusCode> {
        if app.switches.pool_empty.load(SeqCst) {
            // A status that is recorded when a handler answers it.
            return Err(StatusCode::GONE);
        }
        app.switches.connections.fetch_add(1, SeqCst);
        Ok(Self)
    }
}

#[idempotent(ttl = "1h", scope = "global")]
async fn pay(
    _auth: Auth,
    State(switches): State<Arc<Switches>>,
    #[deferred] _connection: Connection,
    amount: String,
) -> String {
    let effect = switches.effects.fetch_add(1, SeqCst) + 1;
    format!("{amount} {effect}")
}

struct Service {
    router: Router,
    switches: Arc<Switches>,
}

impl Service {
    fn new() -> Self {
        let idempotency = Idempotency::builder(MemoryStore::new()).build().unwrap();
        let switches = Arc::<Switches>::default();
        let app = App {
            idempotency,
            switches: Arc::clone(&switches),
        };
        Self {
            router: Router::new().route("/pay", post(pay)).with_state(app),
            switches,
        }
    }

    async fn send(&self, key: Option<&str>, body: impl Into<Body>) -> Response {
        let mut request = Request::post("/pay");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request = request.body(body.into()).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    fn effects(&self) -> usize {
        self.switches.effects.load(SeqCst)
    }
}

/// A body that never comes.
struct Silence;

impl http_body::Body for Silence {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn a_replay_never_bypasses_the_handlers_own_extractors() {
    let service = Service::new();
    assert_eq!(service.send(Some("k"), "5").await.status(), StatusCode::OK);
    service.switches.locked_out.store(true, SeqCst);
    let refused = service.send(Some("k"), "5").await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(refused.headers().get("idempotent-replayed").is_none());
    service.switches.locked_out.store(false, SeqCst);
    let replay = service.send(Some("k"), "5").await;
    assert!(replay.headers().get("idempotent-replayed").is_some());
}

#[tokio::test(start_paused = true)]
async fn authentication_speaks_before_the_key_and_the_key_before_the_body() {
    let service = Service::new();
    // Neither answer waits for a body that never comes.
    let missing = service.send(None, Body::new(Silence)).await;
    assert_eq!(missing.extensions().get(), Some(&Problem::KeyMissing));
    service.switches.locked_out.store(true, SeqCst);
    let forbidden = service.send(None, Body::new(Silence)).await;
    assert_eq!(forbidden.status(), StatusCode::FORBIDDEN);
}

#[tokio::test(start_paused = true)]
async fn a_deferred_argument_is_extracted_only_when_the_handler_runs() {
    let service = Service::new();
    for _ in 0..3 {
        assert_eq!(service.send(Some("k"), "5").await.status(), StatusCode::OK);
    }
    assert_eq!(
        service.send(Some("k"), "6").await.status(),
        StatusCode::CONFLICT
    );
    assert_eq!(service.switches.connections.load(SeqCst), 1);
    assert_eq!(service.effects(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_deferred_argument_that_is_refused_releases_the_key() {
    let service = Service::new();
    service.switches.pool_empty.store(true, SeqCst);
    let refused = service.send(Some("k"), "5").await;
    assert_eq!(refused.status(), StatusCode::GONE);
    service.switches.pool_empty.store(false, SeqCst);
    let answer = service.send(Some("k"), "5").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.headers().get("idempotent-replayed").is_none());
    assert_eq!(service.effects(), 1);
}
