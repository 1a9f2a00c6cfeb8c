use axum::{Json, Router, routing::post};
use idem_axum::{Idempotency, idempotent};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Payment {
    id: String,
    user: u64,
    amount: u32,
    sent_at: String,
}

/// Everything that can be said in strings.
#[idempotent(
    ttl = "1h30m",
    grace = "7d",
    lease = "10s",
    wait = "5s",
    scope = "user",
    key = "optional",
    header = "X-Request-Id",
    on_crash = "refuse",
    record = "all",
    profile = "ietf",
    operation = "pay",
    max_response = "64KiB",
    store_error = "fail_open",
    crate = ::idem_axum,
)]
async fn strings(Json(payment): Json<Payment>) -> Json<Payment> {
    Json(payment)
}

#[idempotent(
    ttl = "24h",
    grace = "0s",
    scope = payment.user,
    key = payment.id,
    fingerprint = (&payment.user, payment.amount),
    on_crash = "takeover",
    record = "success",
    profile = "conflict",
    max_response = 1024,
    store_error = "fail_closed",
    crate = "idem_axum",
)]
async fn expressions(Json(payment): Json<Payment>) -> Json<Payment> {
    Json(payment)
}

#[idempotent(
    ttl = "24h",
    scope = "global",
    key = "required",
    record = "default",
    fingerprint = "raw"
)]
async fn raw(body: String) -> String {
    body
}

fn main() {
    let _: Router<Idempotency> = Router::new()
        .route("/strings", post(strings))
        .route("/expressions", post(expressions))
        .route("/raw", post(raw));
}
