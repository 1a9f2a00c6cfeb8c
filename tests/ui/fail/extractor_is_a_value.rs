use axum::Json;
use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(amount: u32, Json(currency): Json<String>) -> String {
    format!("{amount} {currency}")
}

#[idempotent(ttl = "24h", scope = "user")]
async fn refund(payment: serde_json::Value) -> String {
    payment.to_string()
}

fn main() {}
