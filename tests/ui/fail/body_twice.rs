use axum::Json;
use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(Json(amount): Json<u32>, raw: String) -> String {
    format!("{amount} {raw}")
}

fn main() {}
