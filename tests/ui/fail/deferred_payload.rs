use axum::Json;
use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(#[deferred] Json(amount): Json<u32>) -> String {
    amount.to_string()
}

fn main() {}
