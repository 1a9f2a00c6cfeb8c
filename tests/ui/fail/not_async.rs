use axum::Json;
use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user")]
fn pay(Json(amount): Json<u32>) -> Json<u32> {
    Json(amount)
}

fn main() {}
