use axum::Json;
use idem_axum::idempotent;
use serde::Deserialize;

struct Amount(u32);

#[derive(Deserialize)]
#[serde(from = "u32")]
struct Payment {
    amount: Amount,
}

impl From<u32> for Payment {
    fn from(amount: u32) -> Self {
        Self { amount: Amount(amount) }
    }
}

#[idempotent(ttl = "24h", scope = "user", fingerprint = payment.amount)]
async fn pay(Json(payment): Json<Payment>) -> String {
    payment.amount.0.to_string()
}

fn main() {}
