use axum::Json;
use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user", retries = 3)]
async fn pay(Json(amount): Json<u64>) -> Json<u64> {
    Json(amount)
}

fn main() {}
