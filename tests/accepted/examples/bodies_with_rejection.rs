use axum::{
    Json, Router,
    extract::rejection::JsonRejection,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use axum_extra::extract::WithRejection;
use idem_axum::{Idempotency, idempotent};
use serde::{Deserialize, Serialize};

struct Oops;

impl From<JsonRejection> for Oops {
    fn from(_: JsonRejection) -> Self {
        Self
    }
}

impl IntoResponse for Oops {
    fn into_response(self) -> Response {
        StatusCode::BAD_REQUEST.into_response()
    }
}

#[derive(Serialize, Deserialize)]
struct Payment {
    amount: u32,
    sent_at: String,
}

#[idempotent(ttl = "24h", scope = "global")]
async fn typed(WithRejection(Json(payment), _): WithRejection<Json<Payment>, Oops>) -> String {
    payment.amount.to_string()
}

#[idempotent(ttl = "24h", scope = "global", fingerprint = payment.amount)]
async fn expression(WithRejection(Json(payment), _): WithRejection<Json<Payment>, Oops>) -> String {
    payment.sent_at
}

#[idempotent(ttl = "24h", scope = "global", fingerprint = "raw")]
async fn raw(WithRejection(Json(payment), _): WithRejection<Json<Payment>, Oops>) -> String {
    payment.sent_at
}

fn main() {
    let _: Router<Idempotency> = Router::new()
        .route("/typed", post(typed))
        .route("/expression", post(expression))
        .route("/raw", post(raw));
}
