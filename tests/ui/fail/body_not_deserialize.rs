use axum::Json;
use idem_axum::idempotent;
use serde::Serialize;

#[derive(Serialize)]
struct Payment {
    amount: u32,
}

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(Json(payment): Json<Payment>) -> String {
    payment.amount.to_string()
}

fn main() {}
