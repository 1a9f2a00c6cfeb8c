use axum::{Json, http::HeaderMap};
use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(amount: Option<Json<u32>>, headers: HeaderMap) -> String {
    format!("{amount:?} {}", headers.len())
}

fn main() {}
