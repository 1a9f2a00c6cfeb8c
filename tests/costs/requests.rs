//! A POST to a protected handler, and to a bare one.

use axum::{
    Json, Router,
    body::Body,
    extract::FromRef,
    http::{Request, StatusCode, header},
    response::Response,
    routing::post,
};
use idem_axum::{Idempotency, IdempotencyBuilder, Postgres, Tx, idempotent};
use serde::{Deserialize, Serialize};
use tower::ServiceExt;

#[derive(Clone, FromRef)]
struct App {
    idempotency: Idempotency,
}

#[derive(Serialize, Deserialize)]
struct Payment {
    amount: u64,
    currency: String,
    reference: Option<String>,
}

async fn bare(Json(payment): Json<Payment>) -> (StatusCode, Json<u64>) {
    (status(payment.amount), Json(payment.amount))
}

mod by_itself {
    use super::*;

    #[idempotent(ttl = "1h", scope = "global")]
    pub(super) async fn protected(Json(payment): Json<Payment>) -> (StatusCode, Json<u64>) {
        (status(payment.amount), Json(payment.amount))
    }
}

/// Which is recorded or, for nothing at all, released.
fn status(amount: u64) -> StatusCode {
    match amount {
        0 => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::CREATED,
    }
}

/// In a module of its own: not every store has a transaction for it.
mod in_transaction {
    use super::*;

    #[idempotent(ttl = "1h", scope = "global")]
    pub(super) async fn transacting(
        mut tx: Tx<Postgres>,
        Json(payment): Json<Payment>,
    ) -> (StatusCode, Json<u64>) {
        sqlx::query("SELECT 1").execute(&mut *tx).await.unwrap();
        (status(payment.amount), Json(payment.amount))
    }
}

pub(crate) fn app(builder: IdempotencyBuilder) -> Router {
    let modules = [concat!(module_path!(), "::by_itself")];
    let idempotency = builder.only_modules(modules).build().unwrap();
    Router::new()
        .route("/bare", post(bare))
        .route("/protected", post(by_itself::protected))
        .with_state(App { idempotency })
}

pub(crate) fn transacting_app(builder: IdempotencyBuilder) -> Router {
    let modules = [concat!(module_path!(), "::in_transaction")];
    let idempotency = builder.only_modules(modules).build().unwrap();
    Router::new()
        .route("/transacting", post(in_transaction::transacting))
        .with_state(App { idempotency })
}

pub(crate) fn request(path: &str, key: &str, amount: u64) -> Request<Body> {
    let payment = Payment {
        amount,
        currency: "EUR".to_owned(),
        reference: Some("invoice 17".to_owned()),
    };
    Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .header("idempotency-key", key)
        .body(Body::from(serde_json::to_vec(&payment).unwrap()))
        .unwrap()
}

pub(crate) async fn send(app: &Router, request: Request<Body>) -> Response {
    app.clone().oneshot(request).await.unwrap()
}
