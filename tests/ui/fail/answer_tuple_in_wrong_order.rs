use axum::{Json, http::StatusCode};
use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(amount: String) -> (Json<String>, StatusCode) {
    (Json(amount), StatusCode::CREATED)
}

fn main() {}
