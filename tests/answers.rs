//! What is stored of an answer and what is not, and what a client is told when
//! the store fails. In process, on a paused clock.
#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{FromRef, State},
    http::{HeaderName, Request, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use http_body_util::BodyExt;
use idem_axum::{
    HeaderPolicy, Idempotency, IdempotencyBuilder, MemoryStore, Outcome, Problem, idempotent,
    testing::{ChaosStore, Fault, Verb},
};
use serde_json::Value;
use tower::ServiceExt;

type Effects = Arc<AtomicUsize>;

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
    effects: Effects,
}

/// Obeys its body: `record` and `release` say so of a status that means the opposite.
async fn obey(effects: Effects, order: String) -> Response {
    let effect = effects.fetch_add(1, SeqCst) + 1;
    let card = [(HeaderName::from_static("x-card"), "4242")];
    match order.as_str() {
        "record" => (StatusCode::BAD_GATEWAY, Outcome::Record, effect.to_string()).into_response(),
        "release" => (StatusCode::OK, Outcome::Release, effect.to_string()).into_response(),
        _ => (card, format!("card 4242, effect {effect}")).into_response(),
    }
}

#[idempotent(ttl = "1h", scope = "global", operation = "pay")]
async fn pay(State(effects): State<Effects>, order: String) -> Response {
    obey(effects, order).await
}

#[idempotent(ttl = "1h", scope = "global", store_error = "fail_open")]
async fn pay_anyway(State(effects): State<Effects>, order: String) -> Response {
    obey(effects, order).await
}

/// So many rows as JSON.
#[cfg(feature = "compression")]
#[idempotent(ttl = "1h", scope = "global")]
async fn report(rows: String) -> (StatusCode, axum::Json<Vec<Value>>) {
    let row = |number: u32| {
        let cents = number.wrapping_mul(2_654_435_761) % 100_000;
        serde_json::json!({ "id": number, "state": "paid", "cents": cents })
    };
    let rows = rows.parse().unwrap();
    (
        StatusCode::CREATED,
        axum::Json((0..rows).map(row).collect()),
    )
}

struct Service {
    router: Router,
    effects: Effects,
}

struct Answer {
    response: Response<()>,
    body: Bytes,
}

impl Answer {
    fn status(&self) -> StatusCode {
        self.response.status()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    fn is_replay(&self) -> bool {
        self.header("idempotent-replayed").is_some()
    }

    fn problem(&self) -> Option<Problem> {
        self.response.extensions().get().copied()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Service {
    fn new(builder: IdempotencyBuilder) -> Self {
        let effects = Effects::default();
        let app = App {
            idempotency: builder.build().unwrap(),
            effects: Arc::clone(&effects),
        };
        let router = Router::new()
            .route("/pay", post(pay))
            .route("/anyway", post(pay_anyway));
        #[cfg(feature = "compression")]
        let router = router.route("/report", post(report));
        Self {
            router: router.with_state(app),
            effects,
        }
    }

    async fn send(&self, path: &str, key: &str, order: &'static str) -> Answer {
        let request = Request::post(path)
            .header("idempotency-key", key)
            .body(Body::from(order))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer {
            body: body.collect().await.unwrap().to_bytes(),
            response: Response::from_parts(parts, ()),
        }
    }

    fn effects(&self) -> usize {
        self.effects.load(SeqCst)
    }
}

fn memory() -> IdempotencyBuilder {
    Idempotency::builder(MemoryStore::new())
}

#[tokio::test(start_paused = true)]
async fn a_handlers_own_word_outweighs_its_status() {
    let service = Service::new(memory());
    let kept = service.send("/pay", "a", "record").await;
    assert_eq!(kept.status(), StatusCode::BAD_GATEWAY);
    assert!(service.send("/pay", "a", "record").await.is_replay());
    assert_eq!(service.effects(), 1);

    service.send("/pay", "b", "release").await;
    assert!(!service.send("/pay", "b", "release").await.is_replay());
    assert_eq!(service.effects(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_replay_shows_the_redacted_answer_and_the_first_caller_the_whole_one() {
    let service = Service::new(memory().redact(|stored| {
        stored.headers_mut().remove("x-card");
        let text = String::from_utf8_lossy(stored.body()).replace("4242", "****");
        *stored.body_mut() = Bytes::from(text);
    }));
    let first = service.send("/pay", "k", "").await;
    assert_eq!(first.body, "card 4242, effect 1");
    assert_eq!(first.header("x-card"), Some("4242"));
    let replay = service.send("/pay", "k", "").await;
    assert!(replay.is_replay());
    assert_eq!(replay.body, "card ****, effect 1");
    assert_eq!(replay.header("x-card"), None);
}

#[cfg(feature = "compression")]
#[tokio::test(start_paused = true)]
async fn a_large_answer_is_smaller_in_the_store_and_replayed_byte_for_byte() {
    use idem_axum::{Compression, ListQuery, SlotState, Store};

    let store = Arc::<MemoryStore>::default();
    let over = || Idempotency::builder(Arc::clone(&store));
    let service = Service::new(over().compress(Compression::default()));
    let first = service.send("/report", "k", "1000").await;
    assert_eq!(
        (first.status(), first.is_replay()),
        (StatusCode::CREATED, false)
    );
    let rows: Vec<Value> = serde_json::from_slice(&first.body).unwrap();
    assert_eq!(rows.len(), 1000);

    let all = ListQuery {
        state: None,
        after: None,
        limit: 10,
    };
    let page = store.list(all).await.unwrap();
    let SlotState::Completed { record, .. } = &page.slots[0].state else {
        panic!("{page:?}");
    };
    assert!(record.len() < first.body.len() / 2, "{}", record.len());

    // Here, and at a node that does not compress.
    for service in [&service, &Service::new(over())] {
        let again = service.send("/report", "k", "1000").await;
        assert!(again.is_replay());
        assert_eq!(again.status(), StatusCode::CREATED);
        assert_eq!(again.body, first.body);
        assert_eq!(again.header("content-type"), Some("application/json"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_redact_hook_that_panics_stores_nothing_and_runs_nothing_twice() {
    let service = Service::new(memory().redact(|_| panic!("the redact hook is broken")));
    let first = service.send("/pay", "k", "").await;
    assert_eq!(first.body, "card 4242, effect 1");
    let retry = service.send("/pay", "k", "").await;
    assert_eq!(retry.problem(), Some(Problem::ResponseNotRetained));
    assert_eq!(service.effects(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_header_policy_decides_what_a_replay_shows() {
    let service = Service::new(memory().headers(HeaderPolicy::only([header::CONTENT_TYPE])));
    service.send("/pay", "k", "").await;
    let replay = service.send("/pay", "k", "").await;
    assert_eq!(replay.header("x-card"), None);
    assert_eq!(
        replay.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
}

#[tokio::test(start_paused = true)]
async fn problems_have_the_configured_base_and_link_to_the_documentation() {
    let service = Service::new(
        memory()
            .problem_base("https://errors.example.com/")
            .documentation("https://docs.example.com/retries"),
    );
    let request = Request::post("/pay").body(Body::empty()).unwrap();
    let response = service.router.clone().oneshot(request).await.unwrap();
    assert_eq!(
        response.headers()["link"],
        "<https://docs.example.com/retries>; rel=\"describedby\""
    );
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let document: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(document["type"], "https://errors.example.com/key-missing");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_refuses_the_request_and_runs_nothing() {
    let store = ChaosStore::new(MemoryStore::new());
    let service = Service::new(Idempotency::builder(store.clone()));
    store.plan().always(Verb::Claim, Fault::FailBefore);
    let refused = service.send("/pay", "k", "").await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.problem(), Some(Problem::StoreUnavailable));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.json()["retryable"], true);
    assert_eq!(refused.json()["retry_after_ms"], 1000);
    assert_eq!(service.effects(), 0);

    store.plan().clear();
    assert_eq!(service.send("/pay", "k", "").await.status(), StatusCode::OK);
    assert_eq!(service.effects(), 1);
}

/// What cannot be read may be the record of this very request.
#[tokio::test(start_paused = true)]
async fn over_a_damaged_slot_nothing_runs_and_nobody_says_that_nothing_ran() {
    let store = ChaosStore::new(MemoryStore::new());
    let service = Service::new(Idempotency::builder(store.clone()));
    store.plan().always(Verb::Claim, Fault::Corrupt);
    for path in ["/pay", "/anyway"] {
        let refused = service.send(path, "k", "").await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.problem(), Some(Problem::RecordUnreadable));
        let detail = refused.json()["detail"].to_string();
        assert!(detail.contains("not repeated"), "{detail}");
    }
    assert_eq!(service.effects(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_open_runs_and_its_answer_says_so() {
    let store = ChaosStore::new(MemoryStore::new());
    let service = Service::new(Idempotency::builder(store.clone()));
    store.plan().always(Verb::Claim, Fault::HangBefore);
    let answer = service.send("/anyway", "k", "").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.header("idempotency-unprotected"), Some("true"));
    assert_eq!(service.effects(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_stored_is_marked_and_stored_later() {
    let store = ChaosStore::new(MemoryStore::new());
    let service = Service::new(Idempotency::builder(store.clone()));
    store.plan().always(Verb::Complete, Fault::FailBefore);
    let first = service.send("/pay", "k", "").await;
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(first.header("idempotency-stored"), Some("false"));
    let meanwhile = service.send("/pay", "k", "").await;
    assert_eq!(meanwhile.problem(), Some(Problem::InProgress));

    store.plan().clear();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let replay = service.send("/pay", "k", "").await;
    assert!(replay.is_replay());
    assert_eq!(replay.body, first.body);
    assert_eq!(service.effects(), 1);
}
