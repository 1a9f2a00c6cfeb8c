use axum::{Json, extract::rejection::JsonRejection};
use idem_axum::idempotent;

#[idempotent(ttl = "24h", scope = "user")]
async fn pay(amount: Result<Json<u32>, JsonRejection>) -> String {
    amount.is_ok().to_string()
}

fn main() {}
