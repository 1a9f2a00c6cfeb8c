//! No payload is left out of the fingerprint, whatever its extractor is called:
//! another payload under the same key is never taken for a retry.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use axum::{
    Form, Json, Json as State2, Router,
    body::Body,
    extract::{FromRef, FromRequest, Path, Query, Request, State, rejection::JsonRejection},
    http::{StatusCode, header},
    response::IntoResponse,
    routing::post,
};
use axum_extra::extract::WithRejection;
use http_body_util::BodyExt;
use idem_axum::{
    FingerprintBody, FingerprintBuilder, FingerprintError, Idempotency, MemoryStore, idempotent,
};
use serde::Deserialize;
use tower::ServiceExt;

type Alias<T> = Json<T>;

#[idempotent(ttl = "1h", scope = "global")]
async fn alias(Json(amount): Alias<u64>) -> String {
    amount.to_string()
}

#[idempotent(ttl = "1h", scope = "global")]
async fn renamed_import(State2(amount): State2<u64>) -> String {
    amount.to_string()
}

mod reexported {
    pub(crate) use axum::Json as Path;
}

#[idempotent(ttl = "1h", scope = "global")]
async fn reexport(reexported::Path(amount): reexported::Path<u64>) -> String {
    amount.to_string()
}

macro_rules! extractor {
    ($name:ident<$inner:ident>) => {
        impl<$inner: FromRequest<S>, S: Send + Sync> FromRequest<S> for $name<$inner> {
            type Rejection = $inner::Rejection;

            async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
                $inner::from_request(request, state).await.map(Self)
            }
        }
    };
}

/// A wrapper that says what it holds.
struct Checked<B>(B);

extractor!(Checked<B>);

impl<B: FingerprintBody> FingerprintBody for Checked<B> {
    fn fingerprint(&self, to: &mut FingerprintBuilder) -> Result<(), FingerprintError> {
        self.0.fingerprint(to)
    }
}

#[idempotent(ttl = "1h", scope = "global")]
async fn wrapper(Checked(Json(amount)): Checked<Json<u64>>) -> String {
    amount.to_string()
}

/// A wrapper that says nothing: its author must, or it does not compile, see
/// `tests/ui/fail/body_in_a_generic_wrapper.rs`.
struct Silent<B>(B);

extractor!(Silent<B>);

#[idempotent(ttl = "1h", scope = "global", fingerprint = "raw")]
async fn silent(Silent(Json(amount)): Silent<Json<u64>>) -> String {
    amount.to_string()
}

mod local {
    use super::*;

    /// Reads the body, under the name of an extractor that does not.
    #[derive(Deserialize)]
    pub(super) struct State(pub(super) u64);

    impl<S: Send + Sync> FromRequest<S> for State {
        type Rejection = JsonRejection;

        async fn from_request(request: Request, state: &S) -> Result<Self, JsonRejection> {
            let Json(amount) = Json::from_request(request, state).await?;
            Ok(Self(amount))
        }
    }
}

#[idempotent(ttl = "1h", scope = "global", fingerprint = amount)]
async fn local_state(local::State(amount): local::State) -> String {
    amount.to_string()
}

#[idempotent(ttl = "1h", scope = "global")]
async fn maybe(amount: Option<Json<u64>>) -> String {
    amount.map_or(0, |Json(amount)| amount).to_string()
}

// What cannot be read differs too.
#[idempotent(ttl = "1h", scope = "global", fingerprint = "raw")]
async fn rejected(amount: Result<Json<u64>, JsonRejection>) -> Result<String, StatusCode> {
    match amount {
        Ok(Json(amount)) => Ok(amount.to_string()),
        Err(_) => Err(StatusCode::UNPROCESSABLE_ENTITY),
    }
}

struct Bad;

impl From<JsonRejection> for Bad {
    fn from(_: JsonRejection) -> Self {
        Self
    }
}

impl IntoResponse for Bad {
    fn into_response(self) -> axum::response::Response {
        StatusCode::BAD_REQUEST.into_response()
    }
}

#[idempotent(ttl = "1h", scope = "global")]
async fn with_rejection(WithRejection(Json(amount), _): WithRejection<Json<u64>, Bad>) -> String {
    amount.to_string()
}

#[idempotent(ttl = "1h", scope = "global", fingerprint = "raw")]
async fn whole_request(request: Request) -> String {
    let body = request.into_body().collect().await;
    String::from_utf8_lossy(&body.unwrap_or_default().to_bytes()).into_owned()
}

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
}

fn app() -> Router {
    let idempotency = Idempotency::builder(MemoryStore::new()).build().unwrap();
    Router::new()
        .route("/alias", post(alias))
        .route("/renamed", post(renamed_import))
        .route("/reexport", post(reexport))
        .route("/wrapper", post(wrapper))
        .route("/silent", post(silent))
        .route("/local", post(local_state))
        .route("/maybe", post(maybe))
        .route("/rejected", post(rejected))
        .route("/with-rejection", post(with_rejection))
        .route("/whole", post(whole_request))
        .route("/form", post(form))
        .route("/head/{id}", post(head))
        .with_state(App { idempotency })
}

async fn send(app: &Router, uri: &str, kind: &str, body: &str) -> (StatusCode, bool, String) {
    let request = Request::post(uri)
        .header("idempotency-key", "the-key")
        .header(header::CONTENT_TYPE, kind)
        .body(Body::from(body.to_owned()))
        .unwrap();
    let answer = app.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    let is_replay = answer.headers().contains_key("idempotent-replayed");
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (
        status,
        is_replay,
        String::from_utf8_lossy(&body).into_owned(),
    )
}

#[tokio::test]
async fn another_payload_is_a_conflict_whatever_its_extractor_is_called() {
    let app = app();
    for route in [
        "/alias",
        "/renamed",
        "/reexport",
        "/wrapper",
        "/silent",
        "/local",
        "/maybe",
        "/rejected",
        "/with-rejection",
        "/whole",
    ] {
        let json = "application/json";
        let first = send(&app, route, json, "1").await;
        assert_eq!(first, (StatusCode::OK, false, "1".to_owned()), "{route}");
        let retry = send(&app, route, json, "1").await;
        assert_eq!(retry, (StatusCode::OK, true, "1".to_owned()), "{route}");
        let (status, _, problem) = send(&app, route, json, "2").await;
        assert_eq!(status, StatusCode::CONFLICT, "{route}");
        assert!(problem.contains("key-reused"), "{route}: {problem}");
    }
}

#[tokio::test]
async fn two_payloads_that_cannot_be_read_are_two() {
    let app = app();
    let unreadable = send(&app, "/rejected", "application/json", "{").await;
    assert_eq!(unreadable.0, StatusCode::UNPROCESSABLE_ENTITY);
    let retry = send(&app, "/rejected", "application/json", "{").await;
    assert!(retry.1);
    let other = send(&app, "/rejected", "application/json", "[").await;
    assert_eq!(other.0, StatusCode::CONFLICT);
}

#[idempotent(ttl = "1h", scope = "global")]
async fn form(Form(fields): Form<Vec<(String, String)>>) -> String {
    fields.len().to_string()
}

#[idempotent(ttl = "1h", scope = "global")]
async fn head(Path(id): Path<u64>, State(app): State<App>, Query(page): Query<Page>) -> String {
    let _ = app;
    format!("{id} {}", page.number)
}

#[derive(Deserialize)]
struct Page {
    number: u64,
}

#[tokio::test]
async fn a_form_is_a_payload_and_so_are_path_and_query_of_one_without() {
    let app = app();
    let kind = "application/x-www-form-urlencoded";
    assert_eq!(send(&app, "/form", kind, "a=1").await.0, StatusCode::OK);
    assert_eq!(
        send(&app, "/form", kind, "a=2").await.0,
        StatusCode::CONFLICT
    );
    let first = send(&app, "/head/1?number=2", kind, "").await;
    assert_eq!(first.2, "1 2");
    assert!(send(&app, "/head/1?number=2", kind, "").await.1);
    for other in ["/head/1?number=3", "/head/2?number=2"] {
        let (status, _, _) = send(&app, other, kind, "").await;
        assert_eq!(status, StatusCode::CONFLICT, "{other}");
    }
}
