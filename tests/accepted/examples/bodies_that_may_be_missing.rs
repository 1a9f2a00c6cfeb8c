use axum::{Form, Json, Router, extract::rejection::JsonRejection, routing::post};
use idem_axum::{Idempotency, idempotent};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Payment {
    amount: u32,
}

#[idempotent(ttl = "24h", scope = "global")]
async fn optional(payment: Option<Json<Payment>>) -> String {
    payment
        .map_or(0, |Json(payment)| payment.amount)
        .to_string()
}

// What was rejected has its bytes all the same.
#[idempotent(ttl = "24h", scope = "global", fingerprint = "raw")]
async fn rejected(payment: Result<Json<Payment>, JsonRejection>) -> String {
    payment.is_ok().to_string()
}

#[derive(Deserialize)]
struct Unserializable {
    amount: u32,
}

#[idempotent(ttl = "24h", scope = "global", fingerprint = "raw")]
async fn raw(Json(payment): Json<Unserializable>) -> String {
    payment.amount.to_string()
}

#[idempotent(ttl = "24h", scope = "global", fingerprint = payment.amount)]
async fn expression(Form(payment): Form<Unserializable>) -> String {
    payment.amount.to_string()
}

fn main() {
    let _: Router<Idempotency> = Router::new()
        .route("/optional", post(optional))
        .route("/rejected", post(rejected))
        .route("/raw", post(raw))
        .route("/expression", post(expression));
}
